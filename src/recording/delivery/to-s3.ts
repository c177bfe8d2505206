// A file put into a bucket of S3's protocol (AWS Signature Version 4, payload signed with its own sha256, so the
// other side checks every byte). What is large goes in parts, because one PUT takes 5 GB at most and a line that
// breaks at the end should not have been for nothing; a half-finished upload is taken back.

import { createHash } from 'node:crypto'
import { AwsV4Signer } from 'aws4fetch'
import { AppError } from '../../errors.ts'
import type { Body, TenantResponse } from '../../net/client.ts'
import type { Cargo, Outcome } from './cargo.ts'
import { fileName, type S3Settings } from '../storage.ts'
import { type HttpPorts, judge } from './to-http.ts'

const MIB = 1024 * 1024
/** Bytes: what is larger goes in parts of this size at least. */
export interface Limits {
  whole: number
  part: number
}
export const LIMITS: Limits = { whole: 100 * MIB, part: 16 * MIB }
/** S3 takes no more. */
const MOST_PARTS = 10_000

/** What S3 says with a 4xx that will pass (API reference, Error responses). */
const PASSING = /<Code>(RequestTimeout|SlowDown|InternalError|OperationAborted|ServiceUnavailable)<\/Code>/

interface Asking {
  method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  query?: Readonly<Record<string, string>>
  headers?: Readonly<Record<string, string>>
  body?: Body
  /** Of the body, in hex. */
  sha256?: string
}

type Ask = (asking: Asking) => Promise<TenantResponse>

const NO_BYTES = createHash('sha256').digest('hex')

/** The URL of an object: as a host of its own at Amazon's, below the bucket elsewhere. */
export function objectUrl({ bucket, host, scheme = 'https', port, region = 'us-east-1' }: S3Settings, key: string): string {
  const path = key.split('/').map(encodeURIComponent).join('/')
  if (host === undefined && !bucket.includes('.')) return `https://${bucket}.s3.${region}.amazonaws.com/${path}`
  return `${scheme}://${host ?? `s3.${region}.amazonaws.com`}${port === undefined ? '' : `:${port}`}/${bucket}/${path}`
}

export async function putInto(
  settings: S3Settings,
  folder: string,
  cargo: Cargo,
  ports: HttpPorts,
  signal: AbortSignal,
  limits: Limits = LIMITS,
): Promise<Outcome> {
  const key = [folder, fileName(cargo)].filter(part => part !== '').join('/')
  const ask = asker(settings, key, ports, signal)
  const outcome = await (cargo.size > limits.whole
    ? inParts(cargo, ask, ports, Math.max(limits.part, Math.ceil(cargo.size / MOST_PARTS)))
    : whole(cargo, ask, ports))
  return outcome.is === 'stored' ? { is: 'stored', location: `s3://${settings.bucket}/${key}` } : outcome
}

/** For a trial: nobody wants the file. Resolves to what stands in the way. */
export async function takeOut(settings: S3Settings, key: string, ports: HttpPorts, signal: AbortSignal): Promise<string | undefined> {
  const { status, url } = await asker(settings, key, ports, signal)({ method: 'DELETE' })
  return status < 300 ? undefined : `DELETE ${url.host} answered ${status}`
}

function asker(settings: S3Settings, key: string, { http, now }: HttpPorts, signal: AbortSignal): Ask {
  const { key: accessKeyId, secret, region = 'us-east-1' } = settings
  if (secret === undefined) throw new AppError('upload_rejected', `bucket ${settings.bucket} has no secret`)
  return async ({ method, query = {}, headers = {}, body, sha256 = NO_BYTES }) => {
    const url = new URL(objectUrl(settings, key))
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    const signed = await new AwsV4Signer({
      method,
      url: url.href,
      headers: { ...headers, 'x-amz-content-sha256': sha256 },
      accessKeyId,
      secretAccessKey: secret,
      service: 's3',
      region,
      datetime: new Date(now()).toISOString().replaceAll(/[:-]|\.\d{3}/g, ''),
    }).sign()
    const sent = Object.fromEntries(signed.headers as unknown as Iterable<[string, string]>)
    return http.request({ method, url: signed.url.href, headers: sent, signal, ...(body === undefined ? {} : { body }) })
  }
}

