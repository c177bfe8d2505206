// A dialog that stands: what either side may ask in it, one thing at a time, until one of them ends it or falls silent.

import { pause } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import { ALLOW, authorizationOf, authorised, type Core, deliver, renumbered, retryAfterMs, sizeOf, type Standing, SUPPORTED } from './core.ts'
import { type Dialog, dialogId, heard, nextHop, nextRequest, refreshed } from './dialog.ts'
import type { Credentials } from './digest.ts'
import { cseqOf, type Header, header, headersOf, isRequest, type Request, type Response, REASONS } from './message.ts'
import { agreed, granted, kept, SHORTEST, type SessionTimer, waitOf } from './session-timer.ts'
import { createTimers } from './timers.ts'
import type { Exchange } from './transactions.ts'
import type { Target } from './transport.ts'
import { parseUri } from './uri.ts'

export interface Answer {
  status: number
  headers?: readonly Header[]
  body?: Buffer
  /** Where it was an offer, because the request had none: the ACK has the answer. */
  acknowledged?: (ack: Request) => void
}

export interface Offer {
  headers?: readonly Header[]
  body?: Buffer
}

export interface SessionEvents {
  /** A re-INVITE, UPDATE, INFO or other request; undefined refuses what is not known (405). */
  asked(request: Request): Answer | undefined
  /** What a re-INVITE says that changes nothing, for a server that wants to be told that we are there. */
  refresh(): Offer & { answered?: (answer: Response) => void }
  /** Once. `bye`: the other side ended it; `lost`: it does not answer or forgot the dialog; `ours`: bye(). */
  ended(by: 'bye' | 'lost' | 'ours', reason: string): void
}

export interface Session extends Standing {
  readonly id: string
  readonly over: boolean
  /** The answer is final; a dialog that is over answers 481 by itself. Waits its turn, for an ACK that is due, and out of the way of the other side's own (491). */
  ask(method: string, offer?: Offer): Promise<Response>
}

export interface Beginning {
  dialog: Dialog
  /** Where the other side was reached, or came from. */
  target: Target
  /** What of the first exchange the other side said. */
  first: Request | Response
  /** An ACK is due: it was us who answered. */
  answered: Exchange | undefined
  timer: SessionTimer | undefined
  contactParams: string
  credentials: (() => Promise<Credentials | undefined>) | undefined
  /** What does not fit a datagram reached it in one all the same, so nobody listens for streams there. */
  datagramsAlone?: boolean
  /** What a server was told of who calls, in the INVITE that it took. */
  authorization?: readonly Header[]
  events: SessionEvents
}

const MOST_TRIES = 6
/** Requests of the other side in a window of so many milliseconds; more are put off (RFC 3261 section 14.2). */
const MOST_ASKED = 30
const WINDOW = 10_000
/** Milliseconds: longer than this nobody waits who was told to come again. */
const LONGEST_WAIT = 10_000

