// Who tells how a call ended that an application has made: the engine that rang, or the one that has the switch then.

import test, { type ExecutionContext } from 'ava'
import { DATABASES } from '../../src/api/rights/databases.ts'
import { AppError } from '../../src/errors.ts'
import { accountDb, monthDb, toGregorian } from '../../src/store/modb.ts'
import type { Store } from '../../src/store/store.ts'
import { placedId, type PlacedCall } from '../../src/voice/outgoing.ts'
import { type Placing, startPlacing } from '../../src/voice/placing.ts'
import { aStore, spied } from '../helpers/api.ts'
import { manualClock } from '../helpers/clock.ts'
import { aLeg } from '../helpers/legs.ts'
import { notedLog } from '../helpers/log.ts'
import { fakeSwitch } from '../helpers/switches.ts'
import { until } from '../helpers/wait.ts'
import { ACCOUNT, EVENTS, servers } from './world.ts'

const LEG = '01890000-0000-7000-8000-000000000001'
const CALL = placedId(LEG) ?? ''
const DB = monthDb(ACCOUNT, CALL.slice(0, 6))

async function place(t: ExecutionContext) {
  const { store, refuse } = spied(await aStore(t))
  for (const [db, classification] of DATABASES) await store.createDatabase(db, classification)
  await store.createDatabase(accountDb(ACCOUNT), 'account')
  const fake = fakeSwitch()
  const http = servers({})
  const clock = manualClock()
  const { log, lines } = notedLog()
  const [node] = fake.switches.nodes
  if (node === undefined) throw new Error('no switch')
  const looks = { of: 0 }
  const look = node.leg.bind(node)
  node.leg = async uuid => {
    const leg = await look(uuid)
    looks.of += 1
    return leg
  }
  const engines: Placing[] = []
  const begun = new Set<string>()
  const engine = (own: Store = store): Placing => {
    const made = startPlacing({
      store: own,
      switches: fake.switches,
      http,
      wall: clock,
      log,
      clock: {},
      random: bytes => '0'.repeat(2 * bytes),
      begun: leg => begun.has(leg),
    })
    engines.push(made)
    return made
  }
  t.teardown(() => Promise.all(engines.map(one => one.close())))
  const call: PlacedCall = {
    _id: CALL,
    pvt_type: 'voice_call',
    pvt_account_id: ACCOUNT,
    pvt_created: toGregorian(clock.now()),
    application_id: 'b'.repeat(32),
    from: '',
    to: 'alice',
    data: { event_url: EVENTS },
  }
  return {
    store,
    refuse,
    fake,
    http,
    clock,
    lines,
    looks,
    begun,
    engines,
    engine,
    /** Rings, and answers how it may end. */
    async ring(by: Placing) {
      let answer = (): void => {}
      let fail: (error: AppError) => void = () => {}
      const outcome = new Promise<void>((resolve, reject) => {
        answer = resolve
        fail = reject
      })
      fake.legs.set(LEG, aLeg(LEG, { answered: false, direction: 'outbound' }))
      await by.place({ node: { ...node, originate: () => outcome }, leg: { uuid: LEG, endpoint: 'user/a@b', variables: {}, timeoutSeconds: 60 }, call })
      return { answer, fail }
    },
    doc: async () => (await store.get<PlacedCall>(DB, CALL)) ?? t.fail('no document'),
    open: async () => (await store.query('calls_in_progress', 'placed_calls/by_node', { key: 'fs1' })).length,
    told: () => http.asked.map(({ fields }) => fields['status']),
  }
}

const down = new AppError('switch_down', 'the connection is lost')
const refused = (cause: string) => new AppError('switch_refused', cause, { cause })

for (const [code, error] of [
  ['is lost while it rings', down],
  ['does not answer in time', new AppError('switch_timeout', 'too late')],
] as const) {
  test(`a call whose switch ${code} has not failed: it rings, and is told of as its leg ends`, async t => {
    const w = await place(t)
    const { fail } = await w.ring(w.engine())
    fail(error)
    await until('it is asked for', () => w.looks.of === 1)
    w.fake.hangup(LEG, 'USER_BUSY')
    await until('its end', async () => (await w.open()) === 0)
    t.like(await w.doc(), { status: 'busy', detail: 'USER_BUSY' })
    t.deepEqual(w.told(), ['started', 'ringing', 'busy'])
  })
}

