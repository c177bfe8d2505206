// SIP messages as text and back (RFC 3261 section 7, 18.3, 20). What cannot be read is told as a fault, never thrown: it comes
// from the network. What cannot be written safely (a line end in a header) is thrown: it comes from us.

import { AppError } from '../errors.ts'

export type Header = readonly [name: string, value: string]

export interface Request {
  method: string
  uri: string
  headers: readonly Header[]
  body: Buffer
}

export interface Response {
  status: number
  reason: string
  headers: readonly Header[]
  body: Buffer
}

export type Message = Request | Response

/** `answerable` is there when a request is broken but says enough for a 400 to find its way back. */
export interface Malformed {
  fault: string
  answerable?: Request
}

export const isRequest = (message: Message): message is Request => 'method' in message
export const isMalformed = (parsed: Message | Malformed): parsed is Malformed => 'fault' in parsed

/** RFC 3261 section 7.3.3 and the registry of compact forms. */
const COMPACT: Readonly<Record<string, string>> = {
  v: 'via',
  f: 'from',
  t: 'to',
  i: 'call-id',
  m: 'contact',
  l: 'content-length',
  c: 'content-type',
  e: 'content-encoding',
  k: 'supported',
  s: 'subject',
  x: 'session-expires',
  o: 'event',
  r: 'refer-to',
}

const NEEDED = ['via', 'from', 'to', 'call-id', 'cseq'] as const
const MOST_HEADERS = 200

const canonical = (name: string): string => {
  const lower = name.toLowerCase()
  return COMPACT[lower] ?? lower
}

/** The first of that name; `name` in lower case. */
export const header = ({ headers }: Pick<Message, 'headers'>, name: string): string | undefined => headers.find(([one]) => canonical(one) === name)?.[1]

/** All of that name, one value each; `name` in lower case. */
export const headersOf = ({ headers }: Pick<Message, 'headers'>, name: string): string[] =>
  headers.filter(([one]) => canonical(one) === name).flatMap(([, value]) => splitList(value))

/** Cut at the commas that stand neither in quotes nor in angle brackets. */
export function splitList(value: string): string[] {
  const parts: string[] = []
  let [start, quoted, angled] = [0, false, false]
  for (let at = 0; at < value.length; at++) {
    const one = value[at]
    if (quoted && one === '\\') at++
    else if (one === '"') quoted = !quoted
    else if (quoted) continue
    else if (one === '<') angled = true
    else if (one === '>') angled = false
    else if (one === ',' && !angled) {
      parts.push(value.slice(start, at).trim())
      start = at + 1
    }
  }
  parts.push(value.slice(start).trim())
  return parts.filter(part => part !== '')
}

