// What of one recording is masked or paused: the gap map of its documents, by the clock of its switch.

import type { Clock } from '../clock.ts'
import { hides, partOf } from './covers.ts'
import type { Cover } from './lifecycle.ts'
import type { Papers } from './papers.ts'
import { close, closeAll, type Gap, type Moment, open } from './segments.ts'
import type { Tape } from './tape.ts'

export class Covering {
  readonly #clock: Clock
  readonly #papers: Papers
  readonly #tape: Tape

  constructor(clock: Clock, papers: Papers, tape: Tape) {
    this.#clock = clock
    this.#papers = papers
    this.#tape = tape
  }

  /** Asks the switch; rejects where it does not confirm. */
  async send(what: Cover, by: string): Promise<void> {
    const at = await this.#tape.cover(what)
    if (hides(what)) this.open(partOf(what), at, by)
    else this.close(partOf(what), at)
  }

  /** `at`: unix milliseconds by the switch's clock. */
  open(gap: Gap, at: number, by: string): void {
    this.#papers.gapsBecome(open(this.#papers.gaps, gap, this.#moment(at), by))
  }

  close(gap: Gap, at: number): void {
    this.#papers.gapsBecome(close(this.#papers.gaps, gap, this.#moment(at)))
  }

  /** It is over. */
  end(at: number): void {
    if (this.#papers.gaps.length > 0) this.#papers.gapsBecome(closeAll(this.#papers.gaps, this.#moment(at)))
  }

  #moment(at: number): Moment {
    const ran = at - (this.#papers.inFlight.started_at ?? at)
    return { ranMs: Math.max(0, ran * (this.#clock.speed ?? 1)), at }
  }
}
