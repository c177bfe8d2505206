// Who tells the end of a call that an application runs: the engine that sees it, whichever began it.

import test, { type ExecutionContext } from 'ava'
import { DATABASES } from '../../src/api/rights/databases.ts'
import { AppError } from '../../src/errors.ts'
import { accountDb } from '../../src/store/modb.ts'
import type { Store } from '../../src/store/store.ts'
import type { VoiceCall, VoicePorts } from '../../src/voice/call.ts'
import { type Lives, startLives } from '../../src/voice/lives.ts'
import type { OwedLife } from '../../src/voice/open-lives.ts'
import { aStore, spied } from '../helpers/api.ts'
import { manualClock } from '../helpers/clock.ts'
import { aLeg } from '../helpers/legs.ts'
import { notedLog } from '../helpers/log.ts'
import { fakeSwitch } from '../helpers/switches.ts'
import { until } from '../helpers/wait.ts'
import { ACCOUNT, EVENTS, LEG, servers } from './world.ts'

const APPLICATION = 'b'.repeat(32)
const away = new AppError('datastore_unreachable', 'away')

async function place(t: ExecutionContext) {
  const { store, refuse } = spied(await aStore(t))
  for (const [db, classification] of DATABASES) await store.createDatabase(db, classification)
  await store.createDatabase(accountDb(ACCOUNT), 'account')
  const fake = fakeSwitch()
  const http = servers({})
  const clock = manualClock(1_800_000_000_000)
  const { log, lines } = notedLog()
  const engines: Lives[] = []
  const slow = { toldBefore: Promise.resolve() }
  const engine = (own: Store = store): Lives => {
    const random = (bytes: number): string => '0'.repeat(2 * bytes)
    const ports = { store: own, switches: fake.switches, http, clock, wall: clock, log, random, toldBefore: () => slow.toldBefore } as unknown as VoicePorts
    const made = startLives(ports, { sweep: () => Promise.resolve() })
    engines.push(made)
    return made
  }
  t.teardown(() => Promise.all(engines.map(one => one.close())))
  let answer = (): void => {}
  fake.legs.set(LEG, aLeg(LEG, { answered: false }))
  const call = (answered = false, placed = false): VoiceCall =>
    ({
      uuid: LEG,
      accountId: ACCOUNT,
      from: '2001',
      to: '1000',
      placed,
      node: fake.switches.node('fs1'),
      log,
      answered: () => answered,
      onAnswer: (then: () => void) => (answer = then),
    }) as unknown as VoiceCall
  const to = { url: EVENTS, method: 'POST' } as const
  return {
    store,
    refuse,
    fake,
    http,
    clock,
    lines,
    engine,
    begin: (by: Lives, answered?: boolean, placed?: boolean) => by.begin(call(answered, placed), to, APPLICATION),
    slow,
    answer: () => answer(),
    open: async () => (await store.query('calls_in_progress', 'voice_lives/by_node', { key: 'fs1', includeDocs: true })).flatMap(({ doc }) => doc ?? []),
    told: () => http.asked.map(({ fields }) => fields['status']),
  }
}

test('the end of a call is told with its times by the engine that began it, and nothing is kept of it', async t => {
  const w = await place(t)
  w.begin(w.engine())
  w.clock.advance(1000)
  w.answer()
  await until('the answer is told and kept', async () => w.told().length === 3 && (await w.open())[0]?.['answered_at'] !== undefined)
  w.clock.advance(7000)
  w.fake.hangup(LEG)
  await until('its end', async () => w.told().length > 3 && (await w.open()).length === 0)
  t.deepEqual(w.told(), ['started', 'ringing', 'answered', 'completed'])
  t.like(w.http.asked.at(-1)?.fields, { duration: '7', start_time: '2027-01-15T08:00:01.000Z', end_time: '2027-01-15T08:00:08.000Z' })
})

test('of a call that an application has made nothing is told before it is told that it rings', async t => {
  const w = await place(t)
  let rang = (): void => {}
  w.slow.toldBefore = new Promise(resolve => (rang = resolve))
  const report = w.begin(w.engine(), true, true)
  await until('that it is kept', async () => (await w.open()).some(doc => 'answered_at' in doc))
  t.deepEqual(w.told(), [])
  rang()
  await report.idle()
  t.deepEqual(w.told(), ['answered'])
})

