// The first thing asked of the store: that its databases and the master account are there. A CouchDB
// that is away does not keep the engine from starting; it is tried again until it answers.

import { type Clock, within } from './clock.ts'
import { AppError, reasonOf } from './errors.ts'
import type { Log } from './log.ts'

export interface Preparation<Master> {
  /** Rejects when it is closed before. */
  ready: Promise<Master>
  /** Undefined until then. */
  master(): Master | undefined
  close(): Promise<void>
}

export interface PreparationPorts<Master> {
  attempt: () => Promise<Master>
  clock: Clock
  log: Log
}

/** Milliseconds. */
const LEAVE = 1_000
/** Milliseconds between attempts; the last one again and again. */
const WAITS = [500, 1_000, 2_000, 5_000, 10_000]

export function startPreparation<Master>({ attempt, clock, log }: PreparationPorts<Master>): Preparation<Master> {
  const closing = new AbortController()
  let made: Master | undefined

  async function run(): Promise<Master> {
    let told: string | undefined
    for (let tries = 0; ; tries++) {
      closing.signal.throwIfAborted()
      try {
        made = await attempt()
        if (told !== undefined) log.info('store_reached', { attempts: tries + 1 })
        return made
      } catch (error) {
        const reason = reasonOf(error)
        if (reason !== told) log.error('store_not_ready', { reason, todo: 'the engine goes on trying; until then calls are refused and the API answers 503' })
        told = reason
        await pause(WAITS[Math.min(tries, WAITS.length - 1)] ?? 0)
      }
    }
  }

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const cancel = clock.after(ms, resolve)
      const abort = (): void => {
        cancel()
        reject(closing.signal.reason as Error)
      }
      if (closing.signal.aborted) abort()
      else closing.signal.addEventListener('abort', abort, { once: true })
    })

  const ready = run()
  // Nobody may be waiting for it.
  const settled = ready.then(
    () => {},
    () => {},
  )
  return {
    ready,
    master: () => made,
    async close() {
      closing.abort(new AppError('datastore_unreachable', 'closed before the store answered'))
      // What is asked of a store that says nothing ends with the store.
      await within(clock, LEAVE, settled).catch(() => {})
    },
  }
}
