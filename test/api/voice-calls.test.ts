import { generateKeyPairSync } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { cdrId, monthDb, monthOf, toGregorian } from '../../src/store/modb.ts'
import { createValidator } from '../../src/api/validation/validate.ts'
import { loadSchemas } from '../../src/api/validation/schemas.ts'
import type { Leg } from '../../src/switch/switch.ts'
import { STATUSES } from '../../src/voice/interpreter.ts'
import { placedId } from '../../src/voice/outgoing.ts'
import { uuidAt } from '../../src/voice/recording.ts'
import { SyntaxFault } from '../../src/voice/script.ts'
import { anAccount, tenantWorld, type Wish } from '../helpers/api.ts'
import { until } from '../helpers/wait.ts'
import { tokenGenerate } from '../voice/sdk.ts'

const PAIR = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
})

interface Application {
  id: string
  application_id: string
}
interface Answer {
  status: number
  body: Record<string, unknown> & { uuid?: string; data?: Record<string, unknown> }
}

async function place(t: ExecutionContext, wish: Wish = {}) {
  const made = await tenantWorld(t, wish)
  const { ask, at, url } = made
  const anApplication = async (fields: object = {}, where = at): Promise<Application> =>
    (await ask<Application>('PUT', `${where}/applications`, { name: 'app', public_key: PAIR.publicKey, ...fields })).body.data
  const { body: device } = await ask<{ id: string }>('PUT', `${at}/devices`, { name: 'phone', sip: { username: 'alice', password: 'phone-secret' } })
  const application = await anApplication()
  const token = (of = application): string => tokenGenerate(of.application_id, PAIR.privateKey)
  async function send(method: string, path: string, body?: unknown, of = application): Promise<Answer> {
    const response = await fetch(`${url}/v1/calls${path}`, {
      method,
      headers: { authorization: `Bearer ${token(of)}` },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Answer['body']) }
  }
  return { ...made, anApplication, application, device: device.data.id, send }
}

const NCCO = [{ action: 'record', endOnKey: '#' }]
const ALICE = { type: 'sip', uri: 'sip:alice@acme.example' }

test('a call to a phone of the account is placed with what it is to do, and told where its application says', async t => {
  const { account, application, device, send, store, voice } = await place(t)
  for (const to of [ALICE, { type: 'device', id: device }]) {
    const { status, body } = await send('POST', '', { to: [to], ncco: NCCO, event_url: ['https://app.example.com/events'], ringing_timer: '20' })
    t.is(status, 201)
    t.like(body, { status: 'started', direction: 'outbound', conversation_uuid: `CON-${body.uuid}` })
    const placed = voice.placed.at(-1)
    t.like(placed?.leg, { uuid: body.uuid, endpoint: 'user/alice@acme.example', timeoutSeconds: 20 })
    t.like(placed?.leg.variables, { callrec_account_id: account, callrec_application_id: application.id, callrec_device_id: device })
    await until('its events', () => voice.told.length > 0)
    t.like(voice.told.at(-1), { url: 'https://app.example.com/events', method: 'POST' })
    const id = placed?.leg.variables['callrec_voice_call'] ?? ''
    t.like(await store.get(monthDb(account, id.slice(0, 6)), id), {
      pvt_type: 'voice_call',
      application_id: application.id,
      data: { ncco: NCCO, application_id: application.id },
    })
  }
})

test('a call to a number leaves by the account’s trunk, as a stranger, and shows a claimed number', async t => {
  const { ask, at, send, voice } = await place(t)
  const number = { type: 'phone', number: '+4930999' }
  const from = { type: 'phone', number: '+4930111111' }
  t.is((await send('POST', '', { to: [number], ncco: NCCO })).status, 400)
  const { body } = await ask<{ id: string }>('PUT', `${at}/resources`, { name: 'trunk', gateways: [{ gateway: 'carrier' }] })
  t.truthy(body.data.id)
  const refused = await send('POST', '', { to: [number], from, ncco: NCCO })
  t.is(refused.status, 400)
  t.regex(JSON.stringify(refused.body), /the account has not claimed this number/)
  await ask('PUT', `${at}/phone_numbers/${encodeURIComponent(from.number)}`, {})
  t.is((await send('POST', '', { to: [number], from, ncco: NCCO })).status, 201)
  t.like(voice.placed[0]?.leg, { endpoint: 'sofia/gateway/carrier/+4930999' })
  t.like(voice.placed[0]?.leg.variables, { callrec_inception: 'offnet', origination_caller_id_number: '+4930111111', callrec_destination: '+4930999' })
})

