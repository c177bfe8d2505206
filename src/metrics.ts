// What callrec measures, in one table: names, help texts (with units) and labels, as Prometheus reads
// them. Whoever can reach the API may read it, so no label ever carries an id of an account, a call or
// a person, and no address. Rooms count through the `Metrics` they are given; levels are read at a scrape.

import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import { type Clock, within } from './clock.ts'

/** Counted by the rooms as it happens. */
export const COUNTED = {
  callrec_recordings_total: {
    help: 'Recordings by what became of them: started (the switch said so), then stopped (there is a file), discarded or failed, with the reason',
    labels: ['outcome', 'reason'],
  },
  callrec_recording_facts_repeated_total: { help: 'What a switch told of a recording again, or too late to change anything', labels: ['fact'] },
  callrec_recordings_stalled_total: {
    help: 'Times that the file of a running recording stopped growing: for want of room on the disk, or of media (hold, too)',
    labels: ['reason'],
  },
  callrec_delivery_attempts_total: { help: 'Attempts to take a file to where it was to go', labels: [] },
  callrec_deliveries_total: {
    help: 'Attempts by what became of them: stored, postponed (there will be another), failed (given up, the file is kept) or dropped (the recording was deleted)',
    labels: ['outcome'],
  },
  callrec_webhook_attempts_total: {
    help: 'Attempts to tell a webhook, by what became of them: told, later (there may be another) or refused',
    labels: ['outcome'],
  },
  callrec_transcripts_total: {
    help: 'Transcripts by what became of them: transcribed, failed, or postponed (there will be another attempt)',
    labels: ['outcome'],
  },
  callrec_recordings_erased_total: { help: 'Recordings whose audio was destroyed, because their time was over or on request', labels: ['by'] },
  callrec_orphans_total: {
    help: 'Files and documents of recordings that the queue had lost, by what became of them: adopted, or removed as nobody wanted them',
    labels: ['outcome'],
  },
  callrec_audio_damaged_total: { help: 'Times that audio read from the store was not what was stored', labels: [] },
  callrec_unforeseen_total: {
    help: 'Failures that nobody in callrec foresaw, exceptions and rejections: each is a fault of callrec, and its stack is in the log',
    labels: ['kind'],
  },
  callrec_http_requests_total: { help: 'Requests answered by the API; a path that no route has is route "none"', labels: ['method', 'route', 'status'] },
} as const

/** Read when somebody looks. */
export const READ = {
  callrec_switch_state: { type: 'gauge', help: '1 for the state each switch is in, 0 for the others', labels: ['switch', 'state'] },
  callrec_switch_connects_total: { type: 'counter', help: 'Connections made to each switch; all but the first are reconnects', labels: ['switch'] },
  callrec_switch_pending: { type: 'gauge', help: 'Commands and applications that wait for an answer of each switch', labels: ['switch'] },
  callrec_switch_events_total: { type: 'counter', help: 'Events received from each switch', labels: ['switch'] },
  callrec_switch_events_dropped_total: { type: 'counter', help: 'Frames and events received from each switch that could not be used', labels: ['switch'] },
  callrec_store_up: { type: 'gauge', help: '1 while the document store answers', labels: [] },
  callrec_calls: { type: 'gauge', help: 'Calls whose callflow runs in this engine', labels: [] },
  callrec_deliveries_queued: {
    type: 'gauge',
    help: 'Files of all engines of this store that are not where they were to go, due or waiting for a retry',
    labels: [],
  },
  callrec_deliveries_due: { type: 'gauge', help: 'Those of them whose time has come', labels: [] },
  callrec_delivery_oldest_due_seconds: {
    type: 'gauge',
    help: 'Seconds since the time of the one that is due longest had come; 0 when none is due',
    labels: [],
  },
  callrec_delivery_oldest_seconds: {
    type: 'gauge',
    help: 'Seconds for which the file that waits longest has not been where it was to go, retries included; 0 when none waits',
    labels: [],
  },
  callrec_transcripts_queued: { type: 'gauge', help: 'Transcripts of all engines of this store that are to be made, or to be told of', labels: [] },
  callrec_orphans: {
    type: 'gauge',
    help: 'What the last look through the spool left as it was: file (its document does not fit), document, unknown (no document) or foreign (not of callrec)',
    labels: ['kind'],
  },
  callrec_spool_free_bytes: { type: 'gauge', help: 'Bytes left to this user on the disk of the spool', labels: [] },
} as const

export type Counted = keyof typeof COUNTED
export type Read = keyof typeof READ

type Labels<Row extends { labels: readonly string[] }> = Readonly<Record<Row['labels'][number], string>>

/** What rooms are given. */
export interface Metrics {
  count<Name extends Counted>(name: Name, labels: Labels<(typeof COUNTED)[Name]>): void
}

export interface Sample<Name extends Read> {
  labels: Labels<(typeof READ)[Name]>
  value: number
}

/** What main wires and the API shows. */
export interface Meters extends Metrics {
  /** `source` is asked at each scrape; one that fails, or is slower than a scrape may be, leaves its metric out. */
  read<Name extends Read>(name: Name, source: () => Promise<Sample<Name>[]> | Sample<Name>[]): void
  /** The exposition, and its content type. */
  text(): Promise<{ type: string; body: string }>
}

/** Milliseconds; Prometheus itself gives up after ten seconds. */
const PATIENCE = 3_000

export function createMetrics(clock: Clock): Meters {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const counters = new Map<string, Counter>()
  for (const [name, { help, labels }] of Object.entries(COUNTED)) counters.set(name, new Counter({ name, help, labelNames: labels, registers }))

  return {
    count: (name, labels) => counters.get(name)?.inc(labels),
    read(name, source) {
      const { type, help, labels } = READ[name]
      const about = { name, help, labelNames: labels as readonly string[], registers }
      const metric = type === 'counter' ? new Counter(about) : new Gauge(about)
      Object.assign(metric, {
        async collect() {
          const samples = await within(clock, PATIENCE, Promise.resolve().then(source)).catch(() => [])
          // Two scrapes at once must not add up, so nothing is awaited between emptying and filling.
          metric.reset()
          // What has no labels is 0 after a reset, which is not the same as not known.
          if (labels.length === 0) metric.remove()
          for (const sample of samples) metric.inc(sample.labels, sample.value)
        },
      })
    },
    text: async () => ({ type: registry.contentType, body: await registry.metrics() }),
  }
}

/** For tests of rooms that measure nothing. */
export const unmeasured: Metrics = { count: () => {} }
