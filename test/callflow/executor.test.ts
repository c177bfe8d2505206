import test from 'ava'
import { AppError } from '../../src/errors.ts'
import { valuesOf } from '../../src/recording/settings.ts'
import { NO_MATCH } from '../../src/callflow/lookup.ts'
import type { Doc } from '../../src/store/store.ts'
import type { ManualClock } from '../helpers/clock.ts'
import type { BridgeScript } from '../helpers/switches.ts'
import { until } from '../helpers/wait.ts'
import { ACCOUNT, ALICE, ALICE_PHONE, BOB, BOB_MOBILE, BOB_PHONE, documents, FLOW, type Node, OTHER_FLOW, world } from './world.ts'

const TONE = 'tone_stream://%(500,0,440)'
const play = (hz: number): Node => ({ module: 'play', data: { id: `tone_stream://%(500,0,${hz})` } })
const then = (node: Node, child: Node): Node => ({ ...node, children: { _: child } })
const user = (id = BOB, data = {}): Node => ({ module: 'user', data: { id, ...data } })

const played = (executed: string[]): string[] => executed.filter(line => line.startsWith('playback')).map(line => /,(\d+)\)$/.exec(line)?.[1] ?? line)
const changed = (docs: Record<string, Doc>, changes: Record<string, Partial<Doc>>): Record<string, Doc> =>
  Object.fromEntries(Object.entries(docs).map(([name, doc]) => [name, { ...doc, ...changes[name] }]))

test('a parked call keeps its leg, gets its place, runs its flow and is hung up', async t => {
  const { fake, dial, over, events } = world(t, documents(play(440)))
  const leg = dial()
  t.is(await over(), 'NORMAL_CLEARING')
  t.is(fake.sent[0]?.what, 'cancelScheduledHangup')
  t.deepEqual(fake.sent.find(({ what }) => what === 'setVariables')?.detail, {
    callrec_node: '/',
    callrec_came_at: '1800000000000',
    callrec_number: '1000',
    callrec_to: 'onnet',
    callrec_callflow_id: FLOW,
    callrec_interaction_id: '1'.padStart(32, '0'),
    callrec_call_id: leg,
    continue_on_fail: 'true',
    hangup_after_bridge: 'false',
    bypass_media: 'false',
  })
  t.deepEqual(fake.executed(), ['answer', `playback ${TONE}`])
  t.like(events('call_ended')[0], { by: 'callflow', account_id: ACCOUNT, leg, node: 'fs1' })
})

test('from the park to the first action the store is asked at most twice, one after the other', async t => {
  for (const number of ['1000', '*31']) {
    const { fake, dial, over, steps } = world(t, changed(documents(play(440)), { callflow: { patterns: ['^\\*3(\\d+)$'] } }))
    dial(number)
    await fake.until('answer')
    t.is(steps(), 2, number)
    await over()
  }
})

test('a number nobody has goes to the pattern that fits, then to no_match, then is unallocated', async t => {
  const base = documents(play(440))
  const flows: Record<string, Doc> = {
    ...base,
    pattern: { _id: OTHER_FLOW, pvt_type: 'callflow', patterns: ['^3(\\d+)$', '('], flow: play(880) },
    fallback: { _id: 'd'.repeat(32), pvt_type: 'callflow', numbers: [NO_MATCH], flow: play(1200) },
  }
  const outcome = async (number: string, docs = flows, variables = {}): Promise<unknown[]> => {
    const { fake, dial, over, events } = world(t, docs)
    dial(number, { variables })
    const cause = await over()
    return [...played(fake.executed()), cause, ...events('call_refused').map(({ why }) => why)]
  }
  t.deepEqual(await outcome('1000'), ['440', 'NORMAL_CLEARING'])
  t.deepEqual(await outcome('311'), ['880', 'NORMAL_CLEARING'])
  t.deepEqual(await outcome('+4930123'), ['1200', 'NORMAL_CLEARING'])
  t.deepEqual(await outcome('anna'), ['UNALLOCATED_NUMBER', 'no callflow has this number'])
  t.deepEqual(await outcome('+4930123', flows, { callrec_inception: 'offnet' }), ['UNALLOCATED_NUMBER', 'no callflow has this number'])
  t.deepEqual(await outcome('4711', base), ['UNALLOCATED_NUMBER', 'no callflow has this number'])
})

test('a leg callrec made goes where its callrec_destination says', async t => {
  const { fake, dial, over } = world(t, documents(play(440)))
  dial('alice', { direction: 'outbound', answered: true, variables: { callrec_destination: '1000' } })
  await over()
  t.deepEqual(fake.executed(), [`playback ${TONE}`])
})

