import { createHash, randomBytes } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { firstStart } from '../../src/api/resources/first-start.ts'
import { accountDb } from '../../src/store/modb.ts'
import { anAccount, aStore, type Answered, type Ask, asker, world, type World } from '../helpers/api.ts'

const digest = (algorithm: string, text: string): string => createHash(algorithm).update(text).digest('hex')

interface Tenant extends World {
  id: string
  at: string
  /** Without a token. */
  open: Ask
}

async function tenant(t: ExecutionContext): Promise<Tenant> {
  const made = await world(t)
  const id = await anAccount(made, { name: 'Acme, Inc.', realm: 'acme.example' })
  return { ...made, id, at: `/v2/accounts/${id}`, open: asker(made.url) }
}

async function aUser({ ask, at, open, id }: Tenant, username: string, priv_level: string): Promise<{ id: string; token: string }> {
  const { body } = await ask<{ id: string }>('PUT', `${at}/users`, { first_name: 'A', last_name: 'B', username, password: 'secret', priv_level })
  const login = await open('PUT', '/v2/user_auth', { credentials: digest('md5', `${username.toLowerCase()}:secret`), account_realm: 'acme.example' })
  if (login.status !== 201) throw new Error(`no login in ${id}`)
  return { id: body.data.id, token: login.body.auth_token ?? '' }
}

test('the API key of an account gets a token of 256 bits, of which the store knows only the hash', async t => {
  const { master, open, store } = await tenant(t)
  const { status, body } = await open('PUT', '/v2/api_auth', { api_key: master.apiKey })
  t.is(status, 201)
  t.like(body.data, { account_id: master.accountId, account_name: 'master', is_master_account: true })
  t.regex(body.auth_token ?? '', /^[A-Za-z0-9_-]{43}$/)
  t.truthy(await store.get('token_auth', digest('sha256', body.auth_token ?? '')))
  const kept = await store.query('token_auth', 'tokens/by_expiry', { includeDocs: true })
  t.true(kept.length > 0)
  t.false(JSON.stringify(kept).includes(body.auth_token ?? ''))
})

test('a user logs in with md5 or sha1 of name and password, by the account’s name or realm', async t => {
  const made = await tenant(t)
  const user = await aUser(made, 'Alice', 'user')
  const credentials = digest('md5', 'alice:secret')
  for (const data of [
    { credentials, account_name: 'ACME inc' },
    { credentials: credentials.toUpperCase(), account_realm: 'Acme.Example', method: 'md5' },
    { credentials: digest('sha1', 'alice:secret'), method: 'sha', account_name: 'acme,inc.' },
  ]) {
    const { status, body } = await made.open('PUT', '/v2/user_auth', data)
    t.is(status, 201)
    t.like(body.data, { account_id: made.id, owner_id: user.id, account_name: 'Acme, Inc.', is_master_account: false, priv_level: 'user' })
  }
})

test('an account is named by a telephone number of its own, too', async t => {
  const made = await tenant(t)
  const { ask, at, open } = made
  await ask('PUT', `${at}/phone_numbers/+4930123456`)
  await ask('PUT', `${at}/users`, { first_name: 'A', last_name: 'B', username: 'alice', password: 'secret', language: 'de-de' })
  const login = (phone_number: string): Promise<Answered> => open('PUT', '/v2/user_auth', { credentials: digest('md5', 'alice:secret'), phone_number })
  const answer = await login('004930123456')
  t.is(answer.status, 201)
  t.like(answer.body.data, { account_id: made.id, language: 'de-de', is_reseller: false, reseller_id: made.master.accountId })
  t.is((await login('+4930999999')).status, 401)
  t.is((await login('030123456')).status, 401)
})

