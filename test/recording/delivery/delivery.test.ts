import { createHash, randomBytes } from 'node:crypto'
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { AppError } from '../../../src/errors.ts'
import type { RecordingEvent } from '../../../src/events.ts'
import type { Log } from '../../../src/log.ts'
import { tenantClient } from '../../../src/net/client.ts'
import { createAudit } from '../../../src/recording/keeping/audit.ts'
import { type DeliveryRoom, startDelivery } from '../../../src/recording/delivery/delivery.ts'
import { destinationOf } from '../../../src/recording/storage.ts'
import { IN_FLIGHT, type CallFacts, type InFlight, type Recording, recordingDbOf } from '../../../src/recording/document.ts'
import { inFlightOf, type NewRecording, recordingOf } from '../../../src/recording/new-recording.ts'
import { everywhere, type Settings } from '../../../src/recording/settings.ts'
import { openSpool, type Spool } from '../../../src/recording/spool.ts'
import { accountDb, recordingId } from '../../../src/store/modb.ts'
import { embeddedStore } from '../../../src/store/embedded.ts'
import type { Store } from '../../../src/store/store.ts'
import { notedLog } from '../../helpers/log.ts'
import { type ManualClock, manualClock } from '../../helpers/clock.ts'
import { until } from '../../helpers/wait.ts'
import { tally } from '../../helpers/tally.ts'
import { answer, answerEarly, hang, httpSink, reset, when } from '../../helpers/http-sink.ts'

const ACCOUNT = 'a'.repeat(32)
const silent = notedLog().log
const AUDIO = randomBytes(20_000)
const HASH = createHash('sha256').update(AUDIO).digest()

const FACTS: CallFacts = {
  interaction_id: '63946108800-1f',
  cdr_id: '202605-leg',
  direction: 'inbound',
  from: '1001@demo',
  to: '1002@demo',
  request: '1002@demo',
  caller_id_name: 'Ann',
  caller_id_number: '1001',
  callee_id_name: '',
  callee_id_number: '',
  sip_call_id: '',
  custom_channel_vars: {},
}

interface Room {
  store: Store
  spool: Spool
  clock: ManualClock
  logged: { event: string; facts: Readonly<Record<string, unknown>> }[]
  counts: Record<string, number>
  /** Events and the delivery state they carry. */
  told: string[]
  /** A file that ended just now, as the recorder leaves it. */
  due(settings?: Settings, change?: Partial<InFlight>, bytes?: Buffer): Promise<string>
  open(options?: {
    transcribe?: (recording: Recording) => Promise<void>
    store?: Store
    spool?: Spool
    nodes?: readonly string[]
    allow?: readonly string[]
    random?: number
  }): DeliveryRoom
  recording(id: string): Promise<Recording | undefined>
  queued(id: string): Promise<InFlight | undefined>
  kept(id: string): Promise<boolean>
}

