// The embedded store: CouchDB's model on LMDB, for one engine with nothing else installed. Documents,
// rows of views and the changes feed are written in one transaction; a view is brought up to date at
// the write, so reading one never waits.

import { mkdir, open as openFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import * as exported from 'lmdb'
import { open } from 'lmdb'
import { AppError, reasonOf } from '../errors.ts'
import { type Design, loadDesigns } from './design.ts'
import type { Base } from './embedded-base.ts'
import { openCatalog } from './embedded-catalog.ts'
import { changesOf } from './embedded-changes.ts'
import { docKey, fileKey } from './embedded-keys.ts'
import { countRows, readRows } from './embedded-query.ts'
import { dropRecord, type DocRecord, readRecord, revise, visible, writeRecord } from './embedded-records.ts'
import { heed } from './exactly.ts'
import { attachmentFiles } from './files.ts'
import { groupCommit } from './group.ts'
import { lockDirectory } from './lock.ts'
import { checkAttachment, checkDatabase, checkDoc, checkId, checkView, conflict } from './names.ts'
import type { Doc, Query, Row, Store, Stored } from './store.ts'

/** LMDB's own; the types leave it out. */
const { version: lmdbVersion } = exported as unknown as { version: { major: number; minor: number; patch: number } }

export interface EmbeddedOptions {
  /** DATA_DIR; the store lies in its folder `store`. */
  dir: string
  /** For tests; otherwise couchdb/views. */
  designs?: readonly Design[]
}

export async function embeddedStore({ dir, designs }: EmbeddedOptions): Promise<Store> {
  const unlock = await lockDirectory(dir)
  try {
    return await openStore(join(dir, 'store'), designs ?? (await loadDesigns()), unlock)
  } catch (error) {
    await unlock()
    if (error instanceof AppError) throw error
    throw new AppError('bad_configuration', `the store in DATA_DIR ${dir} cannot be opened: ${reasonOf(error)}`, { dir }, { cause: error })
  }
}

/** Where LMDB's magic lies in its first page (lmdb.h: MDB_MAGIC), which lmdb itself looks at only to crash. */
const MAGIC = { at: 24, is: 0xbeefc0de }

async function checkFile(file: string): Promise<void> {
  const handle = await openFile(file, 'a+')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAGIC.at + 4), 0, MAGIC.at + 4, 0)
    if (bytesRead === 0 || (bytesRead === buffer.length && buffer.readUInt32LE(MAGIC.at) === MAGIC.is)) return
    throw new AppError('bad_configuration', `${file} is no store, or a damaged one: put back a copy of it, or give callrec another DATA_DIR`, { file })
  } finally {
    await handle.close()
  }
}