test('a call that is answered and gone before its actions begin is told of to its end', async t => {
  const w = await place(t)
  const { answer } = await w.ring(w.engine())
  const variables = { callrec_voice_call: CALL, callrec_account_id: ACCOUNT }
  const at = w.clock.now()
  const leg = aLeg(LEG, { answered: true, answeredAt: at, direction: 'outbound', variables })
  w.fake.emit({ name: 'CHANNEL_HANGUP_COMPLETE', leg, at: at + 1000, cause: 'NORMAL_CLEARING' })
  answer()
  await until('its end', () => w.told().length === 4)
  t.deepEqual(w.told(), ['started', 'ringing', 'answered', 'completed'])
  t.like(w.http.asked.at(-1)?.fields, { uuid: LEG, direction: 'outbound', to: 'alice', start_time: new Date(at).toISOString(), duration: '1' })
})

test('what is told of a call before its answer is told when that is asked for, also where it is answered meanwhile', async t => {
  const w = await place(t)
  w.http.hanging.add(EVENTS)
  const engine = w.engine()
  const { answer } = await w.ring(engine)
  answer()
  await until('its answer', async () => (await w.open()) === 0)
  let told = false
  const before = engine.told(LEG).then(() => (told = true))
  w.http.hanging.clear()
  t.false(told)
  // The one that hangs is tried once more.
  w.clock.advance(5000)
  await before
  t.deepEqual(w.told(), ['started', 'started', 'ringing'])
  await engine.told('another')
})

test('a call whose actions have begun here, or under another engine, is not told of twice', async t => {
  const w = await place(t)
  const { answer } = await w.ring(w.engine())
  answer()
  await until('its answer', async () => (await w.open()) === 0)
  const leg = aLeg(LEG, { answered: true, answeredAt: w.clock.now(), direction: 'outbound' })
  const variables = { callrec_voice_call: CALL, callrec_account_id: ACCOUNT }
  w.begun.add(LEG)
  w.fake.legs.set(LEG, { ...leg, variables })
  w.fake.hangup(LEG)
  w.begun.clear()
  w.fake.legs.set(LEG, { ...leg, variables: { ...variables, callrec_ncco: '0.1' } })
  w.fake.hangup(LEG)
  await Promise.all(w.engines.map(one => one.close()))
  t.deepEqual(w.told(), ['started', 'ringing'])
})

test('a switch that is away when it is asked of a call is asked again when it is back', async t => {
  const w = await place(t)
  const { fail } = await w.ring(w.engine())
  w.fake.fail.set('leg', down)
  fail(down)
  await until('that it is not seen', () => w.lines.some(({ event }) => event === 'voice_call_not_seen'))
  w.fake.emit({ name: 'node_down', node: 'fs1', reason: 'x' })
  w.fake.fail.clear()
  w.fake.legs.delete(LEG)
  w.fake.emit({ name: 'node_up', node: 'fs1' })
  await until('its end', async () => (await w.open()) === 0)
  t.like(await w.doc(), { status: 'failed', detail: 'it ended while no engine watched it' })
  t.deepEqual(w.told(), ['started', 'ringing', 'failed'])
})

test('an engine that is closed tells nothing of a call that rings, and the next one tells of its end once', async t => {
  const w = await place(t)
  const first = w.engine()
  const { fail } = await w.ring(first)
  await first.close()
  fail(down)
  w.engine()
  await until('it is asked for', () => w.looks.of === 1 && w.http.asked.length === 2)
  w.fake.hangup(LEG, 'NO_ANSWER')
  await until('its end', async () => (await w.open()) === 0)
  t.like(await w.doc(), { status: 'unanswered', detail: 'NO_ANSWER' })
  t.deepEqual(w.told(), ['started', 'ringing', 'unanswered'])
})

test('a call that is answered while another engine rang it is the callflow’s, and not told of here', async t => {
  for (const when of ['before', 'after'] as const) {
    const w = await place(t)
    const first = w.engine()
    await w.ring(first)
    await first.close()
    const answered = aLeg(LEG, { direction: 'outbound', answered: true })
    if (when === 'before') w.fake.legs.set(LEG, answered)
    w.engine()
    if (when === 'after')
      await until('the answer', async () => {
        w.fake.emit({ name: 'CHANNEL_ANSWER', leg: answered, at: 0 })
        return (await w.open()) === 0
      })
    await until('it is not open', async () => (await w.open()) === 0)
    t.is((await w.doc()).answered_at, toGregorian(w.clock.now()))
    t.deepEqual(w.told(), ['started', 'ringing'], when)
  }
})

