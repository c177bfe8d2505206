// Changing a document that others change as well.

import { isCode } from '../errors.ts'
import type { Doc, Store, Stored } from '../store/store.ts'

/** Of losing the race. */
const MOST_TRIES = 10

/** Reads, changes and writes until nobody else wrote in between. Undefined when there is no such document; a change of undefined changes nothing. */
export async function amend<T extends Doc>(
  store: Store,
  db: string,
  id: string,
  change: (current: Stored<T>) => T | undefined,
): Promise<Stored<T> | undefined> {
  for (let tries = 1; ; tries++) {
    try {
      const current = await store.get<T>(db, id)
      const changed = current === undefined ? undefined : change(current)
      return changed === undefined ? current : { ...changed, _rev: await store.put(db, changed) }
    } catch (error) {
      if (isCode(error, 'datastore_missing')) return undefined
      if (!isCode(error, 'datastore_conflict') || tries === MOST_TRIES) throw error
    }
  }
}
