// Hearing for tests: a WAV as it lies on disk, and how much of a stretch of it is one tone (Goertzel).

import { readFileSync } from 'node:fs'

export interface Wav {
  sampleRate: number
  channels: number
  /** By the header. */
  seconds: number
  /** One array per channel, 16 bit values. */
  samples: Int16Array[]
}

/** Throws when it is not a whole 16 bit PCM WAV whose header tells the truth about its size. */
export const readWav = (path: string): Wav => wavFrom(readFileSync(path), path)

/** As `readWav`; `path` is only what an error calls it. */
export function wavFrom(file: Buffer, path = 'the sound'): Wav {
  const text = (at: number): string => file.toString('latin1', at, at + 4)
  // The longer header is that of more than two channels.
  const data = 20 + file.readUInt32LE(16)
  if (text(0) !== 'RIFF' || text(8) !== 'WAVE' || text(12) !== 'fmt ' || text(data) !== 'data') throw new Error(`${path} is no plain WAV`)
  const [format, channels, sampleRate, bits] = [file.readUInt16LE(20), file.readUInt16LE(22), file.readUInt32LE(24), file.readUInt16LE(34)]
  if (format !== (channels > 2 ? 0xfffe : 1) || bits !== 16) throw new Error(`${path}: format ${format}, ${bits} bits`)
  const [bytes, there] = [file.readUInt32LE(data + 4), file.length - data - 8]
  if (file.readUInt32LE(4) !== file.length - 8 || bytes !== there) throw new Error(`${path}: the header says ${bytes}, there are ${there}`)
  const count = bytes / 2 / channels
  // A copy, so that it is aligned; machines that run this are little-endian, as WAV is.
  const all = new Int16Array(new Uint8Array(file.subarray(data + 8)).buffer)
  const samples = Array.from({ length: channels }, (_, channel) => {
    const one = new Int16Array(count)
    for (let i = 0; i < count; i++) one[i] = all[i * channels + channel] ?? 0
    return one
  })
  return { sampleRate, channels, seconds: count / sampleRate, samples }
}

/** How much of the power between the two times (seconds) is at `hz`: 0 nothing … 1 nothing else. Silence is 0. */
export function tone(samples: Int16Array, rate: number, hz: number, fromSec = 0, toSec = samples.length / rate): number {
  const part = samples.subarray(Math.round(fromSec * rate), Math.round(toSec * rate))
  const turn = 2 * Math.cos((2 * Math.PI * hz) / rate)
  let [last, before, power] = [0, 0, 0]
  for (const sample of part) {
    const next = sample + turn * last - before
    before = last
    last = next
    power += sample * sample
  }
  if (power === 0) return 0
  return Math.min(1, (2 * (last * last + before * before - turn * last * before)) / (part.length * power))
}

/** Root of the mean power, 0 … 32767. */
export function loudness(samples: Int16Array, rate: number, fromSec = 0, toSec = samples.length / rate): number {
  const part = samples.subarray(Math.round(fromSec * rate), Math.round(toSec * rate))
  return Math.sqrt(part.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, part.length))
}

/** As `tone`, piece by piece: a frame that was lost on the way turns the phase, and over a long stretch a tone then cancels itself out. */
export function tones(samples: Int16Array, rate: number, hz: number, fromSec = 0, toSec = samples.length / rate): number {
  let [heard, all] = [0, 0]
  for (let at = fromSec; at + PIECE <= toSec + 1e-6; at += PIECE) {
    const power = loudness(samples, rate, at, at + PIECE) ** 2
    heard += power * tone(samples, rate, hz, at, at + PIECE)
    all += power
  }
  return all === 0 ? 0 : heard / all
}

/** Seconds; whole periods of every tone used here fit in. */
const PIECE = 0.05

/** Seconds: what a telephone line loses, it loses in frames of this length. */
const FRAME = 0.02
/** Quieter frames are nobody's: what codecs and bridges leave of silence. */
const AUDIBLE = 100

/** Of the frames in which somebody is heard, the share in which it is mostly `hz`; 0 where nobody is. However much of it is missing, gaps are no other sound. */
export function shareOf(samples: Int16Array, rate: number, hz: number, fromSec = 0, toSec = samples.length / rate): number {
  let [is, all] = [0, 0]
  for (let at = fromSec; at + FRAME <= toSec + 1e-6; at += FRAME) {
    if (loudness(samples, rate, at, at + FRAME) < AUDIBLE) continue
    all += 1
    if (tone(samples, rate, hz, at, at + FRAME) > 0.5) is += 1
  }
  return all === 0 ? 0 : is / all
}

/** A file of one channel. */
export function wavOf(samples: Int16Array, rate = 8000): Buffer {
  const bytes = 2 * samples.length
  const file = Buffer.alloc(44 + bytes)
  file.write('RIFF', 0)
  file.writeUInt32LE(36 + bytes, 4)
  file.write('WAVEfmt ', 8)
  for (const [at, value] of [
    [16, 16],
    [24, rate],
    [28, 2 * rate],
    [40, bytes],
  ] as const)
    file.writeUInt32LE(value, at)
  for (const [at, value] of [
    [20, 1],
    [22, 1],
    [32, 2],
    [34, 16],
  ] as const)
    file.writeUInt16LE(value, at)
  file.write('data', 36)
  samples.forEach((sample, at) => file.writeInt16LE(sample, 44 + 2 * at))
  return file
}

export const wavOfTone = (hz: number, ms: number, rate = 8000): Buffer =>
  wavOf(
    Int16Array.from({ length: (rate * ms) / 1000 }, (_, at) => Math.round(8000 * Math.sin((2 * Math.PI * hz * at) / rate))),
    rate,
  )
