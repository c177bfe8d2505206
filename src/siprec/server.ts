// One recording server of a session: its legs at the switch, the dialog that joins them, and what becomes of both. It never throws at
// the session; what went wrong stands in its entry. A server that was lost is called again, with more and more time between.

import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Answer, Outgoing, Session } from '../sip/agent.ts'
import type { Credentials } from '../sip/digest.ts'
import { type Header, header, type Request, type Response } from '../sip/message.ts'
import type { SwitchNode } from '../switch/switch.ts'
import type { ServerEntry } from './document.ts'
import type { Door } from './door.ts'
import { asksForSnapshot, CONTENT_TYPE } from './metadata.ts'
import { find, join, METADATA, SDP } from './multipart.ts'
import { type Answered, answers, type Direction, offer } from './sdp.ts'
import { openTap, type Tap } from './tap.ts'

export interface ServerPorts {
  door: Door
  node: SwitchNode
  /** The wall's: SIP runs by it. */
  clock: Clock
  log: Log
  random: (bytes: number) => string
}

export interface ServerWish {
  uri: string
  /** The leg that is recorded. */
  target: string
  /** What is listened to, stream by stream, and its label. */
  streams: readonly { listens: 'said' | 'heard' | 'both'; label: string }[]
  /** SIP URI of the caller as the server is to see us. */
  from: string
  headers: readonly Header[]
  /** For who is at this URI. */
  credentials: (uri: string) => Promise<Credentials | undefined>
}

export interface ServerEvents {
  /** Of what it is told now. */
  metadata: () => string
  /** Its entry has changed. */
  changed: () => void
  /** It will not come back. */
  lost: () => void
  /** Nothing is to be heard now. */
  hidden: () => boolean
}

export interface Server {
  readonly entry: Readonly<ServerEntry>
  /** True when the server takes the recording. */
  start(): Promise<boolean>
  /** Nothing more leaves the switch, then the server is told. `failed`: the switch did not confirm it, so its legs were ended. */
  hide(): Promise<'confirmed' | 'unconfirmed' | 'failed'>
  show(): Promise<'confirmed' | 'unconfirmed'>
  /** The metadata have changed. */
  update(): Promise<void>
  stop(): Promise<void>
  /** Packets its legs have sent; undefined where that cannot be asked now. */
  sent(): Promise<number | undefined>
}

// Milliseconds.
const ANSWERS_WITHIN = 32_000
const AGAIN_AFTER = [1000, 2000, 4000, 8000, 8000] as const
/** After so long a server counts as having come back. */
const STEADY = 30_000

