import test from 'ava'
import { createControl, RUNS_ALREADY } from '../../src/callflow/control.ts'
import { AppError } from '../../src/errors.ts'
import { silent } from '../../src/log.ts'
import { manualClock } from '../helpers/clock.ts'
import { fakeSwitch } from '../helpers/switches.ts'
import { ACCOUNT, ALICE_PHONE, BOB_PHONE, documents, memoryStore, notingRecorder, notingSiprec } from './world.ts'

function setup() {
  const fake = fakeSwitch()
  const { switches, sent, fail, legs } = fake
  const docs = documents({ module: 'hangup' })
  docs['bobPhone'] = { ...docs['bobPhone'], _id: BOB_PHONE, call_recording: { inbound: { onnet: { time_limit: 77 } } } }
  docs['alicePhone'] = { ...docs['alicePhone'], _id: ALICE_PHONE, call_recording: { outbound: { onnet: { time_limit: 55 } } } }
  const recording = notingRecorder()
  const servers = notingSiprec()
  const { store } = memoryStore(docs)
  const control = createControl({
    switches,
    store,
    recorder: recording.recorder,
    siprec: servers.siprec,
    clock: manualClock(),
    log: silent,
    config: { maxTimeLimit: 60_000 },
  })
  const caller = fake.waiting({ variables: { callrec_account_id: ACCOUNT, callrec_device_id: ALICE_PHONE, callrec_number: '1000' } })
  const callee = fake.waiting({
    direction: 'outbound',
    otherLeg: caller,
    variables: { callrec_account_id: ACCOUNT, callrec_device_id: BOB_PHONE, callrec_call_id: caller },
  })
  const ask = (action: 'start' | 'stop' | 'toggle' | 'mask', uuid = caller, settings: object = {}) =>
    control.record({ accountId: ACCOUNT, leg: { node: 'fs1', uuid, variables: {} }, action, settings: { ...settings }, by: 'api' })
  return { ...recording, control, servers, ask, caller, callee, sent, fail, legs }
}

test("a start in mid-call has the layers of the leg's own party below it", async t => {
  const { ask, started, caller, callee } = setup()
  await ask('start', caller, { label: 'desk' })
  await ask('start', callee)
  t.like(started[0], { origin: 'api : desk', by: 'action', side: 'caller', settings: { time_limit: { value: 55, from: 'device' } }, facts: { label: 'desk' } })
  t.like(started[1], { origin: 'api : 1000', side: 'callee', settings: { time_limit: { value: 77, from: 'device' } }, facts: { endpoint_id: BOB_PHONE } })
})

test('what is asked for itself wins over every layer', async t => {
  const { ask, started } = setup()
  await ask('start', undefined, { time_limit: 10 })
  t.like(started[0]?.settings, { time_limit: { value: 10, from: 'action' } })
})

test('a start of what runs already is refused with its state', async t => {
  const { ask } = setup()
  await ask('start')
  t.like(await t.throwsAsync<AppError>(ask('start')), { code: 'wrong_state', message: RUNS_ALREADY, data: { state: 'waiting' } })
})

test('what keeps a recording from beginning is the answer', async t => {
  const { ask, failing } = setup()
  failing.refuse = 'spool_unwritable'
  t.like(await t.throwsAsync<AppError>(ask('start')), { code: 'spool_unwritable', data: { state: 'failed' } })
  failing.refuse = 'disk on fire'
  t.like(await t.throwsAsync<AppError>(ask('start', undefined, { time_limit: 9 })), { code: 'datastore_fault' })
})

test('a stop of nothing says so, and one of what policy started says who started it', async t => {
  const { ask, recorder, caller } = setup()
  t.like(await t.throwsAsync<AppError>(ask('stop')), { code: 'wrong_state', data: { state: 'stopped' } })
  await recorder.start({ leg: { uuid: caller }, settings: {}, by: 'policy', origin: 'x' } as never)
  t.regex((await t.throwsAsync(ask('stop')))?.message ?? '', /policy started it/)
})

