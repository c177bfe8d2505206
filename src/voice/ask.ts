// Requests to the servers of a voice application: twice at most, with a limit of time and size, and never into a
// private network (net/client.ts). Answers are NCCOs, or nothing.

import type { Clock } from '../clock.ts'
import { AppError, isCode } from '../errors.ts'
import type { TenantClient, TenantRequest, TenantResponse } from '../net/client.ts'
import type { Fields } from './options.ts'

/** Signs what an application is told: the Authorization header for a body, or for none. */
export type Signer = (body: string | undefined) => Promise<string>

export interface Address {
  url: string
  method: 'GET' | 'POST'
  sign?: Signer
}

export interface AskPorts {
  http: TenantClient
  wall: Clock
}

/** Milliseconds of one try. */
const PATIENCE = 5000
const TRIES = 2
/** An answer that is larger is refused unread. */
const MOST_BYTES = 256 * 1024
/** Said in passing: the same request may do better a moment later. */
const PASSING: ReadonlySet<number> = new Set([429, 503, 504])

/** The URL with the fields added to its query; what is no text is JSON. */
export function withQuery(url: string, fields: Fields): string {
  const target = new URL(url)
  for (const [name, value] of Object.entries(fields)) target.searchParams.append(name, typeof value === 'string' ? value : JSON.stringify(value))
  return target.href
}

async function requestFor({ url, method, sign }: Address, fields: Fields): Promise<TenantRequest> {
  const text = JSON.stringify(fields)
  const authorization = await sign?.(method === 'GET' ? undefined : text)
  const headers = { accept: 'application/json', ...(authorization === undefined ? {} : { authorization }) }
  if (method === 'GET') return { method, url: withQuery(url, fields), headers, maxBytes: MOST_BYTES }
  const body = Buffer.from(text)
  return {
    method,
    url,
    headers: { ...headers, 'content-type': 'application/json' },
    maxBytes: MOST_BYTES,
    body: {
      length: body.length,
      async *open() {
        yield body
      },
    },
  }
}

/** A complete 2xx answer; rejects in words with anything else. `signal` breaks it off. */
export async function ask({ http, wall }: AskPorts, to: Address, fields: Fields, { signal }: { signal?: AbortSignal } = {}): Promise<TenantResponse> {
  const request = await requestFor(to, fields)
  for (let tries = 1; ; tries++) {
    try {
      const answer = await once(http, wall, request, signal)
      if (PASSING.has(answer.status) && tries < TRIES) continue
      if (answer.status < 200 || answer.status > 299) throw unusable(to, `answered ${answer.status}`, { status: answer.status })
      if (!answer.complete) throw unusable(to, `its answer broke off or is longer than ${MOST_BYTES} bytes`)
      return answer
    } catch (error) {
      if (!isCode(error, 'upload_unreachable') || tries === TRIES || signal?.aborted === true) throw error
    }
  }
}

const unusable = ({ url }: Address, why: string, data: Fields = {}): AppError => new AppError('upload_rejected', `${new URL(url).host}: ${why}`, data)

async function once(http: TenantClient, wall: Clock, request: TenantRequest, signal: AbortSignal | undefined): Promise<TenantResponse> {
  const stop = new AbortController()
  const giveUp = (): void => stop.abort()
  const cancel = wall.after(PATIENCE, giveUp)
  signal?.addEventListener('abort', giveUp, { once: true })
  if (signal?.aborted === true) giveUp()
  try {
    return await http.request({ ...request, signal: stop.signal })
  } finally {
    cancel()
    signal?.removeEventListener('abort', giveUp)
  }
}

/** Undefined for an empty answer. Throws where it is no JSON. */
export function jsonIn({ body, url }: TenantResponse): unknown {
  const text = body.toString().trim()
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AppError('upload_rejected', `${url.host}: its answer is not JSON`, {}, { cause })
  }
}