async function room(t: ExecutionContext): Promise<Room> {
  const path = await mkdtemp(join(tmpdir(), 'callrec-delivery-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  const store = await embeddedStore({ dir: join(path, 'store') })
  t.teardown(() => store.close())
  const clock = manualClock()
  const spool = openSpool({ here: path, onSwitch: path, minFree: 0 })
  const logged: Room['logged'] = []
  const told: string[] = []
  const tell = async ({ event, recording }: RecordingEvent): Promise<void> =>
    void told.push(`${event} ${(recording['delivery'] as { state: string } | undefined)?.state}${'url' in recording ? ' with its url' : ''}`)
  const { metrics, counts } = tally()
  const note = (event: string, facts: Readonly<Record<string, unknown>> = {}): void => void logged.push({ event, facts })
  const log: Log = { debug: note, info: note, warn: note, error: note }
  await store.createDatabase(IN_FLIGHT, 'recordings_in_flight')
  const recording = (id: string) => store.get<Recording>(recordingDbOf({ _id: id, account_id: ACCOUNT }), id)
  const queued = (id: string) => store.get<InFlight>(IN_FLIGHT, id)
  return {
    store,
    spool,
    clock,
    logged,
    counts,
    told,
    recording,
    queued,
    async due(settings = {}, change = {}, bytes = AUDIO) {
      const id = recordingId(clock.now(), randomBytes(16).toString('hex'))
      const made: NewRecording = {
        id,
        accountId: ACCOUNT,
        node: 'fs1',
        leg: `leg-${id.slice(-4)}`,
        side: 'caller',
        facts: FACTS,
        settings: everywhere('user', settings).inbound.onnet,
        format: 'wav',
        written: 'wav',
        warnings: [],
        origins: [{ origin: 'inbound from onnet to endpoint', by: 'policy', at: 0 }],
        state: 'stopped',
        sampleRate: 8000,
        before: 0,
        now: clock.now(),
      }
      const doc = recordingOf(made)
      await store.createDatabase(recordingDbOf({ _id: id, account_id: ACCOUNT }), 'modb')
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      await store.put(recordingDbOf({ _id: id, account_id: ACCOUNT }), { ...doc, size: bytes.length, sha256 })
      const item = {
        ...inFlightOf(made),
        delivery: { state: 'due' as const, destination: destinationOf(settings.url), attempts: 0, next_at: clock.now() },
        ...change,
      }
      await spool.makeReady(item.file)
      await writeFile(spool.here(item.file), bytes)
      await store.put(IN_FLIGHT, item)
      return id
    },
    open({ transcribe = async () => {}, store: other = store, spool: files = spool, nodes = ['fs1'], allow = ['127.0.0.0/8'], random = 1 } = {}) {
      const http = tenantClient({ allow, clock })
      const opened = startDelivery({
        store: other,
        spool: files,
        http,
        audit: createAudit({ store: other, clock, log }),
        clock,
        log,
        metrics,
        random: () => random,
        events: { tell },
        directories: { archive: join(path, 'archive') },
        nodes: () => nodes,
        transcribe,
      })
      t.teardown(async () => {
        await opened.close()
        await http.close()
      })
      return opened
    },
    async kept(id) {
      const file = `fs1/202605/${id}.wav`
      return access(spool.here(file)).then(
        () => true,
        () => false,
      )
    },
  }
}

/** A store where something happens before each operation; what it throws is the operation's answer. */
function faulty(store: Store, before: (method: string, args: readonly unknown[]) => Promise<void>): Store {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return async (...args: unknown[]) => {
        await before(String(name), args)
        return (await Reflect.apply(value, target, args)) as unknown
      }
    },
  })
}

/** The timer that is set while a large step is taken falls due in it as well. */
async function pass({ clock }: Room, delivery: DeliveryRoom, ms: number): Promise<void> {
  clock.advance(ms)
  await delivery.idle()
  clock.advance(0)
  await delivery.idle()
}

function gate(): { open: () => void; passed: Promise<void> } {
  let open = (): void => {}
  const passed = new Promise<void>(resolve => (open = resolve))
  return { open: () => open(), passed }
}

const events = ({ logged }: Room): string[] => logged.map(({ event }) => event)

test('a file with a url arrives whole and once, with Kazoo’s name and query, and leaves spool and queue', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  const id = await r.due({ url: `http://al:secret@${sink.host}/rec/` })
  await r.open().idle()
  const [got] = sink.received
  t.is(sink.received.length, 1)
  t.is(got?.method, 'PUT')
  t.true(got?.url.startsWith(`/rec/call_recording_leg-${id.slice(-4)}.wav?from=1001%40demo&to=1002%40demo&caller_id_name=Ann&`))
  t.true(got?.url.endsWith(`&recording_id=${id}`))
  t.deepEqual(got?.body, AUDIO)
  t.like(got?.headers, {
    'content-length': '20000',
    'content-type': 'audio/x-wav',
    'content-digest': `sha-256=:${HASH.toString('base64')}:`,
    'idempotency-key': id,
    authorization: `Basic ${Buffer.from('al:secret').toString('base64')}`,
  })
  t.deepEqual((await r.recording(id))?.delivery, {
    state: 'stored',
    destination: `http://${sink.host}/rec/`,
    attempts: 1,
    since: '2026-05-16T00:00:00.000Z',
    stored_at: '2026-05-16T00:00:00.000Z',
    location: `http://${sink.host}/rec/call_recording_leg-${id.slice(-4)}.wav`,
  })
  t.is(await r.queued(id), undefined)
  t.false(await r.kept(id))
})

test('a file of several megabytes arrives as it is, however slowly it is read', async t => {
  const bytes = randomBytes(5_500_000)
  const hash = createHash('sha256')
  const sink = await httpSink(t, [
    async (request, response) => {
      for await (const piece of request as AsyncIterable<Buffer>) {
        hash.update(piece)
        await new Promise(setImmediate)
      }
      response.writeHead(201).end()
    },
  ])
  const r = await room(t)
  const id = await r.due({ url: sink.url }, {}, bytes)
  await r.open().idle()
  t.is((await r.recording(id))?.delivery?.state, 'stored')
  t.is(hash.digest('hex'), createHash('sha256').update(bytes).digest('hex'))
})

