// One uuid_record of one leg, left what it says, right what it hears. It counts frames of 20 ms since its start; at every
// change of who is heard the time until then is written down first (`settle`). Measured rules: reference freeswitch.md §3.

import { rmSync } from 'node:fs'

import { reasonOf } from '../errors.ts'
import type { Header } from './event.ts'
import type { Exchange } from './exchange.ts'
import { isUp, type Leg, type Recording, setVariable, variable } from './leg.ts'
import { type Layout, render, SILENCE, type Source } from './media.ts'
import { saidIn } from './room.ts'
import { createWav, type WavFile } from './wav.ts'
import { isTrue } from './words.ts'

export const FRAME = 20
/**
 * Frames FreeSWITCH holds back at the start; a recording that never gets there keeps only its first one. What is held back is masked as it is
 * written, and not as it is heard (switch_ivr_async.c, record_callback).
 */
const PRE_BUFFER = 25
/** Hz of every leg here; lengths are told in samples of this rate whatever the file has. */
export const LEG_RATE = 8000
/** Other rates are ignored without a word. */
export const RATES: ReadonlySet<number> = new Set([8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000])

export const samplesOf = (frames: number, rate: number): number => Math.round((frames * rate * FRAME) / 1000)

/** `variables` are those of this recording alone; they override the leg's. Throws when the file cannot be made. */
export function startRecording(exchange: Exchange, leg: Leg, path: string, limit: number, variables: ReadonlyMap<string, string>): Recording {
  const { timeline } = exchange
  const setting = (name: string): string | undefined => variables.get(name) ?? variable(leg, name)
  const wanted = Number(setting('record_sample_rate'))
  const rate = RATES.has(wanted) ? wanted : LEG_RATE
  const layout: Layout = isTrue(setting('RECORD_STEREO')) ? 'stereo' : 'mono'
  const swapped = isTrue(setting('RECORD_STEREO_SWAP'))
  const [readOnly, writeOnly] = [isTrue(setting('RECORD_READ_ONLY')), isTrue(setting('RECORD_WRITE_ONLY'))]
  const minSeconds = Number(setting('RECORD_MIN_SEC')) || 0
  const recordingHeaders: Header[] = [['Record-File-Path', path], ...[...variables].map(([name, value]): Header => [`Recording-Variable-${name}`, value])]

  const file: WavFile = createWav(path, rate, layout === 'stereo' ? 2 : 1)
  const start = timeline.now()
  /** Only what stood in the way before it came is in the file. */
  const before = leg.displaced
  let passed = 0
  let frames = 0
  let masked = false
  let paused = false
  let speech = false
  let failed = false
  let held: Buffer[] | undefined = []
  const firstFrame = samplesOf(1, rate) * (layout === 'stereo' ? 4 : 2)
  let startsMasked = false

  // What fails while it runs is told by RECORD_STOP alone, as the real one does with a full disk.
  function attempt<T>(act: () => T): T | undefined {
    try {
      return act()
    } catch (error) {
      failed = true
      exchange.log.error('simulator_write_failed', { leg: leg.uuid, path, reason: reasonOf(error) })
      return undefined
    }
  }

  function write(pieces: Buffer[]): void {
    if (!failed && pieces.length > 0) attempt(() => file.write(pieces))
  }

  function flush(): void {
    const until = Math.floor((timeline.now() - start + 1e-3) / FRAME)
    const count = until - passed
    const from = start + passed * FRAME
    passed = until
    if (paused || count <= 0) return
    if (frames === 0) startsMasked = masked
    const hidden = masked && held === undefined
    const says = hidden || writeOnly ? SILENCE : leg.says
    const hears = hidden || readOnly ? SILENCE : leg.displaced.filter(one => before.includes(one)).reduce((all, { source }) => over(all, source), heard(leg))
    if (!masked && audible(leg.says)) speech = true
    frames += count
    const samples = samplesOf(frames, rate) - samplesOf(frames - count, rate)
    const pieces = swapped ? render(hears, says, layout, rate, from, samples) : render(says, hears, layout, rate, from, samples)
    if (!held) write(pieces)
    else {
      held.push(...pieces)
      if (frames >= PRE_BUFFER) {
        const all = Buffer.concat(held)
        if (masked) all.fill(0, firstFrame)
        if (startsMasked) all.fill(0, 0, firstFrame)
        write([all])
        held = undefined
      }
    }
  }

  function stop(): void {
    flush()
    cancelLimit?.()
    leg.recordings.splice(leg.recordings.indexOf(recording), 1)
    if (held && frames > 0) {
      frames = 1
      const first = Buffer.concat(held).subarray(0, firstFrame)
      write([startsMasked ? Buffer.alloc(first.length) : first])
    }
    const size = attempt(() => file.close()) ?? 0
    const milliseconds = frames * FRAME
    setVariable(leg, 'record_file_size', String(size))
    const discarded = frames === 0 || milliseconds < minSeconds * 1000
    if (discarded) {
      setVariable(leg, 'RECORD_DISCARDED', 'true')
      rmSync(path, { force: true })
    }
    setVariable(leg, 'record_samples', String((milliseconds * LEG_RATE) / 1000))
    setVariable(leg, 'record_seconds', String(Math.floor(milliseconds / 1000)))
    setVariable(leg, 'record_ms', String(milliseconds))
    const cause = completionCause()
    setVariable(leg, 'record_completion_cause', cause)
    exchange.fireLeg('RECORD_STOP', leg, [...recordingHeaders, ['Record-Completion-Cause', cause]])
    exchange.fireLeg('MEDIA_BUG_STOP', leg, BUG(path))
  }

  function completionCause(): string {
    if (failed) return 'uri-failure'
    if (frames === 0) return 'empty-file'
    if (frames * FRAME < minSeconds * 1000) return 'input-too-short'
    if (isUp(leg)) return 'success-maxtime'
    return speech ? 'success-silence' : 'no-input-timeout'
  }

  const recording: Recording = {
    path,
    flush,
    mask(on) {
      flush()
      masked = on
    },
    pause(on) {
      flush()
      paused = on
    },
    stop,
  }
  leg.recordings.push(recording)
  exchange.fireLeg('RECORD_START', leg, recordingHeaders)
  exchange.fireLeg('MEDIA_BUG_START', leg, BUG(path))
  // The limit is counted in whole seconds of the clock: up to a second short.
  const cancelLimit = limit > 0 ? timeline.at(timeline.wholeSeconds(limit), stop) : undefined
  return recording
}

const BUG = (path: string): Header[] => [
  ['Media-Bug-Function', 'session_record'],
  ['Media-Bug-Target', path],
]

/** What is played to a leg, or what those say whom it talks with. */
export const heard = (leg: Leg): Source => leg.playing ?? leg.partner?.says ?? (leg.room === undefined ? SILENCE : saidIn(leg.room, leg))

/** Two sounds at once; beside samples nothing is put. */
const over = (one: Source, other: Source): Source => ('hz' in one && 'hz' in other ? { hz: [...one.hz, ...other.hz] } : one)

const audible = (source: Source): boolean => !('hz' in source) || source.hz.length > 0

/** Brings the recordings of a leg, and of those who hear it, up to now. */
export function settle(leg: Leg): void {
  leg.message?.flush()
  for (const one of new Set([leg, ...(leg.partner === undefined ? [] : [leg.partner]), ...(leg.room?.members.keys() ?? [])]))
    for (const recording of one.recordings) recording.flush()
}

/** In the order they were started. */
export function stopAll(leg: Leg): void {
  for (let first = leg.recordings[0]; first; first = leg.recordings[0]) first.stop()
}
