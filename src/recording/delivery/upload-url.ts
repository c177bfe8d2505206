// Where a recording's file is put below the URL a tenant gave, built as Kazoo builds it so that a
// receiver written for Kazoo understands it (kzc_recording.erl: handler_fields, check_url).

import type { Recording } from '../document.ts'

export type UploadFields = Pick<Recording, '_id' | 'name' | 'call_id' | 'cdr_id' | 'interaction_id' | 'from' | 'to' | 'start' | 'duration_ms'> &
  Pick<Recording, 'caller_id_name' | 'caller_id_number' | 'pvt_account_id' | 'owner_id'>

/**
 * Without a query the name becomes the last part of the path; with one it becomes the value of its last parameter when that has none,
 * else of a new one called `recording`. A fragment is no part of a request and falls away.
 */
export function uploadUrl(base: string, recording: UploadFields): string {
  const [address = ''] = base.split('#')
  const [path = '', ...rest] = address.split('?')
  const query = rest.join('?')
  const name = encoded(recording.name)
  if (query === '') return `${withoutSlashes(path)}/${name}?${parameters(recording)}`
  return `${path}?${query}${joint(query)}${name}&${parameters(recording)}`
}

/** By hand: a pattern takes the square of the time that a tenant's URL has slashes. */
function withoutSlashes(path: string): string {
  let end = path.length
  while (path[end - 1] === '/') end -= 1
  return path.slice(0, end)
}

/** What leads from a query to the name, by its last parameter: `f` → `=`, `f=` → nothing, `k=1` → another parameter. */
function joint(query: string): string {
  const last = query.slice(query.lastIndexOf('&') + 1)
  if (!last.includes('=')) return '='
  return last.endsWith('=') && last.indexOf('=') === last.length - 1 ? '' : '&recording='
}

/** Always all of them, in Kazoo's order; what is not known is empty. */
function parameters(recording: UploadFields): string {
  const fields = {
    from: recording.from,
    to: recording.to,
    caller_id_name: recording.caller_id_name,
    caller_id_number: recording.caller_id_number,
    call_id: recording.call_id,
    cdr_id: recording.cdr_id,
    interaction_id: recording.interaction_id,
    account_id: recording.pvt_account_id,
    duration_ms: recording.duration_ms,
    owner_id: recording.owner_id,
    start: recording.start,
    recording_id: recording._id,
  }
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${encoded(String(value ?? ''))}`)
    .join('&')
}

/** Everything but RFC 3986's unreserved characters; half a surrogate pair, which encodeURIComponent throws at, becomes U+FFFD. */
const encoded = (text: string): string =>
  encodeURIComponent(Buffer.from(text).toString()).replace(/[!'()*]/g, one => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)
