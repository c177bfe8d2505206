// The recording documents of what stands in the queue, where a crash may have come between the two.

import { isCode } from '../errors.ts'
import type { Doc, Store, Stored } from '../store/store.ts'
import { recordingDbOf } from './document.ts'

interface Queued {
  _id: string
  account_id: string
}

/** Documents that are read at once. */
const PAGE = 500

/** Undefined also for the first of a month: the queue knows it before the month has a database. */
export async function knownRecording<T extends Doc>(store: Store, queued: Queued): Promise<Stored<T> | undefined> {
  for await (const { recording } of knownRecordings<T, Queued>(store, [queued])) return recording
  return undefined
}

/** Of very many, database by database. */
export async function* knownRecordings<T extends Doc, Q extends Queued>(
  store: Store,
  all: readonly Q[],
): AsyncGenerator<{ inFlight: Q; recording: Stored<T> | undefined }> {
  for (const [db, some] of byDatabase(all)) {
    for (let at = 0; at < some.length; at += PAGE) {
      const page = some.slice(at, at + PAGE)
      const ids = page.map(({ _id }) => _id)
      const recordings = await store.getMany<T>(db, ids).catch((error: unknown) => {
        if (isCode(error, 'datastore_missing')) return []
        throw error
      })
      for (const [nth, inFlight] of page.entries()) yield { inFlight, recording: recordings[nth] }
    }
  }
}

function byDatabase<Q extends Queued>(all: readonly Q[]): Map<string, Q[]> {
  const found = new Map<string, Q[]>()
  for (const one of all) {
    const db = recordingDbOf(one)
    const before = found.get(db)
    if (before === undefined) found.set(db, [one])
    else before.push(one)
  }
  return found
}
