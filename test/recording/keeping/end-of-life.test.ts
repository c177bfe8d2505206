import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import { AppError } from '../../../src/errors.ts'
import { type Audit, createAudit } from '../../../src/recording/keeping/audit.ts'
import { type Delivery, IN_FLIGHT, type InFlight, type Recording, recordingDbOf } from '../../../src/recording/document.ts'
import { createErasure, type Erasure, tombstoneOf } from '../../../src/recording/keeping/erasure.ts'
import { mustHoldNothing } from '../../../src/recording/keeping/hold.ts'
import { startRetention } from '../../../src/recording/keeping/retention.ts'
import { accountDb, recordingId, toGregorian } from '../../../src/store/modb.ts'
import type { Store, Stored } from '../../../src/store/store.ts'
import { aStore } from '../../helpers/api.ts'
import { notedLog } from '../../helpers/log.ts'
import { manualClock, type ManualClock } from '../../helpers/clock.ts'
import { tally } from '../../helpers/tally.ts'
import { until } from '../../helpers/wait.ts'

const ACCOUNT = 'a'.repeat(32)
const DAY = 86_400
const WISH = { who: { account_id: ACCOUNT, user_id: 'alice' }, from: '192.0.2.1', reason: 'article 17' }

interface Room {
  store: Store
  clock: ManualClock
  audit: Audit
  erasure: Erasure
  removed: string[]
  compacted: string[]
  woken: { times: number }
  counts: Record<string, number>
  recorded: (fields?: Partial<Recording>, delivery?: Partial<Delivery>) => Promise<Stored<Recording>>
  now: (id: string) => Promise<Stored<Recording> | undefined>
}

async function room(t: ExecutionContext): Promise<Room> {
  const real = await aStore(t)
  const compacted: string[] = []
  const store: Store = { ...real, compact: async db => void compacted.push(db) }
  await store.createDatabase(IN_FLIGHT, 'recordings_in_flight')
  const clock = manualClock()
  const audit = createAudit({ store, clock, log: notedLog().log })
  const removed: string[] = []
  const woken = { times: 0 }
  const { metrics, counts } = tally()
  const spool = { remove: async (file: string) => void removed.push(file) }
  const erasure = createErasure({ store, spool, audit, clock, metrics, nodes: () => ['fs1'], deliver: () => woken.times++, forget: async () => {} })
  const dbOf = (id: string): string => recordingDbOf({ _id: id, account_id: ACCOUNT })
  const now = (id: string) => store.get<Recording>(dbOf(id), id)
  return {
    store,
    clock,
    audit,
    erasure,
    removed,
    compacted,
    woken,
    counts,
    now,
    async recorded(fields = {}, delivery) {
      const id = recordingId(clock.now(), randomBytes(16).toString('hex'))
      await store.createDatabase(dbOf(id), 'modb')
      const made = toGregorian(clock.now())
      const doc = {
        _id: id,
        pvt_type: 'call_recording',
        pvt_account_id: ACCOUNT,
        pvt_created: made,
        pvt_node: 'fs1',
        state: 'stopped',
        media_type: 'wav',
        from: '1001@a',
      }
      const rev = await store.put(dbOf(id), {
        ...doc,
        name: `${id}.wav`,
        start: made,
        policy: {},
        origins: ['x'],
        call_id: 'leg',
        sha256: 'ab',
        size: 4,
        ...fields,
      })
      if (delivery === undefined)
        await store.putAttachment(dbOf(id), id, rev, `${id}.wav`, { stream: Readable.from([Buffer.from('RIFF')]), length: 4, contentType: 'audio/x-wav' })
      else {
        const item = { _id: id, account_id: ACCOUNT, node: 'fs1', state: 'stopped', file: `fs1/${id.slice(0, 6)}/${id}.wav` }
        await store.put(IN_FLIGHT, { ...item, delivery: { state: 'failed', destination: 'https://a.example/', attempts: 1, ...delivery } })
      }
      const stored = await now(id)
      if (stored === undefined) throw new Error('not there')
      return stored
    },
  }
}

test('what is ended has no sound and nobody’s name any more, and says who ended it, when and why', async t => {
  const { erasure, recorded, now, store, audit, counts } = await room(t)
  const recording = await recorded({ caller_id_name: 'Ann', user_metadata: { case: 7 }, owner_id: 'u' })
  await erasure.erase(recording, WISH)
  const left = await now(recording._id)
  t.like(left, { pvt_deleted: true, sha256: 'ab', size: 4, call_id: 'leg', owner_id: 'u' })
  t.deepEqual(left?.['deleted'], { at: '2026-05-16T00:00:00.000Z', who: WISH.who, reason: 'article 17' })
  for (const field of ['from', 'caller_id_name', 'user_metadata', 'policy', '_attachments']) t.false(field in (left ?? {}), field)
  t.is(await store.getAttachment(recordingDbOf({ _id: recording._id, account_id: ACCOUNT }), recording._id, recording.name), undefined)
  t.like((await audit.read(ACCOUNT, recording._id)).entries.at(-1), { what: 'deleted', who: WISH.who, from: '192.0.2.1', details: { reason: 'article 17' } })
  t.deepEqual(counts, { 'callrec_recordings_erased_total request': 1 })
})

