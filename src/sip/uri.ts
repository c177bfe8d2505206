// SIP URIs (RFC 3261 section 19.1).

export interface SipUri {
  secure: boolean
  user?: string
  /** A name or an address; IPv6 without its brackets. */
  host: string
  port?: number
  /** Names in lower case. */
  params: ReadonlyMap<string, string>
}

const URI = /^(sips?):(?:([^@\s<>"]+)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?\.?)(?::(\d{1,5}))?((?:;[^\s;?,<>"{}|]+)*)(?:\?\S*)?$/i

/** Undefined for what is none. */
export function parseUri(text: string): SipUri | undefined {
  const [, scheme, user, host, port, params = ''] = URI.exec(text) ?? []
  if (scheme === undefined || host === undefined) return undefined
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return undefined
  return {
    secure: scheme.toLowerCase() === 'sips',
    ...(user === undefined ? {} : { user }),
    host: host.replace(/^\[|\]$/g, ''),
    ...(port === undefined ? {} : { port: Number(port) }),
    params: new Map(
      params
        .split(';')
        .slice(1)
        .map(one => {
          const [name = '', value = ''] = one.split('=')
          return [name.toLowerCase(), value.toLowerCase()] as const
        }),
    ),
  }
}

/** As a request line may have it: what a URI wants in the headers of a request, or as its method, is not taken from others (section 19.1.5). */
export function requestUri(text: string): string {
  const headers = text.indexOf('?', text.lastIndexOf('@') + 1)
  return (headers < 0 ? text : text.slice(0, headers)).replace(/;method=[^;]*/gi, '')
}

/** By TLS all the way (section 26.2.2). */
export const isSecure = (text: string): boolean => /^sips:/i.test(text)

export const hostText = (host: string): string => (host.includes(':') ? `[${host}]` : host)