export function createServer(ports: ServerPorts, wish: ServerWish, events: ServerEvents): Server {
  const { door, clock, log } = ports
  const origin = Number.parseInt(ports.random(4), 16).toString()
  let entry: ServerEntry = { uri: wish.uri, state: 'starting' }
  let version = 0
  let taps: Tap[] = []
  let places: Answered[] = []
  let session: Session | undefined
  let calling: Outgoing | undefined
  let stopped = false
  let losses = 0
  let wait = (): void => {}
  let steady = (): void => {}

  function become(change: Partial<ServerEntry>): void {
    const { reason: _reason, code: _code, ...kept } = entry
    entry = { ...kept, ...change }
    events.changed()
  }

  const fail = async (code: number, reason: string): Promise<false> => {
    const mine = taps.splice(0)
    session = undefined
    log.warn('siprec_server_failed', { uri: wish.uri, code, reason })
    if (!stopped) become({ state: 'failed', code, reason })
    await Promise.all(mine.map(tap => tap.end()))
    return false
  }

  const way = (): Direction => (events.hidden() ? 'inactive' : 'sendonly')
  /** To the leg of a stream: who listens receives. */
  const legWay = (there: Answered): Direction => (events.hidden() || !there.listens ? 'inactive' : 'recvonly')

  function body(): { headers: Header[]; body: Buffer } {
    version++
    const sdp = offer(
      taps.map(tap => tap.place),
      wish.streams.map(({ label }) => label),
      way(),
      { id: origin, version },
    )
    const { contentType, body } = join(
      [
        { contentType: 'application/sdp', text: sdp },
        { contentType: CONTENT_TYPE, disposition: 'recording-session', text: events.metadata() },
      ],
      ports.random(8),
    )
    return { headers: [['Content-Type', contentType]], body }
  }

  async function start(): Promise<boolean> {
    if (stopped) return false
    let agent
    try {
      agent = await door.agent()
      const secure = wish.uri.startsWith('sips:')
      const opened = await Promise.allSettled(wish.streams.map(({ listens }) => openTap(ports, { target: wish.target, listens, secure }, legLost)))
      taps = opened.flatMap(one => (one.status === 'fulfilled' ? [one.value] : []))
      const refused = opened.find(one => one.status === 'rejected')
      if (refused !== undefined) return await fail(500, reasonOf(refused.reason))
    } catch (error) {
      return fail(500, reasonOf(error))
    }
    if (stopped) return fail(487, 'stopped')
    const first = body()
    calling = agent.invite({
      uri: wish.uri,
      from: wish.from,
      headers: [['Require', 'siprec'], ['Accept', `application/sdp, application/rs-metadata, ${CONTENT_TYPE}`], ...wish.headers, ...first.headers],
      body: first.body,
      contactParams: ';+sip.src',
      credentials: wish.credentials,
      patience: ANSWERS_WITHIN,
      events: { asked, refresh: body, ended: (by, reason) => (by === 'ours' ? undefined : dialogLost(by, reason)) },
    })
    const outcome = await calling.outcome
    calling = undefined
    if (!outcome.taken) return fail(outcome.status, outcome.reason)
    session = outcome.session
    try {
      places = read(outcome.response)
    } catch (error) {
      void outcome.session.bye()
      return fail(488, reasonOf(error))
    }
    // It said BYE, or we did, while its answer was read.
    if (stopped || outcome.session.over) return fail(487, 'it was ended at once')
    const answered = taps.map((tap, at) => {
      const there = places[at]
      return there !== undefined && there.port !== 0 ? tap.answer(there, legWay(there)) : void tap.end()
    })
    if (!answered.includes(true)) {
      void outcome.session.bye()
      return fail(500, 'the recording legs of the switch were gone')
    }
    const missing = places.flatMap(({ port }, at) => (port === 0 ? [wish.streams[at]?.label ?? ''] : []))
    become({
      state: events.hidden() ? 'paused' : 'recording',
      media: places.every(({ port, crypto }) => port === 0 || crypto.length > 0) ? 'srtp' : 'clear',
      ...(missing.length === 0 ? {} : { reason: `it does not take stream ${missing.join(', ')}` }),
    })
    steady = clock.after(STEADY, () => (losses = 0))
    return true
  }

  /** Throws in words. */
  function read(response: Response | Request): Answered[] {
    const sdp = find(header(response, 'content-type') ?? '', response.body, SDP)
    if (sdp === undefined) throw new Error('its answer is no SDP')
    const found = answers(
      sdp,
      taps.map(tap => tap.place),
    )
    const forbidden = found.find(({ address, port }) => port !== 0 && !door.permits(address))
    if (forbidden !== undefined) throw new Error(`it wants audio at ${forbidden.address}, which is not allowed`)
    return found
  }

  /** What the server asks in its dialog: a snapshot, or its streams elsewhere, or silent. */
  function asked(request: Request): Answer | undefined {
    const type = header(request, 'content-type') ?? ''
    const metadata = find(type, request.body, METADATA)
    const sdp = find(type, request.body, SDP)
    if (metadata !== undefined && asksForSnapshot(metadata)) void update()
    if (request.method !== 'INVITE' && request.method !== 'UPDATE')
      return request.method === 'INFO' ? { status: metadata === undefined ? 415 : 200 } : undefined
    if (sdp === undefined) return request.method === 'UPDATE' ? { status: 200 } : { status: 200, ...plain() }
    try {
      places = read(request)
    } catch (error) {
      log.warn('siprec_offer_refused', { uri: wish.uri, reason: reasonOf(error) })
      return { status: 488 }
    }
    void Promise.all(taps.map(async (tap, at) => redirect(tap, at)))
    return { status: 200, ...plain() }
  }

  function plain(): { headers: Header[]; body: Buffer } {
    version++
    const labels = wish.streams.map(({ label }) => label)
    const sdp = offer(
      taps.map(tap => tap.place),
      labels,
      way(),
      { id: origin, version },
    )
    return { headers: [['Content-Type', 'application/sdp']], body: Buffer.from(sdp) }
  }

  async function redirect(tap: Tap, at: number): Promise<boolean> {
    const there = places[at]
    return there === undefined || there.port === 0 || tap.redirect(there, legWay(there))
  }

  function legLost(): void {
    if (session === undefined || stopped) return
    const one = session
    session = undefined
    void one.bye()
    again('a recording leg of the switch is gone')
  }

  function dialogLost(by: string, reason: string): void {
    session = undefined
    if (!stopped) again(by === 'bye' ? `the server ended it: ${reason}` : reason)
  }

  function again(reason: string): void {
    steady()
    const mine = taps.splice(0)
    void Promise.all(mine.map(tap => tap.end()))
    const after = AGAIN_AFTER[losses++]
    log.warn('siprec_server_lost', { uri: wish.uri, reason, ...(after === undefined ? {} : { again_in_ms: after }) })
    if (after === undefined) {
      become({ state: 'failed', reason })
      return events.lost()
    }
    become({ state: 'waiting', reason })
    wait = clock.after(after, () => {
      start().then(
        taken => {
          if (!taken && !stopped) again(entry.reason ?? 'it did not take it again')
        },
        (error: unknown) => log.error('siprec_server_failed', { uri: wish.uri, reason: reasonOf(error) }),
      )
    })
  }

  async function tell(): Promise<boolean> {
    if (session === undefined) return false
    const answer = await session.ask('INVITE', body())
    if (answer.status >= 300) return false
    try {
      places = read(answer)
      return true
    } catch (error) {
      log.warn('siprec_answer_refused', { uri: wish.uri, reason: reasonOf(error) })
      return false
    }
  }

  async function update(): Promise<void> {
    if (session === undefined) return
    const before = places
    if (!(await tell())) return stopped ? undefined : become({ ...entry, reason: 'it did not take the new metadata' })
    // It may have taken the occasion to have its audio elsewhere.
    if (!isDeepStrictEqual(before, places)) await Promise.all(taps.map(async (tap, at) => redirect(tap, at)))
  }

  const server: Server = {
    get entry() {
      return entry
    },
    start,
    async hide() {
      if (session === undefined) return 'confirmed'
      const silent = await Promise.all(taps.map(async (tap, at) => redirect(tap, at)))
      if (silent.includes(false)) {
        // What may still be sending is ended: nothing is better than what must not be heard.
        const one = session
        session = undefined
        void one.bye()
        await fail(500, 'the switch did not confirm the pause, so its recording legs were ended')
        events.lost()
        return 'failed'
      }
      const told = await tell()
      become({ state: 'paused', ...(told ? {} : { reason: 'the server did not confirm the pause; nothing is sent to it' }) })
      return told ? 'confirmed' : 'unconfirmed'
    },
    async show() {
      if (session === undefined) return 'confirmed'
      const told = await tell()
      const heard = await Promise.all(taps.map(async (tap, at) => redirect(tap, at)))
      const confirmed = told && !heard.includes(false)
      become({ state: 'recording', ...(confirmed ? {} : { reason: 'the end of the pause was not confirmed' }) })
      return confirmed ? 'confirmed' : 'unconfirmed'
    },
    update,
    async stop() {
      stopped = true
      wait()
      steady()
      calling?.cancel()
      const one = session
      session = undefined
      if (entry.state !== 'failed') become({ state: 'stopped' })
      await Promise.all([one?.bye(), ...taps.splice(0).map(tap => tap.end())])
    },
    async sent() {
      // Who does not listen is sent nothing, and that is no fault.
      if (!places.some(({ listens }) => listens)) return undefined
      try {
        const counts = await Promise.all(taps.map(tap => ports.node.packetsSent(tap.uuid)))
        return counts.reduce((sum, count) => sum + count, 0)
      } catch (error) {
        log.debug('siprec_packets_unknown', { uri: wish.uri, reason: reasonOf(error) })
        return undefined
      }
    },
  }
  return server
}
