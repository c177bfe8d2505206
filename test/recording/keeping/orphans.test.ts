import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { AppError } from '../../../src/errors.ts'
import { createAudit } from '../../../src/recording/keeping/audit.ts'
import { IN_FLIGHT, type InFlight, type Recording, recordingDbOf } from '../../../src/recording/document.ts'
import { findOrphans, type Orphan, type Orphans, startOrphans } from '../../../src/recording/keeping/orphans.ts'
import { openSpool } from '../../../src/recording/spool.ts'
import { recordingId, toGregorian } from '../../../src/store/modb.ts'
import type { Store, Stored } from '../../../src/store/store.ts'
import { aStore } from '../../helpers/api.ts'
import { manualClock, type ManualClock } from '../../helpers/clock.ts'
import { notedLog } from '../../helpers/log.ts'
import { tally } from '../../helpers/tally.ts'
import { until } from '../../helpers/wait.ts'
import { wavOfTone } from '../../helpers/audio.ts'

const ACCOUNT = 'a'.repeat(32)
const ORIGIN = 'inbound from onnet to endpoint'

interface Room {
  store: Store
  orphans: Orphans
  clock: ManualClock
  lines: ReturnType<typeof notedLog>['lines']
  counts: Record<string, number>
  adopted: string[]
  delivered: { times: number }
  /** The documents of a recording of fs1; its id. */
  recorded: (fields?: Partial<Recording>) => Promise<string>
  queued: (id: string) => Promise<Stored<InFlight> | undefined>
  now: (id: string) => Promise<Stored<Recording> | undefined>
  /** Below the spool. */
  lay: (file: string, bytes?: Buffer) => Promise<string>
  fileOf: (id: string) => string
  files: () => Promise<string[]>
  found: () => Promise<Orphan[]>
}

async function room(t: ExecutionContext, change: (store: Store) => Store = store => store): Promise<Room> {
  const store = change(await aStore(t))
  await store.createDatabase(IN_FLIGHT, 'recordings_in_flight')
  const here = await mkdtemp(join(tmpdir(), 'callrec-orphans-'))
  t.teardown(() => rm(here, { recursive: true, force: true }))
  const spool = openSpool({ here, onSwitch: here, minFree: 0 })
  // What is laid there has lain there for an hour.
  const clock = manualClock(Date.now() + 3_600_000)
  const { log, lines } = notedLog()
  const { metrics, counts } = tally()
  const adopted: string[] = []
  const delivered = { times: 0 }
  const orphans = startOrphans({
    store,
    spool,
    clock,
    log,
    metrics,
    audit: createAudit({ store, clock, log }),
    nodes: () => ['fs1'],
    adopt: node => void adopted.push(node),
    deliver: () => void (delivered.times += 1),
    every: 3600,
  })
  t.teardown(() => orphans.close())
  const dbOf = (id: string): string => recordingDbOf({ _id: id, account_id: ACCOUNT })
  const fileOf = (id: string): string => `fs1/${id.slice(0, 6)}/${id}.wav`
  return {
    store,
    orphans,
    clock,
    lines,
    counts,
    adopted,
    delivered,
    fileOf,
    async recorded(fields = {}) {
      const id = recordingId(clock.now(), randomBytes(16).toString('hex'))
      await store.createDatabase(dbOf(id), 'modb')
      const made = toGregorian(clock.now())
      const known = { pvt_type: 'call_recording', pvt_account_id: ACCOUNT, pvt_created: made, pvt_node: 'fs1', media_type: 'wav', start: made, call_id: 'leg' }
      await store.put(dbOf(id), { _id: id, ...known, state: 'stopped', policy: {}, origin: ORIGIN, origins: [ORIGIN], ...fields })
      return id
    },
    queued: id => store.get<InFlight>(IN_FLIGHT, id),
    now: id => store.get<Recording>(dbOf(id), id),
    async lay(file, bytes = wavOfTone(440, 1000)) {
      await mkdir(dirname(join(here, file)), { recursive: true })
      await writeFile(join(here, file), bytes)
      return file
    },
    files: async () => (await readdir(here, { recursive: true, withFileTypes: true })).filter(one => one.isFile()).map(one => one.name),
    async found() {
      const all: Orphan[] = []
      for await (const one of findOrphans({ store, spool, clock }, ['fs1'])) all.push(one)
      return all
    },
  }
}

const sha256Of = async (file: string): Promise<string> =>
  (await openSpool({ here: dirname(file), onSwitch: '/x', minFree: 0 }).finish(file.split('/').pop() ?? ''))?.sha256 ?? ''

