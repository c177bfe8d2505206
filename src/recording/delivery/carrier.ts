// One file's way to its destination: the attempt is written down before it is made, and what came of it
// before the next is thought of. What a crash left `uploading` is due again.

import type { Clock } from '../../clock.ts'
import { isCode, reasonOf } from '../../errors.ts'
import type { Events, RecordingEventName } from '../../events.ts'
import type { Log } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import { backoff, nextAttempt } from '../../net/backoff.ts'
import type { TenantClient } from '../../net/client.ts'
import { accountDb, toGregorian } from '../../store/modb.ts'
import type { Store, Stored } from '../../store/store.ts'
import { amend } from '../amend.ts'
import type { Audit } from '../keeping/audit.ts'
import type { Outcome } from './cargo.ts'
import { attach, ship } from './destinations.ts'
import { type Delivery, IN_FLIGHT, type InFlight, type Recording, recordingDbOf, shown, STORE } from '../document.ts'
import type { Patience } from './patience.ts'
import type { Spool } from '../spool.ts'
import { nameOf, needsStorage, STORAGE, type StorageDocument, type Target, targetOf } from '../storage.ts'
import type { Directories } from './to-directory.ts'
import { toldOf } from '../told.ts'

export interface CarrierPorts {
  store: Store
  spool: Spool
  http: TenantClient
  audit: Pick<Audit, 'delivered'>
  /** The wall's, whatever the speed of calls: destinations are real. */
  clock: Clock
  log: Log
  metrics: Metrics
  random: () => number
  /** What was said in a file that has arrived is wanted as text, where its document says so. */
  transcribe: (recording: Recording) => Promise<void>
  /** Told when a file has arrived, or never will. */
  events: Pick<Events, 'tell'>
  /** Where files may be put on this machine. */
  directories: Directories
  /** Switches whose spool this engine sees. */
  nodes: () => readonly string[]
}

export interface CarrierEvents {
  /** What the destination of the file is good for now. */
  answered(took: boolean): void
  /** Unix milliseconds at which the queue should be looked at again. */
  again(at: number): void
}

type Claimed = Stored<InFlight> & { delivery: Delivery }
type Routed = Claimed & { target: Target }

/** Makes one attempt at what stands in the queue under an id. Never rejects: what fails here is still in the queue. */
export type Carry = (id: string, on: CarrierEvents) => Promise<void>

