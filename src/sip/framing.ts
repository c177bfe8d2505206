// Messages out of a stream (RFC 3261 section 18.3): the header ends with an empty line, Content-Length says how much
// follows. Between messages a line end is a sign of life (RFC 5626 section 3.5.1).

const MOST_HEADER = 64 * 1024
const MOST_BODY = 1024 * 1024
/** Pieces of a body that are put together at once. */
const TOGETHER = 1000

export interface Framing {
  /** Whole messages that this completes, and how many signs of life are to be answered. Throws in words when the stream is not SIP. */
  push(bytes: Buffer): { messages: Buffer[]; pings: number }
}

export function createFraming(): Framing {
  let held: Buffer = Buffer.alloc(0)
  /** What came behind it: a long body that comes byte by byte is not copied for each of them. */
  let pieces: Buffer[] = []
  let missing = 0
  return {
    push(bytes) {
      pieces.push(bytes)
      missing -= bytes.length
      if (missing > 0 && pieces.length < TOGETHER) return { messages: [], pings: 0 }
      held = held.length === 0 && pieces.length === 1 ? bytes : Buffer.concat([held, ...pieces])
      pieces = []
      if (missing > 0) return { messages: [], pings: 0 }
      const messages: Buffer[] = []
      let pings = 0
      for (;;) {
        let at = 0
        while (held[at] === 13 && held[at + 1] === 10) at += 2
        pings += Math.floor(at / 4)
        // One line end may be half of a sign of life, or the rest of a message: neither means anything by itself.
        held = held.subarray(at)
        const blank = held.indexOf('\r\n\r\n')
        if (blank < 0) {
          if (held.length > MOST_HEADER) throw new Error('a header without an end')
          return { messages, pings }
        }
        const [, told] = /^(?:content-length|l)[ \t]*:[ \t]*(\d{1,9})[ \t]*$/im.exec(held.subarray(0, blank).toString('latin1').replaceAll('\r', '')) ?? []
        if (told === undefined) throw new Error('a message in a stream without Content-Length')
        if (Number(told) > MOST_BODY) throw new Error('a body that is too long')
        const end = blank + 4 + Number(told)
        if (held.length < end) {
          missing = end - held.length
          return { messages, pings }
        }
        messages.push(Buffer.from(held.subarray(0, end)))
        held = held.subarray(end)
      }
    },
  }
}
