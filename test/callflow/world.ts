// An executor with everything it needs, in memory: documents, a recorder that only notes, a clock the
// test turns, and the scripted switch.

import type { ExecutionContext } from 'ava'
import { flowChecker } from '../../src/api/validation/flow.ts'
import { loadSchemas } from '../../src/api/validation/schemas.ts'
import { createValidator } from '../../src/api/validation/validate.ts'
import { createEvents } from '../../src/events.ts'
import { NO_DECODER } from '../../src/recording/audio/decoder.ts'
import { NO_ENCODER } from '../../src/recording/audio/encoder.ts'
import { NO_TRANSCRIBER } from '../../src/recording/transcripts/transcriber.ts'
import type { Recorder } from '../../src/recording/recorder.ts'
import type { MessageRequest } from '../../src/recording/message.ts'
import type { State } from '../../src/recording/lifecycle.ts'
import type { StartRequest } from '../../src/recording/starting.ts'
import type { SiprecRequest } from '../../src/siprec/request.ts'
import type { Siprec } from '../../src/siprec/sessions.ts'
import { accountDb } from '../../src/store/modb.ts'
import type { Doc, Row, Store, Stored } from '../../src/store/store.ts'
import type { Leg } from '../../src/switch/switch.ts'
import { AppError, type ErrorCode } from '../../src/errors.ts'
import type { TenantClient, TenantRequest } from '../../src/net/client.ts'
import { openSpool } from '../../src/recording/spool.ts'
import { startVoice, type Voice } from '../../src/voice/voice.ts'
import { modules, startExecutor } from '../../src/callflow/executor.ts'
import { manualClock } from '../helpers/clock.ts'
import { notedLog, type Line } from '../helpers/log.ts'
import { fakeSwitch } from '../helpers/switches.ts'
import { until } from '../helpers/wait.ts'

const id = (digit: string): string => digit.repeat(32)
export const ACCOUNT = id('a')
export const ALICE = id('1')
export const ALICE_PHONE = id('2')
export const BOB = id('3')
export const BOB_PHONE = id('4')
export const BOB_MOBILE = id('5')
export const FLOW = id('f')
export const OTHER_FLOW = id('e')

export type Node = { module: string; data?: Record<string, unknown>; children?: Record<string, Node> }

export const device = (_id: string, owner_id: string, username: string): Doc => ({ _id, pvt_type: 'device', name: username, owner_id, sip: { username } })

/** Two users, three phones, one callflow at 1000. */
export const documents = (flow: Node): Record<string, Doc> => ({
  account: { _id: ACCOUNT, pvt_type: 'account', name: 'Acme', realm: 'acme.example' },
  alice: { _id: ALICE, pvt_type: 'user', first_name: 'Alice', last_name: 'A' },
  alicePhone: device(ALICE_PHONE, ALICE, 'alice'),
  bob: { _id: BOB, pvt_type: 'user', first_name: 'Bob', last_name: 'B' },
  bobPhone: device(BOB_PHONE, BOB, 'bob'),
  callflow: { _id: FLOW, pvt_type: 'callflow', name: 'Main', numbers: ['1000'], flow },
})

/** As a store gives documents back; structuredClone knows only some hundred levels. */
const copy = <T>(value: T): T => (Array.isArray(value) ? value.map(copy) : value === undefined ? undefined : JSON.parse(JSON.stringify(value))) as T

