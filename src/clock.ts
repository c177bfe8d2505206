// Time as an argument. Call time (limits, sleeps, offsets in audio) runs `speed` times as fast as
// the wall when the embedded switch does; document times are always the wall's.

export interface Clock {
  /** Unix time in milliseconds. */
  now(): number
  /** Milliseconds of call time since an arbitrary start; never goes back. */
  elapsed(): number
  /** Milliseconds of call time in one of the wall; 1 where it is not said. */
  readonly speed?: number
  /** Runs once after `ms` of call time; the answer cancels it. */
  after(ms: number, run: () => void): () => void
}

/** What `work` comes to, unless that takes longer than `ms`: then it rejects, and whatever comes later is nobody's. */
export function within<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(ms, () => reject(new Error(`not within ${ms} ms`)))
    work.then(resolve, reject).finally(cancel)
  })
}

/** Resolves after so many milliseconds, or when the signal says so. */
export const pause = (clock: Clock, ms: number, signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    const wake = (): void => {
      cancel()
      signal.removeEventListener('abort', wake)
      resolve()
    }
    const cancel = clock.after(ms, wake)
    signal.addEventListener('abort', wake)
    if (signal.aborted) wake()
  })

/** The longest delay setTimeout takes; a longer one fires at once. */
const LONGEST = 2 ** 31 - 1

export function systemClock(speed = 1): Clock {
  return {
    speed,
    now: () => Date.now(),
    elapsed: () => performance.now() * speed,
    after(ms, run) {
      const timer = setTimeout(run, Math.min(LONGEST, Math.max(0, ms / speed)))
      return () => clearTimeout(timer)
    },
  }
}
