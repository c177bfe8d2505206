// Two engines on one store and one switch, which the second of them drives: what is asked of the first about its legs.

import { generateKeyPairSync } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { digest } from '../../src/api/rights/credentials.ts'
import { AppError } from '../../src/errors.ts'
import { peerClient, type PeerRequest } from '../../src/net/peers.ts'
import { systemClock } from '../../src/clock.ts'
import { anAccount, type Ask, asker, world } from '../helpers/api.ts'
import { manualClock } from '../helpers/clock.ts'
import { httpSink } from '../helpers/http-sink.ts'
import { aLeg } from '../helpers/legs.ts'
import { NOBODY } from '../helpers/ports.ts'
import { until } from '../helpers/wait.ts'
import { tokenGenerate } from '../voice/sdk.ts'

const LEG = '11111111-aaaa'
const NOT_HERS = '33333333-cccc'
const FOREIGN = '44444444-dddd'
const MASK = { action: 'record', data: { action: 'mask' } }
const DOWN = { status: 503, body: { message: 'switch_down', data: { node: 'fs1' } } }

const PAIR = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
})

async function engines(t: ExecutionContext, clock = systemClock()) {
  const there = await world(t)
  const asked: (PeerRequest & { origin: string })[] = []
  const client = peerClient({ clock })
  t.teardown(() => client.close())
  const ask = (origin: string, request: PeerRequest) => (asked.push({ origin, ...request }), client.ask(origin, request))
  const here = await world(t, { beside: there, peers: { ask } })
  here.state.now = 'standby'
  here.state.askAt = there.url
  const id = await anAccount(there, { name: 'acme', realm: 'acme.example' })
  const at = `/v2/accounts/${id}`
  const made = async (path: string, fields: object): Promise<string> => (await here.ask<{ id: string }>('PUT', `${at}/${path}`, fields)).body.data.id
  const alice = await made('users', { first_name: 'Al', last_name: 'Ice', username: 'alice', password: 'p' })
  const device = await made('devices', { name: 'hers', owner_id: alice, sip: { username: 'alice' } })
  there.legs.push(aLeg(LEG, { otherLeg: '22222222-bbbb', variables: { callrec_account_id: id, callrec_device_id: device } }))
  there.legs.push(aLeg(NOT_HERS, { variables: { callrec_account_id: id } }), aLeg(FOREIGN, { variables: { callrec_account_id: 'f'.repeat(32) } }))
  const { body } = await asker(here.url)('PUT', '/v2/user_auth', { credentials: digest('md5', 'alice', 'p'), account_name: 'acme' })
  const asAlice: Ask = (method, path, data, asking = {}) => asker(here.url)(method, path, data, { token: body.auth_token, ...asking })
  const act = (data: object, uuid = LEG, as: Ask = here.ask) => as('POST', `${at}/channels/${uuid}`, data)
  return { there, here, asked, id, at, alice, device, asAlice, act, made }
}

test('what is asked of a leg is done by the engine that drives its switch, and answered as if that one had been asked', async t => {
  const { there, here, asked, act, at, alice, device } = await engines(t)
  for (const action of ['start', 'stop', 'mask', 'unmask', 'pause', 'resume'])
    t.like(await act({ action: 'record', data: { action } }), { status: 200, body: { status: 'success', data: { action, recordings: [{ id: 'r1' }] } } })
  t.like(await act({ action: 'transfer', target: '2002' }), { status: 200, body: { data: 'transfer initiated' } })
  t.like(await act({ action: 'hangup' }), { status: 200, body: { data: 'hangup initiated' } })
  const paths = [`${at}/channels/${LEG}`, `${at}/users/${alice}/channels/${LEG}`, `${at}/devices/${device}/channels/${LEG}`]
  for (const path of paths) {
    t.like(await here.ask('PUT', path, { module: 'record_call', data: { action: 'mask' } }), { status: 200, body: { data: { action: 'mask' } } })
    t.like(await here.ask('GET', path), { status: 200, body: { data: { uuid: LEG, recordings: [{ id: 'r1', state: 'masked' }] } } })
  }
  t.is(there.controlled.length, 8 + paths.length)
  t.deepEqual(here.controlled, [])
  t.is(asked.length, 8 + 2 * paths.length)
})

