// Tells accounts what happened. An event becomes a document for each webhook that wants it, and is told from
// that document until the receiver has it: those of one recording one after the other, in their order. What
// fails blocks its webhook until the next attempt, so a receiver that is down is not asked once per recording.

import { type Clock, pause } from '../clock.ts'
import { AppError, isCode, reasonOf } from '../errors.ts'
import type { RecordingEvent } from '../events.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { TenantClient } from '../net/client.ts'
import { accountDb } from '../store/modb.ts'
import type { Store, Stored } from '../store/store.ts'
import { noteAttempt } from './attempts.ts'
import { type Pending, PENDING, pendingId, QUEUE, type Webhook } from './document.ts'
import { messageOf } from './message.ts'
import { readStreams, type Stream, streamKey } from './streams.ts'
import { createSubscribers, isOn } from './subscribers.ts'
import { again, failing, judge, type Outcome, whyDisabled } from './verdict.ts'

export interface WebhookPorts {
  store: Store
  http: TenantClient
  /** The wall's: receivers are real. */
  clock: Clock
  log: Log
  metrics: Metrics
  random: () => number
  /** That many random bytes in hex. */
  hex: (bytes: number) => string
}

export interface WebhookRoom {
  /** Resolves when the event is written down for everybody who wants it. */
  tell(event: RecordingEvent): Promise<void>
  /** Resolves when nothing is being told now. */
  idle(): Promise<void>
  /** Breaks off what runs; it is told again. */
  close(): Promise<void>
}

const LIMITS = { total: 16, perWebhook: 4 }
const MINUTE = 60_000
/** How long an attempt is its engine's alone; longer than the client's deadlines. */
const LEASE = 5 * MINUTE
/** Milliseconds between attempts to write an event down. */
const STORE_AGAIN = [500, 2_000, 5_000, 10_000, 20_000]

