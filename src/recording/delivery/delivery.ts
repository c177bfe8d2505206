// Takes finished files to where they were to go. The queue is the documents of `recordings_in_flight`,
// the next attempt at each a time in its document. In memory is only who runs now and a list that can be
// read again.

import { setMaxListeners } from 'node:events'
import { reasonOf } from '../../errors.ts'
import type { Query } from '../../store/store.ts'
import { backoff } from '../../net/backoff.ts'
import { createAlarm } from '../alarm.ts'
import { type CarrierPorts, createCarrier } from './carrier.ts'
import { IN_FLIGHT } from '../document.ts'
import { createPatience } from './patience.ts'
import { sorted, takeTurns, type Turn } from './turns.ts'

export type DeliveryPorts = CarrierPorts

export interface Queue {
  queued: number
  /** Of these. */
  due: number
  /** Milliseconds for which the first of these has been due. */
  oldestMs: number
  /** … and since what is queued longest was tried first, or might have been. */
  ageMs: number
}

export interface DeliveryRoom {
  /** Something may be due. Nothing is lost if nobody says so: the queue is read again once a minute. */
  wake(): void
  /** How long the queue is, of all engines: all of it, what of it is due, and for how many milliseconds the first of that has been. */
  queue(): Promise<Queue>
  /** Resolves when all that is due now was tried. */
  idle(): Promise<void>
  /** Breaks off what runs and leaves it due. */
  close(): Promise<void>
}

const VIEW = 'in_flight/due'
const PAGE = 1000
const MINUTE = 60_000

export function startDelivery(ports: DeliveryPorts): DeliveryRoom {
  const { store, clock, log, random, nodes } = ports
  const stop = new AbortController()
  // Every upload that runs listens to it.
  setMaxListeners(0, stop.signal)
  const patience = createPatience({ clock, log, random, signal: stop.signal })
  const carry = createCarrier(ports, patience, stop.signal)
  const running = new Map<string, Turn & { done: Promise<void> }>()
  const proven = new Set<string>()
  let waiting = sorted([])
  let asked = false
  let looking: Promise<void> | undefined
  const alarm = createAlarm(clock, wake)

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
        alarm.set(clock.now() + backoff(0, random()))
      }
      // A long queue is not read over and over for every file that joins it.
      if (asked) await patience.pause(9 * (clock.elapsed() - began))
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
    alarm.set(Math.min(now + MINUTE, typeof later?.key === 'number' ? later.key : Number.POSITIVE_INFINITY))
    return turns
  }

  function start(): void {
    if (stop.signal.aborted) return
    const now = takeTurns(waiting, running.values(), proven)
    waiting = now.waiting
    for (const turn of now.taken) {
      const answered = (took: boolean): unknown => (took ? proven.add(turn.host) : proven.delete(turn.host))
      const again = (at: number): void => (at <= clock.now() ? wake() : alarm.set(at))
      const done = carry(turn.id, { answered, again }).finally(() => {
        running.delete(turn.id)
        start()
      })
      running.set(turn.id, { ...turn, done })
    }
  }

  async function queue(): Promise<Queue> {
    const now = clock.now()
    const [queued, due, [first], [eldest]] = await Promise.all([
      store.reduce(IN_FLIGHT, VIEW),
      store.reduce(IN_FLIGHT, VIEW, { endKey: now }),
      store.query(IN_FLIGHT, VIEW, { endKey: now, limit: 1 }),
      store.query(IN_FLIGHT, 'in_flight/waiting_since', { limit: 1 }),
    ])
    const since = (row: { key: unknown } | undefined): number => (typeof row?.key === 'number' ? Math.max(0, now - row.key) : 0)
    return { queued, due, oldestMs: since(first), ageMs: since(eldest) }
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
      alarm.close()
      // A reading of the queue has nothing to finish, and with a store that says nothing it takes long.
      await Promise.all([...running.values()].map(({ done }) => done))
    },
  }
}
