// Whether what was to be masked is silent in the file, heard from the file itself: the switch's word is no proof.

import { HEAD_BYTES, wavOf } from './audio/audio-length.ts'
import type { Segment } from './segments.ts'

export interface Verification {
  /** Null where it could not be told. */
  verified: boolean | null
  verified_reason?: string
}

/** The gap map is exact to a tenth of a second, so this much at either end is left out. */
const EDGE_MS = 100
/** Of 32768: the rounding of a codec, and nothing that can be understood (−60 dB). */
const LOUDEST = 32

interface Span {
  first: number
  end: number
}

/** Undefined when nothing was masked. `pieces` are the file's `size` bytes from its start, the first of them with the whole header. */
export async function verify(pieces: AsyncIterable<Buffer>, size: number, segments: readonly Segment[]): Promise<Verification | undefined> {
  const masks = segments.filter(({ kind }) => kind === 'mask')
  if (masks.length === 0) return undefined
  let spans: Span[] | undefined
  let at = 0
  for await (const piece of pieces) {
    if (spans === undefined) {
      const wav = wavOf(piece.subarray(0, HEAD_BYTES), size)
      if (wav === undefined) return { verified: null, verified_reason: 'the file is no WAV, and nothing else is decoded here' }
      if (wav.frame !== wav.channels * 2) return { verified: null, verified_reason: 'its samples are not of 16 bits' }
      const bytesAt = (ms: number): number => wav.dataAt + Math.min(wav.dataBytes, Math.round((ms * wav.sampleRate) / 1000) * wav.frame)
      spans = masks
        .map(({ from_ms, to_ms = from_ms }) => ({ first: bytesAt(from_ms + EDGE_MS), end: bytesAt(to_ms - EDGE_MS) }))
        .filter(span => span.end > span.first)
      if (spans.length === 0) return { verified: null, verified_reason: `no masked stretch is longer than ${2 * EDGE_MS} ms` }
    }
    for (const { first, end } of spans) {
      const found = loudAt(piece, Math.max(0, first - at), Math.min(piece.length, end - at))
      if (found !== undefined) return { verified: false, verified_reason: `something is heard at byte ${at + found} of the file, where it was masked` }
    }
    at += piece.length
  }
  return spans === undefined ? { verified: null, verified_reason: 'the file is empty' } : { verified: true }
}

/** Pieces begin and end between samples: headers and pieces of files have even lengths. */
function loudAt(piece: Buffer, from: number, to: number): number | undefined {
  for (let at = from; at + 1 < to; at += 2) if (Math.abs(piece.readInt16LE(at)) > LOUDEST) return at
  return undefined
}
