// Retention, holds, trails and the sums of a day on a real CouchDB, where there is one: its views, its conflicts, its compaction.

import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import test from 'ava'
import { systemClock } from '../../../src/clock.ts'
import { createAudit } from '../../../src/recording/keeping/audit.ts'
import { IN_FLIGHT, type Recording } from '../../../src/recording/document.ts'
import { createErasure } from '../../../src/recording/keeping/erasure.ts'
import { mustHoldNothing } from '../../../src/recording/keeping/hold.ts'
import { startRetention } from '../../../src/recording/keeping/retention.ts'
import { couchStore } from '../../../src/store/couch.ts'
import { accountDb, monthDb } from '../../../src/store/modb.ts'
import type { Stored } from '../../../src/store/store.ts'
import { couchdb } from '../../helpers/couchdb.ts'
import { notedLog } from '../../helpers/log.ts'
import { realRun } from '../../helpers/real.ts'

if (realRun('the end of recordings', { CouchDB: couchdb !== undefined }) && couchdb) {
  const starting = couchdb()
  test('on a real CouchDB recordings are held, ended with their sound, told of and summed', async t => {
    const { url, stop } = await starting
    t.teardown(stop)
    const store = await couchStore({ url })
    t.teardown(() => store.close())
    const account = randomBytes(16).toString('hex')
    const db = monthDb(account, '202605')
    await store.createDatabase(db, 'modb')
    await store.createDatabase(IN_FLIGHT, 'recordings_in_flight')
    const clock = systemClock()
    const { log } = notedLog()
    const audit = createAudit({ store, clock, log })
    const spool = { remove: () => Promise.resolve() }
    const erasure = createErasure({ store, spool, audit, clock, metrics: { count: () => {} }, nodes: () => ['fs1'], deliver: () => {}, forget: async () => {} })
    const recorded = async (more: object): Promise<string> => {
      const id = `202605-${randomBytes(16).toString('hex')}`
      // 2026-05-16T12:00:00Z
      const doc = { _id: id, pvt_type: 'call_recording', pvt_account_id: account, pvt_created: 63_946_152_000, state: 'stopped', origins: [], policy: {} }
      const rev = await store.put(db, { ...doc, name: 'a.wav', from: '1001@a', retain_until: 1, ...more })
      await store.putAttachment(db, id, rev, 'a.wav', { stream: Readable.from([Buffer.from('RIFF')]), length: 4, contentType: 'audio/x-wav' })
      return id
    }
    const [over, held] = [await recorded({}), await recorded({ legal_hold: true, owner_id: 'alice' })]
    const heard = await store.get<Recording>(db, over)
    await Promise.all(
      Array.from({ length: 3 }, (_, n) =>
        audit.note(heard as Stored<Recording>, { what: 'changed', who: { account_id: account }, details: { b: n, a: { d: 1, c: 2 } } }),
      ),
    )
    await t.throwsAsync(() => mustHoldNothing(store, accountDb(account), 'alice'), { message: /^1 of its recordings/ })
    await mustHoldNothing(store, accountDb(account), 'bob')
    const day = (list: string) => store.reduce(db, 'reconciliation/by_day', { startKey: ['2026-05-16', list], endKey: ['2026-05-16', list, {}] })
    t.deepEqual(await Promise.all(['expected', 'recorded', 'waiting', 'missing'].map(day)), [2, 2, 2, 0])

    const retention = startRetention({ store, erasure, clock, log, every: 3600 })
    t.is(await retention.sweep(), 1)
    await retention.close()
    const left = await store.get(db, over)
    t.like(left, { pvt_deleted: true, deleted: { who: { system: 'retention' } } })
    t.false('from' in (left ?? {}))
    t.is(await store.getAttachment(db, over, 'a.wav'), undefined)
    t.like(await store.get(db, held), { legal_hold: true })
    const { entries, broken_at } = await audit.read(account, over)
    t.is(broken_at, undefined)
    t.deepEqual(
      entries.map(({ what }) => what),
      ['created', 'changed', 'changed', 'changed', 'deleted'],
    )
  })
} else {
  test('there is no CouchDB to keep recordings in here', t => t.pass())
}