test('a tombstone names the copy that is not callrec’s to destroy', t => {
  const delivery = {
    state: 'stored',
    destination: 'https://a.example/r/',
    attempts: 1,
    location: 'https://a.example/r/x.wav',
    stored_at: '2026-05-16T00:00:01.000Z',
  }
  const deleted = (fields: object) => tombstoneOf({ _id: 'x', ...fields } as unknown as Recording, WISH, 0).deleted
  t.deepEqual(deleted({ delivery }).delivered, { to: 'https://a.example/r/x.wav', at: '2026-05-16T00:00:01.000Z' })
  t.is(deleted({ delivery: { ...delivery, destination: 'store' } }).delivered, undefined)
  t.is(deleted({ delivery: { ...delivery, state: 'failed' } }).delivered, undefined)
  t.deepEqual(deleted({ servers: [{ uri: 'sip:srs@a.example', state: 'stopped' }] }).servers, ['sip:srs@a.example'])
})

for (const state of ['failed', 'due'] as const) {
  test(`a file whose delivery is ${state} goes out of spool and queue`, async t => {
    const { erasure, recorded, removed, store } = await room(t)
    const recording = await recorded({}, { state })
    await erasure.erase(recording, WISH)
    t.deepEqual(removed, [`fs1/202605/${recording._id}.wav`])
    t.is(await store.get(IN_FLIGHT, recording._id), undefined)
  })
}

test('the file of a failed recording, which nothing waits for, goes as well', async t => {
  const { erasure, recorded, removed, store } = await room(t)
  const recording = await recorded({ state: 'failed' }, {})
  await store.purge(IN_FLIGHT, recording._id)
  await erasure.erase(recording, WISH)
  t.deepEqual(removed, [`fs1/202605/${recording._id}.wav`])
})

test('a file that another engine sees is handed to that engine’s delivery, which drops what has no recording', async t => {
  const { erasure, recorded, removed, store, woken } = await room(t)
  const there = await recorded({ pvt_node: 'fs2' }, {})
  await store.put(IN_FLIGHT, { ...(await store.get(IN_FLIGHT, there._id)), _id: there._id, node: 'fs2' })
  const failed = await recorded({ pvt_node: 'fs2', state: 'failed' }, {})
  await store.purge(IN_FLIGHT, failed._id)
  for (const one of [there, failed]) {
    await erasure.erase(one, WISH)
    t.like(await store.get<InFlight>(IN_FLIGHT, one._id), { node: 'fs2', state: 'stopped', delivery: { state: 'due' } })
  }
  t.deepEqual(removed, [])
  t.is(woken.times, 2)
})

test('what is being recorded or uploaded now cannot be ended now', async t => {
  const { erasure, recorded, store, now } = await room(t)
  const uploading = await recorded({}, { state: 'uploading' })
  const recording = await recorded({ state: 'recording' }, {})
  await store.put(IN_FLIGHT, { ...(await store.get(IN_FLIGHT, recording._id)), _id: recording._id, state: 'recording' })
  for (const one of [uploading, recording]) {
    await t.throwsAsync(() => erasure.erase(one, WISH), { message: /still being made or delivered/ })
    t.like(await now(one._id), { from: '1001@a' })
  }
})

test('what is held is not ended, and neither is what was held a moment ago by somebody else', async t => {
  const { erasure, recorded, now, store } = await room(t)
  const held = await recorded({ legal_hold: true })
  await t.throwsAsync(() => erasure.erase(held, WISH), { message: /is held/ })
  const seen = await recorded()
  await store.put(recordingDbOf({ _id: seen._id, account_id: ACCOUNT }), { ...seen, legal_hold: true })
  await t.throwsAsync(() => erasure.erase(seen, WISH), { message: /was changed meanwhile/ })
  t.like(await now(seen._id), { legal_hold: true })
})

test('held recordings of any month count for their account, and for the user whose they are', async t => {
  const { recorded, store, clock } = await room(t)
  const db = accountDb(ACCOUNT)
  await recorded({ owner_id: 'alice' })
  await mustHoldNothing(store, db)
  await recorded({ owner_id: 'alice', legal_hold: true })
  clock.advance(40 * DAY * 1000)
  await recorded({ legal_hold: true })
  await t.throwsAsync(() => mustHoldNothing(store, db), { message: /^2 of its recordings are held/ })
  await t.throwsAsync(() => mustHoldNothing(store, db, 'alice'), { message: /^1 of/ })
  await mustHoldNothing(store, db, 'bob')
  await mustHoldNothing(store, accountDb('b'.repeat(32)))
})