test('a toggle from the API and one from a key at the same moment have one order, and both answers are true', async t => {
  const { control, caller, callee, started, recorder } = setup()
  const toggle = (uuid: string, by: string) =>
    control.record({ accountId: ACCOUNT, leg: { node: 'fs1', uuid, variables: {} }, action: 'toggle', settings: {}, by }).then(({ action }) => action)
  t.deepEqual(await Promise.all([toggle(caller, 'api'), toggle(caller, 'key *1')]), ['start', 'stop'])
  t.deepEqual(recorder.running(caller), [])
  t.deepEqual(await Promise.all([toggle(callee, 'key *1'), toggle(callee, 'api'), toggle(callee, 'key *1')]), ['start', 'stop', 'start'])
  t.is(recorder.running(callee).length, 1)
  t.is(started.length, 3)
})

test('a leg that is gone is leg_gone, and a leg of nobody is recorded for nobody', async t => {
  const { ask, legs, caller, control } = setup()
  for (const action of ['start', 'stop', 'toggle'] as const) t.like(await t.throwsAsync<AppError>(ask(action, 'none')), { code: 'leg_gone' })
  legs.set(caller, { ...legs.get(caller)!, variables: {} })
  t.like(await t.throwsAsync<AppError>(ask('start')), { code: 'leg_gone' })
  await t.notThrowsAsync(control.hangup({ node: 'fs1', uuid: 'none' }))
})

test('a tone is played to those it is for, and what is none is refused before anybody hears anything', async t => {
  const { control, caller, callee, sent, legs } = setup()
  const tone = 'tone_stream://%(300,0,880)'
  const leg = legs.get(callee)
  if (leg === undefined) return t.fail()
  for (const to of ['both', 'self', 'peer'] as const) await control.play(leg, tone, to)
  t.deepEqual(
    sent.map(({ what, uuid, detail }) => [what, uuid, detail]),
    [callee, caller, callee, caller].map(uuid => ['playback', uuid, tone]),
  )
  for (const media of ['/etc/passwd', 'tone_stream://${system(ls)}', 7, undefined])
    t.like(await t.throwsAsync<AppError>(control.play(leg, media, 'both')), { code: 'validation error' })
  const alone = legs.get(caller)
  if (alone === undefined) return t.fail()
  await control.play(alone, tone, 'both')
  t.like(await t.throwsAsync<AppError>(control.play(alone, tone, 'peer')), { code: 'wrong_state' })
  t.is(sent.length, 5)
})

test('a phone is transferred as if it had dialled, a trunk where trunks are transferred to', async t => {
  const { control, legs, caller, sent, fail } = setup()
  const leg = legs.get(caller)!
  await control.transfer(leg, '2002')
  await control.transfer({ ...leg, variables: {} }, '2002')
  t.deepEqual(
    sent.filter(({ what }) => what === 'transfer').map(({ detail }) => detail),
    ['2002 callrec', '2002 callrec-transfer'],
  )
  fail.set('hangup', new AppError('switch_down', 'away'))
  await t.throwsAsync(control.hangup(leg), { message: 'away' })
})

test("servers record the caller's leg, whichever is named; what is missing is refused, and pause covers the whole call", async t => {
  const { control, servers, caller, callee } = setup()
  const ask = (data: object, uuid = caller) => control.siprec({ accountId: ACCOUNT, leg: { node: 'fs1', uuid, variables: {} }, data: { ...data }, by: 'api' })
  t.like(await ask({ activity: 'start', server: 'sip:srs' }, callee), { action: 'start', recordings: [{ kind: 'siprec', leg: caller, state: 'starting' }] })
  t.like(servers.started[0], { origin: 'api : 1000', side: 'caller', servers: 'sip:srs' })
  t.like(await ask({ activity: 'stop' }), { action: 'stop', recordings: [{ kind: 'siprec', state: 'stopped' }] })
  t.like(await ask({ activity: 'pause' }), { action: 'pause' })
  servers.refuses.state = 'failed'
  t.like(await t.throwsAsync<AppError>(ask({ activity: 'start' })), { code: 'validation error', message: 'scripted' })
  servers.refuses.code = 'datastore_unreachable'
  t.like(await t.throwsAsync<AppError>(ask({ activity: 'start' })), { code: 'datastore_unreachable', message: 'scripted', data: { state: 'failed' } })
})
