// The list of recording servers as tenants write it: SIP URIs with commas between them, each a dialog of its own. Pure; every
// form that is no SIP URI is refused in its own words, because "invalid" helps nobody to mend it.

import { parseUri } from '../sip/uri.ts'

/** Of the field left empty, or of an expression that came out empty. */
export const MISSING = 'startCallRecording request is missing X-Srs-Url header'

/** Beyond what anybody has, and few enough that one call cannot occupy a switch. */
export const MOST_SERVERS = 8
const LONGEST = 512

export type Servers = { uris: readonly string[] } | { fault: string }

/** Without duplicates, in the order they were written. */
export function parseServers(text: unknown): Servers {
  if (typeof text !== 'string' || text.trim() === '') return { fault: MISSING }
  const parts = text.split(',').map(one => one.trim())
  if (parts.includes('')) return { fault: 'the list of recording servers has an empty element' }
  for (const part of parts) {
    const fault = faultOf(part)
    if (fault !== undefined) return { fault: `${JSON.stringify(part.slice(0, LONGEST))} is not a SIP URI: ${fault}` }
  }
  const keys = parts.map(serverKey)
  const uris = parts.filter((_, at) => keys.indexOf(keys[at] ?? '') === at).map(one => one.replace(/^sips?/i, scheme => scheme.toLowerCase()))
  return uris.length > MOST_SERVERS ? { fault: `more than ${MOST_SERVERS} recording servers` } : { uris }
}

/** The same for the same server: scheme and host do not care for case (RFC 3261 section 19.1.4). */
export const serverKey = (uri: string): string =>
  uri.replace(/^(sips?:)([^@]*@)?([^;]*)/i, (_, scheme: string, user = '', host: string) => scheme.toLowerCase() + user + host.toLowerCase())

const SCHEMES: Readonly<Record<string, string>> = {
  ws: 'WebSocket URLs are not supported, write sip: or sips:',
  wss: 'WebSocket URLs are not supported, write sip: or sips:',
  http: 'HTTP URLs are not supported, write sip: or sips:',
  https: 'HTTP URLs are not supported, write sip: or sips:',
  tel: 'a tel: number is no server, write sip: or sips:',
}

/** The first one that fits; undefined where nothing is wrong. */
function faultOf(text: string): string | undefined {
  const control = /\p{Cc}/u.test(text)
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(text) ?? []
  const known = Object.hasOwn(SCHEMES, scheme.toLowerCase()) ? SCHEMES[scheme.toLowerCase()] : undefined
  if (text.length > LONGEST) return `it is longer than ${LONGEST} characters`
  if (control) return 'it has a control character'
  if (/\{\{|\}\}/.test(text)) return 'it has an expression that was not filled in'
  if (known !== undefined) return known
  if (/\s/.test(text)) return 'it has a space'
  if (!/^sips?$/i.test(scheme)) return 'the sip: or sips: scheme is missing'
  const [, user = '', host = ''] = /^(?:([^@]*)@)?(\[[^\]]*\]|[^:;?]*)/.exec(rest) ?? []
  if (host === '' || host === '[]') return 'it has no host'
  // They would begin a second leg in a dial string.
  if (/[|{}<>]/.test(text) || /[[\]]/.test(rest.replace(/^(?:[^@]*@)?\[[0-9A-Fa-f:.]+\]/, ''))) return 'it has one of | { } < > [ ]'
  // RFC 3261 section 25.1: reserved, unreserved and escaped.
  if (/[^A-Za-z0-9\-_.!~*'()%;/?:@&=+$[\]]/.test(text)) return 'it has a character that no SIP URI has'
  // It would stand in every document and log line that names the server.
  if (user.includes(':')) return 'it has a password, which belongs into the siprec_credentials of the account'
  if (user === '' && rest.startsWith('@')) return 'the part before the @ is empty'
  const [, port] = /^(?:[^@]*@)?(?:\[[^\]]*\]|[^:;?[]*):([^;?]*)/.exec(rest) ?? []
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535)) return 'its port is not from 1 to 65535'
  if (rest.replace(/^[^@]*@/, '').includes('?')) return 'it has a question mark and headers, which belong into `headers`'
  const parsed = parseUri(text)
  if (parsed === undefined) return 'it cannot be read'
  if (parsed.params.has('method')) return 'it has a method'
  const transport = parsed.params.get('transport')
  if (transport !== undefined && !['udp', 'tcp', 'tls'].includes(transport)) return 'its transport is not udp, tcp or tls'
  if (parsed.secure && transport === 'udp') return 'sips: cannot go over udp'
  return undefined
}
