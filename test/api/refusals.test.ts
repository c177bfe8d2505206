// Crossbar's table of errors (api_util.erl, cb_context.erl), row by row: status, name, and what `data` says.

import test from 'ava'
import { LARGEST_BODY } from '../../src/api/http/body.ts'
import { digest } from '../../src/api/rights/credentials.ts'
import { AppError, type ErrorCode } from '../../src/errors.ts'
import { type Answered, type Ask, tenantWorld, type TenantWorld } from '../helpers/api.ts'

interface Place extends TenantWorld {
  user: string
  /** Token of a user of the account who is no admin. */
  his: () => Promise<string | undefined>
}

const login = ({ ask }: Pick<TenantWorld, 'ask'>): ReturnType<Ask> =>
  ask('PUT', '/v2/user_auth', { credentials: digest('md5', 'him', 'secret'), account_name: 'acme' })

interface Refusal {
  when: string
  ask: (place: Place) => Promise<Answered<unknown>>
  status: number
  /** `message` of the envelope. */
  name: string
  data: unknown
}

const nobody = 'f'.repeat(32)

/** What the store fails with, and then nothing else. */
const failing =
  (code: ErrorCode) =>
  ({ ask, at, store }: Place): ReturnType<Ask> => {
    Object.assign(store, { query: () => Promise.reject(new AppError(code, 'http://u:p@couch:5984 said so')) })
    return ask('GET', `${at}/users`)
  }

