// How long a recorded file plays, from its own bytes. The switch's word is not enough: one that was
// killed left a WAV header that says 0 samples, and its last event never came.

export interface Sound {
  channels: number
  sampleRate: number
  durationMs: number
}

export interface Wav extends Sound {
  /** Offset of the audio, and how much of it there is. */
  dataAt: number
  dataBytes: number
  /** Bytes of one sample of every channel. */
  frame: number
  /** The header does not tell what there is: the writer never came back to it. */
  unfinished: boolean
}

/** Enough of a file's beginning to find the audio of a WAV. */
export const HEAD_BYTES = 64 * 1024
const UNKNOWN = 0xffff_ffff

/** `head` are the file's first bytes, `size` all of them. Undefined when it is no WAV that could be played. */
export function wavOf(head: Buffer, size: number): Wav | undefined {
  if (head.length < 12 || head.toString('latin1', 0, 4) !== 'RIFF' || head.toString('latin1', 8, 12) !== 'WAVE') return undefined
  let format: { channels: number; sampleRate: number; frame: number } | undefined
  for (let at = 12; at + 8 <= head.length; ) {
    const name = head.toString('latin1', at, at + 4)
    const bytes = head.readUInt32LE(at + 4)
    const body = at + 8
    if (name === 'fmt ' && body + 16 <= head.length) {
      format = { channels: head.readUInt16LE(body + 2), sampleRate: head.readUInt32LE(body + 4), frame: head.readUInt16LE(body + 12) }
    }
    if (name === 'data') return format === undefined ? undefined : described(format, body, bytes, size)
    // Chunks begin at even offsets.
    at = body + bytes + (bytes % 2)
  }
  return undefined
}

function described(format: { channels: number; sampleRate: number; frame: number }, dataAt: number, said: number, size: number): Wav | undefined {
  const { channels, sampleRate, frame } = format
  if (channels === 0 || sampleRate === 0 || frame === 0) return undefined
  const there = Math.max(0, size - dataAt)
  const unfinished = there > 0 && (said === 0 || said === UNKNOWN || said > there)
  const frames = Math.floor((unfinished ? there : Math.min(said, there)) / frame)
  return { channels, sampleRate, dataAt, dataBytes: frames * frame, frame, durationMs: Math.round((frames * 1000) / sampleRate), unfinished }
}

/** What to write where so that an unfinished header tells the truth: 32 bit little-endian numbers. */
export const headerOf = ({ dataAt, dataBytes }: Wav): readonly { at: number; value: number }[] => [
  { at: 4, value: dataAt + dataBytes - 8 },
  { at: dataAt - 4, value: dataBytes },
]

export interface Counter {
  feed(piece: Buffer): void
  /** Undefined when it is nothing of the kind. */
  sound(): Sound | undefined
}

interface Walk {
  feed: (piece: Buffer) => void
  /** What was not looked at, and how much of it belongs to the last part; undefined once a part was not what it was to be. */
  left: () => { bytes: Buffer; skip: number } | undefined
}

/** From part to part of a file that streams by: `bytesAt` tells how long the one is that begins there, of which `least` bytes can be read. */
function walk(least: number, bytesAt: (bytes: Buffer, at: number) => number | undefined): Walk {
  let skip = 0
  let rest: Buffer = Buffer.alloc(0)
  let lost = false
  return {
    feed(piece) {
      if (lost) return
      const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece])
      let at = 0
      for (;;) {
        const step = Math.min(skip, bytes.length - at)
        at += step
        skip -= step
        if (skip > 0 || bytes.length - at < least) break
        const found = bytesAt(bytes, at)
        lost = found === undefined
        if (found === undefined) break
        skip = found
      }
      rest = bytes.subarray(at)
    },
    left: () => (lost ? undefined : { bytes: rest, skip }),
  }
}

/** Adds up the frames; bytes that are no frame are skipped one by one. */
export function mp3Counter(): Counter {
  let milliseconds = 0
  let first: Frame | undefined
  const { feed } = walk(TAG_HEADER, (bytes, at) => {
    const frame = frameAt(bytes, at)
    milliseconds += frame?.milliseconds ?? 0
    first ??= frame
    return frame?.bytes ?? tagAt(bytes, at) ?? 1
  })
  return {
    feed,
    sound: () => (first === undefined ? undefined : { channels: first.channels, sampleRate: first.sampleRate, durationMs: Math.round(milliseconds) }),
  }
}

