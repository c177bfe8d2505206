// The sweep that ends recordings whose time is over. What is due is a view, so a sweep costs what it
// ends and nothing for what stays. Calls write to the same disk and go first: after every few recordings
// the sweep rests for a multiple of what they took, so the slower the store is, the less it is asked.

import { type Clock, pause } from '../../clock.ts'
import { isCode, reasonOf } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { toGregorian } from '../../store/modb.ts'
import type { Store, Stored } from '../../store/store.ts'
import type { Recording } from '../document.ts'
import type { Erasure } from './erasure.ts'

export interface RetentionPorts {
  store: Store
  erasure: Erasure
  clock: Clock
  log: Log
  /** Seconds between two sweeps. */
  every: number
}

export interface Retention {
  /** How many recordings it ended. Rejects when the store cannot be asked; what cannot be ended now is left to the next sweep. */
  sweep(): Promise<number>
  close(): Promise<void>
}

const VIEW = 'recordings/expiring'
/** Recordings that are ended together: their writes share a flush of the disk. */
const AT_ONCE = 16
/** Of the time they took: the sweep has a tenth of the store's. */
const REST = 9

export function startRetention({ store, erasure, clock, log, every }: RetentionPorts): Retention {
  const closing = new AbortController()
  let running: Promise<unknown> = Promise.resolve()
  let cancel = clock.after(every * 1000, round)

  function round(): void {
    running = sweep()
      .catch((error: unknown) => log.warn('retention_sweep_failed', { reason: reasonOf(error), again_in_s: every }))
      .then(() => {
        if (!closing.signal.aborted) cancel = clock.after(every * 1000, round)
      })
  }

  async function sweep(): Promise<number> {
    let ended = 0
    for (const db of await store.databases('account/')) {
      if (closing.signal.aborted) break
      if (/-\d{6}$/.test(db)) ended += await sweepMonth(db)
    }
    if (ended > 0) log.info('retention_swept', { recordings: ended })
    return ended
  }

  async function sweepMonth(db: string): Promise<number> {
    const now = toGregorian(clock.now())
    let ended = 0
    let stuck = 0
    for (;;) {
      const began = clock.elapsed()
      // What could not be ended stays at the front of the view.
      const rows = closing.signal.aborted ? [] : await due(db, now, stuck)
      if (rows.length === 0) break
      const outcomes = await Promise.all(rows.map(one => end(one)))
      ended += outcomes.filter(one => one === 'ended').length
      stuck += outcomes.filter(one => one === 'stuck').length
      const took = clock.elapsed() - began
      if (took > 0) await pause(clock, REST * took, closing.signal)
    }
    if (ended > 0) await store.compact(db)
    return ended
  }

  async function due(db: string, now: number, skip: number): Promise<Stored<Recording>[]> {
    try {
      const rows = await store.query(db, VIEW, { endKey: now, limit: AT_ONCE, skip, includeDocs: true })
      return rows.flatMap(({ doc }) => (doc === undefined ? [] : [doc as Stored<Recording>]))
    } catch (error) {
      if (isCode(error, 'datastore_missing')) return []
      throw error
    }
  }

  async function end(recording: Stored<Recording>): Promise<'ended' | 'changed' | 'stuck'> {
    try {
      const { value: days, from } = recording.policy.retention_days ?? { value: 0, from: 'system' }
      await erasure.erase(recording, { who: { system: 'retention' }, reason: `retention_days ${days} of ${from}` })
      return 'ended'
    } catch (error) {
      // Another engine has ended it, or its document is another by now: the view knows.
      if (isCode(error, 'datastore_conflict')) return 'changed'
      log.warn('recording_not_ended', { account_id: recording.pvt_account_id, recording_id: recording._id, reason: reasonOf(error) })
      return 'stuck'
    }
  }

  return {
    sweep,
    async close() {
      closing.abort()
      cancel()
      await running
    },
  }
}