test('a month that goes while holds are counted holds nothing; a store that fails is an error', async t => {
  const { recorded, store } = await room(t)
  await recorded({ legal_hold: true })
  const failing = (code: 'datastore_missing' | 'datastore_fault'): Store => ({ ...store, reduce: () => Promise.reject(new AppError(code, 'no')) })
  await mustHoldNothing(failing('datastore_missing'), accountDb(ACCOUNT))
  await t.throwsAsync(() => mustHoldNothing(failing('datastore_fault'), accountDb(ACCOUNT)), { message: 'no' })
})

const days = (value: number) => ({ retention_days: { value, from: 'account' as const } })

test('a sweep ends what is over in all months and accounts, tells the trail why, and lets the store compact what it ended', async t => {
  const { recorded, clock, store, erasure, audit, now, compacted, counts } = await room(t)
  const keepUntil = (ahead: number): Partial<Recording> => ({ retain_until: toGregorian(clock.now()) + ahead * DAY, policy: days(30) })
  const over = await recorded(keepUntil(30))
  const [later, forEver, held] = [await recorded(keepUntil(60)), await recorded(), await recorded({ ...keepUntil(30), legal_hold: true })]
  const failed = await recorded(keepUntil(30), {})
  const running = await recorded({ ...keepUntil(30), state: 'recording' })
  const retention = startRetention({ store, erasure, clock, log: notedLog().log, every: 365 * DAY })
  t.teardown(() => retention.close())
  clock.advance(0)
  t.is(await retention.sweep(), 0)
  clock.advance(29 * DAY * 1000)
  await retention.sweep()
  t.true((await now(over._id))?.['pvt_deleted'] === undefined)
  clock.advance(DAY * 1000)
  await retention.sweep()
  t.like(await now(over._id), { pvt_deleted: true, deleted: { who: { system: 'retention' }, reason: 'retention_days 30 of account' } })
  t.like(await now(failed._id), { pvt_deleted: true })
  t.is(await store.get(IN_FLIGHT, failed._id), undefined)
  for (const one of [later, forEver, held, running]) t.is((await now(one._id))?.['pvt_deleted'], undefined)
  t.like((await audit.read(ACCOUNT, over._id)).entries.at(-1), { what: 'deleted', who: { system: 'retention' } })
  t.true(compacted.length > 0 && compacted.every(db => db === recordingDbOf({ _id: over._id, account_id: ACCOUNT })))
  t.deepEqual(counts, { 'callrec_recordings_erased_total retention': 2 })
  const held_ = await now(held._id)
  await store.put(recordingDbOf({ _id: held._id, account_id: ACCOUNT }), { ...held_, _id: held._id, legal_hold: false })
  t.is(await retention.sweep(), 1)
})

test('what cannot be ended now is passed over, tried again at the next sweep, and stops nothing behind it', async t => {
  const { recorded, clock, store, erasure, now } = await room(t)
  const stuck = await recorded({ retain_until: 1 }, { state: 'uploading' })
  const rest: Stored<Recording>[] = []
  for (let n = 0; n < 120; n++) rest.push(await recorded({ retain_until: 2 + n }))
  const { log, lines } = notedLog()
  const retention = startRetention({ store, erasure, clock, log, every: 60 })
  t.teardown(() => retention.close())
  t.is(await retention.sweep(), 120)
  t.is((await now(stuck._id))?.['pvt_deleted'], undefined)
  t.true(lines.some(({ event, recording_id }) => event === 'recording_not_ended' && recording_id === stuck._id))
  await store.purge(IN_FLIGHT, stuck._id)
  t.is(await retention.sweep(), 1)
})

test('a recording that somebody has made nonsense of keeps no other from its end', async t => {
  const { store, erasure, clock, recorded, now } = await room(t)
  const [bad, good] = [await recorded({ retain_until: 1 }), await recorded({ retain_until: 2 })]
  await store.put(recordingDbOf({ _id: bad._id, account_id: ACCOUNT }), { ...bad, policy: null })
  const { log, lines } = notedLog()
  const retention = startRetention({ store, erasure, clock, log, every: 60 })
  t.teardown(() => retention.close())
  t.is(await retention.sweep(), 1)
  t.like(await now(good._id), { pvt_deleted: true })
  t.is(lines.filter(({ event }) => event === 'recording_not_ended').length, 1)
})

