// Webhooks, metaflows, channels, what is noted of a recording, and bodies that are only checked.

import { Readable } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import { digest } from '../../src/api/rights/credentials.ts'
import { AppError } from '../../src/errors.ts'
import { accountDb, monthDb, monthOf, toGregorian } from '../../src/store/modb.ts'
import type { Leg } from '../../src/switch/switch.ts'
import { anAccount, type Answered, type Ask, asker, world, type World } from '../helpers/api.ts'
import { aLeg } from '../helpers/legs.ts'

const ALICE = { first_name: 'Alice', last_name: 'Caller', username: 'alice', password: 'p' }

interface Tenant extends World {
  id: string
  at: string
}

async function tenant(t: ExecutionContext): Promise<Tenant> {
  const made = await world(t)
  const id = await anAccount(made, { name: 'acme', realm: 'acme.example', allow_parent_audio: true })
  return { ...made, id, at: `/v2/accounts/${id}` }
}

async function aUser({ ask, url, at }: Tenant): Promise<{ id: string; as: Ask }> {
  const made = await ask<{ id: string }>('PUT', `${at}/users`, ALICE)
  const { body } = await asker(url)('PUT', '/v2/user_auth', { credentials: digest('md5', 'alice', 'p'), account_name: 'acme' })
  const as: Ask = (method, path, data, asking = {}) => asker(url)(method, path, data, { token: body.auth_token, ...asking })
  return { id: made.body.data.id, as }
}

const list = ({ body }: Answered): Record<string, unknown>[] => body.data as unknown as Record<string, unknown>[]

test('a webhook is kept with its defaults and listed in short', async t => {
  const { ask, at, store, id } = await tenant(t)
  const made = await ask<{ id: string }>('PUT', `${at}/webhooks`, { name: 'crm', hook: 'recording.stored', uri: 'https://crm.example/hook', retries: '3' })
  t.like(made, { status: 201, body: { data: { enabled: true, format: 'json', http_verb: 'post', retries: 3 } } })
  t.regex(String((made.body.data as { secret?: string }).secret), /^[0-9a-f]{64}$/)
  t.like(await store.get(accountDb(id), made.body.data.id), { pvt_type: 'webhook' })
  t.deepEqual(list(await ask('GET', `${at}/webhooks`)), [
    { id: made.body.data.id, name: 'crm', hook: 'recording.stored', uri: 'https://crm.example/hook', http_verb: 'post', enabled: true },
  ])
  const refused = await ask('PUT', `${at}/webhooks`, { hook: 'x', uri: 'ftp://crm.example', retries: 5 })
  t.deepEqual(Object.keys(refused.body.data).sort(), ['hook', 'name', 'retries', 'uri'])
  const one = `${at}/webhooks/${made.body.data.id}`
  t.like(await ask('PATCH', one, { format: 'form-data' }), {
    status: 200,
    body: { data: { format: 'form-data', name: 'crm', secret: (made.body.data as { secret?: string }).secret } },
  })
  t.is((await ask('DELETE', one)).status, 200)
  t.deepEqual(list(await ask('GET', `${at}/webhooks`)), [])
})

const METAFLOWS = { numbers: { '2': { module: 'record_call', data: { action: 'mask' } } }, patterns: { '^7([0-9])$': { module: 'record_call' } } }

test('metaflows are a field of the account, user, device or callflow with a path of its own', async t => {
  const { ask, at } = await tenant(t)
  const made = {
    users: { first_name: 'A', last_name: 'B' },
    devices: { name: 'phone' },
    callflows: { numbers: ['2001'], flow: { module: 'answer' } },
  }
  const ones = [at]
  for (const [name, data] of Object.entries(made)) {
    const { body } = await ask<{ id: string }>('PUT', `${at}/${name}`, data)
    ones.push(`${at}/${name}/${body.data.id}`)
  }
  for (const one of ones) {
    const before = await ask('GET', one)
    t.deepEqual((await ask('GET', `${one}/metaflows`)).body.data, {}, one)
    const set = await ask('POST', `${one}/metaflows`, METAFLOWS)
    t.like(set, { status: 200, body: { data: { numbers: { '2': { data: { action: 'mask' }, children: {} } } } } }, one)
    t.deepEqual((set.body.data['patterns'] as object as { '^7([0-9])$': object })['^7([0-9])$'], {
      module: 'record_call',
      data: { action: 'toggle' },
      children: {},
    })
    const after = await ask('GET', one)
    t.deepEqual(after.body.data, { ...before.body.data, metaflows: set.body.data })
    t.is(set.body.revision, after.body.revision)
    t.is((await ask('POST', `${one}/metaflows`, METAFLOWS, { headers: { 'if-match': before.body.revision ?? '' } })).status, 412)
    t.deepEqual((await ask('POST', `${one}/metaflows`, { numbers: {} })).body.data, { numbers: {} })
    t.deepEqual((await ask('DELETE', `${one}/metaflows`)).body.data, {})
    t.deepEqual((await ask('GET', one)).body.data, before.body.data)
  }
  t.is((await ask('GET', `${at}/users/${'0'.repeat(32)}/metaflows`)).status, 404)
})

