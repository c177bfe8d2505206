// One WAV with a channel for each of several files of one channel, each from where it begins; what is one too many shares the
// last channel. Masked stretches are silent in all of them, whatever the files say.

import { type FileHandle, open, rename } from 'node:fs/promises'
import { AppError } from '../../errors.ts'
import { HEAD_BYTES, type Wav, wavOf } from './audio-length.ts'

export interface Strand {
  path: string
  from_ms: number
}

export interface Silent {
  from_ms: number
  to_ms: number
}

/** Frames that are woven at once. */
const PIECE = 32_768
const SAMPLE = 2
/** WAVE_FORMAT_EXTENSIBLE, as there are more than two channels (Microsoft, "Multiple channel audio data"). */
const HEADER = 68
const MOST_BYTES = 0xffff_ffff - HEADER

interface Opened {
  file: FileHandle
  wav: Wav
  /** The frame of the first at which it begins. */
  first: number
}

/**
 * `first` becomes the whole, as long as it was; files that are not there are silence. Does nothing where it is the whole already, so that it
 * may be repeated after a crash. Rejects where there is no such file, or what is no WAV of 16 bits in one channel.
 */
export async function weave(first: string, others: readonly Strand[], channels: number, silent: readonly Silent[]): Promise<void> {
  const opened: Opened[] = []
  const made = `${first}.part`
  let out: FileHandle | undefined
  try {
    const main = await strandAt({ path: first, from_ms: 0 }, undefined)
    if (main === undefined) throw new AppError('spool_unwritable', `no such file: ${first}`)
    opened.push(main)
    if (main.wav.channels === channels) return
    for (const one of others) {
      const strand = await strandAt(one, main.wav)
      if (strand !== undefined) opened.push(strand)
    }
    for (const { wav } of opened) if (wav.frame !== SAMPLE) throw new AppError('spool_unwritable', 'only WAV of 16 bits in one channel can be woven')
    const { sampleRate } = main.wav
    const frames = main.wav.dataBytes / SAMPLE
    const bytes = frames * channels * SAMPLE
    if (bytes > MOST_BYTES) throw new AppError('spool_unwritable', `${channels} channels of ${Math.round(frames / sampleRate)} s are more than a WAV can hold`)
    const frameAt = (ms: number): number => Math.round((ms * sampleRate) / 1000)
    const spans = silent.map(({ from_ms, to_ms }) => ({ from: frameAt(from_ms), to: frameAt(to_ms) }))
    out = await open(made, 'w', 0o640)
    await out.write(headerFor(channels, sampleRate, bytes))
    for (let at = 0; at < frames; at += PIECE) {
      const count = Math.min(PIECE, frames - at)
      const woven = new Int16Array(count * channels)
      for (const [nth, strand] of opened.entries()) lay(woven, await framesOf(strand, at, count), Math.min(nth, channels - 1), channels)
      for (const { from, to } of spans) {
        const [begin, end] = [Math.max(0, from - at), Math.min(count, to - at)]
        if (begin < end) woven.fill(0, begin * channels, end * channels)
      }
      await out.write(new Uint8Array(woven.buffer))
    }
    await out.sync()
    await rename(made, first)
  } finally {
    await out?.close()
    for (const { file } of opened) await file.close()
  }
}

async function strandAt({ path, from_ms }: Strand, like: Wav | undefined): Promise<Opened | undefined> {
  const file = await open(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (file === undefined) return undefined
  const { size } = await file.stat()
  const head = Buffer.alloc(Math.min(size, HEAD_BYTES))
  await file.read(head, 0, head.length, 0)
  const wav = wavOf(head, size)
  if (wav !== undefined && (like === undefined || wav.sampleRate === like.sampleRate))
    return { file, wav, first: Math.round((from_ms * wav.sampleRate) / 1000) }
  await file.close()
  // An empty one was never begun.
  if (size === 0) return undefined
  throw new AppError('spool_unwritable', `${path} is no WAV${like === undefined ? '' : ` of ${like.sampleRate} Hz`}`)
}

/** So many frames of the whole; where the strand has none, silence. */
async function framesOf({ file, wav, first }: Opened, at: number, count: number): Promise<Int16Array> {
  const out = new Int16Array(count)
  const from = Math.max(0, first - at)
  const start = Math.max(0, at - first)
  const there = Math.min(count - from, wav.dataBytes / SAMPLE - start)
  if (there > 0) await file.read(new Uint8Array(out.buffer), from * SAMPLE, there * SAMPLE, wav.dataAt + start * SAMPLE)
  return out
}

/** Machines that run this are little-endian, as WAV is. */
function lay(woven: Int16Array, strand: Int16Array, channel: number, channels: number): void {
  for (let at = 0, place = channel; at < strand.length; at += 1, place += channels) {
    const sum = (woven[place] ?? 0) + (strand[at] ?? 0)
    woven[place] = Math.max(-32_768, Math.min(32_767, sum))
  }
}

function headerFor(channels: number, sampleRate: number, bytes: number): Buffer {
  const out = Buffer.alloc(HEADER)
  const frame = channels * SAMPLE
  out.write('RIFF', 0)
  out.writeUInt32LE(HEADER - 8 + bytes, 4)
  out.write('WAVEfmt ', 8)
  out.writeUInt32LE(40, 16)
  out.writeUInt16LE(0xfffe, 20)
  out.writeUInt16LE(channels, 22)
  out.writeUInt32LE(sampleRate, 24)
  out.writeUInt32LE(sampleRate * frame, 28)
  out.writeUInt16LE(frame, 32)
  out.writeUInt16LE(SAMPLE * 8, 34)
  out.writeUInt16LE(22, 36)
  out.writeUInt16LE(SAMPLE * 8, 38)
  // No loudspeaker is any channel's; then the GUID of PCM.
  Buffer.from('0100000000001000800000aa00389b71', 'hex').copy(out, 44)
  out.write('data', 60)
  out.writeUInt32LE(bytes, 64)
  return out
}