test('method post posts', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  await r.due({ url: sink.url, method: 'post' })
  await r.open().idle()
  t.is(sink.received[0]?.method, 'POST')
})

test('a file without a url becomes an attachment of its recording document', async t => {
  const r = await room(t)
  const id = await r.due()
  await r.open().idle()
  const recording = await r.recording(id)
  t.like(recording?.delivery, { state: 'stored', destination: 'store', location: recording?.name })
  const found = await r.store.getAttachment(recordingDbOf({ _id: id, account_id: ACCOUNT }), id, recording?.name ?? '')
  t.is(found?.contentType, 'audio/x-wav')
  t.deepEqual(Buffer.concat((await found?.body.toArray()) ?? []), AUDIO)
  t.is(await r.queued(id), undefined)
  t.false(await r.kept(id))
})

test('what is delivered elsewhere while it is held stays in the store as well, and what is not held does not', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  const [held, free] = [await r.due({ url: sink.url }), await r.due({ url: sink.url })]
  const db = recordingDbOf({ _id: held, account_id: ACCOUNT })
  await r.store.put(db, { ...(await r.recording(held)), _id: held, legal_hold: true })
  await r.open().idle()
  t.is(sink.received.length, 2)
  const { name = '', delivery } = (await r.recording(held)) ?? {}
  t.like(delivery, { state: 'stored', destination: `${sink.url}/` })
  t.deepEqual(Buffer.concat((await (await r.store.getAttachment(db, held, name))?.body.toArray()) ?? []), AUDIO)
  t.is((await r.recording(free))?.['_attachments'], undefined)
  t.false(await r.kept(held))
})

test('what the plan of the account sends elsewhere goes there under its own name, with its own secret', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  const storage = {
    attachments: {
      web: { handler: 'http', settings: { url: `http://***@${sink.host}/in/` } },
      disk: { handler: 'directory', settings: { directory: 'archive' } },
    },
    pvt_secrets: { web: { url: `http://al:hidden@${sink.host}/in/` } },
    plan: { modb: { types: { call_recording: { attachments: { handler: 'web' } } } } },
  }
  await r.store.createDatabase(accountDb(ACCOUNT), 'account')
  const rev = await r.store.put(accountDb(ACCOUNT), { _id: 'storage', ...storage })
  const id = await r.due()
  const delivery = r.open()
  await delivery.idle()
  t.is(sink.received[0]?.headers['authorization'], `Basic ${Buffer.from('al:hidden').toString('base64')}`)
  t.like((await r.recording(id))?.delivery, { state: 'stored', destination: `http://${sink.host}/in/`, attempts: 1 })
  t.notRegex(JSON.stringify([await r.recording(id), r.logged]), /hidden/)
  storage.plan.modb.types.call_recording.attachments.handler = 'disk'
  await r.store.put(accountDb(ACCOUNT), { _id: 'storage', _rev: rev, ...storage })
  const other = await r.due()
  delivery.wake()
  await delivery.idle()
  const placed = `directory://archive/${ACCOUNT}/call_recording_leg-${other.slice(-4)}.wav`
  t.like((await r.recording(other))?.delivery, { state: 'stored', destination: 'directory://archive', location: placed })
})

test('a bucket without credentials has failed with the reason, and the file is kept', async t => {
  const r = await room(t)
  const id = await r.due({ url: 's3://calls/x' })
  await r.open().idle()
  t.like((await r.recording(id))?.delivery, { state: 'failed', last_error: 'the storage settings of the account name no bucket calls' })
  t.true(await r.kept(id))
})

test('ten thousand files for a host that is dead delay nobody else', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  const dead: InFlight[] = []
  const [id] = [await r.due({ url: 'http://127.0.0.1:1/' })]
  const model = await r.queued(id)
  for (let n = 0; n < 10_000; n++) dead.push({ ...model, _id: `${id.slice(0, 7)}${n.toString(16).padStart(32, '0')}` } as InFlight)
  for (const item of dead) delete item['_rev']
  await Promise.all(dead.map(item => r.store.put(IN_FLIGHT, item)))
  r.clock.advance(1000)
  const others = await Promise.all(Array.from({ length: 5 }, () => r.due({ url: sink.url })))
  const toStore = await r.due()
  const delivery = r.open()
  await sink.arrived(5)
  for (const one of [...others, toStore]) await until('its delivery', async () => (await r.recording(one))?.delivery?.state === 'stored')
  const { queued } = await delivery.queue()
  t.true(queued > 9_000, `${queued} still wait for the dead host`)
  t.is(sink.received.length, 5)
})