const refusals: [string, Record<string, Partial<Doc>>, Record<string, string>, RegExp][] = [
  ['no account of that id', {}, { callrec_account_id: 'b'.repeat(32) }, /no such account/],
  ['an account id that is none', {}, { callrec_account_id: '../../etc' }, /not an account id/],
  ['a deleted account', { account: { pvt_deleted: true } }, {}, /no such account/],
  ['a disabled account', { account: { enabled: false } }, {}, /account is disabled/],
  ['a disabled device', { alicePhone: { enabled: false } }, {}, /device is disabled/],
  ['a deleted device', { alicePhone: { pvt_deleted: true } }, {}, /no such device/],
  ['a device of nobody', {}, { callrec_device_id: 'c'.repeat(32) }, /no such device/],
  ['a device id that is a user', {}, { callrec_device_id: ALICE }, /no such device/],
  ['a device id that is none', {}, { callrec_device_id: '_all_docs' }, /not a device id/],
]
for (const [what, changes, variables, why] of refusals) {
  test(`a call with ${what} is rejected in words`, async t => {
    const { fake, dial, over, events } = world(t, changed(documents(play(440)), changes))
    dial('1000', { variables })
    t.is(await over(), 'CALL_REJECTED')
    t.regex(String(events('call_refused')[0]?.['why']), why)
    t.deepEqual(fake.executed(), [])
  })
}

test('an account has as many calls at one time as it may, and one more when one of them is over', async t => {
  const { fake, dial, events, idle } = world(t, changed(documents({ module: 'wait_for_hangup' }), { account: { max_calls: 1 } }))
  const first = dial()
  await until('the first runs', () => events('call_started').length === 1)
  const second = dial()
  const { uuid, detail } = await fake.until('hangup')
  t.deepEqual([uuid, detail], [second, 'NORMAL_CIRCUIT_CONGESTION'])
  t.regex(String(events('call_refused')[0]?.['why']), /as many calls as it may: 1/)
  fake.hangup(first)
  await idle()
  const third = dial()
  await until('the third runs', () => events('call_started').length === 2)
  fake.hangup(third)
})

test('a call while the store is away is told to come back later', async t => {
  const { dial, over, failing, events } = world(t, documents(play(440)))
  failing.with = new AppError('datastore_unreachable', 'no store')
  dial()
  t.is(await over(), 'NORMAL_TEMPORARY_FAILURE')
  t.is(events('call_failed')[0]?.['reason'], 'no store')
})

test('an account whose database is gone is no fault of the store', async t => {
  const { dial, over, failing } = world(t, documents(play(440)))
  failing.with = new AppError('datastore_missing', 'no database')
  dial()
  t.is(await over(), 'CALL_REJECTED')
})

test('what other people park is left alone, and so is a leg that is in a callflow already', async t => {
  const { fake, executor, dial } = world(t, documents(play(440)))
  fake.park({ destination: '1000' })
  dial('1000', { variables: { callrec_node: '/' } })
  t.is(executor.calls(), 0)
  t.deepEqual(fake.sent, [])
})

test('coming back from a bridge is not a new call', async t => {
  const { fake, dial, over } = world(t, documents(user()))
  dial()
  t.is(await over(), 'NORMAL_CLEARING')
  t.is(fake.sent.filter(({ what }) => what === 'bridge').length, 1)
  t.is(fake.sent.filter(({ what }) => what === 'cancelScheduledHangup').length, 1)
})

test('a call parked while nobody listened is found at the start and at every connect, once', async t => {
  const leg = { destination: '1000', variables: { callrec_account_id: ACCOUNT, callrec_device_id: ALICE_PHONE } }
  const { fake, over, idle } = world(t, documents(play(440)), { before: fake => void fake.waiting(leg) })
  await over()
  t.deepEqual(played(fake.executed()), ['440'])
  fake.waiting(leg)
  fake.waiting({ ...leg, variables: { ...leg.variables, current_application: 'bridge' } })
  fake.emit({ name: 'node_up', node: 'fs1' })
  fake.emit({ name: 'node_up', node: 'fs1' })
  await fake.until('hangup', 2)
  await idle()
  t.deepEqual(played(fake.executed()), ['440', '440'])
})

test('a call whose engine is gone is seen to its end: not cut off while it talks or rings, and not left in silence after', async t => {
  const inFlow = (more: Record<string, string>, otherLeg?: string) => ({
    variables: { callrec_account_id: ACCOUNT, callrec_node: '/', current_application: 'bridge', ...more },
    ...(otherLeg === undefined ? {} : { otherLeg }),
  })
  const { fake, clock, events } = world(t, documents(play(440)))
  const talks = fake.waiting(inFlow({ originate_disposition: 'SUCCESS' }, 'other'))
  const rings = fake.waiting(inFlow({ originate_disposition: 'failure' }))
  const overMeanwhile = fake.waiting(inFlow({ originate_disposition: 'SUCCESS' }))
  const failedMeanwhile = fake.waiting(inFlow({ originate_disposition: 'USER_BUSY' }))
  const plays = fake.waiting(inFlow({ current_application: 'playback' }))
  const hungUp = (): Record<string, unknown> => Object.fromEntries(fake.sent.filter(({ what }) => what === 'hangup').map(({ uuid, detail }) => [uuid, detail]))
  fake.emit({ name: 'node_up', node: 'fs1' })
  await fake.until('hangup', 2)
  const atOnce = { [overMeanwhile]: 'NORMAL_CLEARING', [failedMeanwhile]: 'NORMAL_TEMPORARY_FAILURE' }
  t.deepEqual(hungUp(), atOnce)
  t.is(clock.waits().length, 2)

  clock.advance(60_000)
  await fake.until('hangup', 3)
  t.deepEqual(hungUp(), { ...atOnce, [plays]: 'NORMAL_TEMPORARY_FAILURE' })
  t.is(events('call_without_flow').length, 5)

  const bridged = { ...fake.leg(rings), ...inFlow({ originate_disposition: 'SUCCESS' }, 'callee') }
  fake.emit({ name: 'CHANNEL_BRIDGE', leg: bridged, otherLeg: 'callee', at: 0 })
  clock.advance(60_000)
  for (const uuid of [talks, rings]) {
    t.false(uuid in hungUp())
    const { otherLeg: _, ...alone } = { ...bridged, uuid }
    fake.emit({ name: 'CHANNEL_UNBRIDGE', leg: alone, at: 0 })
    t.is(hungUp()[uuid], 'NORMAL_CLEARING')
  }
  t.is(clock.waits().length, 0)
})

