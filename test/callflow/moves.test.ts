// Calls that others move about: what a phone's REFER does to the legs, on the embedded switch. Nobody is hung up for
// it, each party's flow is the right one afterwards, and policy is asked again.

import test from 'ava'
import type { Doc } from '../../src/store/store.ts'
import { until as eventually } from '../helpers/wait.ts'
import { embedded } from './on-switch.ts'
import { ACCOUNT, ALICE_PHONE, BOB, BOB_PHONE, device, documents, type Node } from './world.ts'

const CAROL = '6'.repeat(32)
const CAROL_PHONE = '7'.repeat(32)
const bob: Node = { module: 'user', data: { id: BOB, timeout: 5 } }

/** Alice and Bob, whose number is 1000; Carol's is 1003. */
const three = (): Record<string, Doc> => ({
  ...documents(bob),
  carol: { _id: CAROL, pvt_type: 'user', first_name: 'Carol', last_name: 'C' },
  carolPhone: device(CAROL_PHONE, CAROL, 'carol'),
  carolFlow: { _id: 'c'.repeat(32), pvt_type: 'callflow', name: 'Carol', numbers: ['1003'], flow: { module: 'user', data: { id: CAROL, timeout: 5 } } },
})

const recorded = (docs: Record<string, Doc>, name: string): Record<string, Doc> => ({ ...docs, [name]: { ...docs[name], record_call: true } as Doc })

async function talking(t: Parameters<typeof embedded>[0], docs: Record<string, Doc>, seconds = '20') {
  const place = await embedded(t, docs)
  place.start()
  /** A call to a number, up to the bridge; both of its legs. */
  async function call(number: string): Promise<[string, string]> {
    const caller = await place.dial(number, { callrec_simulator_seconds: seconds })
    const bridge = await place.until(event => event.name === 'CHANNEL_BRIDGE' && event.leg.uuid === caller)
    return [caller, bridge.name === 'CHANNEL_BRIDGE' ? bridge.otherLeg : '']
  }
  return { ...place, call }
}

test('a caller whom the called phone sends elsewhere goes on there, as a call of his own that policy is asked about', async t => {
  const { call, api, until, over, of, events, recording } = await talking(t, recorded(three(), 'alice'))
  const [alice, bobsLeg] = await call('1000')
  t.is(await api(`uuid_transfer ${alice} 1003`), '+OK\n')
  const again = await until(event => event.name === 'CHANNEL_BRIDGE' && event.leg.uuid === alice && event.otherLeg !== bobsLeg)
  t.like(again, { leg: { variables: { callrec_account_id: ACCOUNT, callrec_device_id: ALICE_PHONE } } })
  await until(event => event.name === 'CHANNEL_HANGUP_COMPLETE' && event.leg.uuid === bobsLeg)
  t.false(of(alice).includes('CHANNEL_HANGUP_COMPLETE'))
  await over(alice)
  t.deepEqual(
    recording.started.map(({ leg, fresh, origin }) => [leg.uuid, fresh, origin]),
    [
      [alice, true, 'outbound to onnet from endpoint'],
      [alice, false, 'outbound to onnet from endpoint'],
    ],
  )
  t.is(events.filter(event => event.name === 'CHANNEL_BRIDGE' && event.leg.uuid === alice).length, 2)
  t.deepEqual(recording.followed, [{ left: bobsLeg, leg: alice, side: 'caller' }])
})

test('a called phone that its caller sends elsewhere is a caller from then on, and the other one is let go', async t => {
  const { call, api, until, over, recording, lines } = await talking(t, recorded(three(), 'bob'))
  const [alice, bobsLeg] = await call('1000')
  t.is(await api(`uuid_transfer ${alice} -bleg 1003`), '+OK\n')
  t.like(await until(event => event.name === 'CHANNEL_HANGUP_COMPLETE' && event.leg.uuid === alice), { cause: 'NORMAL_CLEARING' })
  const bridge = await until(event => event.name === 'CHANNEL_BRIDGE' && event.leg.uuid === bobsLeg)
  t.like(bridge, { leg: { variables: { callrec_device_id: BOB_PHONE, callrec_call_id: bobsLeg } } })
  t.deepEqual(
    recording.started.map(({ leg, side, origin }) => [leg.uuid, side, origin]),
    [
      [bobsLeg, 'callee', 'inbound from onnet to endpoint'],
      [bobsLeg, 'caller', 'outbound to onnet from endpoint'],
    ],
  )
  const interactions = new Set(recording.started.map(({ facts }) => facts.interaction_id))
  t.is(interactions.size, 1, 'it is one interaction')
  t.deepEqual(recording.followed, [{ left: alice, leg: bobsLeg, side: 'caller' }])
  t.deepEqual(
    lines.filter(({ level }) => level === 'error' || level === 'warn'),
    [],
  )
  await api(`uuid_kill ${bobsLeg}`)
  await over(bobsLeg)
})

test('two callers whom the phone between them connects talk on, policy is decided for both, and they end together', async t => {
  const { call, api, until, over, of, recording } = await talking(t, recorded(three(), 'carol'))
  const [alice, bobsLeg] = await call('1000')
  const [asks, carol] = await call('1003')
  t.is(await api(`uuid_bridge ${alice} ${carol}`), `+OK ${carol}\n`)
  await until(event => event.name === 'CHANNEL_BRIDGE' && event.leg.uuid === alice && event.otherLeg === carol)
  await until(event => event.name === 'CHANNEL_HANGUP_COMPLETE' && event.leg.uuid === asks)
  await until(event => event.name === 'CHANNEL_HANGUP_COMPLETE' && event.leg.uuid === bobsLeg)
  t.false(of(alice).includes('CHANNEL_HANGUP_COMPLETE'))
  t.false(of(carol).includes('CHANNEL_HANGUP_COMPLETE'))
  await eventually('the decision', () => recording.started.length === 2)
  t.deepEqual(
    recording.started.map(({ leg, side, fresh, facts }) => [leg.uuid, side, fresh, facts.cdr_id.slice(7)]),
    [
      [carol, 'callee', true, asks],
      [carol, 'callee', false, alice],
    ],
  )
  t.deepEqual(recording.followed, [
    { left: bobsLeg, leg: alice, side: 'caller' },
    { left: asks, leg: carol, side: 'callee' },
  ])
  await api(`uuid_kill ${carol}`)
  t.like(await over(alice), { cause: 'NORMAL_CLEARING' })
})

test('a caller who is sent elsewhere while he hears something, or waits, is taken there', async t => {
  for (const flow of [{ module: 'play', data: { id: 'tone_stream://%(60000,0,440)' } }, { module: 'dead_air' }]) {
    const { dial, start, api, until, over, lines } = await embedded(t, { ...three(), callflow: { ...three()['callflow'], flow } as Doc })
    start()
    const alice = await dial('1000', { callrec_simulator_seconds: '20' })
    await until(event => event.name === 'CHANNEL_ANSWER' && event.leg.uuid === alice)
    await eventually('the action', () => lines.some(({ event }) => event === 'action_started'))
    await api(`uuid_transfer ${alice} 1003`)
    await until(event => event.name === 'CHANNEL_BRIDGE' && event.leg.uuid === alice)
    await over(alice)
    t.is(lines.filter(({ event }) => event === 'call_moved').length, 1)
  }
})