test('a delivery is in the audit trail, with where to', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  const id = await r.due({ url: sink.url })
  await r.open().idle()
  const { entries, broken_at } = await createAudit({ store: r.store, clock: r.clock, log: silent }).read(ACCOUNT, id)
  t.is(broken_at, undefined)
  t.like(entries, [{ what: 'created', details: { sha256: HASH.toString('hex'), destination: `${sink.url}/` } }])
})

test('what others write into the recording document meanwhile is not lost', async t => {
  const r = await room(t)
  const id = await r.due()
  const db = recordingDbOf({ _id: id, account_id: ACCOUNT })
  const raced = new Set<string>()
  const busy = faulty(r.store, async (method, [name, doc]) => {
    const step = `${method} ${method === 'put' ? (doc as Recording).delivery?.state : ''}`
    const isAudit = method === 'put' && (doc as Recording).pvt_type !== 'call_recording'
    if (name !== db || isAudit || !method.startsWith('put') || raced.has(step)) return
    raced.add(step)
    const current = await r.recording(id)
    await r.store.put(db, { ...current, _id: id, notes: [...raced] })
  })
  await r.open({ store: busy }).idle()
  t.deepEqual([...raced], ['put uploading', 'putAttachment ', 'put stored'])
  t.like(await r.recording(id), { delivery: { state: 'stored' }, notes: [...raced] })
})

test('a file that another engine has taken meanwhile is left to it', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  const id = await r.due({ url: sink.url })
  const raced = faulty(r.store, async (method, [name]) => {
    if (name === IN_FLIGHT && method === 'put') await r.store.put(IN_FLIGHT, { ...(await r.queued(id)), _id: id, by: 'another' })
  })
  await r.open({ store: raced }).idle()
  t.is(sink.received.length, 0)
  t.like(await r.queued(id), { by: 'another', delivery: { state: 'due', attempts: 0 } })
})

test('a destination that is away gets the file later, and the documents say when and why', async t => {
  const sink = await httpSink(t, [503, reset, 201])
  const r = await room(t)
  const id = await r.due({ url: `${sink.url}/?key=hidden` }, {}, Buffer.alloc(30_000_000))
  const delivery = r.open()
  await delivery.idle()
  t.like((await r.recording(id))?.delivery, { state: 'due', attempts: 1, next_at: '2026-05-16T00:00:10.000Z', last_error: `PUT ${sink.host} answered 503` })
  t.like((await r.queued(id))?.delivery, { state: 'due', attempts: 1, next_at: r.clock.now() + 10_000 })
  await pass(r, delivery, 9_999)
  t.is(sink.received.length, 1)
  await pass(r, delivery, 1)
  t.is((await r.recording(id))?.delivery?.last_error, `PUT ${sink.host}: broke the connection off`)
  t.true(await r.kept(id))
  await pass(r, delivery, 20_000)
  t.like((await r.recording(id))?.delivery, { state: 'stored', attempts: 3 })
  t.is((await r.recording(id))?.delivery?.last_error, undefined)
  t.false(await r.kept(id))
})

test('attempts and what became of them are counted, and the queue tells its length and age', async t => {
  const sink = await httpSink(t, [503, 404, 201])
  const r = await room(t)
  await r.due({ url: sink.url })
  const delivery = r.open()
  await delivery.idle()
  t.deepEqual(await delivery.queue(), { queued: 1, due: 0, oldestMs: 0, ageMs: 0 })
  const at = r.clock.now()
  for (const ago of [7_000, 3_000])
    await r.due({ url: sink.url }, { delivery: { state: 'due', destination: destinationOf(sink.url), attempts: 0, next_at: at - ago } })
  t.deepEqual(await delivery.queue(), { queued: 3, due: 2, oldestMs: 7_000, ageMs: 7_000 })
  await pass(r, delivery, 20_000)
  t.deepEqual(await delivery.queue(), { queued: 0, due: 0, oldestMs: 0, ageMs: 0 })
  t.deepEqual(r.counts, {
    callrec_delivery_attempts_total: 4,
    'callrec_deliveries_total postponed': 1,
    'callrec_deliveries_total failed': 1,
    'callrec_deliveries_total stored': 2,
  })
})

