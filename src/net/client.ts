// The one way out to URLs that tenants wrote: uploads, webhooks, pivot, answer_url. Every address is
// checked when the connection is made, so neither a name that changes its mind nor a redirect leads
// inside. undici's own deadlines stay off but the one for connecting: they are coarse, and one that
// bounds a whole upload would end a large file on a slow line.

import { lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import type { Readable } from 'node:stream'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import type { Clock } from '../clock.ts'
import { AppError, reasonOf, systemCode } from '../errors.ts'
import { isAllowed, parseNetworks } from '../addresses.ts'
import { withoutContinue } from './interim.ts'
import { redirected, type Target, targetOf } from './target.ts'

/** What is sent; opened anew for every redirect, since a stream cannot be replayed. */
export interface Body {
  /** Bytes; pieces that add up to more or fewer fail the request. */
  length: number
  /** Before the next piece is asked for, the one before the last has left for the network: its memory may be used again. */
  open(): AsyncIterable<Buffer>
}

export interface TenantRequest {
  method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** A user part becomes a Basic header. */
  url: string
  headers?: Readonly<Record<string, string>>
  body?: Body
  signal?: AbortSignal
  /** Of the answer's body to keep. Default 64 KiB. */
  maxBytes?: number
}

export interface TenantResponse {
  status: number
  /** Lower-case names. */
  headers: Readonly<Record<string, string>>
  body: Buffer
  /** False when the body was longer than `maxBytes` or broke off: the status holds all the same. */
  complete: boolean
  /** False when the answer came before the last piece of ours was handed to the network. */
  bodySent: boolean
  /** Where the answer came from, after redirects; without user part. */
  url: URL
}

/**
 * Rejects with `destination_forbidden`, `upload_rejected` (a redirect that is not followed), `upload_unreachable` (also when `signal` aborts), or with
 * the very error the body's stream failed with. Any status that is no redirect resolves: what it means is the caller's matter.
 */
export interface TenantClient {
  request(request: TenantRequest): Promise<TenantResponse>
  /** Breaks off what runs. */
  close(): Promise<void>
}

/** Milliseconds. `stall` is without one more piece of our body being taken, `answer` from its end to the answer's headers, `rest` the answer's body. */
export interface Deadlines {
  connect: number
  stall: number
  answer: number
  rest: number
}
export const DEADLINES: Deadlines = { connect: 10_000, stall: 60_000, answer: 120_000, rest: 30_000 }

export interface ClientOptions {
  /** CIDRs that are exempt from the block on private addresses. */
  allow: readonly string[]
  clock: Clock
  deadlines?: Partial<Deadlines>
  /** Name resolution, for tests. */
  lookup?: LookupFunction
}

const MAX_REDIRECTS = 5
/** 303 means: fetch the result with GET, so the file has not been taken where we were sent. */
const FOLLOWED: ReadonlySet<number> = new Set([301, 302, 307, 308])
const KEPT_BYTES = 64 * 1024

export function tenantClient({ allow, clock, deadlines, lookup = systemLookup }: ClientOptions): TenantClient {
  const limits = { ...DEADLINES, ...deadlines }
  const agent = new Agent({ connect: guarded(allow, lookup, limits.connect), headersTimeout: 0, bodyTimeout: 0 })

  async function exchange(request: TenantRequest, { url, authorization }: Target): Promise<TenantResponse> {
    const stop = new AbortController()
    const deadline = watchdog(clock, reason => stop.abort(new AppError('upload_unreachable', `${request.method} ${url.host}: ${reason}`)))
    // By hand: what AbortSignal.any keeps of a long-lived signal is never let go on Node 20.
    const giveUp = (): void => stop.abort(new AppError('upload_unreachable', `${request.method} ${url.host}: broken off here`))
    if (request.signal?.aborted === true) giveUp()
    request.signal?.addEventListener('abort', giveUp, { once: true })
    const over = (): void => {
      deadline.off()
      request.signal?.removeEventListener('abort', giveUp)
    }
    const sending = request.body === undefined ? undefined : send(request.body, deadline, limits)
    deadline.within(limits.connect + limits.answer, 'no answer')
    let answer: Dispatcher.ResponseData
    try {
      answer = await agent.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method: request.method,
        headers: {
          'user-agent': 'callrec',
          ...request.headers,
          ...(authorization === undefined ? {} : { authorization }),
          ...(request.body === undefined ? {} : { 'content-length': String(request.body.length) }),
        },
        body: sending === undefined ? null : (sending.pieces as unknown as Readable),
        signal: stop.signal,
      })
    } catch (cause) {
      over()
      throw sending?.failure() ?? unreachable(request.method, url.host, cause)
    }
    const bodySent = sending?.done() ?? true
    deadline.within(limits.rest, 'the answer did not end')
    const { body, complete } = await readUpTo(request.maxBytes ?? KEPT_BYTES, answer.body)
    over()
    return { status: answer.statusCode, headers: flat(answer.headers), body, complete, bodySent, url }
  }

  return {
    async request(request) {
      let target = targetOf(request.url)
      for (let hops = 0; ; hops++) {
        const response = await exchange(request, target)
        const { location } = response.headers
        if (!FOLLOWED.has(response.status) || location === undefined) return response
        if (hops === MAX_REDIRECTS) throw new AppError('upload_rejected', `${target.url.host} redirects more than ${MAX_REDIRECTS} times`)
        target = redirected(target, location)
      }
    },
    close: () => agent.destroy(),
  }
}

