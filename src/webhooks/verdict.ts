// What an answer means for an event, and when a webhook is switched off. Pure; times are milliseconds.

import { nextAttempt, retryAfter } from '../net/backoff.ts'
import type { TenantResponse } from '../net/client.ts'
import type { Pending, Webhook } from './document.ts'

export type Outcome =
  | { is: 'told'; status: number }
  /** There is to be another attempt, if there may be one. */
  | { is: 'later'; reason: string; status?: number; askedMs?: number }
  /** The receiver will not have it. */
  | { is: 'refused'; reason: string; status?: number }

const PASSING: ReadonlySet<number> = new Set([408, 425, 429])

export function judge({ status, headers }: Pick<TenantResponse, 'status' | 'headers'>, now: number): Outcome {
  if (status >= 200 && status < 300) return { is: 'told', status }
  const reason = `answered ${status}`
  if (status < 500 && !PASSING.has(status)) return { is: 'refused', reason, status }
  const askedMs = retryAfter(headers['retry-after'], now)
  return { is: 'later', reason, status, ...(askedMs === undefined ? {} : { askedMs }) }
}

/** Unix time of the next attempt; undefined when there is to be none. */
export function again(
  { retries }: Pick<Webhook, 'retries'>,
  { attempts, since }: Pick<Pending, 'attempts'> & { since: number },
  facts: { now: number; random: number; askedMs: number | undefined },
): number | undefined {
  if (retries !== undefined && attempts > retries) return undefined
  return nextAttempt({ attempts, since, ...facts })
}

/** Events in a row that a receiver refused, and time without a success, after which a webhook is switched off. */
export const MOST_REFUSED = 20
export const LONGEST_FAILING = 24 * 3_600_000

type Failing = NonNullable<Webhook['pvt_failing']>

/** After one more attempt that failed. */
export const failing = (before: Webhook['pvt_failing'], outcome: Outcome, now: number): Failing => ({
  since: before?.since ?? now,
  refused: (before?.refused ?? 0) + (outcome.is === 'refused' ? 1 : 0),
})

/** Why it is to be switched off; undefined where it is not. */
export function whyDisabled({ since, refused }: Failing, reason: string, now: number): string | undefined {
  if (refused >= MOST_REFUSED) return `switched off: ${refused} events in a row were refused, the last one ${reason}`
  if (now - since >= LONGEST_FAILING) return `switched off: nothing got through since ${new Date(since).toISOString()}, the last time ${reason}`
  return undefined
}