test('whatever is wrong with a login, the answer is the same 401', async t => {
  const made = await tenant(t)
  await aUser(made, 'alice', 'user')
  const right = digest('md5', 'alice:secret')
  const wrong: Answered[] = [
    await made.open('PUT', '/v2/user_auth', { credentials: digest('md5', 'alice:wrong'), account_name: 'acmeinc' }),
    await made.open('PUT', '/v2/user_auth', { credentials: right, account_name: 'nobody' }),
    await made.open('PUT', '/v2/user_auth', { credentials: right, account_name: '!!!' }),
    await made.open('PUT', '/v2/user_auth', { credentials: right, account_name: 'acmeinc', method: 'sha' }),
    await made.open('PUT', '/v2/api_auth', { api_key: '0'.repeat(64) }),
  ]
  for (const { status, body } of wrong) {
    t.is(status, 401)
    t.like(body, { status: 'error', error: '401', message: 'invalid_credentials', data: { message: 'invalid credentials' } })
    t.is(body.auth_token, undefined)
  }
})

test('a login that is no login is refused as a body is', async t => {
  const { open } = await tenant(t)
  t.truthy((await open('PUT', '/v2/user_auth', { credentials: digest('md5', 'a:b') })).body.data['account_name'])
  t.truthy((await open('PUT', '/v2/user_auth', { credentials: 'alice:secret', account_name: 'x' })).body.data['credentials'])
  t.truthy((await open('PUT', '/v2/api_auth', { api_key: { $ne: null } })).body.data['api_key'])
})

test('a token is taken from X-Auth-Token, Authorization and the query, and from nowhere else', async t => {
  const { open, at, token } = await tenant(t)
  const get = async (headers: Record<string, string>, query = ''): Promise<number> => (await open('GET', `${at}/users${query}`, undefined, { headers })).status
  t.is(await get({ 'x-auth-token': token }), 200)
  t.is(await get({ authorization: `Bearer ${token}` }), 200)
  t.is(await get({}, `?auth_token=${token}`), 200)
  t.is(await get({}), 401)
  t.is(await get({ cookie: `auth_token=${token}` }), 401)
  for (const bad of ['x', `${token}x`, token.toLowerCase(), '../..', digest('sha256', token)]) t.is(await get({ 'x-auth-token': bad }), 401, bad)
})

test('a token dies after its time and leaves the store when others are made', async t => {
  const { ask, at, open, clock, store, token, master } = await tenant(t)
  clock.ahead = 3_500_000
  t.is((await ask('GET', `${at}/users`)).status, 200)
  clock.ahead = 3_601_000
  t.is((await ask('GET', `${at}/users`)).status, 401)
  await open('PUT', '/v2/api_auth', { api_key: master.apiKey })
  t.is(await store.get('token_auth', digest('sha256', token)), undefined)
})

test('a token reaches its own account and what is below, and nothing beside or above', async t => {
  const made = await tenant(t)
  const child = (await made.ask<{ id: string }>('PUT', made.at, { name: 'child' })).body.data.id
  const other = await anAccount(made)
  const { token } = await aUser(made, 'boss', 'admin')
  const statusOf = async (path: string): Promise<number> => (await made.ask('GET', path, undefined, { token })).status
  t.is(await statusOf(made.at), 200)
  t.is(await statusOf(`/v2/accounts/${child}/users`), 200)
  t.is(await statusOf(`/v2/accounts/${other}/users`), 403)
  t.is(await statusOf(`/v2/accounts/${made.master.accountId}`), 403)
  t.is(await statusOf(`/v2/accounts/${'0'.repeat(32)}`), 404)
  t.is(await statusOf(`${made.at}/users/${'0'.repeat(32)}`), 404)
  t.like(await made.ask('GET', `/v2/accounts/${other}`, undefined, { token }), { body: { message: 'forbidden', error: '403' } })
})