async function openStore(dir: string, designs: readonly Design[], unlock: () => Promise<void>): Promise<Store> {
  await mkdir(join(dir, 'attachments'), { recursive: true })
  const file = join(dir, 'documents.mdb')
  await checkFile(file)
  // Without overlapping syncs a commit is on disk when it is reported.
  const lmdb = open<string, Buffer>({ path: file, noSubdir: true, keyEncoding: 'binary', encoding: 'string', overlappingSync: false })
  const files = attachmentFiles(join(dir, 'attachments'))
  const group = groupCommit(lmdb)
  const catalog = await openCatalog(lmdb, group, files, designs)
  await files.sweep(file => lmdb.doesExist(fileKey(file)))
  const closing = new AbortController()
  let closed: Promise<void> | undefined

  function mustBeOpen(): void {
    if (closing.signal.aborted) throw new AppError('datastore_unreachable', 'the store is closed')
  }

  /** Everything goes through here: nothing runs after close, and what LMDB throws gets a name. */
  async function guarded<T>(work: () => Promise<T> | T): Promise<T> {
    mustBeOpen()
    try {
      return await work()
    } catch (error) {
      if (error instanceof AppError) throw error
      throw new AppError('datastore_fault', `the store in ${dir} failed: ${reasonOf(error)}; is the disk full?`, {}, { cause: error })
    }
  }

  const readLive = (base: Base, id: string): DocRecord | undefined => {
    // Again, for what waited meanwhile: reading a closed LMDB ends the process.
    mustBeOpen()
    const record = readRecord(lmdb.get(docKey(base.number, id)))
    return record?.deleted ? undefined : record
  }

  function readDoc<T extends Doc>(base: Base, id: string): Stored<T> | undefined {
    const record = readLive(base, id)
    return record && visible<T>(id, record)
  }

  function withDocs(base: Base, rows: Row[]): Row[] {
    return rows.map(row => {
      const doc = readDoc(base, row.id)
      return doc ? { ...row, doc } : row
    })
  }

  function viewOf(base: Base, name: string) {
    checkView(name)
    const view = base.views.get(name)
    if (!view) throw new AppError('datastore_fault', `database ${base.name} has no view ${name}`, { view: name })
    return view
  }

  /** One query for each of `keys`, otherwise the query itself. */
  const parts = ({ keys, ...query }: Query): Query[] => (keys ? keys.map(key => ({ key, descending: query.descending === true })) : [query])

  return {
    kind: 'embedded',

    createDatabase: (db, classification) =>
      guarded(() => {
        checkDatabase(db)
        return catalog.create(db, classification)
      }),
    databases: (prefix = '') => guarded(() => catalog.names().filter(name => name.startsWith(prefix))),
    deleteDatabase: db => guarded(() => catalog.remove(db)),

    get: <T extends Doc>(db: string, id: string) =>
      guarded(() => {
        checkId(id)
        return readDoc<T>(catalog.find(db), id)
      }),
    getMany: <T extends Doc>(db: string, ids: readonly string[]) =>
      guarded(() => {
        for (const id of ids) checkId(id)
        const base = catalog.find(db)
        return ids.map(id => readDoc<T>(base, id))
      }),

    put: (db, doc) =>
      guarded(() => {
        const json = checkDoc(db, doc)
        return group.write(transaction => {
          const base = catalog.find(db)
          const old = readRecord(transaction.get(docKey(base.number, doc._id)))
          const current = old && (!old.deleted || doc._rev !== undefined) ? old.rev : undefined
          if (doc._rev !== current) throw conflict(db, doc._id)
          const next = revise(doc._id, old, JSON.parse(json) as Doc, json)
          writeRecord(transaction, base, files, doc._id, old, next)
          return next.rev
        })
      }),
    remove: (db, id, rev) =>
      guarded(() => {
        checkId(id)
        return group.write(transaction => {
          const base = catalog.find(db)
          const old = readRecord(transaction.get(docKey(base.number, id)))
          if (!old || old.deleted || old.rev !== rev) throw conflict(db, id)
          writeRecord(transaction, base, files, id, old, revise(id, old, undefined))
        })
      }),
    purge: (db, id) =>
      guarded(() => {
        checkId(id)
        return group.write(transaction => {
          const base = catalog.find(db)
          const old = readRecord(transaction.get(docKey(base.number, id)))
          if (old) dropRecord(transaction, base, files, id, old)
        })
      }),

    query: <V>(db: string, name: string, query: Query = {}) =>
      guarded(() => {
        const base = catalog.find(db)
        const { number } = viewOf(base, name)
        const { skip = 0, limit = Number.POSITIVE_INFINITY } = query
        const rows = query.keys
          ? parts(query)
              .flatMap(part => readRows(lmdb, number, part))
              .slice(skip, skip + limit)
          : readRows(lmdb, number, query)
        return (query.includeDocs ? withDocs(base, rows) : rows) as Row<V>[]
      }),
    reduce: (db, name, query = {}) =>
      guarded(() => {
        const view = viewOf(catalog.find(db), name)
        if (!view.reduce) throw new AppError('datastore_fault', `view ${name} of ${db} has no reduce`, { view: name })
        const { skip: _skip, limit: _limit, ...range } = query
        if (view.reduce === '_count') return parts(range).reduce((sum, part) => sum + countRows(lmdb, view.number, part), 0)
        return parts(range)
          .flatMap(part => readRows(lmdb, view.number, part))
          .reduce((sum, row) => {
            if (typeof row.value !== 'number') throw new AppError('datastore_fault', `view ${name} of ${db}: _sum over what is no number`, { id: row.id })
            return sum + row.value
          }, 0)
      }),

    putAttachment: (db, id, rev, name, body) =>
      guarded(async () => {
        heed(body)
        try {
          checkId(id)
          checkAttachment(name)
          if (readLive(catalog.find(db), id)?.rev !== rev) throw conflict(db, id)
        } catch (error) {
          body.stream.destroy()
          throw error
        }
        const { file, digest } = await files.write(body)
        try {
          return await group.write(transaction => {
            const base = catalog.find(db)
            const old = readRecord(transaction.get(docKey(base.number, id)))
            if (!old || old.deleted || old.rev !== rev) throw conflict(db, id)
            const stub = { content_type: body.contentType, revpos: Number.parseInt(rev, 10) + 1, digest, length: body.length, stub: true as const }
            const doc = { ...old.doc, _id: id, _attachments: { ...old.doc._attachments, [name]: stub } }
            const next = revise(id, { ...old, files: { ...old.files, [name]: file }, doc }, doc)
            writeRecord(transaction, base, files, id, old, next)
            return next.rev
          })
        } catch (error) {
          await files.remove(file)
          throw error
        }
      }),
    getAttachment: (db, id, name, range) =>
      guarded(async () => {
        checkId(id)
        checkAttachment(name)
        const base = catalog.find(db)
        // A file can go between the record and its opening, when it is replaced meanwhile: then the record says another.
        for (let record = readLive(base, id), last: string | undefined; ; record = readLive(base, id)) {
          const stub = record?.doc._attachments?.[name]
          const file = record?.files?.[name]
          if (!stub || !file || file === last) return undefined
          const body: Readable | undefined = await files.read(file, range?.first ?? 0, Math.min(range?.last ?? stub.length - 1, stub.length - 1))
          if (body) return { contentType: stub.content_type, length: stub.length, body }
          last = file
        }
      }),

    changes: (db, options) => changesOf(lmdb, () => catalog.find(db), { ...options, signal: AbortSignal.any([options.signal, closing.signal]) }),

    compact: db => guarded(() => void catalog.find(db)),
    version: () => guarded(() => `${lmdbVersion.major}.${lmdbVersion.minor}.${lmdbVersion.patch}`),
    ping: () => guarded(() => void catalog.names()),
    close() {
      closed ??= (async () => {
        closing.abort()
        await catalog.idle()
        await group.close()
        await lmdb.close()
        await unlock()
      })()
      return closed
    },
  }
}
