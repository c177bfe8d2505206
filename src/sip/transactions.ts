// All transactions there are: finds the one a message belongs to, and tells of requests that begin a new one. Whatever
// arrives, nothing is thrown into the socket.

import type { Clock } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { type ClientTransaction, clientTransaction } from './client-transaction.ts'
import {
  answerTo,
  cseqOf,
  format,
  type Header,
  headersOf,
  isMalformed,
  isRequest,
  parse,
  REASONS,
  type Request,
  type Response,
  topVia,
  without,
  withToTag,
} from './message.ts'
import { type ServerTransaction, serverTransaction } from './server-transaction.ts'
import type { Advertised, Source, Target, Transport } from './transport.ts'
import { hostText } from './uri.ts'

export interface TransactionPorts {
  transport: Transport
  clock: Clock
  log: Log
  /** Hex of so many bytes. */
  random: (bytes: number) => string
  advertised: Advertised
}

export interface Watcher {
  answered: (response: Response) => void
  timedOut: () => void
  /** It did not go out. */
  unreachable: (reason: string) => void
}

/** A request of somebody else that waits for its answer. */
export interface Exchange {
  readonly request: Request
  readonly source: Source
  readonly open: boolean
  respond(status: number, headers?: readonly Header[], body?: Buffer, reason?: string): void
  /** The ACK of our 2xx. */
  acknowledged(): void
  /** Our final answer to an INVITE was never acknowledged. */
  onUnacknowledged(run: () => void): void
  /** Of all our answers in it. */
  readonly toTag: string
}

export interface Transactions {
  /** Throws `unsafe_argument` for what cannot be written. */
  request(request: Request, target: Target, watcher: Watcher): ClientTransaction
  /** Once, and no answer is expected: the ACK of a 2xx. */
  send(request: Request, target: Target): void
  /** A CANCEL goes where its INVITE went, and looks like it. */
  cancel(invite: ClientTransaction, target: Target): void
  /** The INVITE that a CANCEL is about. */
  meant(cancel: Request): Exchange | undefined
  readonly size: number
  /** What comes from now on is nobody's. */
  close(): void
}

const MOST_AT_ONCE = 20_000
const COOKIE = 'z9hG4bK'

