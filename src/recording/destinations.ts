// Where a finished file can go, and what each place's answer means. No `url`: it becomes an
// attachment of its recording document. Whether trying again can help is the error table's word.

import type { Clock } from '../clock.ts'
import { AppError, isCode, reasonOf } from '../errors.ts'
import type { TenantClient, TenantResponse } from '../net/client.ts'
import type { Store, Stored } from '../store/store.ts'
import { retryAfter } from '../net/backoff.ts'
import { type Recording, recordingDbOf, STORE } from './document.ts'
import type { Effective } from './settings.ts'
import type { Spool } from './spool.ts'
import { uploadUrl } from './upload-url.ts'

export interface Shipment {
  recording: Stored<Recording>
  settings: Effective
  /** In the spool. */
  file: string
  size: number
  /** Hex. */
  sha256: string
}

export type Outcome =
  | { is: 'stored'; location: string }
  /** `askedMs` is the patience the destination asked for. */
  | { is: 'later'; reason: string; askedMs?: number }
  | { is: 'never'; reason: string }

export interface ShippingPorts {
  store: Store
  spool: Spool
  http: TenantClient
  clock: Clock
}

/** What a document may say of a destination: neither user part nor query. */
export function destinationOf(url: string | undefined): string {
  if (url === undefined) return STORE
  if (!URL.canParse(url)) return 'not a URL'
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

/** Resolves whatever happens, also when it was broken off: then the outcome means nothing. */
export async function ship(shipment: Shipment, ports: ShippingPorts, signal: AbortSignal): Promise<Outcome> {
  try {
    const url = shipment.settings.url?.value
    return await (url === undefined ? attach(shipment, ports) : upload(url, shipment, ports, signal))
  } catch (error) {
    const hopeless = error instanceof AppError && !error.retry
    return { is: hopeless ? 'never' : 'later', reason: reasonOf(error) }
  }
}

async function upload(
  url: string,
  { recording, settings, file, size, sha256 }: Shipment,
  { spool, http, clock }: ShippingPorts,
  signal: AbortSignal,
): Promise<Outcome> {
  const method = settings.method?.value === 'post' ? 'POST' : 'PUT'
  const response = await http.request({
    method,
    url: uploadUrl(url, recording),
    headers: {
      'content-type': recording.content_type,
      'content-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`,
      'idempotency-key': recording._id,
    },
    body: { length: size, open: () => spool.pieces(file, size) },
    signal,
  })
  return judge(method, response, clock.now())
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

const ATTACH_TRIES = 5

/** Whoever else writes the document meanwhile (the API, retention) wins the race; then it is attached to what they wrote. */
export async function attach(
  { recording, file, size }: Pick<Shipment, 'recording' | 'file' | 'size'>,
  { store, spool }: Pick<ShippingPorts, 'store' | 'spool'>,
): Promise<Outcome> {
  const db = recordingDbOf({ _id: recording._id, account_id: recording.pvt_account_id })
  let rev = recording._rev
  for (let tries = 1; ; tries++) {
    try {
      await store.putAttachment(db, recording._id, rev, recording.name, { stream: spool.read(file, size), length: size, contentType: recording.content_type })
      return { is: 'stored', location: recording.name }
    } catch (error) {
      if (!isCode(error, 'datastore_conflict') || tries === ATTACH_TRIES) throw error
    }
    const current = await store.get<Recording>(db, recording._id)
    if (current === undefined) return { is: 'never', reason: 'its recording document is gone' }
    rev = current._rev
  }
}
