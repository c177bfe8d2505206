// What became of each attempt, kept in the account's database of the month for whoever looks why he was not told.

import { isCode } from '../errors.ts'
import { monthDb, monthOf, toGregorian } from '../store/modb.ts'
import type { Store } from '../store/store.ts'
import type { Attempt, Pending, Webhook } from './document.ts'
import type { Outcome } from './verdict.ts'

interface Made {
  webhook: Webhook
  pending: Pending
  outcome: Outcome
  durationMs: number
  /** Unix milliseconds. */
  now: number
  /** 32 hex. */
  id: string
}

export async function noteAttempt(store: Store, made: Made): Promise<void> {
  const attempt = attemptOf(made)
  const db = monthDb(made.webhook.pvt_account_id, monthOf(made.now))
  try {
    await store.put(db, attempt)
  } catch (error) {
    if (!isCode(error, 'datastore_missing')) throw error
    await store.createDatabase(db, 'modb')
    await store.put(db, attempt)
  }
}

export function attemptOf({ webhook, pending, outcome, durationMs, now, id }: Made): Attempt {
  const at = toGregorian(now)
  return {
    _id: `${monthOf(now)}-${id}`,
    pvt_type: 'webhook_attempt',
    pvt_account_id: webhook.pvt_account_id,
    pvt_created: at,
    pvt_modified: at,
    webhook_id: webhook._id,
    hook_event: pending.event.event,
    event_id: pending._id,
    recording_id: pending.recording_id,
    result: outcome.is === 'told' ? 'success' : 'failure',
    ...(outcome.status === undefined ? {} : { response_code: outcome.status }),
    ...(outcome.is === 'told' ? {} : { reason: outcome.reason }),
    attempt: pending.attempts,
    duration_ms: durationMs,
    timestamp: at,
  }
}