test('what is queued, being made or on its way is no orphan', async t => {
  const { store, recorded, lay, fileOf, found } = await room(t)
  for (const fields of [{ state: 'recording' as const }, { delivery: { state: 'due' as const, destination: 'x', attempts: 0 } }]) {
    const id = await recorded(fields)
    await lay(fileOf(id))
    await store.put(IN_FLIGHT, { _id: id, account_id: ACCOUNT, node: 'fs1', file: fileOf(id) })
  }
  t.deepEqual(await found(), [])
})

test('a file that no account has a document of is told, counted and left', async t => {
  const { orphans, lay, files, lines, recorded } = await room(t)
  await recorded()
  const id = recordingId(Date.now(), 'f'.repeat(32))
  const file = await lay(`fs1/${id.slice(0, 6)}/${id}.wav`)
  await lay('fs1/holiday.jpg')
  await orphans.sweep()
  t.deepEqual((await files()).sort(), [`${id}.wav`, 'holiday.jpg'])
  t.like(
    lines.find(one => one['file'] === file),
    { level: 'warn', event: 'orphan_file_found', node: 'fs1' },
  )
  t.like(orphans.left(), { unknown: 1, foreign: 1 })
})

test('what callrec itself lays beside recordings is none', async t => {
  const { lay, found } = await room(t)
  for (const file of ['fs1/journal/x.json', 'fs1/seen-abcdef01', 'fs1/202611/doctor-abcdef01.wav']) await lay(file, Buffer.from('x'))
  t.deepEqual(await found(), [])
})

test('a file is left alone while it is young', async t => {
  const { clock, lay, found } = await room(t)
  await lay('fs1/holiday.jpg')
  t.is((await found()).length, 1)
  const young: Orphan[] = []
  const before = { ...clock, now: () => Date.now() }
  for await (const one of findOrphans({ store: await aStore(t), spool: openSpool({ here: '/nowhere', onSwitch: '/x', minFree: 0 }), clock: before }, ['fs1']))
    young.push(one)
  t.deepEqual(young, [])
})

test('a recording that is over and that the queue has lost is delivered', async t => {
  const { orphans, recorded, lay, fileOf, queued, delivered, counts } = await room(t)
  const url = { value: 'https://records.example/calls?key=1', from: 'account' as const }
  const id = await recorded({ size: 44, policy: { url }, delivery: { state: 'uploading', destination: 'https://records.example/calls', attempts: 1 } })
  await lay(fileOf(id))
  await orphans.sweep()
  t.like(await queued(id), { account_id: ACCOUNT, node: 'fs1', leg: 'leg', state: 'stopped', size: 44, file: fileOf(id) })
  t.like((await queued(id))?.delivery, { state: 'due', destination: 'https://records.example/calls', attempts: 0 })
  t.is(delivered.times, 1)
  t.deepEqual(counts, { 'callrec_orphans_total adopted': 1 })
  t.deepEqual(orphans.left(), {})
})

test('a delivery that was given up waits for callrec retry again', async t => {
  const { orphans, recorded, lay, fileOf, queued } = await room(t)
  const id = await recorded({ delivery: { state: 'failed', destination: 'x', attempts: 9 } })
  await lay(fileOf(id))
  await orphans.sweep()
  const delivery = (await queued(id))?.delivery
  t.is(delivery?.state, 'failed')
  t.is(delivery?.next_at, undefined)
})

test('a recording that nobody finishes is compared with its switch, also where it has no file', async t => {
  const { orphans, recorded, queued, adopted } = await room(t)
  const id = await recorded({ state: 'recording', origins: [ORIGIN, 'callflow : Sales'] })
  await orphans.sweep()
  t.deepEqual(adopted, ['fs1'])
  const item = await queued(id)
  t.like(item, { state: 'recording', side: 'callee', leg: 'leg' })
  t.deepEqual(
    item?.origins.map(({ by }) => by),
    ['policy', 'action'],
  )
})

test('a recording that ended while it was looked for is none', async t => {
  let last = ''
  const { found, recorded } = await room(t, store => ({
    ...store,
    async getMany(db, ids) {
      // Between the view and the queue.
      if (db === IN_FLIGHT && last !== '') {
        const month = recordingDbOf({ _id: last, account_id: ACCOUNT })
        const doc = await store.get<Recording>(month, last)
        if (doc !== undefined) await store.put(month, { ...doc, delivery: { state: 'stored', destination: 'store', attempts: 1 } })
      }
      return store.getMany(db, ids)
    },
  }))
  last = await recorded({ state: 'recording' })
  t.deepEqual(await found(), [])
})

