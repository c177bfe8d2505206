// The executor on the embedded switch: real events, in a real order, over the real wire.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import test from 'ava'
import type { Doc } from '../../src/store/store.ts'
import { embedded } from './on-switch.ts'
import { ACCOUNT, BOB, BOB_MOBILE, BOB_PHONE, device, documents, FLOW, type Node } from './world.ts'

const play = (hz: number): Node => ({ module: 'play', data: { id: `tone_stream://%(200,0,${hz})` } })
const bob: Node = { module: 'user', data: { id: BOB, timeout: 5 } }
const recorded = (docs: Record<string, Doc>): Record<string, Doc> => ({ ...docs, bob: { ...docs['bob'], _id: BOB, record_call: true } })

test('a call reaches the user it asked for, with the leg the recorder waits for', async t => {
  const { start, dial, over, recording, of, events } = await embedded(t, recorded(documents(bob)))
  start()
  const uuid = await dial('1000')
  t.like(await over(uuid), { cause: 'NORMAL_CLEARING' })
  const [request] = recording.started
  t.is(recording.started.length, 1)
  t.is(request?.side, 'callee')
  const callee = of(request?.leg.uuid ?? '')
  t.is(callee[0], 'CHANNEL_ANSWER')
  t.true(callee.includes('CHANNEL_HANGUP_COMPLETE'))
  const answer = events.find(event => event.name === 'CHANNEL_ANSWER' && event.leg.uuid === request?.leg.uuid)
  t.like(answer, { leg: { variables: { callrec_account_id: ACCOUNT, callrec_device_id: BOB_PHONE, callrec_call_id: uuid } } })
  t.true(of(uuid).includes('CHANNEL_BRIDGE'))
  t.deepEqual(recording.neverCame, [])
})

test('a busy phone, one that does not answer and one that refuses each send the call where the flow says', async t => {
  const children: Record<string, Node> = { USER_BUSY: play(500), NO_ANSWER: play(600), 603: play(700), _: play(900) }
  const { start, dial, over, recording, lines } = await embedded(t, recorded(documents({ ...bob, children })))
  start()
  for (const answer of ['busy', 'never', 'CALL_REJECTED']) await over(await dial('1000', { callrec_simulator_answer: answer }))
  t.deepEqual(
    lines.filter(({ event }) => event === 'bridge_failed').map(({ cause }) => cause),
    ['USER_BUSY', 'NO_ANSWER', 'CALL_REJECTED'],
  )
  t.is(recording.started.length, 3)
  t.deepEqual(recording.neverCame, [])
  t.deepEqual(
    lines.filter(({ level }) => level === 'error' || level === 'warn'),
    [],
  )
})

test('tones, pauses and refusals run to the end of the flow', async t => {
  const rest: Node = { module: 'sleep', data: { duration: 500, unit: 'ms' }, children: { _: { module: 'response', data: { code: 404 } } } }
  const { start, dial, over, lines } = await embedded(t, documents({ ...play(440), children: { _: rest } }))
  start()
  t.like(await over(await dial('1000')), { cause: 'UNALLOCATED_NUMBER' })
  t.like(
    lines.find(({ event }) => event === 'call_ended'),
    { by: 'callflow', cause: 'UNALLOCATED_NUMBER' },
  )
})

test('a number nobody has is refused on the wire', async t => {
  const { start, dial, over } = await embedded(t, documents(play(440)))
  start()
  t.like(await over(await dial('4711')), { cause: 'UNALLOCATED_NUMBER' })
})

test('a call that waits when an engine starts is served, and a call in a bridge outlives the engine', async t => {
  const { start, dial, over, until, of } = await embedded(t, documents(bob))
  const engine = start()
  const talking = await dial('1000', { callrec_simulator_seconds: '20' })
  await until(event => event.name === 'CHANNEL_BRIDGE' && event.leg.uuid === talking)
  await engine.close()
  const waiting = await dial('1000')
  start()
  await over(waiting)
  t.true(of(waiting).includes('CHANNEL_BRIDGE'))
  t.false(of(talking).includes('CHANNEL_HANGUP_COMPLETE'))
})

test('a user with two phones that nobody answers goes where NO_ANSWER leads', async t => {
  const docs = { ...documents({ ...bob, children: { NO_ANSWER: play(600), _: play(900) } }), mobile: device(BOB_MOBILE, BOB, 'bobmobile') }
  const { start, dial, over, lines } = await embedded(t, docs)
  start()
  await over(await dial('1000', { callrec_simulator_answer: 'never' }))
  t.like(
    lines.find(({ event }) => event === 'bridge_failed'),
    { cause: 'NO_ANSWER' },
  )
})

// One after the other: a caller talks for a quarter of a second here, which many at once make too short.
test.serial('dead air and waiting last until the caller hangs up', async t => {
  for (const module of ['dead_air', 'wait_for_hangup']) {
    const { start, dial, over, lines } = await embedded(t, documents({ ...play(440), children: { _: { module } } }))
    start()
    t.like(await over(await dial('1000')), { cause: 'NORMAL_CLEARING' })
    t.like(
      lines.find(({ event }) => event === 'call_ended'),
      { by: 'caller' },
    )
  }
})

