// The sweep that ends recordings whose time is over. What is due is a view, so a sweep costs what it
// ends and nothing for what stays; a few at a time, so that calls do not wait for the disk behind it.

import type { Clock } from '../clock.ts'
import { isCode, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { toGregorian } from '../store/modb.ts'
import type { Store, Stored } from '../store/store.ts'
import type { Recording } from './document.ts'
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
const PAGE = 100
const AT_ONCE = 4

export function startRetention({ store, erasure, clock, log, every }: RetentionPorts): Retention {
  let closed = false
  let running: Promise<unknown> = Promise.resolve()
  let cancel = clock.after(every * 1000, round)

  function round(): void {
    running = sweep()
      .catch((error: unknown) => log.warn('retention_sweep_failed', { reason: reasonOf(error), again_in_s: every }))
      .then(() => {
        if (!closed) cancel = clock.after(every * 1000, round)
      })
  }

  async function sweep(): Promise<number> {
    let ended = 0
    for (const db of await store.databases('account/')) {
      if (closed) break
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
      // What could not be ended stays at the front of the view.
      const rows = closed ? [] : await due(db, now, stuck)
      if (rows.length === 0) break
      const outcomes = await inBatches(rows, AT_ONCE, one => end(one))
      const gone = outcomes.filter(Boolean).length
      ended += gone
      stuck += rows.length - gone
    }
    if (ended > 0) await store.compact(db)
    return ended
  }

  async function due(db: string, now: number, skip: number): Promise<Stored<Recording>[]> {
    try {
      const rows = await store.query(db, VIEW, { endKey: now, limit: PAGE, skip, includeDocs: true })
      return rows.flatMap(({ doc }) => (doc === undefined ? [] : [doc as Stored<Recording>]))
    } catch (error) {
      if (isCode(error, 'datastore_missing')) return []
      throw error
    }
  }

  async function end(recording: Stored<Recording>): Promise<boolean> {
    const { value: days, from } = recording.policy.retention_days ?? { value: 0, from: 'system' }
    try {
      await erasure.erase(recording, { who: { system: 'retention' }, reason: `retention_days ${days} of ${from}` })
      return true
    } catch (error) {
      log.warn('recording_not_ended', { account_id: recording.pvt_account_id, recording_id: recording._id, reason: reasonOf(error) })
      return false
    }
  }

  return {
    sweep,
    async close() {
      closed = true
      cancel()
      await running
    },
  }
}

async function inBatches<T, R>(all: readonly T[], size: number, run: (one: T) => Promise<R>): Promise<R[]> {
  const done: R[] = []
  for (let at = 0; at < all.length; at += size) done.push(...(await Promise.all(all.slice(at, at + size).map(run))))
  return done
}