for (const [what, body, path] of [
  ['no body', '', 'json'],
  ['an array', '[]', 'json'],
  ['nobody to call', { ncco: NCCO }, 'to'],
  ['two to call', { to: [ALICE, ALICE], ncco: NCCO }, 'to'],
  ['a user to call', { to: [{ type: 'user', id: 'a'.repeat(32) }], ncco: NCCO }, 'to'],
  ['a phone elsewhere', { to: [{ type: 'sip', uri: 'sip:alice@10.0.0.1' }], ncco: NCCO }, 'to'],
  ['a name nobody has', { to: [{ type: 'sip', uri: 'sip:bob@acme.example' }], ncco: NCCO }, 'to'],
  ['nothing to do', { to: [ALICE] }, 'ncco'],
  ['an NCCO that is none', { to: [ALICE], ncco: [{ action: 'pay' }] }, 'ncco[0].action'],
  ['both ncco and answer_url', { to: [ALICE], ncco: NCCO, answer_url: ['https://app.example.com/a'] }, 'ncco'],
  ['a from that is no number', { to: [ALICE], ncco: NCCO, from: { type: 'phone', number: 'bank' } }, 'from'],
  ['a ringing_timer of 121', { to: [ALICE], ncco: NCCO, ringing_timer: 121 }, 'ringing_timer'],
  ['machine_detection', { to: [ALICE], ncco: NCCO, machine_detection: 'hangup' }, 'machine_detection'],
  ['an option nobody knows', { to: [ALICE], ncco: NCCO, colour: 'red' }, 'colour'],
  ['a null to call', { to: null, ncco: NCCO }, 'to'],
  ['a null in place of whom to call', { to: [{ type: 'sip', uri: null }], ncco: NCCO }, 'to'],
  ['a null to do', { to: [ALICE], ncco: null }, 'ncco'],
  ['a null to say', { to: [ALICE], ncco: [{ action: 'talk', text: null }] }, 'ncco[0].text'],
  ['a null to connect to', { to: [ALICE], ncco: [{ action: 'connect', endpoint: null }] }, 'ncco[0].endpoint'],
  ['an option of an action', { to: [ALICE], ncco: NCCO, action: 'hangup' }, 'action'],
  ['an answer_url on this machine', { to: [ALICE], answer_url: ['http://127.0.0.1/a'] }, 'answer_url.0'],
  ['an event_url in a private network', { to: [ALICE], ncco: NCCO, event_url: 'http://10.0.0.1/' }, 'event_url'],
  ['an action that would tell a private network', { to: [ALICE], ncco: [{ action: 'record', eventUrl: ['http://10.0.0.1/'] }] }, 'ncco.0.eventUrl.0'],
] as const) {
  test(`a call with ${what} is refused`, async t => {
    const { send, voice } = await place(t)
    const { status, body: answer } = await send('POST', '', body)
    t.is(status, 400)
    t.deepEqual(Object.keys(answer.data ?? {}), [path])
    t.deepEqual(voice.placed, [])
  })
}

test('an endpoint as the SDK writes it, with nothing in its headers, is one', async t => {
  const { send } = await place(t)
  const to = [{ ...ALICE, standard_headers: {} }]
  t.is((await send('POST', '', { to, ncco: [{ action: 'connect', endpoint: [{ ...ALICE, headers: {}, standardHeaders: {} }] }] })).status, 201)
})

test('a null is as good as absent, and a text that spells a number is one', async t => {
  const { send, voice } = await place(t)
  const body = {
    to: [{ ...ALICE, number: null }],
    ncco: [{ action: 'record', timeOut: '5', endOnKey: null }],
    from: null,
    answer_url: null,
    ringing_timer: '20',
  }
  t.is((await send('POST', '', body)).status, 201)
  t.like(voice.placed[0]?.leg, { timeoutSeconds: 20 })
})

