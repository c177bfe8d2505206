// The action `ncco`: a voice application on a call of a callflow. What the application itself can say is
// test/voice's matter.

import test, { type ExecutionContext } from 'ava'
import { jwtVerify } from 'jose'
import type { Doc } from '../../src/store/store.ts'
import type { BridgeScript } from '../helpers/switches.ts'
import { until } from '../helpers/wait.ts'
import { ACCOUNT, answering, BOB, BOB_PHONE, documents, type Node, world } from './world.ts'

const play = (hz: number): Node => ({ module: 'play', data: { id: `tone_stream://%(500,0,${hz})` } })
const app = (ncco: object[], more: object = {}): Node => ({ module: 'ncco', data: { ncco, ...more }, children: { _: play(440), error: play(300) } })
const connect = (endpoint: object, more: object = {}): object => ({ action: 'connect', endpoint: [endpoint], ...more })

const NUMBER = '+49301234567'
const TRUNK: Record<string, Doc> = {
  trunk: { _id: '9'.repeat(32), pvt_type: 'resource', name: 'trunk', gateways: [{ gateway: 'carrier' }] },
  number: { _id: NUMBER, pvt_type: 'number', pvt_account_id: ACCOUNT },
}

async function run(t: ExecutionContext, node: Node, { more = {}, bridges = [] }: { more?: Record<string, Doc>; bridges?: BridgeScript[] } = {}) {
  const made = world(t, { ...documents(node), ...more })
  made.fake.bridges.push(...bridges)
  made.dial()
  await made.over()
  return { ...made, rang: made.fake.executed().filter(line => line.startsWith('bridge')), executed: made.fake.executed() }
}

test('a call goes on at `_` when the application is done, and at `error` when it has nothing that can be done', async t => {
  const done = await run(t, app([{ action: 'record' }, connect({ type: 'user', id: BOB })]))
  t.true(done.executed.includes('playback tone_stream://%(500,0,440)'))
  const refused = await run(t, app([{ action: 'pay' }]))
  t.deepEqual(refused.executed, ['answer', 'playback tone_stream://%(500,0,300)'])
  t.like(refused.events('ncco_refused')[0], { level: 'error' })
})

test('an application is asked for its actions', async t => {
  const http = answering([connect({ type: 'user', id: BOB })])
  const { dial, over, fake } = world(t, documents({ module: 'ncco', data: { answer_url: 'https://app.example.com/answer' } }), { http })
  const leg = dial()
  await over()
  t.is(http.asked[0]?.url, `https://app.example.com/answer?from=2001&to=1000&uuid=${leg}&conversation_uuid=CON-${leg}`)
  t.true(fake.executed().some(line => line.includes('user/bob@acme.example')))
})

test('a recording is asked of the caller’s leg, with what the application knows it by', async t => {
  const { recording } = await run(t, app([{ action: 'record', eventUrl: ['https://app.example.com/recorded'] }, connect({ type: 'user', id: BOB })]))
  const [asked] = recording.started
  t.like(asked, { accountId: ACCOUNT, side: 'caller', by: 'action', origin: 'ncco' })
  t.like(asked?.facts, {
    caller_id_number: '2001',
    callee_id_number: '1000',
    pvt_voice: { event_url: 'https://app.example.com/recorded', event_method: 'POST' },
  })
})

for (const [what, endpoint, rung] of [
  ['a user', { type: 'user', id: BOB }, 'user/bob@acme.example'],
  ['a device', { type: 'device', id: BOB_PHONE }, 'user/bob@acme.example'],
  ['a SIP address of the account', { type: 'sip', uri: 'sip:Bob@ACME.example' }, 'user/bob@acme.example'],
  ['a telephone number', { type: 'phone', number: '+4930999' }, 'sofia/gateway/carrier/+4930999'],
] as const) {
  test(`connect rings ${what}, and the application goes on afterwards`, async t => {
    const { rang, executed } = await run(t, app([connect(endpoint, { timeout: 12 })]), { more: TRUNK })
    t.is(rang.length, 1)
    t.true(rang[0]?.includes(rung), rang[0])
    t.true(rang[0]?.includes('originate_timeout=12'))
    t.true(executed.includes('playback tone_stream://%(500,0,440)'))
  })
}

