// Calls of somebody else's dialplan, which were never parked for callrec: policy applies to them all the same, and
// nothing is done to them.

import test from 'ava'
import type { Doc } from '../../src/store/store.ts'
import { until as eventually } from '../helpers/wait.ts'
import { embedded } from './on-switch.ts'
import { ACCOUNT, ALICE_PHONE, BOB_PHONE, documents, FLOW, world } from './world.ts'

const recorded = (call_recording: object): Record<string, Doc> => {
  const docs = documents({ module: 'hangup' })
  return { ...docs, alice: { ...docs['alice'], call_recording } as Doc, bob: { ...docs['bob'], call_recording } as Doc }
}
const everything = { any: { any: { enabled: true } } }

const alice = `callrec_account_id=${ACCOUNT},callrec_device_id=${ALICE_PHONE}`
const bob = `[callrec_account_id=${ACCOUNT},callrec_device_id=${BOB_PHONE}]user/bob@acme.example`
const bridge = `'^^;answer;sleep:200;bridge:${bob}' inline`

test('a call that another dialplan answers and bridges is recorded for both parties, and neither is sent a command', async t => {
  const { start, api, until, of, recording, lines, events } = await embedded(t, recorded(everything))
  start()
  const said = await api(`callrec_simulator_call {${alice}}2001 2002 ${bridge}`)
  const caller = said.replace('+OK ', '').trim()
  const bridged = await until(event => event.name === 'CHANNEL_BRIDGE' && event.leg.uuid === caller)
  const callee = bridged.name === 'CHANNEL_BRIDGE' ? bridged.otherLeg : ''
  await until(event => event.name === 'CHANNEL_HANGUP_COMPLETE' && event.leg.uuid === caller)
  await eventually('a detail record', () => lines.some(({ event }) => event === 'cdr_written'))
  t.false(of(caller).includes('CHANNEL_PARK'))
  t.deepEqual(
    // At the answer and again at the bridge, where it joins what runs.
    [...new Set(recording.started.map(({ leg, side, origin }) => `${leg.uuid} ${side} ${origin}`))],
    [`${caller} caller outbound to onnet from endpoint`, `${callee} callee inbound from onnet to endpoint`],
  )
  t.is(recording.started[0]?.facts.cdr_id.slice(7), caller)
  t.is(recording.started.at(-1)?.facts.cdr_id.slice(7), caller, 'the callee’s recording is of the same call')
  const last = events.findLast(event => 'leg' in event && event.leg.uuid === caller)
  t.true(last !== undefined && 'leg' in last && !Object.keys(last.leg.variables).some(name => name === 'callrec_node' || name === 'callrec_call_id'))
})

test('a call that leaves by the other dialplan’s trunk is outbound to offnet, whichever side says so', async t => {
  const { start, api, until, recording } = await embedded(t, recorded({ outbound: { offnet: { enabled: true } } }))
  start()
  const call = async (variables: string, leg: string): Promise<string> => {
    const said = await api(`callrec_simulator_call {${alice}${variables}}2001 +49301 '^^;bridge:${leg}sofia/gateway/trunk/+49301' inline`)
    const uuid = said.replace('+OK ', '').trim()
    await until(event => event.name === 'CHANNEL_HANGUP_COMPLETE' && event.leg.uuid === uuid)
    return uuid
  }
  const told = await call(',callrec_to=offnet', '')
  const marked = await call('', `[callrec_account_id=${ACCOUNT},callrec_inception=offnet]`)
  await call('', '')
  await eventually('both decisions', () => recording.started.length >= 2)
  t.deepEqual(
    recording.started.map(({ leg, origin }) => [leg.uuid, origin]),
    [
      [told, 'outbound to offnet from endpoint'],
      [marked, 'outbound to offnet from endpoint'],
    ],
  )
})

