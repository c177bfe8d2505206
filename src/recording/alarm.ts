// When a queue looks again: at the earliest time that anybody asked for.

import type { Clock } from '../clock.ts'

export interface Alarm {
  /** Unix milliseconds. A later one than is set already changes nothing: whoever is woken sets the next. */
  set(at: number): void
  /** It rings no more, and none is set any more. */
  close(): void
}

export function createAlarm(clock: Clock, ring: () => void): Alarm {
  let next: { at: number; cancel: () => void } | undefined
  let closed = false
  return {
    set(at) {
      if (closed || (next !== undefined && next.at <= at)) return
      next?.cancel()
      const cancel = clock.after(at - clock.now(), () => {
        next = undefined
        ring()
      })
      next = { at, cancel }
    },
    close() {
      closed = true
      next?.cancel()
    },
  }
}
