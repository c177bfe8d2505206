// What the executor asks of the recorder for the call as a whole: the account's own policy beside its
// endpoints' settings, and what leaving by a trunk changes.

import test from 'ava'
import type { Call } from '../../src/callflow/call.ts'
import { recordLeaving } from '../../src/callflow/recording.ts'
import type { Doc } from '../../src/store/store.ts'
import { notedLog } from '../helpers/log.ts'
import { ACCOUNT, ALICE, ALICE_PHONE, BOB, documents, FLOW, notingRecorder, type Node, world } from './world.ts'

const bob: Node = { module: 'user', data: { id: BOB } }
const account = (call_recording: object, docs = documents(bob)): Record<string, Doc> => ({
  ...docs,
  account: { ...docs['account'], _id: ACCOUNT, call_recording },
})
const everything = { any: { any: { enabled: true } } }
const from = { callerIdName: 'Alice', callerIdNumber: '2001' }

test('the account’s own policy records the caller’s leg although every user and device says no', async t => {
  const off = { record_call: false }
  const docs = account({ account: { inbound: { onnet: { enabled: true } } } })
  for (const name of ['alice', 'alicePhone', 'bob', 'bobPhone', 'callflow']) docs[name] = { ...(docs[name] as Doc), ...off }
  const { dial, over, recording, events } = world(t, docs)
  const leg = dial()
  await over()
  t.deepEqual(
    recording.started.map(one => [one.leg.uuid, one.side, one.by, one.origin]),
    [[leg, 'caller', 'policy', 'inbound from onnet to account']],
  )
  t.like(events('call_started')[0], { from: 'onnet', to: 'onnet', record: true })
  t.regex(String(events('call_started')[0]?.['why']), /the account's own policy says yes .*; outbound onnet calls are recorded: no, says callflow/)
})

test('the account’s own policy and the caller’s settings are two starts on one leg, which the recorder joins where they are equal', async t => {
  const { dial, over, recording } = world(t, account({ account: everything, endpoint: everything }))
  dial()
  await over()
  t.deepEqual(
    recording.started.map(({ side, origin }) => [side, origin]),
    [
      ['caller', 'inbound from onnet to account'],
      ['caller', 'outbound to onnet from endpoint'],
    ],
  )
})

test('before a call leaves by a trunk policy is asked again, now for the outside', async t => {
  const { recorder, started } = notingRecorder()
  const docs = account({ account: { outbound: { offnet: { enabled: true } } }, endpoint: { outbound: { onnet: { enabled: true } } } })
  const { log } = notedLog()
  const callflow: Doc = { _id: FLOW }
  const call = {
    ports: { recorder },
    accountId: ACCOUNT,
    account: docs['account'],
    device: docs['alicePhone'],
    user: docs['alice'],
    dialled: callflow,
    callflow,
    number: '+4930123456',
    leg: { uuid: 'a', node: 'fs1', variables: {}, sipFrom: '', sipTo: '', sipRequest: '', ...from },
    cameAt: Date.UTC(2026, 10, 21),
    way: { from: 'onnet', to: 'onnet', maxTimeLimit: 10_800 },
    log,
  } as unknown as Call
  await recordLeaving(call)
  t.is(call.way.to, 'offnet')
  t.deepEqual(
    started.map(one => [one.origin, one.side, one.by, one.facts.endpoint_id, one.facts.owner_id]),
    [['outbound to offnet from account', 'caller', 'policy', ALICE_PHONE, ALICE]],
  )
})

test('of a leg that serves another purpose nothing is recorded, counted or run', async t => {
  const { fake, dial, recording, executor, events } = world(t, account({ account: everything, endpoint: everything }))
  dial('1000', { variables: { callrec_recording_leg: 'true' } })
  t.is(executor.calls(), 0)
  t.deepEqual(fake.sent, [])
  t.like(events('park_ignored')[0], { why: 'it serves another purpose' })
  t.deepEqual(recording.started, [])
})
