// What becomes of a recording that ended, from what lies on the disk. The file is the truth: the
// switch says `success` for a recording it lost and FreeSWITCH's own lengths are off at other rates.

import type { Finished } from './spool.ts'

/** A file that can be played. */
export type Audio = Finished & { durationMs: number }

export type Verdict = { state: 'stopped'; audio: Audio } | { state: 'discarded' | 'failed'; reason: string }

/** Beside FreeSWITCH's own causes. */
export const UNHEARD = 'unheard'

/** A frame of audio is there after 20 ms, also of a call in which nobody speaks. */
const MEDIA_WITHIN = 1000

/** Who was told did not want it: nothing that he said is kept. */
const REFUSALS: ReadonlySet<string> = new Set(['opted_out', 'no_consent'])

interface Ended {
  /** Undefined: there is no file. */
  file: Finished | undefined
  minSeconds: number
  /** Record-Completion-Cause of RECORD_STOP; UNHEARD when it ended while nobody listened. */
  cause?: string | undefined
  /** Milliseconds between its start and its end, as far as they were told. */
  ranMs?: number
  /** Something that was found wrong while it ran, e.g. `no_media`. */
  reason?: string | undefined
}

// FreeSWITCH deletes what is shorter than RECORD_MIN_SEC itself (switch_ivr_async.c, `input-too-short`); the engine
// asks the same again, because with RECORD_APPEND on the channel FreeSWITCH does not.
export function verdict({ file, minSeconds, cause, reason, ranMs = 0 }: Ended): Verdict {
  if (reason !== undefined) return { state: REFUSALS.has(reason) ? 'discarded' : 'failed', reason }
  if (cause === 'input-too-short') return { state: 'discarded', reason: 'too_short' }
  if (file === undefined ? cause === 'empty-file' : file.durationMs === 0) {
    // FreeSWITCH removes an empty file at its end, so this one had no end: the switch died with what it had not yet written.
    if (cause === UNHEARD) return { state: 'failed', reason: 'switch_lost' }
    return ranMs < MEDIA_WITHIN ? { state: 'discarded', reason: 'empty' } : { state: 'failed', reason: 'no_media' }
  }
  if (file === undefined) return { state: 'failed', reason: cause === 'uri-failure' ? 'switch_could_not_write' : 'file_missing' }
  if (file.durationMs === undefined) return { state: 'failed', reason: 'not_audio' }
  if (file.durationMs < minSeconds * 1000) return { state: 'discarded', reason: 'too_short' }
  return { state: 'stopped', audio: { ...file, durationMs: file.durationMs } }
}

/** Milliseconds a file may lack without a word: its start and end take their time on a busy switch. */
const GAP = 2_000

/** In words, what a file lacks of the time it was recorded: hold, and media that takes another way in mid-call, leave no other trace (both seen on 1.11). */
export function missingFrom(durationMs: number, ranMs: number | undefined): string | undefined {
  if (ranMs === undefined || ranMs - durationMs <= GAP) return undefined
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
  return `${seconds(ranMs - durationMs)} of ${seconds(ranMs)} are not in the file: it was on hold, its media did not pass the switch, or the disk of the spool was full`
}
