// Which recording of its leg a new one is: the second one's file is named after the first with `_2`.

import { isCode, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { monthDb, monthOf } from '../store/modb.ts'
import type { Store } from '../store/store.ts'
import type { Roster } from './roster.ts'

const DAY = 86_400_000

/** How many recordings of a leg there are; a call may have crossed the end of a month. `now` is in unix milliseconds. */
export async function recordingsBefore(
  { store, log }: { store: Store; log: Log },
  roster: Roster,
  { accountId, leg, now }: { accountId: string; leg: string; now: number },
): Promise<number> {
  const months = [...new Set([monthOf(now), monthOf(now - DAY)])]
  const counts = months.map(async month => {
    try {
      return await store.reduce(monthDb(accountId, month), 'recordings/listing_by_call', { startKey: [leg], endKey: [leg, {}] })
    } catch (error) {
      if (isCode(error, 'datastore_missing')) return 0
      log.warn('recordings_not_counted', { account_id: accountId, leg, reason: reasonOf(error) })
      return roster.ofLeg(leg).length
    }
  })
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
}
