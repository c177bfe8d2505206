// Waiting that a shutdown ends: for some time, or for a store that is away.

import type { Clock } from '../../clock.ts'
import { AppError, reasonOf } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { backoff } from '../../net/backoff.ts'

export interface Patience {
  /** Milliseconds; ends early when all waiting ends. */
  pause(ms: number): Promise<void>
  /** What was done outside must not be forgotten because the store is away for a while: it would be done again. */
  insist<T>(step: () => Promise<T>): Promise<T>
}

/** Of one step against the store, before it is left to the next attempt. */
const MOST_TRIES = 10
const MINUTE = 60_000

export function createPatience({ clock, log, random, signal }: { clock: Clock; log: Log; random: () => number; signal: AbortSignal }): Patience {
  function pause(ms: number): Promise<void> {
    if (ms <= 0 || signal.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const cancel = clock.after(ms, done)
      signal.addEventListener('abort', done, { once: true })
      function done(): void {
        cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
    })
  }

  async function insist<T>(step: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        return await step()
      } catch (error) {
        if (signal.aborted || tries === MOST_TRIES || !(error instanceof AppError) || !error.retry) throw error
        log.warn('delivery_store_away', { reason: reasonOf(error) })
        await pause(Math.min(MINUTE, backoff(tries, random())))
      }
    }
  }

  return { pause, insist }
}
