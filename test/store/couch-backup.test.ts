// Backup and restore of a CouchDB by the letter of couchdb/README.md, where there is one on PATH.

import { cpSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import test from 'ava'
import { couchStore } from '../../src/store/couch.ts'
import type { Store } from '../../src/store/store.ts'
import { couchdbProgram, startCouchdb } from '../helpers/couchdb.ts'
import { realRun } from '../helpers/real.ts'

const MONTH = 'account/ab/cd/ef-202611'
const AUDIO = Buffer.alloc(300_000, 7)
const COUNT = 50

realRun('backup and restore of a CouchDB', { CouchDB: couchdbProgram !== undefined })
const onCouchdb = couchdbProgram === undefined ? test.skip : test

async function fill(store: Store): Promise<void> {
  await store.createDatabase(MONTH, 'modb')
  for (let nth = 0; nth < COUNT; nth++) {
    const id = `202611-${String(nth).padStart(32, '0')}`
    const rev = await store.put(MONTH, { _id: id, pvt_type: 'call_recording', pvt_created: nth })
    if (nth % 10 === 0) await store.putAttachment(MONTH, id, rev, 'a.wav', { stream: Readable.from([AUDIO]), length: AUDIO.length, contentType: 'audio/x-wav' })
  }
}

async function read(store: Store): Promise<{ documents: number; sounds: number }> {
  const rows = await store.query(MONTH, 'recordings/crossbar_listing', { includeDocs: true })
  let sounds = 0
  for (const { id, doc } of rows) {
    if (doc?._attachments === undefined) continue
    const found = await store.getAttachment(MONTH, id, 'a.wav')
    if (found !== undefined && AUDIO.equals(await buffer(found.body))) sounds += 1
  }
  return { documents: rows.length, sounds }
}

onCouchdb('files copied from a CouchDB that runs are a CouchDB again, documents, views and audio', async t => {
  const first = await startCouchdb(couchdbProgram ?? '')
  t.teardown(first.stop)
  const store = await couchStore({ url: first.url })
  await fill(store)
  const kept = mkdtempSync(join(tmpdir(), 'callrec-couch-backup-'))
  mkdirSync(join(kept, 'data'))
  // In this order: a database that is made meanwhile is in neither, or its shards are there as well.
  for (const name of ['_dbs.couch', '_nodes.couch', 'shards']) cpSync(join(first.dir, 'data', name), join(kept, 'data', name), { recursive: true })
  t.false(readdirSync(join(kept, 'data')).includes('.shards'), 'views are built again')
  await store.put(MONTH, { _id: 'later', pvt_type: 'call_recording', pvt_created: COUNT })
  await store.close()
  await first.stop()

  const second = await startCouchdb(couchdbProgram ?? '', kept)
  t.teardown(second.stop)
  const restored = await couchStore({ url: second.url })
  t.teardown(() => restored.close())
  t.deepEqual(await read(restored), { documents: COUNT, sounds: COUNT / 10 })
  await restored.createDatabase(MONTH, 'modb')
  await restored.put(MONTH, { _id: 'next', pvt_type: 'call_recording', pvt_created: COUNT })
  t.is((await read(restored)).documents, COUNT + 1)
})

onCouchdb('a database replicated to another CouchDB and back is whole', async t => {
  const [from, to] = [await startCouchdb(couchdbProgram ?? ''), await startCouchdb(couchdbProgram ?? '')]
  t.teardown(from.stop)
  t.teardown(to.stop)
  const store = await couchStore({ url: from.url })
  t.teardown(() => store.close())
  await fill(store)
  const at = (url: string): string => `${url}/${encodeURIComponent(MONTH)}`
  const replicate = async (source: string, target: string): Promise<number> => {
    const { origin, username, password } = new URL(from.url)
    const headers = { 'content-type': 'application/json', authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` }
    return (await fetch(`${origin}/_replicate`, { method: 'POST', headers, body: JSON.stringify({ source, target, create_target: true }) })).status
  }
  t.is(await replicate(at(from.url), at(to.url)), 200)
  await store.deleteDatabase(MONTH)
  t.is(await replicate(at(to.url), at(from.url)), 200)
  t.deepEqual(await read(store), { documents: COUNT, sounds: COUNT / 10 })
})
