// How far a call is in its actions, as the engine reads it that has the call next.

import test, { type ExecutionContext } from 'ava'
import { DATABASES } from '../../src/api/rights/databases.ts'
import { AppError } from '../../src/errors.ts'
import type { Recording } from '../../src/recording/document.ts'
import type { NccoAction } from '../../src/voice/ncco.ts'
import { createPlaces, PLACE, placeText } from '../../src/voice/places.ts'
import { owedOf } from '../../src/voice/recorded.ts'
import { aStore, spied } from '../helpers/api.ts'
import { aLeg } from '../helpers/legs.ts'
import { notedLog } from '../helpers/log.ts'
import { fakeSwitch } from '../helpers/switches.ts'
import { ACCOUNT, LEG, voiceWorld } from './world.ts'

const wait: NccoAction = { action: 'wait', timeout: 1 }
const connect = { action: 'connect', endpoint: { type: 'device', id: 'b' }, timeout: 60, limit: 7200, eventMethod: 'POST' } as NccoAction
const three = [wait, connect, wait]

async function room(t: ExecutionContext) {
  const { store, refuse } = spied(await aStore(t))
  for (const [db, classification] of DATABASES) await store.createDatabase(db, classification)
  const fake = fakeSwitch()
  const { log, lines } = notedLog()
  const places = createPlaces({ store, switches: fake.switches })
  return {
    places,
    refuse,
    fake,
    log,
    lines,
    on: (text?: string, more: object = {}) => aLeg(LEG, { variables: { ...(text === undefined ? {} : { [PLACE]: text }), ...more } }),
  }
}

test('a call is where its leg says, in the actions that were kept last', async t => {
  const { places, log, on } = await room(t)
  await places.keep(on(), { flow: 'flow', actions: three, turn: 0 }, log)
  t.deepEqual(await places.of(on(placeText({ turn: 0, at: 2 }))), { flow: 'flow', actions: three, turn: 0, at: 2 })
  const recording = `202605-${'0'.repeat(32)}`
  t.like(await places.of(on(placeText({ turn: 0, at: 0, recording }))), { at: 0, recording })
  await places.keep(on(), { flow: 'flow', actions: [wait], turn: 1 }, log)
  t.like(await places.of(on('0.2')), { actions: [wait], turn: 1, at: 0 }, 'others took their place, and none of them was begun')
  t.is(await places.of(on('2.0')), undefined, 'those it is in were never kept')
  for (const text of ['', 'x', '1', '1.x']) t.is(await places.of(on(text)), undefined, text)
  t.is(await places.of(on()), undefined)
  await places.forget(LEG)
  t.is(await places.of(on('1.0')), undefined)
})

test('a connect of which the switch knows how it ended is over', async t => {
  const { places, log, on } = await room(t)
  await places.keep(on(), { flow: 'flow', actions: three, turn: 0 }, log)
  t.like(await places.of(on('0.1')), { at: 1 })
  t.like(await places.of(on('0.1', { originate_disposition: 'SUCCESS' })), { at: 2 })
  t.like(await places.of(on('0.0', { originate_disposition: 'SUCCESS' })), { at: 0 })
})

test('the place of a leg that is gone is no place any more, and a store that is away keeps none', async t => {
  const { places, refuse, fake, log, lines, on } = await room(t)
  await places.keep(on(), { flow: 'flow', actions: three, turn: 0 }, log)
  fake.legs.set(LEG, on('0.0'))
  await places.sweep('fs1')
  t.like(await places.of(on('0.0')), { at: 0 })
  fake.legs.delete(LEG)
  await places.sweep('fs1')
  t.is(await places.of(on('0.0')), undefined)
  refuse.put = () => Promise.reject(new AppError('datastore_unreachable', 'away'))
  await places.keep(on(), { flow: 'flow', actions: three, turn: 0 }, log)
  t.like(lines.at(-1), { event: 'voice_place_not_kept', reason: 'away' })
})

test('an application goes on with the action it was in, and asks for no other actions', async t => {
  const { did, docs, run, settings, voice } = voiceWorld(t, { answered: true })
  docs.set('the-one-that-runs', { _id: 'the-one-that-runs', state: 'recording' } as Recording)
  const notify = (stage: string): NccoAction => ({ action: 'notify', payload: { stage }, eventUrl: `https://app.example.com/${stage}`, eventMethod: 'POST' })
  const record = { action: 'record', channels: 1, beepStart: true, eventMethod: 'POST', timeOut: 3 } as NccoAction
  const place = { flow: 'flow', actions: [notify('first'), record, notify('last')], turn: 0, at: 1, recording: 'the-one-that-runs' }
  t.is(await run({ answer: { url: 'https://app.example.com/answer', method: 'GET' } }, place), 'done')
  await voice.close()
  t.deepEqual(did, ['listen', 'stop the-one-that-runs', 'POST /last'])
  t.deepEqual(settings, [])
})

test('a recording that ended before the next engine came holds the call up no longer than until it is told of', async t => {
  const record = { action: 'record', channels: 1, beepStart: false, eventMethod: 'POST', timeOut: 3 } as NccoAction
  const place = { flow: 'flow', actions: [record], turn: 0, at: 0, recording: 'one' }
  const pvt_voice = {
    recording_uuid: 'r',
    file_uuid: 'f',
    conversation_uuid: 'c',
    event_url: 'https://app.example.com/part',
    event_method: 'POST' as const,
    split: false,
  }
  const one = { _id: 'one', call_id: LEG, pvt_account_id: ACCOUNT, start: 63_946_108_800, duration_ms: 3000, state: 'stopped', pvt_voice }
  const stored = { ...one, delivery: { state: 'stored' } } as Recording
  // It was told of.
  const told = voiceWorld(t, { answered: true })
  told.docs.set('one', stored)
  t.is(await told.run({}, place), 'done')
  t.deepEqual(told.did, ['stop one'])
  // It has to be told of, and is before the next action.
  const owed = voiceWorld(t, { answered: true })
  owed.docs.set('one', stored)
  for (const life of owedOf(stored, 'https://pbx.example.com', 0)) owed.open.set(life._id, life)
  t.is(await owed.run({}, place), 'done')
  t.deepEqual(owed.did, ['stop one', 'POST /part'])
  // It still runs, as far as the queue knows, and ends while the call waits for a key.
  const late = voiceWorld(t, { answered: true })
  late.docs.set('one', { ...one, state: 'recording' } as Recording)
  late.ends(undefined)
  const running = late.run({}, place)
  await late.until('listen')
  late.docs.set('one', stored)
  await late.events.tell({ event: 'recording.stored', accountId: ACCOUNT, recordingId: 'one', at: 0, recording: {} })
  t.is(await running, 'done')
  t.deepEqual(late.did, ['listen', 'POST /part', 'stop one'])
})

test('a recording that nothing ends keeps the call up under the next engine as well', async t => {
  const { hangup, run, variables } = voiceWorld(t, { answered: true })
  const actions = [{ action: 'record', channels: 1, beepStart: false, eventMethod: 'POST' } as NccoAction]
  const running = run({}, { flow: 'flow', actions, turn: 0, at: 1 })
  t.is(await Promise.race([running, new Promise(resolve => setImmediate(() => resolve('up')))]), 'up')
  t.is(variables[PLACE], '0.1')
  hangup()
  await t.throwsAsync(running, { code: 'leg_gone' })
})