export function createCarrier(ports: CarrierPorts, patience: Patience, signal: AbortSignal): Carry {
  const { store, spool, http, audit, clock, log, metrics, random, events, directories, nodes, transcribe } = ports
  const insist = <T>(step: () => Promise<T>): Promise<T> => patience.insist(step)

  const carry: Carry = async (id, on) => {
    try {
      const claimed = await claim(id, on)
      if (claimed === undefined) return
      metrics.count('callrec_delivery_attempts_total', {})
      const outcome = await attempt(claimed, claimed.target).catch(error => ({ is: 'later' as const, reason: reasonOf(error) }))
      if (outcome.is === 'stored' || outcome.is === 'later') on.answered(outcome.is === 'stored')
      await settle(claimed, signal.aborted && outcome.is === 'later' ? { is: 'broken off' } : outcome, on)
    } catch (error) {
      log.warn('delivery_postponed', { recording_id: id, reason: reasonOf(error) })
      on.again(clock.now() + backoff(0, random()))
    }
  }

  /** Writes the attempt down; undefined when it is not ours to make (any more). */
  async function claim(id: string, on: CarrierEvents): Promise<Routed | undefined> {
    const item = await store.get<InFlight>(IN_FLIGHT, id)
    const delivery = item?.delivery
    if (item === undefined || delivery === undefined || item.state !== 'stopped' || !nodes().includes(item.node)) return undefined
    const now = clock.now()
    if ((delivery.state !== 'due' && delivery.state !== 'uploading') || (delivery.next_at ?? 0) > now) return undefined
    const target = await targetNow(item)
    const destination = nameOf(target) ?? delivery.destination
    // It is some other destination's turn that was taken.
    const moved = destination !== delivery.destination
    const attempts = { state: 'uploading' as const, attempts: delivery.attempts + 1, since: delivery.since ?? now }
    const claimed = { ...item, delivery: { ...delivery, destination, ...(moved ? {} : attempts) } }
    try {
      const _rev = await store.put(IN_FLIGHT, claimed)
      if (!moved) return { ...claimed, _rev, target }
      on.again(now)
      return undefined
    } catch (error) {
      if (isCode(error, 'datastore_conflict')) return undefined
      throw error
    }
  }

  async function targetNow({ settings, account_id }: InFlight): Promise<Target> {
    return targetOf(settings, needsStorage(settings) ? await store.get<StorageDocument>(accountDb(account_id), STORAGE).catch(unlessGone) : undefined)
  }

  async function attempt(item: Claimed, target: Target): Promise<Outcome | { is: 'unwanted' }> {
    const recording = await tell(item, item.delivery)
    if (recording === undefined) return { is: 'never', reason: 'its recording document is gone' }
    if (recording['pvt_deleted'] === true) return { is: 'unwanted' }
    // It arrived, and we were stopped before the queue knew.
    if (recording.delivery?.state === 'stored') return { is: 'stored', location: recording.delivery.location ?? '' }
    const found = await onDisk(item, recording)
    if (found === undefined) return { is: 'never', reason: 'the recorded file is not in the spool' }
    return ship({ recording, target, file: item.file, ...found }, { store, spool, http, directories, now: () => clock.now() }, signal)
  }

  /** The recorder read the file when it ended; only if it has changed since is it read again. */
  async function onDisk({ file }: Claimed, { size, sha256 }: Recording): Promise<{ size: number; sha256: string } | undefined> {
    const there = await spool.size(file)
    if (there === undefined || there !== size || sha256 === undefined) return spool.finish(file)
    return { size, sha256 }
  }

  async function settle(item: Claimed, outcome: Outcome | { is: 'unwanted' | 'broken off' }, on: CarrierEvents): Promise<void> {
    const { next_at: _, last_error: __, ...delivery } = item.delivery
    const now = clock.now()
    const facts = { recording_id: item._id, account_id: item.account_id, destination: delivery.destination, attempts: delivery.attempts }
    switch (outcome.is) {
      case 'stored': {
        const recording = await arrived(item, { ...delivery, state: 'stored', stored_at: new Date(now).toISOString(), location: outcome.location })
        await announce('recording.stored', item)
        if (recording !== undefined) await insist(() => transcribe(recording))
        await leave(item)
        count('stored')
        return log.info('delivery_stored', facts)
      }
      case 'unwanted':
        await leave(item)
        count('dropped')
        return log.info('delivery_dropped', { ...facts, reason: 'the recording was deleted' })
      case 'broken off':
        return both(item, { ...item.delivery, state: 'due', attempts: delivery.attempts - 1, next_at: now })
      case 'later': {
        const next_at = nextAttempt({ attempts: delivery.attempts, since: delivery.since ?? now, now, random: random(), askedMs: outcome.askedMs })
        if (next_at === undefined) return settle(item, { is: 'never', reason: `given up after 72 h: ${outcome.reason}` }, on)
        await both(item, { ...delivery, state: 'due', next_at, last_error: outcome.reason })
        count('postponed')
        log.warn('delivery_postponed', { ...facts, reason: outcome.reason, next_at: new Date(next_at).toISOString() })
        return on.again(next_at)
      }
      case 'never':
        await both(item, { ...delivery, state: 'failed', last_error: outcome.reason }, () => announce('recording.failed', item))
        count('failed')
        return log.error('delivery_failed', { ...facts, reason: outcome.reason, kept: item.file })
    }
  }

  const count = (outcome: string): void => metrics.count('callrec_deliveries_total', { outcome })

  /** Before the queue forgets it, so that a crash in between says it twice rather than never. */
  async function announce(event: RecordingEventName, item: Claimed): Promise<void> {
    const recording = await store.get<Recording>(recordingDbOf(item), item._id).catch(() => undefined)
    if (recording !== undefined && recording['pvt_deleted'] !== true) await events.tell(toldOf(event, recording, clock.now()))
  }

  /** Undefined where it was deleted meanwhile. */
  async function arrived(item: Claimed, delivery: Delivery): Promise<Recording | undefined> {
    const recording = await insist(() => tell(item, delivery))
    if (recording === undefined || recording['pvt_deleted'] === true) return undefined
    await insist(() => audit.delivered(recording, { destination: delivery.destination, location: delivery.location, stored_at: delivery.stored_at }))
    if (recording.legal_hold === true && delivery.destination !== STORE) await insist(() => keepCopy(item, recording))
    return recording
  }

  /** What is held is not only in the hands of whoever it was delivered to. */
  async function keepCopy({ file }: Claimed, recording: Stored<Recording>): Promise<void> {
    const size = await spool.size(file)
    if (size !== undefined) await attach({ recording, file, size }, { store, spool })
  }

  /** The file first: once it is out of the queue nobody would look for it again. */
  async function leave(item: Claimed): Promise<void> {
    await spool.remove(item.file).catch(error => log.error('spool_file_not_removed', { recording_id: item._id, file: item.file, reason: reasonOf(error) }))
    await insist(() => store.purge(IN_FLIGHT, item._id))
  }

  /** The queue decides what happens next, so it must learn of it even where the recording document cannot. */
  async function both(item: Claimed, delivery: Delivery, between: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    await insist(() => tell(item, delivery)).catch(error => log.error('delivery_untold', { recording_id: item._id, reason: reasonOf(error) }))
    await between()
    await insist(() => amend<InFlight>(store, IN_FLIGHT, item._id, current => ({ ...current, delivery })))
  }

  /** Writes the delivery into the recording document, unless it says `stored` already or was deleted. */
  const tell = (item: Claimed, delivery: Delivery): Promise<Stored<Recording> | undefined> =>
    amend<Recording>(store, recordingDbOf(item), item._id, current =>
      current['pvt_deleted'] === true || current.delivery?.state === 'stored'
        ? undefined
        : { ...current, delivery: shown(delivery), pvt_modified: toGregorian(clock.now()) },
    )

  return carry
}

/** The account's database went while its last files were on their way. */
function unlessGone(error: unknown): undefined {
  if (isCode(error, 'datastore_missing')) return undefined
  throw error
}