export function startWebhooks({ store, http, clock, log, metrics, random, hex }: WebhookPorts): WebhookRoom {
  const stop = new AbortController()
  const subscribers = createSubscribers(store, clock)
  /** The last write of each recording's events: they get their places in the order they were told in. */
  const writing = new Map<string, Promise<void>>()
  const waiting = new Map<string, Stream>()
  const running = new Map<string, Stream & { done: Promise<void> }>()
  /** By webhook, until when it is left alone. Documents know it too, so a restart learns it again. */
  const blocked = new Map<string, number>()
  let lastOrder = 0
  let looking: Promise<void> | undefined
  /** The queue is longer than what was read of it. */
  let unread = false
  let cancelTimer = (): void => {}

  async function writeDown(event: RecordingEvent): Promise<void> {
    for (const webhook of await subscribers.of(event.accountId, event.event)) {
      lastOrder = Math.max(lastOrder + 1, clock.now() * 1000)
      const pending: Pending = {
        _id: pendingId(webhook._id, event.recordingId, lastOrder),
        webhook_id: webhook._id,
        account_id: webhook.pvt_account_id,
        recording_id: event.recordingId,
        event,
        attempts: 0,
      }
      await insist(() => store.put(QUEUE, pending))
      offer({ webhookId: webhook._id, recordingId: event.recordingId })
    }
  }

  async function insist(write: () => Promise<unknown>): Promise<void> {
    for (const wait of STORE_AGAIN) {
      try {
        return void (await write())
      } catch (error) {
        if (stop.signal.aborted || !(error instanceof AppError) || !error.retry) throw error
        await pause(clock, wait, stop.signal)
      }
    }
    await write()
  }

  function offer(stream: Stream): void {
    const key = streamKey(stream)
    if (stop.signal.aborted || running.has(key)) return
    waiting.set(key, stream)
    start()
  }

  function start(): void {
    for (const [key, stream] of waiting) {
      if (stop.signal.aborted || running.size >= LIMITS.total) return
      const busy = [...running.values()].filter(({ webhookId }) => webhookId === stream.webhookId).length
      if (busy >= LIMITS.perWebhook) continue
      waiting.delete(key)
      if ((blocked.get(stream.webhookId) ?? 0) > clock.now()) continue
      const done = work(stream).finally(() => {
        running.delete(key)
        start()
        if (unread && waiting.size === 0) look()
      })
      running.set(key, { ...stream, done })
    }
  }

  /** Never rejects: what fails here is still in the queue. */
  async function work(stream: Stream): Promise<void> {
    try {
      while (!stop.signal.aborted && (await tellNext(stream))) {
        // The next one.
      }
    } catch (error) {
      log.warn('webhook_postponed', { webhook_id: stream.webhookId, recording_id: stream.recordingId, reason: reasonOf(error) })
    }
  }

  /** True when there may be another one of this recording to tell now. */
  async function tellNext({ webhookId, recordingId }: Stream): Promise<boolean> {
    const from = [webhookId, recordingId]
    const [row] = await store.query(QUEUE, PENDING, { startKey: from, endKey: [...from, {}], limit: 1, includeDocs: true })
    const pending = row?.doc as Stored<Pending> | undefined
    if (pending === undefined) return false
    const now = clock.now()
    if ((pending.next_at ?? 0) > now) {
      blocked.set(webhookId, pending.next_at ?? 0)
      lookAgain(pending.next_at ?? 0)
      return false
    }
    const claimed = await claim(pending, now)
    if (claimed === undefined) return false
    const webhook = await store.get<Webhook>(accountDb(pending.account_id), webhookId)
    if (webhook === undefined || !isOn(webhook)) {
      await store.purge(QUEUE, pending._id)
      return true
    }
    const outcome = await attempt(webhook, claimed)
    return outcome === undefined ? false : settle(webhook, claimed, outcome)
  }

  /** Undefined when another engine has it. */
  async function claim(pending: Stored<Pending>, now: number): Promise<(Stored<Pending> & { since: number }) | undefined> {
    const claimed = { ...pending, attempts: pending.attempts + 1, since: pending.since ?? now, next_at: now + LEASE }
    try {
      return { ...claimed, _rev: await store.put(QUEUE, claimed) }
    } catch (error) {
      if (isCode(error, 'datastore_conflict')) return undefined
      throw error
    }
  }

  /** Undefined when it was broken off here. */
  async function attempt(webhook: Webhook, pending: Pending): Promise<Outcome | undefined> {
    const { url, method, headers, body } = messageOf(webhook, pending, clock.now())
    const began = clock.elapsed()
    const outcome = await http
      .request({ method, url, headers, signal: stop.signal, ...(body === undefined ? {} : { body: { length: body.length, open: () => once(body) } }) })
      .then(
        answer => judge(answer, clock.now()),
        (error: unknown): Outcome => ({ is: error instanceof AppError && !error.retry ? 'refused' : 'later', reason: reasonOf(error) }),
      )
    if (stop.signal.aborted && outcome.is !== 'told') return undefined
    metrics.count('callrec_webhook_attempts_total', { outcome: outcome.is })
    await noteAttempt(store, { webhook, pending, outcome, durationMs: Math.round(clock.elapsed() - began), now: clock.now(), id: hex(16) }).catch(
      (error: unknown) => log.warn('webhook_attempt_not_noted', { webhook_id: webhook._id, reason: reasonOf(error) }),
    )
    return outcome
  }

  /** True when the next event may be told at once. */
  async function settle(webhook: Stored<Webhook>, pending: Stored<Pending> & { since: number }, outcome: Outcome): Promise<boolean> {
    const about = { webhook_id: webhook._id, account_id: webhook.pvt_account_id, recording_id: pending.recording_id, told: pending.event.event }
    if (outcome.is === 'told') {
      await store.purge(QUEUE, pending._id)
      blocked.delete(webhook._id)
      if (webhook.pvt_failing !== undefined) await amend(webhook, withoutFailing)
      log.debug('webhook_told', about)
      return true
    }
    const now = clock.now()
    const state = failing(webhook.pvt_failing, outcome, now)
    const why = whyDisabled(state, outcome.reason, now)
    await amend(webhook, before => ({ ...before, pvt_failing: state, ...(why === undefined ? {} : { enabled: false, disable_message: why }) }))
    if (why !== undefined) {
      log.error('webhook_disabled', { ...about, reason: why })
      await store.purge(QUEUE, pending._id)
      return true
    }
    const facts = { now, random: random(), askedMs: outcome.is === 'later' ? outcome.askedMs : undefined }
    const next_at = outcome.is === 'refused' ? undefined : again(webhook, pending, facts)
    log.warn('webhook_failed', { ...about, reason: outcome.reason, ...(next_at === undefined ? {} : { next_at: new Date(next_at).toISOString() }) })
    if (next_at === undefined) {
      await store.purge(QUEUE, pending._id)
      return true
    }
    await store.put(QUEUE, { ...pending, next_at })
    blocked.set(webhook._id, next_at)
    lookAgain(next_at)
    return false
  }

  /** The account may write its webhook at the same moment; then this is said with the next attempt. */
  async function amend(webhook: Stored<Webhook>, change: (before: Stored<Webhook>) => Webhook): Promise<void> {
    try {
      const before = await store.get<Webhook>(accountDb(webhook.pvt_account_id), webhook._id)
      if (before !== undefined) await store.put(accountDb(webhook.pvt_account_id), change(before))
    } catch (error) {
      if (!isCode(error, 'datastore_conflict')) throw error
    }
  }

  function look(): void {
    if (stop.signal.aborted) return
    lookAgain(clock.now() + MINUTE)
    looking ??= readStreams(store, webhookId => (blocked.get(webhookId) ?? 0) > clock.now())
      .then(
        ({ streams, more }) => {
          unread = more
          for (const stream of streams) offer(stream)
        },
        (error: unknown) => log.warn('webhook_queue_unreadable', { reason: reasonOf(error) }),
      )
      .finally(() => {
        looking = undefined
      })
  }

  let lookAt = Number.POSITIVE_INFINITY
  function lookAgain(at: number): void {
    if (stop.signal.aborted || (at >= lookAt && lookAt > clock.now())) return
    cancelTimer()
    lookAt = at
    cancelTimer = clock.after(at - clock.now(), () => {
      lookAt = Number.POSITIVE_INFINITY
      look()
    })
  }

  const busy = (): Promise<unknown>[] => [looking, ...writing.values(), ...[...running.values()].map(({ done }) => done)].filter(one => one !== undefined)

  look()
  return {
    tell(event) {
      const before = writing.get(event.recordingId) ?? Promise.resolve()
      const written = before
        .then(() => writeDown(event))
        .catch((error: unknown) =>
          log.error('webhook_event_lost', { account_id: event.accountId, recording_id: event.recordingId, told: event.event, reason: reasonOf(error) }),
        )
        .finally(() => {
          if (writing.get(event.recordingId) === written) writing.delete(event.recordingId)
        })
      writing.set(event.recordingId, written)
      return written
    },
    async idle() {
      for (let all = busy(); all.length > 0; all = busy()) await Promise.all(all)
    },
    async close() {
      stop.abort()
      cancelTimer()
      // What was told has to be written down.
      await Promise.all([...writing.values(), ...[...running.values()].map(({ done }) => done)])
    },
  }
}

function withoutFailing(before: Stored<Webhook>): Webhook {
  const after: Webhook = { ...before }
  delete after.pvt_failing
  return after
}

async function* once(body: Buffer): AsyncIterable<Buffer> {
  yield body
}