test('an application with an answer_url needs no NCCO', async t => {
  const { anApplication, send, voice } = await place(t)
  const other = await anApplication({ answer_url: 'https://app.example.com/answer', event_url: 'https://app.example.com/own' })
  t.is((await send('POST', '', { to: [ALICE] }, other)).status, 201)
  await until('its event', () => voice.told[0]?.url === 'https://app.example.com/own')
  t.pass()
})

test('a call that nobody answers is read as what it was', async t => {
  const { send, voice } = await place(t)
  voice.ends = 'busy'
  const { body } = await send('POST', '', { to: [ALICE], ncco: NCCO })
  const read = await until('the end', async () => {
    const { body: now } = await send('GET', `/${body.uuid}`)
    return now['status'] === 'busy' && now
  })
  t.like(read, { uuid: body.uuid, status: 'busy', direction: 'outbound', to: 'alice' })
})

test('a call is read in each state it can be in, in the words of its schema', async t => {
  const { account, application, legs, send, store, voice } = await place(t)
  const validator = createValidator(loadSchemas(10_800))
  const state = async (uuid = ''): Promise<unknown> => {
    const { body } = await send('GET', `/${uuid}`)
    t.deepEqual(validator.check('calls.state', body).problems, {})
    return body['status']
  }
  const placed = async (): Promise<string> => {
    const { body } = await send('POST', '', { to: [ALICE], ncco: NCCO })
    t.deepEqual(validator.check('calls.state', body).problems, {})
    return body.uuid ?? ''
  }
  const uuid = await placed()
  t.is(await state(uuid), 'started')
  legs.push(leg(uuid, account, application.id, { answered: false, direction: 'outbound' }))
  t.is(await state(uuid), 'ringing')
  legs.splice(0, 1, leg(uuid, account, application.id, { direction: 'outbound' }))
  t.is(await state(uuid), 'answered')
  legs.splice(0, 1)
  const now = Date.now()
  await store.put(monthDb(account, monthOf(now)), { _id: cdrId(now, uuid), pvt_type: 'cdr', timestamp: toGregorian(now), billing_seconds: 0 })
  t.is(await state(uuid), 'completed')
  for (const ends of ['failed', ...Object.values(STATUSES)]) {
    voice.ends = ends
    const missed = await placed()
    await until(ends, async () => (await state(missed)) === ends)
  }
})

test('a call that was answered and is not up any more is over, though its detail record is still to be written', async t => {
  const { account, application, legs, send, voice } = await place(t)
  let answer: (value: undefined) => void = () => {}
  voice.ends = new Promise(resolve => (answer = resolve))
  const uuid = (await send('POST', '', { to: [ALICE], ncco: NCCO })).body.uuid ?? ''
  t.is((await send('GET', `/${uuid}`)).body['status'], 'started')
  legs.push(leg(uuid, account, application.id, { direction: 'outbound' }))
  answer(undefined)
  t.is((await send('GET', `/${uuid}`)).body['status'], 'answered')
  legs.splice(0, 1)
  await until('the end', async () => (await send('GET', `/${uuid}`)).body['status'] === 'completed')
  t.like((await send('PUT', `/${uuid}`, CHANGES[0])).body, { error: '409', data: { state: 'completed' } })
})

test('a call that was asked for at the end of a month and came in the next is over when its detail record says so', async t => {
  const { account, application, send, store } = await place(t)
  const asked = Date.UTC(2026, 0, 31, 23, 59, 55)
  const came = asked + 10_000
  const uuid = uuidAt(asked, '1'.repeat(20))
  for (const at of [asked, came]) await store.createDatabase(monthDb(account, monthOf(at)), 'modb')
  await store.put(monthDb(account, monthOf(asked)), {
    _id: placedId(uuid) ?? '',
    pvt_type: 'voice_call',
    pvt_created: toGregorian(asked),
    application_id: application.id,
    from: '',
    to: 'alice',
  })
  t.like((await send('GET', `/${uuid}`)).body, { status: 'started' })
  await store.put(monthDb(account, monthOf(came)), { _id: cdrId(came, uuid), pvt_type: 'cdr', timestamp: toGregorian(came), billing_seconds: 7 })
  t.like((await send('GET', `/${uuid}`)).body, { status: 'completed', duration: '7' })
})

const CHANGES = [{ action: 'hangup' }, { action: 'transfer', destination: { type: 'ncco', ncco: NCCO } }] as const

