// The offers of the switch's legs, each with one stream, as one offer to a recording server; and its answer, cut into one for each
// leg. So audio goes from the switch to the server, and never through here. Pure.

import { parse, write } from 'sdp-transform'

export interface Origin {
  /** Decimal. */
  id: string
  /** One more for every offer. */
  version: number
}

/** Where one side takes audio, and how it is protected there. */
export interface Place {
  address: string
  port: number
  protocol: string
  /** `a=crypto` lines, for RTP/SAVP. */
  crypto: readonly Crypto[]
  /** Of an offer what can be had, of an answer what is taken. */
  codecs: readonly Codec[]
}

/** Payload types (RFC 3551). */
type Codec = 0 | 8

interface Crypto {
  id: number
  suite: string
  config: string
  sessionConfig?: string
}

export type Direction = 'sendonly' | 'recvonly' | 'inactive'

/** One stream of an answer; `port` 0: it is refused. */
export interface Answered extends Place {
  /** The server is not ready to listen, or does not want to now. */
  listens: boolean
}

/** What recording legs speak: every recording server has one of them, and FreeSWITCH taps no other well. */
const NAMES: Readonly<Record<Codec, string>> = { 0: 'PCMU', 8: 'PCMA' }

/** Of a leg's offer; throws in words. */
export function placeOf(sdp: string): Place {
  const { media, connection } = read(sdp)
  const one = media.find(({ type }) => type === 'audio')
  if (one === undefined || one.port === 0) throw new Error('the offer of the recording leg has no audio')
  const codecs = codecsOf(one.payloads)
  if (codecs.length === 0) throw new Error('the offer of the recording leg has neither PCMU nor PCMA')
  const address = one.connection?.ip ?? connection?.ip
  if (address === undefined) throw new Error('the offer of the recording leg has no address')
  return { address, port: one.port, protocol: one.protocol, crypto: one.crypto ?? [], codecs }
}

/** Whether it says that nothing is sent. */
export const isSilent = (sdp: string): boolean => {
  const { media, direction } = read(sdp)
  return media.every(one => one.port === 0 || ['inactive', 'recvonly'].includes(one.direction ?? direction ?? 'sendrecv'))
}

/** One stream of ours, as a server is told of it; `port` 0: it is there no more. */
export interface Stream {
  place: Place
  label: string
  direction: Direction
}

export function sdpOf(streams: readonly Stream[], { id, version }: Origin): string {
  return write({
    version: 0,
    origin: origin(streams[0]?.place.address ?? '127.0.0.1', { id, version }),
    name: 'callrec',
    timing: { start: 0, stop: 0 },
    media: streams.map(({ place, label, direction }) => ({ ...medium(place, direction), label }) as ReturnType<typeof medium>),
  })
}

/** For one leg: where its audio goes. */
export const legAnswer = (place: Place, direction: Direction, version: Origin): string =>
  write({
    version: 0,
    origin: origin(place.address, version),
    name: 'callrec',
    timing: { start: 0, stop: 0 },
    media: [medium(place, direction)],
  })

/** Of an answer to an offer of these places; throws in words. */
export function answers(sdp: string, offered: readonly Pick<Place, 'codecs'>[]): Answered[] {
  const { media, connection, direction } = read(sdp)
  if (media.length !== offered.length) throw new Error(`its answer has ${media.length} of ${offered.length} m-lines`)
  const found = media.map((one, at): Answered => {
    if (one.type !== 'audio') throw new Error(`its m-line ${at + 1} is not audio`)
    if (one.port === 0) return { address: '', port: 0, protocol: one.protocol, crypto: [], codecs: [], listens: false }
    const [codec] = codecsOf(one.payloads).filter(one => offered[at]?.codecs.includes(one))
    if (codec === undefined) throw new Error('its answer has a codec that was not offered')
    const address = one.connection?.ip ?? connection?.ip
    if (address === undefined) throw new Error('its answer has no address')
    const way = one.direction ?? direction ?? 'sendrecv'
    // The older way to say inactive (RFC 3264 section 8.4).
    const held = address === '0.0.0.0' || address === '::'
    return {
      address,
      port: one.port,
      protocol: one.protocol,
      crypto: one.crypto ?? [],
      codecs: [codec],
      listens: !held && (way === 'recvonly' || way === 'sendrecv'),
    }
  })
  if (found.every(({ port }) => port === 0)) throw new Error('it refused every stream (port 0)')
  return found
}

function read(sdp: string): ReturnType<typeof parse> {
  if (!/^v=0\r?\n/.test(sdp)) throw new Error('its answer is no SDP')
  const parsed = parse(sdp)
  if (!Array.isArray(parsed.media)) throw new Error('its answer is no SDP')
  for (const one of [...parsed.media.map(({ connection }) => connection), parsed.connection]) {
    // A number alone is parsed to one, whatever its type says.
    if (one !== undefined && (typeof one.ip !== 'string' || !/^[A-Za-z0-9.:-]{1,255}$/.test(one.ip))) throw new Error('its answer has no address')
  }
  for (const { port } of parsed.media) if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Error('its answer has no port')
  return parsed
}

const codecsOf = (payloads: string | number | undefined): Codec[] =>
  String(payloads ?? '')
    .split(' ')
    .map(Number)
    .filter(one => one === 0 || one === 8)

const origin = (address: string, { id, version }: Origin) => ({
  username: 'callrec',
  sessionId: id,
  sessionVersion: version,
  netType: 'IN',
  ipVer: ipVersion(address),
  address,
})

const ipVersion = (address: string): number => (address.includes(':') ? 6 : 4)

const medium = ({ address, port, protocol, crypto, codecs }: Place, direction: Direction) => ({
  type: 'audio',
  port,
  protocol,
  payloads: codecs.join(' '),
  connection: { version: ipVersion(address), ip: address },
  rtp: codecs.map(payload => ({ payload, codec: NAMES[payload], rate: 8000 })),
  fmtp: [],
  ptime: 20,
  direction,
  ...(crypto.length === 0 ? {} : { crypto: crypto.map(one => ({ ...one })) }),
})
