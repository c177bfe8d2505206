// Calls that a phone or its owner forwards: what is rung instead, or as well, whom the other side sees, and whose
// settings decide about the recording.

import test, { type ExecutionContext } from 'ava'
import { forwardOf } from '../../src/callflow/forward.ts'
import type { Doc } from '../../src/store/store.ts'
import type { BridgeScript } from '../helpers/switches.ts'
import { ACCOUNT, BOB, BOB_MOBILE, BOB_PHONE, device, documents, type Node, world } from './world.ts'

const CAROL_PHONE = '7'.repeat(32)
const OUTSIDE = '+4940999999'
const bob: Node = { module: 'user', data: { id: BOB } }
const trunk: Doc = { _id: '9'.repeat(32), pvt_type: 'resource', name: 'trunk', gateways: [{ gateway: 'trunk' }] }

interface Given {
  flow?: Node
  bob?: object
  bobPhone?: object
  docs?: Record<string, Doc>
  bridges?: BridgeScript[]
}

async function call(t: ExecutionContext, { flow = bob, bob: ofBob = {}, bobPhone = {}, docs: more = {}, bridges = [] }: Given) {
  const base = documents(flow)
  const docs: Record<string, Doc> = {
    ...base,
    bob: { ...base['bob'], _id: BOB, ...ofBob },
    bobPhone: { ...base['bobPhone'], _id: BOB_PHONE, ...bobPhone },
    carolPhone: device(CAROL_PHONE, '', 'carol'),
    carolFlow: { _id: 'd'.repeat(32), pvt_type: 'callflow', numbers: ['1003'], flow: { module: 'device', data: { id: CAROL_PHONE } } },
    toneFlow: { _id: 'c'.repeat(32), pvt_type: 'callflow', numbers: ['1004'], flow: { module: 'play', data: { id: 'tone_stream://%(100,0,660)' } } },
    trunk,
    ...more,
  }
  const made = world(t, docs)
  made.fake.bridges.push(...bridges)
  made.dial()
  await made.over()
  const bridges_ = made.fake.executed().filter(line => line.startsWith('bridge'))
  const rung = bridges_.map(line => [...line.matchAll(/(user\/\w+|sofia\/gateway\/\w+\/[+\d]+)/g)].map(([, one = '']) => one.replace('user/', '')))
  return { ...made, rung, bridges: bridges_, executed: made.fake.executed() }
}

const to = (number: string, more: object = {}): { call_forward: object } => ({ call_forward: { enabled: true, number, ...more } })

test('a forward is one that is on and names a number; the device’s own comes before its owner’s', t => {
  const doc = (call_forward: unknown): Doc => ({ _id: 'x', call_forward })
  for (const none of [undefined, 'yes', { enabled: false, number: '1' }, { enabled: true }, { number: '1' }, { enabled: 1, number: '1' }])
    t.is(forwardOf(doc(none), undefined, true), undefined, JSON.stringify(none))
  const own = doc({ enabled: 'true', number: '1' })
  const owners = doc({
    enabled: true,
    number: '2',
    direct_calls_only: true,
    substitute: false,
    failover: 'true',
    require_keypress: true,
    keep_caller_id: false,
  })
  t.deepEqual(forwardOf(own, owners, true), { number: '1', substitute: true, failover: false, directOnly: false, keypress: false, keepCallerId: true })
  t.deepEqual(forwardOf(doc(undefined), owners, true), {
    number: '2',
    substitute: false,
    failover: true,
    directOnly: true,
    keypress: true,
    keepCallerId: false,
  })
  t.is(forwardOf(undefined, owners, false), undefined, 'not for a call to a group')
})

test('a forwarded user’s phones are silent, and the number outside is rung once for all of them', async t => {
  const { rung } = await call(t, { bob: to(OUTSIDE), docs: { bobMobile: device(BOB_MOBILE, BOB, 'mobile') } })
  t.deepEqual(rung, [[`sofia/gateway/trunk/${OUTSIDE}`]])
})

test('a user without a phone may forward all the same', async t => {
  const { rung } = await call(t, { bob: to(OUTSIDE), docs: { bobPhone: { ...device(BOB_PHONE, '', 'nobody’s') } } })
  t.deepEqual(rung, [[`sofia/gateway/trunk/${OUTSIDE}`]])
})

test('without substitute both ring', async t => {
  const { rung } = await call(t, { bob: to(OUTSIDE, { substitute: false }) })
  t.deepEqual(rung, [[`sofia/gateway/trunk/${OUTSIDE}`, 'bob']])
})

test('a number of the account that is a phone rings it; its own forward does not count, so nobody is sent round in circles', async t => {
  const { rung } = await call(t, { bob: to('1003'), docs: { carolPhone: { ...device(CAROL_PHONE, '', 'carol'), ...to('1000') } } })
  t.deepEqual(rung, [['carol']])
})