for (const [what, endpoint] of [
  ['a user who is not there', { type: 'user', id: '8'.repeat(32) }],
  ['a device that is not there', { type: 'device', id: '8'.repeat(32) }],
  ['a name nobody has', { type: 'sip', uri: 'sip:carol@acme.example' }],
  ['a SIP address elsewhere', { type: 'sip', uri: 'sip:bob@10.0.0.1' }],
] as const) {
  test(`connect to ${what} rings nobody, and the application goes on`, async t => {
    const { rang, executed, events } = await run(t, app([connect(endpoint)]))
    t.deepEqual(rang, [])
    t.is(events('endpoint_not_found').length, 1)
    t.true(executed.includes('playback tone_stream://%(500,0,440)'))
  })
}

test('connect shows a number the account has claimed, once, and no other', async t => {
  const shown = (sent: readonly { what: string; detail: unknown }[]): unknown[] =>
    sent.filter(({ what }) => what === 'setVariables').flatMap(({ detail }) => (detail as Record<string, unknown>)['effective_caller_id_number'] ?? [])
  const bob = { type: 'user', id: BOB }
  const own = await run(t, app([connect(bob, { from: NUMBER.slice(1) })]), { more: TRUNK })
  t.deepEqual(shown(own.fake.sent), [NUMBER.slice(1)])
  const foreign = await run(t, app([connect(bob, { from: '+15551234567' }), connect(bob)]), { more: TRUNK })
  t.is(foreign.rang.length, 1)
  t.deepEqual(shown(foreign.fake.sent), [])
  t.like(foreign.events('caller_id_refused')[0], { from: '+15551234567' })
})

test('a connect nobody takes goes on with the next action', async t => {
  const { rang } = await run(t, app([connect({ type: 'user', id: BOB }), connect({ type: 'phone', number: '+4930999' })]), {
    more: TRUNK,
    bridges: [{ cause: 'USER_BUSY' }, { answered: true }],
  })
  t.is(rang.length, 2)
})

test('a talk is ended when it has lasted as long as it may', async t => {
  const { fake, clock, dial, until, idle } = talking(t, app([connect({ type: 'user', id: BOB }, { limit: 60 })]))
  const leg = dial()
  await fake.until('bridge')
  fake.emit({ name: 'CHANNEL_BRIDGE', leg: { ...fake.leg(leg), otherLeg: 'bob-leg' }, otherLeg: 'bob-leg', at: 0 })
  clock.advance(59_000)
  t.is(until(), 0)
  clock.advance(1000)
  t.is(until(), 1)
  fake.hangup(leg)
  await idle()
})

function talking(t: ExecutionContext, node: Node) {
  const made = world(t, documents(node))
  made.fake.bridges.push({ rings: true })
  return { ...made, until: () => made.fake.sent.filter(({ what, uuid }) => what === 'hangup' && uuid === 'bob-leg').length }
}

const APPLICATION = '7'.repeat(32)
const application = (fields: object): Record<string, Doc> => ({
  application: { _id: APPLICATION, pvt_type: 'application', pvt_account_id: ACCOUNT, name: 'app', ...fields },
})
const SECRET = 'a secret of thirty-two characters'

test('an application’s own URLs hold where the action gives none, and what it is told is signed', async t => {
  const http = answering([connect({ type: 'user', id: BOB })])
  const urls = { answer_url: 'https://app.example.com/answer', answer_method: 'POST', event_url: 'https://app.example.com/events' }
  const docs = { ...documents({ module: 'ncco', data: { application_id: APPLICATION } }), ...application({ ...urls, signature_secret: SECRET }) }
  const { dial, over, recording, fake } = world(t, docs, { http })
  dial()
  await over()
  // It is told that the call began at the same moment.
  t.like(
    http.asked.find(({ url }) => url === urls.answer_url),
    { method: 'POST' },
  )
  for (const { headers, url } of http.asked) {
    const token = headers?.['authorization']?.replace('Bearer ', '') ?? ''
    const { payload } = await jwtVerify(token, new TextEncoder().encode(SECRET), { algorithms: ['HS256'], issuer: 'Vonage' })
    t.like(payload, { application_id: `${ACCOUNT}-${APPLICATION}`, api_key: ACCOUNT }, url)
  }
  t.true(fake.executed().some(line => line.startsWith('bridge')))
  t.deepEqual(recording.started, [])
})