test('the age of a file counts from its first attempt, whatever pause it is in', async t => {
  const sink = await httpSink(t, [503])
  const r = await room(t)
  await r.due({ url: sink.url })
  const delivery = r.open()
  await delivery.idle()
  await pass(r, delivery, 60_000)
  t.like(await delivery.queue(), { queued: 1, due: 0, oldestMs: 0, ageMs: 60_000 })
})

test('Retry-After is respected', async t => {
  const sink = await httpSink(t, [answer(429, { 'retry-after': '7200' }), 201])
  const r = await room(t)
  await r.due({ url: sink.url })
  const delivery = r.open()
  await delivery.idle()
  await pass(r, delivery, 7_199_000)
  t.is(sink.received.length, 1)
  await pass(r, delivery, 1000)
  t.is(sink.received.length, 2)
})

test('a destination that refuses is not asked again, and the file is kept', async t => {
  const sink = await httpSink(t, [403])
  const r = await room(t)
  const id = await r.due({ url: sink.url })
  const delivery = r.open()
  await delivery.idle()
  await pass(r, delivery, 80 * 3_600_000)
  t.is(sink.received.length, 1)
  t.like((await r.recording(id))?.delivery, { state: 'failed', attempts: 1, last_error: `PUT ${sink.host} answered 403` })
  t.like((await r.queued(id))?.delivery, { state: 'failed' })
  t.true(await r.kept(id))
})

test('after three days it has failed, and the file is kept', async t => {
  const sink = await httpSink(t, [500])
  const r = await room(t)
  const id = await r.due({ url: sink.url })
  const delivery = r.open()
  await delivery.idle()
  for (let hours = 0; hours < 80; hours++) await pass(r, delivery, 3_600_000)
  const recording = await r.recording(id)
  t.like(recording?.delivery, { state: 'failed', last_error: `given up after 72 h: PUT ${sink.host} answered 500` })
  t.true((recording?.delivery?.attempts ?? 0) > 72)
  t.true(await r.kept(id))
})

test('a file that was given up goes out once somebody makes it due again', async t => {
  const sink = await httpSink(t, [403, 201])
  const r = await room(t)
  const id = await r.due({ url: sink.url })
  const delivery = r.open()
  await delivery.idle()
  const failed = await r.queued(id)
  await r.store.put(IN_FLIGHT, { ...failed, _id: id, delivery: { state: 'due', destination: destinationOf(sink.url), attempts: 0, next_at: r.clock.now() } })
  delivery.wake()
  await delivery.idle()
  t.like((await r.recording(id))?.delivery, { state: 'stored', attempts: 1 })
})

test('a url that leads inside fails at once without a word sent', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  const id = await r.due({ url: sink.url })
  await r.open({ allow: [] }).idle()
  t.is(sink.received.length, 0)
  t.is((await r.recording(id))?.delivery?.state, 'failed')
  t.regex((await r.recording(id))?.delivery?.last_error ?? '', /not on the public internet/)
})

test('a 2xx before the whole file is not success', async t => {
  const sink = await httpSink(t, [answerEarly(200), 201])
  const r = await room(t)
  const id = await r.due({ url: sink.url }, {}, Buffer.alloc(30_000_000))
  const delivery = r.open()
  await delivery.idle()
  t.like((await r.recording(id))?.delivery, { state: 'due', last_error: `PUT ${sink.host} answered 200 before it had the whole file` })
  t.true(await r.kept(id))
  await pass(r, delivery, 10_000)
  t.is((await r.recording(id))?.delivery?.state, 'stored')
  t.is(sink.received[1]?.body.length, 30_000_000)
})

test('what a crash left uploading is due again', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  const id = await r.due(
    { url: sink.url },
    { delivery: { state: 'uploading', destination: destinationOf(sink.url), attempts: 1, next_at: Date.UTC(2026, 4, 15) } },
  )
  await r.open().idle()
  t.like((await r.recording(id))?.delivery, { state: 'stored', attempts: 2 })
})

test('what arrived before a crash is not sent again', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  const id = await r.due({ url: sink.url })
  const stored = { state: 'stored' as const, destination: destinationOf(sink.url), attempts: 1, location: 'there', stored_at: '2026-05-15T00:00:00.000Z' }
  await r.store.put(recordingDbOf({ _id: id, account_id: ACCOUNT }), { ...(await r.recording(id)), _id: id, delivery: stored })
  await r.open().idle()
  t.is(sink.received.length, 0)
  t.deepEqual((await r.recording(id))?.delivery, stored)
  t.is(await r.queued(id), undefined)
  t.false(await r.kept(id))
})

