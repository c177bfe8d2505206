// The API as callrec's own commands use it: over HTTP like everybody else, never through the store.

import { AppError } from './errors.ts'

export interface Client {
  readonly token: string
  readonly accountId: string
  get<T>(path: string): Promise<T>
  /** Every row of a list, page after page. `path` has a query. */
  list<T>(path: string): AsyncIterable<T>
  put<T>(path: string, data: unknown): Promise<T>
  post<T>(path: string, data: unknown): Promise<T>
  patch<T>(path: string, data: unknown): Promise<T>
}

interface Envelope {
  data: unknown
  auth_token?: string
  message?: string
  next_start_key?: string
}

/** Milliseconds. */
const PATIENCE = 15_000

/** `url` has no path. Rejects with what the API said, in words. */
export async function signIn(url: string, apiKey: string): Promise<Client> {
  const auth = await send(url, 'PUT', '/v2/api_auth', { data: { api_key: apiKey } })
  const token = auth.auth_token ?? ''
  const ask = async <T>(method: string, path: string, data?: unknown): Promise<T> =>
    (await send(url, method, `/v2/${path}`, data === undefined ? undefined : { data }, token)).data as T
  return {
    token,
    accountId: (auth.data as { account_id: string }).account_id,
    get: path => ask('GET', path),
    async *list<T>(path: string) {
      for (let from: string | undefined = ''; from !== undefined; ) {
        const page: Envelope = await send(url, 'GET', `/v2/${path}${from === '' ? '' : `&start_key=${encodeURIComponent(from)}`}`, undefined, token)
        yield* page.data as T[]
        from = page.next_start_key
      }
    },
    put: (path, data) => ask('PUT', path, data),
    post: (path, data) => ask('POST', path, data),
    patch: (path, data) => ask('PATCH', path, data),
  }
}

async function send(url: string, method: string, path: string, body?: unknown, token?: string): Promise<Envelope> {
  const request = {
    method,
    headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { 'x-auth-token': token }) },
    signal: AbortSignal.timeout(PATIENCE),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }
  const response = await fetch(url + path, request).catch((cause: unknown) => {
    throw new AppError('unspecified_fault', `nobody answers at ${url} – is callrec started (callrec start)?`, {}, { cause })
  })
  const envelope = (await response.json().catch(() => ({}))) as Envelope
  if (response.ok) return envelope
  throw new AppError('unspecified_fault', `${method} ${path} answered ${response.status} ${envelope.message ?? ''} ${JSON.stringify(envelope.data ?? {})}`, {
    status: response.status,
    answer: envelope.data,
  })
}
