// A recording server as a test's peer: takes SIPREC calls over real sockets, notes every breach of RFC 7866 and 7865 that it sees, and
// writes what it hears as one WAV for each label. What it answers with can be told, so that it can be a bad one, too.

import { createHash, randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'sdp-transform'
import { systemClock } from '../../src/clock.ts'
import { silent } from '../../src/log.ts'
import { createAgent, type IncomingCall, type Session } from '../../src/sip/agent.ts'
import type { Credentials } from '../../src/sip/digest.ts'
import { answerTo, format, type Header, header, headersOf, isMalformed, parse as parseSip, type Request, withToTag } from '../../src/sip/message.ts'
import { openSockets, type Sockets } from '../../src/sip/sockets.ts'
import type { Transport } from '../../src/sip/transport.ts'
import { find, METADATA, SDP } from '../../src/siprec/multipart.ts'
import { readWav, type Wav, wavOf } from './audio.ts'
import { schemaFaults } from './rs-metadata.ts'

export interface Heard {
  label: string
  /** 16 bit, 8000 Hz; silence where no packet came. */
  pcm: Int16Array
  packets: number
  /** Payload types that came. */
  codecs: Set<number>
}

export interface Recorded {
  readonly request: Request
  readonly session: Session | undefined
  /** Its offers, in the order they came. */
  readonly requests: readonly Request[]
  readonly metadata: readonly string[]
  /** Each offer's direction of its streams. */
  readonly directions: readonly (readonly string[])[]
  readonly heard: readonly Heard[]
  ended: string | undefined
  /** The server's own re-INVITE or UPDATE. */
  ask(method: string, headers: readonly Header[], body: string): Promise<number>
  sdp(direction?: string): string
}

export interface RecordingServer {
  uri: string
  port: number
  calls: readonly Recorded[]
  /** What it saw that a standard forbids. */
  breaches: readonly string[]
  /** Writes what it heard, a WAV for each label; the folder goes with the test. */
  wavs(call: Recorded): Promise<Readonly<Record<string, Wav>>>
  /** Holds all metadata to the schema too. */
  check(): Promise<string[]>
}

export interface Behaviour {
  /** Instead of an answer: refuse with this status, or never answer (0). */
  refuse?: (call: number) => number | undefined
  /** Makes of its good SDP a bad one. */
  spoil?: (sdp: string) => string
  /** After it took a call. */
  taken?: (call: Recorded) => void
  /** What it answers re-INVITEs with. */
  reinvite?: (request: Request) => number
  /** From then on it says nothing to anybody, whatever comes. */
  deaf?: () => boolean
  host?: string
  /** Whom it lets in: every INVITE is asked for them, with this status. */
  demands?: Credentials & { status: 401 | 407 }
}

type Test = { teardown(run: () => unknown): void }

export async function recordingServer(t: Test, behaviour: Behaviour = {}): Promise<RecordingServer> {
  const clock = systemClock()
  const breaches: string[] = []
  const calls: Recorded[] = []
  const sockets = await openSockets({ host: '127.0.0.1', port: 0, clock, log: silent })
  const agent = createAgent({
    transport: siprecAware(sockets, breaches, behaviour),
    clock,
    log: silent,
    random: bytes => randomBytes(bytes).toString('hex'),
    dns: { srv: async () => [], addresses: async () => ['127.0.0.1'] },
    advertised: { host: '127.0.0.1', port: sockets.port },
    name: 'recording server',
    onCall: call => void take(call),
  })
  const streams: Socket[] = []
  let closed = false
  t.teardown(async () => {
    closed = true
    for (const one of streams) one.close()
    await agent.close()
    await sockets.close()
  })

  async function take(call: IncomingCall): Promise<void> {
    const status = behaviour.refuse?.(calls.length)
    const { request } = call
    const recorded = await record(request)
    if (closed) return
    calls.push(recorded)
    call.onCancel(() => (recorded.ended = 'cancelled'))
    if (status === 0) return
    if (status !== undefined) return call.refuse(status)
    const answer = (body: string): [Header[], Buffer] => [[['Content-Type', 'application/sdp']], Buffer.from(behaviour.spoil?.(body) ?? body)]
    const [headers, body] = answer(recorded.sdp())
    recorded.session = call.answer(headers, body, {
      asked(again) {
        const refused = again.method === 'INVITE' ? behaviour.reinvite?.(again) : undefined
        if (refused !== undefined) return { status: refused }
        look(again, recorded)
        const [headers, body] = answer(recorded.sdp())
        return { status: 200, headers, body }
      },
      refresh: () => ({ headers: [['Content-Type', 'application/sdp']], body: Buffer.from(recorded.sdp()) }),
      ended: by => (recorded.ended = by),
    })
    behaviour.taken?.(recorded)
  }

  type Mutable = { -readonly [K in keyof Recorded]: Recorded[K] }

  async function record(request: Request): Promise<Mutable> {
    let version = 0
    const heard: Heard[] = []
    const ports: number[] = []
    const recorded: Mutable = {
      request,
      session: undefined,
      requests: [],
      metadata: [],
      directions: [],
      heard,
      ended: undefined,
      async ask(method, headers, body) {
        const answer = await recorded.session?.ask(method, { headers, body: Buffer.from(body) })
        return answer?.status ?? 0
      },
      sdp(direction) {
        const way = recorded.directions.at(-1) ?? []
        const media = ports.map(
          (port, at) => `m=audio ${port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=${direction ?? (way[at] === 'inactive' ? 'inactive' : 'recvonly')}\r\n`,
        )
        return `v=0\r\no=srs 1 ${++version} IN IP4 127.0.0.1\r\ns=srs\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n${media.join('')}`
      },
    }
    look(request, recorded)
    const offered = parse(find(header(request, 'content-type') ?? '', request.body, SDP) ?? '')
    for (const stream of offered.media) {
      const one: Heard = { label: String((stream as { label?: string | number }).label ?? ''), pcm: new Int16Array(0), packets: 0, codecs: new Set() }
      heard.push(one)
      const socket = createSocket('udp4')
      await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
      // Its test has ended meanwhile.
      if (closed) {
        socket.close()
        return recorded
      }
      streams.push(socket)
      ports.push(socket.address().port)
      let first: number | undefined
      socket.on('message', packet => {
        const codec = (packet[1] ?? 0) % 128
        if (packet.length < 13 || packet[0] !== 0x80 || (codec !== 0 && codec !== 8)) return
        const at = packet.readUInt32BE(4)
        first ??= at
        one.packets++
        one.codecs.add(codec)
        put(one, at - first, packet.subarray(12), codec === 8 ? linearA : linear)
      })
    }
    return recorded
  }

  /** Everything a recording client must keep to, in each of its offers. */
  function look(request: Request, recorded: { requests: readonly Request[]; metadata: readonly string[]; directions: readonly (readonly string[])[] }): void {
    const breach = (what: string): void => void breaches.push(`${request.method}: ${what}`)
    const type = header(request, 'content-type') ?? ''
    const sdp = find(type, request.body, SDP)
    const metadata = find(type, request.body, METADATA)
    const contact = headersOf(request, 'contact')[0] ?? ''
    if (!/>\s*;\s*\+sip\.src/.test(contact)) breach('+sip.src is not a parameter of the Contact header')
    if (sdp === undefined) return
    recorded.requests = [...recorded.requests, request]
    const { media, direction } = parse(sdp)
    const labels = media.map(one => (one as { label?: unknown }).label)
    if (labels.includes(undefined)) breach('a stream without a label')
    if (new Set(labels).size !== labels.length) breach('a label stands twice')
    recorded.directions = [...recorded.directions, media.map(one => one.direction ?? direction ?? 'sendrecv')]
    for (const one of media) if (!['sendonly', 'inactive'].includes(one.direction ?? direction ?? 'sendrecv')) breach(`a stream that is ${one.direction}`)
    if (metadata === undefined) {
      if (/multipart/i.test(type)) breach('multipart without metadata')
      return
    }
    if (!/^multipart\/mixed/i.test(type)) breach('SDP and metadata together are not multipart/mixed')
    if (!/Content-Disposition: recording-session/i.test(request.body.toString())) breach('metadata without Content-Disposition: recording-session')
    for (const label of labels) if (!metadata.includes(`<label>${String(label)}</label>`)) breach(`label ${String(label)} is not in the metadata`)
    recorded.metadata = [...recorded.metadata, metadata]
  }

  return {
    uri: `sip:${behaviour.host ?? '127.0.0.1'}:${sockets.port}`,
    port: sockets.port,
    calls,
    breaches,
    async wavs({ heard }) {
      const folder = await mkdtemp(join(tmpdir(), 'callrec-srs-'))
      t.teardown(() => rm(folder, { recursive: true, force: true }))
      const files = await Promise.all(
        heard.map(async ({ label, pcm }) => {
          const file = join(folder, `${label}.wav`)
          await writeFile(file, wavOf(pcm))
          return [label, readWav(file)] as const
        }),
      )
      return Object.fromEntries(files)
    },
    async check() {
      const documents = calls.flatMap(one => one.metadata)
      return [...breaches, ...(documents.length === 0 ? ['no metadata came at all'] : await schemaFaults(...documents))]
    },
  }
}

/** The agent knows no SIPREC, so it would refuse `Require: siprec` with 420: here it is taken off before the agent sees it. */
function siprecAware(sockets: Sockets, breaches: string[], { demands, deaf = () => false }: Behaviour): Transport {
  return {
    send: (bytes, target) => sockets.send(bytes, target),
    close: () => sockets.close(),
    onMessage(listener) {
      sockets.onMessage((bytes, from) => {
        if (deaf()) return
        const message = parseSip(bytes)
        if (demands !== undefined && 'method' in message && message.method === 'INVITE' && !isLetIn(message, demands)) {
          const [status, name]: [number, string] = demands.status === 401 ? [401, 'WWW-Authenticate'] : [407, 'Proxy-Authenticate']
          const challenge: Header = [name, `Digest realm="srs", qop="auth", algorithm=SHA-256, nonce="${randomBytes(8).toString('hex')}"`]
          return from.reply(format(withToTag(answerTo(message, status, 'Who are you', [challenge]), 'gate')))
        }
        if (isMalformed(message)) breaches.push(`a message that cannot be read: ${message.fault}`)
        else if ('method' in message && message.method === 'INVITE' && !header(message, 'to')?.includes('tag=')) {
          if (header(message, 'require') !== 'siprec') breaches.push('INVITE: no Require: siprec')
          const headers = message.headers.map(([name, value]): Header => (name === 'Require' ? ['X-Require', value] : [name, value]))
          return listener(format({ ...message, headers }), from)
        }
        listener(bytes, from)
      })
    },
  }
}

/** RFC 7616 section 3.4.1, with any nonce. */
function isLetIn(request: Request, { username, password, status }: Credentials & { status: number }): boolean {
  const given = header(request, status === 401 ? 'authorization' : 'proxy-authorization') ?? ''
  const field = (name: string): string => new RegExp(`[ ,]${name}="?([^",]*)"?`).exec(given)?.[1] ?? ''
  const hash = (...parts: string[]): string => createHash('sha256').update(parts.join(':')).digest('hex')
  const expected = hash(hash(username, 'srs', password), field('nonce'), field('nc'), field('cnonce'), 'auth', hash(request.method, field('uri')))
  return field('username') === username && field('uri') === request.uri && field('response') === expected
}

function put(one: Heard, at: number, payload: Buffer, linear: (code: number) => number): void {
  const end = at + payload.length
  if (at < 0 || end > 8000 * 3600) return
  if (end > one.pcm.length) {
    const longer = new Int16Array(Math.max(end, Math.min(2 * one.pcm.length, 8000 * 3600)))
    longer.set(one.pcm)
    one.pcm = longer
  }
  for (let i = 0; i < payload.length; i++) one.pcm[at + i] = linear(payload[i] ?? 0)
}

/** ITU-T G.711, µ-law. */
function linear(code: number): number {
  const value = ~code & 0xff
  const magnitude = (((value & 0x0f) << 3) + 0x84) << ((value & 0x70) >> 4)
  return value & 0x80 ? 0x84 - magnitude : magnitude - 0x84
}

/** ITU-T G.711, A-law. */
function linearA(code: number): number {
  const value = code ^ 0x55
  const [exponent, mantissa] = [(value & 0x70) >> 4, (value & 0x0f) << 4]
  const magnitude = exponent === 0 ? mantissa + 8 : (mantissa + 0x108) << (exponent - 1)
  return value & 0x80 ? magnitude : -magnitude
}