/** `steps` counts reads that could not be made at the same time as another. */
export function memoryStore(docs: Record<string, Doc>): { store: Store; steps: () => number; failing: { with?: Error }; written: Doc[] } {
  const failing: { with?: Error } = {}
  let pending = 0
  let steps = 0
  async function reading<T>(read: () => T): Promise<T> {
    if (pending === 0) steps += 1
    pending += 1
    await new Promise(resolve => setImmediate(resolve))
    pending -= 1
    if (failing.with !== undefined) throw failing.with
    return copy(read())
  }
  const all = (): Stored[] => Object.values(docs).map(doc => ({ _rev: '1-0', ...doc }))
  const shared: Record<string, string> = { account: 'accounts', number: 'numbers' }
  const inDb = (db: string): Stored[] => all().filter(doc => (shared[String(doc['pvt_type'])] ?? accountDb(ACCOUNT)) === db)
  const strings = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [])
  const keysOf: Record<string, (doc: Doc) => string[]> = {
    'callflows/listing_by_number': doc => (doc['pvt_type'] === 'callflow' ? strings(doc['numbers']) : []),
    'callflows/listing_by_pattern': doc => (doc['pvt_type'] === 'callflow' ? strings(doc['patterns']) : []),
    'resources/crossbar_listing': doc => (doc['pvt_type'] === 'resource' ? [String(doc['name'])] : []),
    'devices/listing_by_username': doc => (doc['pvt_type'] === 'device' ? [(doc['sip'] as { username: string }).username] : []),
    'devices/listing_by_owner': doc => (doc['pvt_type'] === 'device' ? [String(doc['owner_id'])] : []),
  }
  const written: Doc[] = []
  /** Of calls in progress. */
  const open = new Map<string, Doc>()
  const store: Pick<Store, 'get' | 'getMany' | 'put' | 'purge' | 'query'> = {
    getMany: <T extends Doc>(db: string, ids: readonly string[]) => reading(() => ids.map(id => inDb(db).find(doc => doc._id === id) as Stored<T> | undefined)),
    async put(db, doc) {
      if (db === 'calls_in_progress') return (open.set(doc._id, doc), '1-0')
      const [name] = Object.entries(docs).find(([, one]) => one._id === doc._id) ?? [undefined]
      if (name === undefined) written.push(doc)
      else docs[name] = doc
      return '2-0'
    },
    purge: async (_db, id) => void open.delete(id),
    get: <T extends Doc>(db: string, id: string) => reading(() => (open.get(id) ?? inDb(db).find(doc => doc._id === id)) as Stored<T> | undefined),
    query: <V>(db: string, view: string, { key, keys }: { key?: unknown; keys?: readonly unknown[] } = {}) =>
      // What is asked when a call is over, or of others, is no part of its way to the first action.
      view === 'recordings/listing_by_cdr' || view.startsWith('voice_lives/')
        ? Promise.resolve([])
        : reading(() => {
            const emit = keysOf[view]
            if (emit === undefined) throw new Error(`no view ${view}`)
            const wanted = keys ?? (key === undefined ? undefined : [key])
            return inDb(db).flatMap(doc =>
              emit(doc)
                .filter(one => wanted === undefined || wanted.includes(one))
                .map((one): Row<V> => ({ id: doc._id, key: one, value: null as V, doc })),
            )
          }),
  }
  return { store: store as Store, steps: () => steps, failing, written }
}

export function notingRecorder() {
  const started: StartRequest[] = []
  const ended = new Set<StartRequest>()
  const stopped: string[] = []
  const followed: { left: string; leg: string; side: string }[] = []
  const spoken: MessageRequest[] = []
  const refused: { origin: string; reason: string; warnings: readonly string[] }[] = []
  const neverCame: string[] = []
  const failing: { with?: Error; refuse?: string } = {}
  const recorder: Recorder = {
    async start(request) {
      if (failing.with !== undefined) throw failing.with
      started.push(request)
      return {
        id: `202611-${'0'.repeat(32)}`,
        state: failing.refuse === undefined ? 'waiting' : 'failed',
        joined: false,
        ...(failing.refuse === undefined ? {} : { reason: failing.refuse }),
      }
    },
    asked: async () => {},
    adopt() {},
    groupOf: () => undefined,
    recorded: () => undefined,
    async follow(left, { leg, side }) {
      if (failing.with !== undefined) throw failing.with
      followed.push({ left, leg: leg.uuid, side })
    },
    async refuse({ origin }, reason, warnings) {
      if (failing.with !== undefined) throw failing.with
      refused.push({ origin, reason, warnings })
      return { id: '', state: 'failed', joined: false, reason }
    },
    async message(request) {
      if (failing.with !== undefined) throw failing.with
      spoken.push(request)
      const id = `202611-${'1'.repeat(32)}`
      if (failing.refuse !== undefined) return { id, state: 'failed', joined: false, reason: failing.refuse }
      return { id, state: 'stopped', joined: false, message: { ended: 'key', key: '#', durationMs: 3000 } }
    },
    async stopLatest(leg) {
      if (failing.with !== undefined) throw failing.with
      stopped.push(leg)
      const latest = started.findLast(one => one.leg.uuid === leg && one.by === 'action' && !ended.has(one))
      if (latest === undefined) return undefined
      ended.add(latest)
      return { id: `202611-${'0'.repeat(32)}`, state: 'stopping', joined: false }
    },
    running: leg =>
      started
        .filter(one => one.leg.uuid === leg && !ended.has(one))
        .map(({ settings, origin }) => ({ id: '', settings, state: 'waiting' as const, origins: [origin] })),
    cover: () => Promise.resolve([]),
    wishOf: () => ({}),
    telling: { announcer: {} as Recorder['telling']['announcer'], beeps: {} as Recorder['telling']['beeps'] },
    refusals: { holds: () => false, check() {}, async refuse() {} },
    alsoRecords: () => () => {},
    begun: () => Promise.resolve(undefined),
    stop: id => Promise.resolve(void stopped.push(id)),
    ended: () => Promise.resolve(),
    join: () => Promise.resolve(),
    onUnheard: () => () => {},
    legNeverCame: leg => void neverCame.push(leg),
    close: () => Promise.resolve(),
  }
  return { recorder, started, spoken, refused, followed, stopped, neverCame, failing }
}

