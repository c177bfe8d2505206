// The audit trails of recordings. An entry is a document of its own in the recording's month database,
// and its number is in its id: two that are written at once cannot both be the next. It is written before
// what it tells is done, so it may tell of something that failed, and nothing is done that it does not tell.

import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../../clock.ts'
import { isCode } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { recordingDb } from '../../store/modb.ts'
import type { Doc, Store } from '../../store/store.ts'
import { type AuditEntry, brokenAt, chained, type Fact } from './audit-chain.ts'
import type { Recording } from '../document.ts'

export interface AuditTrail {
  entries: AuditEntry[]
  /** See audit-chain.ts. */
  broken_at?: number
}

export interface Audit {
  /** Its first entry is always `created`, made from the document where nobody told it before. */
  note(recording: Audited, fact: Fact): Promise<void>
  /** A file is where it was to go: mostly the first that is told, so nothing is read. */
  delivered(recording: Audited, details: Readonly<Record<string, unknown>>): Promise<void>
  read(accountId: string, recordingId: string): Promise<AuditTrail>
}

type Audited = Pick<Recording, '_id' | 'pvt_account_id' | 'origins' | 'sha256' | 'size' | 'start'>

interface EntryDoc extends Doc, AuditEntry {
  pvt_type: 'recording_audit'
  pvt_account_id: string
  recording_id: string
}

/** Of losing the race for the next number. */
const MOST_TRIES = 20
/** Milliseconds in which the same act of the same client is told once: a player asks for a file piece by piece. */
const SAME = 60_000

export function createAudit({ store, clock, log }: { store: Store; clock: Clock; log: Log }): Audit {
  async function write(recording: Audited, entry: AuditEntry): Promise<AuditEntry> {
    const { _id: id, pvt_account_id } = recording
    const doc: EntryDoc = { _id: `${id}.${String(entry.seq).padStart(8, '0')}`, pvt_type: 'recording_audit', pvt_account_id, recording_id: id, ...entry }
    await store.put(recordingDb(pvt_account_id, id), doc)
    log.info('recording_audited', { account_id: pvt_account_id, recording_id: id, seq: entry.seq, what: entry.what, hash: entry.hash })
    return entry
  }

  /** The newest first. */
  async function entries({ _id: id, pvt_account_id }: Audited, most?: number): Promise<AuditEntry[]> {
    const range = { startKey: [id, {}], endKey: [id], descending: true, includeDocs: true, ...(most === undefined ? {} : { limit: most }) }
    const rows = await store.query(recordingDb(pvt_account_id, id), 'audit/by_recording', range)
    return rows.map(({ doc }) => doc as unknown as AuditEntry)
  }

  const begin = (recording: Audited, details: Readonly<Record<string, unknown>> = {}): Promise<AuditEntry> => {
    const { origins, sha256, size, start } = recording
    const what = { origins, start, ...(sha256 === undefined ? {} : { sha256, size }), ...details }
    return write(recording, chained(recording._id, undefined, { what: 'created', who: { system: 'recorder' }, details: what }, clock.now()))
  }

  async function note(recording: Audited, fact: Fact): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        const told = await entries(recording, fact.what === 'deleted' ? undefined : 1)
        const before = told[0] ?? (await begin(recording))
        const entry = chained(recording._id, before, fact, clock.now())
        if (!isRepeated(before, entry) && !told.some(one => isSameEnd(one, entry))) await write(recording, entry)
        return
      } catch (error) {
        if (!isCode(error, 'datastore_conflict') || tries === MOST_TRIES) throw error
      }
    }
  }

  return {
    note,
    async delivered(recording, details) {
      try {
        await begin(recording, details)
      } catch (error) {
        if (!isCode(error, 'datastore_conflict')) throw error
        await note(recording, { what: 'delivered', who: { system: 'delivery' }, details })
      }
    },
    async read(accountId, id) {
      const rows = await store.query(recordingDb(accountId, id), 'audit/by_recording', { startKey: [id], endKey: [id, {}], includeDocs: true })
      const entries = rows.map(({ doc }) => publicOf(doc as unknown as EntryDoc))
      const broken_at = brokenAt(id, entries)
      return { entries, ...(broken_at === undefined ? {} : { broken_at }) }
    },
  }
}

function publicOf({ seq, at, what, who, from, details, previous, hash }: EntryDoc): AuditEntry {
  return { seq, at, what, who, ...(from === undefined ? {} : { from }), ...(details === undefined ? {} : { details }), previous, hash }
}

function isRepeated(before: AuditEntry, { what, who, from, at, details }: AuditEntry): boolean {
  if (what !== 'listened' && what !== 'downloaded') return false
  const same = before.what === what && before.from === from && isDeepStrictEqual([before.who, before.details], [who, details])
  return same && Date.parse(at) - Date.parse(before.at) < SAME
}

/** Two engines may come to it at once, and one may have died of it: the same wish for the same revision is one. */
const isSameEnd = (before: AuditEntry, { what, who, from, details }: AuditEntry): boolean =>
  what === 'deleted' && before.what === what && before.from === from && isDeepStrictEqual([before.who, before.details], [who, details])
