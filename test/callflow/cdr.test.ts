// The detail record of a call: what it says, and that it is written once for each call that is over.

import test from 'ava'
import { cdrOf } from '../../src/callflow/cdr.ts'
import { startRecords } from '../../src/callflow/records.ts'
import { AppError } from '../../src/errors.ts'
import type { Doc, Store } from '../../src/store/store.ts'
import { manualClock } from '../helpers/clock.ts'
import { aLeg } from '../helpers/legs.ts'
import { notedLog } from '../helpers/log.ts'
import { until } from '../helpers/wait.ts'
import { ACCOUNT, ALICE, ALICE_PHONE, BOB, documents, FLOW, type Node, world } from './world.ts'

const bob: Node = { module: 'user', data: { id: BOB } }
const docs = documents(bob)
const CAME = Date.UTC(2026, 4, 16)
const over = {
  accountId: ACCOUNT,
  account: docs['account'] as Doc,
  device: docs['alicePhone'],
  dialled: docs['callflow'] as Doc,
  number: '1000',
  interactionId: 'i1',
  leg: aLeg('leg-a', { destination: '1000', callerIdName: 'Alice', callerIdNumber: '2001', sipCallId: 's1' }),
  way: { from: 'onnet' as const, to: 'onnet' as const },
  cameAt: CAME,
  answeredAfterMs: 4_000,
  endedAfterMs: 64_400,
  hangupCause: 'NORMAL_CLEARING',
}

test('a record counts from the call’s beginning, and its id is the call in the month it came', t => {
  const cdr = cdrOf({ ...over, recordings: ['202605-a'] })
  t.like(cdr, {
    _id: '202605-leg-a',
    pvt_created: 63_946_108_800,
    timestamp: 63_946_108_800,
    answered_at: 63_946_108_804,
    ended_at: 63_946_108_864,
    duration_seconds: 64,
    ringing_seconds: 4,
    billing_seconds: 60,
    disposition: 'ANSWERED',
    from: '2001@acme.example',
    to: '1000@acme.example',
    authorizing_id: ALICE_PHONE,
    owner_id: ALICE,
    callflow_id: FLOW,
    media_recordings: ['202605-a'],
  })
})

test('a call nobody answered is billed nothing and says how it ended', t => {
  const ended = (hangupCause: string) => cdrOf({ ...over, answeredAfterMs: undefined, hangupCause, recordings: [] })
  t.like(ended('ORIGINATOR_CANCEL'), { ringing_seconds: 64, billing_seconds: 0, disposition: 'NO ANSWER', answered_at: undefined })
  t.is(ended('USER_BUSY').disposition, 'BUSY')
  t.is(ended('UNALLOCATED_NUMBER').disposition, 'FAILED')
})

test('each call that is over has one record, whoever hung up', async t => {
  const { fake, clock, dial, over, idle, written } = world(t, documents({ module: 'answer', children: { _: { module: 'sleep', data: { duration: 9 } } } }))
  const first = dial()
  await fake.until('answer')
  await until('the sleep', () => clock.waits().length > 0)
  clock.advance(9000)
  await over()
  await until('a record', () => written.length === 1)
  const second = dial()
  await fake.until('answer', 2)
  clock.advance(2000)
  fake.hangup(second, 'MEDIA_TIMEOUT')
  await idle()
  await until('a second record', () => written.length === 2)
  t.like(written[0], { call_id: first, hangup_cause: 'NORMAL_CLEARING', duration_seconds: 9, billing_seconds: 9, disposition: 'ANSWERED' })
  t.like(written[1], { call_id: second, hangup_cause: 'MEDIA_TIMEOUT', duration_seconds: 2 })
})

test('a call that is refused has a record, where its account is known', async t => {
  const { dial, idle, written, fake } = world(t, documents(bob))
  const refused = dial('4711')
  await idle()
  await until('a record', () => written.length === 1)
  t.like(written[0], { call_id: refused, hangup_cause: 'UNALLOCATED_NUMBER', disposition: 'FAILED', callee_id_number: '4711', authorizing_id: ALICE_PHONE })
  t.false('callflow_id' in (written[0] ?? {}))
  fake.park({ variables: { callrec_account_id: 'b'.repeat(32) } })
  await fake.until('hangup', 2)
  await idle()
  t.is(written.length, 1, 'there is no such account to keep it')
})