test('an application that begins anew on a call under the next engine is told what it was not told before, and the end once', async t => {
  for (const answered of [false, true]) {
    const w = await place(t)
    const first = w.engine()
    w.begin(first)
    if (answered) w.answer()
    await until('the beginning', async () => w.told().length === (answered ? 3 : 2) && (await w.open()).length === 1)
    await first.close()
    const next = w.engine()
    w.begin(next, answered)
    w.begin(next, answered)
    if (!answered) w.answer()
    await until('the answer', () => w.told().includes('answered'))
    w.fake.legs.set(LEG, aLeg(LEG, { answeredAt: -12_000 }))
    w.fake.hangup(LEG)
    await until('its end', async () => (await w.open()).length === 0)
    t.deepEqual(w.told(), ['started', 'ringing', 'answered', 'completed'])
    // Of an answer that another engine saw the switch says when it was.
    t.like(w.http.asked.at(-1)?.fields, { from: '2001', to: '1000', direction: 'inbound', duration: answered ? '12' : '0' })
  }
})

test('an end that an engine has written and perhaps not told is told as it was written, by one', async t => {
  const w = await place(t)
  const first = w.engine()
  w.begin(first)
  await until('the beginning', async () => w.told().length === 2)
  await first.close()
  for (const doc of await w.open()) await w.store.put('calls_in_progress', { ...doc, end: { status: 'completed', duration: '3' } })
  w.engine()
  await until('its end', async () => (await w.open()).length === 0)
  t.deepEqual(w.told(), ['started', 'ringing', 'completed'])
  t.like(w.http.asked.at(-1)?.fields, { duration: '3' })
})

test('of two engines that come to the end of one call, the one that writes it tells, and the other says nothing', async t => {
  const w = await place(t)
  const first = w.engine()
  w.begin(first)
  await until('the beginning', () => w.told().length === 2)
  await first.close()
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
  await until('its end', async () => (await w.open()).length === 0)
  t.is(together, 2)
  t.deepEqual(w.told(), ['started', 'ringing', 'completed'])
  t.like(w.http.asked.at(-1)?.fields, { detail: 'it ended while no engine watched it', duration: undefined })
})

test('a call that cannot be written down as it begins is told of all the same', async t => {
  const w = await place(t)
  w.refuse.put = () => Promise.reject(away)
  w.begin(w.engine(), true)
  w.fake.hangup(LEG)
  await until('its end', () => w.told().length === 4)
  t.deepEqual(w.told(), ['started', 'ringing', 'answered', 'completed'])
  t.true(w.lines.some(({ event }) => event === 'voice_life_not_kept'))
})

test('an end that cannot be written is written when the store is back, and told then', async t => {
  const w = await place(t)
  w.begin(w.engine(), true)
  await until('the beginning', () => w.told().length === 3)
  w.refuse.put = () => Promise.reject(away)
  w.fake.hangup(LEG)
  await until('that it waits', () => w.lines.some(({ event }) => event === 'voice_call_end_not_saved') && w.clock.waits().includes(5000))
  t.is(w.told().length, 3)
  delete w.refuse.put
  w.clock.advance(5000)
  await until('its end', async () => (await w.open()).length === 0)
  t.is(w.told().at(-1), 'completed')
  t.like(w.http.asked.at(-1)?.fields, { timestamp: '2027-01-15T08:00:00.000Z', duration: '0' })
})

test('an engine that starts while the store or the switch is away asks again for the calls that it is to tell of', async t => {
  for (const fails of ['store', 'switch'] as const) {
    const w = await place(t)
    const first = w.engine()
    w.begin(first)
    await until('the beginning', () => w.told().length === 2)
    await first.close()
    if (fails === 'store') w.refuse.query = () => Promise.reject(away)
    const [node] = w.fake.switches.nodes
    if (node === undefined) return t.fail()
    const exists = node.exists.bind(node)
    if (fails === 'switch') node.exists = () => Promise.reject(new AppError('switch_timeout', 'too late'))
    w.engine()
    await until('that it waits', () => w.lines.some(({ event }) => event === 'voice_lives_not_resumed') && w.clock.waits().includes(5000))
    delete w.refuse.query
    node.exists = exists
    w.fake.legs.delete(LEG)
    w.clock.advance(5000)
    await until('its end', async () => (await w.open()).length === 0)
    t.deepEqual(w.told(), ['started', 'ringing', 'completed'])
  }
})

