// What must not be repeated: secrets in an answer that tells what was wrong with a body, and passwords in
// the URLs of an account's settings, which its admins wrote and its users only read.

import { isObject } from './fields.ts'

const deep = (value: unknown, key: string, change: (value: unknown, key: string) => unknown): unknown => {
  const changed = change(value, key)
  if (changed !== value) return changed
  if (Array.isArray(value)) return value.map(one => deep(one, key, change))
  return isObject(value) ? Object.fromEntries(Object.entries(value).map(([name, one]) => [name, deep(one, name, change)])) : value
}

const HIDDEN = '***'

const SECRET = /password|passwd|secret|credentials|api_key|auth_token/i

/** `key` is where the value stands. */
export const withoutSecrets = (value: unknown, key = ''): unknown => deep(value, key, (one, name) => (SECRET.test(name) ? HIDDEN : one))

const USER_PART = /^([a-z][a-z0-9+.-]*:\/\/)[^/?#\s]*@/i

export const withoutPasswords = (value: unknown): unknown =>
  deep(value, '', one => (typeof one === 'string' && USER_PART.test(one) ? one.replace(USER_PART, `$1${HIDDEN}@`) : one))

/** Data as its reader may see it, which is also all that his filters may ask of it. */
export const asReadBy = <T>(who: { level: 'user' | 'admin' }, data: T): T => (who.level === 'user' ? (withoutPasswords(data) as T) : data)
