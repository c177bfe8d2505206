// What of a session nobody is to hear now, the state that shows, and the map of its gaps. Pause and mask of a call hold before its first
// server has it, too.

import type { Clock } from '../clock.ts'
import { runs, type State } from '../recording/lifecycle.ts'
import { close, closeAll, type Moment, open } from '../recording/segments.ts'
import type { SiprecPapers } from './papers.ts'

/** `untold`: somebody joined, and is being told. */
export type Hidden = 'mask' | 'pause' | 'untold'

/** What its call is to be covered with now, and by whom. */
export type Wishes = Partial<Record<Hidden, string>>

const gapOf = (what: Hidden): 'mask' | 'pause' => (what === 'mask' ? 'mask' : 'pause')

export class Hiding {
  readonly #clock: Clock
  readonly #papers: SiprecPapers
  readonly #wishes: () => Wishes
  readonly #hidden = new Map<Hidden, string>()
  #startedAt: number | undefined
  #isHeld = false

  /** `clock`: call time. */
  constructor(clock: Clock, papers: SiprecPapers, wishes: () => Wishes) {
    this.#clock = clock
    this.#papers = papers
    this.#wishes = wishes
  }

  /** Some server had it. */
  get hasStarted(): boolean {
    return this.#startedAt !== undefined
  }

  get ranMs(): number {
    return this.#moment().ranMs
  }

  /** Until it runs, what the call is covered with holds from one moment to the next. */
  get isHidden(): boolean {
    return this.#hidden.size > 0 || (this.#papers.recording.state === 'starting' && Object.keys(this.#wishes()).length > 0)
  }

  get isHeld(): boolean {
    return this.#isHeld
  }

  has(what: Hidden): boolean {
    return this.#hidden.has(what)
  }

  /** The first server has it. */
  start(): void {
    for (const [what, by] of Object.entries(this.#wishes())) this.#hidden.set(what as Hidden, by)
    this.#startedAt = this.#clock.elapsed()
    this.#papers.started()
    for (const [what, by] of this.#hidden) this.#papers.gapsBecome(open(this.#papers.gaps, gapOf(what), this.#moment(), by))
    this.#papers.become(this.#shown())
  }

  /** How that changes what is heard. */
  set(what: Hidden, on: boolean, by: string): 'hide' | 'show' | undefined {
    const before = this.#hidden.size > 0
    if (on) this.#hidden.set(what, by)
    else this.#hidden.delete(what)
    const now = this.#hidden.size > 0
    return now === before ? undefined : now ? 'hide' : 'show'
  }

  /** That is heard, or not, from this moment on. */
  mark(what: Hidden, by: string): void {
    // It begins with that, once it does.
    if (!this.hasStarted) return
    const gap = gapOf(what)
    const isHidden = gap === 'mask' ? this.#hidden.has('mask') : this.#isPaused
    this.#papers.gapsBecome(isHidden ? open(this.#papers.gaps, gap, this.#moment(), by) : close(this.#papers.gaps, gap, this.#moment()))
    if (runs(this.#papers.recording.state)) this.#papers.become(this.#shown())
  }

  hold(on: boolean): void {
    this.#isHeld = on
    this.#papers.gapsBecome(on ? open(this.#papers.gaps, 'hold', this.#moment(), 'hold') : close(this.#papers.gaps, 'hold', this.#moment()))
  }

  end(): void {
    this.#papers.gapsBecome(closeAll(this.#papers.gaps, this.#moment()))
  }

  get #isPaused(): boolean {
    return this.#hidden.has('pause') || this.#hidden.has('untold')
  }

  #shown(): State {
    if (this.#hidden.size === 0) return 'recording'
    return this.#isPaused ? (this.#hidden.has('mask') ? 'masked_paused' : 'paused') : 'masked'
  }

  #moment(): Moment {
    const ranMs = this.#startedAt === undefined ? 0 : Math.max(0, Math.round(this.#clock.elapsed() - this.#startedAt))
    return { ranMs, at: this.#clock.now() }
  }
}
