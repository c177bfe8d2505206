// The contract on the embedded store, and what only it promises: crashes, one engine, rebuilt views.

import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { isCode } from '../../src/errors.ts'
import type { Design } from '../../src/store/design.ts'
import { embeddedStore } from '../../src/store/embedded.ts'
import type { Store } from '../../src/store/store.ts'
import { storeContract } from '../contract/store.ts'
import { PATIENCE } from '../helpers/wait.ts'

function folder(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'callrec-store-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function opened(t: ExecutionContext, dir: string, designs?: readonly Design[]): Promise<Store> {
  const store = await embeddedStore({ dir, ...(designs ? { designs } : {}) })
  t.teardown(() => store.close())
  return store
}

storeContract({ title: 'embedded', open: (t, designs) => opened(t, folder(t), designs) })

const MODB = 'account/ab/cd/ef-202611'
const writer = fileURLToPath(new URL('../helpers/store-writer.js', import.meta.url))
const filesIn = (dir: string): string[] =>
  readdirSync(join(dir, 'store/attachments'), { recursive: true, encoding: 'utf8' }).filter(file => statSync(join(dir, 'store/attachments', file)).isFile())

/** Runs the writer until it has acknowledged so many writes, kills it and answers the last revision of each id. */
async function writeAndKill(dir: string, count: number): Promise<Map<string, string>> {
  const child = spawn(process.execPath, [writer, dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  const gone = new Promise<void>(resolve => child.once('exit', () => resolve()))
  const acknowledged = new Map<string, string>()
  for await (const line of createInterface(child.stdout)) {
    const [id = '', rev = ''] = line.split(' ')
    acknowledged.set(id, rev)
    if (acknowledged.size === count) child.kill('SIGKILL')
  }
  await gone
  return acknowledged
}

test('a kill between any two writes loses none that was acknowledged, and leaves rows, counts and files that agree', async t => {
  const dir = folder(t)
  for (const count of [60, 250]) {
    const acknowledged = await writeAndKill(dir, count)
    t.true(acknowledged.size >= count)
    const store = await embeddedStore({ dir })
    const ids = [...acknowledged.keys()]
    const docs = await store.getMany(MODB, ids)
    t.deepEqual(
      docs.map(doc => doc?._rev),
      [...acknowledged.values()],
    )
    const rows = await store.query(MODB, 'recordings/crossbar_listing', { includeDocs: true })
    t.is(await store.reduce(MODB, 'recordings/crossbar_listing'), rows.length)
    t.is((await store.query(MODB, 'recordings/listing_by_user')).length, rows.length)
    t.is((await store.query(MODB, 'recordings/listing_by_call')).length, rows.length)
    const attached = rows.filter(row => row.doc?._attachments !== undefined)
    t.is(filesIn(dir).length, attached.length)
    for (const { id } of attached.slice(-20)) {
      const found = await store.getAttachment(MODB, id, 'a.wav')
      t.is(found && (await buffer(found.body)).length, found?.length)
    }
    const seen = new Set<string>()
    for await (const { id } of store.changes(MODB, { since: '0', signal: AbortSignal.timeout(PATIENCE) })) if (seen.add(id).size === rows.length) break
    t.is(seen.size, rows.length)
    await store.close()
  }
})

test('a disk that takes no more refuses the write as a fault of the store, and what is there stays readable', async t => {
  const dir = folder(t)
  // A limit on the size of files is a full disk as a process sees it.
  const child = spawn('sh', ['-c', 'trap "" XFSZ; ulimit -f 3000; exec "$0" "$1" "$2" full', process.execPath, writer, dir], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const lines: string[] = []
  for await (const line of createInterface(child.stdout)) lines.push(line)
  t.deepEqual(lines.slice(-2), ['refused datastore_fault', 'readable true'])
  const acknowledged = lines.slice(0, -2).map(line => line.split(' ')[0] ?? '')
  const store = await opened(t, dir)
  t.false((await store.getMany(MODB, acknowledged)).includes(undefined))
})

test('a second engine on the same DATA_DIR is refused with the folder’s name, until the first is gone', async t => {
  const dir = folder(t)
  const first = await embeddedStore({ dir })
  const error = await t.throwsAsync(embeddedStore({ dir }))
  t.true(isCode(error, 'bad_configuration'))
  t.true(error?.message.includes(dir))
  await first.close()
  await opened(t, dir)
})

test('a DATA_DIR with a name longer than a socket’s is locked all the same', async t => {
  const dir = join(folder(t), 'x'.repeat(100), 'y'.repeat(100))
  await opened(t, dir)
  t.true(isCode(await t.throwsAsync(embeddedStore({ dir })), 'bad_configuration'))
})

test('a DATA_DIR that is a file, or holds no store where one should be, is a wrong configuration', async t => {
  const dir = folder(t)
  writeFileSync(join(dir, 'file'), '')
  t.true(isCode(await t.throwsAsync(embeddedStore({ dir: join(dir, 'file') })), 'bad_configuration'))
  mkdirSync(join(dir, 'broken/store'), { recursive: true })
  writeFileSync(join(dir, 'broken/store/documents.mdb'), 'x'.repeat(100_000))
  const broken = await t.throwsAsync(embeddedStore({ dir: join(dir, 'broken') }))
  t.true(isCode(broken, 'bad_configuration'), String(broken))
  // The lock was let go with the failure.
  rmSync(join(dir, 'broken/store'), { recursive: true })
  await opened(t, join(dir, 'broken'))
})

test('documents, views, changes and attachments are there after closing and opening', async t => {
  const dir = folder(t)
  const first = await embeddedStore({ dir })
  await first.createDatabase(MODB, 'modb')
  const rev = await first.put(MODB, { _id: 'a', pvt_type: 'call_recording', pvt_created: 1, call_id: 'c' })
  await first.putAttachment(MODB, 'a', rev, 'a.wav', { stream: Readable.from(['abc']), length: 3, contentType: 'audio/x-wav' })
  await first.close()
  const store = await opened(t, dir)
  t.deepEqual(await store.databases(), [MODB])
  t.is((await store.query(MODB, 'recordings/listing_by_call', { startKey: ['c'], endKey: ['c', {}] })).length, 1)
  const found = await store.getAttachment(MODB, 'a', 'a.wav')
  t.is(found && (await buffer(found.body)).toString(), 'abc')
  await store.put(MODB, { _id: 'b' })
  const ids: string[] = []
  for await (const { id, seq } of store.changes(MODB, { since: '0', signal: AbortSignal.timeout(PATIENCE) })) if (ids.push(`${id}${seq}`) === 2) break
  t.deepEqual(ids, ['a2', 'b3'])
})

test('a changed map function is run over the documents that are there, an unchanged one is not, and a view left out is gone', async t => {
  const dir = folder(t)
  const design = (views: Design['views']): Design[] => [{ name: 'd', classifications: ['system_config'], views }]
  const same = { map: 'function (doc) { emit(doc.n, null) }' }
  const first = await embeddedStore({ dir, designs: design({ same, other: { map: 'function (doc) { emit("old", null) }' }, gone: same }) })
  await first.createDatabase('system_config', 'system_config')
  await Promise.all(Array.from({ length: 2500 }, (_, n) => first.put('system_config', { _id: `d${n}`, n })))
  await first.remove('system_config', 'd7', (await first.get('system_config', 'd7'))?._rev ?? '')
  await first.close()

  const store = await opened(
    t,
    dir,
    design({ same, other: { map: 'function (doc) { emit("new", doc.n) }', reduce: '_sum' }, added: { ...same, reduce: '_count' } }),
  )
  t.is((await store.query('system_config', 'd/other', { key: 'new' })).length, 2499)
  t.deepEqual(await store.query('system_config', 'd/other', { key: 'old' }), [])
  t.is(await store.reduce('system_config', 'd/other'), (2499 * 2500) / 2 - 7)
  t.is(await store.reduce('system_config', 'd/added'), 2499)
  t.is((await store.query('system_config', 'd/same')).length, 2499)
  t.true(isCode(await t.throwsAsync(store.query('system_config', 'd/gone')), 'datastore_fault'))
})

test('files that no document names are swept at the start', async t => {
  const dir = folder(t)
  const first = await embeddedStore({ dir })
  await first.close()
  mkdirSync(join(dir, 'store/attachments/ab'), { recursive: true })
  writeFileSync(join(dir, 'store/attachments/ab', `ab${'0'.repeat(30)}`), 'half of an up')
  await opened(t, dir)
  t.deepEqual(filesIn(dir), [])
})

test('no file is left when its attachment, its document or its database goes', async t => {
  const dir = folder(t)
  const store = await opened(t, dir)
  await store.createDatabase(MODB, 'modb')
  const wav = (): { stream: Readable; length: number; contentType: string } => ({ stream: Readable.from(['abc']), length: 3, contentType: 'audio/x-wav' })
  const attached = async (id: string): Promise<string> => store.putAttachment(MODB, id, await store.put(MODB, { _id: id }), 'a.wav', wav())
  await store.remove(MODB, 'a', await attached('a'))
  await attached('b')
  await store.purge(MODB, 'b')
  await store.put(MODB, { _id: 'c', _rev: await attached('c') })
  await attached('d')
  await store.deleteDatabase(MODB)
  await store.close()
  t.deepEqual(filesIn(dir), [])
})

test('an attachment that is still arriving when the store closes is refused, and leaves no file', async t => {
  const dir = folder(t)
  const store = await opened(t, dir)
  await store.createDatabase(MODB, 'modb')
  const rev = await store.put(MODB, { _id: 'a' })
  const stream = new Readable({ read() {} })
  stream.push('ab')
  const put = store.putAttachment(MODB, 'a', rev, 'a.wav', { stream, length: 3, contentType: 'audio/x-wav' })
  await store.close()
  stream.push('c')
  stream.push(null)
  t.true(isCode(await t.throwsAsync(put), 'datastore_unreachable'))
  t.deepEqual(filesIn(dir), [])
})

test('an attachment whose file was taken away is not there', async t => {
  const dir = folder(t)
  const store = await opened(t, dir)
  await store.createDatabase(MODB, 'modb')
  const rev = await store.put(MODB, { _id: 'a' })
  await store.putAttachment(MODB, 'a', rev, 'a.wav', { stream: Readable.from(['abc']), length: 3, contentType: 'audio/x-wav' })
  for (const file of filesIn(dir)) rmSync(join(dir, 'store/attachments', file))
  t.is(await store.getAttachment(MODB, 'a', 'a.wav'), undefined)
})

test('the revision of a document that never was is a lost race', async t => {
  const store = await opened(t, folder(t))
  await store.createDatabase('numbers', 'numbers')
  const rev = await store.put('numbers', { _id: '+14155550100' })
  t.true(isCode(await t.throwsAsync(store.put('numbers', { _id: '+14155550101', _rev: rev })), 'datastore_conflict'))
})

test('a feed of a database that is deleted while it waits says so', async t => {
  const store = await opened(t, folder(t))
  await store.createDatabase('numbers', 'numbers')
  const feed = store.changes('numbers', { signal: AbortSignal.timeout(PATIENCE) })[Symbol.asyncIterator]()
  const waiting = feed.next()
  await store.deleteDatabase('numbers')
  t.true(isCode(await t.throwsAsync(Promise.resolve(waiting)), 'datastore_missing'))
})

test('a sequence that is none is refused', async t => {
  const store = await opened(t, folder(t))
  await store.createDatabase('numbers', 'numbers')
  const feed = store.changes('numbers', { since: 'now', signal: AbortSignal.timeout(PATIENCE) })[Symbol.asyncIterator]()
  t.true(isCode(await t.throwsAsync(Promise.resolve(feed.next())), 'unspecified_fault'))
})