test('a call whose flow was lost before it reached anybody begins anew', async t => {
  const variables = { callrec_account_id: ACCOUNT, callrec_device_id: ALICE_PHONE, callrec_node: '/', callrec_call_id: 'x' }
  const { fake, over } = world(t, documents(play(440)))
  const waits = fake.waiting({ destination: '1000', variables })
  const tried = fake.waiting({ destination: '1000', variables: { ...variables, originate_disposition: 'USER_BUSY' } })
  fake.emit({ name: 'node_up', node: 'fs1' })
  await over()
  t.deepEqual(played(fake.executed()), ['440'])
  t.deepEqual(
    fake.sent.filter(({ what }) => what === 'playback').map(({ uuid }) => uuid),
    [waits],
  )
  t.true(fake.legs.has(tried), 'one that came to a bridge is seen to its end')
})

test('a call without a flow that hangs up, or parks anew, is nobody’s any more', async t => {
  const leg = {
    destination: '1000',
    variables: { callrec_account_id: ACCOUNT, callrec_device_id: ALICE_PHONE, callrec_node: '/', current_application: 'playback' },
  }
  const { fake, clock, over } = world(t, documents(play(440)))
  const gone = fake.waiting(leg)
  const transferred = fake.waiting(leg)
  fake.emit({ name: 'node_up', node: 'fs1' })
  await until('both are known', () => clock.waits().length === 2)
  fake.hangup(gone)
  const { callrec_node: _, ...variables } = leg.variables
  fake.emit({ name: 'CHANNEL_PARK', leg: { ...fake.leg(transferred), variables }, at: 0 })
  t.is(clock.waits().length, 0)
  await over()
  t.deepEqual(played(fake.executed()), ['440'])
})

test('a call without a flow whose bridge fails is not left in silence for ever', async t => {
  const { fake, clock } = world(t, documents(play(440)))
  const variables = { callrec_account_id: ACCOUNT, callrec_device_id: ALICE_PHONE, callrec_node: '/', current_application: 'bridge' }
  const leg = fake.waiting({ destination: '1000', variables })
  fake.emit({ name: 'node_up', node: 'fs1' })
  await until('it is known', () => clock.waits().length === 1)
  const parked = { ...fake.leg(leg), variables: { ...variables, current_application: 'park', originate_disposition: 'USER_BUSY' } }
  fake.legs.set(leg, parked)
  fake.emit({ name: 'CHANNEL_PARK', leg: parked, at: 0 })
  t.is(clock.waits().length, 1)
  clock.advance(60_000)
  await until('it is looked at again', () => clock.waits().length === 1)
  clock.advance(60_000)
  t.is((await fake.until('hangup')).detail, 'NORMAL_TEMPORARY_FAILURE')
})

test('a switch that cannot be asked about a call without a flow brings it back when it can', async t => {
  const { fake, clock, events } = world(t, documents(play(440)))
  fake.waiting({ variables: { callrec_account_id: ACCOUNT, callrec_node: '/', current_application: 'playback' } })
  fake.emit({ name: 'node_up', node: 'fs1' })
  await until('it is known', () => clock.waits().length === 1)
  fake.fail.set('leg', new AppError('switch_down', 'gone'))
  clock.advance(60_000)
  await until('it is told', () => events('call_without_flow_not_seen').length === 1)
  fake.fail.delete('leg')
  fake.emit({ name: 'node_up', node: 'fs1' })
  await until('it is known again', () => clock.waits().length === 1)
  clock.advance(60_000)
  t.is((await fake.until('hangup')).detail, 'NORMAL_TEMPORARY_FAILURE')
})

test('a sweep the switch refuses is told and hurts nobody', async t => {
  const { events, dial, over } = world(t, documents(play(440)), {
    before: fake => fake.fail.set('legs', new AppError('switch_timeout', 'no list')),
  })
  dial()
  await over()
  t.is(events('sweep_failed')[0]?.['reason'], 'no list')
})

test('a call goes on when the scheduled hangup could not be taken back', async t => {
  const { fake, dial, over, events } = world(t, documents(play(440)), {
    before: fake => fake.fail.set('cancelScheduledHangup', new AppError('switch_refused', '-ERR')),
  })
  dial()
  await over()
  t.deepEqual(played(fake.executed()), ['440'])
  t.is(events('scheduled_hangup_not_cancelled').length, 1)
})