const TAG_HEADER = 10

/** Bytes of an ID3v2 tag: its length is in four bytes of seven bits. */
function tagAt(bytes: Buffer, at: number): number | undefined {
  if (bytes.toString('latin1', at, at + 3) !== 'ID3') return undefined
  return [6, 7, 8, 9].reduce((length, offset) => length * 128 + ((bytes[at + offset] ?? 0) & 0x7f), 0) + TAG_HEADER
}

// ISO 11172-3 and 13818-3, layer III; by the version bits of the header, MPEG 2.5 being a common extension.
const RATES = [[11_025, 12_000, 8000], [], [22_050, 24_000, 16_000], [44_100, 48_000, 32_000]] as const
const KBITS_1 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320] as const
const KBITS_2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160] as const

interface Frame {
  bytes: number
  milliseconds: number
  sampleRate: number
  channels: number
}

function frameAt(bytes: Buffer, at: number): Frame | undefined {
  const header = bytes.readUInt32BE(at)
  const version = (header >>> 19) & 3
  const layer = (header >>> 17) & 3
  if (header >>> 21 !== 0x7ff || layer !== 1) return undefined
  const kbits = (version === 3 ? KBITS_1 : KBITS_2)[(header >>> 12) & 15] ?? 0
  const rate = RATES[version]?.[(header >>> 10) & 3] ?? 0
  if (kbits === 0 || rate === 0) return undefined
  const samples = version === 3 ? 1152 : 576
  const padding = (header >>> 9) & 1
  return {
    bytes: Math.floor((samples * kbits * 125) / rate) + padding,
    milliseconds: (samples * 1000) / rate,
    sampleRate: rate,
    channels: (header >>> 6) % 4 === 3 ? 1 : 2,
  }
}

/** Of an Ogg page: what stands before its segments (RFC 3533 section 6). */
const PAGE_HEADER = 27
const MOST_SEGMENTS = 255
/** Enough of the first packet of a Vorbis stream to know what it is (Vorbis I section 4.2.2). */
const VORBIS_HEADER = 16

/** How far a Vorbis stream in Ogg goes: its pages say how many samples there were until their end. */
export function oggCounter(): Counter {
  let format: { channels: number; sampleRate: number } | undefined
  let samples = 0
  function bytesAt(bytes: Buffer, at: number): number | undefined {
    const page = pageAt(bytes, at)
    if (page === undefined) return undefined
    format ??= vorbisAt(bytes, at + page.header)
    samples = page.samples ?? samples
    return page.bytes
  }
  const { feed, left } = walk(PAGE_HEADER + MOST_SEGMENTS + VORBIS_HEADER, bytesAt)
  return {
    feed,
    sound() {
      const rest = left()
      if (rest === undefined) return undefined
      // The last page is too short to be read on the way.
      for (let at = rest.skip; at + PAGE_HEADER <= rest.bytes.length; ) {
        const bytes = bytesAt(rest.bytes, at)
        if (bytes === undefined) break
        at += bytes
      }
      return format === undefined ? undefined : { ...format, durationMs: Math.round((samples * 1000) / format.sampleRate) }
    },
  }
}

/** `samples` is undefined where no packet ends on the page. */
function pageAt(bytes: Buffer, at: number): { header: number; bytes: number; samples: number | undefined } | undefined {
  if (bytes.toString('latin1', at, at + 4) !== 'OggS') return undefined
  const segments = bytes[at + PAGE_HEADER - 1] ?? 0
  const header = PAGE_HEADER + segments
  const body = bytes.subarray(at + PAGE_HEADER, at + header).reduce((sum, length) => sum + length, 0)
  const position = bytes.readBigInt64LE(at + 6)
  return { header, bytes: header + body, samples: position < 0n ? undefined : Number(position) }
}

function vorbisAt(bytes: Buffer, at: number): { channels: number; sampleRate: number } | undefined {
  if (at + VORBIS_HEADER > bytes.length || bytes.toString('latin1', at, at + 7) !== '\u0001vorbis') return undefined
  const [channels, sampleRate] = [bytes[at + 11] ?? 0, bytes.readUInt32LE(at + 12)]
  return channels === 0 || sampleRate === 0 ? undefined : { channels, sampleRate }
}