export function createSession(
  core: Core,
  {
    dialog: first,
    target,
    first: said,
    answered,
    contactParams,
    credentials,
    datagramsAlone = false,
    authorization = [],
    events,
    timer: agreedFirst,
  }: Beginning,
): Session {
  const timers = createTimers(core.clock)
  const gone = new AbortController()
  /** Who made the dialog waits longer after a 491, so that the two do not meet again (section 14.1). */
  const caller = answered === undefined
  const allowsUpdate = headersOf(said, 'allow').some(one => one.toUpperCase() === 'UPDATE')
  let dialog = first
  let timer: SessionTimer | undefined
  let turn: Promise<unknown> = Promise.resolve()
  let asking = false
  let over = false
  let asks = 0
  /** By the number of its INVITE: a copy of the answer gets a copy of the ACK. */
  const acks = new Map<number, () => void>()
  let unacknowledged: { number: number; exchange: Exchange; heard: (ack: Request) => void } | undefined
  let acknowledged = (): void => {}
  let confirmed: Promise<void> = Promise.resolve()

  function awaitAck(exchange: Exchange, heard: (ack: Request) => void = () => {}): void {
    unacknowledged = { number: cseqOf(exchange.request)?.number ?? 0, exchange, heard }
    confirmed = new Promise(resolve => {
      acknowledged = resolve
    })
    exchange.onUnacknowledged(() => {
      if (!over) void byeNow('our answer was never acknowledged')
    })
  }

  function end(by: 'bye' | 'lost' | 'ours', reason: string): void {
    if (over) return
    over = true
    timers.clear()
    core.sessions.delete(session.id)
    gone.abort()
    acknowledged()
    events.ended(by, reason)
  }

  async function byeNow(reason: string): Promise<void> {
    const bye = say('BYE', {}, undefined)
    end('lost', reason)
    await bye
  }

  const targets = async (bytes: number): Promise<Target[]> => {
    const uri = nextHop(dialog)
    const parsed = parseUri(uri)
    const plain = parsed !== undefined && !parsed.params.has('transport') && !parsed.secure
    // Who answers over a stream and forgets to say so in his Contact means the stream.
    const found = await core
      .targets(plain && (datagramsAlone || target.protocol !== 'udp') ? `${uri};transport=${target.protocol}` : uri, bytes)
      .catch(() => [])
    const same = found.map(one => (one.address === target.address ? { ...one, name: target.name } : one))
    return same.length > 0 ? same : [target]
  }

  /** One request, one answer; undefined when nobody answered. What goes wrong here is as good as refused: nobody may wait for it. */
  const say = (method: string, offer: Offer, signal: AbortSignal | undefined): Promise<Response | undefined> =>
    sayNow(method, offer, signal).catch((error: unknown) => {
      core.log.error('sip_request_failed', { method, reason: reasonOf(error) })
      return local(500)
    })

  async function sayNow(method: string, { headers = [], body }: Offer, signal: AbortSignal | undefined): Promise<Response | undefined> {
    const refreshes = method === 'INVITE' || method === 'UPDATE'
    const built = nextRequest(dialog, method, [...headers, ['User-Agent', core.name], ...(refreshes ? [ALLOW, SUPPORTED, ...kept(timer)] : [])], body)
    dialog = built.dialog
    let request = built.request
    for (let tries = 0; ; tries++) {
      const where = await targets(sizeOf(request))
      const delivered = await deliver(core, request, where, {
        headers: one => (refreshes ? [core.contact(one, contactParams)] : []),
        again: (_, sent) => acks.get(cseqOf(sent)?.number ?? 0)?.(),
        ...(signal === undefined ? {} : { signal }),
      })
      if (delivered.answer === undefined) return undefined
      const { answer } = delivered
      const number = cseqOf(request)?.number ?? 0
      if (answer.status < 300) {
        if (refreshes) dialog = refreshed(dialog, answer)
        if (method === 'INVITE') acknowledge(number, where, authorizationOf(request))
        if (refreshes) watch(agreed(answer))
        return answer
      }
      const again = tries === 0 ? await authorised(core, request, answer, credentials) : undefined
      if (again === undefined) return answer
      dialog = { ...dialog, localSeq: dialog.localSeq + 1 }
      request = renumbered(again, dialog.localSeq)
    }
  }

  /** With what its INVITE said of who calls (section 13.2.2.4). */
  function acknowledge(number: number, where: readonly Target[], credentials: readonly Header[]): void {
    const { request } = nextRequest(dialog, 'ACK', [['User-Agent', core.name], ...credentials], undefined, number)
    const send = (): void => {
      targets(0)
        .then(([one = where[0]]) => one && core.transactions.send(request, one))
        .catch((error: unknown) => core.log.warn('sip_message_not_sent', { method: 'ACK', reason: reasonOf(error) }))
    }
    acks.set(number, send)
    send()
  }

  async function inTurn(method: string, offer: Offer): Promise<Response> {
    for (let tries = 1; ; tries++) {
      await confirmed
      if (over) return local(481)
      asking = true
      const answer = await say(method, offer, gone.signal).finally(() => {
        asking = false
      })
      if (answer === undefined || answer.status === 481 || answer.status === 408) {
        end('lost', answer === undefined ? 'the other side does not answer' : 'the other side does not know the dialog')
        return answer ?? local(408)
      }
      const again = answer.status === 491 ? glare() : answer.status === 500 || answer.status === 503 ? retryAfterMs(answer) : undefined
      if (again === undefined || again > LONGEST_WAIT || tries >= MOST_TRIES) return answer
      await pause(core.clock, again, gone.signal)
    }
  }

  const glare = (): number => (caller ? 2100 + Math.floor(core.chance() * 190) * 10 : Math.floor(core.chance() * 200) * 10)

  const local = (status: number): Response => ({ status, reason: REASONS[status] ?? '', headers: [], body: Buffer.alloc(0) })

  /** The refresh of a session timer, or its end. */
  function watch(next: SessionTimer | undefined): void {
    timers.cancel('session')
    timer = next
    if (next === undefined || over) return
    timers.set('session', waitOf(next), () => {
      if (next.refresher === 'them') return void byeNow('the session timer ran out')
      void refresh()
    })
  }

  async function refresh(): Promise<void> {
    const short = allowsUpdate ? await session.ask('UPDATE') : undefined
    if (over || (short !== undefined && short.status < 300)) return
    const { answered, ...offer } = events.refresh()
    const long = await session.ask('INVITE', offer)
    if (over) return
    if (long.status >= 300) await byeNow(`the refresh was refused with ${long.status}`)
    else answered?.(long)
  }

  function invited(exchange: Exchange): void {
    const { request } = exchange
    if (asking) return exchange.respond(491)
    if (++asks > MOST_ASKED) return exchange.respond(500, [['Retry-After', String(1 + Math.floor(core.chance() * 10))]])
    if (asks === 1) timers.set('window', WINDOW, () => (asks = 0))
    const terms = granted(request)
    if (terms === 'too_short') return exchange.respond(422, [['Min-SE', String(SHORTEST)]], undefined, 'Session Interval Too Small')
    const answer = events.asked(request)
    if (answer === undefined) return exchange.respond(405, [ALLOW])
    if (answer.status >= 300) return exchange.respond(answer.status, answer.headers, answer.body)
    exchange.respond(
      answer.status,
      [
        core.contact({ ...exchange.source, ...(parseUri(request.uri)?.secure === true ? { secure: true } : {}) }, contactParams),
        ALLOW,
        SUPPORTED,
        ...terms.headers,
        ...(answer.headers ?? []),
      ],
      answer.body,
    )
    if (request.method === 'INVITE') awaitAck(exchange, answer.acknowledged)
    // A refresh that says nothing of timers ends them; an UPDATE without one leaves them (section 8.2 of RFC 4028).
    if (terms.timer !== undefined || request.method === 'INVITE') watch(terms.timer)
  }

  const session: Session = {
    id: dialogId(first),
    get over() {
      return over
    },
    ask(method, offer = {}) {
      const done = turn.then(() => inTurn(method, offer))
      turn = done.catch(() => {})
      return done
    },
    async bye(headers = []) {
      if (over) return
      // Before an ACK nobody may end what he answered (section 15).
      const answer = confirmed.then(() => (over ? undefined : say('BYE', { headers }, undefined)))
      void answer.finally(() => end('ours', 'ended'))
      await answer
      end('ours', 'ended')
    },
    drop: () => end('ours', 'ended'),
    acknowledgeAgain: () => acks.get(first.localSeq)?.(),
    receive(exchange) {
      const { request } = exchange
      if (request.method === 'ACK') {
        if (unacknowledged === undefined || unacknowledged.number !== cseqOf(request)?.number) return
        const { exchange: answered, heard } = unacknowledged
        unacknowledged = undefined
        answered.acknowledged()
        acknowledged()
        return heard(request)
      }
      const next = heard(dialog, request)
      if (next === undefined) return exchange.respond(500, [], undefined, 'CSeq is not the next')
      dialog = next
      switch (request.method) {
        case 'BYE':
          exchange.respond(200)
          return end('bye', header(request, 'reason') ?? 'the other side ended it')
        case 'OPTIONS':
          return exchange.respond(200, [ALLOW, SUPPORTED])
        case 'INVITE':
        case 'UPDATE':
          return invited(exchange)
        default: {
          const answer = events.asked(request)
          exchange.respond(answer?.status ?? 405, answer === undefined ? [ALLOW] : answer.headers, answer?.body)
        }
      }
    },
  }
  if (answered !== undefined) awaitAck(answered)
  else if (!isRequest(said)) acknowledge(first.localSeq, [target], authorization)
  watch(agreedFirst)
  core.sessions.set(session.id, session)
  return session
}