/** No server of a tenant is there. */
export const nowhere: TenantClient = { request: () => Promise.reject(new AppError('upload_unreachable', 'nobody there')), close: () => Promise.resolve() }

/** A server that always says the same, and what it was asked. */
export function answering(said: unknown, status = 200): TenantClient & { asked: TenantRequest[] } {
  const asked: TenantRequest[] = []
  return {
    asked,
    request: async request => {
      asked.push(request)
      const body = Buffer.from(typeof said === 'string' ? said : JSON.stringify(said))
      return { status, headers: {}, body, complete: body.length <= (request.maxBytes ?? 65_536), bodySent: true, url: new URL(request.url) }
    },
    close: () => Promise.resolve(),
  }
}

/** Recordings by servers that only note what was asked; `refuses` is thrown at the next start. */
export function notingSiprec(): { siprec: Siprec; started: SiprecRequest[]; stopped: string[]; refuses: { with?: Error; state?: State; code?: ErrorCode } } {
  const started: SiprecRequest[] = []
  const stopped: string[] = []
  const refuses: { with?: Error; state?: State; code?: ErrorCode } = {}
  const state = (): State => refuses.state ?? 'starting'
  return {
    started,
    stopped,
    refuses,
    siprec: {
      async start(request) {
        if (refuses.with !== undefined) throw refuses.with
        started.push(request)
        return {
          id: `siprec${started.length}`,
          state: state(),
          ...(refuses.state === undefined ? {} : { reason: 'scripted', code: refuses.code ?? 'validation error' }),
          begun: Promise.resolve(state()),
        }
      },
      async stop(leg) {
        stopped.push(leg)
        return { id: 'siprec1', state: 'stopped', begun: Promise.resolve('stopped') }
      },
      running: () => [],
      follow: async () => {},
      legNeverCame: () => {},
      close: () => Promise.resolve(),
    },
  }
}

/** For executors whose calls meet no voice application. */
export const noVoice: Pick<Voice, 'run' | 'placeOf'> = {
  run: () => Promise.reject(new Error('no voice application is there')),
  placeOf: () => Promise.resolve(undefined),
}

/** Nothing of these tests touches it. */
const spool = openSpool({ here: '/nonexistent', onSwitch: '/nonexistent', minFree: 0 })

export const checkFlow = flowChecker(createValidator(loadSchemas(10_800)), modules)

export function world(
  t: ExecutionContext,
  docs: Record<string, Doc>,
  {
    maxTimeLimit = 10_800,
    before,
    http = nowhere,
  }: { maxTimeLimit?: number; before?: (fake: ReturnType<typeof fakeSwitch>) => void; http?: TenantClient } = {},
) {
  const fake = fakeSwitch()
  const clock = manualClock(1_800_000_000_000)
  const { log, lines } = notedLog()
  const { store, steps, failing, written } = memoryStore(docs)
  const recording = notingRecorder()
  let counter = 0
  before?.(fake)
  const random = (bytes: number): string => {
    counter += 1
    return counter.toString(16).padStart(2 * bytes, '0')
  }
  const servers = notingSiprec()
  const ports = { store, recorder: recording.recorder, siprec: servers.siprec, clock, wall: clock, http, log, random }
  const executor = startExecutor({
    ...ports,
    switches: fake.switches,
    voice: startVoice({
      ...ports,
      switches: fake.switches,
      encoder: NO_ENCODER,
      decoder: NO_DECODER,
      transcriber: Promise.resolve(NO_TRANSCRIBER),
      events: createEvents(log),
      spool,
      publicUrl: 'https://pbx.example.com',
      toldBefore: () => Promise.resolve(),
    }),
    checkFlow,
    config: { maxTimeLimit },
  })
  t.teardown(() => executor.close())

  /** Alice dials; answers her leg's uuid. */
  const dial = (number = '1000', leg: Partial<Leg> = {}): string =>
    fake.park({
      destination: number,
      callerIdName: 'Alice',
      callerIdNumber: '2001',
      ...leg,
      variables: { callrec_account_id: ACCOUNT, callrec_device_id: ALICE_PHONE, ...leg.variables },
    })

  /** Until the call's flow is over; answers what it was hung up with. */
  async function over(): Promise<unknown> {
    const hangup = await fake.until('hangup')
    while (executor.calls() > 0) await new Promise(resolve => setImmediate(resolve))
    return hangup.detail
  }

  const events = (...names: string[]): Line[] => lines.filter(line => names.includes(line.event))
  /** Until no call runs any more, however it ended. */
  async function idle(): Promise<void> {
    await until('no call runs', () => executor.calls() === 0)
  }

  return { store, fake, clock, lines, events, steps, failing, written, recording, servers, executor, dial, over, idle }
}
