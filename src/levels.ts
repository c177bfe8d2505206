// What nobody counts because it can be asked for: states of neighbours and lengths of queues, read
// from the rooms at each scrape of /metrics.

import type { Executor } from './callflow/executor.ts'
import type { Meters } from './metrics.ts'
import type { DeliveryRoom } from './recording/delivery/delivery.ts'
import type { Orphans } from './recording/keeping/orphans.ts'
import type { Spool } from './recording/spool.ts'
import type { Transcribing } from './recording/transcripts/transcribing.ts'
import type { Store } from './store/store.ts'
import type { NodeState, Switches } from './switch/switch.ts'

export interface Rooms {
  store: Pick<Store, 'ping'>
  spool: Pick<Spool, 'free'>
  switches: Pick<Switches, 'nodes'>
  delivery: Pick<DeliveryRoom, 'queue'>
  executor: Pick<Executor, 'calls'>
  orphans: Pick<Orphans, 'left'>
  transcribing: Pick<Transcribing, 'queued'>
}

const STATES: readonly NodeState[] = ['connecting', 'up', 'standby', 'down', 'auth_failed']

const alone = (value: number) => [{ labels: {}, value }]

export function readLevels(metrics: Meters, { store, spool, switches, delivery, executor, orphans, transcribing }: Rooms): void {
  const statuses = () => switches.nodes.map(node => node.status())
  const counted = (what: 'connects' | 'pending' | 'events' | 'dropped') => () =>
    statuses().map(({ name, counters }) => ({ labels: { switch: name }, value: counters?.[what] ?? 0 }))

  metrics.read('callrec_switch_state', () =>
    statuses().flatMap(({ name, state }) => STATES.map(one => ({ labels: { switch: name, state: one }, value: Number(one === state) }))),
  )
  metrics.read('callrec_switch_connects_total', counted('connects'))
  metrics.read('callrec_switch_pending', counted('pending'))
  metrics.read('callrec_switch_events_total', counted('events'))
  metrics.read('callrec_switch_events_dropped_total', counted('dropped'))
  metrics.read('callrec_store_up', () =>
    store.ping().then(
      () => alone(1),
      () => alone(0),
    ),
  )
  metrics.read('callrec_calls', () => alone(executor.calls()))
  metrics.read('callrec_deliveries_queued', async () => alone((await delivery.queue()).queued))
  metrics.read('callrec_deliveries_due', async () => alone((await delivery.queue()).due))
  metrics.read('callrec_delivery_oldest_due_seconds', async () => alone((await delivery.queue()).oldestMs / 1000))
  metrics.read('callrec_delivery_oldest_seconds', async () => alone((await delivery.queue()).ageMs / 1000))
  metrics.read('callrec_transcripts_queued', async () => alone(await transcribing.queued()))
  metrics.read('callrec_orphans', () => Object.entries(orphans.left()).map(([kind, value]) => ({ labels: { kind }, value })))
  metrics.read('callrec_spool_free_bytes', async () => alone(await spool.free()))
}