test('a call that is over, or not there yet, is neither ended nor given other actions, and the refusal says how it stands', async t => {
  const { anApplication, send, voice } = await place(t)
  const other = await anApplication()
  const started = (await send('POST', '', { to: [ALICE], ncco: NCCO })).body.uuid
  voice.ends = 'busy'
  const busy = (await send('POST', '', { to: [ALICE], ncco: NCCO })).body.uuid
  await until('the end', async () => (await send('GET', `/${busy}`)).body['status'] === 'busy')
  for (const change of CHANGES) {
    for (const [uuid, state] of [
      [started, 'started'],
      [busy, 'busy'],
    ]) {
      const { status, body } = await send('PUT', `/${uuid}`, change)
      t.is(status, 409)
      t.like(body.data, { state })
      t.is((await send('PUT', `/${uuid}`, change, other)).status, 404)
    }
  }
  t.deepEqual(voice.transferred, [])
})

test('a call that rings has no actions that could be replaced', async t => {
  const { account, application, legs, send, voice } = await place(t)
  legs.push(leg('call-1', account, application.id, { answered: false }))
  voice.runs = false
  const { status, body } = await send('PUT', '/call-1', CHANGES[1])
  t.is(status, 409)
  t.like(body.data, { state: 'ringing' })
})

test('while its switch is away a call may still be up, so it is neither over nor not there', async t => {
  const { account, application, legs, send, state } = await place(t)
  const { body } = await send('POST', '', { to: [ALICE], ncco: NCCO })
  legs.push(leg(body.uuid ?? '', account, application.id))
  state.now = 'down'
  for (const change of CHANGES) t.is((await send('PUT', `/${body.uuid}`, change)).status, 503)
  t.is((await send('PUT', '/of-nobody', CHANGES[0])).status, 503)
})

test('other actions that its switch cannot do are refused where they stand in the body', async t => {
  const { account, application, legs, send, voice } = await place(t)
  legs.push(leg('call-1', account, application.id))
  voice.refuses = new SyntaxFault([{ path: '[0].action', message: 'talk is not available' }])
  const bodies = [
    [CHANGES[1], 'destination.ncco'],
    [{ action: 'transfer', destination: { type: 'ncco', url: ['https://app.example.com/next'] } }, 'destination.url'],
  ] as const
  for (const [body, path] of bodies) {
    const { status, body: answer } = await send('PUT', '/call-1', body)
    t.is(status, 400)
    t.regex(JSON.stringify(answer.data?.[path]), /\[0\]\.action talk is not available/)
  }
})

test('a leg that another application of the account runs is not ended by a guess of its uuid, nor is one that none runs', async t => {
  const { account, anApplication, legs, send } = await place(t)
  const other = await anApplication()
  legs.push(leg('call-1', account, other.id), leg('call-2', account, '', { variables: { callrec_account_id: account } }))
  for (const uuid of ['call-1', 'call-2']) for (const change of CHANGES) t.is((await send('PUT', `/${uuid}`, change)).status, 404)
})

test('an application that is put away meanwhile does nothing more', async t => {
  const { account, application, ask, at, legs, send } = await place(t)
  legs.push(leg('call-1', account, application.id))
  t.is((await send('GET', '/call-1')).status, 200)
  t.is((await ask('DELETE', `${at}/applications/${application.id}`)).status, 200)
  for (const [method, path, body] of [
    ['GET', '/call-1', undefined],
    ['PUT', '/call-1', CHANGES[0]],
    ['POST', '', { to: [ALICE], ncco: NCCO }],
  ] as const)
    t.is((await send(method, path, body)).status, 401)
})

const leg = (uuid: string, account: string, application: string, more: Partial<Leg> = {}): Leg =>
  ({
    uuid,
    node: 'fs1',
    direction: 'inbound',
    answered: true,
    destination: '1000',
    callerIdNumber: '2001',
    createdAt: Date.UTC(2026, 0, 1),
    variables: { callrec_account_id: account, callrec_application_id: application },
    ...more,
  }) as unknown as Leg