async function whole(cargo: Cargo, ask: Ask, { now }: HttpPorts): Promise<Outcome> {
  const { size, sha256 } = cargo
  return verdict('PUT', await ask({ method: 'PUT', headers: headersOf(cargo), sha256, body: { length: size, open: () => cargo.pieces(size, 0) } }), now())
}

/** What the object is to say of itself. */
const headersOf = ({ id, contentType, sha256 }: Cargo): Record<string, string> => ({
  'content-type': contentType,
  'x-amz-meta-recording-id': id,
  'x-amz-meta-sha256': sha256,
})

async function inParts(cargo: Cargo, ask: Ask, { now }: HttpPorts, step: number): Promise<Outcome> {
  const begun = await ask({ method: 'POST', query: { uploads: '' }, headers: headersOf(cargo) })
  const uploadId = /<UploadId>([^<]+)<\/UploadId>/.exec(begun.body.toString())?.[1]
  const refused = verdict('POST', begun, now())
  if (refused.is !== 'stored') return refused
  if (uploadId === undefined) return { is: 'never', reason: `${begun.url.host} began no upload in parts` }
  let ended = false
  try {
    const outcome = await sendParts(cargo, unescaped(uploadId), ask, now, step)
    ended = outcome.is === 'stored'
    return outcome
  } finally {
    // What lies there in parts costs the tenant money until somebody takes it away.
    if (!ended) await ask({ method: 'DELETE', query: { uploadId: unescaped(uploadId) } }).catch(() => {})
  }
}

async function sendParts(cargo: Cargo, uploadId: string, ask: Ask, now: () => number, step: number): Promise<Outcome> {
  const tags: string[] = []
  for (let from = 0; from < cargo.size; from += step) {
    const length = Math.min(step, cargo.size - from)
    const query = { partNumber: String(tags.length + 1), uploadId }
    const body: Body = { length, open: () => cargo.pieces(length, from) }
    const response = await ask({ method: 'PUT', query, sha256: await hashOf(body), body })
    const outcome = verdict('PUT', response, now())
    if (outcome.is !== 'stored') return outcome
    tags.push(response.headers['etag'] ?? '')
  }
  const parts = tags.map((tag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escaped(tag)}</ETag></Part>`).join('')
  const xml = Buffer.from(`<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts}</CompleteMultipartUpload>`)
  const open = async function* (): AsyncGenerator<Buffer> {
    yield xml
  }
  const done = await ask({
    method: 'POST',
    query: { uploadId },
    headers: { 'content-type': 'application/xml' },
    sha256: createHash('sha256').update(xml).digest('hex'),
    body: { length: xml.length, open },
  })
  // A 200 may turn out to be an error when the parts were put together (CompleteMultipartUpload, "200 OK with an error").
  if (done.status === 200 && done.body.includes('<Error>')) return { is: 'later', reason: `${done.url.host} could not put the parts together` }
  return verdict('POST', done, now())
}

async function hashOf(body: Body): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of body.open()) hash.update(piece)
  return hash.digest('hex')
}

function verdict(method: string, response: TenantResponse, now: number): Outcome {
  const outcome = judge(method, response, now)
  if (outcome.is === 'stored') return outcome
  const text = response.body.toString()
  const code = /<Code>([A-Za-z0-9.]{1,64})<\/Code>/.exec(text)?.[1]
  const reason = code === undefined ? outcome.reason : `${outcome.reason} (${code})`
  return outcome.is === 'never' && PASSING.test(text) ? { is: 'later', reason } : { ...outcome, reason }
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
const unescaped = (text: string): string => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&')
