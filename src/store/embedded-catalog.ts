// The databases of the embedded store: which there are, what views they have, and how those are
// brought up to date at the start when a map function (or ICU, which orders the keys) has changed.

import { createHash } from 'node:crypto'
import type { Database } from 'lmdb'
import { AppError } from '../errors.ts'
import { compileMap, type Design, designsFor, type MapFunction, type Reduce } from './design.ts'
import { type Base, type IndexedView, makeBase } from './embedded-base.ts'
import { allChanges, allDatabases, allDocs, allDoomed, allRows, counterKey, databaseKey, doomedKey, fileKey, type Span, sequenceKey } from './embedded-keys.ts'
import { indexRecord, readRecord } from './embedded-records.ts'
import type { Files } from './files.ts'
import type { Group, Transaction } from './group.ts'
import type { Classification } from './store.ts'

type Lmdb = Database<string, Buffer>

/** What is written down of a database. */
interface Entry {
  number: number
  classification: Classification
  /** `design/view` → its number and a hash of all that decides its rows. */
  views: { [name: string]: { number: number; hash: string } }
}

export interface Catalog {
  create(name: string, classification: Classification): Promise<boolean>
  remove(name: string): Promise<void>
  find(name: string): Base
  names(): string[]
  idle(): Promise<void>
}

interface Wanted {
  name: string
  hash: string
  map: MapFunction
  reduce?: Reduce
}

/** Documents or rows in one transaction of a long job. */
const CHUNK = 1000

export async function openCatalog(lmdb: Lmdb, group: Group, files: Files, designs: readonly Design[]): Promise<Catalog> {
  const wanted = new Map<Classification, Wanted[]>()
  const wantedOf = (classification: Classification): Wanted[] => {
    const known = wanted.get(classification) ?? designsFor(designs, classification).flatMap(compileDesign)
    wanted.set(classification, known)
    return known
  }

  const bases = new Map<string, Base>()
  for (const { key } of Array.from(lmdb.getRange({ ...allDoomed }))) await finishRemoval(key.readUInt32BE(1))
  for (const { key, value } of Array.from(lmdb.getRange({ ...allDatabases }))) {
    const name = key.toString('utf8', 1)
    const base = baseOf(name, await refresh(name, JSON.parse(value) as Entry))
    base.lastSequence = Number(lmdb.get(sequenceKey(base.number)) ?? 0)
    base.onDisk = base.lastSequence
    bases.set(name, base)
  }
  const removals = new Set<Promise<void>>()

  function baseOf(name: string, { number, classification, views }: Entry): Base {
    const known = wantedOf(classification).map(view => {
      const indexed: IndexedView = { number: views[view.name]?.number ?? 0, map: view.map, ...(view.reduce ? { reduce: view.reduce } : {}) }
      return [view.name, indexed] as const
    })
    return makeBase(name, number, new Map(known))
  }

  /** Builds the indexes that are new or changed, and answers the entry that says so. */
  async function refresh(name: string, entry: Entry): Promise<Entry> {
    const views = wantedOf(entry.classification)
    const stale = views.filter(view => entry.views[view.name]?.hash !== view.hash)
    const gone = Object.entries(entry.views).filter(([view, { hash }]) => !views.some(one => one.name === view && one.hash === hash))
    if (stale.length === 0 && gone.length === 0) return entry

    const old = new Set(gone.map(([view]) => view))
    const kept = Object.entries(entry.views).filter(([view]) => !old.has(view))
    // Doomed until complete, so that a crash half way leaves nothing behind.
    const built = await group.write(transaction =>
      stale.map(view => {
        const number = nextNumber(transaction)
        transaction.put(doomedKey(number), '')
        return { ...view, number }
      }),
    )
    await inChunks(allDocs(entry.number), (transaction, key, value) => {
      const record = readRecord(value)
      if (record) for (const view of built) indexRecord(transaction, view, key.toString('utf8', 5), record)
    })
    const fresh = Object.fromEntries([...kept, ...built.map(({ name, number, hash }) => [name, { number, hash }] as const)])
    const next: Entry = { ...entry, views: fresh }
    await group.write(transaction => {
      for (const { number } of built) transaction.remove(doomedKey(number))
      for (const [, { number }] of gone) transaction.put(doomedKey(number), '')
      transaction.put(databaseKey(name), JSON.stringify(next))
    })
    for (const [, { number }] of gone) await finishRemoval(number)
    return next
  }

  async function inChunks(span: Span, work: (transaction: Transaction, key: Buffer, value: string) => void): Promise<void> {
    for (let start = span.start; ; ) {
      const chunk = [...lmdb.getRange({ start, end: span.end, limit: CHUNK })]
      const last = chunk.at(-1)
      if (!last) return
      await group.write(transaction => {
        for (const { key, value } of chunk) work(transaction, key, value)
      })
      start = Buffer.concat([last.key, Buffer.from([0])])
    }
  }

  /** Whatever has this number: a database's documents and changes, or a view's rows. Numbers are never shared. */
  async function finishRemoval(number: number): Promise<void> {
    await inChunks(allDocs(number), (transaction, key, value) => {
      transaction.remove(key)
      for (const file of Object.values(readRecord(value)?.files ?? {})) {
        transaction.remove(fileKey(file))
        transaction.after(() => void files.remove(file).catch(() => {}))
      }
    })
    for (const span of [allChanges(number, -1), allRows(number)]) await inChunks(span, (transaction, key) => transaction.remove(key))
    await group.write(transaction => {
      transaction.remove(sequenceKey(number))
      transaction.remove(doomedKey(number))
    })
  }

  return {
    async create(name, classification) {
      let made: Base | undefined
      try {
        return await group.write(transaction => {
          if (bases.has(name)) return false
          const views = wantedOf(classification).map(view => [view.name, { number: nextNumber(transaction), hash: view.hash }] as const)
          const entry: Entry = { number: nextNumber(transaction), classification, views: Object.fromEntries(views) }
          transaction.put(databaseKey(name), JSON.stringify(entry))
          made = baseOf(name, entry)
          bases.set(name, made)
          return true
        })
      } catch (error) {
        if (made && bases.get(name) === made) bases.delete(name)
        throw error
      }
    },

    async remove(name) {
      const base = find(name)
      const numbers = [base.number, ...[...base.views.values()].map(view => view.number)]
      await group.write(transaction => {
        if (find(name) !== base) throw missing(name)
        bases.delete(name)
        transaction.remove(databaseKey(name))
        for (const number of numbers) transaction.put(doomedKey(number), '')
      })
      base.dropped = true
      base.arrived(base.lastSequence)
      const removal = (async () => {
        for (const number of numbers) await finishRemoval(number)
      })()
      removals.add(removal)
      await removal.finally(() => removals.delete(removal))
    },

    find,
    names: () => [...bases.keys()].sort(),
    async idle() {
      await Promise.allSettled(removals)
    },
  }

  function find(name: string): Base {
    const base = bases.get(name)
    if (!base) throw missing(name)
    return base
  }
}

const missing = (name: string): AppError => new AppError('datastore_missing', `there is no database ${name}`, { db: name })

function nextNumber(transaction: Transaction): number {
  const number = Number(transaction.get(counterKey) ?? 0) + 1
  transaction.put(counterKey, String(number))
  return number
}

function compileDesign(design: Design): Wanted[] {
  return Object.entries(design.views).map(([view, { map, reduce }]) => ({
    name: `${design.name}/${view}`,
    hash: createHash('md5').update(`1 ${process.versions.icu} ${map}`).digest('hex'),
    map: compileMap(map),
    ...(reduce ? { reduce } : {}),
  }))
}
