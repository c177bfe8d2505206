// Takes finished files to where they were to go. The queue is the documents of `recordings_in_flight`:
// an attempt is written down before it is made, the next one is a time in the document, and what a
// crash left `uploading` is due again. In memory is only who runs now and a list that can be read again.

import { setMaxListeners } from 'node:events'
import type { Clock } from '../clock.ts'
import { AppError, isCode, reasonOf } from '../errors.ts'
import type { Events, RecordingEventName } from '../events.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { TenantClient } from '../net/client.ts'
import { toGregorian } from '../store/modb.ts'
import type { Doc, Query, Store, Stored } from '../store/store.ts'
import { backoff, nextAttempt } from '../net/backoff.ts'
import { type Outcome, ship } from './destinations.ts'
import { type Delivery, IN_FLIGHT, type InFlight, type Recording, recordingDbOf, shown } from './document.ts'
import type { Spool } from './spool.ts'
import { toldOf } from './told.ts'
import { sorted, takeTurns, type Turn } from './turns.ts'

export interface DeliveryPorts {
  store: Store
  spool: Spool
  http: TenantClient
  /** The wall's, whatever the speed of calls: destinations are real. */
  clock: Clock
  log: Log
  metrics: Metrics
  random: () => number
  /** Told when a file has arrived, or never will. */
  events: Pick<Events, 'tell'>
  /** Switches whose spool this engine sees. */
  nodes: () => readonly string[]
}

export interface DeliveryRoom {
  /** Something may be due. Nothing is lost if nobody says so: the queue is read again once a minute. */
  wake(): void
  /** How long the queue is, of all engines: all of it, what of it is due, and for how many milliseconds the first of that has been. */
  queue(): Promise<{ queued: number; due: number; oldestMs: number }>
  /** Resolves when all that is due now was tried. */
  idle(): Promise<void>
  /** Breaks off what runs and leaves it due. */
  close(): Promise<void>
}

type Claimed = Stored<InFlight> & { delivery: Delivery }

const VIEW = 'in_flight/due'
const PAGE = 1000
const MINUTE = 60_000
/** Of one step against the store, before it is left to the next attempt. */
const MOST_TRIES = 10