test('a refusal is that of the engine that drives the switch, with its state', async t => {
  const { there, act } = await engines(t)
  there.uncontrollable.with = new AppError('wrong_state', 'Cannot start recording when recording is already started', { state: 'recording' })
  t.like(await act({ action: 'record', data: { action: 'start' } }), { status: 409, body: { message: 'wrong_state', data: { state: 'recording' } } })
  there.uncontrollable.with = new AppError('switch_down', 'another engine drives this switch')
  const lost = await act(MASK)
  t.is(lost.status, 503)
  t.is(lost.headers.get('retry-after'), '5')
})

test('a user’s request is handed on where he may ask it', async t => {
  const { there, here, asked, act, at, alice, asAlice } = await engines(t)
  t.is((await act(MASK, LEG, asAlice)).status, 403)
  t.is((await act({ action: 'hangup' }, NOT_HERS, asAlice)).status, 403)
  t.is((await asAlice('GET', `${at}/users/${alice}/channels/${NOT_HERS}`)).status, 404)
  t.deepEqual(asked, [])
  t.is((await act({ action: 'hangup' }, LEG, asAlice)).status, 200)
  await here.ask('PATCH', at, { allow_user_recording_settings: true })
  await until('the other engine knows', async () => (await act(MASK, LEG, asAlice)).status === 200)
  t.like(there.controlled.at(-1), { action: 'mask', by: `api ${alice}` })
})

test('nothing is handed on for who has no token, for a leg that is not the account’s or not there, nor what is not understood', async t => {
  const { here, asked, act, at } = await engines(t)
  for (const token of [undefined, 'f'.repeat(43)]) t.is((await here.ask('POST', `${at}/channels/${LEG}`, MASK, { token })).status, 401)
  for (const uuid of [FOREIGN, '55555555-eeee']) t.is((await act(MASK, uuid)).status, 404)
  t.is((await act({ action: 'teleport' })).status, 400)
  t.is((await act({ action: 'record', data: { action: 'explode' } })).status, 400)
  t.deepEqual(asked, [])
})

test('what is about legs of our own asks nobody', async t => {
  const { here, asked, act, at, device } = await engines(t)
  here.state.now = 'up'
  t.is((await act(MASK)).status, 200)
  t.is((await act({ action: 'hangup' })).status, 200)
  t.is((await here.ask('PUT', `${at}/devices/${device}/quickcall/2002`, {})).status, 202)
  t.is((await here.ask('GET', `${at}/channels`)).status, 200)
  t.deepEqual(asked, [])
  t.is(here.controlled.length, 2)
})

test('a list has the legs of all switches, and how their recordings stand as the engine tells that drives each', async t => {
  const { there, here, asked, at, alice, asAlice } = await engines(t)
  const rows = async (ask: Ask, path = `${at}/channels`) => (await ask<{ uuid: string }[]>('GET', path)).body.data
  t.like(await rows(there.ask), [
    { uuid: LEG, recordings: [{ id: 'r1' }] },
    { uuid: NOT_HERS, recordings: [] },
  ])
  t.deepEqual(await rows(here.ask), await rows(there.ask))
  const hers = (await rows(there.ask)).slice(0, 1)
  t.deepEqual(await rows(here.ask, `${at}/users/${alice}/channels`), hers)
  t.deepEqual(await rows(asAlice), hers)
  const csv = await fetch(`${here.url}${at}/channels?accept=csv&auth_token=${here.token}`)
  t.regex(await csv.text(), /masked/)
  t.is(asked.length, 4)
  there.state.now = 'standby'
  there.state.askAt = here.url
  t.like(await rows(here.ask), [{ recordings: null }, { recordings: null }], 'nobody drives it, and nobody is asked in a circle')
  t.is(asked.length, 5)
})

