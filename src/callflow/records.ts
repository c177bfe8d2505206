// Puts detail records into the store. A store that is away is asked again until the engine closes: a call
// is over by then and waits for nothing.

import { type Clock, pause } from '../clock.ts'
import { isCode, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { monthDb, monthOf } from '../store/modb.ts'
import type { Store } from '../store/store.ts'
import { type Cdr, cdrOf, type OverCall } from './cdr.ts'

type Over = Omit<OverCall, 'recordings'>

export interface Records {
  /** `read` is asked again where it fails; undefined: there is nothing to write. */
  write(read: () => Promise<Over | undefined>, log: Log): void
  close(): Promise<void>
}

/** Milliseconds until a store that failed is asked again. */
const AGAIN = 5_000

export function startRecords({ store, clock }: { store: Store; clock: Clock }): Records {
  const closed = new AbortController()
  const writing = new Set<Promise<void>>()

  async function untilWritten(read: () => Promise<Over | undefined>, log: Log): Promise<void> {
    for (;;) {
      try {
        const call = await read()
        if (call === undefined) return
        const cdr = cdrOf({ ...call, recordings: await recordingsOf(call) })
        await put(cdr)
        return log.debug('cdr_written', { cdr_id: cdr._id, recordings: cdr.media_recordings.length })
      } catch (error) {
        const again = !closed.signal.aborted
        log.warn('cdr_not_written', { reason: reasonOf(error), ...(again ? { again_in_ms: AGAIN } : {}) })
        if (!again) return
        await pause(clock, AGAIN, closed.signal)
      }
    }
  }

  /** A recording stands in the month it began, which may be the next one. */
  async function recordingsOf({ accountId, leg, cameAt }: Over): Promise<string[]> {
    const key = `${monthOf(cameAt)}-${leg.uuid}`
    const months = [...new Set([monthOf(cameAt), monthOf(clock.now())])]
    const rows = await Promise.all(
      months.map(month =>
        store.query(monthDb(accountId, month), 'recordings/listing_by_cdr', { key }).catch((error: unknown) => {
          if (isCode(error, 'datastore_missing')) return []
          throw error
        }),
      ),
    )
    return rows.flat().map(({ id }) => id)
  }

  async function put(cdr: Cdr): Promise<void> {
    const db = monthDb(cdr.pvt_account_id, cdr._id.slice(0, 6))
    try {
      await store.put(db, cdr)
    } catch (error) {
      // It is there already.
      if (isCode(error, 'datastore_conflict')) return
      if (!isCode(error, 'datastore_missing')) throw error
      await store.createDatabase(db, 'modb')
      await store.put(db, cdr)
    }
  }

  return {
    write(read, log) {
      const one = untilWritten(read, log).finally(() => writing.delete(one))
      writing.add(one)
    },
    async close() {
      closed.abort()
      await Promise.all(writing)
    },
  }
}
