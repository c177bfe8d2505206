// What goes over the wire: the event as JSON (or as Kazoo's form), and the signature by which the receiver
// knows that it came from us and is not an old one sent again.

import { createHmac } from 'node:crypto'
import type { Pending, Webhook } from './document.ts'

export interface Message {
  method: 'GET' | 'POST' | 'PUT'
  url: string
  headers: Record<string, string>
  /** Absent for GET, whose fields are in the query. */
  body?: Buffer
}

/** `sha256=` and the hex HMAC-SHA256, under the webhook's secret, of `{seconds}.{text}`; text is the body, of a GET the query. */
export const signature = (secret: string, seconds: number, text: string): string =>
  `sha256=${createHmac('sha256', secret).update(`${seconds}.${text}`).digest('hex')}`

/** `now` is unix milliseconds. */
export function messageOf(webhook: Webhook, { _id, event }: Pick<Pending, '_id' | 'event'>, now: number): Message {
  const fields = {
    id: _id,
    event: event.event,
    at: new Date(event.at).toISOString(),
    account_id: event.accountId,
    recording_id: event.recordingId,
    recording: event.recording,
    ...(webhook.custom_data === undefined ? {} : { custom_data: webhook.custom_data }),
  }
  const seconds = Math.floor(now / 1000)
  const asForm = webhook.format === 'form-data' || webhook.http_verb === 'get'
  const text = asForm ? form(fields) : JSON.stringify(fields)
  const headers = {
    'idempotency-key': _id,
    'x-callrec-event': event.event,
    'x-callrec-timestamp': String(seconds),
    'x-callrec-signature': signature(webhook.secret, seconds, text),
  }
  if (webhook.http_verb === 'get') return { method: 'GET', url: withQuery(webhook.uri, text), headers }
  const type = asForm ? 'application/x-www-form-urlencoded' : 'application/json'
  const method = webhook.http_verb === 'put' ? 'PUT' : 'POST'
  return { method, url: webhook.uri, headers: { ...headers, 'content-type': type }, body: Buffer.from(text) }
}

/** What is no text is JSON. */
const form = (fields: Readonly<Record<string, unknown>>): string =>
  new URLSearchParams(
    Object.entries(fields).map(([name, value]): [string, string] => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
  ).toString()

function withQuery(uri: string, query: string): string {
  const url = new URL(uri)
  url.search = url.search === '' ? query : `${url.search}&${query}`
  return url.href
}
