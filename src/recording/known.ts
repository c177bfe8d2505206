// The recording document of what stands in the queue, where a crash may have come between the two.

import { isCode } from '../errors.ts'
import type { Doc, Store, Stored } from '../store/store.ts'
import { recordingDbOf } from './document.ts'

/** Undefined also for the first of a month: the queue knows it before the month has a database. */
export async function knownRecording<T extends Doc>(store: Store, queued: { _id: string; account_id: string }): Promise<Stored<T> | undefined> {
  try {
    return await store.get<T>(recordingDbOf(queued), queued._id)
  } catch (error) {
    if (isCode(error, 'datastore_missing')) return undefined
    throw error
  }
}
