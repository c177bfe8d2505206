// Bytes of an event socket → frames (headers and body). Written here because modesl's parser recurses once
// per frame (a burst of short ones overflows the stack) and copies a long body again for every chunk.

export interface Frame {
  headers: Readonly<Record<string, string>>
  body: string
}

/** What came is not an event socket's, or more than we take: the connection cannot be read any further. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
}

export interface FrameLimits {
  /** Bytes of one block of headers. */
  headerBytes: number
  /** Bytes of one body. */
  bodyBytes: number
}

const END = Buffer.from('\n\n')
const LF = 10

// The frame's own headers are never percent-encoded on an inbound connection; decoding them is what kills
// a process that reads `Reply-Text: +OK 50% off`.
function headersOf(block: string): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    if (colon < 1) throw new FrameError(`not an event socket: ${JSON.stringify(line.slice(0, 60))}`)
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  return headers
}

function lengthOf(headers: Record<string, string>, most: number): number {
  const said = headers['content-length']
  if (said === undefined) return 0
  if (!/^\d{1,15}$/.test(said)) throw new FrameError(`Content-Length is ${JSON.stringify(said.slice(0, 40))}`)
  const length = Number(said)
  if (length > most) throw new FrameError(`a frame of ${length} bytes, more than ${most}`)
  return length
}

/** Gives `take` every frame in turn; header names are in lower case. Throws FrameError, after which it is of no more use. */
export function frameReader(limits: FrameLimits, take: (frame: Frame) => void): (chunk: Buffer) => void {
  /** Start of a block of headers whose end has not come. */
  let head: Buffer = Buffer.alloc(0)
  let headers: Record<string, string> | undefined
  let parts: Buffer[] = []
  let missing = 0

  /** Takes what `chunk` has of the body from `at` on; where it stopped. */
  function body(chunk: Buffer, at: number): number {
    const part = chunk.subarray(at, at + missing)
    parts.push(part)
    missing -= part.length
    return at + part.length
  }

  function finish(): void {
    const frame = { headers: headers ?? {}, body: (parts.length === 1 ? parts[0] : Buffer.concat(parts))?.toString() ?? '' }
    headers = undefined
    parts = []
    take(frame)
  }

  return chunk => {
    const bytes = head.length > 0 ? Buffer.concat([head, chunk]) : chunk
    head = Buffer.alloc(0)
    let at = 0
    while (at < bytes.length) {
      if (headers === undefined) {
        while (bytes[at] === LF) at += 1
        const end = bytes.indexOf(END, at)
        if (end < 0) {
          const first = bytes.indexOf(LF, at)
          if (first >= 0) headersOf(bytes.toString('utf8', at, first))
          if (bytes.length - at > limits.headerBytes) throw new FrameError(`headers that do not end within ${limits.headerBytes} bytes`)
          // A copy: a slice would keep the whole chunk alive.
          head = Buffer.from(bytes.subarray(at))
          return
        }
        headers = headersOf(bytes.toString('utf8', at, end))
        missing = lengthOf(headers, limits.bodyBytes)
        at = end + END.length
      }
      at = body(bytes, at)
      if (missing > 0) return
      finish()
    }
  }
}
