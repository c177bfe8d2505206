// The waits of one recording, by name: setting one again replaces it, so no wait is ever there twice.

import type { Clock } from '../clock.ts'

export interface Timers {
  /** `ms` of call time. What `run` rejects with goes to the listener of `createTimers`. */
  set(name: string, ms: number, run: () => Promise<unknown>): void
  cancel(name: string): void
  clear(): void
  /** Clears, and sets none any more. */
  close(): void
}

export function createTimers(clock: Clock, failed: (name: string, error: unknown) => void): Timers {
  const cancels = new Map<string, () => void>()
  let closed = false

  function cancel(name: string): void {
    cancels.get(name)?.()
    cancels.delete(name)
  }

  function clear(): void {
    for (const stop of cancels.values()) stop()
    cancels.clear()
  }

  return {
    cancel,
    set(name, ms, run) {
      cancel(name)
      if (closed) return
      const stop = clock.after(ms, () => {
        cancels.delete(name)
        run().catch((error: unknown) => failed(name, error))
      })
      cancels.set(name, stop)
    },
    clear,
    close() {
      closed = true
      clear()
    },
  }
}