test('a list does not wait long for an engine that does not tell how recordings stand, nor for one that cannot be asked', async t => {
  const clock = manualClock()
  const { here, asked, at } = await engines(t, clock)
  const list = () => here.ask<object[]>('GET', `${at}/channels`)
  const unknown = { status: 200, body: { data: [{ uuid: LEG, recordings: null }, { recordings: null }] } }
  const sink = await httpSink(t, [() => {}, (_, response) => response.end('{"data":{}}'), (_, response) => response.end('<html>')])
  here.state.askAt = sink.url
  const silent = list()
  await sink.arrived(1)
  clock.advance(2_000)
  t.like(await silent, unknown)
  for (const _ of ['no list', 'no JSON']) t.like(await list(), unknown)
  here.state.askAt = `http://127.0.0.1:${NOBODY}`
  t.like(await list(), unknown)
  delete here.state.askAt
  t.like(await list(), unknown)
  t.is(asked.length, 4)
})

test('a device is called by an engine that drives a switch where this one drives none', async t => {
  const { there, here, at, device } = await engines(t)
  const path = `${at}/devices/${device}/quickcall/2002`
  t.like(await here.ask('PUT', path, {}), { status: 202, body: { data: { node: 'fs1' } } })
  t.like(await here.ask('GET', path), { status: 202, body: { data: { node: 'fs1' } } })
  t.is(there.originated.length, 2)
  t.deepEqual(here.originated, [])
})

test('an application makes and changes calls on switches of others', async t => {
  const { there, here, asked, id, at, made } = await engines(t)
  const application = await here.ask<{ id: string; application_id: string }>('PUT', `${at}/applications`, { name: 'app', public_key: PAIR.publicKey })
  const { id: applicationId, application_id } = application.body.data
  await made('devices', { name: 'phone', sip: { username: 'bob' } })
  const call = '0190b6a0-0000-7000-8000-000000000001'
  there.legs.push(aLeg(call, { variables: { callrec_account_id: id, callrec_application_id: applicationId } }))
  const send = async (method: string, path: string, body?: object) => {
    const authorization = `Bearer ${tokenGenerate(application_id, PAIR.privateKey)}`
    const response = await fetch(`${here.url}/v1/calls${path}`, { method, headers: { authorization }, body: body === undefined ? null : JSON.stringify(body) })
    const text = await response.text()
    return { status: response.status, body: text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>) }
  }
  const ncco = [{ action: 'record' }]
  t.like(await send('POST', '', { to: [{ type: 'sip', uri: 'sip:bob@acme.example' }], ncco }), { status: 201, body: { status: 'started' } })
  t.deepEqual([there.voice.placed.length, here.voice.placed.length], [1, 0])
  t.like(await send('GET', `/${call}`), { status: 200, body: { status: 'answered' } })
  t.is(asked.length, 1, 'how it stands the switch says')
  const transfer = { action: 'transfer', destination: { type: 'ncco', ncco } }
  t.deepEqual(await send('PUT', `/${call}`, transfer), { status: 204, body: undefined })
  t.deepEqual(there.voice.transferred, [[call, { ncco }]])
  there.voice.runs = false
  t.like(await send('PUT', `/${call}`, transfer), { status: 409, body: { data: { state: 'answered' } } })
  t.is((await send('PUT', `/${call}`, { action: 'hangup' })).status, 204)
  t.is((await send('PUT', `/${call}`, { action: 'dance' })).status, 400)
  t.is(asked.length, 4)
  here.state.now = 'down'
  t.like(await send('GET', `/${call}`), { status: 200, body: { status: 'answered' } })
  t.is((await send('PUT', `/${call}`, { action: 'hangup' })).status, 204)
  t.is(asked.length, 6)
})

