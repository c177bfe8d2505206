// The promises of src/store/store.ts. Every adapter is held to all of them; what the rest of callrec
// relies on in a store is here or it is not promised.

import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import test, { type ExecutionContext } from 'ava'
import { type ErrorCode, isCode } from '../../src/errors.ts'
import type { Design } from '../../src/store/design.ts'
import type { Change, Doc, Key, Row, Store } from '../../src/store/store.ts'

export interface StoreContract {
  title: string
  open: (t: ExecutionContext, designs: readonly Design[]) => Promise<Store>
}

/** A view of keys and values as a test wants them. */
const designs: Design[] = [
  {
    name: 'contract',
    classifications: ['system_config'],
    views: {
      by_key: { map: `function (doc) { if (doc.key !== undefined) emit(doc.key, doc.value) }`, reduce: '_count' },
      sums: { map: `function (doc) { if (doc.key !== undefined) emit(doc.key, doc.value) }`, reduce: '_sum' },
      tags: { map: `function (doc) { for (const tag of doc.tags || []) emit(tag, null) }` },
      faulty: { map: `function (doc) { emit(doc.key, null); if (doc.broken) throw new Error('no') }`, reduce: '_count' },
    },
  },
]

const BY_KEY = 'contract/by_key'
const hex = (bytes = 16): string => randomBytes(bytes).toString('hex')
const ids = (rows: readonly Row[]): string[] => rows.map(row => row.id)
const within = (ms: number): AbortSignal => AbortSignal.timeout(ms)

