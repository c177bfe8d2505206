// Crossbar's envelope around everything the API says, refusals included (crossbar: api_util.erl
// create_resp_envelope). The names of errors are the rows of errors.ts.

import { AppError, type ErrorCode } from '../../errors.ts'
import type { Store } from '../../store/store.ts'
import type { Fields } from '../validation/fields.ts'
import type { Spent } from '../rights/limits.ts'

export interface Frame {
  requestId: string
  /** Of this engine, for whoever compares answers of several. */
  node: string
  version: string
  /** Unix milliseconds. */
  now: number
  /** Which document store this engine has. */
  store: Store['kind']
  /** Given only by those who are logged in. */
  token?: string | undefined
  tokens?: Spent | undefined
}

const frame = ({ requestId, node, version, now, token, tokens }: Frame): Fields => ({
  request_id: requestId,
  node,
  timestamp: new Date(now).toISOString().replace(/\.\d+Z$/, 'Z'),
  ...(token === undefined ? {} : { version, auth_token: token }),
  ...(tokens === undefined ? {} : { tokens }),
})

export const success = (about: Frame, data: unknown, revision: string | undefined, beside: Fields = {}): Fields => ({
  data,
  ...beside,
  ...(revision === undefined ? {} : { revision }),
  status: 'success',
  ...frame(about),
})

const STORES = { couchdb: 'CouchDB', embedded: 'the embedded store' }

/** The words of `data.message` where Crossbar has fixed ones; they also keep our neighbours' addresses inside. */
const wordsOf = (store: string): Partial<Record<ErrorCode, string>> => ({
  invalid_credentials: 'invalid credentials',
  forbidden: 'forbidden',
  bad_identifier: 'bad identifier',
  invalid_method: 'method not allowed',
  datastore_conflict: 'conflicting documents',
  too_many_requests: 'too many requests',
  datastore_missing: 'data collection missing: database not found',
  datastore_unreachable: `datastore timeout: ${store} does not answer; try again`,
  datastore_fault: `datastore fatal error: ${store} failed or refused; the log of callrec says why`,
  unspecified_fault: 'unspecified fault',
})

/** Those whose data is a map of paths. */
const PER_PATH: readonly ErrorCode[] = ['validation error', 'invalid request envelope', 'parse_error', 'body_too_large', 'locked']

export function failure(about: Frame, error: AppError): Fields {
  const { message, data } = refusal(error, about)
  return { data, error: String(error.status), message, status: 'error', ...frame(about) }
}

function refusal({ code, message, data }: AppError, { store }: Frame): { message: string; data: unknown } {
  if (PER_PATH.includes(code)) return { message: code, data }
  // A malformed recording id: crossbar_util response_bad_identifier.
  if (code === 'bad_identifier' && Array.isArray(data['ids'])) return { message: 'bad identifier', data: data['ids'] }
  return { message: code, data: { message: wordsOf(STORES[store])[code] ?? message, ...data } }
}

/** Whatever was thrown, as a row of the table; what is no AppError is a fault of ours and its words stay inside. */
export const asAppError = (thrown: unknown): AppError =>
  thrown instanceof AppError ? thrown : new AppError('unspecified_fault', 'unspecified fault', {}, { cause: thrown })
