// A clock that stands still until it is moved, so that an hour's back-off takes no time.

import type { Clock } from '../../src/clock.ts'

export interface ManualClock extends Clock {
  /** Runs everything that falls due on the way, in order. */
  advance(ms: number): void
  /** Milliseconds until each timer that is set. */
  waits(): number[]
}

export function manualClock(start = Date.UTC(2026, 4, 16)): ManualClock {
  let now = start
  const timers = new Set<{ at: number; run: () => void }>()
  const earliest = () => [...timers].sort((a, b) => a.at - b.at)[0]
  return {
    now: () => now,
    elapsed: () => now - start,
    after(ms, run) {
      const timer = { at: now + Math.max(0, ms), run }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    advance(ms) {
      const end = now + ms
      for (let timer = earliest(); timer !== undefined && timer.at <= end; timer = earliest()) {
        timers.delete(timer)
        now = timer.at
        timer.run()
      }
      now = end
    },
    waits: () => [...timers].map(({ at }) => at - now).sort((a, b) => a - b),
  }
}
