import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import test from 'ava'
import { digest } from '../../src/api/rights/credentials.ts'
import { parseNetworks } from '../../src/addresses.ts'
import { networkOf } from '../../src/api/rights/limits.ts'
import { clientAddress } from '../../src/api/rights/proxies.ts'
import { type Answered, asker, tenantWorld, type TenantWorld, type World, world } from '../helpers/api.ts'

const seconds = ({ headers }: Answered): number => Number(headers.get('retry-after'))

test('an account that is guessed at waits, whether it is named by realm or name, and other accounts do not', async t => {
  const made = await tenantWorld(t, { config: { loginsPerMinute: { attempts: 100, failures: 100, ofAccount: 3 } } })
  const open = asker(made.url)
  const user = { first_name: 'A', last_name: 'B', username: 'alice', password: 'secret' }
  await made.ask('PUT', `${made.at}/users`, user)
  const login = (password: string, account: object): Promise<Answered> =>
    open('PUT', '/v2/user_auth', { credentials: digest('md5', 'alice', password), ...account })
  for (let n = 0; n < 4; n++) t.is((await login('secret', { account_name: 'acme' })).status, 201)
  t.is((await login('a', { account_name: 'acme' })).status, 401)
  t.is((await login('b', { account_name: 'A-C-M-E' })).status, 401)
  t.is((await login('c', { account_realm: 'ACME.example' })).status, 401)
  const refused = await login('secret', { account_name: 'acme' })
  t.like(refused, { status: 429, body: { message: 'too_many_requests', data: { message: 'too many requests' } } })
  t.true(seconds(refused) >= 1 && seconds(refused) <= 60)
  t.is((await login('x', { account_name: 'nobody' })).status, 401)
})

test('an account that is not there is limited like one that is', async t => {
  const { url } = await tenantWorld(t, { config: { loginsPerMinute: { attempts: 100, failures: 100, ofAccount: 2 } } })
  const login = async (): Promise<number> => (await asker(url)('PUT', '/v2/user_auth', { credentials: digest('md5', 'a', 'b'), account_name: 'nobody' })).status
  t.deepEqual([await login(), await login(), await login()], [401, 401, 429])
})

test('a token that asks too often waits, and another one does not', async t => {
  const { ask, url, at, master } = await tenantWorld(t, { config: { requestsPer10s: 5 } })
  const other = (await asker(url)('PUT', '/v2/api_auth', { api_key: master.apiKey })).body.auth_token
  let last = await ask('GET', at)
  for (let n = 0; n < 4; n++) last = await ask('GET', at)
  t.is(last.status, 429)
  t.true(seconds(last) >= 1 && seconds(last) <= 10)
  t.is((await ask('GET', at, undefined, { token: other })).status, 200)
})

test('what one customer of a provider has of IPv6 is one address', t => {
  t.is(networkOf('2001:db8:1:2:3:4:5:6'), networkOf('2001:db8:1:2::9'))
  t.not(networkOf('2001:db8:1:2::9'), networkOf('2001:db8:1:3::9'))
  t.is(networkOf('2001:db8::1'), networkOf('2001:db8:0:0:1::'))
  t.is(networkOf('::1'), networkOf('::2'))
  t.is(networkOf('fe80::1%eth0'), networkOf('fe80::2'))
  t.not(networkOf('192.0.2.1'), networkOf('192.0.2.2'))
  t.not(networkOf('::ffff:192.0.2.1'), networkOf('::ffff:192.0.2.2'))
})

test('what X-Forwarded-For says counts as far as trusted proxies wrote it, and not at all without them', t => {
  const trusted = parseNetworks(['10.0.0.0/8', 'fd00::/8'])
  const [proxy, client, forged] = ['10.0.0.1', '192.0.2.1', '198.51.100.7']
  t.is(clientAddress(proxy, client, []), proxy)
  t.is(clientAddress(client, forged, trusted), client)
  t.is(clientAddress(proxy, client, trusted), client)
  t.is(clientAddress(proxy, `${forged}, ${client}`, trusted), client)
  t.is(clientAddress(proxy, `${forged}, ${client}, 10.9.9.9`, trusted), client)
  t.is(clientAddress('::ffff:10.0.0.1', client, trusted), client)
  t.is(clientAddress('fd00::5', '2001:db8::1', trusted), '2001:db8::1')
  t.is(clientAddress(proxy, `${client}:4711`, trusted), client)
  t.is(clientAddress(proxy, '[2001:db8::1]:4711', trusted), '2001:db8::1')
  t.is(clientAddress(proxy, `${client}, unknown`, trusted), proxy)
  t.is(clientAddress(proxy, undefined, trusted), proxy)
  t.is(clientAddress(proxy, '10.0.0.2', trusted), '10.0.0.2')
})

