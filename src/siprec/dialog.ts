// One dialog with a recording server: the legs of the switch that it hears, and the call to it that joins them, from its INVITE to its
// BYE. What becomes of a server over several of them is said elsewhere.

import { isDeepStrictEqual } from 'node:util'
import { type Clock, within } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Answer, Offer, Outgoing, Session } from '../sip/agent.ts'
import type { Credentials } from '../sip/digest.ts'
import { type Header, header, type Request, type Response } from '../sip/message.ts'
import type { SwitchNode } from '../switch/switch.ts'
import type { Door } from './door.ts'
import { asksForSnapshot, CONTENT_TYPE } from './metadata.ts'
import { find, join, METADATA, SDP } from './multipart.ts'
import { type Refusal, refusalOf } from './refusal.ts'
import { type Answered, answers, type Direction, sdpOf } from './sdp.ts'
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

export interface DialogEvents {
  /** Of what it is told now. */
  metadata: () => string
  /** Nothing is to be heard now. */
  hidden: () => boolean
  /** It did not take what it was told. */
  outdated: () => void
  /** Other streams than before are missing. */
  changed: () => void
  /** It stood, and is over though nobody here ended it. */
  lost: (reason: string) => void
}

export interface Dialog {
  /** The server knows whether it is to hear anything now, or was told so and did not confirm it. */
  readonly isTold: boolean
  readonly media: 'srtp' | 'clear'
  /** Labels of the streams that the server does not take. */
  readonly missing: readonly string[]
  /** Nothing more leaves the switch, then the server is told. `failed`: the switch did not confirm it, so all of it was ended. */
  hide(): Promise<'confirmed' | 'unconfirmed' | 'failed'>
  show(): Promise<'confirmed' | 'unconfirmed'>
  /** The metadata have changed. */
  update(): Promise<void>
  end(): Promise<void>
  /** Packets its legs have sent; undefined where that cannot be asked now. */
  sent(): Promise<number | undefined>
}

export interface Calling {
  outcome: Promise<{ dialog: Dialog } | { refused: Refusal }>
  /** Nobody waits for it any more: it is refused with 487. */
  cancel(): Promise<void>
}

// Milliseconds.
const ANSWERS_WITHIN = 32_000
/** For so long whoever pauses a call waits for a server that says nothing. */
const CONFIRMS_WITHIN = 2000

/** No fault of the server. */
const ours = (error: unknown): Refusal => ({ code: 500, reason: reasonOf(error), again: 0 })