test('an unknown module, one that is skipped and one that throws all go on at _', async t => {
  const flow = then({ module: 'voicemail' }, then({ module: 'play', data: { skip_module: true, id: TONE } }, then({ module: 'answer' }, play(880))))
  const { fake, dial, over, events } = world(t, documents(flow), { before: fake => fake.fail.set('answer', new AppError('switch_timeout', 'late')) })
  dial('1000')
  await fake.until('answer')
  fake.fail.clear()
  await over()
  t.deepEqual(played(fake.executed()), ['880'])
  t.like(events('module_unknown')[0], { module: 'voicemail' })
  t.like(events('action_failed')[0], { module: 'answer', reason: 'late' })
})

test('a caller who hangs up ends the flow at once, whatever it is doing', async t => {
  for (const flow of [then({ module: 'sleep', data: { duration: 1, unit: 'h' } }, play(440)), then(user(), play(440))]) {
    const { fake, clock, dial, idle, events } = world(t, documents(flow))
    fake.bridges.push({ rings: true })
    const leg = dial()
    await (flow.module === 'user' ? fake.until('bridge') : untilTimer(clock))
    fake.hangup(leg)
    await idle()
    t.deepEqual(played(fake.executed()), [])
    t.is(fake.sent.filter(({ what }) => what === 'hangup').length, 0)
    t.is(clock.waits().length, 0)
    t.like(events('call_ended')[0], { by: 'caller' })
  }
})

async function untilTimer(clock: Pick<ManualClock, 'waits'>): Promise<void> {
  while (clock.waits().length === 0) await new Promise(resolve => setImmediate(resolve))
}

test('a caller who is gone before the engine comes to him leaves nothing behind', async t => {
  const { fake, executor, dial, idle, events } = world(t, documents(play(440)))
  fake.hangup(dial())
  await idle()
  t.is(executor.calls(), 0)
  t.like(events('call_ended')[0], { by: 'caller' })
  t.deepEqual(events('call_failed'), [])
})

test('a switch that is lost in the middle of a call is not asked to hang up', async t => {
  const { fake, dial, idle, events } = world(t, documents(then(play(440), play(880))), {
    before: fake => fake.fail.set('playback', new AppError('switch_down', 'gone')),
  })
  dial()
  await idle()
  t.is(fake.sent.filter(({ what }) => what === 'hangup').length, 0)
  t.is(fake.sent.filter(({ what }) => what === 'playback').length, 1)
  t.is(events('call_failed')[0]?.['reason'], 'gone')
})

test('a hangup the switch refuses is told, and the call is not kept', async t => {
  const { executor, fake, dial, idle, events } = world(t, documents(play(440)), {
    before: fake => fake.fail.set('hangup', new AppError('switch_timeout', 'no')),
  })
  dial()
  await fake.until('hangup', 2)
  await idle()
  t.is(executor.calls(), 0)
  t.is(events('hangup_failed').length, 1)
})

test('an engine that closes leaves its calls to the switch and takes no new ones', async t => {
  const { fake, executor, dial, events } = world(t, documents(user()))
  fake.bridges.push({ rings: true })
  const leg = dial()
  await fake.until('bridge')
  await executor.close()
  t.is(executor.calls(), 0)
  t.true(fake.legs.has(leg))
  t.is(fake.sent.filter(({ what }) => what === 'hangup').length, 0)
  t.is(events('call_left').length, 1)
  dial()
  t.is(executor.calls(), 0)
})

test('calls of a switch that another engine took are left alone, whatever becomes of them', async t => {
  const { fake, executor, dial, events } = world(t, documents(user()))
  fake.bridges.push({ rings: true })
  const leg = dial()
  await fake.until('bridge')
  const before = fake.sent.length
  fake.emit({ name: 'node_lost', node: 'fs1', owner: 'other:1' })
  await until('the call is left', () => executor.calls() === 0)
  t.true(fake.legs.has(leg))
  t.is(fake.sent.length, before)
  t.is(events('call_left').length, 1)
})

test('an engine that closes during a bridge does not call its legs missing', async t => {
  const { fake, executor, recording, dial } = world(t, changed(documents(user()), { bob: { record_call: true } }))
  fake.bridges.push({ rings: true })
  dial()
  await fake.until('bridge')
  await executor.close()
  t.deepEqual(recording.neverCame, [])
})

test('a call that is on its way through a flow keeps the revision it began with', async t => {
  const docs = documents(then({ module: 'sleep', data: { duration: 5 } }, play(440)))
  const { fake, clock, dial, over } = world(t, docs)
  dial()
  await untilTimer(clock)
  docs['callflow'] = { ...docs['callflow'], _id: FLOW, flow: then({ module: 'sleep' }, play(880)) }
  clock.advance(5000)
  await over()
  t.deepEqual(played(fake.executed()), ['440'])
})

// Bridges

test('a user is rung on every phone that is enabled, and the flow stops when the bridge ends', async t => {
  const docs = documents({ ...user(), children: { _: play(440) } })
  const mobile: Doc = { ...docs['bobPhone'], _id: BOB_MOBILE, sip: { username: 'bob-mobile' } }
  const off: Doc = { ...docs['bobPhone'], _id: '6'.repeat(32), sip: { username: 'bob-off' }, enabled: false }
  const { fake, dial, over } = world(t, { ...docs, mobile, off })
  const leg = dial()
  t.is(await over(), 'NORMAL_CLEARING')
  const [argument = ''] = fake.executed()
  t.deepEqual(fake.executed().length, 1)
  t.deepEqual(
    [...argument.matchAll(/user\/([\w.@-]+)/g)].map(([, address]) => address),
    ['bob@acme.example', 'bob-mobile@acme.example'],
  )
  t.true(argument.startsWith('bridge {originate_timeout=20}['))
  t.true(argument.includes(`callrec_account_id=${ACCOUNT}`) && argument.includes(`callrec_device_id=${BOB_PHONE}`))
  t.true(argument.includes(`callrec_call_id=${leg}`) && argument.includes('callrec_interaction_id=') && argument.includes(`callrec_callflow_id=${FLOW}`))
  t.false(argument.includes('callrec_node'))
})