test('those behind a trusted proxy have limits of their own, and a forged header gives nobody another one', async t => {
  const limits = { loginsPerMinute: { attempts: 100, failures: 1 } }
  const login = async ({ url }: { url: string }, from: string): Promise<number> =>
    (await asker(url)('PUT', '/v2/api_auth', { api_key: '0'.repeat(64) }, { headers: { 'x-forwarded-for': from } })).status
  const behind = await world(t, { config: { ...limits, trustedProxies: ['127.0.0.0/8'] } })
  t.deepEqual([await login(behind, '192.0.2.1'), await login(behind, '192.0.2.1'), await login(behind, '192.0.2.2')], [401, 429, 401])
  t.is(await login(behind, '198.51.100.7, 192.0.2.1'), 429)
  const open = await world(t, { config: limits })
  t.deepEqual([await login(open, '192.0.2.1'), await login(open, '192.0.2.2')], [401, 429])
})

test('of whoever has not said who he is, little is read', async t => {
  const { url, at, token, ask } = await tenantWorld(t)
  const open = asker(url)
  const login = await open('PUT', '/v2/user_auth', { credentials: 'a'.repeat(32), account_name: 'acme', pad: 'x'.repeat(64_000) })
  t.like(login, { status: 413, body: { data: { file: { maxSize: { target: 64_000 } } } } })
  const within = (pad: number): string => JSON.stringify({ auth_token: token, data: { pad: 'x'.repeat(pad) } })
  t.is((await open('PATCH', at, undefined, { raw: within(10) })).status, 200)
  t.is((await open('PATCH', at, undefined, { raw: within(64_000) })).status, 401)
  t.is((await ask('PATCH', at, undefined, { raw: within(64_000) })).status, 200)
})

test('no document grows beyond what thousands of them in a list can be', async t => {
  const { ask, at } = await tenantWorld(t)
  const user = { first_name: 'A', last_name: 'B' }
  const one = `${at}/users/${(await ask<{ id: string }>('PUT', `${at}/users`, user)).body.data.id}`
  t.is((await ask('PATCH', one, { notes: 'x'.repeat(150_000) })).status, 200)
  const refused = await ask('PATCH', one, { more: 'x'.repeat(150_000) })
  t.like(refused, { status: 413, body: { message: 'body_too_large', data: { data: { maxSize: { target: 256_000 } } } } })
  t.is((await ask('GET', one)).body.data['more'], undefined)
  t.is((await ask('PUT', `${at}/users`, { ...user, notes: 'x'.repeat(256_000) })).status, 413)
})

test('a body of very many values is refused before anything looks at it', async t => {
  const { ask, at } = await tenantWorld(t)
  const raw = `{"data":{"name":"x","list":[${'1,'.repeat(120_000)}1]}}`
  t.like(await ask('PATCH', at, undefined, { raw }), {
    status: 400,
    body: { message: 'parse_error', data: { json: { invalid: { message: 'the body holds too many values' } } } },
  })
})

/** What comes back to who sends `text` and then never anything useful again. */
async function dribble({ url }: World, text: string, drop: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let answer = ''
  socket.on('data', chunk => (answer += chunk.toString())).on('error', () => {})
  socket.write(text)
  const dripping = setInterval(() => socket.write(drop), 20)
  await new Promise(resolve => socket.once('close', resolve))
  clearInterval(dripping)
  return answer
}

test('whoever sends his headers or his body drop by drop is cut off, and others are served meanwhile', async t => {
  const made = await tenantWorld(t, { patience: { request: 3000, headers: 1000, look: 50 } })
  const began = performance.now()
  const slow = Promise.all([
    dribble(made, 'GET /v2/about HTTP/1.1\r\nhost: x\r\n', 'x-a: b\r\n'),
    dribble(made, `PATCH ${made.at} HTTP/1.1\r\nhost: x\r\nx-auth-token: ${made.token}\r\ncontent-length: 100000\r\n\r\n{"data":{`, ' '),
    dribble(made, `PATCH ${made.at} HTTP/1.1\r\nhost: x\r\nx-auth-token: ${made.token}\r\ntransfer-encoding: chunked\r\n\r\n`, '1\r\n \r\n'),
  ])
  t.is((await made.ask('GET', made.at)).status, 200)
  for (const answer of await slow) t.regex(answer, /^HTTP\/1\.1 408 /)
  t.true(performance.now() - began < 20_000)
  t.is((await made.ask('GET', made.at)).status, 200)
  t.false(made.lines.some(({ level }) => level === 'error'))
})

