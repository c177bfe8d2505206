// Calls that come from a trunk: whose number it is, what the account does with it, and whose policy holds.

import test, { type ExecutionContext } from 'ava'
import { fromTrunk, international } from '../../src/callflow/e164.ts'
import { NO_MATCH } from '../../src/callflow/lookup.ts'
import { valuesOf } from '../../src/recording/settings.ts'
import type { Doc } from '../../src/store/store.ts'
import { ACCOUNT, BOB, BOB_PHONE, documents, FLOW, type Node, OTHER_FLOW, world } from './world.ts'

const NUMBER = '+4930123456'
const play = (hz: number): Node => ({ module: 'play', data: { id: `tone_stream://%(500,0,${hz})` } })
const bob: Node = { module: 'user', data: { id: BOB } }
const number = (_id: string, pvt_account_id: string = ACCOUNT): Doc => ({ _id, pvt_type: 'number', pvt_account_id })

/** The account holds NUMBER, and its callflow has it as `written`. */
const holding = (flow: Node, written = NUMBER): Record<string, Doc> => {
  const docs = documents(flow)
  return { ...docs, number: number(NUMBER), callflow: { ...docs['callflow'], _id: FLOW, numbers: [written] } }
}

const from = { callerIdName: 'Somebody', callerIdNumber: '+491701234567' }

/** A trunk's leg carries no account and no device; `dial` of the world is a phone's. */
function trunk(t: ExecutionContext, docs: Record<string, Doc>) {
  const made = world(t, docs)
  const call = (destination = NUMBER, variables: Record<string, string> = {}): string =>
    made.fake.park({ destination, ...from, variables: { callrec_inception: 'offnet', ...variables } })
  return { ...made, call }
}

test('an international number is one with a plus or two zeros, and no other form is', t => {
  for (const text of ['+4930123456', '004930123456']) t.is(international(text), '+4930123456')
  for (const text of ['4930123456', '030123456', '+030123456', '+49', '+1234567890123456', '0004930123456', '+49 30 123456', '110', '', '+49301234x'])
    t.is(international(text), undefined, text)
})

test('what a trunk dials may lack its plus, but a national number is not guessed at', t => {
  for (const text of ['+4930123456', '004930123456', '4930123456', '+4930123456;npdi=yes']) t.is(fromTrunk(text), '+4930123456', text)
  for (const text of ['030123456', '01149301234567', '110', 'anna', '', '++4930123456']) t.is(fromTrunk(text), undefined, text)
})

test('a trunk’s call is its account’s from the number on, and the leg says so', async t => {
  const { fake, call, over, events, steps } = trunk(t, holding(play(440)))
  const leg = call('004930123456')
  await fake.until('answer')
  t.is(steps(), 2, 'whose number it is, then account and callflow')
  t.is(await over(), 'NORMAL_CLEARING')
  t.like(fake.sent.find(({ what }) => what === 'setVariables')?.detail, { callrec_account_id: ACCOUNT, callrec_callflow_id: FLOW, callrec_call_id: leg })
  t.like(events('call_started')[0], { account_id: ACCOUNT, number: NUMBER, callflow_id: FLOW })
})

test('the callflow may have the number without its plus, or a pattern for it', async t => {
  const plain = trunk(t, holding(play(440), NUMBER.slice(1)))
  plain.call()
  t.is(await plain.over(), 'NORMAL_CLEARING')
  for (const pattern of ['^\\+4930(\\d+)$', '^4930(\\d+)$']) {
    const docs = holding(play(440), '1000')
    const { fake, call, over, steps } = trunk(t, { ...docs, other: { _id: OTHER_FLOW, pvt_type: 'callflow', patterns: [pattern], flow: play(880) } })
    call()
    t.is(await over(), 'NORMAL_CLEARING', pattern)
    t.true(fake.executed().some(line => line.endsWith(',880)')))
    t.is(steps(), 3, 'one more for the patterns')
  }
})

