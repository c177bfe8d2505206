// One channel of a WAV as a WAV of its own.

import { type FileHandle, open } from 'node:fs/promises'
import { HEAD_BYTES, type Sound, type Wav, wavOf } from './audio-length.ts'

const SAMPLE = 2
const HEADER = 44
/** Frames that are read at once. */
const PIECE = 32_768

/** A file of 16 bits in one channel. */
export const monoWav = (samples: Buffer, sampleRate: number): Buffer => Buffer.concat([headerFor(samples.length, sampleRate), samples])

/** Rejects where it is no WAV of 16 bits. */
export const soundOf = (path: string): Promise<Sound> => opened(path, async (_file, wav) => wav)

/** Writes channel `nth` (0 is the left) of `from` to `to`, both paths of this machine. */
export const takeChannel = (from: string, nth: number, to: string): Promise<void> =>
  opened(from, async (file, { sampleRate, frame, dataAt, dataBytes }) => {
    const frames = dataBytes / frame
    const out = await open(to, 'w', 0o600)
    try {
      await out.write(headerFor(frames * SAMPLE, sampleRate))
      const all = Buffer.alloc(PIECE * frame)
      const one = Buffer.alloc(PIECE * SAMPLE)
      for (let at = 0; at < frames; at += PIECE) {
        const count = Math.min(PIECE, frames - at)
        await file.read(all, 0, count * frame, dataAt + at * frame)
        for (let i = 0; i < count; i++) one.writeInt16LE(all.readInt16LE(i * frame + nth * SAMPLE), i * SAMPLE)
        await out.write(one, 0, count * SAMPLE)
      }
    } finally {
      await out.close()
    }
  })

async function opened<T>(path: string, use: (file: FileHandle, wav: Wav) => Promise<T>): Promise<T> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const head = Buffer.alloc(Math.min(size, HEAD_BYTES))
    await file.read(head, 0, head.length, 0)
    const wav = wavOf(head, size)
    if (wav === undefined || wav.frame !== SAMPLE * wav.channels) throw new Error('it is no WAV of 16 bits')
    return await use(file, wav)
  } finally {
    await file.close()
  }
}

function headerFor(bytes: number, sampleRate: number): Buffer {
  const out = Buffer.alloc(HEADER)
  out.write('RIFF', 0)
  out.writeUInt32LE(HEADER - 8 + bytes, 4)
  out.write('WAVEfmt ', 8)
  out.writeUInt32LE(16, 16)
  out.writeUInt16LE(1, 20)
  out.writeUInt16LE(1, 22)
  out.writeUInt32LE(sampleRate, 24)
  out.writeUInt32LE(sampleRate * SAMPLE, 28)
  out.writeUInt16LE(SAMPLE, 32)
  out.writeUInt16LE(SAMPLE * 8, 34)
  out.write('data', 36)
  out.writeUInt32LE(bytes, 40)
  return out
}
