// From when to when a recording ran, by the clock of its switch, and whether it ended as it should have.

import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Ended } from './ending.ts'
import { runs } from './lifecycle.ts'
import type { Papers } from './papers.ts'
import type { Limit } from './tape.ts'

export class Span {
  readonly #clock: Clock
  readonly #log: Log
  readonly #papers: Papers
  readonly #limit: Limit
  #cause: string | undefined
  #endedAt: number | undefined

  constructor({ clock, log }: { clock: Clock; log: Log }, papers: Papers, limit: Limit) {
    this.#clock = clock
    this.#log = log
    this.#papers = papers
    this.#limit = limit
  }

  /** Milliseconds since it began. */
  ran(until = this.#clock.now()): number {
    return Math.max(0, until - (this.#papers.inFlight.started_at ?? until))
  }

  /** Milliseconds of call time that it has run, or ran. */
  length(): number {
    return Math.round(this.ran(this.#endedAt) * (this.#clock.speed ?? 1))
  }

  // At the end of a leg FreeSWITCH names another cause. It says this one for any other end, e.g. when media is taken
  // away from the switch in the middle of a call (uuid_media off, seen on 1.11), and for its own limit, up to a second early.
  /** `at` is undefined where it ended while nobody listened. */
  stopped(at: number | undefined, cause: string | undefined): void {
    this.#endedAt = at
    if (!runs(this.#papers.inFlight.state) || cause !== 'success-maxtime' || this.ran(at) >= (this.#limit.seconds - 1) * 1000) return
    this.#papers.warn('the switch ended it before the call was over')
    this.#log.warn('recording_ended_by_switch', this.#papers.ids)
  }

  because(cause: string): void {
    this.#cause = cause
  }

  ended(): Ended {
    return { cause: this.#cause, ranMs: this.#endedAt === undefined ? undefined : this.ran(this.#endedAt), sinceMs: this.ran() }
  }
}