/** An address written in the URL never passes through name resolution, so it is looked at by itself. */
function guarded(allow: readonly string[], lookup: LookupFunction, timeout: number): buildConnector.connector {
  const exempt = parseNetworks(allow)
  const refusal = (host: string): AppError =>
    new AppError('destination_forbidden', `${host} is not on the public internet (UPLOAD_ALLOW_NETWORKS exempts networks)`)
  const checked: LookupFunction = (hostname, options, callback) =>
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, [])
      const addresses = typeof found === 'string' ? [] : found
      const [first] = addresses
      if (first === undefined || !addresses.every(({ address }) => isAllowed(address, exempt))) return callback(refusal(hostname), [])
      return options.all === true ? callback(null, addresses) : callback(null, first.address, first.family)
    })
  const connect = buildConnector({ lookup: checked, timeout })
  return (options, callback) => {
    if (isIP(options.hostname) !== 0 && !isAllowed(options.hostname, exempt)) queueMicrotask(() => callback(refusal(options.hostname), null))
    else connect(options, (...made) => (made[0] === null ? callback(null, withoutContinue(made[1])) : callback(...made)))
  }
}

interface Watchdog {
  within(ms: number, otherwise: string): void
  off(): void
}

/** Once off it stays off: our body may still be winding down when its answer has long been here. */
function watchdog(clock: Clock, bark: (reason: string) => void): Watchdog {
  let on = true
  let cancel = (): void => {}
  return {
    within(ms, otherwise) {
      cancel()
      if (on) cancel = clock.after(ms, () => bark(`${otherwise} within ${ms / 1000} s`))
    },
    off() {
      on = false
      cancel()
    },
  }
}

/**
 * undici asks for the next piece once the socket has taken the one before. The last one counts as sent when it is handed over: a destination
 * that reads quickly answers before it would be asked whether there is more.
 */
function send(body: Body, deadline: Watchdog, limits: Deadlines): { pieces: AsyncIterable<Buffer>; done(): boolean; failure(): unknown } {
  let left = body.length
  let failure: unknown
  async function* pieces(): AsyncGenerator<Buffer> {
    try {
      for await (const piece of body.open()) {
        left -= piece.length
        deadline.within(limits.stall, 'took no more of the file')
        yield piece
      }
    } catch (error) {
      failure = error
      throw error
    }
    deadline.within(limits.answer, 'no answer')
  }
  return { pieces: pieces(), done: () => left <= 0, failure: () => failure }
}

async function readUpTo(max: number, stream: AsyncIterable<Buffer>): Promise<{ body: Buffer; complete: boolean }> {
  const pieces: Buffer[] = []
  let size = 0
  let complete = true
  try {
    for await (const piece of stream) {
      pieces.push(piece)
      size += piece.length
      if (size > max) break
    }
  } catch {
    // The status has been said; what a broken body means is for the caller to decide.
    complete = false
  }
  return { body: Buffer.concat(pieces).subarray(0, max), complete: complete && size <= max }
}

const flat = (headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]])))

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused the connection',
  ECONNRESET: 'broke the connection off',
  EPIPE: 'broke the connection off',
  UND_ERR_SOCKET: 'broke the connection off',
  UND_ERR_CONNECT_TIMEOUT: 'did not accept the connection in time',
  ETIMEDOUT: 'did not accept the connection in time',
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'no route to it',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'its name cannot be looked up now',
}

function unreachable(method: string, host: string, cause: unknown): AppError {
  if (cause instanceof AppError) return cause
  return new AppError('upload_unreachable', `${method} ${host}: ${failureOf(cause)}`, {}, { cause })
}

/** Why there was no answer, in words. */
export function failureOf(cause: unknown): string {
  const code = systemCode(cause) ?? reasonOf(cause)
  return WORDS[code] ?? (/CERT|TLS|SSL/.test(code) ? `no trusted https there: ${code}` : code)
}
