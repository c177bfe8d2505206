// One recording server of a session, over all dialogs with it. It never throws at the session; what went wrong stands in its entry. A
// server that was lost, or cannot take the call now, is called again, with more and more time between.

import { reasonOf } from '../errors.ts'
import { type Calling, callServer, type Dialog, type DialogEvents, type ServerPorts, type ServerWish } from './dialog.ts'
import type { ServerEntry } from './document.ts'
import type { Refusal } from './refusal.ts'

export interface ServerEvents extends Pick<DialogEvents, 'metadata' | 'hidden'> {
  /** Its entry has changed. */
  changed: () => void
  /** It has taken the call that it did not have before. */
  taken: () => void
  /** It will not have the call again; start() says so itself. */
  lost: () => void
}

export interface Server {
  readonly entry: Readonly<ServerEntry>
  /** True when the server takes the recording at once; else its entry tells whether it is called again. */
  start(): Promise<boolean>
  /** As Dialog.hide; `failed`: it will not come back. */
  hide(): Promise<'confirmed' | 'unconfirmed' | 'failed'>
  show(): Promise<'confirmed' | 'unconfirmed'>
  /** Tells it what has begun, or ended, to be hidden while it was called. */
  agree(): Promise<void>
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

const lacking = ({ missing }: Dialog): Pick<ServerEntry, 'reason'> => (missing.length === 0 ? {} : { reason: `it does not take stream ${missing.join(', ')}` })

export function createServer(ports: ServerPorts, wish: ServerWish, events: ServerEvents): Server {
  const { clock, log } = ports
  let entry: ServerEntry = { uri: wish.uri, state: 'starting' }
  let dialog: Dialog | undefined
  let calling: Calling | undefined
  let stopped = false
  let losses = 0
  /** Of the clock: when it was lost. */
  let lostAt = Number.NEGATIVE_INFINITY
  let stopWaiting = (): void => {}
  let steady = (): void => {}

  function become(change: Partial<ServerEntry>): void {
    const { reason: _reason, code: _code, ...kept } = entry
    entry = { ...kept, ...change }
    events.changed()
  }

  async function start(): Promise<boolean> {
    if (stopped) return false
    calling = callServer(ports, wish, {
      metadata: events.metadata,
      hidden: events.hidden,
      outdated: () => become({ ...entry, reason: 'it did not take the new metadata' }),
      changed: () => dialog && become({ ...entry, ...lacking(dialog) }),
      lost,
    })
    const outcome = await calling.outcome.catch((error: unknown) => ({ refused: { code: 500, reason: reasonOf(error) } }))
    calling = undefined
    if (stopped) {
      if ('dialog' in outcome) void outcome.dialog.end()
      return false
    }
    if ('refused' in outcome) {
      miss('siprec_server_failed', outcome.refused)
      return false
    }
    dialog = outcome.dialog
    become({ state: events.hidden() ? 'paused' : 'recording', media: dialog.media, ...lacking(dialog) })
    steady = clock.after(STEADY, () => (losses = 0))
    void server.agree()
    return true
  }

  function lost(reason: string): void {
    dialog = undefined
    lostAt = clock.elapsed()
    miss('siprec_server_lost', { reason, again: 0 })
    if (entry.state === 'failed') events.lost()
  }

  /** It does not have the call now. */
  function miss(what: 'siprec_server_failed' | 'siprec_server_lost', { again, ...why }: Omit<Refusal, 'code'> & { code?: number }): void {
    steady()
    if (stopped) return
    const wait = again === undefined ? undefined : AGAIN_AFTER[losses++]
    const after = wait && Math.max(wait, again ?? 0)
    log.warn(what, { uri: wish.uri, ...why, ...(after === undefined ? {} : { again_in_ms: after }) })
    become({ state: after === undefined ? 'failed' : 'waiting', ...why })
    if (after !== undefined) stopWaiting = clock.after(after, () => void startAgain())
  }

  async function startAgain(): Promise<void> {
    if (await start()) events.taken()
    else if (entry.state === 'failed') events.lost()
  }

  const server: Server = {
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
        miss('siprec_server_failed', { code: 500, reason: 'the switch did not confirm the pause, so its recording legs were ended' })
        events.lost()
      } else become({ state: 'paused', ...(hidden === 'confirmed' ? lacking(one) : { reason: 'the server did not confirm the pause; nothing is sent to it' }) })
      return hidden
    },
    async show() {
      const one = dialog
      if (one === undefined) return 'confirmed'
      const shown = await one.show()
      if (dialog === one) become({ state: 'recording', ...(shown === 'confirmed' ? lacking(one) : { reason: 'the end of the pause was not confirmed' }) })
      return shown
    },
    async agree() {
      if (dialog === undefined || dialog.isTold) return
      await (events.hidden() ? server.hide() : server.show())
    },
    async update() {
      await dialog?.update()
    },
    async stop() {
      stopped = true
      stopWaiting()
      steady()
      const one = dialog
      dialog = undefined
      // Who was still away has nothing of what was said meanwhile. The recording legs may end a moment before the leg that they listen to.
      const hasAll = clock.elapsed() - lostAt < AGAIN_AFTER[0]
      if (entry.state === 'waiting' && !hasAll) become({ ...entry, state: 'failed' })
      else if (entry.state !== 'failed') become({ state: 'stopped' })
      await Promise.all([calling?.cancel(), one?.end()])
    },
    async sent() {
      return dialog?.sent()
    },
  }
  return server
}