export function callServer(ports: ServerPorts, wish: ServerWish, events: DialogEvents): Calling {
  const { door, log } = ports
  const origin = Number.parseInt(ports.random(4), 16).toString()
  const labels = wish.streams.map(({ label }) => label)
  let version = 0
  let told: Direction | undefined
  let taps: Tap[] = []
  let places: Answered[] = []
  let session: Session | undefined
  let calling: Outgoing | undefined
  let stands = false
  let cancelled = false

  const way = (): Direction => (events.hidden() ? 'inactive' : 'sendonly')
  /** To the leg of a stream: who listens receives. */
  const legWay = (there: Answered): Direction => (events.hidden() || !there.listens ? 'inactive' : 'recvonly')

  async function end(): Promise<void> {
    stands = false
    const one = session
    session = undefined
    await Promise.all([one?.bye(), ...taps.splice(0).map(tap => tap.end())])
  }

  function lose(reason: string): void {
    // Of what does not stand yet its outcome tells.
    if (!stands) return
    void end()
    events.lost(reason)
  }

  const refuse = (refused: Refusal): { refused: Refusal } => {
    void end()
    return { refused }
  }

  function sdp(direction: (at: number) => Direction): string {
    version++
    told = way()
    return sdpOf(
      taps.map(({ place, over }, at) => ({ place: over ? { ...place, port: 0 } : place, label: labels[at] ?? '', direction: direction(at) })),
      { id: origin, version },
    )
  }

  const plain = (direction: (at: number) => Direction): Offer => ({
    headers: [['Content-Type', 'application/sdp']],
    body: Buffer.from(sdp(direction)),
  })

  /** What the server offers is not answered with more (RFC 3264 section 6.1). */
  const toOffer = (): Offer => plain(at => (places[at]?.listens === true ? way() : 'inactive'))

  function whole(): { headers: Header[]; body: Buffer } {
    const { contentType, body } = join(
      [
        { contentType: 'application/sdp', text: sdp(way) },
        { contentType: CONTENT_TYPE, disposition: 'recording-session', text: events.metadata() },
      ],
      ports.random(8),
    )
    return { headers: [['Content-Type', contentType]], body }
  }

  async function open(): Promise<{ dialog: Dialog } | { refused: Refusal }> {
    let agent
    try {
      agent = await door.agent()
      const secure = wish.uri.startsWith('sips:')
      const opened = await Promise.allSettled(
        wish.streams.map(({ listens }) => openTap(ports, { target: wish.target, listens, secure }, () => lose('a recording leg of the switch is gone'))),
      )
      taps = opened.flatMap(one => (one.status === 'fulfilled' ? [one.value] : []))
      const failed = opened.find(one => one.status === 'rejected')
      if (failed !== undefined) return refuse(ours(failed.reason))
    } catch (error) {
      return refuse(ours(error))
    }
    if (cancelled) return refuse({ code: 487, reason: 'stopped' })
    const first = whole()
    calling = agent.invite({
      uri: wish.uri,
      from: wish.from,
      headers: [['Require', 'siprec'], ['Accept', `application/sdp, application/rs-metadata, ${CONTENT_TYPE}`], ...wish.headers, ...first.headers],
      body: first.body,
      contactParams: ';+sip.src',
      credentials: wish.credentials,
      patience: ANSWERS_WITHIN,
      events: {
        asked,
        refresh: () => ({ ...whole(), answered: heard }),
        ended: (by, reason) => (by === 'ours' ? undefined : lose(by === 'bye' ? `the server ended it: ${reason}` : reason)),
      },
    })
    const outcome = await calling.outcome
    if (!outcome.taken) return refuse(refusalOf(outcome))
    session = outcome.session
    try {
      places = read(outcome.response)
    } catch (error) {
      return refuse({ code: 488, reason: reasonOf(error) })
    }
    if (cancelled) return refuse({ code: 487, reason: 'stopped' })
    // It said BYE while its answer was read.
    if (outcome.session.over) return refuse({ code: 487, reason: 'it was ended at once', again: 0 })
    const answered = taps.map((tap, at) => {
      const there = places[at]
      return there !== undefined && there.port !== 0 ? tap.answer(there, legWay(there)) : void tap.end()
    })
    if (answered.includes(false)) return refuse(ours(new Error('a recording leg of the switch was gone')))
    stands = true
    return { dialog }
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

  /** What the server asks: a snapshot, or its streams elsewhere, or silent. */
  function asked(request: Request): Answer | undefined {
    const type = header(request, 'content-type') ?? ''
    const metadata = find(type, request.body, METADATA)
    if (metadata !== undefined && asksForSnapshot(metadata)) void dialog.update()
    if (request.method !== 'INVITE' && request.method !== 'UPDATE')
      return request.method === 'INFO' ? { status: metadata === undefined ? 415 : 200 } : undefined
    if (find(type, request.body, SDP) === undefined) return request.method === 'UPDATE' ? { status: 200 } : { status: 200, ...plain(way), acknowledged: heard }
    if (!heeds(request)) return { status: 488 }
    void redirect()
    return { status: 200, ...toOffer() }
  }

  /** What the switch confirmed, leg by leg. A stream that the server takes no more is over. */
  const redirect = (): Promise<boolean[]> =>
    Promise.all(
      taps.map(async (tap, at) => {
        const there = places[at]
        if (tap.over || there === undefined) return true
        if (there.port !== 0) return tap.redirect(there, legWay(there))
        const ended = tap.end()
        events.changed()
        await ended
        return true
      }),
    )

  /** False where what it says of its streams cannot be done. */
  function heeds(message: Response | Request): boolean {
    // It has ended meanwhile.
    if (taps.length === 0) return false
    try {
      places = read(message)
      return true
    } catch (error) {
      log.warn('siprec_sdp_refused', { uri: wish.uri, reason: reasonOf(error) })
      return false
    }
  }

  /** It answers what we offered because it asked us to: with an ACK, or as the session timer had it told again. */
  function heard(message: Response | Request): void {
    const before = places
    if (heeds(message) && !isDeepStrictEqual(before, places)) void redirect()
  }

  async function tell(): Promise<boolean> {
    if (session === undefined) return false
    const answer = await session.ask('INVITE', whole())
    return answer.status < 300 && heeds(answer)
  }

  /** As tell(); what a later answer says of its streams is done then. */
  async function tellSoon(): Promise<boolean> {
    const telling = tell()
    try {
      return await within(ports.clock, CONFIRMS_WITHIN, telling)
    } catch {
      void telling.then(redirect, () => {})
      return false
    }
  }

  const dialog: Dialog = {
    get isTold() {
      return told === way()
    },
    get media() {
      return places.every(({ port, crypto }) => port === 0 || crypto.length > 0) ? 'srtp' : 'clear'
    },
    get missing() {
      return taps.flatMap(({ over }, at) => (over ? [labels[at] ?? ''] : []))
    },
    async hide() {
      if ((await redirect()).includes(false)) {
        // What may still be sending is ended: nothing is better than what must not be heard.
        void end()
        return 'failed'
      }
      return (await tellSoon()) ? 'confirmed' : 'unconfirmed'
    },
    async show() {
      const told = await tellSoon()
      const heard = await redirect()
      return told && !heard.includes(false) ? 'confirmed' : 'unconfirmed'
    },
    async update() {
      if (session === undefined) return
      const before = places
      if (!(await tell())) return stands ? events.outdated() : undefined
      // It may have taken the occasion to have its audio elsewhere.
      if (!isDeepStrictEqual(before, places)) await redirect()
    },
    end,
    async sent() {
      // Who does not listen is sent nothing, and that is no fault.
      if (!places.some(({ listens }) => listens)) return undefined
      try {
        const counts = await Promise.all(taps.filter(({ over }) => !over).map(({ uuid }) => ports.node.packetsSent(uuid)))
        return counts.reduce((sum, count) => sum + count, 0)
      } catch (error) {
        log.debug('siprec_packets_unknown', { uri: wish.uri, reason: reasonOf(error) })
        return undefined
      }
    },
  }

  return {
    outcome: open(),
    async cancel() {
      cancelled = true
      calling?.cancel()
      await end()
    },
  }
}
