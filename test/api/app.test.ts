import { request } from 'node:http'
import { connect } from 'node:net'
import test from 'ava'
import { LARGEST_BODY } from '../../src/api/http/body.ts'
import { listen } from '../../src/api/listen.ts'
import { AppError } from '../../src/errors.ts'
import { asker, tenantWorld, type TenantWorld, world } from '../helpers/api.ts'

test('a success says what Crossbar’s envelope says', async t => {
  const { ask, at, token } = await tenantWorld(t)
  const { body, headers } = await ask('GET', at)
  t.like(body, { status: 'success', version: '0.1.0', auth_token: token })
  t.regex(String(body['request_id']), /^[0-9a-f]{32}$/)
  t.is(headers.get('x-request-id'), body['request_id'] as string)
  t.regex(String(body['timestamp']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  t.regex(String(body['node']), /^[0-9a-f]{16}$/)
  t.truthy(body.revision)
})

test('a request id is echoed when it is one, and replaced when it could be more', async t => {
  const { ask, at } = await tenantWorld(t)
  const idFor = async (given: string): Promise<string | null> =>
    (await ask('GET', at, undefined, { headers: { 'x-request-id': given } })).headers.get('x-request-id')
  t.is(await idFor('my-request.1'), 'my-request.1')
  t.regex((await idFor('<script>')) ?? '', /^[0-9a-f]{32}$/)
  t.regex((await idFor('x'.repeat(200))) ?? '', /^[0-9a-f]{32}$/)
})

test('a refusal says what was wrong, carries the security headers, and no stack', async t => {
  const { url, at } = await tenantWorld(t)
  const { status, body, headers } = await asker(url)('GET', at)
  t.is(status, 401)
  t.like(body, { status: 'error', error: '401', message: 'invalid_credentials', data: { message: 'invalid credentials' } })
  t.is(body['version'], undefined)
  t.is(headers.get('x-content-type-options'), 'nosniff')
  t.is(headers.get('x-request-id'), body['request_id'] as string)
})

test('what fails inside is a 500 that tells the log everything and the client nothing', async t => {
  const { ask, at, store, lines } = await tenantWorld(t)
  Object.assign(store, { query: () => Promise.reject(new TypeError('secret detail')) })
  const { status, body, headers } = await ask('GET', `${at}/users`)
  t.is(status, 500)
  t.like(body, { message: 'unspecified_fault', error: '500', data: { message: 'unspecified fault' } })
  t.notRegex(JSON.stringify(body), /secret detail|\.ts/)
  t.is(headers.get('x-content-type-options'), 'nosniff')
  const line = lines.find(({ event }) => event === 'request_failed')
  t.regex(String(line?.['cause']), /secret detail/)
  t.is(line?.['request_id'], body['request_id'])
})

test('a store that is away is a 503 without its address, and says when to come back', async t => {
  const { ask, at, store } = await tenantWorld(t)
  Object.assign(store, { query: () => Promise.reject(new AppError('datastore_unreachable', 'http://user:pass@couch:5984 did not answer')) })
  const answer = await ask('GET', `${at}/users`)
  t.is(answer.headers.get('retry-after'), '5')
  t.like(answer, {
    status: 503,
    body: { message: 'datastore_unreachable', data: { message: 'datastore timeout: the embedded store does not answer; try again' } },
  })
})

test('no token is ever logged', async t => {
  const { ask, at, token, lines } = await tenantWorld(t)
  await ask('GET', `${at}/users?auth_token=${token}`)
  t.true(lines.some(({ event }) => event === 'request_answered'))
  t.notRegex(JSON.stringify(lines), new RegExp(token))
})

test('a body that is no envelope is refused with what is wrong with it', async t => {
  const { ask, at } = await tenantWorld(t)
  const send = (raw: string | Buffer, type = 'application/json') => ask('PATCH', at, undefined, { raw, headers: { 'content-type': type } })
  t.like(await send('{"data":'), { status: 400, body: { message: 'parse_error', data: { json: { invalid: { target: 'body' } } } } })
  t.is((await send(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).status, 400)
  t.like(await send('{}'), { status: 400, body: { message: 'invalid request envelope', data: { data: { required: { value: {} } } } } })
  t.like(await send(''), { status: 400, body: { message: 'invalid request envelope' } })
  for (const raw of ['[]', '"x"', 'null', '{"data":[]}', '{"data":"x"}', '{"data":null}']) {
    t.like(await send(raw), { status: 400, body: { message: 'invalid request envelope', data: { data: { type: { target: 'object' } } } } }, raw)
  }
  t.like(await send(`{"data":{"a":${'['.repeat(3000)}${']'.repeat(3000)}}}`), { status: 400, body: { message: 'parse_error' } })
})

test('a body is JSON whatever it is called, unless it is clearly something else', async t => {
  const { ask, at } = await tenantWorld(t)
  const as = async (type: string): Promise<number> =>
    (await ask('PATCH', at, undefined, { raw: Buffer.from('{"data":{}}'), headers: { 'content-type': type } })).status
  for (const type of [
    'application/json; charset=utf-8',
    'application/x-json',
    'application/x-www-form-urlencoded',
    'text/plain',
    'application/vnd.api+json',
    '',
  ]) {
    t.is(await as(type), 200, type)
  }
  for (const type of ['multipart/form-data; boundary=x', 'text/xml', 'audio/mpeg', 'image/png']) t.is(await as(type), 415, type)
})

test('a body may be as long as Crossbar’s and not a byte longer', async t => {
  const { ask, at } = await tenantWorld(t)
  const padded = (length: number): string => `{"data":{}}${' '.repeat(length - 11)}`
  t.is((await ask('PATCH', at, undefined, { raw: padded(LARGEST_BODY) })).status, 200)
  const refused = await ask('PATCH', at, undefined, { raw: padded(LARGEST_BODY + 1) })
  t.like(refused, { status: 413, body: { data: { file: { maxSize: { target: LARGEST_BODY } } } } })
})

test('a request whose body ends early is no fault of ours', async t => {
  const { url, at, token, lines, ask } = await tenantWorld(t)
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {}).resume()
  const closed = new Promise(resolve => socket.once('close', resolve))
  socket.end(`PATCH ${at} HTTP/1.1\r\nhost: x\r\nx-auth-token: ${token}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"data"`)
  await closed
  t.is((await ask('GET', at)).status, 200)
  t.false(lines.some(({ level }) => level === 'error'))
})

test('what has no route is a 404, a wrong verb a 405, and version 1 is gone', async t => {
  const { ask, at } = await tenantWorld(t)
  for (const path of ['/', '/v2', '/v2/nothing', `${at}/nothing`, `${at}/users/x/y/z`, '/V2/about']) {
    t.like(await ask('GET', path), { status: 404, body: { message: 'not_found', status: 'error' } }, path)
  }
  const wrong = await ask('POST', `${at}/users`, {})
  t.like(wrong, { status: 405, body: { message: 'invalid_method', data: { message: 'method not allowed' } } })
  t.is(wrong.headers.get('allow'), 'HEAD, GET, PUT, OPTIONS')
  t.is((await ask('OPTIONS', `${at}/users`)).status, 200)
  t.like(await ask('GET', '/v1/accounts'), { status: 410, body: { message: 'gone' } })
  t.is((await ask('HEAD', at)).status, 200)
})

test('schemas are served to anybody, and a name of none is a 404', async t => {
  const { url } = await tenantWorld(t)
  const open = asker(url)
  t.true(((await open('GET', '/v2/schemas')).body.data as unknown as string[]).includes('callflows.record_call'))
  t.like((await open('GET', '/v2/schemas/callflows.record_call')).body.data, { id: 'callflows.record_call', required: ['action'] })
  for (const name of ['nothing', '..%2fusers', '__proto__', 'constructor']) t.is((await open('GET', `/v2/schemas/${name}`)).status, 404, name)
})

test('about tells who is logged in what the engine stands on', async t => {
  const { ask, url } = await tenantWorld(t)
  t.like((await ask('GET', '/v2/about')).body.data, {
    version: '0.1.0',
    store: 'embedded',
    embedded: { store: true, switch: true },
    switches: [{ name: 'fs1', state: 'up' }] as object,
  })
  t.is((await asker(url)('GET', '/v2/about')).status, 401)
})

test('the process is healthy as long as it answers, and ready with a store and a switch', async t => {
  const { url, state, store } = await world(t)
  const open = asker(url)
  t.is((await open('GET', '/healthz')).status, 200)
  t.like(await open('GET', '/readyz'), { status: 200, body: { ready: true, store: { up: true }, switches: [{ name: 'fs1', state: 'up' }] } })
  state.now = 'auth_failed'
  t.like(await open('GET', '/readyz'), { status: 503, body: { ready: false, switches: [{ name: 'fs1', state: 'auth_failed' }] } })
  state.now = 'up'
  Object.assign(store, { ping: () => Promise.reject(new AppError('datastore_unreachable', 'http://user:pass@couch')) })
  const away = await open('GET', '/readyz')
  t.like(away, { status: 503, body: { ready: false, store: { up: false } } })
  t.notRegex(JSON.stringify(away.body), /pass/)
  t.is((await open('GET', '/healthz')).status, 200)
})

test('requests are counted by route and status, and no figure names an account, a user or an address', async t => {
  const { ask, at, url } = await tenantWorld(t)
  await ask('GET', `${at}/users`)
  await ask('GET', `${at}/users/${'0'.repeat(32)}`)
  await asker(url)('GET', `${at}/users`)
  await ask('GET', '/v2/nowhere/at/all')
  await fetch(`${url}/freeswitch/xml`, { method: 'POST' })
  const response = await fetch(`${url}/metrics`)
  t.is(response.status, 200)
  t.regex(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  const text = await response.text()
  const count = (method: string, route: string, status: number): boolean =>
    text.includes(`callrec_http_requests_total{method="${method}",route="${route}",status="${status}"} 1\n`)
  t.true(count('GET', '/v2/accounts/:account/users', 200))
  t.true(count('GET', '/v2/accounts/:account/users', 401))
  t.true(count('GET', '/v2/accounts/:account/users/:user', 404))
  t.true(count('GET', 'none', 404))
  t.true(count('POST', '/freeswitch/xml', 401))
  const own = text.split('\n').filter(line => line.startsWith('callrec_'))
  t.notRegex(own.join('\n'), /[0-9a-f]{32}|127\.0\.0\.1/)
  t.true(text.includes('process_cpu_seconds_total'))
})

async function aDevice({ ask, at }: TenantWorld, fields: Record<string, unknown> = {}): Promise<string> {
  const { body } = await ask<{ id: string }>('PUT', `${at}/devices`, { name: 'phone', sip: { username: 'alice', password: 'secret' }, ...fields })
  return body.data.id
}

test('a quickcall rings the device and answers before anybody picks up', async t => {
  const world = await tenantWorld(t)
  const device = await aDevice(world)
  world.outcome.of = () => new Promise(() => {})
  for (const method of ['PUT', 'GET']) {
    const { status, body } = await world.ask(method, `${world.at}/devices/${device}/quickcall/*97`)
    t.is(status, 202)
    t.regex(String(body.data['call_id']), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const originated = world.originated.pop()
    t.like(originated, { uuid: body.data['call_id'], endpoint: 'user/alice@acme.example', timeoutSeconds: 30 })
    t.deepEqual(originated?.variables, {
      callrec_account_id: world.account,
      callrec_device_id: device,
      callrec_destination: '*97',
      callrec_call_id: String(body.data['call_id']),
      callrec_interaction_id: String(body.data['interaction_id']),
    })
  }
})

test('a phone of the embedded switch is told how to behave, one of another is not', async t => {
  const world = await tenantWorld(t)
  const device = await aDevice(world)
  const call = (data: object) => world.ask('PUT', `${world.at}/devices/${device}/quickcall/2001`, data)
  t.is((await call({ seconds: 3, answer: 'never', dtmf: '5:1234' })).status, 202)
  t.like(world.originated.pop()?.variables, { callrec_simulator_seconds: '3', callrec_simulator_answer: 'never', callrec_simulator_dtmf: '5:1234' })
  t.is((await call({ answer: '1.5' })).status, 202)
  t.like(world.originated.pop()?.variables, { callrec_simulator_answer: '1.5' })
  for (const bad of [{ dtmf: '5:1,a=b' }, { answer: 'later' }, { seconds: -1 }, { other: 1 }]) t.is((await call(bad)).status, 400, JSON.stringify(bad))
  t.is(world.originated.length, 0)

  const real = await tenantWorld(t, { config: { embedded: { store: true, switch: false } } })
  const phone = await aDevice(real)
  const refused = await real.ask('PUT', `${real.at}/devices/${phone}/quickcall/2001`, { seconds: 3 })
  t.is(refused.status, 400)
  t.truthy((refused.body.data['seconds'] as { forbidden: unknown }).forbidden)
  t.is((await real.ask('PUT', `${real.at}/devices/${phone}/quickcall/2001`, {})).status, 202)
})

test('a quickcall that cannot be says why', async t => {
  const world = await tenantWorld(t)
  const call = (device: string, number = '2001') => world.ask('PUT', `${world.at}/devices/${device}/quickcall/${number}`, {})
  const device = await aDevice(world)
  t.like(await call('0'.repeat(32)), { status: 404, body: { message: 'bad_identifier' } })
  t.truthy((await call(await aDevice(world, { sip: {} }))).body.data['sip.username'])
  t.truthy((await call(await aDevice(world, { sip: {}, enabled: false }))).body.data['enabled'])
  for (const number of ['abc', '1'.repeat(37), '%24%7Bsystem(id)%7D', '1,2']) t.is((await call(device, number)).status, 404, number)
  world.state.now = 'down'
  t.like(await call(device), { status: 503, body: { message: 'switch_down', data: { message: 'no switch is connected' } } })
  t.is(world.originated.length, 0)
})

test('a phone that nobody answers is a line in the log and no unhandled rejection', async t => {
  const world = await tenantWorld(t)
  world.outcome.of = () => Promise.reject(new AppError('switch_refused', 'NO_ANSWER'))
  const { status, body } = await world.ask('PUT', `${world.at}/devices/${await aDevice(world)}/quickcall/2001`)
  t.is(status, 202)
  t.like(
    world.lines.find(({ event }) => event === 'quickcall_ended'),
    { leg: body.data['call_id'], reason: 'NO_ANSWER' },
  )
})

test('a port that is taken is said so', async t => {
  const { url } = await world(t)
  const port = Number(new URL(url).port)
  await t.throwsAsync(listen({ callback: () => Promise.resolve() }, { host: '127.0.0.1', port }), {
    code: 'bad_configuration',
    message: /cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE.*; API_PORT chooses another/,
  })
})

test('an answer that has no revision is sent whatever a client says it has', async t => {
  const { ask, at } = await tenantWorld(t)
  for (const tag of ['"x"', '*']) t.is((await ask('GET', `${at}/users`, undefined, { headers: { 'if-none-match': tag } })).status, 200)
})

test('what is asked for and is no URL is on no route', async t => {
  const { url } = await tenantWorld(t)
  for (const path of ['http://[::1/v2', 'http://[/v2?a=b', '*']) {
    const status = await new Promise((resolve, reject) => {
      const asking = request(url, { path }, answer => resolve(answer.resume().statusCode))
      asking.on('error', reject).end()
    })
    t.is(status, 404, path)
  }
})