test('a call that another engine took has its record from what stands on its leg', async t => {
  const { fake, written } = world(t, documents(bob))
  const variables = {
    callrec_account_id: ACCOUNT,
    callrec_device_id: ALICE_PHONE,
    callrec_callflow_id: FLOW,
    callrec_node: '/',
    callrec_number: '1000',
    callrec_to: 'offnet',
    callrec_came_at: String(CAME),
    callrec_interaction_id: 'i1',
  }
  const of = (uuid: string, more: object = {}) =>
    fake.waiting({ uuid, createdAt: CAME, answeredAt: CAME + 4000, answered: true, variables: { ...variables, callrec_call_id: uuid, ...more } })
  for (const uuid of [of('leg-a'), of('its-callee', { callrec_call_id: 'leg-a' }), of('nobody’s', { callrec_account_id: 'b'.repeat(32) })])
    fake.emit({ name: 'CHANNEL_HANGUP_COMPLETE', leg: fake.leg(uuid), at: CAME + 64_000, cause: 'NORMAL_CLEARING' })
  await until('a record', () => written.length === 1)
  t.like(written[0], {
    _id: '202605-leg-a',
    interaction_id: 'i1',
    callee_id_number: '1000',
    from_network: 'onnet',
    to_network: 'offnet',
    authorizing_id: ALICE_PHONE,
    callflow_id: FLOW,
    duration_seconds: 64,
    ringing_seconds: 4,
    billing_seconds: 60,
  })
  await until('all are looked at', () => fake.legs.size === 3)
  t.is(written.length, 1)
})

test('account, call and SIP call id stand in every line of a call', async t => {
  const { dial, over, lines } = world(t, documents(bob))
  const leg = dial('1000', { sipCallId: 'abc@phone' })
  await over()
  t.true(lines.length > 2)
  for (const line of lines) t.like(line, { account_id: ACCOUNT, call_id: leg, sip_call_id: 'abc@phone' }, line.event)
})

function keeper(fail: () => AppError | undefined) {
  const clock = manualClock(CAME + 64_400)
  const docs: Doc[] = []
  const made: string[] = []
  const store: Pick<Store, 'put' | 'query' | 'createDatabase'> = {
    async put(db, doc) {
      const error = made.includes(db) ? fail() : new AppError('datastore_missing', db)
      if (error !== undefined) throw error
      if (docs.some(({ _id }) => _id === doc._id)) throw new AppError('datastore_conflict', doc._id)
      docs.push(doc)
      return '1-0'
    },
    query: db => Promise.reject(new AppError('datastore_missing', db)),
    async createDatabase(db) {
      made.push(db)
      return true
    },
  }
  const { log, lines } = notedLog()
  return { records: startRecords({ store: store as Store, clock }), docs, clock, log, lines }
}

test('the first record of a month makes its database, and one that is written twice is there once', async t => {
  const { records, docs, log, lines } = keeper(() => undefined)
  records.write(() => Promise.resolve(over), log)
  await until('the first', () => lines.length === 1)
  records.write(() => Promise.resolve(over), log)
  await until('the second', () => lines.length === 2)
  t.is(docs.length, 1)
  t.deepEqual(
    lines.map(({ event }) => event),
    ['cdr_written', 'cdr_written'],
  )
})

test('a store that is away is asked again, until the engine closes', async t => {
  let away: AppError | undefined = new AppError('datastore_unreachable', 'away')
  const { records, docs, clock, log, lines } = keeper(() => away)
  records.write(() => Promise.resolve(over), log)
  await until('the wait', () => clock.waits().length === 1)
  away = undefined
  clock.advance(5000)
  await until('the record', () => docs.length === 1)
  away = new AppError('datastore_unreachable', 'away')
  records.write(() => Promise.resolve({ ...over, leg: { ...over.leg, uuid: 'leg-b' } }), log)
  await until('the wait', () => clock.waits().length === 1)
  await records.close()
  t.is(docs.length, 1)
  t.like(lines.at(-1), { event: 'cdr_not_written', level: 'warn', again_in_ms: undefined })
})