test('a URL that leads inside is refused where it is written, unless the operator opened that network', async t => {
  const put = async (made: TenantWorld, url: string): Promise<Answered> => made.ask('PATCH', made.at, { record_call: { url } })
  const closed = await tenantWorld(t)
  for (const url of ['http://127.0.0.1:8001/', 'http://0x7f000001/', 'http://[::ffff:10.0.0.1]/', 'http://localhost/']) {
    const refused = await put(closed, url)
    t.is(refused.status, 400, url)
    t.deepEqual(refused.body.data['record_call.url'], { error: { message: 'invalid client URL', value: url } })
  }
  t.is((await put(closed, 'https://records.example/')).status, 200)
  const open = await tenantWorld(t, { config: { uploadAllowNetworks: ['127.0.0.0/8'] } })
  t.is((await put(open, 'http://127.0.0.1:8001/')).status, 200)
  t.is((await put(open, 'http://10.0.0.1/')).status, 400)
})

test('answers are not kept by anybody and not taken for something else', async t => {
  const { ask, at, url } = await tenantWorld(t)
  for (const { headers } of [await ask('GET', at), await asker(url)('GET', at), await ask('GET', '/nothing')]) {
    t.is(headers.get('cache-control'), 'no-store')
    t.is(headers.get('x-content-type-options'), 'nosniff')
    t.is(headers.get('referrer-policy'), 'no-referrer')
    t.truthy(headers.get('content-security-policy'))
    t.is(headers.get('x-powered-by'), null)
  }
})

test('no token, password, key or digest is in the log, in the metrics or in a refusal', async t => {
  const made = await tenantWorld(t)
  const { ask, at, url, lines, store, master, token } = made
  const open = asker(url)
  const password = `pass-${randomBytes(8).toString('hex')}`
  const long = `${password}${'x'.repeat(300)}`
  const user = { first_name: 'A', last_name: 'B', username: 'alice', password }
  const refusals: unknown[] = []
  const refused = async (answer: Promise<Answered>): Promise<void> => {
    const { status, body } = await answer
    t.true(status >= 400, JSON.stringify(body))
    const { auth_token: _, ...rest } = body
    refusals.push(rest)
  }

  const made1 = await ask<{ id: string }>('PUT', `${at}/users`, user)
  t.is(made1.status, 201)
  const credentials = digest('md5', 'alice', password)
  const login = await open('PUT', '/v2/user_auth', { credentials, account_name: 'acme' })
  t.is(login.status, 201)
  const key = String((await ask('PUT', `${at}/api_key`)).body.data['api_key'])
  const keyed = await open('PUT', '/v2/api_auth', { api_key: key })
  t.is(keyed.status, 201)

  await refused(ask('PUT', `${at}/users`, user))
  await refused(ask('PUT', `${at}/users`, { password, username: 'bob' }))
  await refused(ask('PUT', `${at}/users`, { ...user, username: 'bob', password: long }))
  await refused(ask('PUT', `${at}/users`, { ...user, username: 'bob', password: [password] }))
  await refused(ask('PUT', `${at}/devices`, { sip: { username: 'x', password } }))
  await refused(ask('PUT', `${at}/devices`, { name: 'x', sip: { username: 'phone', password: long } }))
  await refused(open('PUT', '/v2/user_auth', { credentials, account_name: 'nobody' }))
  await refused(open('PUT', '/v2/user_auth', { credentials: password, account_name: 'acme' }))
  await refused(open('PUT', '/v2/api_auth', { api_key: `${key}0` }))
  await refused(open('PUT', '/v2/api_auth', undefined, { raw: `{"data":{"api_key":"${key}"}` }))
  await refused(open('PUT', '/v2/api_auth', undefined, { raw: `{"api_key":"${key}"}` }))
  await refused(open('GET', `${at}/nothing?auth_token=${token}`))
  await refused(open('GET', `${at}/users/${'0'.repeat(32)}?auth_token=${token}&api_key=${key}`))
  Object.assign(store, { put: () => Promise.reject(new Error('the disk is full')) })
  await refused(ask('PATCH', `${at}/users/${made1.body.data.id}`, { password }))
  await refused(open('PUT', '/v2/api_auth', { api_key: key }))

  const metrics = await (await fetch(`${url}/metrics`)).text()
  const told = JSON.stringify({ lines, refusals, metrics })
  t.true(lines.some(({ event }) => event === 'request_failed'))
  const secrets = { password, credentials, key, master: master.apiKey, token, login: login.body.auth_token ?? '', keyed: keyed.body.auth_token ?? '' }
  for (const [name, secret] of Object.entries(secrets)) t.false(secret === '' || told.includes(secret), name)
  t.notRegex(told, /argon2/)
})
