// What is taken to a destination, wherever it lies, and what came of it.

/** Bytes with all that a destination is told of them. */
export interface Cargo {
  /** The same for every attempt. */
  id: string
  name: string
  contentType: string
  size: number
  /** Hex. */
  sha256: string
  /** So many bytes from an offset on; opened anew for every attempt. */
  pieces(size: number, from: number): AsyncIterable<Buffer>
}

export type Outcome =
  | { is: 'stored'; location: string }
  /** `askedMs` is the patience the destination asked for. */
  | { is: 'later'; reason: string; askedMs?: number }
  | { is: 'never'; reason: string }

/** For a header: RFC 9530 section 2 without its label. */
export const base64Of = (hex: string): string => Buffer.from(hex, 'hex').toString('base64')
