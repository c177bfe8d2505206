import { createHmac, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { systemClock } from '../../src/clock.ts'
import type { RecordingEvent, RecordingEventName } from '../../src/events.ts'
import { type Deadlines, tenantClient } from '../../src/net/client.ts'
import { accountDb, monthDb, monthOf } from '../../src/store/modb.ts'
import { embeddedStore } from '../../src/store/embedded.ts'
import type { Doc, Store } from '../../src/store/store.ts'
import { type Attempt, QUEUE, type Webhook } from '../../src/webhooks/document.ts'
import { MOST_REFUSED } from '../../src/webhooks/verdict.ts'
import { startWebhooks, type WebhookRoom } from '../../src/webhooks/webhooks.ts'
import { manualClock, type ManualClock } from '../helpers/clock.ts'
import { httpSink, ignore, type Received } from '../helpers/http-sink.ts'
import { notedLog } from '../helpers/log.ts'
import { tally } from '../helpers/tally.ts'

const ABOVE = 'b'.repeat(32)
const ACCOUNT = 'a'.repeat(32)
const SECRET = 'sixteen letters and more'

const hex = (bytes: number): string => randomBytes(bytes).toString('hex')

interface Room {
  store: Store
  clock: ManualClock
  /** Names of what was logged. */
  events: () => string[]
  open: (options?: { allow?: readonly string[]; deadlines?: Partial<Deadlines> }) => WebhookRoom
  hook: (uri: string, fields?: Partial<Webhook>, account?: string) => Promise<string>
  webhook: (id: string) => Promise<Webhook | undefined>
  attempts: () => Promise<Attempt[]>
  queued: () => Promise<number>
}

async function room(t: ExecutionContext): Promise<Room> {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-webhooks-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const store = await embeddedStore({ dir })
  t.teardown(() => store.close())
  const clock = manualClock()
  const { log, lines } = notedLog()
  await store.createDatabase('accounts', 'accounts')
  await store.createDatabase(QUEUE, 'webhook_queue')
  for (const id of [ABOVE, ACCOUNT]) await store.createDatabase(accountDb(id), 'account')
  await store.put('accounts', { _id: ACCOUNT, pvt_type: 'account', pvt_tree: [ABOVE] })
  const month = monthDb(ACCOUNT, monthOf(clock.now()))
  return {
    store,
    clock,
    events: () => lines.map(({ event }) => event),
    open({ allow = ['127.0.0.0/8'], deadlines = {} } = {}) {
      const http = tenantClient({ allow, clock: systemClock(), deadlines })
      const { metrics } = tally()
      const one = startWebhooks({ store, http, clock, log, metrics, random: () => 0, hex })
      t.teardown(async () => {
        await one.close()
        await http.close()
      })
      return one
    },
    async hook(uri, fields = {}, account = ACCOUNT) {
      const id = hex(16)
      const doc: Doc = { _id: id, pvt_type: 'webhook', pvt_account_id: account, name: 'crm', hook: 'all', uri, secret: SECRET, ...fields }
      await store.put(accountDb(account), doc)
      return id
    },
    webhook: id => store.get<Webhook>(accountDb(ACCOUNT), id),
    attempts: async () => (await store.query(month, 'webhook_attempts/by_webhook', { includeDocs: true })).map(({ doc }) => doc as unknown as Attempt),
    queued: () => store.reduce(QUEUE, 'webhook_queue/by_stream'),
  }
}

const RECORDING = `202605-${'c'.repeat(32)}`

const about = (event: RecordingEventName, recordingId = RECORDING): RecordingEvent => ({
  event,
  accountId: ACCOUNT,
  recordingId,
  at: Date.UTC(2026, 4, 16),
  recording: { id: recordingId, state: 'recording' },
})

const told = (received: readonly Received[]): unknown[] => received.map(({ body }) => (JSON.parse(body.toString()) as { event: string }).event)

test('an event comes as JSON with a signature that its receiver can check', async t => {
  const { open, hook, attempts, queued } = await room(t)
  const sink = await httpSink(t, [200])
  const id = await hook(`${sink.url}/told`, { custom_data: { crm: 7 } })
  const webhooks = open()
  await webhooks.tell(about('recording.started'))
  await webhooks.idle()
  const [request] = sink.received
  t.like(request, { method: 'POST', url: '/told', headers: { 'content-type': 'application/json', 'x-callrec-event': 'recording.started' } })
  const { headers = {}, body = Buffer.alloc(0) } = request ?? {}
  const expected = createHmac('sha256', SECRET).update(`${headers['x-callrec-timestamp']}.${body.toString()}`).digest('hex')
  t.is(headers['x-callrec-signature'], `sha256=${expected}`)
  t.like(JSON.parse(body.toString()), { account_id: ACCOUNT, recording_id: RECORDING, recording: { state: 'recording' }, custom_data: { crm: 7 } })
  t.like(await attempts(), [{ webhook_id: id, result: 'success', response_code: 200, attempt: 1, hook_event: 'recording.started' }])
  t.is(await queued(), 0)
})

test('what a webhook did not ask for, and what one that is off would hear, is not told', async t => {
  const { open, hook, queued } = await room(t)
  const sink = await httpSink(t, [200])
  await hook(sink.url, { hook: 'recording.stored' })
  await hook(sink.url, { enabled: false })
  const webhooks = open()
  await webhooks.tell(about('recording.started'))
  await webhooks.tell(about('recording.stored'))
  await webhooks.idle()
  t.deepEqual(told(sink.received), ['recording.stored'])
  t.is(await queued(), 0)
})

test('an account above hears of those below it only where it asked to', async t => {
  const { open, hook } = await room(t)
  const [deaf, curious] = [await httpSink(t, [200]), await httpSink(t, [200])]
  await hook(deaf.url, {}, ABOVE)
  await hook(curious.url, { include_subaccounts: true }, ABOVE)
  const webhooks = open()
  await webhooks.tell(about('recording.started'))
  await webhooks.idle()
  t.deepEqual([deaf.received.length, curious.received.length], [0, 1])
})

test('events of one recording keep their order however often the first has to be told again', async t => {
  const { open, hook, clock, webhook, attempts } = await room(t)
  const sink = await httpSink(t, [503, 503, 200])
  const id = await hook(sink.url)
  const webhooks = open()
  for (const event of ['recording.started', 'recording.masked', 'recording.stopped'] as const) await webhooks.tell(about(event))
  await webhooks.idle()
  t.is(sink.received.length, 1)
  t.is((await webhook(id))?.pvt_failing?.refused, 0)
  while (sink.received.length < 5) {
    clock.advance(5_000)
    await webhooks.idle()
  }
  t.deepEqual(told(sink.received), ['recording.started', 'recording.started', 'recording.started', 'recording.masked', 'recording.stopped'])
  t.is((await webhook(id))?.pvt_failing, undefined)
  t.deepEqual((await attempts()).map(({ result, attempt }) => `${result} ${attempt}`).sort(), ['failure 1', 'failure 2', 'success 1', 'success 1', 'success 3'])
})

test('a receiver that never answers keeps nobody else waiting', async t => {
  const { open, hook, attempts } = await room(t)
  const [silent, lively] = [await httpSink(t, [ignore]), await httpSink(t, [200])]
  await hook(silent.url)
  await hook(lively.url)
  const webhooks = open({ deadlines: { connect: 100, answer: 100 } })
  await webhooks.tell(about('recording.started'))
  await lively.arrived(1)
  await webhooks.idle()
  t.true((await attempts()).some(({ result, reason }) => result === 'failure' && /no answer within/.test(reason ?? '')))
})

test('what was not told when the engine ended is told by the next one', async t => {
  const { open, hook, clock } = await room(t)
  const sink = await httpSink(t, [503, 200])
  await hook(sink.url)
  const first = open()
  await first.tell(about('recording.stored'))
  await first.idle()
  await first.close()
  clock.advance(60_000)
  const second = open()
  await sink.arrived(2)
  await second.idle()
  t.deepEqual(told(sink.received), ['recording.stored', 'recording.stored'])
  t.is(sink.received[0]?.headers['idempotency-key'], sink.received[1]?.headers['idempotency-key'])
})

test('a refused event is not told again, and the next one is', async t => {
  const { open, hook, queued, webhook } = await room(t)
  const sink = await httpSink(t, [404, 200])
  const id = await hook(sink.url)
  const webhooks = open()
  await webhooks.tell(about('recording.started'))
  await webhooks.tell(about('recording.stopped'))
  await webhooks.idle()
  t.deepEqual(told(sink.received), ['recording.started', 'recording.stopped'])
  t.is(await queued(), 0)
  t.is((await webhook(id))?.enabled, undefined)
})

test('a receiver that refuses everything is switched off, with the reason in its document', async t => {
  const { open, hook, webhook, queued, events } = await room(t)
  const sink = await httpSink(t, [410])
  const id = await hook(sink.url)
  const webhooks = open()
  for (let i = 0; i <= MOST_REFUSED + 5; i++) await webhooks.tell(about('recording.started'))
  await webhooks.idle()
  t.is(sink.received.length, MOST_REFUSED)
  t.like(await webhook(id), { enabled: false, disable_message: `switched off: ${MOST_REFUSED} events in a row were refused, the last one answered 410` })
  t.is(await queued(), 0)
  t.true(events().includes('webhook_disabled'))
})

test('a receiver that is down for a day is switched off', async t => {
  const { open, hook, clock, webhook } = await room(t)
  const sink = await httpSink(t, [500])
  const id = await hook(sink.url)
  const webhooks = open()
  await webhooks.tell(about('recording.started'))
  await webhooks.idle()
  for (let hours = 0; hours < 30; hours++) {
    clock.advance(3_600_000)
    await webhooks.idle()
  }
  t.regex((await webhook(id))?.disable_message ?? '', /nothing got through since 2026-05-16/)
})

test('with retries it is tried so many times more and no more', async t => {
  const { open, hook, clock, queued } = await room(t)
  const sink = await httpSink(t, [500])
  await hook(sink.url, { retries: 1 })
  const webhooks = open()
  await webhooks.tell(about('recording.started'))
  await webhooks.idle()
  for (let minutes = 0; minutes < 10; minutes++) {
    clock.advance(60_000)
    await webhooks.idle()
  }
  t.is(sink.received.length, 2)
  t.is(await queued(), 0)
})

test('a private address is not told anything', async t => {
  const { open, hook, attempts } = await room(t)
  const sink = await httpSink(t, [200])
  await hook(sink.url)
  const webhooks = open({ allow: [] })
  await webhooks.tell(about('recording.started'))
  await webhooks.idle()
  t.is(sink.received.length, 0)
  t.like(await attempts(), [{ result: 'failure' }])
  t.regex((await attempts())[0]?.reason ?? '', /not on the public internet/)
})

test('an event that cannot be written down is a line in the log and stops nobody', async t => {
  const { open, hook, store, events } = await room(t)
  await hook('http://127.0.0.1:1/')
  const webhooks = open()
  await store.deleteDatabase(QUEUE)
  const written = webhooks.tell(about('recording.started'))
  await webhooks.close()
  await written
  t.true(events().includes('webhook_event_lost'))
})
