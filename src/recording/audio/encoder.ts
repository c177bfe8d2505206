// Formats that the switch does not write are made of a WAV by ffmpeg, where there is one.

import { AppError, reasonOf } from '../../errors.ts'
import { createLimit } from '../../in-turn.ts'
import type { Log } from '../../log.ts'
import { run } from './program.ts'

export type Encoded = 'mp3' | 'ogg'

export interface Encoder {
  /** What it can make. */
  readonly formats: readonly Encoded[]
  /** Writes `to` anew from the WAV `from`, both paths of this machine. Rejects with `spool_unwritable` and ffmpeg's words. */
  encode(from: string, to: string, format: Encoded, channels: number): Promise<void>
}

export const NO_ENCODER: Encoder = {
  formats: [],
  encode: () => Promise.reject(new AppError('spool_unwritable', 'there is no ffmpeg (FFMPEG)')),
}

/** What Vonage's files have for each channel. */
const KBITS = 32
const CODECS: Readonly<Record<Encoded, { name: string; quality: (channels: number) => readonly string[] }>> = {
  mp3: { name: 'libmp3lame', quality: channels => ['-b:a', `${KBITS * channels}k`] },
  ogg: { name: 'libvorbis', quality: () => ['-q:a', '3'] },
}
const isEncoded = (name: string): name is Encoded => Object.hasOwn(CODECS, name)

/** Milliseconds of the wall. A recording of three hours takes a minute. */
const LOOK_WITHIN = 10_000
const ENCODE_WITHIN = 30 * 60_000
/** Calls come first. */
const AT_A_TIME = 2

/** `program` is a path or a name on PATH; `off`: none is wanted. */
export async function findEncoder(program: string, log: Log): Promise<Encoder> {
  if (program === 'off') return NO_ENCODER
  const said = await run(program, ['-hide_banner', '-encoders'], { within: LOOK_WITHIN }).catch((error: unknown) => {
    log.info('encoder_missing', { program, reason: reasonOf(error) })
    return ''
  })
  const formats = Object.keys(CODECS).filter((name): name is Encoded => isEncoded(name) && said.includes(` ${CODECS[name].name} `))
  if (formats.length === 0) return NO_ENCODER
  log.info('encoder_found', { program, formats })
  const limit = createLimit(AT_A_TIME)
  return {
    formats,
    encode: (from, to, format, channels) =>
      limit(async () => {
        const { name, quality } = CODECS[format]
        const how = ['-nostdin', '-hide_banner', '-loglevel', 'error', '-threads', '1', '-y', '-i', from, '-c:a', name, ...quality(channels), '-f', format, to]
        await run(program, how, { within: ENCODE_WITHIN }).catch((cause: unknown) => {
          throw new AppError('spool_unwritable', `ffmpeg could not make ${format}: ${reasonOf(cause)}`, {}, { cause })
        })
      }),
  }
}