test('a user who is no admin reads his account and changes nothing', async t => {
  const made = await tenant(t)
  const user = await aUser(made, 'alice', 'user')
  const as = (method: string, path: string, data?: unknown): Promise<Answered> => made.ask(method, path, data, { token: user.token })
  const child = (await made.ask<{ id: string }>('PUT', made.at, { name: 'child' })).body.data.id
  for (const path of [made.at, `${made.at}/users`, `${made.at}/users/${user.id}`, `${made.at}/devices`, `${made.at}/callflows`, '/v2/about']) {
    t.is((await as('GET', path)).status, 200, path)
  }
  const one = `${made.at}/users/${user.id}`
  for (const [method, path, data] of [
    ['PATCH', one, { record_call: false }],
    ['POST', one, { first_name: 'A', last_name: 'B' }],
    ['DELETE', one],
    ['PUT', `${made.at}/users`, {}],
    ['PUT', `${made.at}/devices`, {}],
    ['PUT', `${made.at}/callflows`, {}],
    ['PATCH', made.at, { record_call: false }],
    ['PUT', made.at, { name: 'mine' }],
    ['PUT', '/v2/accounts', { name: 'mine' }],
    ['GET', `/v2/accounts/${child}`],
    ['DELETE', `${made.at}/recordings/202611-${'0'.repeat(32)}`],
    ['PUT', `${made.at}/devices/${'0'.repeat(32)}/quickcall/2001`, {}],
    ['GET', `${made.at}/devices/${'0'.repeat(32)}/quickcall/2001`],
  ] as const) {
    t.like(await as(method, path, data), { status: 403, body: { message: 'forbidden' } }, `${method} ${path}`)
  }
})

test('a user sees what his own phone registers with, and no other’s', async t => {
  const made = await tenant(t)
  const user = await aUser(made, 'alice', 'user')
  const sip = { username: 'phone1', password: 'secret1' }
  const mine = await made.ask<{ id: string }>('PUT', `${made.at}/devices`, { name: 'mine', owner_id: user.id, sip })
  const other = await made.ask<{ id: string }>('PUT', `${made.at}/devices`, { name: 'other', sip: { username: 'phone2', password: 'secret2' } })
  const sipOf = async (id: string): Promise<unknown> => (await made.ask('GET', `${made.at}/devices/${id}`, undefined, { token: user.token })).body.data['sip']
  t.deepEqual(await sipOf(mine.body.data.id), sip)
  t.deepEqual(await sipOf(other.body.data.id), { username: 'phone2' })
})

test('a user who is demoted, disabled or deleted is so at once, whatever token he holds', async t => {
  const made = await tenant(t)
  const boss = await aUser(made, 'boss', 'admin')
  const one = `${made.at}/users/${boss.id}`
  const write = async (): Promise<number> => (await made.ask('PATCH', made.at, {}, { token: boss.token })).status
  t.is(await write(), 200)
  await made.ask('PATCH', one, { priv_level: 'user' })
  t.is(await write(), 403)
  await made.ask('PATCH', one, { priv_level: 'admin', enabled: false })
  t.is(await write(), 401)
  t.is((await made.open('PUT', '/v2/user_auth', { credentials: digest('md5', 'boss:secret'), account_name: 'acmeinc' })).status, 401)
  await made.ask('PATCH', one, { enabled: true })
  t.is(await write(), 200)
  await made.ask('DELETE', one)
  t.is(await write(), 401)
})

test('tokens and logins of an account that was deleted are worth nothing', async t => {
  const made = await tenant(t)
  const boss = await aUser(made, 'boss', 'admin')
  t.is((await made.ask('DELETE', made.at)).status, 200)
  t.is((await made.ask('GET', made.at, undefined, { token: boss.token })).status, 401)
  t.is((await made.open('PUT', '/v2/user_auth', { credentials: digest('md5', 'boss:secret'), account_name: 'acmeinc' })).status, 401)
})

test('a password that was changed ends the old one', async t => {
  const made = await tenant(t)
  const user = await aUser(made, 'alice', 'user')
  await made.ask('PATCH', `${made.at}/users/${user.id}`, { password: 'better' })
  const login = async (password: string): Promise<number> =>
    (await made.open('PUT', '/v2/user_auth', { credentials: digest('md5', `alice:${password}`), account_name: 'acmeinc' })).status
  t.is(await login('secret'), 401)
  t.is(await login('better'), 201)
})