test('a number nobody claimed, or no number at all, is unallocated and logged with what to do', async t => {
  for (const [destination, why] of [
    ['+4930999999', /no account has claimed/],
    ['030123456', /not an international number/],
    ['anna', /not an international number/],
  ] as const) {
    const { call, over, events } = trunk(t, holding(play(440)))
    call(destination)
    t.is(await over(), 'UNALLOCATED_NUMBER')
    t.regex(String(events('call_refused')[0]?.['why']), why)
    t.is(events('call_refused')[0]?.['number'], destination)
  }
  for (const claim of [{ ...number(NUMBER), pvt_deleted: true }, number(NUMBER, 'nobody')]) {
    const { call, over } = trunk(t, { ...holding(play(440)), number: claim })
    call()
    t.is(await over(), 'UNALLOCATED_NUMBER')
  }
})

test('a claimed number without a callflow is unallocated: no_match is for those who call out', async t => {
  const docs = holding(play(440), '1000')
  const { call, over } = trunk(t, { ...docs, fallback: { _id: OTHER_FLOW, pvt_type: 'callflow', numbers: [NO_MATCH], flow: play(1200) } })
  call()
  t.is(await over(), 'UNALLOCATED_NUMBER')
})

test('a number of a disabled or deleted account is rejected', async t => {
  for (const state of [{ enabled: false }, { pvt_deleted: true }]) {
    const docs = holding(play(440))
    const { call, over } = trunk(t, { ...docs, account: { ...docs['account'], _id: ACCOUNT, ...state } })
    call()
    t.is(await over(), 'CALL_REJECTED')
  }
})

test('a leg without an account that comes from no trunk is somebody else’s', async t => {
  const { fake, events } = trunk(t, holding(play(440)))
  fake.park({ destination: NUMBER })
  t.like(events('park_ignored')[0], { why: 'it has no callrec_account_id and comes from no trunk' })
})

test('a trunk’s leg that knows its account is not asked for its number again', async t => {
  const { call, over } = trunk(t, holding(play(440), '2002'))
  call('2002', { callrec_account_id: ACCOUNT })
  t.is(await over(), 'NORMAL_CLEARING')
})

test('for a caller from a trunk the callee’s inbound.offnet settings hold, and inbound.onnet say nothing', async t => {
  const asked = async (network: string): Promise<unknown[]> => {
    const docs = holding(bob)
    const call_recording = { inbound: { [network]: { enabled: true, format: 'wav' } } }
    const { call, over, recording } = trunk(t, { ...docs, bob: { ...docs['bob'], _id: BOB, call_recording } })
    call()
    await over()
    return recording.started.map(({ side, origin, facts, settings }) => [side, origin, facts.endpoint_id, facts.from, valuesOf(settings).format])
  }
  t.deepEqual(await asked('offnet'), [['callee', 'inbound from offnet to endpoint', BOB_PHONE, '+491701234567@acme.example', 'wav']])
  t.deepEqual(await asked('any'), [['callee', 'inbound from offnet to endpoint', BOB_PHONE, '+491701234567@acme.example', 'wav']])
  t.deepEqual(await asked('onnet'), [])
})

test('the caller from a trunk is recorded by account and callflow, once, and is nobody’s endpoint', async t => {
  const inbound = { inbound: { offnet: { enabled: true } } }
  for (const [name, settings] of [
    ['account', { call_recording: { endpoint: inbound } }],
    ['callflow', { call_recording: inbound }],
  ] as const) {
    const docs = holding(bob)
    const { call, over, recording } = trunk(t, { ...docs, [name]: { ...docs[name], ...settings } as Doc })
    const leg = call()
    await over()
    t.deepEqual(
      recording.started.map(one => [one.side, one.leg.uuid, one.origin, one.facts.owner_id, one.facts.endpoint_id]),
      [['caller', leg, 'inbound from offnet to endpoint', undefined, undefined]],
      name,
    )
  }
})

test('the callee sees the caller’s own number, not what the account shows of its phones', async t => {
  const docs = holding(bob)
  const caller_id = { internal: { name: 'Acme', number: '1' } }
  const { fake, call, over } = trunk(t, { ...docs, account: { ...docs['account'], _id: ACCOUNT, caller_id } })
  call()
  await over()
  t.false(fake.sent.some(({ detail }) => typeof detail === 'object' && detail !== null && 'effective_caller_id_number' in detail))
})
