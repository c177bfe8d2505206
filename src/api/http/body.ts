// Reads the envelope of a request. Crossbar takes a body as JSON whatever it is called, because
// `curl -d` calls everything a form; only what is clearly something else is refused.

import type { IncomingMessage } from 'node:http'
import { AppError } from '../../errors.ts'
import { type Fields, isObject, tidy } from '../validation/fields.ts'
import { problem } from '../validation/problems.ts'

/** Bytes (crossbar: max_upload_size). */
export const LARGEST_BODY = 8_000_000

/** Bytes that are read for whoever has not said who he is. */
export const LARGEST_OF_STRANGERS = 64_000

const JSON_ENOUGH = /^(application\/([a-z0-9.-]+\+json|json|x-json|x-www-form-urlencoded|octet-stream)|text\/plain)?$/

const FORM = 'application/x-www-form-urlencoded'
const ENVELOPE = ['data', 'verb', 'accept', 'auth_token'] as const

/** What surrounds `data`; keys in lower case. */
export type Envelope = Readonly<Fields>

/** Undefined where there is no body at all; `keep` is given the bytes that it is made of. */
export async function readEnvelope(message: IncomingMessage, most: number, keep: (bytes: Buffer) => void): Promise<Envelope | undefined> {
  const type = (message.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  if (!JSON_ENOUGH.test(type)) throw new AppError('unsupported_media_type', `a body of type ${type} is not JSON`)
  const bytes = await readAll(message, most)
  keep(bytes)
  const text = decode(bytes)
  if (text.trim() === '') return undefined
  const envelope = type === FORM ? (formOf(text) ?? parse(text)) : parse(text)
  if (!isObject(envelope)) throw invalidEnvelope('type', envelope)
  return Object.fromEntries(Object.entries(envelope).map(([key, value]) => [key.toLowerCase(), value]))
}

/** A body without an envelope, which is an object. */
export function readJson(bytes: Buffer): Fields {
  const value = parse(decode(bytes))
  if (!isObject(value)) throw new AppError('parse_error', 'the body is not an object', malformed('the body is not an object'))
  return value
}

/** A real form, as a web page sends one, holds `data` as JSON (api_util.erl handle_url_encoded_body/5); undefined: it is no form. */
function formOf(text: string): Fields | undefined {
  const form = new URLSearchParams(text)
  const named = ENVELOPE.filter(key => form.has(key)).map(key => [key, form.get(key) ?? ''] as const)
  return named.length === 0 ? undefined : Object.fromEntries(named.map(([key, value]) => [key, key === 'data' ? parse(value) : value]))
}

/** A text that stands beside `data`. */
export const textOf = (envelope: Envelope | undefined, key: 'verb' | 'accept' | 'auth_token' | 'action'): string | undefined =>
  typeof envelope?.[key] === 'string' ? envelope[key] : undefined

/** `optional`: no body at all is an empty one. */
export function dataOf(envelope: Envelope | undefined, optional: boolean): Fields {
  if (envelope === undefined && optional) return {}
  if (envelope === undefined || !('data' in envelope)) throw invalidEnvelope('required', envelope ?? {})
  if (!isObject(envelope['data'])) throw invalidEnvelope('type', envelope['data'])
  return envelope['data']
}

function invalidEnvelope(code: 'required' | 'type', value: unknown): AppError {
  const message = code === 'required' ? 'Field is required but missing' : 'Value did not match type(s): object'
  const target = code === 'type' ? { target: 'object' } : {}
  return new AppError('invalid request envelope', `data: ${message}`, problem('data', code, { message, ...target, value }))
}

/** Every byte, as long as they are not too many. */
export async function readAll(message: IncomingMessage, most = LARGEST_BODY): Promise<Buffer> {
  const bytes = isThere(message) ? take(message) : await collect(message, most)
  if (bytes.length > most) {
    const detail = { message: `body must be at most ${most} bytes`, target: most }
    throw new AppError('body_too_large', detail.message, problem('file', 'maxSize', detail))
  }
  return bytes
}

/** A short one comes with its headers, and is read before Node says that it was all. */
const isThere = ({ complete, readableLength, headers }: IncomingMessage): boolean => complete || readableLength === Number(headers['content-length'])

function take(message: IncomingMessage): Buffer {
  const bytes = message.read() as Buffer | null
  // Its end is still to come.
  message.resume()
  return bytes ?? Buffer.alloc(0)
}

/** As it comes; of one that is longer than `most`, at least so much that it shows. */
async function collect(message: IncomingMessage, most: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of message as AsyncIterable<Buffer>) {
      length += chunk.length
      chunks.push(chunk)
      if (length > most) break
    }
  } catch (cause) {
    throw new AppError('parse_error', 'the body ended early', malformed('the body ended early'), { cause })
  }
  return Buffer.concat(chunks)
}

const malformed = (message: string): Record<string, unknown> => problem('json', 'invalid', { message, target: 'body' })

const UTF8 = new TextDecoder('utf-8', { fatal: true })

function decode(bytes: Buffer): string {
  try {
    return UTF8.decode(bytes)
  } catch (cause) {
    throw new AppError('parse_error', 'the body is not UTF-8', malformed('the body is not UTF-8'), { cause })
  }
}

function parse(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new AppError('parse_error', 'the body is not JSON', malformed('the body is not JSON'), { cause })
  }
  const copied = tidy(value)
  if ('refused' in copied) throw new AppError('parse_error', copied.refused, malformed(copied.refused))
  return copied.value
}
