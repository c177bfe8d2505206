// What of one recording is masked, paused or on hold: asked of the switch, and kept as the gap map of its documents by
// the clock of its switch. Rather no recording than one of what was to be hidden.

import type { Clock } from '../clock.ts'
import { AppError, isCode, reasonOf } from '../errors.ts'
import type { RecordingEventName } from '../events.ts'
import type { Log } from '../log.ts'
import { hides, partOf, type Wish } from './covers.ts'
import { type Cover, command, runs, type Step, step } from './lifecycle.ts'
import type { Papers } from './papers.ts'
import { close, closeAll, type Gap, isGap, type Moment, offsetAt, open } from './segments.ts'
import type { Tape } from './tape.ts'

export interface CoveringPorts {
  clock: Clock
  log: Log
}

/** The recording that is covered. */
export interface Coverable {
  /** Does what the table says; its effects ask `send`. */
  go(next: Step, by: string): Promise<void>
  /** What its call is to be covered with now. */
  wish(): Wish
  told(event: RecordingEventName): void
}

const TOLD: Readonly<Record<Cover, RecordingEventName>> = {
  mask: 'recording.masked',
  unmask: 'recording.unmasked',
  pause: 'recording.paused',
  resume: 'recording.resumed',
}

/** Milliseconds of audio: FreeSWITCH holds the first 520 back, and as much again is left to one that is busy. */
const WRITTEN_AFTER = 1_000

export class Covering {
  readonly #clock: Clock
  readonly #log: Log
  readonly #papers: Papers
  readonly #tape: Pick<Tape, 'cover' | 'now'>
  readonly #one: Coverable

  constructor({ clock, log }: CoveringPorts, papers: Papers, tape: Pick<Tape, 'cover' | 'now'>, one: Coverable) {
    this.#clock = clock
    this.#log = log
    this.#papers = papers
    this.#tape = tape
    this.#one = one
  }

  /** See Live.cover. */
  async ask(what: Cover, by: string): Promise<void> {
    const before = this.#papers.inFlight.state
    const next = command(before, what)
    try {
      await this.#one.go(next, by)
    } catch (error) {
      this.#papers.become(before)
      // Then nothing is recorded any more.
      if (isCode(error, 'leg_gone')) return
      if (!hides(what) || isCode(error, 'switch_down')) throw error
      return this.#uncovered(what, error)
    }
    if (next.state !== before) this.#one.told(TOLD[what])
  }

  async #uncovered(what: Cover, error: unknown): Promise<void> {
    this.#log.error('recording_not_covered', { ...this.#papers.ids, cover: what, reason: reasonOf(error) })
    this.#papers.warn(`${what} could not be confirmed at the switch, so it was ended there`)
    const next = step(this.#papers.inFlight.state, 'unconfirmed')
    if (next !== undefined) await this.#one.go(next, '')
  }

  async asWished(): Promise<void> {
    const { mask, pause } = this.#one.wish()
    if (mask !== undefined && runs(this.#papers.inFlight.state)) await this.ask('mask', mask.by)
    if (pause !== undefined && runs(this.#papers.inFlight.state)) await this.ask('pause', pause.by)
  }

  /** Asks the switch; rejects where it does not confirm. */
  async send(what: Cover, by: string): Promise<void> {
    if (what === 'unmask') await this.#written()
    const at = await this.#tape.cover(what)
    if (hides(what)) this.#open(partOf(what), at, by)
    else this.#close(partOf(what), at)
  }

  /**
   * FreeSWITCH masks audio when it writes it, and writes the first half second together (switch_ivr_async.c, record_callback): what is unmasked
   * before would never have been masked.
   */
  async #written(): Promise<void> {
    const left = WRITTEN_AFTER - this.offset(await this.#tape.now())
    if (left <= 0) return
    // Then nothing is written, however long one waits.
    if (isGap(this.#papers.gaps, 'pause') || isGap(this.#papers.gaps, 'hold'))
      throw new AppError('switch_refused', 'what was masked in the first second of a recording is not written before that goes on: resume it first')
    await new Promise<void>(resolve => void this.#clock.after(left, resolve))
  }

  /** Its leg has no media while it is on hold, so the time is not in the file. `at`: unix milliseconds by the switch's clock. */
  held(on: boolean, at: number): void {
    if (on) this.#open('hold', at, 'hold')
    else this.#close('hold', at)
  }

  /** Where in the audio a moment is: unix milliseconds by the switch's clock. */
  offset(at: number): number {
    return offsetAt(this.#papers.gaps, this.#moment(at).ranMs)
  }

  /** It is over. */
  end(at: number): void {
    if (this.#papers.gaps.length > 0) this.#papers.gapsBecome(closeAll(this.#papers.gaps, this.#moment(at)))
  }

  #open(gap: Gap, at: number, by: string): void {
    this.#papers.gapsBecome(open(this.#papers.gaps, gap, this.#moment(at), by))
  }

  #close(gap: Gap, at: number): void {
    this.#papers.gapsBecome(close(this.#papers.gaps, gap, this.#moment(at)))
  }

  #moment(at: number): Moment {
    const ran = at - (this.#papers.inFlight.started_at ?? at)
    return { ranMs: Math.max(0, ran * (this.#clock.speed ?? 1)), at }
  }
}
