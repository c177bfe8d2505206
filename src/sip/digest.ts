// The answer to a 401 or 407 (RFC 8760, RFC 7616): what a server that knows the password can check.

import { createHash } from 'node:crypto'
import { type Header, headersOf, type Request, type Response } from './message.ts'

export interface Credentials {
  username: string
  password: string
}

const HASHES: ReadonlyMap<string, string> = new Map([
  ['md5', 'md5'],
  ['sha-256', 'sha256'],
])

/** The header to send the request again with; undefined when nothing of what is asked can be answered. `cnonce` is hex. */
export function answerChallenge(
  response: Response,
  request: Pick<Request, 'method' | 'uri' | 'body'>,
  { username, password }: Credentials,
  cnonce: string,
): Header | undefined {
  const proxy = response.status === 407
  // The strongest first, as the server sorts them (RFC 8760 section 2.4).
  for (const text of headersOf({ headers: response.headers.map(joined) }, proxy ? 'proxy-authenticate' : 'www-authenticate')) {
    const asked = challenge(text.replaceAll('\u0001', ','))
    const hash = HASHES.get((asked?.get('algorithm') ?? 'md5').toLowerCase())
    const [realm, nonce] = [asked?.get('realm'), asked?.get('nonce')]
    if (asked === undefined || hash === undefined || realm === undefined || nonce === undefined) continue
    const digest = (...parts: readonly string[]): string => createHash(hash).update(parts.join(':')).digest('hex')
    const offered = asked
      .get('qop')
      ?.split(',')
      .map(one => one.trim())
    if (offered !== undefined && !offered.includes('auth')) continue
    const [ha1, ha2] = [digest(username, realm, password), digest(request.method, request.uri)]
    const answer = offered === undefined ? digest(ha1, nonce, ha2) : digest(ha1, nonce, '00000001', cnonce, 'auth', ha2)
    const fields = [
      `username=${quoted(username)}`,
      `realm=${quoted(realm)}`,
      `nonce=${quoted(nonce)}`,
      `uri=${quoted(request.uri)}`,
      `response="${answer}"`,
      ...(asked.has('algorithm') ? [`algorithm=${asked.get('algorithm')}`] : []),
      ...(offered === undefined ? [] : [`qop=auth`, `nc=00000001`, `cnonce="${cnonce}"`]),
      ...(asked.has('opaque') ? [`opaque=${quoted(asked.get('opaque') ?? '')}`] : []),
    ]
    return [proxy ? 'Proxy-Authorization' : 'Authorization', `Digest ${fields.join(', ')}`]
  }
  return undefined
}

/** A challenge is one value though it holds commas. */
const joined = ([name, value]: Header): Header => [name, value.replaceAll(',', '\u0001')]

function challenge(text: string): ReadonlyMap<string, string> | undefined {
  const [, rest] = /^Digest\s+(.*)$/is.exec(text) ?? []
  if (rest === undefined) return undefined
  return new Map(
    [...rest.matchAll(/(?<![\w-])([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g)].map(([, name = '', quoted, plain]) => [
      name.toLowerCase(),
      quoted?.replaceAll(/\\(.)/g, '$1') ?? plain ?? '',
    ]),
  )
}

const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`
