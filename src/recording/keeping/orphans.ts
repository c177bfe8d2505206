// Looks for files that no document names and documents that nobody finishes, and puts right what can be: the queue gets
// what it has lost, and goes on from there as after any restart. What nobody can know is told and left as it is.

import type { Clock } from '../../clock.ts'
import { isCode, reasonOf } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { monthOf, toGregorian } from '../../store/modb.ts'
import type { Store, Stored } from '../../store/store.ts'
import { amend } from '../amend.ts'
import type { Audit } from './audit.ts'
import { audioFields, IN_FLIGHT, type Recording, recordingDbOf } from '../document.ts'
import type { Tombstone } from './erasure.ts'
import type { Audio } from '../finish.ts'
import { type Fate, fateOf, idOf, queued } from './orphan.ts'
import { filesOf } from './orphan-files.ts'
import type { Spool } from '../spool.ts'
import type { Transcription } from '../transcript.ts'

/** What a sweep found, each with how it is named in the metric `callrec_orphans`. */
export type Orphan =
  | { is: 'foreign'; node: string; file: string }
  | { is: 'unknown'; node: string; file: string }
  | { is: 'file'; node: string; file: string; recording: Stored<Recording | Tombstone>; fate: Fate }
  /** Its document says that it is being made or delivered, and the queue does not know it. */
  | { is: 'document'; node: string; recording: Stored<Recording> }

export interface OrphanPorts {
  store: Store
  spool: Spool
  clock: Clock
}

/** Milliseconds that a file has to lie still: what is younger may be on its way to somebody. */
const SETTLED = 60_000
/** Documents that are asked for at once. */
const AT_ONCE = 200

/** Of the switches named. Rejects where the store or the disk cannot be read. */
export async function* findOrphans(ports: OrphanPorts, nodes: readonly string[]): AsyncGenerator<Orphan> {
  for (const node of nodes) yield* orphanFiles(ports, node)
  yield* orphanDocuments(ports, nodes)
}

async function* orphanFiles({ store, spool, clock }: OrphanPorts, node: string): AsyncGenerator<Orphan> {
  const byMonth = new Map<string, Map<string, string>>()
  for await (const { file, modifiedAt } of filesOf(spool, node)) {
    if (clock.now() - modifiedAt < SETTLED) continue
    const id = idOf(file)
    if (id === undefined) yield { is: 'foreign', node, file }
    else byMonth.set(id.slice(0, 6), (byMonth.get(id.slice(0, 6)) ?? new Map<string, string>()).set(id, file))
  }
  for (const [month, files] of byMonth) {
    const lost = await unqueuedOf(store, [...files.keys()])
    const found = await recordingsOf(store, month, lost)
    for (const id of lost) {
      const file = files.get(id) ?? ''
      // It was delivered while we looked.
      if ((await spool.size(file)) === undefined) continue
      const recording = found.get(id)
      if (recording === undefined) yield { is: 'unknown', node, file }
      else yield { is: 'file', node, file, recording, fate: await fateOf(recording, () => spool.finish(file)) }
    }
  }
}

async function unqueuedOf(store: Store, ids: readonly string[]): Promise<string[]> {
  const missing: string[] = []
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const some = ids.slice(at, at + AT_ONCE)
    const queue = await store.getMany(IN_FLIGHT, some)
    missing.push(...some.filter((_id, nth) => queue[nth] === undefined))
  }
  return missing
}

/** The name of a file does not say whose it is, so each account of that month is asked; there are few such files. */
async function recordingsOf(store: Store, month: string, ids: readonly string[]): Promise<Map<string, Stored<Recording | Tombstone>>> {
  const found = new Map<string, Stored<Recording | Tombstone>>()
  if (ids.length === 0) return found
  for (const db of await monthsOf(store, month)) {
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      const docs = await store.getMany<Recording>(db, ids.slice(at, at + AT_ONCE)).catch(unlessGone)
      for (const doc of docs) if (doc !== undefined) found.set(doc._id, doc)
    }
  }
  return found
}

const monthsOf = async (store: Store, month: string): Promise<string[]> => (await store.databases('account/')).filter(db => db.endsWith(`-${month}`))

function unlessGone(error: unknown): never[] {
  if (isCode(error, 'datastore_missing')) return []
  throw error
}

/** In this month and the one before: what is older was looked at then. */
async function* orphanDocuments({ store, clock }: OrphanPorts, nodes: readonly string[]): AsyncGenerator<Orphan> {
  const now = clock.now()
  const months = [...new Set([now, now - 31 * 86_400_000].map(monthOf))]
  for (const month of months) {
    for (const db of await monthsOf(store, month)) {
      for (const node of nodes) {
        const rows = await store.query(db, 'recordings/unfinished', { key: node, limit: 10_000 }).catch(unlessGone)
        for (const id of await unqueuedOf(
          store,
          rows.map(row => row.id),
        )) {
          // Its document is written before the queue lets go of it: what ended meanwhile says so by now.
          const recording = await store.get<Recording>(db, id)
          if (recording === undefined || recording['pvt_deleted'] === true || recording.delivery?.state === 'stored' || isDropped(recording)) continue
          yield { is: 'document', node, recording }
        }
      }
    }
  }
}

const isDropped = ({ state }: Recording): boolean => state === 'discarded' || state === 'failed'

export interface Orphans {
  /** How many there are now by what they are. Rejects where the store or the disk cannot be read. */
  sweep(): Promise<Readonly<Record<Orphan['is'], number>>>
  /** What the last sweep left as it was. */
  left(): Readonly<Partial<Record<Orphan['is'], number>>>
  close(): Promise<void>
}