test('a wrong metaflow is refused at the path it has in the body, and nothing is changed', async t => {
  const { ask, at } = await tenant(t)
  const wrong = {
    binding_digit: 'x',
    numbers: {
      '2': { module: 'teleport' },
      '3': { module: 'record_call', data: { time_limit: 1 }, children: { _: { module: 'record_call', data: { action: 'jump' } } } },
    },
    patterns: { '(': { module: 'record_call' } },
  }
  const paths = ['binding_digit', 'numbers.2.module', 'numbers.3.children._.data.action', 'numbers.3.data.time_limit', 'patterns.(']
  const set = await ask('POST', `${at}/metaflows`, wrong)
  t.is(set.status, 400)
  t.deepEqual(Object.keys(set.body.data).sort(), paths)
  t.deepEqual(set.body.data['numbers.2.module'], { error: { message: 'unable to find metaflow schema for module teleport', value: 'teleport' } })
  const patched = await ask('PATCH', at, { metaflows: wrong })
  t.deepEqual(
    Object.keys(patched.body.data).sort(),
    paths.map(path => `metaflows.${path}`),
  )
  t.deepEqual((await ask('GET', `${at}/metaflows`)).body.data, {})
})

const leg = (uuid: string, fields: Partial<Leg> = {}, variables: Record<string, string> = {}): Leg =>
  aLeg(uuid, { destination: '2001', callerIdName: 'Alice', callerIdNumber: '1001', variables, ...fields })

test('channels are what runs now, of the account, of a user and of a device', async t => {
  const made = await tenant(t)
  const { ask, at, id, legs, state } = made
  const alice = await aUser(made)
  const device = await ask<{ id: string }>('PUT', `${at}/devices`, { name: 'hers', owner_id: alice.id, sip: { username: 'alice-phone' } })
  const other = await ask<{ id: string }>('PUT', `${at}/devices`, { name: 'his', sip: { username: 'bob-phone' } })
  const createdAt = Date.now()
  legs.push(
    leg('11111111-aaaa', { otherLeg: '22222222-bbbb', createdAt }, { callrec_account_id: id, callrec_device_id: device.body.data.id }),
    leg('22222222-bbbb', { direction: 'outbound', answered: false }, { callrec_account_id: id, callrec_device_id: other.body.data.id }),
    leg('33333333-cccc', {}, { callrec_account_id: id, callrec_inception: 'offnet' }),
    leg('44444444-dddd', {}, { callrec_account_id: 'f'.repeat(32) }),
    leg('55555555-eeee'),
    leg('77777777-abcd', {}, { callrec_account_id: id, callrec_recording_leg: 'true' }),
  )
  const row = {
    uuid: '11111111-aaaa',
    call_id: '11111111-aaaa',
    node: 'fs1',
    direction: 'inbound',
    answered: true,
    destination: '2001',
    caller_id_name: 'Alice',
    caller_id_number: '1001',
    other_leg: '22222222-bbbb',
    timestamp: toGregorian(createdAt),
    authorizing_id: device.body.data.id,
    authorizing_type: 'device',
    owner_id: alice.id,
    username: 'alice-phone',
    presence_id: 'alice-phone@acme.example',
    recordings: [{ id: 'r1', state: 'masked', origins: ['api : x'] }],
  }
  const uuids = async (path: string, asking: Ask = ask): Promise<unknown[]> => list(await asking('GET', path)).map(({ uuid }) => uuid)
  t.deepEqual(list(await ask('GET', `${at}/channels`))[0], row)
  t.deepEqual(await uuids(`${at}/channels`), ['11111111-aaaa', '22222222-bbbb', '33333333-cccc'])
  t.deepEqual(await uuids(`${at}/channels?filter_direction=outbound`), ['22222222-bbbb'])
  t.deepEqual(await uuids(`${at}/users/${alice.id}/channels`), ['11111111-aaaa'])
  t.deepEqual(await uuids(`${at}/devices/${other.body.data.id}/channels`), ['22222222-bbbb'])
  t.deepEqual((await ask('GET', `${at}/channels/11111111-aaaa`)).body.data, row)
  t.is((await ask('GET', `${at}/users/${alice.id}/channels/11111111-aaaa`)).status, 200)
  t.is((await ask('GET', `${at}/users/${alice.id}/channels/22222222-bbbb`)).status, 404)
  t.is((await ask('GET', `${at}/devices/${other.body.data.id}/channels/22222222-bbbb`)).status, 200)
  for (const uuid of ['44444444-dddd', '55555555-eeee', '66666666-ffff', '77777777-abcd', '%20', 'a%0ab', '_x']) {
    t.is((await ask('GET', `${at}/channels/${uuid}`)).status, 404, uuid)
  }
  t.is((await ask('GET', `${at}/users/${device.body.data.id}/channels`)).status, 404)
  t.is((await ask('GET', `${at}/devices/${alice.id}/channels`)).status, 404)

  t.deepEqual(await uuids(`${at}/channels`, alice.as), ['11111111-aaaa'])
  t.is((await alice.as('GET', `${at}/channels/11111111-aaaa`)).status, 200)
  t.is((await alice.as('GET', `${at}/channels/22222222-bbbb`)).status, 403)
  t.is((await alice.as('GET', `${at}/devices/${other.body.data.id}/channels`)).status, 403)
  t.is((await alice.as('GET', `${at}/users/${'0'.repeat(32)}/channels`)).status, 403)

  state.now = 'down'
  t.deepEqual(await uuids(`${at}/channels`), [])
  t.is((await ask('GET', `${at}/channels/11111111-aaaa`)).status, 404)
})

