// Where one request of a tenant's URL goes: the URL without its user part, and the Authorization
// header that part stands for (undici drops it silently). Texts made here never hold user or query.

import { AppError } from '../errors.ts'

export interface Target {
  url: URL
  authorization?: string
}

/** Throws `destination_forbidden` for what is no http or https URL. */
export function targetOf(text: string, base?: URL): Target {
  const url = parse(text, base)
  if (url === undefined) throw new AppError('destination_forbidden', 'not a URL')
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new AppError('destination_forbidden', `${url.protocol} is not a destination, only http: and https: are`)
  }
  const { username, password } = url
  url.username = ''
  url.password = ''
  url.hash = ''
  return username === '' && password === '' ? { url } : { url, authorization: basic(username, password) }
}

/**
 * Where a redirect leads. A password is only for the origin it was given for, and audio that was to travel encrypted
 * does not go on in the clear (`upload_rejected`).
 */
export function redirected(from: Target, location: string): Target {
  const to = targetOf(location, from.url)
  if (from.url.protocol === 'https:' && to.url.protocol === 'http:') {
    throw new AppError('upload_rejected', `${from.url.host} redirects from https to http`)
  }
  if (to.authorization === undefined && from.authorization !== undefined && to.url.origin === from.url.origin) to.authorization = from.authorization
  return to
}

const parse = (text: string, base: URL | undefined): URL | undefined => (URL.canParse(text, base?.href) ? new URL(text, base) : undefined)

const basic = (username: string, password: string): string => `Basic ${Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')}`

/** A stray % is meant as itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
