// The timers of RFC 3261 (table 4), in milliseconds, and a place for those that run.

import type { Clock } from '../clock.ts'

/** Round trip that is assumed. */
export const T1 = 500
/** Longest wait between two copies. */
export const T2 = 4000
/** How long a message may stay in the network. */
export const T4 = 5000
/** After so long nobody answers any more (timers B, F, H, J, L, M). */
export const GIVE_UP = 64 * T1
/** How long a late copy of a final answer may come over UDP (timer D). */
export const LATE_COPIES = 32_000

export interface Timers {
  /** Setting one again replaces it. */
  set(name: string, ms: number, run: () => void): void
  cancel(...names: readonly string[]): void
  clear(): void
}

export function createTimers(clock: Clock): Timers {
  const cancels = new Map<string, () => void>()
  const cancel = (...names: readonly string[]): void => {
    for (const name of names) {
      cancels.get(name)?.()
      cancels.delete(name)
    }
  }
  return {
    cancel,
    set(name, ms, run) {
      cancel(name)
      cancels.set(
        name,
        clock.after(ms, () => {
          cancels.delete(name)
          run()
        }),
      )
    },
    clear: () => cancel(...cancels.keys()),
  }
}
