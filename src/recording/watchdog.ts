// What a recording waits for and does when that does not come: so nothing waits for ever.

import type { Clock } from '../clock.ts'
import { isCode, reasonOf } from '../errors.ts'
import type { Facts, Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Fact } from './lifecycle.ts'
import { EMPTY_FILE, type Limit, type Tape } from './tape.ts'
import { createTimers, type Timers } from './timers.ts'

// Milliseconds of call time.
/** RECORD_STOP follows a stop or the end of a leg at once; past this it is taken as lost. */
const STOP_GRACE = 30_000
const START_GRACE = 10_000
/** FreeSWITCH writes in blocks of 64 KB, which at 8 kHz mono is some 4 seconds. */
const MEDIA_GRACE = 10_000
/** Between two looks at a file that should grow. */
const GROWTH = 30_000
/** Until a next part that did not begin is tried again. */
const NEXT_PART_AGAIN = 60_000
/** Until a write that the store refused is tried again. */
const SAVE_AGAIN = 5_000

export interface Watched {
  readonly ids: Facts
  tell(fact: Fact, told?: { reason: string }): Promise<void>
  reconcile(): Promise<void>
  stopAgain(): Promise<void>
  /** Its file is not to grow now. */
  paused(): boolean
  /** Something to be read in its document. */
  warn(text: string): void
  /** The longest file there may be is full, and nobody asked for the recording to end there. */
  full(): Promise<void>
}

export interface WatchdogPorts {
  clock: Clock
  log: Log
  metrics: Metrics
}

export class Watchdog {
  readonly #log: Log
  readonly #metrics: Metrics
  readonly #timers: Timers
  readonly #limit: Limit
  readonly #tape: Tape
  readonly #watched: Watched
  #over = false

  constructor({ clock, log, metrics }: WatchdogPorts, limit: Limit, tape: Tape, watched: Watched) {
    this.#log = log
    this.#metrics = metrics
    this.#limit = limit
    this.#tape = tape
    this.#watched = watched
    this.#timers = createTimers(clock, (timer, error) => log.error('recording_timer_failed', { ...watched.ids, timer, reason: reasonOf(error) }))
  }

  startSent(): void {
    this.#await('start', START_GRACE, () => this.#startLost())
  }

  /** `ranMs` is how long it has been recording already. */
  runs(ranMs: number): void {
    this.#timers.cancel('start')
    this.#timers.set('limit', this.#limit.seconds * 1000 - ranMs, () => (this.#limit.goesOn ? this.#full() : this.#watched.tell('limit_reached')))
    this.#timers.set('media', MEDIA_GRACE, () => this.#checkMedia())
  }

  ends(): void {
    this.#await('stop', STOP_GRACE, () => this.#stopLost())
  }

  /** Answers in how many milliseconds. */
  saveAgain(run: () => Promise<unknown>): number {
    this.#timers.set('save', SAVE_AGAIN, run)
    return SAVE_AGAIN
  }

  /** It has ended, and only its documents may still wait. */
  over(): void {
    this.#over = true
    this.#timers.clear()
  }

  /** Nothing is waited for any more. */
  close(): void {
    this.#timers.close()
  }

  async #full(): Promise<void> {
    // Where the next part does not begin this one goes on: too long a file is better than a hole.
    this.#timers.set('limit', NEXT_PART_AGAIN, () => this.#full())
    await this.#watched.full()
  }

  // RECORD_START is no proof of audio: with bypassed media it comes and no file does (reference: seen on 1.11).
  async #checkMedia(): Promise<void> {
    const size = await this.#tape.size()
    if (size > EMPTY_FILE) return this.#lookAgain(size, false)
    this.#log.error('recording_without_media', { ...this.#watched.ids, path: this.#tape.path })
    await this.#watched.tell('no_media', { reason: 'no_media' })
  }

  /** Hold stops a file as a full disk does, and neither ends the recording: it goes on when it can, and is told of once each time. */
  async #grew(before: number, stood: boolean): Promise<void> {
    const size = await this.#tape.size()
    const stands = !this.#watched.paused() && size <= before
    if (stands && !stood) {
      const disk = await this.#tape.room().then(() => undefined, reasonOf)
      this.#log.error('recording_not_growing', { ...this.#watched.ids, path: this.#tape.path, disk })
      this.#metrics.count('callrec_recordings_stalled_total', { reason: disk === undefined ? 'media' : 'disk' })
      this.#watched.warn(`its file stopped growing for a while: ${disk ?? 'it was on hold, or its media did not pass the switch'}`)
    }
    this.#lookAgain(size, stands)
  }

  #lookAgain(size: number, stood: boolean): void {
    this.#await('growth', GROWTH, () => this.#grew(size, stood))
  }

  /** It may have ended while the disk or the switch was asked. */
  #await(name: string, ms: number, run: () => Promise<unknown>): void {
    if (!this.#over) this.#timers.set(name, ms, run)
  }

  /** RECORD_START did not come in time. */
  async #startLost(): Promise<void> {
    try {
      await this.#watched.reconcile()
    } catch (error) {
      this.#log.warn('recording_start_unknown', { ...this.#watched.ids, reason: reasonOf(error) })
      this.startSent()
    }
  }

  /** RECORD_STOP did not come in time: stopped again if it still runs, else finished from the file. */
  async #stopLost(): Promise<void> {
    try {
      if (!(await this.#tape.runs())) return this.#watched.tell('switch_lost')
      await this.#watched.stopAgain()
    } catch (error) {
      if (isCode(error, 'leg_gone')) return this.#watched.tell('switch_lost')
      this.#log.warn('recording_end_unknown', { ...this.#watched.ids, reason: reasonOf(error) })
    }
    this.ends()
  }
}
