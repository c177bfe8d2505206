// WAV files of 16 bit PCM, written as libsndfile does: a header that says zero samples until the file is closed, so a
// switch that was killed leaves a file whose audio only a repair finds. Synchronous on purpose: when RECORD_STOP is on
// the wire the file is whole, as on the real one.

import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeSync, writevSync } from 'node:fs'
import { dirname } from 'node:path'

export interface WavFile {
  write(pieces: readonly Buffer[]): void
  /** Bytes of the whole file. */
  close(): number
}

const HEADER = 44

/** Makes missing directories, 0750 as FreeSWITCH does; throws when the file cannot be made. */
export function createWav(path: string, rate: number, channels: number): WavFile {
  makeDirectory(dirname(path))
  const fd = openSync(path, 'w', 0o644)
  let bytes = 0
  try {
    writeSync(fd, header(rate, channels, 0))
  } catch (error) {
    closeSync(fd)
    throw error
  }
  return {
    write(pieces) {
      const all = pieces.reduce((sum, piece) => sum + piece.length, 0)
      const done = writevSync(fd, pieces)
      // A short write means a full disk; the rest has no other place to go.
      bytes += done
      if (done < all) throw new Error(`${path}: wrote ${done} of ${all} bytes`)
    },
    close() {
      try {
        writeSync(fd, header(rate, channels, bytes), 0, HEADER, 0)
      } finally {
        closeSync(fd)
      }
      return HEADER + bytes
    },
  }
}

// Not mkdir's own `recursive`: in a directory that refuses with ENOENT, such as /proc, Node 20 tries for ever.
function makeDirectory(path: string): void {
  if (existsSync(path)) return
  makeDirectory(dirname(path))
  mkdirSync(path, { mode: 0o750 })
}

function header(rate: number, channels: number, bytes: number): Buffer {
  const out = Buffer.alloc(HEADER)
  out.write('RIFF', 0)
  out.writeUInt32LE(bytes === 0 ? HEADER - 8 : HEADER - 8 + bytes, 4)
  out.write('WAVEfmt ', 8)
  out.writeUInt32LE(16, 16)
  out.writeUInt16LE(1, 20)
  out.writeUInt16LE(channels, 22)
  out.writeUInt32LE(rate, 24)
  out.writeUInt32LE(rate * channels * 2, 28)
  out.writeUInt16LE(channels * 2, 32)
  out.writeUInt16LE(16, 34)
  out.write('data', 36)
  out.writeUInt32LE(bytes, 40)
  return out
}

/** The first channel of a file to play; undefined when there is none that can be read as 16 bit PCM. */
export function loadWav(path: string): { rate: number; pcm: Int16Array } | undefined {
  let file: Buffer
  try {
    file = readFileSync(path)
  } catch {
    return undefined
  }
  if (file.length < HEADER || file.toString('latin1', 0, 4) !== 'RIFF' || file.toString('latin1', 8, 12) !== 'WAVE') return undefined
  let [rate, channels] = [0, 0]
  for (let at = 12; at + 8 <= file.length; ) {
    const [id, size] = [file.toString('latin1', at, at + 4), file.readUInt32LE(at + 4)]
    if (id === 'fmt ' && at + 24 <= file.length && file.readUInt16LE(at + 8) === 1 && file.readUInt16LE(at + 22) === 16) {
      channels = file.readUInt16LE(at + 10)
      rate = file.readUInt32LE(at + 12)
    } else if (id === 'data' && rate > 0 && channels > 0) {
      const samples = Math.floor(Math.min(size, file.length - at - 8) / 2 / channels)
      return { rate, pcm: Int16Array.from({ length: samples }, (_, i) => file.readInt16LE(at + 8 + 2 * i * channels)) }
    }
    at += 8 + size + (size % 2)
  }
  return undefined
}
