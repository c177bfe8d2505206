// Documents that are missing, broken or gone by the time a call needs them: each ends in a defined way that the log
// tells, and the call is not cut off unless the callflow says so.

import test from 'ava'
import type { Doc } from '../../src/store/store.ts'
import { ALICE_PHONE, BOB, BOB_PHONE, documents, FLOW, type Node, OTHER_FLOW, world } from './world.ts'

const play = (hz: number): Node => ({ module: 'play', data: { id: `tone_stream://%(500,0,${hz})` } })
const then = (node: Node, child: Node): Node => ({ ...node, children: { _: child } })
const heard = (executed: string[]): string[] => executed.flatMap(line => /playback.*,(\d+)\)$/.exec(line)?.[1] ?? [])

test('a callflow of a thousand actions one below the other is run to its end', async t => {
  let flow = play(440)
  for (let depth = 1000; depth > 0; depth -= 1) flow = then({ module: 'noop' }, flow)
  const { dial, over, fake } = world(t, documents(flow))
  dial()
  t.is(await over(), 'NORMAL_CLEARING')
  t.deepEqual(heard(fake.executed()), ['440'])
})

test('a phone whose owner is not there calls and is rung by its own settings', async t => {
  const docs = documents({ module: 'device', data: { id: BOB_PHONE } })
  for (const owner_id of ['', 'f'.repeat(32), 'no id']) {
    const { dial, over, fake, recording } = world(t, {
      ...docs,
      alicePhone: { ...docs['alicePhone'], _id: ALICE_PHONE, owner_id, record_call: { format: 'wav' } },
      bobPhone: { ...docs['bobPhone'], _id: BOB_PHONE, owner_id, record_call: { format: 'mp3' } },
    })
    dial()
    t.is(await over(), 'NORMAL_CLEARING')
    t.regex(fake.executed()[0] ?? '', /user\/bob@/)
    t.deepEqual(
      recording.started.map(({ facts, settings }) => [facts.endpoint_id, settings.enabled?.from]),
      [
        [ALICE_PHONE, 'device'],
        [BOB_PHONE, 'device'],
      ],
    )
  }
})

test('a user without a phone and without a forward is told, and the call goes where the flow says', async t => {
  const docs = documents({ module: 'user', data: { id: BOB }, children: { USER_NOT_REGISTERED: play(300), _: play(600) } })
  delete docs['bobPhone']
  const { dial, over, fake, events } = world(t, docs)
  dial()
  await over()
  t.deepEqual(heard(fake.executed()), ['300'])
  t.is(events('nobody_to_ring').length, 1)
})

test('whatever document is deleted in the middle of a call, the call goes on to the end of its flow', async t => {
  const rest = then(
    { module: 'user', data: { id: BOB } },
    then({ module: 'callflow', data: { id: OTHER_FLOW } }, then({ module: 'record_call', data: { action: 'start' } }, play(660))),
  )
  const given = (): Record<string, Doc> => ({
    ...documents(then({ module: 'play', data: { id: 'silence_stream://-1' } }, rest)),
    other: { _id: OTHER_FLOW, pvt_type: 'callflow', numbers: [], flow: play(550) },
  })
  const told: Record<string, string[]> = {}
  for (const name of ['account', 'alice', 'alicePhone', 'bob', 'bobPhone', 'callflow', 'other']) {
    for (const gone of ['deleted', 'not there']) {
      const docs: Record<string, Doc> = {
        ...given(),
        callflow: { ...given()['callflow'], _id: FLOW, flow: then({ module: 'sleep', data: { duration: 1 } }, rest) },
      }
      const { dial, over, fake, clock, lines, recording } = world(t, docs)
      fake.bridges.push({ cause: 'NO_ANSWER' })
      dial()
      while (clock.waits().length === 0) await new Promise(resolve => setImmediate(resolve))
      if (gone === 'deleted') docs[name] = { ...(docs[name] as Doc), pvt_deleted: true }
      else delete docs[name]
      clock.advance(1000)
      t.is(await over(), 'NORMAL_CLEARING', `${name} ${gone}`)
      t.deepEqual(heard(fake.executed()), name === 'other' ? ['660'] : ['550', '660'], `${name} ${gone}`)
      t.is(recording.started.length, 1, `${name} ${gone}`)
      told[name] = lines.filter(({ level }) => level === 'warn').map(({ event }) => event)
      t.deepEqual(
        lines.filter(({ level }) => level === 'error'),
        [],
      )
    }
  }
  t.deepEqual(told['bob'], ['user_not_found'])
  t.deepEqual(told['bobPhone'], ['nobody_to_ring'])
  t.deepEqual(told['other'], ['callflow_not_found'])
  // What was read when the call began is what it goes by.
  for (const name of ['account', 'alice', 'alicePhone', 'callflow']) t.deepEqual(told[name], [])
})