test('a sweep comes by itself, again and again, also after one that failed', async t => {
  const { recorded, clock, store, erasure, now } = await room(t)
  const { log, lines } = notedLog()
  let away = true
  const flaky: Store = { ...store, databases: prefix => (away ? Promise.reject(new AppError('datastore_unreachable', 'away')) : store.databases(prefix)) }
  const one = await recorded({ retain_until: 1 })
  const retention = startRetention({ store: flaky, erasure, clock, log, every: 60 })
  t.teardown(() => retention.close())
  clock.advance(60_000)
  await until('a failed sweep', () => lines.some(({ event }) => event === 'retention_sweep_failed'))
  away = false
  await until('the next timer', () => clock.waits().length > 0)
  clock.advance(60_000)
  await until('its end', async () => (await now(one._id))?.['pvt_deleted'] === true)
  await retention.close()
  t.deepEqual(clock.waits(), [])
})

/** Ends recordings as `erasure` does; each takes `ms`. */
const slowly = (erasure: Erasure, clock: ManualClock, ms: number): Erasure => ({
  ...erasure,
  erase: (recording, wish) => {
    clock.advance(ms)
    return erasure.erase(recording, wish)
  },
})

test('after every sixteen recordings a sweep rests nine times as long as they took', async t => {
  const { recorded, clock, store, erasure, counts } = await room(t)
  for (let n = 0; n < 20; n++) await recorded({ retain_until: 1 })
  const retention = startRetention({ store, erasure: slowly(erasure, clock, 5), clock, log: notedLog().log, every: 3600 })
  t.teardown(() => retention.close())
  const sweeping = retention.sweep()
  await until('a rest', () => clock.waits().includes(9 * 16 * 5))
  t.deepEqual(counts, { 'callrec_recordings_erased_total retention': 16 })
  clock.advance(9 * 16 * 5)
  await until('the next rest', () => clock.waits().includes(9 * 4 * 5))
  t.deepEqual(counts, { 'callrec_recordings_erased_total retention': 20 })
  clock.advance(9 * 4 * 5)
  t.is(await sweeping, 20)
})

test('a sweep that rests is closed at once, and ends nothing more', async t => {
  const { recorded, clock, store, erasure, compacted } = await room(t)
  for (let n = 0; n < 20; n++) await recorded({ retain_until: 1 })
  const retention = startRetention({ store, erasure: slowly(erasure, clock, 5), clock, log: notedLog().log, every: 3600 })
  const sweeping = retention.sweep()
  await until('a rest', () => clock.waits().includes(9 * 16 * 5))
  await retention.close()
  t.is(await sweeping, 16)
  t.is(compacted.length, 1)
  t.deepEqual(clock.waits(), [])
})

test('a month that goes while it is swept is no error; one that cannot be read is', async t => {
  const { recorded, clock, store, erasure } = await room(t)
  await recorded({ retain_until: 1 })
  const failing = (code: 'datastore_missing' | 'datastore_fault') =>
    startRetention({ store: { ...store, query: () => Promise.reject(new AppError(code, 'no')) }, erasure, clock, log: notedLog().log, every: 60 })
  const [gone, broken] = [failing('datastore_missing'), failing('datastore_fault')]
  t.is(await gone.sweep(), 0)
  await t.throwsAsync(() => broken.sweep(), { message: 'no' })
  await Promise.all([gone.close(), broken.close()])
})

for (const heard of [false, true]) {
  test(`two engines that come to the end of a recording at once tell of it once${heard ? ', also where somebody listens between them' : ''}, and the second has nothing to say`, async t => {
    const { audit, clock, recorded, store } = await room(t)
    const recording = await recorded({
      retain_until: toGregorian(clock.now()) - DAY,
      policy: days(30),
    })
    // Both have noted what they will do before either has done it.
    let noted = 0
    let go = (): void => {}
    const both = new Promise<void>(resolve => (go = resolve))
    const slow: Audit = {
      ...audit,
      async note(of, fact) {
        await audit.note(of, fact)
        if (heard && noted === 0) await audit.note(of, { what: 'listened', who: WISH.who })
        noted += 1
        if (noted === 2) go()
        await both
      },
    }
    const { log, lines } = notedLog()
    const { metrics } = tally()
    const other = createErasure({
      store,
      spool: { remove: async () => {} },
      audit: slow,
      clock,
      metrics,
      nodes: () => ['fs1'],
      deliver: () => {},
      forget: async () => {},
    })
    const engines = [other, other].map(one => startRetention({ store, erasure: one, clock, log, every: DAY }))
    t.teardown(() => Promise.all(engines.map(one => one.close())))
    const swept = await Promise.all(engines.map(one => one.sweep()))
    t.deepEqual(
      swept.toSorted((a, b) => a - b),
      [0, 1],
    )
    const { entries } = await audit.read(ACCOUNT, recording._id)
    t.deepEqual(
      entries.map(({ what }) => what).filter(what => what === 'deleted'),
      ['deleted'],
    )
    t.deepEqual(
      lines.filter(({ level }) => level === 'warn'),
      [],
    )
  })
}