test('a call on a switch that another engine takes is that one’s to tell of', async t => {
  const w = await place(t)
  w.begin(w.engine())
  await until('the beginning', () => w.told().length === 2)
  w.fake.emit({ name: 'node_lost', node: 'fs1', owner: 'b' })
  w.fake.hangup(LEG)
  t.is((await w.open()).length, 1)
  t.deepEqual(w.told(), ['started', 'ringing'])
})

test('what the next engine tells is signed with the secret of the application', async t => {
  const w = await place(t)
  const application = { _id: APPLICATION, pvt_type: 'application', pvt_account_id: ACCOUNT, name: 'app', signature_secret: 'a secret of thirty-two characters' }
  await w.store.put(accountDb(ACCOUNT), application)
  const signed: boolean[] = []
  const request = w.http.request.bind(w.http)
  w.http.request = asked => {
    signed.push(asked.headers?.['authorization']?.startsWith('Bearer ') === true)
    return request(asked)
  }
  const first = w.engine()
  w.begin(first)
  await until('the beginning', () => w.told().length === 2)
  await first.close()
  w.engine()
  w.fake.legs.delete(LEG)
  await until('its end', async () => (await w.open()).length === 0)
  t.deepEqual(signed, [false, false, true])
})

const RECORDED: OwedLife = {
  _id: 'life:one',
  pvt_type: 'voice_life',
  account_id: ACCOUNT,
  node: 'fs1',
  leg: LEG,
  event_url: EVENTS,
  event_method: 'POST',
  about: {},
  came_at: 0,
  end: { recording_uuid: 'one' },
}

test('a recording is told of once, however often that is asked for, whatever becomes of its call, and nothing is kept of it', async t => {
  const w = await place(t)
  const engine = w.engine()
  const owed = [engine.owe(RECORDED), engine.owe(RECORDED)]
  w.fake.hangup(LEG)
  await Promise.all([...owed.map(({ told }) => told), engine.told(RECORDED)])
  t.deepEqual(
    w.http.asked.map(({ fields }) => fields['recording_uuid']),
    ['one'],
  )
  t.deepEqual(await w.open(), [])
  await engine.told(RECORDED)
  t.is(w.http.asked.length, 1)
})

test('what a recording has to tell while the engine stops is the next engine’s to tell', async t => {
  const w = await place(t)
  const first = w.engine()
  await first.close()
  await first.owe(RECORDED).written
  t.is(w.http.asked.length, 0)
  t.is((await w.open()).length, 1)
  await w.engine().told(RECORDED)
  t.like(w.http.asked, [{ fields: { recording_uuid: 'one' } }])
  t.is(w.http.asked.length, 1)
})

test('a recording that cannot be written down is told of all the same', async t => {
  const w = await place(t)
  w.refuse.put = () => Promise.reject(away)
  await w.engine().owe(RECORDED).told
  t.like(w.http.asked, [{ fields: { recording_uuid: 'one' } }])
})

test('documents that somebody has made nonsense of keep no application from being told of another call', async t => {
  const w = await place(t)
  w.begin(w.engine(), true)
  await until('it is kept', async () => (await w.open()).length === 1)
  const [{ _rev, ...life }] = (await w.open()) as [OwedLife]
  for (const [n, change] of [
    { came_at: 1e300 },
    { came_at: 'x' },
    { answered_at: null },
    { leg: 'a b' },
    { leg: 7 },
    { event_url: 'nowhere' },
    { event_url: 5 },
  ].entries()) {
    await w.store.put('calls_in_progress', { ...life, ...change, answered_at: undefined, ...change, _id: `life:${n}` })
  }
  w.fake.legs.delete(LEG)
  w.engine()
  await until('its end is told', () => w.told().includes('completed'))
  t.is(w.told().filter(status => status === 'completed').length, 1)
})
