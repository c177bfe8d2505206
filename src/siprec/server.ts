// One recording server of a session, over all dialogs with it. It never throws at the session; what went wrong stands in its entry. A
// server that was lost is called again, with more and more time between.

import { reasonOf } from '../errors.ts'
import { type Calling, callServer, type Dialog, type DialogEvents, type Refusal, type ServerPorts, type ServerWish } from './dialog.ts'
import type { ServerEntry } from './document.ts'

export interface ServerEvents extends Pick<DialogEvents, 'metadata' | 'hidden'> {
  /** Its entry has changed. */
  changed: () => void
  /** It will not come back. */
  lost: () => void
}

export interface Server {
  readonly entry: Readonly<ServerEntry>
  /** True when the server takes the recording. */
  start(): Promise<boolean>
  /** As Dialog.hide; `failed`: it will not come back. */
  hide(): Promise<'confirmed' | 'unconfirmed' | 'failed'>
  show(): Promise<'confirmed' | 'unconfirmed'>
  /** The metadata have changed. */
  update(): Promise<void>
  stop(): Promise<void>
  /** As Dialog.sent. */
  sent(): Promise<number | undefined>
}

// Milliseconds.
const AGAIN_AFTER = [1000, 2000, 4000, 8000, 8000] as const
/** After so long a server counts as having come back. */
const STEADY = 30_000

export function createServer(ports: ServerPorts, wish: ServerWish, events: ServerEvents): Server {
  const { clock, log } = ports
  let entry: ServerEntry = { uri: wish.uri, state: 'starting' }
  let dialog: Dialog | undefined
  let calling: Calling | undefined
  let stopped = false
  let losses = 0
  let wait = (): void => {}
  let steady = (): void => {}

  function become(change: Partial<ServerEntry>): void {
    const { reason: _reason, code: _code, ...kept } = entry
    entry = { ...kept, ...change }
    events.changed()
  }

  function fail({ code, reason }: Refusal): void {
    log.warn('siprec_server_failed', { uri: wish.uri, code, reason })
    if (!stopped) become({ state: 'failed', code, reason })
  }

  async function start(): Promise<boolean> {
    if (stopped) return false
    calling = callServer(ports, wish, {
      metadata: events.metadata,
      hidden: events.hidden,
      outdated: () => become({ ...entry, reason: 'it did not take the new metadata' }),
      lost,
    })
    const outcome = await calling.outcome
    calling = undefined
    if ('refused' in outcome) {
      fail(outcome.refused)
      return false
    }
    dialog = outcome.dialog
    const { media, missing } = dialog
    become({
      state: events.hidden() ? 'paused' : 'recording',
      media,
      ...(missing.length === 0 ? {} : { reason: `it does not take stream ${missing.join(', ')}` }),
    })
    steady = clock.after(STEADY, () => (losses = 0))
    return true
  }

  function lost(reason: string): void {
    dialog = undefined
    if (!stopped) again(reason)
  }

  function again(reason: string): void {
    steady()
    const after = AGAIN_AFTER[losses++]
    log.warn('siprec_server_lost', { uri: wish.uri, reason, ...(after === undefined ? {} : { again_in_ms: after }) })
    if (after === undefined) {
      become({ state: 'failed', reason })
      return events.lost()
    }
    become({ state: 'waiting', reason })
    wait = clock.after(after, () => {
      start().then(
        taken => {
          if (!taken && !stopped) again(entry.reason ?? 'it did not take it again')
        },
        (error: unknown) => log.error('siprec_server_failed', { uri: wish.uri, reason: reasonOf(error) }),
      )
    })
  }

  return {
    get entry() {
      return entry
    },
    start,
    async hide() {
      const one = dialog
      if (one === undefined) return 'confirmed'
      const hidden = await one.hide()
      // Where it was lost meanwhile nothing is sent either.
      if (dialog !== one) return 'confirmed'
      if (hidden === 'failed') {
        dialog = undefined
        fail({ code: 500, reason: 'the switch did not confirm the pause, so its recording legs were ended' })
        events.lost()
      } else become({ state: 'paused', ...(hidden === 'confirmed' ? {} : { reason: 'the server did not confirm the pause; nothing is sent to it' }) })
      return hidden
    },
    async show() {
      const one = dialog
      if (one === undefined) return 'confirmed'
      const shown = await one.show()
      if (dialog === one) become({ state: 'recording', ...(shown === 'confirmed' ? {} : { reason: 'the end of the pause was not confirmed' }) })
      return shown
    },
    async update() {
      await dialog?.update()
    },
    async stop() {
      stopped = true
      wait()
      steady()
      const one = dialog
      dialog = undefined
      if (entry.state !== 'failed') become({ state: 'stopped' })
      await Promise.all([calling?.cancel(), one?.end()])
    },
    async sent() {
      return dialog?.sent()
    },
  }
}