test('a call is read while it is up, and by its application alone', async t => {
  const { account, anApplication, application, legs, send } = await place(t)
  legs.push(leg('call-1', account, application.id))
  const { status, body } = await send('GET', '/call-1')
  t.is(status, 200)
  t.like(body, {
    uuid: 'call-1',
    conversation_uuid: 'CON-call-1',
    status: 'answered',
    direction: 'inbound',
    from: '2001',
    to: '1000',
    start_time: '2026-01-01T00:00:00.000Z',
  })
  const other = await anApplication()
  for (const [method, change] of [
    ['GET', undefined],
    ['PUT', { action: 'hangup' }],
  ] as const)
    t.is((await send(method, '/call-1', change, other)).status, 404)
})

test('a call of another account is not there', async t => {
  const made = await place(t)
  const { account, anApplication, application, legs, send } = made
  const foreign = await anApplication({}, `/v2/accounts/${await anAccount(made, { name: 'foreign' })}`)
  legs.push(leg('call-1', account, application.id))
  t.is((await send('GET', '/call-1', undefined, foreign)).status, 404)
  t.is((await send('PUT', '/call-1', { action: 'transfer', destination: { type: 'ncco', ncco: NCCO } }, foreign)).status, 404)
})

test('a call that is over is read from its detail record', async t => {
  const { account, send, store } = await place(t)
  const { body } = await send('POST', '', { to: [ALICE], ncco: NCCO })
  t.like((await send('GET', `/${body.uuid}`)).body, { status: 'started' })
  const now = Date.now()
  const at = toGregorian(now)
  await store.put(monthDb(account, monthOf(now)), {
    _id: cdrId(now, body.uuid ?? ''),
    pvt_type: 'cdr',
    pvt_created: at,
    timestamp: at,
    ended_at: at + 12,
    billing_seconds: 10,
  })
  t.like((await send('GET', `/${body.uuid}`)).body, { status: 'completed', duration: '10' })
})

test('a call that came to the application is read from its detail record, by nobody else', async t => {
  const { account, application, send, store } = await place(t)
  const now = Date.now()
  const at = toGregorian(now)
  await store.createDatabase(monthDb(account, monthOf(now)), 'modb')
  const cdr = { pvt_type: 'cdr', pvt_created: at, timestamp: at, ended_at: at + 12, billing_seconds: 10, caller_id_number: '2001', callee_id_number: '1000' }
  for (const [id, application_id, disposition] of [
    ['came', application.id, 'ANSWERED'],
    ['missed', application.id, 'NO ANSWER'],
    ['another', 'f'.repeat(32), 'ANSWERED'],
  ] as const)
    await store.put(monthDb(account, monthOf(now)), { ...cdr, _id: cdrId(now, id), application_id, disposition })
  t.like((await send('GET', '/came')).body, { status: 'completed', direction: 'inbound', from: '2001', to: '1000', duration: '10' })
  t.like((await send('GET', '/missed')).body, { status: 'unanswered' })
  t.is((await send('GET', '/another')).status, 404)
})

test('a call that is ended while it rings is cancelled by who made it', async t => {
  const { account, application, legs, send, switches } = await place(t)
  legs.push(leg('made', account, application.id, { answered: false, direction: 'outbound' }), leg('came', account, application.id, { answered: false }))
  const ended: unknown[] = []
  Object.assign(switches.nodes[0] ?? {}, { hangup: async (...given: unknown[]) => void ended.push(given) })
  for (const uuid of ['made', 'came']) t.is((await send('PUT', `/${uuid}`, { action: 'hangup' })).status, 204)
  t.deepEqual(ended, [
    ['made', 'ORIGINATOR_CANCEL'],
    ['came', 'NORMAL_CLEARING'],
  ])
})

test('a call shows the same number while it is up as before and after', async t => {
  const { account, application, legs, send } = await place(t)
  const { body } = await send('POST', '', { to: [ALICE], ncco: NCCO })
  const before = await send('GET', `/${body.uuid}`)
  // A switch names the one who is called, or none, where it was told of no number.
  legs.push(leg(body.uuid ?? '', account, application.id, { direction: 'outbound', callerIdNumber: 'alice' }))
  const up = await send('GET', `/${body.uuid}`)
  t.like(up.body, { status: 'answered', from: before.body['from'] })
})

