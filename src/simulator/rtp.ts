// Audio of a leg that calls out by SIP: G.711 in RTP (RFC 3550), a packet for every 20 ms of call time. What it says is worked out from
// who speaks where it listens, some packets at a time.

import { createSocket, type Socket } from 'node:dgram'
import type { Source } from './media.ts'
import { render } from './media.ts'
import type { Timeline } from './timeline.ts'

/** Hz and samples. */
const RATE = 8000
const SAMPLES = 160
const FRAME_MS = 20
/** Packets sent at a time: so many waits less. */
const TOGETHER = 5

/** Payload types (RFC 3551). */
export type Codec = 0 | 8

export interface Destination {
  address: string
  port: number
  codec: Codec
}

export interface RtpSender {
  readonly port: number
  readonly sent: number
  /** Undefined: silent, and nothing is sent. */
  to(place: Destination | undefined): void
  close(): void
}

/** `says` is asked anew for every few packets. */
export async function openRtp(timeline: Timeline, says: () => readonly [Source, Source]): Promise<RtpSender> {
  const socket: Socket = createSocket('udp4')
  await new Promise<void>((resolve, reject) => socket.once('error', reject).bind(0, '127.0.0.1', resolve))
  socket.on('error', () => {})
  const source = Math.floor(Math.random() * 2 ** 32)
  const began = timeline.now()
  let place: Destination | undefined
  let sequence = 0
  let sent = 0
  let cancel = (): void => {}
  let closed = false

  function send(): void {
    if (place === undefined || closed) return
    const [left, right] = says()
    const from = timeline.now()
    // The time it began at counts, so that a pause is a gap in the timestamps.
    const first = Math.round((from - began) / FRAME_MS)
    const pcm = Buffer.concat(render(left, right, 'mono', RATE, from, SAMPLES * TOGETHER))
    const coded = place.codec === 8 ? alaw : ulaw
    for (let at = 0; at < TOGETHER; at++) {
      const packet = Buffer.alloc(12 + SAMPLES)
      packet[0] = 0x80
      packet[1] = place.codec
      packet.writeUInt16BE(sequence++ & 0xffff, 2)
      packet.writeUInt32BE(((first + at) * SAMPLES) >>> 0, 4)
      packet.writeUInt32BE(source, 8)
      for (let i = 0; i < SAMPLES; i++) packet[12 + i] = coded(pcm.readInt16LE(2 * (at * SAMPLES + i)))
      socket.send(packet, place.port, place.address, () => {})
      sent++
    }
    cancel = timeline.after(FRAME_MS * TOGETHER, send)
  }

  return {
    port: socket.address().port,
    get sent() {
      return sent
    },
    to(next) {
      const idle = place === undefined
      place = next
      if (next === undefined) cancel()
      else if (idle) send()
    },
    close() {
      closed = true
      cancel()
      socket.close()
    },
  }
}

const BIAS = 0x84
const MOST = 32_635

/** ITU-T G.711, µ-law. */
export function ulaw(sample: number): number {
  const sign = sample < 0 ? 0x80 : 0
  const value = Math.min(MOST, Math.abs(sample)) + BIAS
  const exponent = 31 - Math.clz32(value) - 7
  return ~(sign | (exponent << 4) | ((value >> (exponent + 3)) & 0x0f)) & 0xff
}

/** ITU-T G.711, A-law. */
export function alaw(sample: number): number {
  const sign = sample < 0 ? 0 : 0x80
  const value = Math.min(MOST, sample < 0 ? ~sample : sample) >> 4
  const exponent = value < 16 ? 0 : 31 - Math.clz32(value) - 3
  const mantissa = (exponent < 2 ? value : value >> (exponent - 1)) & 0x0f
  return (sign | (exponent << 4) | mantissa) ^ 0x55
}
