// Whether what was to be masked is silent in the file, heard from the file itself: the switch's word is no proof.

import { HEAD_BYTES, wavOf } from './audio/audio-length.ts'
import type { Segment } from './segments.ts'

export interface Verification {
  /** Null where it could not be told. */
  verified: boolean | null
  verified_reason?: string
}

/** What is to be heard. */
export interface Masked {
  /** The file's bytes from its start, the first of them with the whole header. It may be read again. */
  pieces: () => AsyncIterable<Buffer>
  size: number
  segments: readonly Segment[]
  /** Milliseconds that the file lacks of the time it was recorded: by so much it may have begun later than the switch told. */
  lacksMs: number
}

/** The gap map is exact to a tenth of a second, so this much at either end is left out. */
const EDGE_MS = 100
/**
 * A busy FreeSWITCH tells that it records before it does (RECORD_START is fired by the bug that is only then linked), and the whole file is
 * that much earlier than its map. Then it must fit the closer, so that a mask which ended too early fits nowhere.
 */
const LATE = { mostMs: 300, stepMs: 20, edgeMs: 40 }
/** Of 32768: the rounding of a codec, and nothing that can be understood (−60 dB). */
const LOUDEST = 32

interface Span {
  first: number
  end: number
}

/** Undefined when nothing was masked. `lateMs`: by how much all of the file is earlier than its map says. */
export async function verify(masked: Masked): Promise<{ verification: Verification; lateMs: number } | undefined> {
  const masks = masked.segments.filter(({ kind }) => kind === 'mask')
  if (masks.length === 0) return undefined
  const verification = await silent(masked, masks, 0, EDGE_MS)
  if (verification.verified === false) {
    for (let lateMs = LATE.stepMs; lateMs <= Math.min(LATE.mostMs, masked.lacksMs); lateMs += LATE.stepMs) {
      const shifted = await silent(masked, masks, lateMs, LATE.edgeMs)
      if (shifted.verified === true) return { verification: shifted, lateMs }
    }
  }
  return { verification, lateMs: 0 }
}

async function silent({ pieces, size }: Masked, masks: readonly Segment[], lateMs: number, edgeMs: number): Promise<Verification> {
  let spans: Span[] | undefined
  let at = 0
  for await (const piece of pieces()) {
    if (spans === undefined) {
      const wav = wavOf(piece.subarray(0, HEAD_BYTES), size)
      if (wav === undefined) return { verified: null, verified_reason: 'the file is no WAV, and nothing else is decoded here' }
      if (wav.frame !== wav.channels * 2) return { verified: null, verified_reason: 'its samples are not of 16 bits' }
      const bytesAt = (ms: number): number => wav.dataAt + Math.min(wav.dataBytes, Math.round((Math.max(0, ms - lateMs) * wav.sampleRate) / 1000) * wav.frame)
      spans = masks
        .map(({ from_ms, to_ms = from_ms }) => ({ first: bytesAt(from_ms + edgeMs), end: bytesAt(to_ms - edgeMs) }))
        .filter(span => span.end > span.first)
      if (spans.length === 0) return { verified: null, verified_reason: `no masked stretch is longer than ${2 * edgeMs} ms` }
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