test('a call is ended, or given other actions', async t => {
  const { account, application, legs, send, switches, voice } = await place(t)
  legs.push(leg('call-1', account, application.id))
  const ended: unknown[] = []
  Object.assign(switches.nodes[0] ?? {}, { hangup: async (...given: unknown[]) => void ended.push(given) })
  t.is((await send('PUT', '/call-1', { action: 'hangup' })).status, 204)
  t.deepEqual(ended, [['call-1', 'NORMAL_CLEARING']])
  t.is((await send('PUT', '/call-1', { action: 'transfer', destination: { type: 'ncco', ncco: NCCO } })).status, 204)
  t.is((await send('PUT', '/call-1', { action: 'transfer', destination: { type: 'ncco', url: ['https://app.example.com/next'] } })).status, 204)
  t.deepEqual(voice.transferred, [
    ['call-1', { ncco: NCCO }],
    ['call-1', { answer: { url: 'https://app.example.com/next', method: 'GET' } }],
  ])
  voice.runs = false
  t.is((await send('PUT', '/call-1', { action: 'transfer', destination: { type: 'ncco', ncco: NCCO } })).status, 409)
})

for (const [what, body, path] of [
  ['an action that is not there', { action: 'mute' }, 'action'],
  ['a transfer to nowhere', { action: 'transfer' }, 'destination.type'],
  [
    'a transfer to what is no NCCO',
    { action: 'transfer', destination: { type: 'ncco', ncco: [{ action: 'record', timeOut: 1 }] } },
    'destination.ncco[0].timeOut',
  ],
  ['a transfer to an empty NCCO', { action: 'transfer', destination: { type: 'ncco', ncco: [] } }, 'destination.ncco'],
  ['a transfer to what is no URL', { action: 'transfer', destination: { type: 'ncco', url: ['x'] } }, 'destination.url'],
  ['a transfer to an action nobody knows', { action: 'transfer', destination: { type: 'ncco', ncco: [{ action: 'pay' }] } }, 'destination.ncco[0].action'],
  ['a transfer to a text', { action: 'transfer', destination: 'ncco' }, 'destination.type'],
  ['a transfer into a private network', { action: 'transfer', destination: { type: 'ncco', url: ['http://169.254.169.254/'] } }, 'destination.url.0'],
  ['an ending with an option nobody knows', { action: 'hangup', colour: 'red' }, 'colour'],
] as const) {
  test(`${what} is refused`, async t => {
    const { send } = await place(t)
    const { status, body: answer } = await send('PUT', '/call-1', body)
    t.is(status, 400)
    t.deepEqual(Object.keys(answer.data ?? {}), [path])
  })
}

test('a body that is too long is refused, and so are too many actions', async t => {
  const { account, application, legs, send } = await place(t)
  legs.push(leg('call-1', account, application.id))
  const many = Array.from({ length: 1001 }, () => ({ action: 'wait' }))
  t.is((await send('POST', '', { to: [ALICE], ncco: many })).status, 400)
  t.is((await send('PUT', '/call-1', { action: 'transfer', destination: { type: 'ncco', ncco: many } })).status, 400)
  const long = JSON.stringify({ to: [ALICE], ncco: [{ action: 'talk', text: 'a'.repeat(8_000_000) }] })
  for (const [method, path] of [
    ['POST', ''],
    ['PUT', '/call-1'],
  ] as const)
    t.is((await send(method, path, long)).status, 413)
})

test('what is no call is not there, and other methods are refused', async t => {
  const { send } = await place(t)
  for (const id of ['x', '..%2f', `0${'0'.repeat(7)}-0000-7000-8000-${'0'.repeat(12)}`]) t.is((await send('GET', `/${id}`)).status, 404, id)
  t.is((await send('DELETE', '/x')).status, 405)
  t.is((await send('GET', '')).status, 405)
})

test('nobody but an application gets here', async t => {
  const { url, token } = await place(t)
  for (const headers of [{}, { authorization: `Bearer ${token}` }, { 'x-auth-token': token }]) {
    for (const [method, path] of [
      ['POST', ''],
      ['GET', '/x'],
      ['PUT', '/x'],
    ] as const) {
      t.is((await fetch(`${url}/v1/calls${path}`, { method, headers })).status, 401)
    }
  }
})

test('a call needs a switch', async t => {
  const { send, state } = await place(t)
  state.now = 'down'
  t.is((await send('POST', '', { to: [ALICE], ncco: NCCO })).status, 503)
})
