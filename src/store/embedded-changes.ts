// The changes feed of the embedded store: reads what is on disk after a sequence, then waits for the
// next commit. A sequence is a number of its database and is never used again.

import type { Database } from 'lmdb'
import { AppError } from '../errors.ts'
import type { Base } from './embedded-base.ts'
import { allChanges, docKey } from './embedded-keys.ts'
import { readRecord, visible } from './embedded-records.ts'
import type { Change } from './store.ts'

/** Changes read at once; so many may be given out after the document has changed again. */
const PAGE = 100

export function changesOf(
  lmdb: Database<string, Buffer>,
  find: () => Base,
  { since, includeDocs = false, signal }: { since?: string; includeDocs?: boolean; signal: AbortSignal },
): AsyncIterable<Change> {
  // "From now" is when it was asked for, not when the first change is awaited.
  let base: Base | undefined
  let refusal: unknown
  try {
    base = find()
    if (since !== undefined && !/^\d{1,15}$/.test(since)) throw new AppError('unspecified_fault', `no change of ${base.name} has the sequence ${since}`)
  } catch (error) {
    refusal = error
  }
  const from = since === undefined ? (base?.onDisk ?? 0) : Number(since)

  return (async function* () {
    if (!base) throw refusal
    if (refusal) throw refusal
    for (let last = from; !signal.aborted; ) {
      if (base.dropped) throw new AppError('datastore_missing', `database ${base.name} was deleted`, { db: base.name })
      const page = readPage(lmdb, base, last, includeDocs)
      for (const change of page) {
        if (signal.aborted) return
        last = Number(change.seq)
        yield change
      }
      if (page.length === 0) {
        // Purged changes leave no row, so a feed may have read less far than the disk is.
        last = Math.max(last, base.onDisk)
        await base.next(last, signal)
      }
    }
  })()
}

function readPage(lmdb: Database<string, Buffer>, base: Base, after: number, includeDocs: boolean): Change[] {
  const page: Change[] = []
  for (const { key, value } of lmdb.getRange({ ...allChanges(base.number, after), limit: PAGE })) {
    const [id, deleted] = JSON.parse(value) as [string, boolean]
    const record = includeDocs && !deleted ? readRecord(lmdb.get(docKey(base.number, id))) : undefined
    page.push({ id, seq: String(key.readUIntBE(key.length - 6, 6)), deleted, ...(record ? { doc: visible(id, record) } : {}) })
  }
  return page
}