test('an end that cannot be written is written when the store is back, and told then', async t => {
  const w = await place(t)
  const { fail } = await w.ring(w.engine())
  await until('the beginning', () => w.http.asked.length === 2)
  w.refuse.get = () => Promise.reject(new AppError('datastore_unreachable', 'away'))
  fail(refused('USER_BUSY'))
  await until('that it waits', () => w.lines.some(({ event }) => event === 'voice_call_outcome_not_saved') && w.clock.waits().includes(5000))
  delete w.refuse.get
  w.clock.advance(5000)
  await until('its end', async () => (await w.open()) === 0)
  t.deepEqual(w.told(), ['started', 'ringing', 'busy'])
})

test('an engine that starts while the store is away asks it again for what rings', async t => {
  const w = await place(t)
  const first = w.engine()
  await w.ring(first)
  await first.close()
  w.refuse.query = () => Promise.reject(new AppError('datastore_unreachable', 'away'))
  w.engine()
  await until('that it waits', () => w.lines.some(({ event }) => event === 'voice_calls_not_resumed') && w.clock.waits().includes(5000))
  delete w.refuse.query
  w.fake.legs.delete(LEG)
  w.clock.advance(5000)
  await until('its end', async () => (await w.open()) === 0)
  t.deepEqual(w.told(), ['started', 'ringing', 'failed'])
})

test('of two engines that come to the end of one call, the one that writes it tells, and the other says nothing', async t => {
  const w = await place(t)
  const first = w.engine()
  await w.ring(first)
  await first.close()
  await until('the beginning', () => w.http.asked.length === 2)
  let together = 0
  const go = new AbortController()
  const slow = new Proxy(w.store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name !== 'put') return value
      return async (...given: Parameters<Store['put']>) => {
        together += 1
        if (together === 2) go.abort()
        else await new Promise(resolve => go.signal.addEventListener('abort', resolve))
        return target.put(...given)
      }
    },
  })
  w.fake.legs.delete(LEG)
  w.engine(slow)
  w.engine(slow)
  await until('its end', async () => (await w.open()) === 0)
  t.is(together, 2)
  t.deepEqual(w.told(), ['started', 'ringing', 'failed'])
})

test('an end that was written and perhaps not told is told, and a call that was never written is forgotten', async t => {
  const w = await place(t)
  const first = w.engine()
  await w.ring(first)
  await first.close()
  await w.store.put(DB, { ...(await w.doc()), status: 'busy', detail: 'USER_BUSY' })
  await w.store.put('calls_in_progress', {
    _id: 'placed:x',
    pvt_type: 'placed_call',
    account_id: 'c'.repeat(32),
    node: 'fs1',
    leg: 'x',
    call_id: '202605-voice-x',
  })
  w.fake.legs.delete(LEG)
  w.engine()
  await until('nothing is open', async () => (await w.open()) === 0)
  t.deepEqual(w.told(), ['started', 'ringing', 'busy'])
})

test('documents that somebody has made nonsense of are passed over, and what rang is told of', async t => {
  const w = await place(t)
  const first = w.engine()
  await w.ring(first)
  await first.close()
  const good = { pvt_type: 'placed_call', account_id: ACCOUNT, node: 'fs1', call_id: CALL }
  for (const [at, bad] of [{ leg: 7 }, { leg: 'a b' }, { leg: 'x', account_id: null }, { leg: 'y', account_id: 'z' }, { leg: 'z', call_id: 5 }].entries()) {
    await w.store.put('calls_in_progress', { ...good, ...bad, _id: `placed:${at}` })
  }
  w.fake.legs.delete(LEG)
  w.engine()
  await until('its end is told', () => w.told().includes('failed'))
  t.is(w.lines.filter(({ event }) => event === 'voice_call_outcome_not_saved' || event === 'voice_call_not_seen').length, 0)
})

test('a call that cannot be written down does not ring', async t => {
  const w = await place(t)
  w.refuse.put = () => Promise.reject(new AppError('datastore_unreachable', 'away'))
  await t.throwsAsync(w.ring(w.engine()), { message: 'away' })
  t.deepEqual(w.told(), [])
  t.is(await w.open(), 0)
})

test('a call on a switch that another engine takes is that one’s to tell of', async t => {
  const w = await place(t)
  const { fail } = await w.ring(w.engine())
  fail(down)
  await until('it is watched', () => w.looks.of === 1)
  w.fake.emit({ name: 'node_lost', node: 'fs1', owner: 'b' })
  w.fake.hangup(LEG, 'USER_BUSY')
  t.is(await w.open(), 1)
  t.is((await w.doc()).status, undefined)
})
