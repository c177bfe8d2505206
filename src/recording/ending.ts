// What becomes of a recording that ended: its file is read, the verdict written into its documents,
// and the file handed to delivery or destroyed. Every step may be repeated after a failure.

import type { Clock } from '../clock.ts'
import type { Events, RecordingEventName } from '../events.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { destinationOf } from './storage.ts'
import { missingFrom, verdict } from './finish.ts'
import type { Papers } from './papers.ts'
import { verify } from './silence.ts'
import type { Spool } from './spool.ts'
import { toldOf } from './told.ts'

export interface EndingPorts {
  spool: Spool
  clock: Clock
  log: Log
  metrics: Metrics
  events: Pick<Events, 'tell'>
  /** A file became due. */
  deliver: () => void
}

export interface Ended {
  /** Record-Completion-Cause. */
  cause?: string | undefined
  /** Milliseconds between its start and its end; undefined where the end was not heard. */
  ranMs?: number | undefined
  /** Milliseconds since its start, by the clock of this process. */
  sinceMs: number
}

export class Ending {
  readonly #ports: EndingPorts
  readonly #papers: Papers

  constructor(ports: EndingPorts, papers: Papers) {
    this.#ports = ports
    this.#papers = papers
  }

  async finish({ cause, ranMs, sinceMs }: Ended): Promise<void> {
    const { spool, log, metrics, deliver } = this.#ports
    const papers = this.#papers
    const { file, settings, reason } = papers.inFlight
    const found = await spool.finish(file)
    const end = verdict({ file: found, minSeconds: settings.record_min_sec?.value ?? 0, cause, reason, ranMs: ranMs ?? sinceMs })
    if (end.state !== 'stopped') {
      papers.become(end.state, end.reason)
      return this.drop()
    }
    const { durationMs, size } = end.audio
    papers.heard(end.audio)
    const verification = await verify(spool.pieces(file, size), size, papers.recording.segments ?? [])
    if (verification !== undefined) papers.verified(verification)
    // A pause is known to be missing.
    const paused = papers.gaps.reduce((sum, { missing_ms }) => sum + (missing_ms ?? 0), 0)
    const missing = missingFrom(durationMs, ranMs === undefined ? undefined : ranMs - paused)
    if (missing !== undefined) {
      papers.warn(missing)
      log.warn('recording_has_gaps', { ...papers.ids, duration_ms: durationMs, ran_ms: ranMs })
    }
    await papers.saveRecording()
    // Before the queue says that it is done: told twice is better than never.
    await this.#tell('recording.stopped')
    if (verification?.verified === false) {
      log.error('recording_mask_not_silent', { ...papers.ids, reason: verification.verified_reason })
      await this.#tell('recording.unverified')
    }
    // From here on the document is delivery's.
    papers.due(destinationOf(settings.url?.value), size)
    await papers.saveInFlight()
    metrics.count('callrec_recordings_total', { outcome: 'stopped', reason: '' })
    log.info('recording_stopped', { ...papers.ids, duration_ms: durationMs, size_bytes: size })
    deliver()
  }

  /** No file is to be delivered. */
  async drop(): Promise<void> {
    const { spool, log, metrics } = this.#ports
    const papers = this.#papers
    const { state, reason, file } = papers.inFlight
    await papers.saveRecording()
    await this.#tell(state === 'discarded' ? 'recording.discarded' : papers.inFlight.started_at === undefined ? 'recording.missing' : 'recording.failed')
    if (state === 'discarded') await spool.remove(file)
    await papers.removeInFlight()
    metrics.count('callrec_recordings_total', { outcome: state, reason: reason ?? '' })
    log.info(`recording_${state}`, { ...papers.ids, reason })
  }
  #tell(event: RecordingEventName): Promise<void> {
    return this.#ports.events.tell(toldOf(event, this.#papers.recording, this.#ports.clock.now()))
  }
}