test('with strategy single the phones ring one after the other until one answers', async t => {
  const docs = documents(user(BOB, { strategy: 'single', timeout: 7 }))
  const mobile: Doc = { ...docs['bobPhone'], _id: BOB_MOBILE, sip: { username: 'bob-mobile' } }
  const { fake, dial, over } = world(t, { ...docs, mobile })
  fake.bridges.push({ cause: 'NO_ANSWER' }, { answered: true })
  dial()
  await over()
  t.deepEqual(
    fake.executed().map(line => [/user\/([\w-]+)/.exec(line)?.[1], /originate_timeout=(\d+)/.exec(line)?.[1]]),
    [
      ['bob', '7'],
      ['bob-mobile', '7'],
    ],
  )
})

const children: Record<string, Node> = { USER_BUSY: play(1), NO_ANSWER: play(2), 603: play(3), USER_NOT_REGISTERED: play(4), _: play(9) }
const ends: [string, BridgeScript, string][] = [
  ['busy', { cause: 'USER_BUSY', sip: '486' }, '1'],
  ['not answered', { cause: 'NO_ANSWER' }, '2'],
  ['rejected, and only the SIP status has a child,', { cause: 'CALL_REJECTED', sip: '603' }, '3'],
  ['not registered', { cause: 'USER_NOT_REGISTERED', never: true }, '4'],
  ['unreachable for a reason without a child', { cause: 'NETWORK_OUT_OF_ORDER', sip: '503' }, '9'],
]
for (const [what, script, hz] of ends) {
  test(`a call to a phone that is ${what} goes on where the flow says`, async t => {
    const { fake, dial, over } = world(t, documents({ ...user(), children }))
    fake.bridges.push(script)
    dial()
    await over()
    t.deepEqual(played(fake.executed()), [hz])
  })
}

test('the caller’s own phone is not rung, unless the node says so', async t => {
  const own = async (data: Record<string, unknown>): Promise<number> => {
    const { fake, dial, over } = world(t, documents({ ...user(ALICE, data), children }))
    dial()
    await over()
    return fake.sent.filter(({ what }) => what === 'bridge').length
  }
  t.is(await own({}), 0)
  t.is(await own({ can_call_self: true }), 1)
})

const nobody: [string, Node, Record<string, Partial<Doc>>, string, string][] = [
  ['a user without phones', user(), { bobPhone: { owner_id: ALICE } }, 'nobody_to_ring', '4'],
  ['a user who is not there', user('9'.repeat(32)), {}, 'user_not_found', '9'],
  ['a user who was deleted', user(), { bob: { pvt_deleted: true } }, 'user_not_found', '9'],
  ['no user at all', { module: 'user' }, {}, 'user_not_found', '9'],
  ['a user id that is a path', user('../../x'), {}, 'user_not_found', '9'],
  ['a device that is not there', { module: 'device', data: { id: '9'.repeat(32) } }, {}, 'device_not_found', '9'],
  ['a device that is disabled', { module: 'device', data: { id: BOB_PHONE } }, { bobPhone: { enabled: false } }, 'endpoint_skipped', '4'],
  [
    'a device whose username would break out',
    { module: 'device', data: { id: BOB_PHONE } },
    { bobPhone: { sip: { username: 'bob,[x=${system(x)}]y' } } },
    'endpoint_skipped',
    '4',
  ],
  ['a device without a username', { module: 'device', data: { id: BOB_PHONE } }, { bobPhone: { sip: undefined } }, 'endpoint_skipped', '4'],
  ['a realm that would break out', user(), { account: { realm: 'x} |${system(touch x)}' } }, 'endpoint_skipped', '4'],
]
for (const [what, node, changes, event, hz] of nobody) {
  test(`a flow that wants to ring ${what} says so and goes on`, async t => {
    const { fake, dial, over, events } = world(t, changed(documents({ ...node, children }), changes))
    dial()
    await over()
    t.deepEqual(played(fake.executed()), [hz])
    t.is(events(event).length, 1)
    t.is(fake.sent.filter(({ what }) => what === 'bridge').length, 0)
  })
}

test('a device is rung for as long as the node says, and a timeout that is none is the usual one', async t => {
  for (const [timeout, seconds] of [
    [5, '5'],
    [0, '20'],
    ['soon', '20'],
    [1e9, '3600'],
  ] as const) {
    const { fake, dial, over } = world(t, documents({ module: 'device', data: { id: BOB_PHONE, timeout } }))
    dial()
    await over()
    t.is(/originate_timeout=(\d+)/.exec(fake.executed()[0] ?? '')?.[1], seconds)
  }
})

// Recording

