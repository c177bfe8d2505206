// The blocking `record path [limit [threshold [seconds]]]`: what the far side says, mono, until a key, silence, the limit or
// the hangup ends it. No media bug: it is on no list, and stereo and the minimum length mean nothing to it
// (switch_ivr_play_say.c, switch_ivr_record_file_event; reference freeswitch.md §4).

import { isAbsolute, join } from 'node:path'

import { reasonOf } from '../errors.ts'
import { hangup } from './call.ts'
import { setVariable, variable } from './leg.ts'
import { level, render, SILENCE } from './media.ts'
import { FRAME, LEG_RATE, RATES, samplesOf } from './recording.ts'
import type { Run } from './exchange.ts'
import { createWav, type WavFile } from './wav.ts'
import { splitWords } from './words.ts'

/** Where a threshold is given without its seconds. */
const SECONDS_OF_SILENCE = 3

const number = (text: string | undefined): number => Number.parseInt((text ?? '').replace('+', ''), 10) || 0

export function recordMessage(run: Run): void {
  const { exchange, leg, arg } = run
  const { timeline } = exchange
  const [file = '', limit, threshold, hits] = splitWords(arg, 4)
  const path = isAbsolute(file) ? file : join(exchange.recordingDir, file)
  const wanted = Number(variable(leg, 'record_sample_rate'))
  const rate = RATES.has(wanted) ? wanted : LEG_RATE
  setVariable(leg, 'playback_terminator_used', undefined)

  function open(): WavFile | undefined {
    try {
      if (!path.endsWith('.wav')) throw new Error('no such file format')
      return createWav(path, rate, 1)
    } catch (error) {
      exchange.log.warn('simulator_record_refused', { leg: leg.uuid, path, reason: reasonOf(error) })
      return undefined
    }
  }
  const wav = open()
  if (wav === undefined) return hangup(exchange, leg, 'DESTINATION_OUT_OF_ORDER')

  leg.phone.media()
  const start = timeline.now()
  let frames = 0
  let silent = 0
  const timers: (() => void)[] = []

  function flush(): void {
    const until = Math.floor((timeline.now() - start + 1e-3) / FRAME)
    const count = until - frames
    if (count <= 0) return
    const from = start + frames * FRAME
    silent = level(leg.says, from) < number(threshold) ? silent + count : 0
    const samples = samplesOf(until, rate) - samplesOf(frames, rate)
    frames = until
    attempt(() => wav?.write(render(leg.says, SILENCE, 'mono', rate, from, samples)))
  }

  function attempt(act: () => void): void {
    try {
      act()
    } catch (error) {
      exchange.log.error('simulator_write_failed', { leg: leg.uuid, path, reason: reasonOf(error) })
    }
  }

  function end(): void {
    flush()
    for (const cancel of timers) cancel()
    leg.message = undefined
    attempt(() => wav?.close())
    setVariable(leg, 'record_seconds', String(Math.floor((frames * FRAME) / 1000)))
    setVariable(leg, 'record_ms', String(frames * FRAME))
    setVariable(leg, 'record_samples', String(samplesOf(frames, LEG_RATE)))
    exchange.fireLeg('RECORD_STOP', leg, [['Record-File-Path', path]])
    run.done()
  }

  // The seconds are counted in frames of the file's rate: of one with twice the leg's, it takes twice as long.
  const mostSilent = ((number(hits) || SECONDS_OF_SILENCE) * rate) / samplesOf(1, LEG_RATE)
  function listen(): void {
    flush()
    if (silent < mostSilent) return void timers.push(timeline.after((mostSilent - silent) * FRAME, listen))
    setVariable(leg, 'silence_hits_exhausted', 'true')
    end()
  }

  leg.message = { flush, stop: end }
  run.onStop = end
  run.onDigit = digit => {
    setVariable(leg, 'playback_terminator_used', digit)
    end()
  }
  setVariable(leg, 'silence_hits_exhausted', 'false')
  exchange.fireLeg('RECORD_START', leg, [['Record-File-Path', path]])
  if (number(threshold) > 0) listen()
  // More than so many of the clock's seconds must have passed.
  if (number(limit) > 0) timers.push(timeline.at(timeline.wholeSeconds(number(limit) + 1), end))
}