const TABLE: readonly Refusal[] = [
  {
    when: 'a body that is no JSON',
    ask: ({ ask, user }) => ask('PATCH', user, undefined, { raw: '{' }),
    status: 400,
    name: 'parse_error',
    data: { json: { invalid: { message: 'the body is not JSON', target: 'body' } } },
  },
  {
    when: 'a body without data',
    ask: ({ ask, user }) => ask('PATCH', user, undefined, { raw: '{}' }),
    status: 400,
    name: 'invalid request envelope',
    data: { data: { required: { message: 'Field is required but missing', value: {} } } },
  },
  {
    when: 'a wrong field',
    ask: ({ ask, user }) => ask('PATCH', user, { priv_level: 'x' }),
    status: 400,
    name: 'validation error',
    data: { priv_level: { enum: { message: 'Value not found in enumerated list of values', target: ['user', 'admin'], value: 'x' } } },
  },
  {
    when: 'no token',
    ask: ({ ask, user }) => ask('GET', user, undefined, { token: undefined }),
    status: 401,
    name: 'invalid_credentials',
    data: { message: 'invalid credentials' },
  },
  {
    when: 'an account that is not there',
    ask: ({ ask }) => ask('GET', `/v2/accounts/${nobody}/users`),
    status: 404,
    name: 'bad_identifier',
    data: { message: 'bad identifier', cause: nobody },
  },
  {
    when: 'an account that is not his and not below his',
    ask: async ({ ask, master, his }) => ask('GET', `/v2/accounts/${master.accountId}`, undefined, { token: await his() }),
    status: 403,
    name: 'forbidden',
    data: { message: 'forbidden' },
  },
  {
    when: 'what is not for this token',
    ask: async ({ ask, at, his }) => ask('PUT', `${at}/users`, {}, { token: await his() }),
    status: 403,
    name: 'forbidden',
    data: { message: 'forbidden', cause: 'priv_level' },
  },
  {
    when: 'an id that is not there',
    ask: ({ ask, at }) => ask('GET', `${at}/users/${nobody}`),
    status: 404,
    name: 'bad_identifier',
    data: { message: 'bad identifier', cause: nobody },
  },
  {
    when: 'a recording id without a month',
    ask: ({ ask, at }) => ask('GET', `${at}/recordings/${nobody}`),
    status: 404,
    name: 'bad identifier',
    data: [nobody],
  },
  { when: 'no such path', ask: ({ ask, at }) => ask('GET', `${at}/nothing`), status: 404, name: 'not_found', data: { message: 'not found' } },
  {
    when: 'a page of nothing',
    ask: ({ ask, at }) => ask('GET', `${at}/users?page_size=0`),
    status: 404,
    name: 'faulty_request',
    data: { message: 'page size must be at least 1' },
  },
  {
    when: 'a verb that the path does not take',
    ask: ({ ask, at }) => ask('DELETE', `${at}/recordings`),
    status: 405,
    name: 'invalid_method',
    data: { message: 'method not allowed', allow: 'HEAD, GET, OPTIONS' },
  },
  {
    when: 'a type that is not there',
    ask: ({ ask, user }) => ask('GET', `${user}?accept=text/html`),
    status: 406,
    name: 'not_acceptable',
    data: { message: 'the answer is JSON' },
  },
  {
    when: 'a lost race',
    ask: ({ ask, user, store }) => {
      Object.assign(store, { put: () => Promise.reject(new AppError('datastore_conflict', 'lost')) })
      return ask('PATCH', user, {})
    },
    status: 409,
    name: 'datastore_conflict',
    data: { message: 'conflicting documents' },
  },
  {
    when: 'what the Voice API has and callrec has not',
    ask: ({ ask }) => ask('PUT', '/v1/calls/some-uuid/talk', {}),
    status: 404,
    name: 'not_found',
    data: { message: 'not found' },
  },
  {
    when: 'the first version',
    ask: ({ ask }) => ask('GET', '/v1/accounts'),
    status: 410,
    name: 'gone',
    data: { message: 'version 1 of the API is gone; use /v2' },
  },
  {
    when: 'a body that is too long',
    ask: ({ ask, user }) => ask('PATCH', user, undefined, { raw: ' '.repeat(LARGEST_BODY + 1) }),
    status: 413,
    name: 'body_too_large',
    data: { file: { maxSize: { message: `body must be at most ${LARGEST_BODY} bytes`, target: LARGEST_BODY } } },
  },
  {
    when: 'a body of another type',
    ask: ({ ask, user }) => ask('PATCH', user, {}, { headers: { 'content-type': 'text/xml' } }),
    status: 415,
    name: 'unsupported_media_type',
    data: { message: 'a body of type text/xml is not JSON' },
  },
  {
    when: 'a login into an account that is disabled',
    ask: async place => {
      await place.his()
      await place.ask('PATCH', place.at, { enabled: false })
      const { body, ...answer } = await login(place)
      return { ...answer, body: { ...body, data: JSON.parse(JSON.stringify(body.data).replace(place.account, 'ACCOUNT')) as unknown } }
    },
    status: 423,
    name: 'locked',
    data: { account: { disabled: { message: 'account disabled', cause: 'ACCOUNT' } } },
  },
  {
    when: 'too many requests',
    ask: async ({ ask, user }) => {
      let last = await ask('GET', user)
      for (let n = 0; n < 50 && last.status !== 429; n++) last = await ask('GET', user)
      const { body, ...answer } = last
      return { ...answer, body: { ...body, data: { ...body.data, retry_after: 1 } } }
    },
    status: 429,
    name: 'too_many_requests',
    data: { message: 'too many requests', retry_after: 1 },
  },
  { when: 'a fault of ours', ask: failing('unspecified_fault'), status: 500, name: 'unspecified_fault', data: { message: 'unspecified fault' } },
  {
    when: 'a database that is not there',
    ask: failing('datastore_missing'),
    status: 503,
    name: 'datastore_missing',
    data: { message: 'data collection missing: database not found' },
  },
  {
    when: 'a store that does not answer',
    ask: failing('datastore_unreachable'),
    status: 503,
    name: 'datastore_unreachable',
    data: { message: 'datastore timeout: the embedded store does not answer; try again' },
  },
  {
    when: 'a store that failed',
    ask: failing('datastore_fault'),
    status: 503,
    name: 'datastore_fault',
    data: { message: 'datastore fatal error: the embedded store failed or refused; the log of callrec says why' },
  },
]

for (const { when, ask, status, name, data } of TABLE) {
  test(`${when} is a ${status} ${name}`, async t => {
    const made = await tenantWorld(t, { config: { requestsPer10s: 10 } })
    const put = async (fields: object): Promise<string> =>
      `${made.at}/users/${(await made.ask<{ id: string }>('PUT', `${made.at}/users`, { first_name: 'A', last_name: 'B', ...fields })).body.data.id}`
    const his = async (): Promise<string | undefined> => {
      await put({ username: 'him', password: 'secret' })
      return (await login(made)).body.auth_token
    }
    const answer = await ask({ ...made, user: await put({}), his })
    t.is(answer.status, status)
    t.like(answer.body, { status: 'error', error: String(status), message: name })
    t.deepEqual(answer.body.data, data)
    t.regex(String(answer.body['request_id']), /^[0-9a-f]{32}$/)
  })
}
