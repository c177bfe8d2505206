// A retention sweep of 100 000 recordings, and what it costs the calls beside it: before a recording begins its two
// documents are written, so that is timed again and again, first on an idle store, then while the sweep runs.

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../src/clock.ts'
import { createAudit } from '../src/recording/keeping/audit.ts'
import { IN_FLIGHT } from '../src/recording/document.ts'
import { createErasure } from '../src/recording/keeping/erasure.ts'
import { startRetention } from '../src/recording/keeping/retention.ts'
import { embeddedStore } from '../src/store/embedded.ts'
import { monthDb, monthOf, toGregorian } from '../src/store/modb.ts'
import type { Store } from '../src/store/store.ts'
import { ms, type Row, times } from './row.ts'
import { quantile } from './world.ts'

const COUNT = 100_000
const ROUNDS = 10
/** Starts of a round, on an idle store and while it is swept. */
const SAMPLES = 200
/** Milliseconds between two starts. */
const EVERY = 10
export const ACCOUNT = 'a'.repeat(32)

const quiet = (): void => {}
const log = { debug: quiet, info: quiet, warn: quiet, error: quiet }
const hex = (bytes: number): string => randomBytes(bytes).toString('hex')

export async function sweepRows(): Promise<Row[]> {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-bench-sweep-'))
  const store = await embeddedStore({ dir })
  const clock = systemClock()
  const month = monthOf(clock.now())
  const db = monthDb(ACCOUNT, month)
  try {
    await store.createDatabase(IN_FLIGHT, 'recordings_in_flight')
    await store.createDatabase(db, 'modb')
    await fill(store, db, month, toGregorian(clock.now()))
    const audit = createAudit({ store, clock, log })
    const spool = { remove: async () => {} }
    let counted = 0
    const metrics = { count: () => void counted++ }
    const erasure = createErasure({ store, spool, audit, clock, metrics, nodes: () => ['fs1'], deliver: quiet, forget: async () => {} })
    const idle: number[] = []
    const busy: number[] = []
    let ended = 0
    let swept = 0
    // In turn, so that what else the machine does falls on both.
    for (let round = 0; round < ROUNDS; round++) {
      idle.push(...(await starts(store, db, month)))
      const before = counted
      const retention = startRetention({ store, erasure, clock, log, every: 86_400 })
      const began = performance.now()
      const sweeping = retention.sweep()
      busy.push(...(await starts(store, db, month)))
      await retention.close()
      await sweeping
      swept += performance.now() - began
      ended += counted - before
    }
    const [before, during] = [quantile(idle, 0.99), quantile(busy, 0.99)]
    return [
      {
        what: 'retention sweep of 100 000 recordings',
        measured: `${Math.round((ended / swept) * 1000)}/s, so ${Math.round((COUNT / ended) * (swept / 60_000))} min`,
        budget: '–',
      },
      {
        what: 'writing the documents of a start while it runs, p99 (p50)',
        measured: `${ms(during)} (${ms(quantile(busy, 0.5))})`,
        floor: `${ms(before)} (${ms(quantile(idle, 0.5))}) idle`,
        ratio: times(during, before),
        budget: '≤ 1.2×',
      },
    ]
  } finally {
    await store.close()
    await rm(dir, { recursive: true, force: true })
  }
}

export async function fill(store: Store, db: string, month: string, now: number, count = COUNT): Promise<void> {
  const policy = { retention_days: { value: 30, from: 'account' } }
  for (let at = 0; at < count; at += 1000) {
    const docs = Array.from({ length: 1000 }, (_, n) => ({
      _id: `${month}-${(at + n).toString(16).padStart(32, '0')}`,
      pvt_type: 'call_recording',
      pvt_account_id: ACCOUNT,
      pvt_created: now,
      pvt_node: 'fs1',
      state: 'stopped',
      origins: ['inbound from onnet to endpoint'],
      start: now,
      retain_until: 1,
      policy,
      name: 'call.wav',
      from: '1001@acme.example',
      to: '1002@acme.example',
    }))
    await Promise.all(docs.map(doc => store.put(db, doc)))
  }
}

/** Milliseconds that each start took to be written down. */
async function starts(store: Store, db: string, month: string): Promise<number[]> {
  const samples: number[] = []
  while (samples.length < SAMPLES) {
    const id = `${month}-${hex(16)}`
    const began = performance.now()
    await store.put(IN_FLIGHT, { _id: id, account_id: ACCOUNT, node: 'fs1', state: 'waiting' })
    await store.put(db, { _id: id, pvt_type: 'call_recording', pvt_account_id: ACCOUNT, state: 'waiting', pvt_created: 1 })
    samples.push(performance.now() - began)
    await delay(EVERY)
  }
  return samples
}
