// What is kept as mp3 or ogg is made WAV again by ffmpeg, where somebody has to read the sound itself.

import type { Log } from '../../log.ts'
import { reasonOf } from '../../errors.ts'
import type { Encoded } from './encoder.ts'
import { run } from './program.ts'

export interface Decoder {
  /** What it can read. */
  readonly formats: readonly Encoded[]
  /** Writes `to` anew as a WAV of 16 bits, both paths of this machine. Rejects with ProgramFailed. */
  decode(from: string, to: string, signal: AbortSignal): Promise<void>
}

export const NO_DECODER: Decoder = { formats: [], decode: () => Promise.reject(new Error('there is no ffmpeg (FFMPEG)')) }

const NAMES: Readonly<Record<Encoded, RegExp>> = { mp3: / mp3(float)? /, ogg: / (lib)?vorbis / }

/** Milliseconds of the wall. */
const LOOK_WITHIN = 10_000
const DECODE_WITHIN = 30 * 60_000

/** `program` is a path or a name on PATH; `off`: none is wanted. */
export async function findDecoder(program: string, log: Log): Promise<Decoder> {
  if (program === 'off') return NO_DECODER
  const said = await run(program, ['-hide_banner', '-decoders'], { within: LOOK_WITHIN }).catch((error: unknown) => {
    log.info('decoder_missing', { program, reason: reasonOf(error) })
    return ''
  })
  const formats = (['mp3', 'ogg'] as const).filter(name => NAMES[name].test(said))
  return {
    formats,
    async decode(from, to, signal) {
      const how = ['-nostdin', '-hide_banner', '-loglevel', 'error', '-threads', '1', '-y', '-i', from, '-c:a', 'pcm_s16le', '-f', 'wav', to]
      await run(program, how, { within: DECODE_WITHIN, signal, stepsBack: true })
    },
  }
}
