import { randomBytes } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { AppError } from '../../../src/errors.ts'
import { type Audit, createAudit } from '../../../src/recording/keeping/audit.ts'
import { type AuditEntry, brokenAt, chained } from '../../../src/recording/keeping/audit-chain.ts'
import { monthDb } from '../../../src/store/modb.ts'
import type { Store } from '../../../src/store/store.ts'
import { aStore } from '../../helpers/api.ts'
import { notedLog } from '../../helpers/log.ts'
import { manualClock, type ManualClock } from '../../helpers/clock.ts'

const ACCOUNT = 'a'.repeat(32)
const ID = `202605-${'1'.repeat(32)}`
const DB = monthDb(ACCOUNT, '202605')
const recording = { _id: ID, pvt_account_id: ACCOUNT, origins: ['inbound from onnet to endpoint'], start: 63_946_108_800, sha256: 'ab', size: 3 }
const alice = { account_id: ACCOUNT, user_id: 'alice' }

interface Room {
  store: Store
  audit: Audit
  clock: ManualClock
}

async function room(t: ExecutionContext): Promise<Room> {
  const store = await aStore(t)
  await store.createDatabase(DB, 'modb')
  const clock = manualClock()
  return { store, clock, audit: createAudit({ store, clock, log: notedLog().log }) }
}

const acts = (entries: readonly AuditEntry[]): string[] => entries.map(({ what }) => what)

const chain = (): AuditEntry[] =>
  (['created', 'listened', 'changed', 'deleted'] as const).reduce<AuditEntry[]>(
    (all, what, n) => [...all, chained(ID, all.at(-1), { what, who: alice, from: '192.0.2.1', details: { n, b: { y: 1, x: 2 } } }, 1000 * n)],
    [],
  )

test('a trail that nobody touched is whole, also when a store gives keys back in another order', t => {
  t.is(brokenAt(ID, chain()), undefined)
  t.is(brokenAt(ID, []), undefined)
  t.is(
    brokenAt(
      ID,
      chain().map(entry => ({ ...entry, details: { b: { x: 2, y: 1 }, n: entry.seq - 1 } })),
    ),
    undefined,
  )
})

test('an entry that was changed, taken out, put between or moved to another recording breaks the trail there', t => {
  const [one, two, three, four] = chain() as [AuditEntry, AuditEntry, AuditEntry, AuditEntry]
  t.is(brokenAt(ID, [one, { ...two, who: { ...alice, user_id: 'bob' } }, three, four]), 2)
  t.is(brokenAt(ID, [one, { ...two, at: new Date(1).toISOString() }, three, four]), 2)
  t.is(brokenAt(ID, [one, { ...two, from: '192.0.2.2' }, three, four]), 2)
  t.is(brokenAt(ID, [one, three, four]), 2)
  t.is(brokenAt(ID, [two, three, four]), 1)
  t.is(brokenAt(ID, [one, two, two, three, four]), 3)
  t.is(brokenAt(`202605-${'2'.repeat(32)}`, [one]), 1)
  const forged = chained(ID, one, { what: 'listened', who: { ...alice, user_id: 'bob' } }, 5)
  t.is(brokenAt(ID, [one, forged, three, four]), 3)
})

test('the first entry is always the making of the recording, with its hash', async t => {
  const { audit } = await room(t)
  await audit.note(recording, { what: 'listened', who: alice, from: '192.0.2.1' })
  const { entries, broken_at } = await audit.read(ACCOUNT, ID)
  t.is(broken_at, undefined)
  t.like(entries[0], { seq: 1, what: 'created', who: { system: 'recorder' }, details: { sha256: 'ab', size: 3, origins: recording.origins }, previous: '' })
  t.like(entries[1], { seq: 2, what: 'listened', who: alice, from: '192.0.2.1', previous: entries[0]?.hash })
})

test('a delivery is told with the making, or by itself where that was told before', async t => {
  const { audit } = await room(t)
  await audit.delivered(recording, { location: 'https://a.example/x' })
  await audit.delivered(recording, { location: 'https://b.example/x' })
  const { entries } = await audit.read(ACCOUNT, ID)
  t.deepEqual(acts(entries), ['created', 'delivered'])
  t.like(entries[0], { details: { sha256: 'ab', location: 'https://a.example/x' } })
  t.like(entries[1], { who: { system: 'delivery' }, details: { location: 'https://b.example/x' } })
})

test('what is told at the same moment is all in the trail, one after the other', async t => {
  const { audit } = await room(t)
  await Promise.all(Array.from({ length: 8 }, (_, n) => audit.note(recording, { what: 'changed', who: alice, details: { n } })))
  const { entries, broken_at } = await audit.read(ACCOUNT, ID)
  t.is(broken_at, undefined)
  t.deepEqual(
    entries
      .slice(1)
      .map(({ details }) => Number(details?.['n']))
      .sort((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7],
  )
})

test('a player that asks piece by piece is told once a minute, another client or act at once', async t => {
  const { audit, clock } = await room(t)
  const hear = (what: 'listened' | 'downloaded' = 'listened', from = '192.0.2.1'): Promise<void> => audit.note(recording, { what, who: alice, from })
  await hear()
  await hear()
  clock.advance(59_000)
  await hear()
  await hear('downloaded')
  await hear('downloaded', '192.0.2.2')
  clock.advance(60_000)
  await hear('downloaded', '192.0.2.2')
  t.deepEqual(acts((await audit.read(ACCOUNT, ID)).entries), ['created', 'listened', 'downloaded', 'downloaded', 'downloaded'])
  await audit.note(recording, { what: 'changed', who: alice })
  await audit.note(recording, { what: 'changed', who: alice })
  t.is((await audit.read(ACCOUNT, ID)).entries.length, 7)
})

test('trails of two recordings do not mix', async t => {
  const { audit } = await room(t)
  const other = { ...recording, _id: `202605-${randomBytes(16).toString('hex')}` }
  await audit.note(recording, { what: 'listened', who: alice })
  await audit.note(other, { what: 'deleted', who: alice })
  t.deepEqual(acts((await audit.read(ACCOUNT, ID)).entries), ['created', 'listened'])
  t.deepEqual(acts((await audit.read(ACCOUNT, other._id)).entries), ['created', 'deleted'])
})

test('a trail that was tampered with in the store says where', async t => {
  const { audit, store } = await room(t)
  for (const what of ['listened', 'changed', 'changed'] as const) await audit.note(recording, { what, who: alice })
  const doc = await store.get(DB, `${ID}.00000002`)
  await store.put(DB, { ...doc, _id: `${ID}.00000002`, who: { account_id: ACCOUNT, user_id: 'nobody' } })
  t.is((await audit.read(ACCOUNT, ID)).broken_at, 2)
})

test('an entry that cannot be written is an error of the one who acts', async t => {
  const { store, clock } = await room(t)
  const broken: Store = { ...store, put: () => Promise.reject(new AppError('datastore_unreachable', 'away')) }
  const audit = createAudit({ store: broken, clock, log: notedLog().log })
  await t.throwsAsync(() => audit.note(recording, { what: 'listened', who: alice }), { message: 'away' })
  await t.throwsAsync(() => audit.delivered(recording, {}), { message: 'away' })
  const lost: Store = { ...store, put: () => Promise.reject(new AppError('datastore_conflict', 'another was faster')) }
  await t.throwsAsync(() => createAudit({ store: lost, clock, log: notedLog().log }).note(recording, { what: 'listened', who: alice }), {
    message: 'another was faster',
  })
})
