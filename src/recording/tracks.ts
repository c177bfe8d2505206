// A recording with a channel for each party: what each of them says is a file of its own until the end, and then one file
// has them all. Its own leg is the first channel; who joins later has the next one.

import type { Clock } from '../clock.ts'
import { isCode, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { hides } from './covers.ts'
import type { Track } from './document.ts'
import type { Cover } from './lifecycle.ts'
import { runs } from './lifecycle.ts'
import type { Papers } from './papers.ts'
import { isGap } from './segments.ts'
import { type Limit, Tape, type TapePorts } from './tape.ts'

export interface TracksPorts extends TapePorts {
  clock: Clock
  log: Log
}

export interface Tracked {
  /** Milliseconds of the recording's audio at a moment of the switch's clock. */
  offset(at: number): number
  save(): Promise<void>
}

export class Tracks {
  readonly #ports: TracksPorts
  readonly #papers: Papers
  readonly #limit: Limit
  readonly #one: Tracked

  constructor(ports: TracksPorts, papers: Papers, limit: Limit, one: Tracked) {
    this.#ports = ports
    this.#papers = papers
    this.#limit = limit
    this.#one = one
  }

  /** No error for a leg that has its channel, or where there is none for each. One that cannot be recorded is told in the document. */
  async join(leg: string): Promise<void> {
    const { _id, node, leg: own, channels, state } = this.#papers.inFlight
    if (channels === undefined || leg === own || !runs(state) || this.#all.some(one => one.leg === leg)) return
    const file = `${node}/tracks/${_id}-${this.#all.length + 2}.wav`
    const entered = this.#one.offset(this.#ports.clock.now())
    this.#papers.tracked([...this.#all, { leg, file, from_ms: entered }])
    await this.#one.save()
    try {
      const tape = this.#tape({ leg, file })
      const [, at] = await Promise.all([tape.start(), this.#ports.node(node).clock()])
      const from_ms = this.#one.offset(at)
      this.#papers.tracked(this.#all.map(one => (one.leg === leg ? { ...one, from_ms } : one)))
      for (const what of ['mask', 'pause'] as const) if (isGap(this.#papers.gaps, what)) await tape.cover(what)
      await this.#one.save()
    } catch (error) {
      this.#ports.log.error('recording_track_refused', { ...this.#papers.ids, track: leg, reason: reasonOf(error) })
      this.#papers.warn(`leg ${leg} could not be recorded on a channel of its own: ${reasonOf(error)}`)
      // It may have begun all the same, and be uncovered.
      await this.#tape({ leg, file })
        .stop()
        .catch(() => undefined)
    }
  }

  /** Rejects where one does not confirm what hides something. */
  async cover(what: Cover): Promise<void> {
    await Promise.all(
      this.#all.map(async one => {
        try {
          await this.#tape(one).cover(what)
        } catch (error) {
          // With its leg it has ended.
          if (isCode(error, 'leg_gone')) return
          if (hides(what)) throw error
          this.#ports.log.warn('recording_track_stays_covered', { ...this.#papers.ids, track: one.leg, reason: reasonOf(error) })
        }
      }),
    )
  }

  /** No error for one that has ended by itself. */
  async stop(): Promise<void> {
    await Promise.all(
      this.#all.map(one =>
        this.#tape(one)
          .stop()
          .catch((error: unknown) => this.#ports.log.debug('recording_track_stopped', { ...this.#papers.ids, track: one.leg, reason: reasonOf(error) })),
      ),
    )
  }

  get #all(): readonly Track[] {
    return this.#papers.inFlight.tracks ?? []
  }

  #tape({ leg, file }: Pick<Track, 'leg' | 'file'>): Tape {
    const { record_min_sec: _, ...settings } = this.#papers.inFlight.settings
    return new Tape(this.#ports, { ...this.#papers.inFlight, leg, file, settings, track: true }, this.#limit)
  }
}
