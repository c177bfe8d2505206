// A recording whose switch tells of it late, twice, out of order or not at all, while the connection flaps and the engine restarts:
// here the switch keeps the truth, and what it tells is heard as the property wants it.

import { Readable } from 'node:stream'
import test from 'ava'
import fc from 'fast-check'
import { AppError, type ErrorCode } from '../../src/errors.ts'
import { silent } from '../../src/log.ts'
import { NO_ENCODER } from '../../src/recording/audio/encoder.ts'
import { IN_FLIGHT, type InFlight, type Recording } from '../../src/recording/document.ts'
import { startRecorder } from '../../src/recording/recorder.ts'
import type { Started } from '../../src/recording/starting.ts'
import { everywhere, type Settings } from '../../src/recording/settings.ts'
import type { Finished, Spool } from '../../src/recording/spool.ts'
import { recordingDb } from '../../src/store/modb.ts'
import type { Doc, Store } from '../../src/store/store.ts'
import type { Leg, SwitchEvent, Switches, SwitchNode } from '../../src/switch/switch.ts'
import { manualClock } from '../helpers/clock.ts'
import { aLeg } from '../helpers/legs.ts'
import { tally } from '../helpers/tally.ts'

const ACCOUNT = 'ab'.repeat(16)
const LEG = '00000000-0000-4000-8000-000000000001'
const OTHER = '00000000-0000-4000-8000-000000000002'
const WHOLE: Finished = { size: 160_044, sha256: 'ab', durationMs: 10_000, sampleRate: 8000, channels: 2 }
const EMPTY: Finished = { ...WHOLE, size: 44, durationMs: 0 }

/** Documents in memory: each step takes as many turns as on the run before. */
function memoryStore() {
  const databases = new Map<string, Map<string, Doc>>()
  const docs = (db: string): Map<string, Doc> => databases.get(db) ?? databases.set(db, new Map()).get(db) ?? new Map<string, Doc>()
  let revision = 0
  const store = {
    async get(db: string, id: string) {
      return docs(db).get(id)
    },
    async getMany(db: string, ids: readonly string[]) {
      return ids.map(id => docs(db).get(id))
    },
    async put(db: string, doc: Doc) {
      if (docs(db).get(doc._id)?._rev !== doc._rev) throw new AppError('datastore_conflict', doc._id)
      revision += 1
      docs(db).set(doc._id, { ...doc, _rev: String(revision) })
      return String(revision)
    },
    async purge(db: string, id: string) {
      docs(db).delete(id)
    },
    async query(db: string, view: string) {
      return view === 'in_flight/by_node' ? [...docs(db).values()].map(doc => ({ id: doc._id, key: null, value: null, doc })) : []
    },
  }
  return { store: store as unknown as Store, docs }
}

/** What becomes of the command that begins it: done, refused, done with its answer lost, or never sent. */
const STARTS = ['done', 'refused', 'unheard', 'unsent'] as const

interface World {
  settings: Settings
  answered: boolean
  start: (typeof STARTS)[number]
  file: Finished | undefined
}

