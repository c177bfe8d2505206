// What of one recording is masked or paused: the gap map of its documents, by the clock of this process.

import type { Clock } from '../clock.ts'
import { partOf, hides } from './covers.ts'
import type { Cover } from './lifecycle.ts'
import type { Papers } from './papers.ts'
import { close, closeAll, type Moment, open } from './segments.ts'
import type { Tape } from './tape.ts'

export class Covering {
  readonly #clock: Clock
  readonly #papers: Papers
  readonly #tape: Tape
  /** Of the clock, when audio began. */
  #zero: number | undefined

  constructor(clock: Clock, papers: Papers, tape: Tape) {
    this.#clock = clock
    this.#papers = papers
    this.#tape = tape
  }

  /** Audio began: `elapsed` is this clock's, because the switch's may be another one. */
  began(elapsed: number): void {
    this.#zero = elapsed
  }

  /** Asks the switch; rejects where it does not confirm. Hidden for certain is what lies between its yes and the next question. */
  async send(what: Cover, by: string): Promise<void> {
    const asked = this.#moment()
    await this.#tape.cover(what)
    const { gaps } = this.#papers
    this.#papers.gapsBecome(hides(what) ? open(gaps, partOf(what), this.#moment(), by) : close(gaps, partOf(what), asked))
  }

  /** It is over. */
  end(): void {
    if (this.#papers.gaps.length > 0) this.#papers.gapsBecome(closeAll(this.#papers.gaps, this.#moment()))
  }

  #moment(): Moment {
    const at = this.#clock.now()
    // Begun under another engine: what there is of its clock is the wall's.
    this.#zero ??= this.#clock.elapsed() - Math.max(0, at - (this.#papers.inFlight.started_at ?? at))
    return { ranMs: Math.max(0, this.#clock.elapsed() - this.#zero), at }
  }
}