test('a request is handed on as it came: method, path, query, body, who asks and from where', async t => {
  const { here, at } = await engines(t)
  const sink = await httpSink(t, [200])
  here.state.askAt = sink.url
  const raw = '{ "data" : {"action":"hangup"}, "auth_token": "' + here.token + '" }'
  const headers = { 'content-type': 'application/json', accept: 'application/json', 'x-request-id': 'mine-1', 'x-forwarded-for': '192.0.2.7', cookie: 'a=b' }
  await here.ask('POST', `${at}/channels/${LEG}?pretty_print=true`, undefined, { raw, headers, token: undefined })
  const [first] = sink.received
  t.like(first, { method: 'POST', url: `${at}/channels/${LEG}?pretty_print=true` })
  t.is(first?.body.toString(), raw)
  t.like(first?.headers, {
    'x-auth-token': here.token,
    accept: 'application/json',
    'content-type': 'application/json',
    'x-request-id': 'mine-1',
    'x-forwarded-for': '192.0.2.7, 127.0.0.1',
  })
  t.is(first?.headers['cookie'], undefined)
})

test('clients that cannot send every method are understood by both', async t => {
  const { there, here, at } = await engines(t)
  const headers = { 'content-type': 'application/json' }
  const raw = JSON.stringify({ verb: 'PUT', data: { module: 'record_call', data: { action: 'mask' } }, auth_token: here.token })
  t.is((await here.ask('POST', `${at}/channels/${LEG}`, undefined, { raw, headers, token: undefined })).status, 200)
  const form = new URLSearchParams({ data: JSON.stringify(MASK), auth_token: here.token }).toString()
  const asForm = { raw: form, headers: { 'content-type': 'application/x-www-form-urlencoded' }, token: undefined }
  t.is((await here.ask('POST', `${at}/channels/${LEG}`, undefined, asForm)).status, 200)
  const get = JSON.stringify({ verb: 'GET', auth_token: here.token })
  t.like(await here.ask('POST', `${at}/channels/${LEG}`, undefined, { raw: get, headers, token: undefined }), { status: 200, body: { data: { uuid: LEG } } })
  t.is((await here.ask('HEAD', `${at}/channels/${LEG}`)).status, 200)
  const script = await fetch(`${here.url}${at}/channels/${LEG}?jsonp=f&auth_token=${here.token}`)
  t.like(Object.fromEntries(script.headers), { 'cross-origin-resource-policy': 'cross-origin', 'access-control-allow-origin': '*' })
  t.true((await script.text()).startsWith('/**/f({'))
  t.is(there.controlled.length, 2)
})

test('an answer is relayed as it is: status, type, body and when to come back', async t => {
  const { here, at } = await engines(t)
  const body = '{"data":{},"status":"error","x":[1]}'
  const sink = await httpSink(t, [
    async (_, response, read) => {
      await read()
      response.writeHead(429, { 'content-type': 'application/json; charset=utf-8', 'retry-after': '7', 'set-cookie': 'a=b' }).end(body)
    },
  ])
  here.state.askAt = sink.url
  const response = await fetch(`${here.url}${at}/channels/${LEG}`, { headers: { 'x-auth-token': here.token, 'x-request-id': 'mine-2' } })
  t.is(response.status, 429)
  t.like(Object.fromEntries(response.headers), {
    'content-type': 'application/json; charset=utf-8',
    'retry-after': '7',
    'x-request-id': 'mine-2',
    'cache-control': 'no-store',
  })
  t.is(response.headers.get('set-cookie'), null)
  t.is(await response.text(), body)
})

test('what may be on a switch that is out of reach here is asked of the engine that drove it last, by whoever may have any leg of the account', async t => {
  const { there, here, asked, act, at, device, asAlice } = await engines(t)
  here.state.now = 'down'
  t.like(await act(MASK), { status: 200, body: { data: { action: 'mask' } } })
  t.is((await here.ask('PUT', `${at}/devices/${device}/quickcall/2002`, {})).status, 202)
  t.is((await act(MASK, '55555555-eeee')).status, 404)
  t.is(asked.length, 3)
  t.is((await act({ action: 'hangup' }, LEG, asAlice)).status, 404, 'whether it is hers is not known')
  there.state.now = 'down'
  there.state.askAt = here.url
  t.like(await act(MASK), DOWN)
  t.is(asked.length, 4)
  delete here.state.askAt
  t.is((await act(MASK)).status, 404)
})