test('legs that are callrec’s own, serve a recording or name no account are nobody’s foreign call', async t => {
  const { fake, recording, lines } = world(t, recorded(everything))
  const answered = (variables: Record<string, string>, more: object = {}): void => {
    const leg = fake.leg(fake.waiting({ answered: true, variables: { current_application: 'playback', ...variables }, ...more }))
    fake.emit({ name: 'CHANNEL_ANSWER', leg, at: 0 })
  }
  const own = { callrec_account_id: ACCOUNT, callrec_device_id: ALICE_PHONE }
  answered({ ...own, callrec_recording_leg: 'true' })
  answered({ ...own, callrec_call_id: 'another leg' })
  answered({ ...own, callrec_destination: '1000' })
  answered({ ...own, callrec_node: '/' })
  answered({ ...own }, { direction: 'outbound' })
  answered({ callrec_device_id: ALICE_PHONE })
  answered({ ...own, callrec_account_id: 'b'.repeat(32) })
  answered({ ...own, callrec_account_id: 'no id' })
  answered(own)
  await eventually('the last', () => recording.started.length === 1)
  t.is(recording.started.length, 1)
  t.is(lines.filter(({ event }) => event === 'policy_decided').length, 1)
})

test('a bridge with a leg that serves a recording decides nothing', async t => {
  const { fake, recording, lines } = world(t, recorded(everything))
  const own = { callrec_account_id: ACCOUNT, callrec_device_id: ALICE_PHONE, current_application: 'playback' }
  const talks = fake.leg(fake.waiting({ uuid: 'talks', answered: true, variables: own }))
  fake.waiting({ uuid: 'listens', direction: 'outbound', answered: true, variables: { ...own, callrec_recording_leg: 'true' } })
  fake.emit({ name: 'CHANNEL_BRIDGE', leg: talks, otherLeg: 'listens', at: 0 })
  fake.emit({ name: 'CHANNEL_ANSWER', leg: talks, at: 0 })
  await eventually('the answer', () => recording.started.length === 1)
  t.is(recording.started[0]?.leg.uuid, 'talks')
  t.is(lines.filter(({ event }) => event === 'policy_decided').length, 1)
})

test('foreign calls that are up when an engine starts are recorded from then on, alone or in a bridge', async t => {
  const own = { callrec_account_id: ACCOUNT, callrec_device_id: ALICE_PHONE, callrec_callflow_id: FLOW }
  const { fake, recording } = world(t, recorded(everything))
  const listens = fake.waiting({ answered: true, variables: { ...own, current_application: 'playback' } })
  const talks = fake.waiting({ uuid: 'talks', answered: true, otherLeg: 'hears', variables: { ...own, current_application: 'bridge' } })
  const hears = fake.waiting({
    uuid: 'hears',
    direction: 'outbound',
    answered: true,
    otherLeg: 'talks',
    variables: { ...own, callrec_device_id: BOB_PHONE, current_application: '' },
  })
  fake.emit({ name: 'node_up', node: 'fs1' })
  await eventually('all', () => recording.started.length === 3)
  t.deepEqual(recording.started.map(({ leg }) => leg.uuid).toSorted(), [listens, talks, hears].toSorted())
  t.is(fake.sent.length, 0)
})

test('a store or a switch that cannot be asked is told, and hurts nobody', async t => {
  const { fake, failing, events, recording } = world(t, recorded(everything))
  const own = { callrec_account_id: ACCOUNT, callrec_device_id: ALICE_PHONE, current_application: 'playback' }
  const leg = fake.leg(fake.waiting({ answered: true, variables: own }))
  failing.with = new Error('away')
  fake.emit({ name: 'CHANNEL_ANSWER', leg, at: 0 })
  await eventually('the line', () => events('policy_not_decided').length === 1)
  t.like(events('policy_not_decided')[0], { account_id: ACCOUNT, call_id: leg.uuid, reason: 'away' })
  delete failing.with
  fake.emit({ name: 'CHANNEL_BRIDGE', leg, otherLeg: 'gone meanwhile', at: 0 })
  fake.emit({ name: 'CHANNEL_ANSWER', leg, at: 0 })
  await eventually('the recording', () => recording.started.length === 1)
  t.is(recording.started.length, 1)
})
