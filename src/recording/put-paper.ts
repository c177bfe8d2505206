// Writes one of the documents of a recording, of which others write fields of their own meanwhile.

import { isCode } from '../errors.ts'
import type { Doc, Store } from '../store/store.ts'
import { IN_FLIGHT } from './document.ts'

/** The new revision. The first recording of a month makes its database. */
export async function putPaper(store: Store, db: string, doc: Doc): Promise<string> {
  try {
    return await store.put(db, doc)
  } catch (error) {
    if (isCode(error, 'datastore_missing') && db !== IN_FLIGHT) {
      await store.createDatabase(db, 'modb')
      return store.put(db, doc)
    }
    // Somebody else wrote a field of his own meanwhile (a deletion, a hold, a note); ours are only ours, so they go on top.
    const current = isCode(error, 'datastore_conflict') ? await store.get(db, doc._id) : undefined
    if (current === undefined) throw error
    return store.put(db, { ...current, ...doc, _rev: current._rev })
  }
}
