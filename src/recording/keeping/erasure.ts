// The end of a recording: its audio is destroyed wherever callrec holds it (store, spool), and a tombstone
// stays in its document: ids, times, hash, who and why, and where copies were delivered, which are not ours.

import type { Clock } from '../../clock.ts'
import { AppError, isCode } from '../../errors.ts'
import type { Metrics } from '../../metrics.ts'
import { toGregorian } from '../../store/modb.ts'
import type { Store, Stored } from '../../store/store.ts'
import type { Audit } from './audit.ts'
import type { Actor } from './audit-chain.ts'
import { IN_FLIGHT, type InFlight, type Recording, recordingDbOf, STORE, type VoiceFacts } from '../document.ts'
import { fileOf } from '../new-recording.ts'
import { mustNotBeHeld } from './hold.ts'
import type { Spool } from '../spool.ts'

export interface Wish {
  who: Actor
  /** Address of the client. */
  from?: string
  reason: string
}

export interface Erasure {
  /**
   * Answers the tombstone. Throws `legal_hold`; `wrong_state` while it is made or delivered; `datastore_conflict` when the document is
   * no longer the one given.
   */
  erase(recording: Stored<Recording>, wish: Wish): Promise<Stored<Tombstone>>
  /** The database of a recording lets go of what deleted documents still hold in its files. */
  compact(recording: Pick<Recording, '_id' | 'pvt_account_id'>): Promise<void>
}

export interface ErasurePorts {
  store: Store
  spool: Pick<Spool, 'remove'>
  audit: Pick<Audit, 'note'>
  clock: Clock
  metrics: Metrics
  /** Switches whose spool this engine sees. */
  nodes: () => readonly string[]
  /** Something in the queue is due. */
  deliver: () => void
  /** Whoever makes something of it lets go of it. */
  forget: (id: string) => Promise<void>
}

const KEPT = [
  '_id',
  'pvt_type',
  'pvt_account_id',
  'pvt_created',
  'pvt_node',
  'owner_id',
  'endpoint_id',
  'call_id',
  'cdr_id',
  'group_id',
  'name',
  'state',
  'start',
  'duration_ms',
  'media_type',
  'size',
  'sha256',
] as const

/** What is left: nothing that says who talked, and no audio. */
export type Tombstone = Pick<Recording, (typeof KEPT)[number]> & {
  /** By which a voice application asks for it. */
  pvt_voice?: Pick<VoiceFacts, 'file_uuid' | 'application_id'> & { transcript?: { file_uuid: string } }
  pvt_deleted: true
  pvt_modified: number
  deleted: {
    /** ISO 8601. */
    at: string
    who: Actor
    reason: string
    /** A copy that is not callrec's to destroy. */
    delivered?: { to: string; at: string }
    /** Recording servers (SIPREC) that heard it. */
    servers?: string[]
  }
}

export function tombstoneOf(recording: Recording, { who, reason }: Wish, now: number): Tombstone {
  const { delivery, pvt_voice } = recording
  const kept = Object.fromEntries(KEPT.flatMap(field => (recording[field] === undefined ? [] : [[field, recording[field]]])))
  const elsewhere = delivery?.state === 'stored' && delivery.destination !== STORE
  const delivered = elsewhere ? { delivered: { to: delivery.location ?? delivery.destination, at: delivery.stored_at ?? '' } } : {}
  const heardBy = serversOf(recording['servers'])
  return {
    ...(kept as Pick<Recording, (typeof KEPT)[number]>),
    ...(pvt_voice === undefined ? {} : { pvt_voice: knownBy(pvt_voice) }),
    pvt_deleted: true,
    pvt_modified: toGregorian(now),
    deleted: { at: new Date(now).toISOString(), who, reason, ...delivered, ...(heardBy.length === 0 ? {} : { servers: heardBy }) },
  }
}

const knownBy = ({ file_uuid, application_id, transcript }: VoiceFacts): Tombstone['pvt_voice'] & object => ({
  file_uuid,
  ...(application_id === undefined ? {} : { application_id }),
  ...(transcript === undefined ? {} : { transcript: { file_uuid: transcript.file_uuid } }),
})

const serversOf = (servers: unknown): string[] => (Array.isArray(servers) ? servers.map(({ uri }: { uri: string }) => uri) : [])

export function createErasure({ store, spool, audit, clock, metrics, nodes, deliver, forget }: ErasurePorts): Erasure {
  async function erase(recording: Stored<Recording>, wish: Wish): Promise<Stored<Tombstone>> {
    mustNotBeHeld(recording)
    const item = await store.get<InFlight>(IN_FLIGHT, recording._id)
    if (item !== undefined && !isAtRest(item)) throw new AppError('wrong_state', 'the recording is still being made or delivered', { state: recording.state })
    const { who, from, reason } = wish
    await audit.note(recording, { what: 'deleted', who, ...(from === undefined ? {} : { from }), details: { reason, revision: recording._rev } })
    const tombstone = tombstoneOf(recording, wish, clock.now())
    // A document that is put without them has no attachments any more.
    const _rev = await store.put(recordingDbOf(placed(recording)), { ...tombstone, _rev: recording._rev })
    await destroyFile(recording, item)
    if (recording.transcription !== undefined) await forget(recording._id)
    metrics.count('callrec_recordings_erased_total', { by: 'system' in who ? who.system : 'request' })
    return { ...tombstone, _rev }
  }

  /** A file in the spool that another engine sees is its to remove: its delivery drops what has no recording any more. */
  async function destroyFile(recording: Recording, item: Stored<InFlight> | undefined): Promise<void> {
    const left = item ?? leftBehind(recording)
    if (left === undefined) return
    if (nodes().includes(left.node)) {
      await spool.remove(left.file)
      if (item !== undefined) await store.purge(IN_FLIGHT, item._id)
      return
    }
    const delivery = { destination: STORE, attempts: 0, ...left.delivery, state: 'due' as const, next_at: clock.now() }
    await store.put(IN_FLIGHT, { ...left, delivery }).catch((error: unknown) => {
      // Its engine is at it, and finds the tombstone.
      if (!isCode(error, 'datastore_conflict')) throw error
    })
    deliver()
  }

  return { erase, compact: recording => store.compact(recordingDbOf(placed(recording))) }
}

const placed = ({ _id, pvt_account_id }: Pick<Recording, '_id' | 'pvt_account_id'>) => ({ _id, account_id: pvt_account_id })

const isAtRest = ({ state, delivery }: InFlight): boolean => state === 'stopped' && (delivery?.state === 'failed' || delivery?.state === 'due')

/** The file of a recording that failed stays in the spool, and nothing waits for it. */
function leftBehind(recording: Recording): InFlight | undefined {
  const { _id, pvt_account_id: account_id, pvt_node: node, call_id: leg, state, policy: settings } = recording
  if (state !== 'failed' || node === undefined) return undefined
  return { _id, account_id, node, leg, side: 'caller', state: 'stopped', file: fileOf({ id: _id, node, format: recording.media_type }), settings, origins: [] }
}