test('a file that came to light after its recording failed for want of it is a recording after all', async t => {
  const { orphans, recorded, lay, fileOf, queued, now, delivered } = await room(t)
  const transcription = { state: 'failed', reason: 'there is no file: file_missing', language: 'en-US', sentiment: true } as const
  const id = await recorded({ state: 'failed', reason: 'file_missing', transcription })
  await lay(fileOf(id))
  await orphans.sweep()
  const revived = await now(id)
  t.like(revived, { state: 'stopped', duration_ms: 1000 })
  t.deepEqual(revived?.transcription, { state: 'due', language: 'en-US', sentiment: true })
  t.is(revived?.reason, undefined)
  t.regex(revived?.warnings?.[0] ?? '', /^it was failed \(file_missing\) until its file was found on 20/)
  t.regex(revived?.sha256 ?? '', /^[0-9a-f]{64}$/)
  t.like((await queued(id))?.delivery, { state: 'due', destination: 'store' })
  t.is(delivered.times, 1)
})

test('what failed for another reason keeps its file, and so does a file without audio', async t => {
  const { orphans, recorded, lay, fileOf, files, queued } = await room(t)
  const other = await recorded({ state: 'failed', reason: 'not_audio' })
  await lay(fileOf(other))
  const empty = await recorded({ state: 'failed', reason: 'file_missing' })
  await lay(fileOf(empty), Buffer.alloc(0))
  await orphans.sweep()
  t.is((await files()).length, 2)
  t.is(await queued(other), undefined)
  t.is(await queued(empty), undefined)
  t.deepEqual(orphans.left(), {})
})

test('what is where it was to go is removed from the spool, byte for byte the same, and told', async t => {
  const { orphans, recorded, lay, fileOf, files, lines, now, store } = await room(t)
  const id = await recorded({ delivery: { state: 'stored', destination: 'store', attempts: 1 } })
  await lay(fileOf(id))
  await orphans.sweep()
  t.is((await files()).length, 1, 'without its hash nobody knows')
  t.like(orphans.left(), { file: 1 })
  const month = recordingDbOf({ _id: id, account_id: ACCOUNT })
  const spool = await mkdtemp(join(tmpdir(), 'callrec-orphan-'))
  t.teardown(() => rm(spool, { recursive: true, force: true }))
  await writeFile(join(spool, 'same.wav'), wavOfTone(440, 1000))
  await store.put(month, { ...(await now(id)), _id: id, sha256: await sha256Of(join(spool, 'same.wav')) })
  await orphans.sweep()
  t.deepEqual(await files(), [])
  t.like(lines.at(-1), { event: 'orphan_removed', recording_id: id, reason: 'it was delivered' })
})

test('what an erasure left behind is destroyed, and its trail says so', async t => {
  const { orphans, recorded, lay, fileOf, files, store } = await room(t)
  const id = await recorded({ pvt_deleted: true })
  await lay(fileOf(id))
  const short = await recorded({ state: 'discarded', reason: 'too_short' })
  await lay(fileOf(short))
  await orphans.sweep()
  t.deepEqual(await files(), [])
  const { entries } = await createAudit({ store, clock: manualClock(), log: notedLog().log }).read(ACCOUNT, id)
  t.like(entries.at(-1), { what: 'deleted', who: { system: 'orphans' } })
})

test('what cannot be put right is told and looked at again', async t => {
  let away = true
  const { orphans, recorded, lay, fileOf, queued, lines } = await room(t, store => ({
    ...store,
    put: (db, doc) => (db === IN_FLIGHT && away ? Promise.reject(new AppError('datastore_unreachable', 'it is away')) : store.put(db, doc)),
  }))
  const id = await recorded()
  await lay(fileOf(id))
  await orphans.sweep()
  t.like(lines.at(-1), { event: 'orphan_not_adopted', recording_id: id, reason: 'it is away' })
  t.deepEqual(orphans.left(), { file: 1, document: 1 })
  away = false
  await orphans.sweep()
  t.not(await queued(id), undefined)
  t.deepEqual(orphans.left(), {})
})

test('it looks by itself, and a store that is away only puts it off', async t => {
  let away = true
  const { clock, recorded, queued, lines } = await room(t, store => ({
    ...store,
    databases: prefix => (away ? Promise.reject(new AppError('datastore_unreachable', 'it is away')) : store.databases(prefix)),
  }))
  const id = await recorded()
  clock.advance(30_000)
  await until('the first look', async () => lines.some(({ event }) => event === 'orphans_not_looked_for'))
  away = false
  await until('the next look', async () => clock.waits().length > 0)
  clock.advance(3_600_000)
  await until('the queue has it', async () => (await queued(id)) !== undefined)
  t.pass()
})