test('a switch that goes down while it is asked has no channels, and one that does not answer is said so', async t => {
  const { ask, at, switches } = await tenant(t)
  const [node] = switches.nodes as unknown as { legs: () => Promise<Leg[]> }[]
  if (node === undefined) return t.fail()
  node.legs = () => Promise.reject(new AppError('switch_down', 'fs1: connection lost'))
  t.deepEqual(list(await ask('GET', `${at}/channels`)), [])
  node.legs = () => Promise.reject(new AppError('switch_timeout', 'fs1: no answer'))
  t.like(await ask('GET', `${at}/channels`), { status: 504, body: { message: 'switch_timeout' } })
})

test('a body is checked against any schema without being kept', async t => {
  const { ask, url, at, calls } = await tenant(t)
  const check = (schema: string, data: unknown): Promise<Answered> => ask('PUT', `/v2/schemas/${schema}/validation`, data)
  t.like(await check('users', { first_name: 'A', last_name: 'B', enabled: 'false', pvt_type: 'x', nickname: null }), { status: 200 })
  t.deepEqual((await check('users', { first_name: 'A', last_name: 'B', pvt_type: 'x', nickname: null })).body.data, {
    first_name: 'A',
    last_name: 'B',
    enabled: true,
    priv_level: 'user',
  })
  t.like(await check('users', { first_name: 'A' }), { status: 400, body: { data: { last_name: { required: { message: 'Field is required but missing' } } } } })
  t.like(await check('call_recording.parameters', { time_limit: 1 }), { status: 400, body: { data: { time_limit: { minimum: { target: 5 } } } } })
  const flow = { module: 'answer', children: { _: { module: 'teleport' } } }
  t.deepEqual(Object.keys((await check('callflows', { numbers: ['1'], flow })).body.data), ['flow.children._.module'])
  t.deepEqual(Object.keys((await check('metaflows', { numbers: { '1': { module: 'teleport' } } })).body.data), ['numbers.1.module'])
  t.is((await check('nothing', {})).status, 404)
  t.is((await ask('GET', '/v2/schemas/users/validation')).status, 405)
  t.is((await asker(url)('PUT', '/v2/schemas/users/validation', {})).status, 401)
  t.false(calls.some(call => call.startsWith('put') && call.includes(accountDb(at.slice(-32)))))
})

