// What the parts of the user agent share, and how a request of ours gets to the first place that takes it.

import type { Clock } from '../clock.ts'
import { AppError, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { answerChallenge, type Credentials } from './digest.ts'
import { cseqOf, format, type Header, header, type Request, type Response, without } from './message.ts'
import { type Dns, resolve } from './resolve.ts'
import type { ClientTransaction } from './client-transaction.ts'
import type { Exchange, Transactions } from './transactions.ts'
import type { Advertised, Target } from './transport.ts'
import { hostText, parseUri } from './uri.ts'

/** A dialog that stands, to whoever finds it by what came from the network, or closes. */
export interface Standing {
  /** A request in this dialog. */
  receive(exchange: Exchange): void
  /** A copy of the answer to the first INVITE came: its ACK was lost. */
  acknowledgeAgain(): void
  /** Resolves when it was answered, or given up on. */
  bye(headers?: readonly Header[]): Promise<void>
  /** Over, without a word to anybody. */
  drop(): void
}

export interface Core {
  clock: Clock
  log: Log
  /** Hex of so many bytes. */
  random: (bytes: number) => string
  /** From 0 to 1. */
  chance: () => number
  transactions: Transactions
  /** By dialogId. */
  sessions: Map<string, Standing>
  /** Calls of ours that nobody has taken or refused yet. */
  calls: Set<{ cancel(): void }>
  /** Where a URI leads for a message of so many bytes, as targetsOf. */
  targets(uri: string, bytes: number): Promise<Target[]>
  /** `params` stand outside the angle brackets. */
  contact(target: Pick<Target, 'protocol' | 'secure'>, params?: string): Header
  name: string
}

/** A larger message does not fit the path (RFC 3261 section 18.1.1). */
export const LARGEST_DATAGRAM = 1300

/** What we take, in an Allow. */
export const ALLOW: Header = ['Allow', 'INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO']
export const SUPPORTED: Header = ['Supported', 'timer']

export interface Where {
  dns: Dns
  permits: (address: string) => boolean
  chance: () => number
}

/** Throws `destination_forbidden` where it leads only to what may not be reached. */
export async function targetsOf(text: string, bytes: number, { dns, permits, chance }: Where): Promise<Target[]> {
  const uri = parseUri(text)
  if (uri === undefined) return []
  const found = await resolve(uri, { large: bytes > LARGEST_DATAGRAM, dns, random: chance })
  const permitted = found.filter(({ address }) => permits(address))
  if (found.length > 0 && permitted.length === 0) throw new AppError('destination_forbidden', 'its address is in a network that is not allowed')
  return permitted
}

export function contactOf({ host, port, tlsPort = port }: Advertised, { protocol, secure }: Pick<Target, 'protocol' | 'secure'>, params = ''): Header {
  const at = `callrec@${hostText(host)}:${protocol === 'tls' ? tlsPort : port}`
  if (secure === true) return ['Contact', `<sips:${at}>${params}`]
  return ['Contact', `<sip:${at}${protocol === 'udp' ? '' : `;transport=${protocol}`}>${params}`]
}

/** Milliseconds that a silent place is waited for when there is another. */
const NEXT_PLACE_AFTER = 4000

export type Delivered = { answer: Response; request: Request; target: Target } | { answer: undefined; status: 408 | 503; reason: string }

export interface Delivery {
  /** Contact depends on the way. */
  headers: (target: Target) => readonly Header[]
  provisional?: (response: Response, transaction: ClientTransaction, target: Target) => void
  /** A 2xx of an INVITE after the first one: a copy, or of another place it was forked to. */
  again?: (response: Response, request: Request, target: Target) => void
  signal?: AbortSignal
}

/** One place after the other until one gives a final answer; 503 and silence are none where another is left (RFC 3263 section 4.3). */
export async function deliver(core: Core, request: Request, targets: readonly Target[], delivery: Delivery): Promise<Delivered> {
  let last: Delivered = { answer: undefined, status: 503, reason: 'its address leads nowhere' }
  const abandoned = (): boolean => delivery.signal?.aborted === true
  for (const [at, target] of targets.entries()) {
    if (abandoned()) break
    const isLast = at === targets.length - 1
    last = await attempt(core, { ...request, headers: [...request.headers, ...delivery.headers(target)] }, target, isLast, delivery)
    if (last.answer !== undefined && last.answer.status !== 503) return last
  }
  return last
}

function attempt(core: Core, request: Request, target: Target, isLast: boolean, { provisional, again, signal }: Delivery): Promise<Delivered> {
  const { clock, transactions } = core
  const nowhere = (status: 408 | 503, reason: string): Delivered => ({ answer: undefined, status, reason })
  return new Promise(settle => {
    let over = false
    let patience = (): void => {}
    const done = (what: Delivered): void => {
      patience()
      signal?.removeEventListener('abort', abandoned)
      if (over) return
      over = true
      settle(what)
    }
    // The transaction goes on when nobody waits for it any more: only its CANCEL, or a BYE after its 2xx, ends what it began.
    let transaction: ClientTransaction | undefined
    let cancelled = false
    const abandoned = (): void => done(nowhere(408, 'given up'))
    try {
      transaction = transactions.request(request, target, {
        answered(response) {
          if (response.status >= 200) return over ? again?.(response, request, target) : done({ answer: response, request, target })
          patience()
          if (transaction === undefined) return
          if (!over) return provisional?.(response, transaction, target)
          if (request.method === 'INVITE' && !cancelled) transactions.cancel(transaction, target)
          cancelled = true
        },
        timedOut: () => done(nowhere(408, 'no answer')),
        unreachable: reason => done(nowhere(503, reason)),
      })
    } catch (error) {
      return done(nowhere(503, reasonOf(error)))
    }
    signal?.addEventListener('abort', abandoned, { once: true })
    if (!isLast) patience = clock.after(NEXT_PLACE_AFTER, () => done(nowhere(408, 'no answer')))
  })
}

/** The same request with an answer to what the server asked for; undefined when it cannot be answered. */
export async function authorised(
  core: Core,
  request: Request,
  response: Response,
  find: (() => Promise<Credentials | undefined>) | undefined,
): Promise<Request | undefined> {
  if (response.status !== 401 && response.status !== 407) return undefined
  const credentials = await find?.()
  if (credentials === undefined) return undefined
  const answer = answerChallenge(response, request, credentials, core.random(8))
  return answer && { ...request, headers: [...without(request.headers, answer[0].toLowerCase()), answer] }
}

/** What a request says of who sends it. */
export const authorizationOf = ({ headers }: Request): Header[] => headers.filter(([name]) => /^(proxy-)?authorization$/i.test(name))

/** The same request under its next number. */
export function renumbered(request: Request, number = (cseqOf(request)?.number ?? 0) + 1): Request {
  return { ...request, headers: request.headers.map(([name, value]): Header => (name === 'CSeq' ? [name, `${number} ${request.method}`] : [name, value])) }
}

export const sizeOf = (request: Request): number => format(request).length + 250

export const retryAfterMs = (response: Response): number | undefined => {
  const [, seconds] = /^(\d{1,5})/.exec(header(response, 'retry-after') ?? '') ?? []
  return seconds === undefined ? undefined : Number(seconds) * 1000
}