test('a recording that was deleted is not delivered, and its file goes', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  const id = await r.due({ url: sink.url })
  await r.store.put(recordingDbOf({ _id: id, account_id: ACCOUNT }), { ...(await r.recording(id)), _id: id, pvt_deleted: true })
  await r.open().idle()
  t.is(sink.received.length, 0)
  t.is(await r.queued(id), undefined)
  t.false(await r.kept(id))
})

test('a file without a recording document, or a document without a file, has failed with the reason', async t => {
  const r = await room(t)
  const lost = await r.due()
  await r.store.deleteDatabase(recordingDbOf({ _id: lost, account_id: ACCOUNT }))
  await r.open().idle()
  t.like((await r.queued(lost))?.delivery, { state: 'failed', last_error: 'its recording document is gone' })
  t.true(await r.kept(lost))
  const gone = await r.due()
  await r.spool.remove(`fs1/202605/${gone}.wav`)
  await r.open().idle()
  t.like((await r.recording(gone))?.delivery, { state: 'failed', last_error: 'the recorded file is not in the spool' })
})

test('a file that changed since it was measured is sent as it is, with its own digest', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  const id = await r.due({ url: sink.url })
  await writeFile(r.spool.here(`fs1/202605/${id}.wav`), 'other')
  await r.open().idle()
  t.is(sink.received[0]?.body.toString(), 'other')
  t.is(sink.received[0]?.headers['content-digest'], `sha-256=:${createHash('sha256').update('other').digest('base64')}:`)
})

test('files of another engine’s switch and recordings that still run are left alone', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  await r.due({ url: sink.url }, { node: 'fs2' })
  await r.due({ url: sink.url }, { state: 'stopping' })
  await r.due({ url: sink.url }, { delivery: { state: 'due', destination: destinationOf(sink.url), attempts: 0, next_at: r.clock.now() + 1000 } })
  await r.open().idle()
  t.is(sink.received.length, 0)
})

test('a slow destination takes four places at most and delays no other', async t => {
  let open = (): void => {}
  const gate = new Promise<void>(resolve => (open = resolve))
  const slow = await httpSink(t, [201, when(gate)])
  const quick = await httpSink(t)
  const r = await room(t)
  const delivery = r.open()
  await r.due({ url: slow.url })
  delivery.wake()
  await delivery.idle()
  for (let count = 0; count < 10; count++) await r.due({ url: slow.url })
  r.clock.advance(1)
  const other = await r.due({ url: quick.url })
  delivery.wake()
  await slow.arrived(5)
  await quick.arrived(1)
  await until('its delivery', async () => (await r.recording(other))?.delivery?.state === 'stored')
  t.is(slow.received.length, 5)
  open()
  await delivery.idle()
  t.is(slow.received.length, 11)
  t.is(slow.busiest(), 4)
})

test('a destination that was never tried gets one file at a time until it took one', async t => {
  const sink = await httpSink(t, [503, 503, 201])
  const r = await room(t)
  for (let count = 0; count < 6; count++) await r.due({ url: sink.url })
  const delivery = r.open()
  await delivery.idle()
  t.is(sink.received.length, 6)
  await pass(r, delivery, 10_000)
  t.is(sink.received.length, 8)
  t.true(sink.busiest() <= 4)
})

test('a file that is taken while the queue is read again is not sent twice', async t => {
  const [first, second, listed, read] = [gate(), gate(), gate(), gate()]
  const sink = await httpSink(t, [when(first.passed), when(second.passed), 201])
  const r = await room(t)
  for (const ago of [2, 1])
    await r.due({ url: sink.url }, { delivery: { state: 'due', destination: destinationOf(sink.url), attempts: 0, next_at: r.clock.now() - ago } })
  let queries = 0
  const claims: unknown[] = []
  const store = faulty(r.store, async (method, args) => {
    if (method === 'put' && args[0] === IN_FLIGHT) claims.push((args[1] as InFlight).delivery?.state)
    // The fourth is the last of the second reading: the list is in hand by then.
    if (method !== 'query' || ++queries !== 4) return
    listed.open()
    await read.passed
  })
  const delivery = r.open({ store })
  await sink.arrived(1)
  delivery.wake()
  await listed.passed
  first.open()
  await sink.arrived(2)
  read.open()
  second.open()
  await delivery.idle()
  t.is(sink.received.length, 2)
  t.deepEqual(claims, ['uploading', 'uploading'])
})

