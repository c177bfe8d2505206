// A file sent to a tenant's own server, and what its answer means.

import { retryAfter } from '../../net/backoff.ts'
import type { TenantClient, TenantResponse } from '../../net/client.ts'
import { base64Of, type Cargo, type Outcome } from './cargo.ts'
import { destinationOf } from '../storage.ts'

export interface HttpPorts {
  http: TenantClient
  /** Unix milliseconds. */
  now: () => number
}

/** `url` is the very URL, as upload-url.ts builds it. */
export async function sendTo(url: string, method: 'PUT' | 'POST', cargo: Cargo, { http, now }: HttpPorts, signal: AbortSignal): Promise<Outcome> {
  const response = await http.request({
    method,
    url,
    headers: {
      'content-type': cargo.contentType,
      'content-digest': `sha-256=:${base64Of(cargo.sha256)}:`,
      'idempotency-key': cargo.id,
    },
    body: { length: cargo.size, open: () => cargo.pieces(cargo.size, 0) },
    signal,
  })
  return judge(method, response, now())
}

const PASSING: ReadonlySet<number> = new Set([408, 425, 429])

/** What a destination's answer means for the file. */
export function judge(
  method: string,
  { status, url, headers, bodySent }: Pick<TenantResponse, 'status' | 'url' | 'headers' | 'bodySent'>,
  now: number,
): Outcome {
  const said = `${method} ${url.host} answered ${status}`
  if (status >= 200 && status < 300) {
    return bodySent ? { is: 'stored', location: destinationOf(url.href) } : { is: 'later', reason: `${said} before it had the whole file` }
  }
  if (status < 500 && !PASSING.has(status)) return { is: 'never', reason: said }
  const askedMs = retryAfter(headers['retry-after'], now)
  return { is: 'later', reason: said, ...(askedMs === undefined ? {} : { askedMs }) }
}
