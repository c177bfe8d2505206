// The documents of webhooks: what an account wants to be told (written by the API), the events that are still
// to be told (the queue), and what became of each attempt, which the account reads.

import { RECORDING_EVENTS, type RecordingEvent } from '../events.ts'
import type { Doc } from '../store/store.ts'

/** `all` is every event there is, as Kazoo calls it. */
export const HOOKS = ['all', ...RECORDING_EVENTS] as const

/** Schema: couchdb/schemas/webhooks.json. */
export interface Webhook extends Doc {
  pvt_type: 'webhook'
  pvt_account_id: string
  pvt_deleted?: boolean
  /** Nothing got through since then (unix milliseconds), and so many events in a row were refused. Taken away by the next success. */
  pvt_failing?: { since: number; refused: number }
  name: string
  hook: (typeof HOOKS)[number]
  uri: string
  http_verb?: 'get' | 'post' | 'put'
  format?: 'json' | 'form-data'
  /** Absent: like deliveries, as often as 72 hours allow. */
  retries?: number
  enabled?: boolean
  /** Why it was switched off by the engine. */
  disable_message?: string
  include_subaccounts?: boolean
  custom_data?: Readonly<Record<string, unknown>>
  /** What messages are signed with. */
  secret: string
}

export const QUEUE = 'webhook_queue'
export const PENDING = 'webhook_queue/by_stream'

/** An event that one webhook is still to be told. Those of one recording are told in the order of their ids. */
export interface Pending extends Doc {
  webhook_id: string
  /** Whose webhook it is: the event may be of an account below. */
  account_id: string
  recording_id: string
  event: RecordingEvent
  attempts: number
  /** Unix milliseconds: not before then, and when it was first tried. */
  next_at?: number
  since?: number
}

/** `order` is 16 digits that only grow. */
export const pendingId = (webhookId: string, recordingId: string, order: number): string => `${webhookId}:${recordingId}:${String(order).padStart(16, '0')}`

/** In the account's database of the month; ids as those of recordings. */
export interface Attempt extends Doc {
  pvt_type: 'webhook_attempt'
  pvt_account_id: string
  /** Gregorian seconds. */
  pvt_created: number
  pvt_modified: number
  webhook_id: string
  hook_event: string
  /** The same for every attempt of one event at one webhook: `Idempotency-Key` of the request. */
  event_id: string
  recording_id: string
  result: 'success' | 'failure'
  /** Of the answer, where there was one. */
  response_code?: number
  reason?: string
  /** 1 is the first. */
  attempt: number
  duration_ms: number
  /** Gregorian seconds. */
  timestamp: number
}
