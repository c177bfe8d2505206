// The two documents of one recording as this process holds them, and how they get into the store.

import type { Clock } from '../clock.ts'
import { AppError } from '../errors.ts'
import type { Facts } from '../log.ts'
import { toGregorian } from '../store/modb.ts'
import type { Doc, Store } from '../store/store.ts'
import type { Consent } from './announce.ts'
import { CONTENT_TYPES, type Delivery, IN_FLIGHT, type InFlight, audioFields, type Origin, type Recording, recordingDbOf, type Track } from './document.ts'
import type { Audio } from './finish.ts'
import type { State } from './lifecycle.ts'
import { putPaper } from './put-paper.ts'
import { type Gaps, shownGaps } from './segments.ts'
import type { Format } from './settings.ts'
import type { Verification } from './silence.ts'

export class Papers {
  readonly #store: Store
  readonly #clock: Clock
  #inFlight: InFlight
  #recording: Recording
  #left = false

  constructor(store: Store, clock: Clock, inFlight: InFlight, recording: Recording) {
    this.#store = store
    this.#clock = clock
    this.#inFlight = inFlight
    this.#recording = recording
  }

  get inFlight(): Readonly<InFlight> {
    return this.#inFlight
  }

  get recording(): Readonly<Recording> {
    return this.#recording
  }

  /** What a line of the log says of it. */
  get ids(): Facts {
    const { _id, account_id, leg, node } = this.#inFlight
    const { cdr_id, sip_call_id } = this.#recording
    // Behind the month of the detail record stands the call.
    return { account_id, call_id: cdr_id.slice('YYYYMM-'.length), sip_call_id, recording_id: _id, leg, node }
  }

  become(state: State, reason?: string): void {
    const change = { state, ...(reason === undefined ? {} : { reason }) }
    this.#inFlight = { ...this.#inFlight, ...change }
    this.#recording = { ...this.#recording, ...change }
    const { transcription } = this.#recording
    if (transcription !== undefined && (state === 'failed' || state === 'discarded'))
      this.#recording = { ...this.#recording, transcription: { ...transcription, state: 'failed', reason: `there is no file: ${reason ?? state}` } }
  }

  /** `at` is unix milliseconds. */
  started(at: number): void {
    this.#inFlight = { ...this.#inFlight, started_at: at }
    this.#recording = { ...this.#recording, start: toGregorian(at) }
  }

  askedBy(origins: Origin[]): void {
    this.#inFlight = { ...this.#inFlight, origins }
    this.#recording = { ...this.#recording, origins: origins.map(one => one.origin) }
  }

  goesOn(): void {
    this.#inFlight = { ...this.#inFlight, goes_on: true }
  }

  get gaps(): Gaps {
    return this.#inFlight.gaps ?? []
  }

  gapsBecome(gaps: Gaps): void {
    this.#inFlight = { ...this.#inFlight, gaps }
    this.#recording = { ...this.#recording, segments: shownGaps(gaps) }
  }

  consentBecomes(consent: Consent): void {
    this.#inFlight = { ...this.#inFlight, consent }
    this.#recording = { ...this.#recording, consent }
  }

  verified(found: Verification): void {
    this.#recording = { ...this.#recording, ...found }
  }

  warn(text: string): void {
    this.#recording = { ...this.#recording, warnings: [...(this.#recording.warnings ?? []), text] }
  }

  heard(audio: Audio): void {
    this.#recording = { ...this.#recording, ...audioFields(audio) }
  }

  due(destination: string, size: number): void {
    const delivery: Delivery = { state: 'due', destination, attempts: 0, next_at: this.#clock.now() }
    this.#inFlight = { ...this.#inFlight, size, delivery }
  }

  /** What it became lies there. */
  encoded(file: string): void {
    const { encode: _, ...inFlight } = this.#inFlight
    this.#inFlight = { ...inFlight, file }
  }

  tracked(tracks: readonly Track[]): void {
    this.#inFlight = { ...this.#inFlight, tracks }
  }

  /** Whose voice is on which channel; the last one may have several. */
  woven(channels: number): void {
    const labels = ['caller', ...(this.#inFlight.tracks ?? []).map(({ leg }) => leg)]
    this.#recording = { ...this.#recording, channels, channel_labels: labels }
  }

  /** It is not what was wanted, for this reason. */
  keptAs(format: Format, why: string): void {
    const { encode: _, ...inFlight } = this.#inFlight
    this.#inFlight = inFlight
    const name = this.#recording.name.replace(/\w+$/, format)
    this.#recording = { ...this.#recording, name, media_type: format, content_type: CONTENT_TYPES[format] }
    this.warn(why)
  }

  /** They are another engine's to write. */
  leave(): void {
    this.#left = true
  }

  async saveInFlight(): Promise<void> {
    const _rev = await this.#put(IN_FLIGHT, this.#inFlight)
    this.#inFlight = { ...this.#inFlight, _rev }
  }

  async saveRecording(): Promise<void> {
    this.#recording = { ...this.#recording, pvt_modified: toGregorian(this.#clock.now()) }
    const _rev = await this.#put(recordingDbOf(this.#inFlight), this.#recording)
    this.#recording = { ...this.#recording, _rev }
  }

  async save(): Promise<void> {
    await Promise.all([this.saveInFlight(), this.saveRecording()])
  }

  removeInFlight(): Promise<void> {
    return this.#store.purge(IN_FLIGHT, this.#inFlight._id)
  }

  async #put(db: string, doc: Doc): Promise<string> {
    if (this.#left) throw new AppError('switch_down', `recording ${doc._id} is another engine's`)
    return putPaper(this.#store, db, doc)
  }
}