test('a request is handed on once: an engine that has lost the switch meanwhile says so', async t => {
  const { there, here, asked, act, at, device } = await engines(t)
  there.state.now = 'standby'
  there.state.askAt = here.url
  const lost = await act(MASK)
  t.like(lost, DOWN)
  t.is(lost.body.data['message'], 'leg 11111111-aaaa is on fs1, which is not this engine’s (driven by another:1)')
  t.like(await here.ask('PUT', `${at}/devices/${device}/quickcall/2002`, {}), DOWN)
  t.deepEqual(
    asked.map(({ origin }) => origin),
    [there.url, there.url],
  )
  t.deepEqual([...there.controlled, ...here.controlled], [])
})

test('an engine that cannot be reached is a 503 that says when to come back, and no address of ours', async t => {
  const { here, act } = await engines(t)
  here.state.askAt = `http://127.0.0.1:${NOBODY}`
  const answer = await act(MASK)
  t.like(answer, DOWN)
  t.is(answer.body.data['message'], 'the engine that drives fs1 cannot be asked: refused the connection')
  t.is(answer.headers.get('retry-after'), '5')
  t.notRegex(JSON.stringify(answer.body), /127\.0\.0\.1/)
  t.like(
    here.lines.find(({ event }) => event === 'request_not_handed_on'),
    { level: 'warn', engine: here.state.askAt, reason: 'refused the connection' },
  )
})

test('an engine that says nothing is waited for a little longer than a switch is', async t => {
  const clock = manualClock()
  const { here, act } = await engines(t, clock)
  const sink = await httpSink(t, [() => {}])
  here.state.askAt = sink.url
  const answer = act(MASK)
  await sink.arrived(1)
  clock.advance(13_000)
  t.like(await answer, DOWN)
  t.is((await answer).body.data['message'], 'the engine that drives fs1 cannot be asked: no answer within 13 s; what was asked may have been done')
})

test('a call is masked at another engine while the store is away, by who is known to both', async t => {
  const { there, here, act, at, id } = await engines(t)
  there.recordedLegs.set(LEG, id)
  const { body: key } = await here.ask<{ api_key: string }>('PUT', `${at}/api_key`)
  const { body: own } = await asker(here.url)('PUT', '/v2/api_auth', { api_key: key.data.api_key })
  const asAdmin: Ask = (method, path, data) => asker(here.url)(method, path, data, { token: own.auth_token })
  t.is((await act(MASK, LEG, asAdmin)).status, 200)
  for (const { refuse, store } of [there, here]) {
    for (const [name, value] of Object.entries(store))
      if (typeof value === 'function' && name !== 'close')
        Object.assign(refuse, { [name]: () => Promise.reject(new AppError('datastore_unreachable', 'away')) })
  }
  t.is((await asAdmin('GET', `${at}/users`)).status, 503)
  t.is((await act(MASK, LEG, asAdmin)).status, 200)
  t.is(there.controlled.length, 2)
})

test('where engines do not say where they are asked, the refusal says whom to ask and what would help', async t => {
  const { here, asked, act, at, device } = await engines(t)
  delete here.state.askAt
  const refusal = await act(MASK)
  t.like(refusal, DOWN)
  t.regex(String(refusal.body.data['message']), /leg 11111111-aaaa is on fs1, which is not this engine’s \(driven by another:1\).*API_ADVERTISE/)
  const call = await here.ask('PUT', `${at}/devices/${device}/quickcall/2002`, {})
  t.regex(String(call.body.data['message']), /no switch is connected but fs1, which is not this engine’s.*API_ADVERTISE/)
  t.deepEqual(asked, [])
})