export interface SweepPorts extends OrphanPorts {
  audit: Pick<Audit, 'note'>
  log: Log
  metrics: Metrics
  /** Switches whose spool this engine sees and whose calls are its own. */
  nodes: () => readonly string[]
  /** The queue has documents of recordings of that switch which nobody looks after. */
  adopt: (node: string) => void
  deliver: () => void
  /** Seconds between two sweeps. */
  every: number
}

/** Milliseconds after the start: what the last engine left is adopted by then. */
const FIRST = 30_000

export function startOrphans(ports: SweepPorts): Orphans {
  const { store, spool, clock, log, metrics, every } = ports
  let closed = false
  let running: Promise<unknown> = Promise.resolve()
  let left: Partial<Record<Orphan['is'], number>> = {}
  let cancel = clock.after(FIRST, round)

  function round(): void {
    running = sweep()
      .catch((error: unknown) => log.warn('orphans_not_looked_for', { reason: reasonOf(error), again_in_s: every }))
      .then(() => {
        if (!closed) cancel = clock.after(every * 1000, round)
      })
  }

  async function sweep(): Promise<Record<Orphan['is'], number>> {
    const found = { foreign: 0, unknown: 0, file: 0, document: 0 }
    const stays: Partial<Record<Orphan['is'], number>> = {}
    for await (const one of findOrphans(ports, ports.nodes())) {
      if (closed) break
      found[one.is] += 1
      if (!(await mended(one).catch((error: unknown) => unmended(one, error)))) stays[one.is] = (stays[one.is] ?? 0) + 1
    }
    left = stays
    return found
  }

  function unmended(one: Orphan, error: unknown): false {
    log.error('orphan_not_adopted', { ...about(one), reason: reasonOf(error) })
    return false
  }

  /** False where it is left as it is. */
  async function mended(one: Orphan): Promise<boolean> {
    if (one.is === 'foreign' || one.is === 'unknown') {
      log.warn('orphan_file_found', { ...about(one), todo: CURES[one.is] })
      return false
    }
    if (one.is === 'document') return requeue(one.recording, one.node)
    const { fate, recording, file } = one
    switch (fate.is) {
      case 'kept':
        return true
      case 'unqueued':
        return requeue(recording as Stored<Recording>, one.node)
      case 'found':
        return revive(recording as Stored<Recording>, one)
      case 'different':
        log.error('orphan_file_found', { ...about(one), todo: 'it is not what was delivered: compare the two, and remove it by hand' })
        return false
      case 'delivered':
        await spool.remove(file)
        return done(one, 'removed', 'it was delivered')
      case 'unwanted':
        if (fate.why === 'erased')
          await ports.audit.note(recording as Recording, {
            what: 'deleted',
            who: { system: 'orphans' },
            details: { file, reason: 'left behind by its erasure' },
          })
        await spool.remove(file)
        return done(one, 'removed', fate.why)
    }
  }

  function done(one: Orphan, outcome: 'adopted' | 'removed', reason: string): true {
    metrics.count('callrec_orphans_total', { outcome })
    log.warn(`orphan_${outcome}`, { ...about(one), reason })
    return true
  }

  async function requeue(recording: Stored<Recording>, node: string): Promise<boolean> {
    const item = queued(recording, node, clock.now())
    try {
      await store.put(IN_FLIGHT, item)
    } catch (error) {
      // Somebody else was quicker.
      if (isCode(error, 'datastore_conflict')) return true
      throw error
    }
    if (item.delivery === undefined) ports.adopt(node)
    else ports.deliver()
    return done({ is: 'document', node, recording }, 'adopted', 'the queue did not know it')
  }

  /** It failed because the file was not there; now it is. */
  async function revive(recording: Stored<Recording>, one: Extract<Orphan, { is: 'file' }>): Promise<boolean> {
    const audio = (await spool.finish(one.file)) as Audio | undefined
    if (audio === undefined) return true
    const warning = `it was failed (${recording.reason}) until its file was found on ${new Date(clock.now()).toISOString()}`
    const revived = await amend<Recording>(store, recordingDbOf({ _id: recording._id, account_id: recording.pvt_account_id }), recording._id, current => {
      if (current.state !== 'failed') return undefined
      const { reason: _, ...rest } = current
      const wanted = current.transcription === undefined ? {} : { transcription: dueAgain(current.transcription) }
      const warnings = [...(current.warnings ?? []), warning]
      return { ...rest, ...audioFields(audio), ...wanted, state: 'stopped', warnings, pvt_modified: toGregorian(clock.now()) }
    })
    return revived?.state === 'stopped' ? requeue(revived, one.node) : true
  }

  return {
    sweep,
    left: () => left,
    async close() {
      closed = true
      cancel()
      await running
    },
  }
}

const dueAgain = ({ language, sentiment }: Transcription): Transcription => ({ language, sentiment, state: 'due' })

const CURES = {
  foreign: 'callrec did not write it: move it out of RECORDING_DIR',
  unknown: 'no account of this store has its recording: was the store restored from an older backup? Keep the file elsewhere',
}

const about = (one: Orphan): Record<string, unknown> => ({
  node: one.node,
  ...('file' in one ? { file: one.file } : {}),
  ...('recording' in one ? { recording_id: one.recording._id, account_id: one.recording.pvt_account_id } : {}),
})