test('what is due longest goes first', async t => {
  const sink = await httpSink(t, [500])
  const r = await room(t)
  const due = (ago: number) =>
    r.due({ url: sink.url }, { delivery: { state: 'due', destination: destinationOf(sink.url), attempts: 0, next_at: r.clock.now() - ago } })
  const ids = [await due(10), await due(30), await due(20)]
  await r.open().idle()
  t.deepEqual(
    sink.received.map(({ headers }) => headers['idempotency-key']),
    [ids[1], ids[2], ids[0]],
  )
})

test('close breaks off what runs and leaves it due for the next start, uncounted', async t => {
  const sink = await httpSink(t, [hang, 201])
  const r = await room(t)
  const id = await r.due({ url: sink.url })
  const first = r.open()
  await sink.arrived(1)
  t.is((await r.queued(id))?.delivery?.state, 'uploading')
  await first.close()
  t.like((await r.queued(id))?.delivery, { state: 'due', attempts: 0 })
  t.is((await r.recording(id))?.delivery?.state, 'due')
  first.wake()
  await first.idle()
  t.is(sink.received.length, 1)
  await r.open().idle()
  t.like((await r.recording(id))?.delivery, { state: 'stored', attempts: 1 })
})

test('a store that is away after the upload does not make it happen twice', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  const id = await r.due({ url: sink.url })
  let refusals = 0
  const away = faulty(r.store, async method => {
    if (sink.received.length === 0 || method === 'query' || refusals === 3) return
    refusals++
    throw new AppError('datastore_unreachable', 'away')
  })
  const delivery = r.open({ store: away })
  await sink.arrived(1)
  for (let tries = 1; tries <= 3; tries++) {
    await until('the tries', () => r.logged.filter(({ event }) => event === 'delivery_store_away').length === tries)
    r.clock.advance(59_000)
  }
  await delivery.idle()
  t.is(sink.received.length, 1)
  t.is((await r.recording(id))?.delivery?.state, 'stored')
  t.is(await r.queued(id), undefined)
})

test('a store that stays away is left for a minute, and the file is not forgotten', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  let away = false
  const id = await r.due({ url: sink.url })
  const store = faulty(r.store, async method => {
    if (sink.received.length > 0) away = true
    if (away && method !== 'query') throw new AppError('datastore_unreachable', 'away')
  })
  const delivery = r.open({ store })
  await sink.arrived(1)
  for (let tries = 1; !events(r).includes('delivery_postponed'); tries++) {
    await until('the tries', () => events(r).length >= tries)
    r.clock.advance(60_000)
  }
  await delivery.idle()
  t.true(await r.kept(id))
  t.is((await r.queued(id))?.delivery?.state, 'uploading')
  await delivery.close()
  await r.open().idle()
  t.is((await r.recording(id))?.delivery?.state, 'stored')
})

test('a file that cannot be removed does not stay in the queue, and the log says where it lies', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  const id = await r.due({ url: sink.url })
  await r.open({ spool: { ...r.spool, remove: () => Promise.reject(new Error('permission denied')) } }).idle()
  t.is(await r.queued(id), undefined)
  t.like(
    r.logged.find(({ event }) => event !== 'recording_audited'),
    { event: 'spool_file_not_removed', facts: { recording_id: id, file: `fs1/202605/${id}.wav` } },
  )
})

test('a disk that cannot be read now is read later', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  const id = await r.due({ url: sink.url })
  await r.open({ spool: { ...r.spool, size: () => Promise.reject(new Error('EIO: i/o error')) } }).idle()
  t.like((await r.recording(id))?.delivery, { state: 'due', attempts: 1, last_error: 'EIO: i/o error' })
})

test('a queue that cannot be read is read again', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  let away = true
  await r.due({ url: sink.url })
  const delivery = r.open({
    store: faulty(r.store, async method => {
      if (away && method === 'query') throw new AppError('datastore_unreachable', 'away')
    }),
  })
  await delivery.idle()
  t.deepEqual(events(r), ['delivery_queue_unreadable'])
  away = false
  await pass(r, delivery, 5000)
  t.is(sink.received.length, 1)
})