function scene({ settings, answered, start, file }: World) {
  const clock = manualClock()
  const { store, docs } = memoryStore()
  const listeners = new Set<(event: SwitchEvent) => void>()
  const legs = new Map([aLeg(LEG, { answered }), aLeg(OTHER)].map(leg => [leg.uuid, leg]))
  const recorded = new Map<string, string>()
  const files = new Map<string, Finished>()
  const happened: SwitchEvent[] = []
  let connected = true
  let everRecorded = false

  const tell = (event: SwitchEvent): void => {
    for (const listener of listeners) listener(event)
  }
  const legNow = (): Leg => legs.get(LEG) ?? aLeg(LEG)
  /** An answer of the switch takes a while, in which other things happen. */
  const reach = async (): Promise<void> => {
    await turns(1)
    if (!connected) throw new AppError('switch_down', 'the connection is lost')
  }
  const record = (path: string, id: string): void => {
    everRecorded = true
    recorded.set(path, id)
    if (file !== undefined) files.set(path, file)
    happened.push({ name: 'RECORD_START', leg: legNow(), at: clock.now(), path, variables: { rec_id: id } })
  }
  const stopAll = (): void => {
    for (const [path, id] of recorded) happened.push({ name: 'RECORD_STOP', leg: legNow(), at: clock.now(), path, variables: { rec_id: id } })
    recorded.clear()
  }

  const fails: Record<World['start'], ErrorCode | undefined> = { done: undefined, refused: 'switch_refused', unheard: 'switch_timeout', unsent: 'switch_down' }
  const node = {
    name: 'fs1',
    status: () => ({ name: 'fs1', state: 'up', address: '', modules: {}, formats: [] }),
    clock: async () => clock.now(),
    async leg(uuid: string) {
      await reach()
      return legs.get(uuid)
    },
    async legs() {
      await reach()
      return [...legs.values()]
    },
    async recordings(uuid: string) {
      await reach()
      if (!legs.has(uuid)) throw new AppError('leg_gone', uuid)
      return [...recorded.keys()]
    },
    async record(uuid: string, path: string, { variables }: { variables: Readonly<Record<string, string>> }) {
      await reach()
      if (!legs.has(uuid)) throw new AppError('leg_gone', uuid)
      const code = fails[start]
      if (start === 'done' || start === 'unheard') record(path, variables['rec_id'] ?? '')
      if (code !== undefined) throw new AppError(code, 'scripted')
    },
    async stopRecording() {
      await reach()
      stopAll()
    },
  } as Partial<SwitchNode> as SwitchNode
  const switches: Switches = {
    nodes: [node],
    node: () => node,
    on(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: async () => {},
  }
  const spool: Partial<Spool> = {
    onSwitch: name => name,
    makeReady: async () => {},
    check: async () => {},
    finish: async name => files.get(name),
    pieces: () => Readable.from([]),
    size: async name => files.get(name)?.size,
    remove: async name => void files.delete(name),
  }
  const open = () =>
    startRecorder({
      store,
      switches,
      spool: spool as Spool,
      journal: { write: async () => {}, read: async () => [], remove: async () => {} },
      clock,
      log: silent,
      metrics: tally().metrics,
      events: { tell: async () => {} },
      random: bytes => 'ab'.repeat(bytes),
      deliver: () => {},
      maxTimeLimit: 10_800,
      encoder: NO_ENCODER,
    })
  let recorder = open()

  const change = (uuid: string, change: Partial<Leg>): void => {
    const leg = legs.get(uuid)
    if (leg !== undefined) legs.set(uuid, { ...leg, ...change })
  }
  return {
    clock,
    docs,
    everRecorded: () => everRecorded,
    recorder: () => recorder,
    begin: (): Promise<Started> =>
      recorder.start({
        accountId: ACCOUNT,
        leg: legNow(),
        fresh: true,
        side: 'caller',
        facts: {
          interaction_id: 'i1',
          cdr_id: `202605-${LEG}`,
          direction: 'inbound',
          from: '',
          to: '',
          request: '',
          caller_id_name: '',
          caller_id_number: '',
          callee_id_name: '',
          callee_id_number: '',
          sip_call_id: '',
          custom_channel_vars: {},
        },
        settings: everywhere('user', { format: 'wav', ...settings, enabled: true }).inbound.onnet,
        origin: 'inbound from onnet to endpoint',
        by: 'policy',
      }),
    answer(): void {
      if (!legs.has(LEG)) return
      change(LEG, { answered: true })
      happened.push({ name: 'CHANNEL_ANSWER', leg: legNow(), at: clock.now() })
    },
    bridge(): void {
      if (!legs.has(LEG)) return
      change(LEG, { otherLeg: OTHER })
      happened.push({ name: 'CHANNEL_BRIDGE', leg: legNow(), at: clock.now(), otherLeg: OTHER })
    },
    /** The switch ends it by itself. */
    cut: stopAll,
    hangup(): void {
      if (!legs.has(LEG)) return
      stopAll()
      const leg = legNow()
      legs.delete(LEG)
      happened.push({ name: 'CHANNEL_HANGUP_COMPLETE', leg, at: clock.now(), cause: 'NORMAL_CLEARING' })
    },
    /** One of all that happened so far, be it for the second time. */
    hear(which: number): void {
      const event = happened[which % happened.length]
      if (event !== undefined) tell(event)
    },
    down(): void {
      connected = false
      tell({ name: 'node_down', node: 'fs1', reason: 'cut' })
    },
    up(): void {
      connected = true
      tell({ name: 'node_up', node: 'fs1' })
    },
    async restart(): Promise<void> {
      await recorder.close()
      recorder = open()
      if (connected) tell({ name: 'node_up', node: 'fs1' })
    },
    async stop(): Promise<void> {
      for (const { id } of recorder.running(LEG)) await recorder.stop(id)
    },
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise<void>(resolve => setImmediate(resolve))
}

/** Everything here is in memory, so that whatever goes on without a timer has ended after so many turns of the loop. */
const SETTLED = 30

const worlds: fc.Arbitrary<World> = fc.record({
  settings: fc.constantFrom<Settings>({}, { record_on_answer: true }, { record_on_bridge: true }, { time_limit: 30 }),
  answered: fc.boolean(),
  start: fc.constantFrom(...STARTS, 'done', 'done'),
  file: fc.constantFrom(WHOLE, WHOLE, EMPTY, undefined),
})
type Step = { act: 'hear'; which: number } | { act: 'wait'; ms: number } | { act: 'answer' | 'bridge' | 'cut' | 'hangup' | 'down' | 'up' | 'stop' | 'restart' }

const step = fc.oneof<fc.WeightedArbitrary<Step>[]>(
  { weight: 4, arbitrary: fc.record({ act: fc.constant('hear'), which: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ act: fc.constant('wait'), ms: fc.constantFrom(1, 1_000, 10_000, 30_000, 60_000) }) },
  { weight: 4, arbitrary: fc.record({ act: fc.constantFrom('answer', 'bridge', 'cut', 'hangup', 'down', 'up', 'stop', 'restart') }) },
)
/** With each: is what it causes over before the next one, or does that come in its midst? */
const steps = fc.array(fc.tuple(step, fc.constantFrom(0, 1, 2, SETTLED)), { maxLength: 14 })

/** What is wrong at the end of it. */
async function live(world: World, before: [Step, number][], after: [Step, number][]): Promise<string[]> {
  const w = scene(world)
  const wrong: string[] = []
  let pending = 0
  async function follow(work: Promise<unknown>): Promise<void> {
    pending += 1
    await work.catch((error: unknown) => wrong.push(String(error)))
    pending -= 1
  }
  async function run(list: [Step, number][]): Promise<void> {
    for (const [one, pause] of list) {
      if (one.act === 'hear') w.hear(one.which)
      else if (one.act === 'wait') w.clock.advance(one.ms)
      else if (one.act === 'stop') void follow(w.stop())
      else if (one.act === 'restart') {
        // A process that ends has nothing half done; for one that is killed there are tests of their own.
        await turns(SETTLED)
        await w.restart()
      } else w[one.act]()
      await turns(pause)
    }
  }

  await run(before)
  let id = ''
  void follow(w.begin().then(started => (id = started.id)))
  await run(after)
  await turns(SETTLED)
  w.hangup()
  w.up()
  for (let minute = 0; minute < 5; minute++) {
    await turns(SETTLED)
    w.clock.advance(60_000)
  }
  await turns(SETTLED)

  if (pending > 0) wrong.push(`${pending} promises wait`)
  if (w.clock.waits().length > 0) wrong.push(`timers wait: ${String(w.clock.waits())}`)
  if (w.recorder().running(LEG).length > 0) wrong.push('it runs')
  const recordings = [...w.docs(recordingDb(ACCOUNT, id)).values()] as Recording[]
  const queued = [...w.docs(IN_FLIGHT).values()] as InFlight[]
  const [recording] = recordings
  if (recording?._id !== id || recordings.length > 1) wrong.push(`${recordings.length} documents`)
  const { state = '', reason = '' } = recording ?? {}
  const due = queued.length === 1 && queued[0]?._id === id && queued[0].delivery?.state === 'due'
  const over = state === 'stopped' ? due : ['discarded', 'failed'].includes(state) && queued.length === 0
  if (!over) wrong.push(`it is ${state} ${reason}, queued ${JSON.stringify(queued.map(one => [one.state, one.delivery?.state]))}`)
  if ((state === 'stopped') !== (w.everRecorded() && world.file === WHOLE)) wrong.push(`the file says otherwise than ${state} ${reason}`)
  return wrong
}

const PLAIN: World = { settings: {}, answered: false, start: 'done', file: WHOLE }
/** What was wrong once. */
const FOUND: [World, [Step, number][], [Step, number][]][] = [
  // It runs, its documents behind it, and is stopped before the switch was asked, while it is asked, or where it cannot be asked.
  [
    PLAIN,
    [],
    [
      [{ act: 'restart' }, 0],
      [{ act: 'answer' }, 1],
      [{ act: 'stop' }, 0],
    ],
  ],
  [
    PLAIN,
    [],
    [
      [{ act: 'restart' }, 2],
      [{ act: 'stop' }, 0],
    ],
  ],
  [
    PLAIN,
    [],
    [
      [{ act: 'restart' }, 0],
      [{ act: 'down' }, 0],
      [{ act: 'answer' }, SETTLED],
      [{ act: 'stop' }, 0],
    ],
  ],
  // … or its leg goes, which is heard before it has begun.
  [
    PLAIN,
    [[{ act: 'answer' }, 0]],
    [
      [{ act: 'restart' }, 0],
      [{ act: 'hear', which: 0 }, 1],
      [{ act: 'hear', which: 0 }, 1],
      [{ act: 'hangup' }, 0],
      [{ act: 'hear', which: 3 }, 0],
    ],
  ],
  // It ends while its file is looked at.
  [
    PLAIN,
    [],
    [
      [{ act: 'hear', which: 0 }, 2],
      [{ act: 'up' }, SETTLED],
      [{ act: 'hangup' }, 0],
      [{ act: 'wait', ms: 30_000 }, SETTLED],
      [{ act: 'wait', ms: 60_000 }, 0],
      [{ act: 'hear', which: 1 }, 0],
    ],
  ],
]

test('whatever is told, lost, doubled or out of order: in the end a recording has one document, the file says what it is, and nothing waits', async t => {
  const property = fc.asyncProperty(worlds, steps, steps, async (world, before, after) => {
    const wrong = await live(world, before, after)
    if (wrong.length > 0) throw new Error(wrong.join('; '))
  })
  await t.notThrowsAsync(fc.assert(property, { seed: 6, numRuns: 1_000, examples: FOUND, includeErrorInReport: true }))
})