export function parse(bytes: Buffer): Message | Malformed {
  const blank = bytes.indexOf('\r\n\r\n')
  if (blank < 0) return { fault: 'no empty line after the headers' }
  // A folded line goes on with a space (section 7.3.1).
  const [first = '', ...lines] = bytes
    .subarray(0, blank)
    .toString('utf8')
    .replaceAll(/\r\n[ \t]+/g, ' ')
    .split('\r\n')
  const headers: Header[] = []
  let fault: string | undefined
  for (const line of lines) {
    const found = headerIn(line)
    if (found === undefined) fault ??= `not a header: ${JSON.stringify(line.slice(0, 80))}`
    else headers.push(found)
  }
  if (headers.length > MOST_HEADERS) fault ??= 'too many headers'
  const request = /^([\w.!%*+`'~-]+) (\S+) SIP\/2\.0$/.exec(first)
  const response = /^SIP\/2\.0 ([1-6]\d\d)(?: (.*))?$/.exec(first)
  if (request === null && response === null) return { fault: 'neither a request nor a response of SIP/2.0' }

  const rest = bytes.subarray(blank + 4)
  const told = header({ headers }, 'content-length')
  const length = told === undefined ? rest.length : /^\d{1,9}$/.test(told) ? Number(told) : Number.NaN
  if (!(length <= rest.length)) fault ??= 'Content-Length is more than there is'
  // What comes after it in a datagram is nobody's (section 18.3).
  const body = Buffer.from(rest.subarray(0, length))
  const message: Message =
    request === null
      ? { status: Number(response?.[1]), reason: response?.[2] ?? '', headers, body }
      : { method: request[1] ?? '', uri: request[2] ?? '', headers, body }
  const missing = NEEDED.find(name => header(message, name) === undefined)
  if (missing !== undefined) fault ??= `no ${missing}`
  const cseq = cseqOf(message)
  if (cseq === undefined) fault ??= 'CSeq is not a number and a method'
  else if (isRequest(message) && cseq.method !== message.method) fault ??= 'CSeq names another method'
  if (topVia(message) === undefined) fault ??= 'Via cannot be read'
  if (fault === undefined) return message
  const answerable = isRequest(message) && message.method !== 'ACK' && missing === undefined && topVia(message) !== undefined
  return { fault, ...(answerable ? { answerable: message } : {}) }
}

/** By hand: a pattern that trims takes the square of the time that a line has spaces. */
function headerIn(line: string): Header | undefined {
  const colon = line.indexOf(':')
  const name = line.slice(0, Math.max(0, colon)).trimEnd()
  return /^[\w.!%*+`'~-]+$/.test(name) && !/[\r\n\0]/.test(line) ? [name, line.slice(colon + 1).trim()] : undefined
}

/** With its Content-Length. Throws `unsafe_argument` for a header that would end its line. */
export function format(message: Message): Buffer {
  const first = isRequest(message) ? `${message.method} ${message.uri} SIP/2.0` : `SIP/2.0 ${message.status} ${message.reason}`
  const lines = [first, ...message.headers.filter(([name]) => canonical(name) !== 'content-length').map(([name, value]) => `${name}: ${value}`)]
  const unsafe = lines.find(line => /[\r\n\0]/.test(line))
  if (unsafe !== undefined) throw new AppError('unsafe_argument', `a SIP header holds a line end: ${JSON.stringify(unsafe.slice(0, 80))}`)
  if (isRequest(message) && /\s/.test(message.uri)) throw new AppError('unsafe_argument', `a request URI holds a space: ${JSON.stringify(message.uri)}`)
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\nContent-Length: ${message.body.length}\r\n\r\n`), message.body])
}

export interface Via {
  protocol: string
  host: string
  port?: number
  params: ReadonlyMap<string, string>
}

export function topVia(message: Message): Via | undefined {
  const text = headersOf(message, 'via')[0] ?? ''
  const [, protocol, host, port, params = ''] = /^SIP\s*\/\s*2\.0\s*\/\s*(\w+)\s+(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?:\s*:\s*(\d{1,5}))?\s*(;.*)?$/.exec(text) ?? []
  if (protocol === undefined || host === undefined) return undefined
  return { protocol: protocol.toLowerCase(), host, ...(port === undefined ? {} : { port: Number(port) }), params: parameters(params) }
}

export function cseqOf(message: Message): { number: number; method: string } | undefined {
  const [, number, method] = /^(\d{1,10})\s+(\S+)$/.exec(header(message, 'cseq') ?? '') ?? []
  return number === undefined || method === undefined || Number(number) >= 2 ** 31 ? undefined : { number: Number(number), method }
}

/** `;a=1;b` → names in lower case, without their quotes. */
export function parameters(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const [, name = '', quoted, plain] of text.matchAll(/;\s*([^\s=;]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]*)))?/g)) {
    found.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? plain ?? '')
  }
  return found
}

/** Of a From, To, Contact, Route: the URI and what stands behind it. One with a space in it is none: it would break a request line. */
export function address(value: string): { uri: string; params: ReadonlyMap<string, string> } | undefined {
  const [, uri, params] = /^(?:"(?:[^"\\]|\\.)*"\s*|[^"<]*)<\s*([^>\s]+)\s*>\s*(;.*)?$/.exec(value) ?? []
  if (uri !== undefined) return { uri, params: parameters(params ?? '') }
  // Without brackets what follows belongs to the header, not to the URI (section 20.10).
  const [, bare, own] = /^([^\s;<>"]+)\s*(;.*)?$/.exec(value.trim()) ?? []
  return bare === undefined ? undefined : { uri: bare, params: parameters(own ?? '') }
}

export const tagOf = (message: Message, side: 'from' | 'to'): string | undefined => address(header(message, side) ?? '')?.params.get('tag')

/** The header names of a response that are copied from its request (section 8.2.6.2). */
export function answerTo(request: Request, status: number, reason: string, headers: readonly Header[] = [], body: Buffer = Buffer.alloc(0)): Response {
  const copied = ['via', 'from', 'to', 'call-id', 'cseq', ...(status > 100 && status < 300 ? ['record-route'] : [])]
  return { status, reason, headers: [...request.headers.filter(([name]) => copied.includes(canonical(name))), ...headers], body }
}

/** The To of a response gets our tag, unless it has one. */
export const withToTag = (response: Response, tag: string): Response =>
  tagOf(response, 'to') === undefined
    ? { ...response, headers: response.headers.map(([name, value]): Header => (canonical(name) === 'to' ? [name, `${value};tag=${tag}`] : [name, value])) }
    : response

export const without = (headers: readonly Header[], ...names: readonly string[]): Header[] => headers.filter(([name]) => !names.includes(canonical(name)))

export const REASONS: Readonly<Record<number, string>> = {
  100: 'Trying',
  180: 'Ringing',
  200: 'OK',
  400: 'Bad Request',
  404: 'Not Found',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  415: 'Unsupported Media Type',
  420: 'Bad Extension',
  480: 'Temporarily Unavailable',
  481: 'Call/Transaction Does Not Exist',
  486: 'Busy Here',
  487: 'Request Terminated',
  488: 'Not Acceptable Here',
  491: 'Request Pending',
  500: 'Server Internal Error',
  503: 'Service Unavailable',
}