test('a caller whose user is recorded is asked of the recorder before the first action', async t => {
  const { fake, dial, over, recording } = world(t, changed(documents(play(440)), { alice: { record_call: { format: 'wav' } } }))
  const leg = dial('1000', { sipFrom: 'alice@acme.example', sipCallId: 'call-1' })
  await over()
  t.is(recording.started.length, 1)
  const [request] = recording.started
  t.like(request, { accountId: ACCOUNT, side: 'caller', origin: 'outbound to onnet from endpoint', by: 'policy' })
  t.like(request, { fresh: true, leg: { node: 'fs1', uuid: leg, answered: false, sampleRate: 8000 } })
  t.deepEqual(request?.settings.format, { value: 'wav', from: 'user' })
  t.deepEqual(request?.facts, {
    interaction_id: '1'.padStart(32, '0'),
    cdr_id: `202701-${leg}`,
    direction: 'inbound',
    from: 'alice@acme.example',
    to: '1000@acme.example',
    request: '1000@acme.example',
    caller_id_name: 'Alice',
    caller_id_number: '2001',
    callee_id_name: '',
    callee_id_number: '1000',
    sip_call_id: 'call-1',
    owner_id: ALICE,
    endpoint_id: ALICE_PHONE,
    pvt_call: { came_at: 1_800_000_000_000, from: 'onnet', to: 'onnet' },
    custom_channel_vars: {
      account_id: ACCOUNT,
      call_interaction_id: '1'.padStart(32, '0'),
      callflow_id: FLOW,
      realm: 'acme.example',
      authorizing_id: ALICE_PHONE,
      authorizing_type: 'device',
      username: 'alice',
      owner_id: ALICE,
    },
  })
  t.deepEqual(played(fake.executed()), ['440'])
})

test('a recording of a click-to-call says who talked to whom, not whom callrec called first', async t => {
  const { dial, over, recording } = world(t, changed(documents(user()), { alice: { record_call: true }, bob: { record_call: true } }))
  dial('alice', {
    direction: 'outbound',
    answered: true,
    callerIdNumber: 'alice',
    sipFrom: '0000000000@switch',
    sipTo: 'alice@10.0.0.1',
    sipRequest: 'alice@10.0.0.1',
    calleeIdNumber: '0000000000',
    variables: { callrec_destination: '1000', callrec_interaction_id: 'i-1' },
  })
  await over()
  t.deepEqual(
    recording.started.map(({ facts, leg }) => [
      facts.interaction_id,
      facts.direction,
      facts.from,
      facts.to,
      facts.request,
      facts.callee_id_number,
      leg.answered,
    ]),
    [
      ['i-1', 'outbound', 'alice@acme.example', '1000@acme.example', '1000@acme.example', '1000', true],
      ['i-1', 'outbound', 'alice@acme.example', 'bob@acme.example', 'bob@acme.example', '1000', false],
    ],
  )
})

test('a callee’s recording waits for its leg before the bridge is sent', async t => {
  const { fake, dial, over, recording } = world(t, changed(documents(user()), { bob: { record_call: true } }))
  fake.bridges.push({ answered: true })
  dial('1000', { sipFrom: 'alice@acme.example' })
  await over()
  t.is(recording.started.length, 1)
  const [request] = recording.started
  const uuid = request?.leg.uuid ?? ''
  t.true(fake.executed()[0]?.includes(`origination_uuid=${uuid}`))
  t.like(request, { side: 'callee', origin: 'inbound from onnet to endpoint', by: 'policy' })
  t.deepEqual(request?.leg, { node: 'fs1', uuid, answered: false, sampleRate: 0 })
  t.like(request?.facts, {
    direction: 'outbound',
    to: 'bob@acme.example',
    callee_id_name: 'Bob B',
    callee_id_number: '1000',
    owner_id: BOB,
    endpoint_id: BOB_PHONE,
  })
  t.deepEqual(recording.neverCame, [])
})

test('two phones that ring are two legs that wait', async t => {
  const docs = changed(documents(user()), { bob: { record_call: true } })
  const mobile: Doc = { ...docs['bobPhone'], _id: BOB_MOBILE, sip: { username: 'bob-mobile' } }
  const { dial, over, recording } = world(t, { ...docs, mobile })
  dial()
  await over()
  t.deepEqual(new Set(recording.started.map(({ facts }) => facts.endpoint_id)), new Set([BOB_PHONE, BOB_MOBILE]))
  t.deepEqual(recording.neverCame, [])
})

test('a leg that never came to be is told to the recorder', async t => {
  const { fake, dial, over, recording } = world(t, changed(documents(user()), { bob: { record_call: true } }))
  fake.bridges.push({ cause: 'USER_NOT_REGISTERED', never: true })
  dial()
  await over()
  t.deepEqual(recording.neverCame, [recording.started[0]?.leg.uuid ?? ''])
})

test('a leg that the caller’s hangup kept from coming is told to the recorder', async t => {
  const { fake, dial, idle, recording } = world(t, changed(documents(user()), { bob: { record_call: true } }))
  fake.bridges.push({ rings: true })
  const leg = dial()
  await fake.until('bridge')
  fake.hangup(leg)
  await idle()
  t.deepEqual(recording.neverCame, [recording.started[0]?.leg.uuid ?? ''])
})