test.serial('a group’s phones ring with their delays, and those that stop early do not answer', async t => {
  const endpoints = [
    { endpoint_type: 'device', id: BOB_PHONE, timeout: 2 },
    { endpoint_type: 'device', id: BOB_MOBILE, delay: 1, timeout: 3 },
  ]
  const flow: Node = { module: 'ring_group', data: { endpoints, timeout: 8 }, children: { NO_ANSWER: play(440) } }
  const { start, dial, over, lines, events } = await embedded(t, { ...documents(flow), mobile: device(BOB_MOBILE, BOB, 'bob-mobile') })
  start()
  await over(await dial('1000'))
  t.true(events.some(event => event.name === 'CHANNEL_BRIDGE'))
  await over(await dial('1000', { callrec_simulator_answer: 'never' }))
  t.deepEqual(
    lines.filter(({ event }) => event === 'bridge_failed').map(({ cause }) => cause),
    ['NO_ANSWER'],
  )
})

test.serial('a call leaves by a trunk, and comes back when the trunk has no way', async t => {
  const flow: Node = { module: 'resources', data: { to_did: '+49891234' }, children: { NORMAL_TEMPORARY_FAILURE: play(440) } }
  const gateways = [{ gateway: 'nowhere' }, { gateway: 'trunk' }]
  const { start, dial, over, lines, events } = await embedded(t, { ...documents(flow), trunk: { _id: '9'.repeat(32), pvt_type: 'resource', gateways } })
  start()
  await over(await dial('1000'))
  const answered = events.find(event => event.name === 'CHANNEL_ANSWER' && event.leg.destination === '+49891234')
  t.like(answered, { leg: { direction: 'outbound', variables: { callrec_account_id: ACCOUNT, callrec_inception: 'offnet' } } })
  await over(await dial('1000', { callrec_simulator_answer: 'NORMAL_TEMPORARY_FAILURE' }))
  t.deepEqual(
    lines.filter(({ event }) => event === 'trunk_tried').map(({ gateway }) => gateway),
    ['nowhere', 'trunk', 'nowhere', 'trunk'],
  )
})

const MENU: Doc = {
  _id: 'c'.repeat(32),
  pvt_type: 'menu',
  name: 'Main',
  retries: 1,
  timeout: 4000,
  interdigit_timeout: 1000,
  media: { greeting: 'tone_stream://%(4000,0,440)' },
}
const menu: Node = {
  module: 'menu',
  data: { id: MENU._id },
  children: { 12: play(500), timeout: { module: 'response', data: { code: 404 } }, _: { module: 'response', data: { code: 603 } } },
}

test.serial('keys that are pressed during a greeting or after it are the caller’s answer', async t => {
  const { start, dial, over, lines } = await embedded(t, { ...documents(menu), menu: MENU })
  start()
  const presses = (dtmf: string): Record<string, string> => ({ callrec_simulator_dtmf: dtmf, callrec_simulator_seconds: '30' })
  for (const dtmf of ['2:12', '6:12#']) t.like(await over(await dial('1000', presses(dtmf))), { cause: 'NORMAL_CLEARING' })
  t.like(await over(await dial('1000', presses('3:3'))), { cause: 'CALL_REJECTED' })
  t.like(await over(await dial('1000', presses(''))), { cause: 'UNALLOCATED_NUMBER' })
  t.deepEqual(
    lines.filter(({ event }) => event === 'menu_answered').map(({ keys }) => keys),
    [2, 2, 1, 0],
  )
  t.false(
    lines.some(line => 'digits' in line),
    'what was pressed is in no log',
  )
})

test.serial('a server decides about a call, and one inside the operator’s network is not asked', async t => {
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/inside') === true) response.writeHead(302, { location: 'http://10.0.0.1/' }).end()
    else
      response.end(JSON.stringify({ module: 'response', data: { code: new URL(request.url ?? '', 'http://h').searchParams.get('To') === '1000' ? 486 : 404 } }))
  }).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const ask = (path: string): Node => ({
    module: 'pivot',
    data: { voice_url: `${at}${path}` },
    children: { error: { module: 'response', data: { code: 603 } } },
  })
  const docs = documents(ask('/'))
  const { start, dial, over, lines } = await embedded(t, docs)
  start()
  t.like(await over(await dial('1000')), { cause: 'USER_BUSY' })
  docs['callflow'] = { ...docs['callflow'], _id: FLOW, flow: ask('/inside') }
  t.like(await over(await dial('1000')), { cause: 'CALL_REJECTED' })
  t.regex(String(lines.find(({ event }) => event === 'pivot_failed')?.['why']), /10\.0\.0\.1 is not on the public internet/)
})

test('who answers a forwarded call without pressing the key is never connected', async t => {
  const docs = documents({ ...bob, children: { NO_ANSWER: play(600) } })
  const desk = { ...device(BOB_MOBILE, '', 'desk') }
  const flow = { _id: 'd'.repeat(32), pvt_type: 'callflow', numbers: ['1003'], flow: { module: 'device', data: { id: BOB_MOBILE } } }
  const call_forward = { enabled: true, number: '1003', require_keypress: true }
  const { start, dial, over, of, lines } = await embedded(t, { ...docs, bob: { ...docs['bob'], _id: BOB, call_forward }, desk, flow })
  start()
  const connected = await dial('1000')
  await over(connected)
  t.true(of(connected).includes('CHANNEL_BRIDGE'))
  const never = await dial('1000', { callrec_simulator_confirm: 'never', callrec_simulator_seconds: '60' })
  await over(never)
  t.false(of(never).includes('CHANNEL_BRIDGE'))
  t.like(
    lines.find(({ event }) => event === 'bridge_failed'),
    { cause: 'NO_ANSWER' },
  )
})