export function startDelivery({ store, spool, http, clock, log, metrics, random, events, nodes }: DeliveryPorts): DeliveryRoom {
  const stop = new AbortController()
  // Every upload that runs listens to it.
  setMaxListeners(0, stop.signal)
  const running = new Map<string, Turn & { done: Promise<void> }>()
  const proven = new Set<string>()
  let waiting = sorted([])
  let asked = false
  let looking: Promise<void> | undefined
  let timer: { at: number; cancel: () => void } | undefined

  function wake(): void {
    if (stop.signal.aborted) return
    asked = true
    looking ??= look()
  }

  async function look(): Promise<void> {
    while (asked && !stop.signal.aborted) {
      asked = false
      const began = clock.elapsed()
      try {
        // What was taken from the old list while the new one was read stands in both.
        waiting = sorted((await readQueue()).filter(({ id }) => !running.has(id)))
        start()
      } catch (error) {
        log.warn('delivery_queue_unreadable', { reason: reasonOf(error) })
        wakeAt(clock.now() + backoff(0, random()))
      }
      // A long queue is not read over and over for every file that joins it.
      if (asked) await pause(9 * (clock.elapsed() - began))
    }
    looking = undefined
  }

  async function readQueue(): Promise<Turn[]> {
    const now = clock.now()
    const mine = new Set(nodes())
    const turns: Turn[] = []
    let from: Query = {}
    for (;;) {
      const rows = await store.query<{ node: string; host: string }>(IN_FLIGHT, VIEW, { endKey: now, limit: PAGE, ...from })
      for (const { id, value } of rows) {
        if (mine.has(value.node)) turns.push({ id, host: value.host })
      }
      const last = rows.at(-1)
      if (last === undefined || rows.length < PAGE) break
      from = { startKey: last.key, startId: last.id, skip: 1 }
    }
    const [later] = await store.query(IN_FLIGHT, VIEW, { startKey: now + 1, limit: 1 })
    wakeAt(Math.min(now + MINUTE, typeof later?.key === 'number' ? later.key : Number.POSITIVE_INFINITY))
    return turns
  }

  function wakeAt(at: number): void {
    if (stop.signal.aborted || (timer !== undefined && timer.at <= at)) return
    timer?.cancel()
    const cancel = clock.after(at - clock.now(), () => {
      timer = undefined
      wake()
    })
    timer = { at, cancel }
  }

  function start(): void {
    if (stop.signal.aborted) return
    const now = takeTurns(waiting, running.values(), proven)
    waiting = now.waiting
    for (const turn of now.taken) {
      const done = deliver(turn).finally(() => {
        running.delete(turn.id)
        start()
      })
      running.set(turn.id, { ...turn, done })
    }
  }

  /** Never rejects: what fails here is still in the queue. */
  async function deliver({ id, host }: Turn): Promise<void> {
    try {
      const claimed = await claim(id)
      if (claimed === undefined) return
      metrics.count('callrec_delivery_attempts_total', {})
      const outcome = await attempt(claimed).catch(error => ({ is: 'later' as const, reason: reasonOf(error) }))
      if (outcome.is === 'stored') proven.add(host)
      if (outcome.is === 'later') proven.delete(host)
      await settle(claimed, stop.signal.aborted && outcome.is === 'later' ? { is: 'broken off' } : outcome)
    } catch (error) {
      log.warn('delivery_postponed', { recording_id: id, reason: reasonOf(error) })
      wakeAt(clock.now() + MINUTE)
    }
  }

  /** Writes the attempt down; undefined when it is not ours to make (any more). */
  async function claim(id: string): Promise<Claimed | undefined> {
    const item = await store.get<InFlight>(IN_FLIGHT, id)
    const delivery = item?.delivery
    if (item === undefined || delivery === undefined || item.state !== 'stopped' || !nodes().includes(item.node)) return undefined
    const now = clock.now()
    if ((delivery.state !== 'due' && delivery.state !== 'uploading') || (delivery.next_at ?? 0) > now) return undefined
    const claimed = { ...item, delivery: { ...delivery, state: 'uploading' as const, attempts: delivery.attempts + 1, since: delivery.since ?? now } }
    try {
      return { ...claimed, _rev: await store.put(IN_FLIGHT, claimed) }
    } catch (error) {
      if (isCode(error, 'datastore_conflict')) return undefined
      throw error
    }
  }

  async function attempt(item: Claimed): Promise<Outcome | { is: 'unwanted' }> {
    const recording = await tell(item, item.delivery)
    if (recording === undefined) return { is: 'never', reason: 'its recording document is gone' }
    if (recording.pvt_deleted === true) return { is: 'unwanted' }
    // It arrived, and we were stopped before the queue knew.
    if (recording.delivery?.state === 'stored') return { is: 'stored', location: recording.delivery.location ?? '' }
    const found = await onDisk(item, recording)
    if (found === undefined) return { is: 'never', reason: 'the recorded file is not in the spool' }
    return ship({ recording, settings: item.settings, file: item.file, ...found }, { store, spool, http, clock }, stop.signal)
  }

  /** The recorder read the file when it ended; only if it has changed since is it read again. */
  async function onDisk({ file }: Claimed, { size, sha256 }: Recording): Promise<{ size: number; sha256: string } | undefined> {
    const there = await spool.size(file)
    if (there === undefined || there !== size || sha256 === undefined) return spool.finish(file)
    return { size, sha256 }
  }

  async function settle(item: Claimed, outcome: Outcome | { is: 'unwanted' | 'broken off' }): Promise<void> {
    const { next_at: _, last_error: __, ...delivery } = item.delivery
    const now = clock.now()
    const facts = { recording_id: item._id, account_id: item.account_id, destination: delivery.destination, attempts: delivery.attempts }
    switch (outcome.is) {
      case 'stored':
        await insist(() => tell(item, { ...delivery, state: 'stored', stored_at: new Date(now).toISOString(), location: outcome.location }))
        await announce('recording.stored', item)
        await leave(item)
        count('stored')
        return log.info('delivery_stored', facts)
      case 'unwanted':
        await leave(item)
        count('dropped')
        return log.info('delivery_dropped', { ...facts, reason: 'the recording was deleted' })
      case 'broken off':
        return both(item, { ...item.delivery, state: 'due', attempts: delivery.attempts - 1, next_at: now })
      case 'later': {
        const next_at = nextAttempt({ attempts: delivery.attempts, since: delivery.since ?? now, now, random: random(), askedMs: outcome.askedMs })
        if (next_at === undefined) return settle(item, { is: 'never', reason: `given up after 72 h: ${outcome.reason}` })
        await both(item, { ...delivery, state: 'due', next_at, last_error: outcome.reason })
        count('postponed')
        log.warn('delivery_postponed', { ...facts, reason: outcome.reason, next_at: new Date(next_at).toISOString() })
        return wakeAt(next_at)
      }
      case 'never':
        await both(item, { ...delivery, state: 'failed', last_error: outcome.reason })
        await announce('recording.failed', item)
        count('failed')
        return log.error('delivery_failed', { ...facts, reason: outcome.reason, kept: item.file })
    }
  }

  const count = (outcome: string): void => metrics.count('callrec_deliveries_total', { outcome })

  /** Before the queue forgets it, so that a crash in between says it twice rather than never. */
  async function announce(event: RecordingEventName, item: Claimed): Promise<void> {
    const recording = await store.get<Recording>(recordingDbOf(item), item._id).catch(() => undefined)
    if (recording !== undefined) await events.tell(toldOf(event, recording, clock.now()))
  }

  /** The file first: once it is out of the queue nobody would look for it again. */
  async function leave(item: Claimed): Promise<void> {
    await spool.remove(item.file).catch(error => log.error('spool_file_not_removed', { recording_id: item._id, file: item.file, reason: reasonOf(error) }))
    await insist(() => store.purge(IN_FLIGHT, item._id))
  }

  /** The queue decides what happens next, so it must learn of it even where the recording document cannot. */
  async function both(item: Claimed, delivery: Delivery): Promise<void> {
    await insist(() => tell(item, delivery)).catch(error => log.error('delivery_untold', { recording_id: item._id, reason: reasonOf(error) }))
    await insist(() => amend<InFlight>(IN_FLIGHT, item._id, current => ({ ...current, delivery })))
  }

  /** Writes the delivery into the recording document, unless it says `stored` already or was deleted. */
  const tell = (item: Claimed, delivery: Delivery): Promise<Stored<Recording> | undefined> =>
    amend<Recording>(recordingDbOf(item), item._id, current =>
      current.pvt_deleted === true || current.delivery?.state === 'stored'
        ? undefined
        : { ...current, delivery: shown(delivery), pvt_modified: toGregorian(clock.now()) },
    )

  /** Reads, changes and writes until nobody else wrote in between. Undefined when there is no such document; a change of undefined changes nothing. */
  async function amend<T extends Doc>(
    db: string,
    id: string,
    change: (current: T & { _rev: string }) => T | undefined,
  ): Promise<(T & { _rev: string }) | undefined> {
    for (let tries = 1; ; tries++) {
      try {
        const current = await store.get<T>(db, id)
        const changed = current === undefined ? undefined : change(current)
        return changed === undefined ? current : { ...changed, _rev: await store.put(db, changed) }
      } catch (error) {
        if (isCode(error, 'datastore_missing')) return undefined
        if (!isCode(error, 'datastore_conflict') || tries === MOST_TRIES) throw error
      }
    }
  }

  /** What was done outside must not be forgotten because the store is away for a while: it would be done again. */
  async function insist<T>(step: () => Promise<T>): Promise<T> {
    for (let tries = 0; ; tries++) {
      try {
        return await step()
      } catch (error) {
        if (stop.signal.aborted || tries === MOST_TRIES || !(error instanceof AppError) || !error.retry) throw error
        log.warn('delivery_store_away', { reason: reasonOf(error) })
        await pause(Math.min(MINUTE, backoff(tries, random())))
      }
    }
  }

  function pause(ms: number): Promise<void> {
    if (ms <= 0 || stop.signal.aborted) return Promise.resolve()
    return new Promise(resolve => {
      const cancel = clock.after(ms, done)
      stop.signal.addEventListener('abort', done, { once: true })
      function done(): void {
        cancel()
        stop.signal.removeEventListener('abort', done)
        resolve()
      }
    })
  }

  async function queue(): Promise<{ queued: number; due: number; oldestMs: number }> {
    const now = clock.now()
    const [queued, due, [first]] = await Promise.all([
      store.reduce(IN_FLIGHT, VIEW),
      store.reduce(IN_FLIGHT, VIEW, { endKey: now }),
      store.query(IN_FLIGHT, VIEW, { endKey: now, limit: 1 }),
    ])
    return { queued, due, oldestMs: typeof first?.key === 'number' ? now - first.key : 0 }
  }

  async function idle(): Promise<void> {
    for (;;) {
      const busy = [looking, ...[...running.values()].map(({ done }) => done)].filter(one => one !== undefined)
      if (busy.length === 0) return
      await Promise.all(busy)
    }
  }

  wake()
  return {
    wake,
    queue,
    idle,
    async close() {
      stop.abort()
      timer?.cancel()
      // A reading of the queue has nothing to finish, and with a store that says nothing it takes long.
      await Promise.all([...running.values()].map(({ done }) => done))
    },
  }
}