test('of legs at a switch that is lost nothing is told', async t => {
  const { dial, idle, recording } = world(t, changed(documents(user()), { bob: { record_call: true } }), {
    before: fake => fake.fail.set('bridge', new AppError('switch_down', 'gone')),
  })
  dial()
  await idle()
  t.is(recording.started.length, 1)
  t.deepEqual(recording.neverCame, [])
})

test('one flag of the account makes one recording of a call, not two', async t => {
  const { dial, over, recording } = world(t, changed(documents(user()), { account: { record_call: true } }))
  dial()
  await over()
  t.deepEqual(
    recording.started.map(({ origin }) => origin),
    ['outbound to onnet from endpoint'],
  )
})

test('a callflow that is recorded counts for what is branched into as well', async t => {
  const docs = documents({ module: 'callflow', data: { id: OTHER_FLOW } })
  const other: Doc = { _id: OTHER_FLOW, pvt_type: 'callflow', name: 'Other', record_call: { format: 'wav' }, flow: user() }
  const { dial, over, recording } = world(t, { ...changed(docs, { callflow: { record_call: true } }), other })
  dial()
  await over()
  t.deepEqual(
    recording.started.map(({ side, settings }) => [side, settings.format?.value]),
    [
      ['caller', undefined],
      ['callee', 'wav'],
    ],
  )
})

test('a callflow starts and stops a recording around what it plays', async t => {
  const start: Node = { module: 'record_call', data: { action: 'start', format: 'wav', time_limit: 60, record_min_sec: 2, url: 'https://example.com/r' } }
  const { dial, over, recording } = world(
    t,
    changed(documents(then(start, then(play(440), { module: 'record_call', data: { action: 'stop' } }))), {
      alice: { record_call: { record_sample_rate: 16_000, enabled: false } },
    }),
  )
  const leg = dial()
  await over()
  const [request] = recording.started
  t.like(request, { side: 'caller', origin: 'callflow : Main', by: 'action' })
  t.is(request?.facts.label, 'Main')
  t.like(valuesOf(request?.settings ?? {}), {
    enabled: true,
    format: 'wav',
    time_limit: 60,
    record_min_sec: 2,
    url: 'https://example.com/r',
    record_sample_rate: 16_000,
    record_on_answer: false,
  })
  t.deepEqual(recording.stopped, [leg])
})

test('a recording is labelled by its node, else by its callflow, else by the number', async t => {
  const label = async (data: Record<string, unknown>, name: unknown): Promise<unknown> => {
    const { dial, over, recording } = world(t, changed(documents({ module: 'record_call', data: { action: 'start', ...data } }), { callflow: { name } }))
    dial()
    await over()
    return recording.started[0]?.origin
  }
  t.is(await label({ label: 'Sales' }, 'Main'), 'callflow : Sales')
  t.is(await label({}, undefined), 'callflow : 1000')
})

test('the operator’s cap holds for callflows too', async t => {
  const { dial, over, recording } = world(t, documents({ module: 'record_call', data: { action: 'start', time_limit: 900 } }), { maxTimeLimit: 300 })
  dial()
  await over()
  t.deepEqual(recording.started[0]?.settings.time_limit, { value: 300, from: 'action' })
})

test('a recorder that fails or refuses never ends a call', async t => {
  const flow = then({ module: 'record_call', data: { action: 'start' } }, then({ module: 'record_call', data: { action: 'stop' } }, then(play(440), user())))
  for (const failing of [{ with: new Error('no documents') }, { refuse: 'no media' }]) {
    const { fake, dial, over, recording, events } = world(t, changed(documents(flow), { alice: { record_call: true }, bob: { record_call: true } }))
    Object.assign(recording.failing, failing)
    dial()
    t.is(await over(), 'NORMAL_CLEARING')
    t.deepEqual(played(fake.executed()), ['440'])
    t.is(fake.sent.filter(({ what }) => what === 'bridge').length, 1)
    t.is(events('recording_not_started', 'recording_refused').length, 3)
  }
})

// The small actions

test('play answers first unless it is told not to, or the call is answered', async t => {
  const run = async (data: Record<string, unknown>, answered = false): Promise<string[]> => {
    const { fake, dial, over } = world(t, documents({ module: 'play', data: { id: TONE, ...data } }))
    dial('1000', { answered })
    await over()
    return fake.executed()
  }
  t.deepEqual(await run({}), ['answer', `playback ${TONE}`])
  t.deepEqual(await run({ answer: false }), [`playback ${TONE}`])
  t.deepEqual(await run({}, true), [`playback ${TONE}`])
})

test('what may not be played is told, does not answer the call, and the flow goes on', async t => {
  for (const id of ['/etc/passwd', 'http://example.com/x.wav', '${system(touch x)}', undefined, 7]) {
    const { fake, dial, over, events } = world(t, documents(then({ module: 'play', data: { id } }, play(880))))
    dial()
    await over()
    t.deepEqual(fake.executed(), ['answer', 'playback tone_stream://%(500,0,880)'])
    t.is(events('media_refused').length, 1)
  }
})