test('an address that is wrong too often waits, and is told how long', async t => {
  const { url, master } = await world(t, { config: { loginsPerMinute: { attempts: 100, failures: 3 } } })
  const open = asker(url)
  const wrong = (): Promise<Answered> => open('PUT', '/v2/api_auth', { api_key: '0'.repeat(64) })
  const right = async (): Promise<number> => (await open('PUT', '/v2/api_auth', { api_key: master.apiKey })).status
  for (let n = 0; n < 5; n++) t.is(await right(), 201)
  for (let n = 0; n < 3; n++) t.is((await wrong()).status, 401)
  const refused = await wrong()
  t.like(refused, { status: 429, body: { message: 'too_many_requests' } })
  const seconds = Number(refused.headers.get('retry-after'))
  t.true(seconds >= 1 && seconds <= 60)
  t.is(await right(), 429)
})

test('an address that tries too often waits even when it is right', async t => {
  // The first attempt is the one that `world` makes.
  const { url, master } = await world(t, { config: { loginsPerMinute: { attempts: 3, failures: 3 } } })
  const open = asker(url)
  const tried = await Promise.all([1, 2, 3].map(() => open('PUT', '/v2/api_auth', { api_key: master.apiKey })))
  t.deepEqual(
    tried.map(({ status }) => status).sort((a, b) => a - b),
    [201, 201, 429],
  )
})

const random = (bytes: number): Buffer => randomBytes(bytes)
const now = Date.UTC(2026, 10, 21)

test('the first start makes the databases and one master account, and a second changes nothing', async t => {
  const store = await aStore(t)
  const first = await firstStart(store, { apiKey: undefined, now, random })
  t.regex(first.apiKey, /^[0-9a-f]{64}$/)
  t.true(first.created)
  const second = await firstStart(store, { apiKey: undefined, now, random })
  t.deepEqual(second, { accountId: first.accountId, apiKey: first.apiKey, created: false })
  for (const db of ['accounts', 'token_auth', 'recordings_in_flight', 'calls_in_progress', 'system_config', 'numbers', accountDb(first.accountId)]) {
    t.true((await store.databases()).includes(db), db)
  }
  t.like(await store.get('accounts', first.accountId), { pvt_tree: [], pvt_type: 'account', name: 'master', pvt_alphanum_name: 'master' })
})

test('two engines that start at the same time agree on the master account and its key', async t => {
  const store = await aStore(t)
  const both = await Promise.all([1, 2, 3].map(() => firstStart(store, { apiKey: undefined, now, random })))
  t.is(new Set(both.map(({ accountId, apiKey }) => accountId + apiKey)).size, 1)
  t.is((await store.query('accounts', 'accounts/listing_by_name', { key: 'master' })).length, 1)
})

test('a start that was cut off between choosing the master and writing it is finished by the next', async t => {
  const store = await aStore(t)
  const broken = { ...store, put: (db: string, doc: { _id: string }) => (db === 'accounts' ? Promise.reject(new Error('power cut')) : store.put(db, doc)) }
  await t.throwsAsync(firstStart(broken, { apiKey: undefined, now, random }), { message: 'power cut' })
  const { accountId } = await firstStart(store, { apiKey: undefined, now, random })
  t.is((await store.get('system_config', 'accounts'))?.['master_account_id'], accountId)
})

test('a master key that the operator gives replaces the one that is there', async t => {
  const store = await aStore(t)
  const first = await firstStart(store, { apiKey: undefined, now, random })
  const apiKey = 'f'.repeat(64)
  t.deepEqual(await firstStart(store, { apiKey, now, random }), { accountId: first.accountId, apiKey, created: false })
  t.is((await firstStart(store, { apiKey: undefined, now, random })).apiKey, apiKey)
})