export function startTransactions({ transport, clock, log, random, advertised }: TransactionPorts, onRequest: (exchange: Exchange) => void): Transactions {
  const clients = new Map<string, ClientTransaction>()
  const servers = new Map<string, ServerTransaction>()
  const invites = new Map<string, Exchange>()
  let closed = false

  const clientKey = (message: Request | Response): string => `${topVia(message)?.params.get('branch') ?? ''} ${cseqOf(message)?.method ?? ''}`
  const serverKey = (message: Request, method = message.method): string => {
    const via = topVia(message)
    return `${via?.params.get('branch') ?? ''} ${via?.host}:${via?.port ?? ''} ${method === 'ACK' ? 'INVITE' : method}`
  }

  transport.onMessage((bytes, from) => {
    try {
      if (!closed) receive(bytes, from)
    } catch (error) {
      log.error('sip_message_failed', { protocol: from.protocol, address: from.address, reason: reasonOf(error) })
    }
  })

  function receive(bytes: Buffer, from: Source): void {
    const message = parse(bytes)
    if (isMalformed(message)) {
      if (message.answerable !== undefined) reply(from, answerTo(message.answerable, 400, message.fault))
      return
    }
    if (!isRequest(message)) return clients.get(clientKey(message))?.receive(message)
    const known = servers.get(serverKey(message))
    if (known !== undefined) return known.receive(message)
    const request = seenFrom(message, from)
    if (message.method === 'ACK') return onRequest(silentExchange(request, from))
    if (servers.size >= MOST_AT_ONCE) return reply(from, answerTo(request, 503, REASONS[503] ?? '', [['Retry-After', '10']]))
    const exchange = serve(request, from)
    try {
      onRequest(exchange)
    } catch (error) {
      // One that is never answered would be held for ever.
      exchange.respond(500)
      throw error
    }
  }

  function reply(from: Source, response: Response): void {
    from.reply(format(response))
  }

  function serve(request: Request, source: Source): Exchange {
    const key = serverKey(request)
    const toTag = random(8)
    let unacknowledged = (): void => {}
    const transaction = serverTransaction({
      request,
      reliable: source.protocol !== 'udp',
      clock,
      send: response => reply(source, response),
      unacknowledged: () => unacknowledged(),
      ended() {
        servers.delete(key)
        invites.delete(key)
      },
    })
    servers.set(key, transaction)
    const exchange: Exchange = {
      request,
      source,
      toTag,
      get open() {
        return transaction.open
      },
      respond(status, headers, body, reason = REASONS[status] ?? 'Refused') {
        const response = answerTo(request, status, reason, headers, body)
        transaction.respond(status === 100 ? response : withToTag(response, toTag))
      },
      acknowledged: () => transaction.acknowledged(),
      onUnacknowledged(run) {
        unacknowledged = run
      },
    }
    if (request.method === 'INVITE') invites.set(key, exchange)
    return exchange
  }

  function silentExchange(request: Request, source: Source): Exchange {
    const nothing = (): void => {}
    return { request, source, toTag: '', open: false, respond: nothing, acknowledged: nothing, onUnacknowledged: nothing }
  }

  const via = (target: Target, branch: string): Header => [
    'Via',
    `SIP/2.0/${target.protocol.toUpperCase()} ${hostText(advertised.host)}:${target.protocol === 'tls' ? (advertised.tlsPort ?? advertised.port) : advertised.port};branch=${branch};rport`,
  ]

  function start(request: Request, target: Target, watcher: Watcher): ClientTransaction {
    // What cannot be written is told to the caller, before there is anything to clean up.
    format(request)
    const key = clientKey(request)
    const transaction: ClientTransaction = clientTransaction({
      request,
      reliable: target.protocol !== 'udp',
      clock,
      send(message) {
        transport.send(format(message), target).catch((error: unknown) => {
          const running = clients.get(key)
          if (running === undefined) return
          running.stop()
          watcher.unreachable(reasonOf(error))
        })
      },
      answered: watcher.answered,
      timedOut: watcher.timedOut,
      ended: () => clients.delete(key),
    })
    clients.set(key, transaction)
    return transaction
  }

  return {
    request: (request, target, watcher) => start({ ...request, headers: [via(target, COOKIE + random(12)), ...request.headers] }, target, watcher),
    send(request, target) {
      const whole = { ...request, headers: [via(target, COOKIE + random(12)), ...request.headers] }
      transport.send(format(whole), target).catch((error: unknown) => log.debug('sip_message_not_sent', { method: request.method, reason: reasonOf(error) }))
    },
    cancel({ request }, target) {
      const [top = ''] = headersOf(request, 'via')
      const headers = without(
        request.headers,
        'via',
        'cseq',
        'contact',
        'content-type',
        'content-disposition',
        'require',
        'session-expires',
        'supported',
        'accept',
      )
      const cseq: Header = ['CSeq', `${cseqOf(request)?.number ?? 0} CANCEL`]
      const nothing = (): void => {}
      start({ method: 'CANCEL', uri: request.uri, headers: [['Via', top], ...headers, cseq], body: Buffer.alloc(0) }, target, {
        answered: nothing,
        timedOut: nothing,
        unreachable: nothing,
      })
    },
    meant: cancel => invites.get(serverKey(cancel, 'INVITE')),
    get size() {
      return clients.size + servers.size
    },
    close() {
      closed = true
      for (const one of [...clients.values(), ...servers.values()]) one.stop()
    },
  }
}

/** The top Via tells where it really came from (RFC 3261 section 18.2.1, RFC 3581 section 4). */
function seenFrom(request: Request, { address, port }: Source): Request {
  const at = request.headers.findIndex(([name]) => /^(via|v)$/i.test(name))
  const headers = request.headers.map(([name, value], index): Header => {
    if (index !== at) return [name, value]
    const [top = '', ...others] = headersOf({ headers: [[name, value]] }, 'via')
    const told = /;rport(?=;|$)/i.test(top) ? top.replace(/;rport(?=;|$)/i, `;rport=${port}`) : top
    return [name, [`${told};received=${address}`, ...others].join(', ')]
  })
  return { ...request, headers }
}