export function storeContract({ title, open }: StoreContract): void {
  const promise = (sentence: string, run: (t: ExecutionContext, store: Store, db: string) => Promise<void>): void => {
    // One after the other: a CouchDB that is asked for dozens of databases at once gives some of them up.
    test.serial(`${title}: ${sentence}`, async t => {
      const store = await open(t, designs)
      const db = `contract/${hex(8)}`
      await store.createDatabase(db, 'system_config')
      t.teardown(() => store.deleteDatabase(db).catch(() => {}))
      await run(t, store, db)
    })
  }

  async function refused(t: ExecutionContext, code: ErrorCode, work: () => Promise<unknown>): Promise<void> {
    const error = await t.throwsAsync(work)
    t.true(isCode(error, code), `${code} expected, got ${error?.message}`)
  }

  const putKeys = (store: Store, db: string, keys: readonly Key[], value: (index: number) => unknown = index => index): Promise<string[]> =>
    Promise.all(keys.map((key, index) => store.put(db, { _id: `doc${String(index).padStart(3, '0')}`, key, value: value(index) })))

  promise('a document comes back as it was put, with a revision that grows', async (t, store, db) => {
    const doc = { _id: hex(), text: 'Müller "æ" 😀', number: 1.5, list: [1, null, { deep: true }], nothing: null, left_out: undefined }
    const rev = await store.put(db, doc)
    t.regex(rev, /^1-[0-9a-f]{32}$/)
    const got = await store.get(db, doc._id)
    const { left_out: _, ...written } = doc
    t.deepEqual(got, { ...written, _rev: rev })
    t.regex(await store.put(db, { ...(got as Doc), number: 2 }), /^2-/)
    t.is((await store.get(db, doc._id))?.number, 2)
  })

  promise('a document that is not there is undefined', async (t, store, db) => {
    t.is(await store.get(db, hex()), undefined)
  })

  promise('of many puts with the same revision one wins and the others lose the race', async (t, store, db) => {
    const id = hex()
    const first = await Promise.allSettled(Array.from({ length: 12 }, (_, who) => store.put(db, { _id: id, who })))
    t.is(first.filter(one => one.status === 'fulfilled').length, 1)
    const _rev = (await store.get(db, id))?._rev ?? ''
    const second = await Promise.allSettled(Array.from({ length: 12 }, (_, who) => store.put(db, { _id: id, _rev, who })))
    t.is(second.filter(one => one.status === 'fulfilled').length, 1)
    for (const one of [...first, ...second]) if (one.status === 'rejected') t.true(isCode(one.reason, 'datastore_conflict'), String(one.reason))
    const won = second.findIndex(one => one.status === 'fulfilled')
    t.is((await store.get(db, id))?.who, won)
  })

  promise('a revision that is old or made up is a lost race', async (t, store, db) => {
    const id = hex()
    const old = await store.put(db, { _id: id })
    await store.put(db, { _id: id, _rev: old })
    await refused(t, 'datastore_conflict', () => store.put(db, { _id: id, _rev: old }))
    await refused(t, 'datastore_conflict', () => store.put(db, { _id: id, _rev: 'nonsense' }))
    await refused(t, 'datastore_conflict', () => store.remove(db, id, old))
    await refused(t, 'datastore_conflict', () => store.remove(db, hex(), old))
  })

  promise('a removed document is gone from everywhere and may be made again, revisions going on', async (t, store, db) => {
    const id = hex()
    await store.remove(db, id, await store.put(db, { _id: id, key: 'k' }))
    t.is(await store.get(db, id), undefined)
    t.deepEqual(await store.getMany(db, [id]), [undefined])
    t.deepEqual(await store.query(db, BY_KEY), [])
    const rev = await store.put(db, { _id: id, key: 'again' })
    t.regex(rev, /^3-/)
    t.is((await store.get(db, id))?.key, 'again')
    await refused(t, 'datastore_conflict', () => store.put(db, { _id: id }))
  })

  promise('removing twice is a lost race', async (t, store, db) => {
    const id = hex()
    const rev = await store.put(db, { _id: id })
    await store.remove(db, id, rev)
    await refused(t, 'datastore_conflict', () => store.remove(db, id, rev))
  })

  promise('many documents come in the order asked for', async (t, store, db) => {
    await putKeys(store, db, ['a', 'b', 'c'])
    const docs = await store.getMany(db, ['doc002', 'nowhere', 'doc000', 'doc002'])
    t.deepEqual(
      docs.map(doc => doc?.key),
      ['c', undefined, 'a', 'c'],
    )
    t.deepEqual(await store.getMany(db, []), [])
  })

  promise('a purged document leaves nothing, and purging what is not there is no error', async (t, store, db) => {
    const id = hex()
    await store.put(db, { _id: id, key: 'k' })
    await store.purge(db, id)
    await store.purge(db, id)
    await store.purge(db, hex())
    t.is(await store.get(db, id), undefined)
    t.deepEqual(await store.query(db, BY_KEY), [])
    t.regex(await store.put(db, { _id: id }), /^1-/)
  })

  promise('a compaction changes nothing that can be read, and a database that is not there is an error', async (t, store, db) => {
    const id = hex()
    await store.put(db, { _id: id, a: 2, _rev: await store.put(db, { _id: id, a: 1 }) })
    await store.compact(db)
    t.like(await store.get(db, id), { a: 2 })
    await refused(t, 'datastore_missing', () => store.compact(`contract/${hex(8)}`))
  })

  promise('a purged tombstone is forgotten', async (t, store, db) => {
    const id = hex()
    await store.remove(db, id, await store.put(db, { _id: id }))
    await store.purge(db, id)
    t.regex(await store.put(db, { _id: id }), /^1-/)
  })

  promise('ids, databases, views and attachments with unusual names are refused', async (t, store, db) => {
    for (const id of ['', '.', '..', '../x', 'a/b', '_design/x', '_local/x', 'a b', 'a?b', 'a%2fb', 'ü', 'a\nb', 'x'.repeat(129)]) {
      await refused(t, 'bad_identifier', () => store.get(db, id))
      await refused(t, 'bad_identifier', () => store.put(db, { _id: id }))
      await refused(t, 'bad_identifier', () => store.getMany(db, [id]))
      await refused(t, 'bad_identifier', () => store.purge(db, id))
      await refused(t, 'bad_identifier', () => store.remove(db, id, `1-${hex()}`))
    }
    for (const name of ['', '..', '../../_all_dbs', 'a?b', 'a#b', '_x', 'a/b']) {
      await refused(t, 'bad_identifier', () => store.getAttachment(db, 'x', name))
      await refused(t, 'bad_identifier', () => store.putAttachment(db, 'x', `1-${hex()}`, name, { stream: Readable.from(['']), length: 0, contentType: 'a/b' }))
    }
    for (const name of ['', '_users', 'UPPER', 'a/../b', 'a b', '../a', 'a//b']) await refused(t, 'bad_identifier', () => store.createDatabase(name, 'account'))
    await refused(t, 'bad_identifier', () => store.query(db, '../x'))
  })

  promise('a number, a month id and an id with every allowed sign are documents like others', async (t, store, db) => {
    const names = ['+14155550100', `202611-${hex()}`, 'a_b.c:d+e@f-g', 'x_local', 'x_local+1', '0']
    for (const id of names) await store.put(db, { _id: id, key: id })
    for (const id of names) t.is((await store.get(db, id))?.key, id)
    t.deepEqual(ids(await store.query(db, BY_KEY)).sort(), names.sort())
    for (const id of names) await store.remove(db, id, (await store.get(db, id))?._rev ?? '')
    t.deepEqual(await store.query(db, BY_KEY), [])
  })

  promise('a field the store keeps for itself is a fault of ours, and a document too large is refused', async (t, store, db) => {
    await refused(t, 'unspecified_fault', () => store.put(db, { _id: 'a', _deleted: true }))
    await refused(t, 'unspecified_fault', () => store.put(db, { _id: 'a', _attachments: { x: { data: '' } } }))
    await refused(t, 'body_too_large', () => store.put(db, { _id: 'a', text: 'x'.repeat(8_000_001) }))
    t.is(await store.get(db, 'a'), undefined)
  })

  promise('a database is made once, listed by its beginning and gone when deleted', async (t, store) => {
    const [one, two] = [`contract/${hex(8)}/b`, `contract/${hex(8)}/a-202611`]
    t.teardown(async () => {
      await store.deleteDatabase(two)
    })
    t.deepEqual(await Promise.all([store.createDatabase(one, 'system_config'), store.createDatabase(two, 'modb')]), [true, true])
    t.false(await store.createDatabase(one, 'system_config'))
    t.deepEqual(
      (await store.databases('contract/')).filter(name => name === one || name === two),
      [one, two].sort(),
    )
    t.deepEqual(await store.databases(one), [one])
    await store.put(one, { _id: 'a', key: 1 })
    await store.deleteDatabase(one)
    t.deepEqual(await store.databases(one), [])
    t.true(await store.createDatabase(one, 'system_config'))
    t.is(await store.get(one, 'a'), undefined)
    t.deepEqual(await store.query(one, BY_KEY), [])
    await store.deleteDatabase(one)
  })

  promise('two engines that make the same database at once both find it made', async (t, store, db) => {
    const made = await Promise.all(Array.from({ length: 4 }, () => store.createDatabase(`${db}/shared`, 'system_config')))
    t.is(made.filter(Boolean).length, 1)
    await store.put(`${db}/shared`, { _id: 'a', key: 1 })
    t.is((await store.query(`${db}/shared`, BY_KEY)).length, 1)
    await store.deleteDatabase(`${db}/shared`)
  })

  promise('whatever is asked of a database that is not there says so', async (t, store, db) => {
    const none = `${db}/none`
    const stream = (): Readable => Readable.from(['x'])
    const asked: (() => Promise<unknown>)[] = [
      () => store.get(none, 'a'),
      () => store.getMany(none, ['a']),
      () => store.put(none, { _id: 'a' }),
      () => store.remove(none, 'a', `1-${hex()}`),
      () => store.purge(none, 'a'),
      () => store.query(none, BY_KEY),
      () => store.reduce(none, BY_KEY),
      () => store.deleteDatabase(none),
      () => store.getAttachment(none, 'a', 'x'),
      () => store.putAttachment(none, 'a', `1-${hex()}`, 'x', { stream: stream(), length: 1, contentType: 'text/plain' }),
      async () => {
        for await (const change of store.changes(none, { since: '0', signal: within(5000) })) t.log(change)
      },
    ]
    for (const work of asked) await refused(t, 'datastore_missing', work)
  })

  promise('rows come in CouchDB’s order of keys, equal keys in the order of their documents', async (t, store, db) => {
    const sorted: Key[] = [
      null,
      false,
      true,
      -10.5,
      0,
      9,
      10,
      1e21,
      '',
      '_',
      '-',
      '~',
      '10',
      '9',
      'a',
      'A',
      'á',
      'ä',
      'aa',
      'Aa',
      'ab',
      'æ',
      'af',
      'b',
      'B',
      'e',
      'é',
      'f',
      'ł',
      'm',
      'ø',
      'øre',
      'ß',
      'st',
      'z',
      'Z',
      'ω',
      'й',
      '日',
      [],
      [null],
      ['a'],
      ['a', 1],
      ['a', 2],
      ['a', {}],
      ['b'],
      {},
      { a: 1 },
      { a: 2 },
      { b: 1 },
    ]
    const shuffled = sorted.map((key, index) => ({ key, at: (index * 37) % sorted.length })).sort((a, b) => a.at - b.at)
    await putKeys(
      store,
      db,
      shuffled.map(({ key }) => key),
    )
    const keys = (await store.query(db, BY_KEY)).map(row => row.key)
    t.deepEqual(keys, sorted)
    t.deepEqual((await store.query(db, BY_KEY, { descending: true })).map(row => row.key).toReversed(), sorted)
    for (const [index, key] of sorted.entries()) {
      t.deepEqual(
        (await store.query(db, BY_KEY, { startKey: key })).map(row => row.key),
        sorted.slice(index),
        `from ${JSON.stringify(key)}`,
      )
    }
  })

  promise('equal keys come in the order of ids, byte by byte', async (t, store, db) => {
    const names = ['+1', '0', 'A', 'B', 'a', 'a-', 'a0', 'aa', 'b']
    for (const id of names.toReversed()) await store.put(db, { _id: id, key: 'same' })
    t.deepEqual(ids(await store.query(db, BY_KEY, { key: 'same' })), names)
    t.deepEqual(ids(await store.query(db, BY_KEY, { key: 'same', descending: true })), names.toReversed())
  })

  promise('a range has the ends that were asked for', async (t, store, db) => {
    await putKeys(store, db, [1, 2, 3, 4, 5, ['u', 1], ['u', 2], ['v', 1], 'œuvre', 'odd', 'of'])
    const keys = async (query: Parameters<Store['query']>[2]): Promise<Key[]> => (await store.query(db, BY_KEY, query)).map(row => row.key)
    t.deepEqual(await keys({ startKey: 2, endKey: 4 }), [2, 3, 4])
    t.deepEqual(await keys({ startKey: 2, endKey: 4, inclusiveEnd: false }), [2, 3])
    t.deepEqual(await keys({ startKey: 4, endKey: 2, descending: true }), [4, 3, 2])
    t.deepEqual(await keys({ startKey: 4, endKey: 2, descending: true, inclusiveEnd: false }), [4, 3])
    t.deepEqual(await keys({ endKey: 2 }), [1, 2])
    t.deepEqual(await keys({ startKey: ['u'], endKey: ['u', {}] }), [
      ['u', 1],
      ['u', 2],
    ])
    t.deepEqual(await keys({ key: 3 }), [3])
    t.deepEqual(await keys({ key: 'nowhere' }), [])
    t.deepEqual(await keys({ startKey: 4, endKey: 2 }), [])
    t.deepEqual(await keys({ startKey: 1, endKey: 5, skip: 1, limit: 2 }), [2, 3])
    t.deepEqual(await keys({ limit: 0 }), [])
    t.deepEqual(await keys({ keys: [5, 9, 1] }), [5, 1])
    t.deepEqual(await keys({ keys: [5, 3, 1], skip: 1, limit: 1 }), [3])
    t.deepEqual(await keys({ startKey: 'odd', endKey: 'of' }), ['odd', 'œuvre', 'of'])
    t.deepEqual(await keys({ startKey: 'œuvre', endKey: 'œuvre' }), ['œuvre'])
    t.deepEqual(await keys({ startKey: 'odd', endKey: 'œuvre', inclusiveEnd: false }), ['odd'])
    t.deepEqual(await keys({ startKey: 'odd', skip: 1, limit: 1 }), ['œuvre'])
    t.is(await store.reduce(db, BY_KEY, { startKey: 'o', endKey: 'of' }), 3)
  })

  promise('pages that begin at the next row’s key and id show every row once, in both directions', async (t, store, db) => {
    await putKeys(
      store,
      db,
      Array.from({ length: 23 }, (_, index) => ['k', Math.floor(index / 5)]),
    )
    for (const descending of [false, true]) {
      const seen: string[] = []
      let next: Row | undefined
      do {
        const from = next ? { startKey: next.key, startId: next.id } : {}
        const page: Row[] = await store.query(db, BY_KEY, { ...from, limit: 5, descending })
        next = page.length === 5 ? page.pop() : undefined
        seen.push(...ids(page))
      } while (next)
      t.is(seen.length, 23)
      t.deepEqual(seen, descending ? [...seen].sort().toReversed() : [...seen].sort())
    }
  })

  promise('rows carry the emitted value, and the document when it is asked for', async (t, store, db) => {
    await store.put(db, { _id: 'a', key: 1, value: { some: ['thing'] } })
    await store.put(db, { _id: 'b', key: 2 })
    t.deepEqual(await store.query(db, BY_KEY), [
      { id: 'a', key: 1, value: { some: ['thing'] } },
      { id: 'b', key: 2, value: null },
    ])
    const [row] = await store.query(db, BY_KEY, { includeDocs: true, limit: 1 })
    t.deepEqual(row?.doc, await store.get(db, 'a'))
  })

  promise('rows follow their document through every change', async (t, store, db) => {
    let rev = await store.put(db, { _id: 'a', tags: ['x', 'y', 'x'] })
    const tags = async (): Promise<Key[]> => (await store.query(db, 'contract/tags')).map(row => row.key)
    t.deepEqual(await tags(), ['x', 'x', 'y'])
    rev = await store.put(db, { _id: 'a', _rev: rev, tags: ['y', 'z'] })
    t.deepEqual(await tags(), ['y', 'z'])
    rev = await store.put(db, { _id: 'a', _rev: rev, tags: [] })
    t.deepEqual(await tags(), [])
    await store.put(db, { _id: 'a', _rev: rev, tags: ['æ', 'z'.repeat(3000)] })
    t.deepEqual(await tags(), ['æ', 'z'.repeat(3000)])
    await store.purge(db, 'a')
    t.deepEqual(await tags(), [])
  })

  promise('a document its map function throws at has no rows in that view and all in the others', async (t, store, db) => {
    await store.put(db, { _id: 'a', key: 1, broken: true })
    await store.put(db, { _id: 'b', key: 2 })
    t.deepEqual(ids(await store.query(db, 'contract/faulty')), ['b'])
    t.is(await store.reduce(db, 'contract/faulty'), 1)
    t.deepEqual(ids(await store.query(db, BY_KEY)), ['a', 'b'])
  })

  promise('counts and sums are of the range asked for', async (t, store, db) => {
    await putKeys(store, db, [1, 2, 3, 4, 'æ'], index => index + 0.5)
    t.is(await store.reduce(db, BY_KEY), 5)
    t.is(await store.reduce(db, BY_KEY, { startKey: 2, endKey: 3 }), 2)
    t.is(await store.reduce(db, BY_KEY, { startKey: 2, endKey: 'æ', inclusiveEnd: false }), 3)
    t.is(await store.reduce(db, BY_KEY, { key: 9 }), 0)
    t.is(await store.reduce(db, BY_KEY, { keys: [1, 2, 9] }), 2)
    t.is(await store.reduce(db, 'contract/sums'), 12.5)
    t.is(await store.reduce(db, 'contract/sums', { startKey: 4, endKey: 3, descending: true }), 6)
    t.is(await store.reduce(db, 'contract/sums', { startKey: 'nothing here', endKey: 'nothing there' }), 0)
  })

  promise('a view that is not there, a reduce of a view that has none and a sum of words are faults', async (t, store, db) => {
    await refused(t, 'datastore_fault', () => store.query(db, 'contract/nowhere'))
    await refused(t, 'datastore_fault', () => store.query(db, 'nowhere/by_key'))
    await refused(t, 'datastore_fault', () => store.reduce(db, 'contract/tags'))
    await store.put(db, { _id: 'a', key: 1, value: 'words' })
    await refused(t, 'datastore_fault', () => store.reduce(db, 'contract/sums'))
  })

  promise('an attachment comes back byte for byte, whole and in part', async (t, store, db) => {
    const bytes = randomBytes(300_000)
    const rev = await store.put(db, { _id: 'a', name: 'kept' })
    const parts = [bytes.subarray(0, 1), bytes.subarray(1, 100_000), bytes.subarray(100_000)]
    const body = { stream: Readable.from(parts), length: bytes.length, contentType: 'audio/x-wav' }
    const next = await store.putAttachment(db, 'a', rev, 'call 1.wav', body)
    t.regex(next, /^2-/)
    const doc = await store.get(db, 'a')
    t.is(doc?._rev, next)
    t.is(doc?.name, 'kept')
    const digest = `md5-${createHash('md5').update(bytes).digest('base64')}`
    t.deepEqual(doc?._attachments, { 'call 1.wav': { content_type: 'audio/x-wav', revpos: 2, digest, length: bytes.length, stub: true } })

    const read = async (range?: { first: number; last: number }): Promise<Buffer> => {
      const found = await store.getAttachment(db, 'a', 'call 1.wav', range)
      t.is(found?.length, bytes.length)
      t.is(found?.contentType, 'audio/x-wav')
      return found ? buffer(found.body) : Buffer.alloc(0)
    }
    t.true((await read()).equals(bytes))
    t.true((await read({ first: 0, last: 0 })).equals(bytes.subarray(0, 1)))
    t.true((await read({ first: 1000, last: 1999 })).equals(bytes.subarray(1000, 2000)))
    t.true((await read({ first: 299_990, last: 400_000 })).equals(bytes.subarray(299_990)))
    t.is((await read({ first: 300_000, last: 400_000 })).length, 0)
    t.is(await store.getAttachment(db, 'a', 'other.wav'), undefined)
    t.is(await store.getAttachment(db, 'b', 'call 1.wav'), undefined)
  })

  promise('text and nothing at all can be attached, and are read in part too', async (t, store, db) => {
    const text = 'line of text\n'.repeat(1000)
    let rev = await store.put(db, { _id: 'a' })
    rev = await store.putAttachment(db, 'a', rev, 'a.txt', { stream: Readable.from([text]), length: text.length, contentType: 'text/plain' })
    await store.putAttachment(db, 'a', rev, 'b.wav', { stream: Readable.from([]), length: 0, contentType: 'audio/x-wav' })
    const whole = await store.getAttachment(db, 'a', 'a.txt')
    t.is(whole?.length, text.length)
    t.is(whole && (await buffer(whole.body)).toString(), text)
    const part = await store.getAttachment(db, 'a', 'a.txt', { first: 8, last: 11 })
    t.is(part?.length, text.length)
    t.is(part && (await buffer(part.body)).toString(), 'text')
    const empty = await store.getAttachment(db, 'a', 'b.wav')
    t.is(empty?.length, 0)
    t.is(empty && (await buffer(empty.body)).length, 0)
  })

  promise('an attachment stays while its document names it, and goes with the name or the document', async (t, store, db) => {
    const wav = () => ({ stream: Readable.from(['abc']), length: 3, contentType: 'audio/x-wav' })
    const rev = await store.putAttachment(db, 'a', await store.put(db, { _id: 'a' }), 'x.wav', wav())
    const doc = await store.get(db, 'a')
    const kept = await store.put(db, { ...(doc as Doc), _rev: rev, changed: true })
    const before = await store.getAttachment(db, 'a', 'x.wav')
    t.is(before && (await buffer(before.body)).toString(), 'abc')
    const two = await store.putAttachment(db, 'a', kept, 'y.wav', wav())
    const bare = await store.put(db, { _id: 'a', _rev: two })
    t.is(await store.getAttachment(db, 'a', 'x.wav'), undefined)
    t.is((await store.get(db, 'a'))?._attachments, undefined)
    await refused(t, 'unspecified_fault', () => store.put(db, { ...(doc as Doc), _rev: bare }))
    const again = await store.putAttachment(db, 'a', bare, 'x.wav', wav())
    const replaced = await store.putAttachment(db, 'a', again, 'x.wav', { stream: Readable.from(['other']), length: 5, contentType: 'audio/mpeg' })
    const found = await store.getAttachment(db, 'a', 'x.wav')
    t.is(found && (await buffer(found.body)).toString(), 'other')
    await store.remove(db, 'a', replaced)
    t.is(await store.getAttachment(db, 'a', 'x.wav'), undefined)
  })

  promise('a body that is cut short, runs over or breaks leaves the document as it was', async (t, store, db) => {
    const rev = await store.put(db, { _id: 'a' })
    async function* broken(): AsyncGenerator<Buffer> {
      yield Buffer.alloc(1000)
      throw new Error('disk gone')
    }
    const put = (stream: Readable) => () => store.putAttachment(db, 'a', rev, 'x.wav', { stream, length: 5000, contentType: 'audio/x-wav' })
    await refused(t, 'length_mismatch', put(Readable.from([Buffer.alloc(4999)])))
    await refused(t, 'length_mismatch', put(Readable.from([Buffer.alloc(4000), Buffer.alloc(1001)])))
    await refused(t, 'length_mismatch', put(Readable.from(broken())))
    t.deepEqual(await store.get(db, 'a'), { _id: 'a', _rev: rev })
    t.is(await store.getAttachment(db, 'a', 'x.wav'), undefined)
    t.truthy(await store.putAttachment(db, 'a', rev, 'x.wav', { stream: Readable.from([Buffer.alloc(5000)]), length: 5000, contentType: 'audio/x-wav' }))
  })

  promise('an attachment for an old revision is a lost race, and its body is let go', async (t, store, db) => {
    const old = await store.put(db, { _id: 'a' })
    await store.put(db, { _id: 'a', _rev: old })
    const stream = Readable.from(['abc'])
    await refused(t, 'datastore_conflict', () => store.putAttachment(db, 'a', old, 'x.wav', { stream, length: 3, contentType: 'audio/x-wav' }))
    t.true(stream.destroyed)
    const body = { stream: Readable.from(['abc']), length: 3, contentType: 'audio/x-wav' }
    await refused(t, 'datastore_conflict', () => store.putAttachment(db, 'nowhere', old, 'x.wav', body))
  })

  promise('a body whose source goes away is given up', async (t, store, db) => {
    const rev = await store.put(db, { _id: 'a' })
    const stream = new Readable({ read() {} })
    stream.push('ab')
    const put = store.putAttachment(db, 'a', rev, 'x.wav', { stream, length: 3, contentType: 'audio/x-wav' })
    stream.destroy(new Error('the phone is gone'))
    await refused(t, 'length_mismatch', () => put)
  })

  async function take(changes: AsyncIterable<Change>, count: number): Promise<Change[]> {
    const taken: Change[] = []
    for await (const change of changes) {
      taken.push(change)
      if (taken.length === count) break
    }
    return taken
  }

  promise('the feed from the beginning shows each document’s latest change, deletions included, purges not', async (t, store, db) => {
    const rev = await store.put(db, { _id: 'a', n: 1 })
    await store.put(db, { _id: 'a', n: 2, _rev: rev })
    await store.remove(db, 'b', await store.put(db, { _id: 'b' }))
    await store.put(db, { _id: 'c' })
    await store.purge(db, 'c')
    await store.put(db, { _id: 'd' })
    const changes = await take(store.changes(db, { since: '0', includeDocs: true, signal: within(10_000) }), 3)
    const byId = Object.fromEntries(changes.map(change => [change.id, change]))
    t.deepEqual(Object.keys(byId).sort(), ['a', 'b', 'd'])
    t.is(byId.a?.doc?.n, 2)
    t.true(byId.b?.deleted)
    t.is(byId.b?.doc, undefined)
    t.false(byId.d?.deleted)
  })

  promise('a feed taken up where another one ended misses nothing and repeats nothing', async (t, store, db) => {
    await store.put(db, { _id: 'a' })
    const [first] = await take(store.changes(db, { since: '0', signal: within(10_000) }), 1)
    t.is(first?.id, 'a')
    t.is(first?.doc, undefined)
    const rev = await store.put(db, { _id: 'b' })
    const [second] = await take(store.changes(db, { since: first?.seq ?? '', signal: within(10_000) }), 1)
    t.is(second?.id, 'b')
    await store.remove(db, 'b', rev)
    const [third] = await take(store.changes(db, { since: second?.seq ?? '', signal: within(10_000) }), 1)
    t.deepEqual([third?.id, third?.deleted], ['b', true])
  })

  promise('a feed without a beginning shows what comes after it was asked for, as it comes', async (t, store, db) => {
    await store.put(db, { _id: 'before' })
    const ended = new AbortController()
    t.teardown(() => ended.abort())
    const feed = store.changes(db, { signal: AbortSignal.any([ended.signal, within(15_000)]) })[Symbol.asyncIterator]()
    const first = feed.next()
    const seen = new AbortController()
    void first.then(() => seen.abort())
    // Nothing says when a feed of a distant store stands, so documents are put until one is seen.
    for (let n = 0; !seen.signal.aborted && n < 100; n++) {
      await store.put(db, { _id: `after${n}` })
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    t.regex((await first).value?.id, /^after/)
  })

  promise('a feed ends with its signal, also while it waits', async (t, store, db) => {
    const ended = new AbortController()
    const feed = store.changes(db, { since: '0', signal: ended.signal })[Symbol.asyncIterator]()
    await store.put(db, { _id: 'a' })
    t.is((await feed.next()).value?.id, 'a')
    const waiting = feed.next()
    ended.abort()
    t.true((await waiting).done)
    const late = store.changes(db, { since: '0', signal: AbortSignal.abort() })[Symbol.asyncIterator]()
    t.true((await late.next()).done)
  })

  promise('it answers a ping until it is closed, then refuses everything; closing twice is fine', async (t, store, db) => {
    await store.ping()
    t.regex(await store.version(), /^\d+\.\d+\.\d+/)
    const feed = store.changes(db, { signal: within(10_000) })[Symbol.asyncIterator]()
    const waiting = feed.next()
    await store.close()
    await store.close()
    t.true((await waiting).done)
    await refused(t, 'datastore_unreachable', () => store.ping())
    await refused(t, 'datastore_unreachable', () => store.version())
    await refused(t, 'datastore_unreachable', () => store.get(db, 'a'))
    await refused(t, 'datastore_unreachable', () => store.put(db, { _id: 'a' }))
  })
}
