// What becomes of a recording that ended: its file is read, the verdict written into its documents,
// and the file handed to delivery or destroyed. Every step may be repeated after a failure.

import type { Clock } from '../clock.ts'
import type { Events, RecordingEventName } from '../events.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Encoder } from './audio/encoder.ts'
import { reasonOf } from '../errors.ts'
import { destinationOf } from './storage.ts'
import { type Audio, missingFrom, verdict } from './finish.ts'
import type { Papers } from './papers.ts'
import { earlier } from './segments.ts'
import { verify } from './silence.ts'
import type { Spool } from './spool.ts'
import { leastOf } from './tape.ts'
import { toldOf } from './told.ts'
import type { Tracks } from './tracks.ts'
import { weave } from './audio/weave.ts'

export interface EndingPorts {
  spool: Spool
  clock: Clock
  log: Log
  metrics: Metrics
  events: Pick<Events, 'tell'>
  encoder: Encoder
  /** A file became due. */
  deliver: () => void
}

/** Milliseconds: codecs begin and end with whole frames. */
const ENCODED_WITHIN = 500

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
  readonly #tracks: Pick<Tracks, 'stop'>

  constructor(ports: EndingPorts, papers: Papers, tracks: Pick<Tracks, 'stop'>) {
    this.#ports = ports
    this.#papers = papers
    this.#tracks = tracks
  }

  async finish({ cause, ranMs, sinceMs }: Ended): Promise<void> {
    const { spool, log, metrics, deliver } = this.#ports
    const papers = this.#papers
    const { file, settings, reason } = papers.inFlight
    const minSeconds = leastOf(papers.inFlight)
    await this.#tracks.stop()
    const found = await spool.finish(file)
    const end = verdict({ file: found, minSeconds, cause, reason, ranMs: ranMs ?? sinceMs })
    if (end.state !== 'stopped') {
      papers.become(end.state, end.reason)
      return this.drop()
    }
    const { durationMs } = end.audio
    const whole = await this.#woven(end.audio)
    // A pause is known to be missing.
    const paused = papers.gaps.reduce((sum, { missing_ms }) => sum + (missing_ms ?? 0), 0)
    const lacksMs = ranMs === undefined ? 0 : ranMs - paused - durationMs
    const heard = await verify({ pieces: () => spool.pieces(file, whole.size), size: whole.size, segments: papers.recording.segments ?? [], lacksMs })
    const audio = await this.#encoded(whole)
    const { size } = audio
    papers.heard(audio)
    if (heard !== undefined) papers.verified(heard.verification)
    if (heard !== undefined && heard.lateMs > 0) papers.gapsBecome(earlier(papers.gaps, heard.lateMs))
    const missing = missingFrom(durationMs, ranMs === undefined ? undefined : ranMs - paused)
    if (missing !== undefined) {
      papers.warn(missing)
      log.warn('recording_has_gaps', { ...papers.ids, duration_ms: durationMs, ran_ms: ranMs })
    }
    await papers.saveRecording()
    // Before the queue says that it is done: told twice is better than never.
    await this.#tell('recording.stopped')
    if (heard?.verification.verified === false) {
      log.error('recording_mask_not_silent', { ...papers.ids, reason: heard.verification.verified_reason })
      await this.#tell('recording.unverified')
    }
    // From here on the document is delivery's.
    papers.due(destinationOf(settings.url?.value), size)
    await papers.saveInFlight()
    if (papers.inFlight.file !== file) await spool.remove(file)
    await this.#removeTracks()
    metrics.count('callrec_recordings_total', { outcome: 'stopped', reason: '' })
    log.info('recording_stopped', { ...papers.ids, duration_ms: durationMs, size_bytes: size })
    deliver()
  }

  /** With a channel for each party. */
  async #woven(audio: Audio): Promise<Audio> {
    const { spool, log } = this.#ports
    const papers = this.#papers
    const { file, channels, tracks = [] } = papers.inFlight
    if (channels === undefined) return audio
    const silent = (papers.recording.segments ?? []).filter(({ kind }) => kind === 'mask').map(({ from_ms, to_ms = audio.durationMs }) => ({ from_ms, to_ms }))
    try {
      for (const track of tracks) await spool.finish(track.file)
      const others = tracks.map(track => ({ path: spool.here(track.file), from_ms: track.from_ms }))
      await weave(spool.here(file), others, channels, silent)
      papers.woven(channels)
      return { ...audio, ...(await spool.finish(file)), durationMs: audio.durationMs }
    } catch (error) {
      log.error('recording_not_woven', { ...papers.ids, channels, reason: reasonOf(error) })
      papers.warn(`its channels are not in one file, which has the caller alone: ${reasonOf(error)}`)
      return audio
    }
  }

  async #removeTracks(): Promise<void> {
    for (const { file } of this.#papers.inFlight.tracks ?? []) await this.#ports.spool.remove(file)
  }

  /** As its format wants it; what cannot be encoded stays what it is. */
  async #encoded(audio: Audio): Promise<Audio> {
    const { spool, encoder, log } = this.#ports
    const papers = this.#papers
    const { file, encode } = papers.inFlight
    if (encode === undefined) return audio
    const made = file.replace(/wav$/, encode)
    try {
      await encoder.encode(spool.here(file), spool.here(made), encode, audio.channels ?? 1)
      const found = await spool.finish(made)
      if (found?.durationMs === undefined || Math.abs(found.durationMs - audio.durationMs) > ENCODED_WITHIN)
        throw new Error(`what ffmpeg made plays ${found?.durationMs ?? 0} ms of ${audio.durationMs}`)
      papers.encoded(made)
      return { ...found, durationMs: audio.durationMs }
    } catch (error) {
      log.error('recording_not_encoded', { ...papers.ids, format: encode, reason: reasonOf(error) })
      await spool.remove(made)
      papers.keptAs('wav', `it could not be made ${encode}, and stays wav: ${reasonOf(error)}`)
      return audio
    }
  }

  /** No file is to be delivered. */
  async drop(): Promise<void> {
    const { spool, log, metrics } = this.#ports
    const papers = this.#papers
    const { state, reason, file } = papers.inFlight
    await papers.saveRecording()
    await this.#tell(state === 'discarded' ? 'recording.discarded' : papers.inFlight.started_at === undefined ? 'recording.missing' : 'recording.failed')
    if (state === 'discarded') {
      await spool.remove(file)
      await this.#removeTracks()
    }
    await papers.removeInFlight()
    metrics.count('callrec_recordings_total', { outcome: state, reason: reason ?? '' })
    log.info(`recording_${state}`, { ...papers.ids, reason })
  }
  #tell(event: RecordingEventName): Promise<void> {
    return this.#ports.events.tell(toldOf(event, this.#papers.recording, this.#ports.clock.now()))
  }
}
