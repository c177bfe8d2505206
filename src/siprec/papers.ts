// The two documents of one SIPREC recording as this process holds them, and how they get into the store: one write after the other, and
// what could not be written now is written with what holds later.

import type { Clock } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import type { Facts, Log } from '../log.ts'
import type { Consent } from '../recording/announce.ts'
import { IN_FLIGHT, recordingDbOf } from '../recording/document.ts'
import type { State } from '../recording/lifecycle.ts'
import { putPaper } from '../recording/put-paper.ts'
import { type Gaps, shownGaps } from '../recording/segments.ts'
import { toGregorian } from '../store/modb.ts'
import type { Store } from '../store/store.ts'
import type { ServerEntry, SiprecInFlight, SiprecRecording } from './document.ts'

export interface PapersPorts {
  store: Store
  /** Call time. */
  clock: Clock
  log: Log
  /** Aborted when the engine closes. */
  signal: AbortSignal
}

/** Milliseconds of call time. */
const SAVE_AGAIN = 5000

export class SiprecPapers {
  readonly #ports: PapersPorts
  readonly #entries: () => ServerEntry[]
  #inFlight: SiprecInFlight
  #recording: SiprecRecording
  #saving: Promise<unknown> = Promise.resolve()
  #left = false

  /** `entries`: how its servers stand, for each time it is written. */
  constructor(ports: PapersPorts, first: { inFlight: SiprecInFlight; recording: SiprecRecording }, entries: () => ServerEntry[]) {
    this.#ports = ports
    this.#inFlight = first.inFlight
    this.#recording = first.recording
    this.#entries = entries
  }

  get inFlight(): Readonly<SiprecInFlight> {
    return this.#inFlight
  }

  get recording(): Readonly<SiprecRecording> {
    return this.#recording
  }

  /** What a line of the log says of it. */
  get ids(): Facts {
    const { account_id, _id, leg, siprec_node } = this.#inFlight
    return { account_id, recording_id: _id, leg, node: siprec_node, kind: 'siprec' }
  }

  /** It has ended, or is another engine's. */
  get isOver(): boolean {
    return this.#left || ['stopping', 'stopped', 'failed', 'discarded'].includes(this.#recording.state)
  }

  become(state: State): void {
    this.#recording = { ...this.#recording, state }
  }

  noted(reason: string): void {
    this.#recording = { ...this.#recording, reason }
  }

  consentBecomes(consent: Consent): void {
    this.#recording = { ...this.#recording, consent }
  }

  started(): void {
    const at = this.#ports.clock.now()
    this.#inFlight = { ...this.#inFlight, started_at: at }
    this.#recording = { ...this.#recording, start: toGregorian(at) }
  }

  /** Policy wants it as well, at these servers. */
  joined(origin: string, servers: readonly string[]): void {
    this.#inFlight = { ...this.#inFlight, servers, by_policy: true }
    this.#recording = { ...this.#recording, origins: [...new Set([...this.#recording.origins, origin])] }
  }

  get gaps(): Gaps {
    return this.#inFlight.gaps ?? []
  }

  gapsBecome(gaps: Gaps): void {
    if (gaps.length === 0) return
    this.#inFlight = { ...this.#inFlight, gaps }
    this.#recording = { ...this.#recording, segments: shownGaps(gaps) }
  }

  ended(state: State, reason: string | undefined, ranMs: number): void {
    this.#recording = { ...this.#recording, state, ...(reason === undefined ? {} : { reason }), duration: Math.floor(ranMs / 1000), duration_ms: ranMs }
  }

  /** They are another engine's to write. */
  leave(): void {
    this.#left = true
  }

  /** What was to be written is, or could not be. */
  get saved(): Promise<unknown> {
    return this.#saving
  }

  /** Both, before anything is asked of anybody. Throws what the store throws. */
  async write(): Promise<void> {
    await this.#writeInFlight()
    await this.#saveNow()
  }

  async saveInFlight(): Promise<void> {
    await this.#writeInFlight().catch((error: unknown) => this.#unsaved(error))
  }

  /** Never rejects. */
  save(): Promise<void> {
    const done = this.#saving.then(() => this.#saveNow())
    this.#saving = done.catch(() => {})
    return done.catch((error: unknown) => this.#unsaved(error))
  }

  /** What a successor would go on with is only forgotten when the end is written down. */
  async saveEnd(): Promise<void> {
    const { store, clock, signal } = this.#ports
    try {
      await (this.#saving = this.#saving.then(() => this.#saveNow()))
      await store.purge(IN_FLIGHT, this.#inFlight._id)
    } catch (error) {
      this.#unsaved(error)
      this.#saving = Promise.resolve()
      if (!signal.aborted) clock.after(SAVE_AGAIN, () => void (signal.aborted ? undefined : this.saveEnd()))
    }
  }

  #unsaved(error: unknown): void {
    this.#ports.log.warn('recording_state_not_saved', { ...this.ids, reason: reasonOf(error) })
  }

  async #writeInFlight(): Promise<void> {
    const _rev = await putPaper(this.#ports.store, IN_FLIGHT, this.#inFlight)
    this.#inFlight = { ...this.#inFlight, _rev }
  }

  async #saveNow(): Promise<void> {
    if (this.#left) return
    this.#recording = { ...this.#recording, servers: this.#entries(), pvt_modified: toGregorian(this.#ports.clock.now()) }
    const _rev = await putPaper(this.#ports.store, recordingDbOf(this.#inFlight), this.#recording)
    // Meanwhile it may have changed.
    this.#recording = { ...this.#recording, _rev }
  }
}