test('a claim that cannot be written is made again later', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  let away = true
  await r.due({ url: sink.url })
  const delivery = r.open({
    store: faulty(r.store, async method => {
      if (away && method === 'put') throw new AppError('datastore_fault', 'full')
    }),
  })
  await delivery.idle()
  t.is(sink.received.length, 0)
  away = false
  await pass(r, delivery, 60_000)
  t.is(sink.received.length, 1)
})

test('nobody has to say that something is due: the queue is read once a minute', async t => {
  const sink = await httpSink(t)
  const r = await room(t)
  const delivery = r.open()
  await delivery.idle()
  await r.due({ url: sink.url })
  await pass(r, delivery, 60_000)
  t.is(sink.received.length, 1)
})

test('a queue longer than a page is read to its end', async t => {
  const dead = await httpSink(t, [hang])
  const sink = await httpSink(t)
  const r = await room(t)
  const delivery = (next_at: number) => ({ state: 'due' as const, destination: dead.url, attempts: 0, next_at })
  // The first in the queue holds the place of all that go there.
  const first = await r.due({ url: dead.url }, { delivery: delivery(r.clock.now() - 1) })
  const item = await r.queued(first)
  const { _rev: _, ...doc } = { ...item, delivery: delivery(r.clock.now()) }
  const more = Array.from({ length: 1500 }, () => ({ ...doc, _id: recordingId(r.clock.now(), randomBytes(16).toString('hex')) }))
  await Promise.all(more.map(one => r.store.put(IN_FLIGHT, one)))
  r.clock.advance(1)
  await r.due({ url: sink.url })
  r.open()
  await sink.arrived(1)
  await dead.arrived(1)
  t.is(dead.received.length, 1)
})

test('credentials and query of a url stand in no document and no log line', async t => {
  const sink = await httpSink(t, [500, 403])
  const r = await room(t)
  const id = await r.due({ url: `http://u:secret@${sink.host}/x?key=hidden` })
  const delivery = r.open()
  await delivery.idle()
  await pass(r, delivery, 10_000)
  const { delivery: told } = (await r.recording(id)) ?? {}
  t.is(told?.state, 'failed')
  t.notRegex(JSON.stringify([told, (await r.queued(id))?.delivery, r.logged]), /secret|hidden/)
})

test('whoever listens hears that a file arrived, or that it never will, and no password', async t => {
  const sink = await httpSink(t, [201, 404])
  const r = await room(t)
  await r.due({ url: `http://al:secret@${sink.host}/rec/` })
  const delivery = r.open()
  await delivery.idle()
  await r.due({ url: `${sink.url}/rec/` })
  delivery.wake()
  await delivery.idle()
  t.deepEqual(r.told, ['recording.stored stored', 'recording.failed failed'])
})

test('the queue knows that a file will never arrive when that has been told, and not before', async t => {
  const sink = await httpSink(t, [404])
  const r = await room(t)
  const id = await r.due({ url: `${sink.url}/rec/` })
  const store = new Proxy(r.store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name !== 'put') return value
      return async (...given: Parameters<Store['put']>) => {
        const { delivery: written } = given[1] as InFlight
        if (given[0] === IN_FLIGHT && written?.state === 'failed') throw new Error('the engine is killed')
        return target.put(...given)
      }
    },
  })
  await r.open({ store }).idle()
  t.is((await r.queued(id))?.delivery?.state, 'uploading')
  t.deepEqual(r.told, ['recording.failed failed'])
})

test('a file that arrived is handed on to be made text after it was told of, and never one that did not', async t => {
  const sink = await httpSink(t, [201, 404])
  const r = await room(t)
  const asked: string[] = []
  const first = await r.due({ url: `${sink.url}/rec/` })
  const delivery = r.open({ transcribe: async ({ _id, delivery: told }) => void asked.push(`${_id} ${told?.state} ${r.told.join()}`) })
  await delivery.idle()
  await r.due({ url: `${sink.url}/rec/` })
  delivery.wake()
  await delivery.idle()
  t.deepEqual(asked, [`${first} stored recording.stored stored`])
})

test('until it is written down that a file is to be made text the queue does not forget it', async t => {
  const r = await room(t)
  const id = await r.due()
  const asked: string[] = []
  const delivery = r.open({
    transcribe: async ({ _id }) => {
      asked.push(_id)
      if (asked.length < 3) throw new AppError('datastore_unreachable', 'away')
      t.truthy(await r.queued(id))
    },
  })
  await until('the end of the queue', async () => {
    r.clock.advance(5000)
    return (await r.queued(id)) === undefined
  })
  t.deepEqual(asked, [id, id, id])
  await delivery.idle()
})