test('response refuses with the cause of its code, after its tone', async t => {
  const run = async (data: Record<string, unknown>): Promise<unknown[]> => {
    const { fake, dial, over } = world(t, documents(then({ module: 'response', data }, play(440))))
    dial()
    const cause = await over()
    return [...fake.executed(), cause]
  }
  t.deepEqual(await run({}), ['USER_BUSY'])
  t.deepEqual(await run({ code: 404, message: '${system(x)}\r\nX: y' }), ['UNALLOCATED_NUMBER'])
  t.deepEqual(await run({ code: 200 }), ['USER_BUSY'])
  t.deepEqual(await run({ code: 603, media: TONE }), [`playback ${TONE}`, 'CALL_REJECTED'])
  t.deepEqual(await run({ code: 603, media: '/etc/passwd' }), ['CALL_REJECTED'])
})

test('sleep waits as long as it says, in the unit it says', async t => {
  for (const [data, ms] of [
    [{ duration: 2 }, 2000],
    [{ duration: 300, unit: 'ms' }, 300],
    [{ duration: 1, unit: 'm' }, 60_000],
  ] as const) {
    const { fake, clock, dial, over } = world(t, documents(then({ module: 'sleep', data }, play(440))))
    dial()
    await untilTimer(clock)
    clock.advance(ms - 1)
    t.deepEqual(fake.executed(), [])
    clock.advance(1)
    await over()
    t.deepEqual(played(fake.executed()), ['440'])
  }
})

test('a sleep that makes no sense is told and passed over', async t => {
  for (const data of [{ duration: -1 }, { duration: 'long' }, { duration: 1, unit: 'fortnight' }]) {
    const { dial, over, events } = world(t, documents({ module: 'sleep', data }))
    dial()
    await over()
    t.is(events('sleep_unusable').length, 1)
  }
})

test('answer answers once and hangup ends the flow where it stands', async t => {
  const { fake, dial, over } = world(t, documents(then({ module: 'answer' }, then({ module: 'answer' }, then({ module: 'hangup' }, play(440))))))
  dial()
  t.is(await over(), 'NORMAL_CLEARING')
  t.deepEqual(fake.executed(), ['answer'])
})

test('callflows that name each other end, and one that is not there is passed over', async t => {
  const loop = world(t, documents({ module: 'callflow', data: { id: FLOW } }))
  loop.dial()
  t.is(await loop.over(), 'NORMAL_CLEARING')
  t.is(loop.events('callflow_loops').length, 1)
  t.true(loop.steps() <= 3)
  for (const id of ['9'.repeat(32), '../x', undefined, BOB]) {
    const { fake, dial, over, events } = world(t, documents(then({ module: 'callflow', data: { id } }, play(440))))
    dial()
    await over()
    t.deepEqual(played(fake.executed()), ['440'])
    t.is(events('callflow_not_found').length, 1)
  }
})

// Text from outside

const HOSTILE = ['${system(touch x)}', `O'Brien "Bob"`, 'a\nb\r\n\r\napi system touch x', 'a,b]c}d{e[f|g', '\\${system()}', "'; x", '名前']

test('no name and no number from outside is ever part of something the switch executes', async t => {
  for (const text of HOSTILE) {
    const docs = changed(documents(then({ module: 'record_call', data: { action: 'start', label: text } }, { ...user(), children: { _: play(440) } })), {
      alice: { record_call: true, first_name: text, caller_id: { internal: { name: text, number: text } } },
      bob: { record_call: true, first_name: text, last_name: text },
      callflow: { name: text },
    })
    const { fake, dial, over, recording } = world(t, docs)
    dial('1000', { callerIdName: text, callerIdNumber: text, sipFrom: text, sipTo: text, sipRequest: text, sipCallId: text, calleeIdName: text })
    await over()
    t.is(recording.started.length, 3)
    for (const line of fake.executed()) {
      t.notRegex(line, /system|touch|\$|'|"|\n|\|/, text)
      t.false(line.includes(text))
    }
    const shown = fake.sent.filter(({ what }) => what === 'setVariables').at(-1)?.detail as Record<string, string>
    t.deepEqual(Object.keys(shown), ['effective_caller_id_name', 'effective_caller_id_number'])
    // oxlint-disable-next-line no-control-regex
    t.notRegex(shown['effective_caller_id_name'] ?? '', /[\u0000-\u001f]/)
    t.true(recording.started.some(({ facts }) => facts.caller_id_name === text))
  }
})

test('a name no SIP header can carry is shown without what breaks it, any other as it came', async t => {
  for (const [name, number, shown] of [
    ['Alice\r\n\tX-Evil: 1', '20\n01', { effective_caller_id_name: 'Alice   X-Evil: 1', effective_caller_id_number: '20 01' }],
    ['\\"Al\\" \\', '2001', { effective_caller_id_name: "'Al'  " }],
    ["Alice O'Hara 😀", '2001', undefined],
  ] as const) {
    const { fake, dial, over } = world(t, documents(user()))
    dial('1000', { callerIdName: name, callerIdNumber: number })
    await over()
    t.deepEqual(fake.sent.filter(({ what }) => what === 'setVariables')[1]?.detail, shown)
  }
})

test('a number that is dialled is only ever looked up', async t => {
  for (const text of HOSTILE) {
    const { fake, dial, over } = world(t, documents(play(440)))
    dial(text)
    t.is(await over(), 'UNALLOCATED_NUMBER')
    t.deepEqual(fake.executed(), [])
  }
})