test('what the action says comes before what its application says', async t => {
  const http = answering([connect({ type: 'user', id: BOB })])
  const docs = {
    ...documents(app([{ action: 'record' }, connect({ type: 'user', id: BOB })], { application_id: APPLICATION })),
    ...application({ answer_url: 'https://app.example.com/answer' }),
  }
  const { dial, over, recording } = world(t, docs, { http })
  dial()
  await over()
  t.deepEqual(http.asked, [])
  t.is(recording.started[0]?.facts.pvt_voice?.application_id, APPLICATION)
})

test('a call that was in an application when its engine went goes on there, and not where it began', async t => {
  const docs = documents(play(350))
  const node = { module: 'ncco', data: {}, children: { _: play(440) } }
  const flow = { node, callflow: { _id: 'f'.repeat(32), flow: node }, waiting: [], branches: 0 }
  const bob = { action: 'connect', endpoint: { type: 'user', id: BOB }, timeout: 12, limit: 60, eventMethod: 'POST' }
  for (const [app, ends] of [
    ['speak', ['interrupt']],
    ['playback', ['interrupt']],
    // It never came to the talk: nothing is to be ended.
    ['bridge', []],
  ] as const) {
    const { fake, over, store } = world(t, docs)
    const variables = { callrec_account_id: ACCOUNT, callrec_node: '/', callrec_number: '1000', callrec_ncco: '0.1', current_application: app }
    const leg = fake.waiting({ destination: 'elsewhere', variables: { ...variables, ...(app === 'bridge' ? { originate_disposition: 'SUCCESS' } : {}) } })
    const actions = [bob, { action: 'talk', text: 'hello', style: 0, level: 0, loop: 1, bargeIn: false }]
    await store.put('calls_in_progress', { _id: `place:${leg}`, flow, actions, turn: 0 })
    fake.emit({ name: 'node_up', node: 'fs1' })
    await over()
    const ran = fake.executed().map(line => line.split(' ')[0])
    t.deepEqual(ran, [...ends, 'answer', 'speak', 'playback'], app)
    t.true(fake.executed().at(-1)?.includes('440'))
  }
})

test('a call that talks through an application goes on when it has talked, by itself or by what its switch tells', async t => {
  for (const tells of [true, false]) {
    const { events, fake, clock, over, store } = world(t, documents(play(350)))
    const node = { module: 'ncco', data: {}, children: { _: play(440) } }
    const flow = { node, callflow: { _id: 'f'.repeat(32), flow: node }, waiting: [], branches: 0 }
    const variables = {
      callrec_account_id: ACCOUNT,
      callrec_node: '/',
      callrec_number: '1000',
      callrec_ncco: '0.0',
      current_application: 'bridge',
      originate_disposition: 'SUCCESS',
    }
    const leg = fake.waiting({ variables, otherLeg: 'bob-leg' })
    await store.put('calls_in_progress', { _id: `place:${leg}`, flow, actions: [{ action: 'connect' }], turn: 0 })
    fake.emit({ name: 'node_up', node: 'fs1' })
    await until('it is seen', () => events('call_without_flow').length === 1)
    const { otherLeg: _, ...alone } = fake.leg(leg)
    fake.legs.set(leg, alone)
    fake.emit({ name: 'CHANNEL_UNBRIDGE', leg: alone, at: 0 })
    if (tells) fake.emit({ name: 'CHANNEL_PARK', leg: alone, at: 0 })
    else clock.advance(1000)
    await over()
    t.deepEqual(fake.executed(), ['answer', 'playback tone_stream://%(500,0,440)'])
  }
})

for (const [what, docs] of [
  ['is not there', {}],
  ['was put away', application({ pvt_deleted: true })],
] as const) {
  test(`an application that ${what} is an error`, async t => {
    const { executed, events } = await run(t, app([connect({ type: 'user', id: BOB })], { application_id: APPLICATION }), { more: docs })
    t.deepEqual(executed, ['answer', 'playback tone_stream://%(500,0,300)'])
    t.like(events('application_not_found')[0], { level: 'error' })
  })
}