test('what a client notes of a recording is merged, and nothing else of it is a client’s to write', async t => {
  const { ask, at, id, store } = await tenant(t)
  const now = Date.now()
  const month = monthOf(now)
  const db = monthDb(id, month)
  const recording = `${month}-${'1'.repeat(32)}`
  await store.createDatabase(db, 'modb')
  const doc = {
    _id: recording,
    pvt_type: 'call_recording',
    pvt_account_id: id,
    pvt_created: toGregorian(now) - 1,
    name: 'a.wav',
    content_type: 'audio/x-wav',
    state: 'stopped',
  }
  const rev = await store.put(db, doc)
  await store.putAttachment(db, recording, rev, 'a.wav', { stream: Readable.from([Buffer.from('RIFF')]), length: 4, contentType: 'audio/x-wav' })
  const one = `${at}/recordings/${recording}`
  await ask('PATCH', one, { user_metadata: { case: 7, tag: { colour: 'red' } } })
  const noted = await ask('PATCH', one, { user_metadata: { tag: { size: 'xl' }, case: null } })
  t.like(noted, { status: 200, body: { data: { user_metadata: { tag: { colour: 'red', size: 'xl' } }, state: 'stopped' } } })
  t.false('case' in (noted.body.data['user_metadata'] as object))
  t.deepEqual((await ask('GET', one)).body.data, noted.body.data)
  t.like(noted.body.data, { _read_only: { content_types: ['audio/x-wav'] } })
  t.deepEqual((await ask('PATCH', one, { state: 'x', user_metadata: {}, from: 'y' })).body.data, {
    state: { forbidden: { message: 'Read-only property', value: 'x' } },
    from: { forbidden: { message: 'Read-only property', value: 'y' } },
  })
  t.like(await ask('PATCH', one, { user_metadata: 'x' }), { status: 400, body: { data: { user_metadata: { type: { target: 'object' } } } } })
  t.is((await ask('PATCH', one, { user_metadata: { a: 1 } }, { headers: { 'if-match': rev } })).status, 412)
  t.is((await ask('PATCH', one, { user_metadata: { long: 'x'.repeat(16_384) } })).status, 413)
  t.is((await ask('PATCH', one, { user_metadata: null })).body.data['user_metadata'], undefined)
  await store.put('recordings_in_flight', { _id: recording })
  t.like(await ask('PATCH', one, { user_metadata: { a: 1 } }), { status: 409, body: { message: 'wrong_state' } })
})

test('a recording lives as in Kazoo’s own test: nothing, one, its document, its sound in both ways, and nothing again', async t => {
  const { ask, at, id, store, url, token } = await tenant(t)
  const recordings = `${at}/recordings`
  t.deepEqual(list(await ask('GET', recordings)), [])

  const now = Date.now()
  const month = monthOf(now)
  const recording = `${month}-${'a'.repeat(32)}`
  const sound = Buffer.from('RIFF, and then what was said')
  await store.createDatabase(monthDb(id, month), 'modb')
  const doc = {
    _id: recording,
    pvt_type: 'call_recording',
    pvt_account_id: id,
    pvt_created: toGregorian(now) - 1,
    name: 'call.wav',
    content_type: 'audio/x-wav',
    state: 'stopped',
  }
  const rev = await store.put(monthDb(id, month), doc)
  const body = { stream: Readable.from([sound]), length: sound.length, contentType: 'audio/x-wav' }
  await store.putAttachment(monthDb(id, month), recording, rev, doc.name, body)

  t.deepEqual(
    list(await ask('GET', recordings)).map(one => one['id']),
    [recording],
  )
  const one = `${recordings}/${recording}`
  t.like(await ask('GET', one, undefined, { headers: { accept: 'application/json' } }), { status: 200, body: { data: { id: recording } } })
  const heard = async (path: string, init: { method?: string; body?: string; headers?: Record<string, string> } = {}): Promise<string> => {
    const response = await fetch(url + path, { ...init, headers: { 'x-auth-token': token, 'content-type': 'application/json', ...init.headers } })
    t.is(response.headers.get('content-type'), 'audio/x-wav')
    return response.text()
  }
  t.is(await heard(one, { headers: { accept: 'audio/mpeg' } }), sound.toString())
  t.is(await heard(`${one}?accept=audio/mpeg`), sound.toString())
  t.is(await heard(one, { method: 'POST', body: JSON.stringify({ verb: 'GET', accept: 'audio/mpeg' }) }), sound.toString())

  t.like(await ask('DELETE', one), { status: 200, body: { data: { id: recording, _read_only: { deleted: true } } } })
  t.deepEqual(list(await ask('GET', recordings)), [])
  t.is((await ask('GET', one)).status, 410)
})
