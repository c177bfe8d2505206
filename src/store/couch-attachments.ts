// Attachments in CouchDB, streamed past nano, which neither limits nor ends a stream that broke.

import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { AppError } from '../errors.ts'
import { couchError, type Failure } from './couch-errors.ts'
import type { CouchTimes, Streams } from './couch-http.ts'
import { type ExactBody, exactly } from './exactly.ts'
import type { Attachment } from './store.ts'

export interface Streamed {
  host: string
  streaming: Streams
  times: CouchTimes
  /** Comes when the store closes. */
  closing: AbortSignal
}

interface Place {
  db: string
  id: string
  name: string
}

export interface ByteRange {
  first: number
  last: number
}

const pathOf = ({ db, id, name }: Place): string => `/${encodeURIComponent(db)}/${encodeURIComponent(id)}/${encodeURIComponent(name)}`

export async function putAttachment(
  { host, streaming, times, closing }: Streamed,
  { rev, contentType, stream, length, ...place }: Place & ExactBody & { rev: string; contentType: string },
): Promise<string> {
  const unread = new AbortController()
  // What was wrong with the body, whatever the connection makes of it.
  let fault: unknown
  let sent = false
  async function* body(): AsyncGenerator<Buffer> {
    try {
      yield* exactly({ stream, length }, times.stalled, () => unread.abort())
      sent = true
    } catch (error) {
      fault = error
      throw error
    }
  }
  try {
    const answer = await streaming.open(`${pathOf(place)}?rev=${encodeURIComponent(rev)}`, {
      method: 'PUT',
      headers: { 'content-type': contentType, 'content-length': String(length) },
      body: body(),
      signal: AbortSignal.any([unread.signal, closing]),
    })
    const said = await saidBy(answer)
    if (answer.statusCode >= 300 || said.rev === undefined || !sent) throw couchError({ status: answer.statusCode, ...said }, { host, ...place })
    return said.rev
  } catch (error) {
    if (fault instanceof AppError) throw fault
    throw error instanceof AppError ? error : couchError({ cause: error }, { host, ...place })
  } finally {
    stream.destroy()
  }
}

export async function getAttachment(to: Streamed, { range, ...place }: Place & { range?: ByteRange }): Promise<Attachment | undefined> {
  const { host, streaming, closing } = to
  let answer: Dispatcher.ResponseData
  try {
    const headers: Record<string, string> = range ? { range: `bytes=${range.first}-${range.last}` } : {}
    answer = await streaming.open(pathOf(place), { headers, signal: closing })
  } catch (error) {
    throw error instanceof AppError ? error : couchError({ cause: error }, { host, ...place })
  }
  const { statusCode: status, headers, body } = answer
  const contentType = String(headers['content-type'] ?? 'application/octet-stream')
  if (status === 200 || status === 206) {
    // A range of what is kept compressed is not looked at.
    const wanted = status === 200 ? range : undefined
    const length = status === 206 ? /\/(\d+)$/.exec(String(headers['content-range']))?.[1] : headers['content-length']
    if (length === undefined) {
      // Text is kept compressed and comes with no length.
      body.on('error', () => {}).destroy()
      return wholeText(to, place, contentType, range)
    }
    const bytes = Readable.from(named(body, to, place, wanted), { objectMode: false })
    // A body that nobody began to read must let go of its connection too.
    bytes.once('close', () => body.on('error', () => {}).destroy())
    return { contentType, length: Number(length), body: bytes }
  }
  const said = await saidBy(answer).catch((cause): Failure => ({ cause }))
  if (status === 416) {
    const whole = await getAttachment(to, place)
    whole?.body.destroy()
    return whole && { ...whole, body: Readable.from([]) }
  }
  if (status === 404 && !/Database/.test(said.reason ?? '')) return undefined
  throw couchError({ status, ...said }, { host, ...place })
}

async function wholeText(to: Streamed, place: Place, contentType: string, range: ByteRange | undefined): Promise<Attachment> {
  const { body } = await to.streaming.open(pathOf(place), { signal: to.closing })
  const whole = Buffer.from(await body.arrayBuffer())
  return { contentType, length: whole.length, body: Readable.from(range ? [whole.subarray(range.first, range.last + 1)] : [whole]) }
}

/** The bytes as they come; when they break off, the error says whose fault it is. */
async function* named(body: Dispatcher.ResponseData['body'], { host }: Streamed, place: Place, range?: ByteRange): AsyncGenerator<Buffer> {
  let at = 0
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      yield range ? chunk.subarray(Math.max(0, range.first - at), Math.max(0, range.last + 1 - at)) : chunk
      at += chunk.length
    }
  } catch (error) {
    throw couchError({ cause: error }, { host, ...place })
  }
}

interface Said {
  error?: string
  reason?: string
  rev?: string
}

/** What a short JSON answer says; nothing when it is no JSON. */
export async function saidBy({ body }: Dispatcher.ResponseData): Promise<Said> {
  const text = await body.text()
  try {
    const { error, reason, rev } = JSON.parse(text) as { [field: string]: unknown }
    return {
      ...(typeof error === 'string' ? { error } : {}),
      ...(typeof reason === 'string' ? { reason } : {}),
      ...(typeof rev === 'string' ? { rev } : {}),
    }
  } catch {
    return {}
  }
}