test('a number of the account that is more than a phone takes the call, where nobody else is rung', async t => {
  t.deepEqual((await call(t, { bobPhone: to('1004') })).executed, ['answer', 'playback tone_stream://%(100,0,660)'])
  const both = await call(t, { bob: { ...to('1004', { substitute: false }) } })
  t.deepEqual(both.rung, [['bob']])
})

test('callflows that forward to each other end', async t => {
  const { events } = await call(t, { bob: to('1000'), flow: { module: 'answer', children: { _: bob } } })
  t.is(events('callflow_loops').length, 1)
})

test('a forward to nowhere is told and the phone rings itself', async t => {
  for (const number of ['nobody', '4711']) {
    const { rung, events } = await call(t, { bob: to(number), docs: { trunk: { ...trunk, rules: ['^\\+49(.*)$'] } } })
    t.deepEqual(rung, [['bob']])
    t.is(events('forward_not_rung').length, 1)
  }
})

test('with failover the phone rings, and the number only where the phone cannot be reached', async t => {
  const forward = to(OUTSIDE, { failover: true })
  t.deepEqual((await call(t, { bob: forward })).rung, [['bob']])
  t.deepEqual((await call(t, { bob: forward, bridges: [{ cause: 'USER_BUSY' }] })).rung, [['bob']])
  const away: BridgeScript[] = [{ cause: 'USER_NOT_REGISTERED', never: true }, { answered: true }]
  t.deepEqual((await call(t, { bob: forward, bridges: away })).rung, [['bob'], [`sofia/gateway/trunk/${OUTSIDE}`]])
})

test('a ring group rings its phones, unless it says that forwards count', async t => {
  const group = (more: object): Node => ({ module: 'ring_group', data: { endpoints: [{ endpoint_type: 'user', id: BOB }], ...more } })
  t.deepEqual((await call(t, { bob: to(OUTSIDE), flow: group({}) })).rung, [['bob']])
  t.deepEqual((await call(t, { bob: to(OUTSIDE), flow: group({ ignore_forward: false }) })).rung, [[`sofia/gateway/trunk/${OUTSIDE}`]])
  t.deepEqual((await call(t, { bob: to(OUTSIDE, { direct_calls_only: true }), flow: group({ ignore_forward: false }) })).rung, [['bob']])
})

test('who is called sees the caller, or where the forward says so the number of who forwards', async t => {
  const kept = await call(t, { bob: to(OUTSIDE) })
  t.false(kept.bridges[0]?.includes('origination_caller_id_number'))
  const own = { caller_id: { external: { number: '+493012345' } } }
  const shown = await call(t, { bob: { ...to(OUTSIDE, { keep_caller_id: false }), ...own } })
  t.true(shown.bridges[0]?.includes('origination_caller_id_number=+493012345'))
  const evil = { caller_id: { external: { number: '1,x=y]' } } }
  t.false((await call(t, { bob: { ...to(OUTSIDE, { keep_caller_id: false }), ...evil } })).bridges[0]?.includes('origination_caller_id'))
})

test('who answers for somebody presses a key first where that is wanted, and is recorded from then on', async t => {
  const { bridges, recording } = await call(t, { bob: { ...to(OUTSIDE, { require_keypress: true }), record_call: true } })
  t.true(bridges[0]?.includes('group_confirm_key=1'))
  t.like(recording.started[0]?.settings, { record_on_answer: { value: false }, record_on_bridge: { value: true } })
})

test('the leg of a forward is recorded as the forwarder’s settings say, and the caller’s as of a call that leaves', async t => {
  const docs = { alice: { ...documents(bob)['alice'], call_recording: { outbound: { offnet: { enabled: true } } } } as Doc }
  const { recording, bridges } = await call(t, { bob: { ...to(OUTSIDE), record_call: { format: 'wav' } }, docs })
  t.deepEqual(
    recording.started.map(({ side, origin, facts }) => [side, origin, facts.endpoint_id, facts.to]),
    [
      ['caller', 'outbound to offnet from endpoint', '2'.repeat(32), '1000@acme.example'],
      ['callee', 'inbound from onnet to endpoint', BOB_PHONE, `${OUTSIDE}@acme.example`],
    ],
  )
  t.true(bridges[0]?.includes('callrec_inception=offnet'))
  t.false(bridges[0]?.includes('callrec_device_id'), 'it is no phone of ours')
  t.true(bridges[0]?.includes(`callrec_account_id=${ACCOUNT}`))
})

test('who is rung for another is recorded by his own settings and by the other’s', async t => {
  const carol = { ...device(CAROL_PHONE, '', 'carol'), record_call: { format: 'wav' } }
  const { recording } = await call(t, { bob: { ...to('1003'), record_call: { format: 'mp3' } }, docs: { carolPhone: carol } })
  t.deepEqual(
    recording.started.map(({ settings, facts }) => [facts.endpoint_id, settings.format?.value]),
    [
      [CAROL_PHONE, 'wav'],
      [BOB_PHONE, 'mp3'],
    ],
  )
  t.is(new Set(recording.started.map(({ leg }) => leg.uuid)).size, 1)
})
