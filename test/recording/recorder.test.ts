import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import { AppError, type ErrorCode } from '../../src/errors.ts'
import type { RecordingEvent } from '../../src/events.ts'
import { silent } from '../../src/log.ts'
import { type Encoder, NO_ENCODER } from '../../src/recording/audio/encoder.ts'
import type { AlsoRecords, Covered } from '../../src/recording/cover-call.ts'
import { CALLS, type Wish } from '../../src/recording/covers.ts'
import { type CallFacts, IN_FLIGHT, type InFlight, type Recording } from '../../src/recording/document.ts'
import type { NewRecording } from '../../src/recording/new-recording.ts'
import type { Cover } from '../../src/recording/lifecycle.ts'
import { type Recorder, startRecorder } from '../../src/recording/recorder.ts'
import type { StartRequest } from '../../src/recording/starting.ts'
import { type Effective, everywhere, type Settings } from '../../src/recording/settings.ts'
import type { Finished, Spool } from '../../src/recording/spool.ts'
import { embeddedStore } from '../../src/store/embedded.ts'
import { recordingDb } from '../../src/store/modb.ts'
import type { Doc, Store } from '../../src/store/store.ts'
import type { Leg, NodeState, RecordOptions, SwitchEvent, Switches, SwitchNode } from '../../src/switch/switch.ts'
import { manualClock } from '../helpers/clock.ts'
import { aLeg } from '../helpers/legs.ts'
import { tally } from '../helpers/tally.ts'
import { wavOf } from '../helpers/audio.ts'
import { until } from '../helpers/wait.ts'

const ACCOUNT = 'ab'.repeat(16)
const LEG = '00000000-0000-4000-8000-000000000001'
const FACTS: CallFacts = {
  interaction_id: 'i1',
  cdr_id: '202605-00000000-0000-4000-8000-000000000001',
  direction: 'inbound',
  from: 'alice@acme.example',
  to: '2002@acme.example',
  request: '2002@acme.example',
  caller_id_name: 'Alice',
  caller_id_number: '2001',
  callee_id_name: '',
  callee_id_number: '2002',
  sip_call_id: 's1',
  custom_channel_vars: {},
}
const WHOLE: Finished = { size: 160_044, sha256: 'ab', durationMs: 10_000, sampleRate: 8000, channels: 2 }

const NOTHING_ELSE: AlsoRecords = { cover: async () => [], groupOf: () => undefined, asked: async () => {}, saysNo: () => undefined, refuse: async () => {} }

const effective = (settings: Settings): Effective => everywhere('user', { stereo: true, ...settings, enabled: true }).inbound.onnet

/** A recorder with a real store, a switch that does as it is told, a spool without a disk, and a clock that stands. */
async function setup(t: ExecutionContext) {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-recorder-'))
  const real = await embeddedStore({ dir })
  t.teardown(async () => {
    await real.close()
    await rm(dir, { recursive: true })
  })
  await real.createDatabase(IN_FLIGHT, 'recordings_in_flight')
  await real.createDatabase(CALLS, 'calls_in_progress')

  const clock = manualClock()
  const sent: string[] = []
  const options: RecordOptions[] = []
  const fails = new Map<string, ErrorCode>()
  const legs = new Map<string, Leg>([[LEG, aLeg(LEG)]])
  const recorded = new Set<string>()
  const listeners = new Set<(event: SwitchEvent) => void>()
  const say = async (what: string): Promise<void> => {
    sent.push(what)
    const code = fails.get(what.split(' ')[0] ?? '')
    if (code !== undefined) throw new AppError(code, `scripted ${code}`)
  }
  const asking = { now: 0, most: 0 }
  let state: NodeState = 'up'
  const node = {
    name: 'fs1',
    status: () => ({ name: 'fs1', state, address: '', modules: { mod_shout: false }, formats: ['wav'] }),
    leg: async uuid => {
      asking.now += 1
      asking.most = Math.max(asking.most, asking.now)
      await say('leg')
      asking.now -= 1
      return legs.get(uuid)
    },
    recordings: async () => [...recorded],
    legs: async () => [...legs.values()],
    clock: async () => clock.now(),
    async setVariables(uuid, variables) {
      await say(`set ${uuid} ${Object.entries(variables).join(' ')}`.trimEnd())
      const leg = legs.get(uuid)
      if (leg === undefined) return
      const kept = Object.entries({ ...leg.variables, ...variables }).filter((one): one is [string, string] => one[1] !== null)
      legs.set(uuid, { ...leg, variables: Object.fromEntries(kept) })
    },
    mask: (_, path) => say(`mask ${path}`),
    unmask: (_, path) => say(`unmask ${path}`),
    pause: (_, path) => say(`pause ${path}`),
    resume: (_, path) => say(`resume ${path}`),
    async record(uuid, path, given) {
      options.push(given)
      await say(`record ${uuid} ${path}`)
      recorded.add(path)
    },
    async stopRecording(_, path) {
      await say(`stop ${path}`)
      recorded.delete(path)
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

  const files = new Map<string, Finished>()
  const audio = new Map<string, Buffer>()
  const removed: string[] = []
  const spoolFails = new Map<'makeReady' | 'check', AppError>()
  const ready = async (what: 'makeReady' | 'check'): Promise<void> => {
    const error = spoolFails.get(what)
    if (error !== undefined) throw error
  }
  const spool: Spool = {
    here: file => `/here/${file}`,
    onSwitch: file => `/spool/${file}`,
    makeReady: () => ready('makeReady'),
    mark: async () => {},
    check: () => ready('check'),
    free: async () => 1,
    finish: async file => files.get(file),
    size: async file => files.get(file)?.size,
    read: () => Readable.from([]),
    pieces: file => Readable.from([audio.get(file)].filter(one => one !== undefined)),
    remove: async file => void removed.push(file),
  }

  const storeFails: { with?: AppError; reading?: AppError } = {}
  const store: Store = Object.create(real, {
    put: { value: (db: string, doc: { _id: string }) => (storeFails.with === undefined ? real.put(db, doc) : Promise.reject(storeFails.with)) },
    query: {
      value: (...args: Parameters<Store['query']>) => (storeFails.reading === undefined ? real.query(...args) : Promise.reject(storeFails.reading)),
    },
  }) as Store
  const journal = new Map<string, NewRecording>()
  const journalFails: { with?: AppError } = {}
  let encoder: Encoder = NO_ENCODER
  let delivered = 0
  const told: RecordingEvent[] = []
  const { metrics, counts } = tally()
  const open = (): Recorder =>
    startRecorder({
      switches,
      store,
      spool,
      journal: {
        async write(made) {
          if (journalFails.with !== undefined) throw journalFails.with
          journal.set(made.id, made)
        },
        read: async () => [...journal.values()],
        remove: async ({ id }) => void journal.delete(id),
      },
      clock,
      log: silent,
      metrics,
      events: { tell: async event => void told.push(event) },
      random: bytes => randomBytes(bytes).toString('hex'),
      deliver: () => void delivered++,
      maxTimeLimit: 10_800,
      encoder,
    })
  let recorder = open()
  t.teardown(() => recorder.close())

  const tell = (event: SwitchEvent): void => {
    for (const listener of listeners) listener(event)
  }
  const world = {
    clock,
    counts,
    /** Events of recordings, in their order. */
    told: () => told.map(({ event }) => event),
    sent,
    options,
    fails,
    legs,
    recorded,
    files,
    audio,
    removed,
    /** Questions about legs under way, and how many there were at most. */
    asking,
    spoolFails,
    storeFails,
    journal,
    journalFails,
    real,
    tell,
    standby: () => {
      state = 'standby'
    },
    delivered: () => delivered,
    /** ffmpeg makes this of a file, or says what is wrong. */
    encodes(made: Finished | Error) {
      encoder = {
        formats: ['ogg'],
        async encode(from, to, format, channels) {
          sent.push(`encode ${from} ${to} ${format} ${channels}`)
          if (made instanceof Error) throw made
          files.set(to.replace('/here/', ''), made)
        },
      }
      return world.restart()
    },
    recorder: () => recorder,
    async restart() {
      await recorder.close()
      recorder = open()
    },
    start: (settings: Settings = {}, request: Partial<StartRequest> = {}) =>
      recorder.start({
        accountId: ACCOUNT,
        leg: legs.get(LEG) ?? aLeg(LEG),
        fresh: false,
        side: 'caller',
        facts: FACTS,
        settings: effective(settings),
        origin: 'inbound from onnet to endpoint',
        by: 'policy',
        ...request,
      }),
    inFlight: (id: string) => real.get<InFlight>(IN_FLIGHT, id),
    recording: async (id: string) => (await real.get<Recording>(recordingDb(ACCOUNT, id), id)) as Recording,
    path: (id: string) => `/spool/fs1/${id.slice(0, 6)}/${id}.wav`,
    file: (id: string) => `fs1/${id.slice(0, 6)}/${id}.wav`,
    started: (id: string) => tell({ name: 'RECORD_START', leg: aLeg(LEG), at: clock.now(), path: '', variables: { rec_id: id } }),
    stopped: (id: string, cause?: string) =>
      tell({ name: 'RECORD_STOP', leg: aLeg(LEG), at: clock.now(), path: world.path(id), variables: {}, ...(cause === undefined ? {} : { cause }) }),
    hangup: () => {
      legs.delete(LEG)
      tell({ name: 'CHANNEL_HANGUP_COMPLETE', leg: aLeg(LEG), at: clock.now(), cause: 'NORMAL_CLEARING' })
    },
    /** The state the store holds. */
    reaches: (id: string, state: string) =>
      until(`${id} is ${state}`, async () => {
        const found = await real.get<Recording>(recordingDb(ACCOUNT, id), id).catch(() => undefined)
        return found?.state === state && found
      }),
    running: (id: string, state: string) => until(`${id} runs as ${state}`, () => recorder.running(LEG).some(one => one.id === id && one.state === state)),
  }
  return world
}

test('both documents stand before the switch is asked, and RECORD_START makes it a recording', async t => {
  const w = await setup(t)
  const { id, state, joined } = await w.start({ format: 'wav', record_min_sec: 3, record_sample_rate: 16_000, time_limit: 60 })
  t.is(state, 'starting')
  t.false(joined)
  t.deepEqual(w.sent, [`record ${LEG} ${w.path(id)}`])
  t.deepEqual(w.options, [{ limit: 61, variables: { rec_id: id, RECORD_STEREO: 'true', RECORD_MIN_SEC: '3', record_sample_rate: '16000' } }])
  t.like(await w.inFlight(id), { account_id: ACCOUNT, node: 'fs1', leg: LEG, side: 'caller', state: 'waiting', file: w.file(id) })
  w.started(id)
  t.like(await w.reaches(id, 'recording'), {
    call_id: LEG,
    kind: 'file',
    channels: 2,
    channel_labels: ['caller', 'callee'],
    origin: 'inbound from onnet to endpoint',
  })
})

test("a callee's leg is recorded with its sides swapped, and mono needs no sides", async t => {
  const w = await setup(t)
  await w.start({}, { side: 'callee' })
  await w.start({ stereo: false }, { side: 'callee' })
  t.is(w.options[0]?.variables.RECORD_STEREO_SWAP, 'true')
  t.is(w.options[1]?.variables.RECORD_STEREO, 'false')
  t.is(w.options[1]?.variables.RECORD_STEREO_SWAP, undefined)
})

test('an ended recording has the length and hash of its file and is due for delivery', async t => {
  const w = await setup(t)
  const { id } = await w.start({ url: 'https://user:secret@records.example/in?x=1' })
  w.started(id)
  w.files.set(w.file(id), WHOLE)
  w.stopped(id)
  t.like(await w.reaches(id, 'stopped'), { duration: 10, duration_ms: 10_000, size: 160_044, sha256: 'ab', sample_rate: 8000 })
  await until('delivery', () => w.delivered() === 1)
  t.like(await w.inFlight(id), { state: 'stopped', delivery: { state: 'due', destination: 'https://records.example/in', attempts: 0 } })
})

test('the time limit is our own timer, not the whole seconds of the switch', async t => {
  const w = await setup(t)
  const { id } = await w.start({ time_limit: 30 })
  w.started(id)
  await w.running(id, 'recording')
  w.files.set(w.file(id), WHOLE)
  w.clock.advance(29_999)
  t.is(w.sent.length, 1)
  w.clock.advance(1)
  t.true(await until('the stop', () => w.sent.includes(`stop ${w.path(id)}`)))
})

test('no recording is longer than MAX_TIME_LIMIT, whoever asks for more', async t => {
  const w = await setup(t)
  await w.start({ time_limit: 99_999 })
  t.deepEqual(
    w.options.map(({ limit }) => limit),
    [10_801],
  )
})

/** A recording nobody set a limit for, at the end of the longest file; answers the part that follows. */
async function full(w: Awaited<ReturnType<typeof setup>>): Promise<[first: string, second: string]> {
  const { id } = await w.start()
  w.started(id)
  await w.running(id, 'recording')
  w.files.set(w.file(id), WHOLE)
  w.clock.advance(10_800_000)
  const next = await until('the next part', () =>
    w
      .recorder()
      .running(LEG)
      .find(one => one.id !== id && one.state === 'starting'),
  )
  return [id, next.id]
}

test('a recording without a limit goes on in a next part, and ends only when that one runs', async t => {
  const w = await setup(t)
  const [first, second] = await full(w)
  t.false(w.sent.includes(`stop ${w.path(first)}`), 'not before the next one has audio')
  t.is(w.options[0]?.limit, 0, 'the switch would cut it while nobody is here to begin the next part')
  w.started(second)
  await until('the stop', () => w.sent.includes(`stop ${w.path(first)}`))
  w.stopped(first)
  await w.reaches(first, 'stopped')
  await w.reaches(second, 'recording')
  const [one, two] = [await w.recording(first), await w.recording(second)]
  t.is(two.group_id, one.group_id)
  t.like(two, { name: `call_recording_${LEG}_2.wav`, origins: ['inbound from onnet to endpoint'], cdr_id: one.cdr_id, policy: one.policy })
  t.deepEqual(
    w
      .recorder()
      .running(LEG)
      .map(({ id }) => id),
    [second],
  )
  w.files.set(w.file(second), WHOLE)
  w.clock.advance(10_800_000)
  const third = await until('a third part', () =>
    w
      .recorder()
      .running(LEG)
      .find(({ id, state }) => id !== second && state === 'starting'),
  )
  t.is((await w.recording(third.id)).name, `call_recording_${LEG}_3.wav`)
})

test('a next part that the switch refuses leaves the full recording running, and is tried again', async t => {
  const w = await setup(t)
  const { id } = await w.start()
  w.started(id)
  await w.running(id, 'recording')
  w.files.set(w.file(id), WHOLE)
  w.fails.set('record', 'switch_refused')
  w.clock.advance(10_800_000)
  await until('the refusal', () => w.sent.filter(line => line.startsWith('record')).length === 2 && w.recorder().running(LEG).length === 1)
  t.false(w.sent.some(line => line.startsWith('stop')))
  w.fails.delete('record')
  w.storeFails.with = new AppError('datastore_unreachable', 'away')
  w.clock.advance(60_000)
  await until('nothing but the full one', () => w.recorder().running(LEG).length === 1)
  delete w.storeFails.with
  w.clock.advance(60_000)
  const next = await until('the next part', () =>
    w
      .recorder()
      .running(LEG)
      .find(one => one.id !== id && one.state === 'starting'),
  )
  w.started(next.id)
  t.true(await until('the stop', () => w.sent.includes(`stop ${w.path(id)}`)))
})

test('an engine that died between the two parts begins no third one', async t => {
  const w = await setup(t)
  const [first, second] = await full(w)
  await w.restart()
  w.clock.advance(1000)
  w.tell({ name: 'node_up', node: 'fs1' })
  await w.running(second, 'recording')
  w.clock.advance(1)
  await until('the stop of the first', () => w.sent.includes(`stop ${w.path(first)}`))
  t.is(w.options.length, 2)
})

test('a recording shorter than asked for is discarded with its file, whoever noticed it', async t => {
  const w = await setup(t)
  const { id } = await w.start({ record_min_sec: 15 })
  w.started(id)
  w.files.set(w.file(id), WHOLE)
  w.stopped(id)
  t.like(await w.reaches(id, 'discarded'), { reason: 'too_short' })
  await until('the end of the queue', async () => (await w.inFlight(id)) === undefined)
  t.deepEqual(w.removed, [w.file(id)])
  t.is(w.delivered(), 0)

  const other = await w.start({ record_min_sec: 16 })
  w.started(other.id)
  w.stopped(other.id, 'input-too-short')
  t.like(await w.reaches(other.id, 'discarded'), { reason: 'too_short' })
})

test('a recording that waits for the answer begins with it, and with a bridge where that was asked', async t => {
  const w = await setup(t)
  w.legs.set(LEG, aLeg(LEG, { answered: false }))
  const answer = await w.start({ record_on_answer: true })
  const bridge = await w.start({ record_on_bridge: true })
  t.deepEqual([answer.state, bridge.state, w.sent.length], ['waiting', 'waiting', 0])
  t.like(await w.inFlight(answer.id), { state: 'waiting' })
  w.tell({ name: 'CHANNEL_ANSWER', leg: aLeg(LEG), at: 0 })
  await w.running(answer.id, 'starting')
  t.deepEqual(w.sent, [`record ${LEG} ${w.path(answer.id)}`])
  for (const leg of [aLeg(LEG), aLeg('other')]) w.legs.set(leg.uuid, leg)
  w.tell({ name: 'CHANNEL_BRIDGE', leg: aLeg('other'), at: 0, otherLeg: LEG })
  await w.running(bridge.id, 'starting')
})

test('a bridge with early media is no talk: it begins when both sides have answered, told of it once or twice', async t => {
  const w = await setup(t)
  const early = aLeg('early', { answered: false, otherLeg: LEG })
  w.legs.set('early', early)
  const { id } = await w.start({ record_on_bridge: true })
  w.tell({ name: 'CHANNEL_BRIDGE', leg: aLeg(LEG), at: 0, otherLeg: 'early' })
  await until('both legs are asked for', () => w.sent.length === 2)
  const late = await w.start({ record_on_bridge: true, stereo: false }, { leg: aLeg(LEG, { otherLeg: 'early' }) })
  t.is(late.state, 'waiting')
  await w.restart()
  w.tell({ name: 'node_up', node: 'fs1' })
  await until('the recordings are found again', () => w.recorder().running(LEG).length === 2)
  t.deepEqual(
    w
      .recorder()
      .running(LEG)
      .map(({ state }) => state),
    ['waiting', 'waiting'],
  )
  w.legs.set('early', { ...early, answered: true })
  for (let times = 0; times < 2; times++) w.tell({ name: 'CHANNEL_ANSWER', leg: { ...early, answered: true }, at: 0 })
  await w.running(id, 'starting')
  await w.running(late.id, 'starting')
  t.is(w.options.length, 2)
})

test('what has already happened is not waited for', async t => {
  const w = await setup(t)
  t.is((await w.start({ record_on_answer: true })).state, 'starting')
  w.legs.set('x', aLeg('x'))
  t.is((await w.start({ record_on_bridge: true, format: 'wav' }, { leg: aLeg(LEG, { otherLeg: 'x' }) })).state, 'starting')
})

test('a leg that is never answered, or never made, leaves a discarded recording and no file', async t => {
  const w = await setup(t)
  w.legs.set(LEG, aLeg(LEG, { answered: false }))
  const rung = await w.start({ record_on_answer: true })
  w.hangup()
  t.like(await w.reaches(rung.id, 'discarded'), { reason: 'never_answered' })
  const never = await w.start({ record_on_answer: true }, { leg: aLeg('unborn', { answered: false }) })
  w.recorder().legNeverCame('unborn')
  t.like(await w.reaches(never.id, 'discarded'), { reason: 'never_answered' })
  await until('the end of the queue', async () => (await w.inFlight(never.id)) === undefined)
})

test('what was to begin with a bridge and had none says so, and so does what was stopped before it began', async t => {
  const w = await setup(t)
  const unbridged = await w.start({ record_on_bridge: true })
  const stopped = await w.start({ record_on_bridge: true, format: 'wav' }, { by: 'action' })
  await w.recorder().stopLatest(LEG)
  t.like(await w.reaches(stopped.id, 'discarded'), { reason: 'never_begun' })
  w.hangup()
  t.like(await w.reaches(unbridged.id, 'discarded'), { reason: 'never_bridged' })
})

test('two starts with the same settings are one recording with both origins; other settings are a second file', async t => {
  const w = await setup(t)
  const [one, two, three] = await Promise.all([
    w.start({ format: 'wav' }),
    w.start({ format: 'wav' }, { origin: 'callflow : sales', by: 'action' }),
    w.start({ format: 'wav', time_limit: 60 }, { origin: 'callflow : other', by: 'action' }),
  ])
  t.is(one.id, two.id)
  t.true(two.joined)
  t.not(three.id, one.id)
  t.deepEqual((await w.recording(one.id)).origins, ['inbound from onnet to endpoint', 'callflow : sales'])
  t.is((await w.recording(one.id)).name, `call_recording_${LEG}.wav`)
  t.is((await w.recording(three.id)).name, `call_recording_${LEG}_2.wav`)
  t.is(w.options.length, 2)
})

test("a callflow's stop takes the latest origin an action made, and never what policy started", async t => {
  const w = await setup(t)
  const policy = await w.start({ format: 'wav' })
  t.is(await w.recorder().stopLatest(LEG), undefined)
  w.clock.advance(1)
  const action = await w.start({ format: 'wav', time_limit: 60 }, { origin: 'callflow : a', by: 'action' })
  w.clock.advance(1)
  await w.start({ format: 'wav' }, { origin: 'callflow : b', by: 'action' })
  for (const { id } of [policy, action]) {
    w.started(id)
    await w.running(id, 'recording')
  }
  t.is((await w.recorder().stopLatest(LEG))?.id, policy.id)
  t.deepEqual((await w.recording(policy.id)).origins, ['inbound from onnet to endpoint'])
  t.false(w.sent.some(one => one.startsWith('stop')))
  t.like(await w.recorder().stopLatest(LEG), { id: action.id, state: 'stopping' })
  t.true(w.sent.includes(`stop ${w.path(action.id)}`))
  t.is(await w.recorder().stopLatest(LEG), undefined)
})

test('a switch that refuses to record makes a failed recording with the reason, not an error in the call', async t => {
  const w = await setup(t)
  w.fails.set('record', 'switch_refused')
  const { id, state, reason } = await w.start()
  t.deepEqual([state, reason], ['failed', 'switch_refused'])
  t.like(await w.recording(id), { state: 'failed', reason: 'switch_refused' })
  t.is(await w.inFlight(id), undefined)
})

test('a spool that cannot be written, or is full, fails the recording before the switch is asked', async t => {
  const w = await setup(t)
  w.spoolFails.set('makeReady', new AppError('spool_unwritable', 'no'))
  t.like(await w.start(), { state: 'failed', reason: 'spool_unwritable' })
  w.spoolFails.clear()
  w.spoolFails.set('check', new AppError('spool_unwritable', 'full'))
  t.like(await w.start(), { state: 'failed', reason: 'spool_unwritable' })
  t.deepEqual(w.sent, [])
})

test('mp3 asked of a switch that cannot write it becomes wav, and the document says so', async t => {
  const w = await setup(t)
  const asked = await w.recording((await w.start({ format: 'mp3' })).id)
  t.like(asked, { media_type: 'wav', content_type: 'audio/x-wav' })
  t.regex(asked.warnings?.[0] ?? '', /mod_shout/)
  t.is((await w.recording((await w.start()).id)).warnings, undefined)
})

test('a store that is away when a recording is asked for costs nothing: the journal has it until the store is back', async t => {
  const w = await setup(t)
  w.storeFails.with = new AppError('datastore_unreachable', 'away')
  const { id, state } = await w.start()
  t.is(state, 'starting')
  t.deepEqual([...w.journal.keys()], [id])
  t.deepEqual(w.sent, [`record ${LEG} ${w.path(id)}`])
  w.started(id)
  await w.running(id, 'recording')
  w.files.set(w.file(id), WHOLE)
  w.clock.advance(5_000)
  t.deepEqual([...w.journal.keys()], [id], 'as long as the store is away')
  delete w.storeFails.with
  await until('its patience is set', () => w.clock.waits().includes(5_000))
  w.clock.advance(5_000)
  await w.reaches(id, 'recording')
  await until('the journal is empty', () => w.journal.size === 0)
  w.stopped(id)
  t.like(await w.reaches(id, 'stopped'), { duration_ms: 10_000 })
})

test('what only the journal knew when the engine was killed is replayed once, and finished from its file', async t => {
  const w = await setup(t)
  w.storeFails.with = new AppError('datastore_unreachable', 'away')
  const { id } = await w.start()
  await w.restart()
  delete w.storeFails.with
  w.recorded.clear()
  w.legs.delete(LEG)
  w.files.set(w.file(id), WHOLE)
  w.tell({ name: 'node_up', node: 'fs1' })
  t.like(await w.reaches(id, 'stopped'), { duration_ms: 10_000 })
  t.is(w.journal.size, 0)
  await until('it is due', async () => (await w.inFlight(id))?.delivery?.state === 'due')
})

test('what the journal still has of a recording that is over is thrown away', async t => {
  const w = await setup(t)
  w.storeFails.with = new AppError('datastore_unreachable', 'away')
  const { id } = await w.start()
  const [made] = w.journal.values()
  delete w.storeFails.with
  w.started(id)
  w.files.set(w.file(id), WHOLE)
  w.stopped(id)
  await w.reaches(id, 'stopped')
  await until('it is over', () => w.recorder().running(LEG).length === 0)
  await w.real.purge(IN_FLIGHT, id)
  if (made !== undefined) w.journal.set(id, made)
  await w.restart()
  w.tell({ name: 'node_up', node: 'fs1' })
  await until('the journal is empty', () => w.journal.size === 0)
  t.is(await w.inFlight(id), undefined)
  t.like(await w.recording(id), { state: 'stopped' })
})

test('a store that is away, and a spool that cannot be written either, fail a recording and leave the call alone', async t => {
  const w = await setup(t)
  w.storeFails.with = new AppError('datastore_unreachable', 'away')
  w.journalFails.with = new AppError('spool_unwritable', 'full')
  t.like(await w.start(), { state: 'failed', joined: false, reason: 'full' })
  t.deepEqual(w.recorder().running(LEG), [])
  t.deepEqual(w.sent, [])
})

test('the end of a recording waits for a store that is away', async t => {
  const w = await setup(t)
  const { id } = await w.start()
  w.started(id)
  await w.running(id, 'recording')
  w.files.set(w.file(id), WHOLE)
  w.storeFails.with = new AppError('datastore_unreachable', 'away')
  w.stopped(id)
  await until('the retry', () => w.clock.waits().includes(5000))
  t.is((await w.recording(id)).state, 'recording')
  delete w.storeFails.with
  w.clock.advance(5000)
  await w.reaches(id, 'stopped')
  t.true(await until('delivery', () => w.delivered() === 1))
})

test('a recording that the switch ends in the middle of a call says so, one that reached its limit does not', async t => {
  const w = await setup(t)
  const ended = async (settings: Settings): Promise<Recording> => {
    const { id } = await w.start(settings)
    w.started(id)
    w.files.set(w.file(id), WHOLE)
    await w.running(id, 'recording')
    w.clock.advance(9500)
    w.stopped(id, 'success-maxtime')
    return w.reaches(id, 'stopped')
  }
  t.deepEqual((await ended({})).warnings, ['the switch ended it before the call was over'])
  t.is((await ended({ time_limit: 10 })).warnings, undefined)
})

test('audio that is missing from the file by more than two seconds is told in the document', async t => {
  const w = await setup(t)
  const ran = async (ms: number, listening = true): Promise<Recording> => {
    const { id } = await w.start({ stereo: listening })
    w.started(id)
    w.files.set(w.file(id), WHOLE)
    await w.running(id, 'recording')
    w.clock.advance(ms)
    if (listening) w.stopped(id)
    else {
      // It ended while nobody heard it: since when is not known.
      w.recorded.clear()
      await w.restart()
      w.tell({ name: 'node_up', node: 'fs1' })
    }
    return w.reaches(id, 'stopped')
  }
  t.deepEqual((await ran(12_001)).warnings, [
    '2.0 s of 12.0 s are not in the file: it was on hold, its media did not pass the switch, or the disk of the spool was full',
  ])
  t.is((await ran(12_000)).warnings, undefined)
  t.is((await ran(20_000, false)).warnings, undefined)
})

test('a disk that is full while a recording runs is told once, in the document, the log and a figure, and the recording goes on', async t => {
  const w = await setup(t)
  const { id } = await w.start()
  w.started(id)
  await w.running(id, 'recording')
  const look = async (ms: number): Promise<void> => {
    const next = w.clock.waits().length
    w.clock.advance(ms)
    await until('the next look', () => w.clock.waits().length === next)
  }
  w.files.set(w.file(id), { ...WHOLE, size: 100_000 })
  await look(10_000)
  w.files.set(w.file(id), { ...WHOLE, size: 130_000 })
  await look(30_000)
  t.is(w.counts['callrec_recordings_stalled_total disk'], undefined)
  w.spoolFails.set('check', new AppError('spool_unwritable', 'the disk is full'))
  await look(30_000)
  await look(30_000)
  t.is(w.counts['callrec_recordings_stalled_total disk'], 1)
  w.spoolFails.clear()
  w.files.set(w.file(id), WHOLE)
  await look(30_000)
  await look(30_000)
  t.is(w.counts['callrec_recordings_stalled_total media'], 1, 'it grew again, and stopped again')
  w.stopped(id)
  const { warnings = [] } = await w.reaches(id, 'stopped')
  t.true(warnings.some(text => text === 'its file stopped growing for a while: the disk is full'))
})

test('a file that does not grow is a failure for want of media', async t => {
  const w = await setup(t)
  const { id } = await w.start()
  w.started(id)
  await w.running(id, 'recording')
  w.files.set(w.file(id), { ...WHOLE, size: 44, durationMs: 0 })
  w.clock.advance(10_000)
  await until('the stop', () => w.sent.includes(`stop ${w.path(id)}`))
  w.stopped(id)
  t.like(await w.reaches(id, 'failed'), { reason: 'no_media' })
})

test('a RECORD_STOP that never comes after the leg went is made up for by the file', async t => {
  const w = await setup(t)
  const { id } = await w.start()
  w.started(id)
  await w.running(id, 'recording')
  w.files.set(w.file(id), WHOLE)
  w.hangup()
  await until('the watch', () => w.clock.waits().includes(30_000))
  w.recorded.clear()
  w.clock.advance(30_000)
  t.like(await w.reaches(id, 'stopped'), { duration_ms: 10_000 })
})

test('a stop that the switch did not obey is sent again', async t => {
  const w = await setup(t)
  const { id } = await w.start({ time_limit: 5 })
  w.started(id)
  await w.running(id, 'recording')
  w.files.set(w.file(id), WHOLE)
  w.fails.set('stop', 'switch_timeout')
  w.clock.advance(5000)
  await until('the stop', () => w.sent.filter(one => one.startsWith('stop')).length === 1)
  w.fails.clear()
  await until('the watch', () => w.clock.waits().includes(30_000))
  w.clock.advance(30_000)
  await until('the second stop', () => w.sent.filter(one => one.startsWith('stop')).length === 2)
  w.stopped(id)
  t.like(await w.reaches(id, 'stopped'), { duration_ms: 10_000 })
})

test('a start without an answer is looked up, not repeated', async t => {
  const w = await setup(t)
  w.fails.set('record', 'switch_timeout')
  const { id, state } = await w.start()
  t.is(state, 'starting')
  w.recorded.add(w.path(id))
  w.clock.advance(10_000)
  await w.reaches(id, 'recording')
  t.is(w.options.length, 1)
})

test('a start of which the switch tells nothing, not even when it is asked, is asked for again', async t => {
  const w = await setup(t)
  w.fails.set('record', 'switch_timeout')
  w.fails.set('leg', 'switch_timeout')
  const { id } = await w.start()
  w.recorded.add(w.path(id))
  w.clock.advance(10_000)
  await until('it was asked, and the next time is planned', () => w.sent.includes('leg') && w.clock.waits().includes(10_000))
  w.fails.clear()
  w.clock.advance(10_000)
  t.like(await w.reaches(id, 'recording'), { call_id: LEG })
})

test('after a restart running recordings are adopted, and what ended meanwhile is finished from its file', async t => {
  const w = await setup(t)
  const lives = await w.start({ format: 'wav' })
  const ended = await w.start({ format: 'wav', time_limit: 60 })
  for (const { id } of [lives, ended]) {
    w.started(id)
    await w.reaches(id, 'recording')
  }
  await w.restart()
  t.deepEqual(w.recorder().running(LEG), [])
  w.files.set(w.file(ended.id), WHOLE)
  w.recorded.delete(w.path(ended.id))
  w.tell({ name: 'node_up', node: 'fs1' })
  await w.reaches(ended.id, 'stopped')
  await w.running(lives.id, 'recording')
  w.files.set(w.file(lives.id), WHOLE)
  w.stopped(lives.id)
  await w.reaches(lives.id, 'stopped')
})

test('what ran before is adopted late when the store is away as the switch comes', async t => {
  const w = await setup(t)
  const { id } = await w.start({ format: 'wav' })
  w.started(id)
  await w.reaches(id, 'recording')
  await w.restart()
  w.storeFails.reading = new AppError('datastore_unreachable', 'away')
  w.tell({ name: 'node_up', node: 'fs1' })
  await until('the next attempt is planned', () => w.clock.waits().length > 0)
  t.deepEqual(w.recorder().running(LEG), [])
  delete w.storeFails.reading
  w.clock.advance(5_000)
  await w.running(id, 'recording')
})

test('a switch that comes twice at once is adopted once', async t => {
  const w = await setup(t)
  const { id } = await w.start({ format: 'wav' })
  w.started(id)
  await w.reaches(id, 'recording')
  await w.restart()
  w.tell({ name: 'node_up', node: 'fs1' })
  w.tell({ name: 'node_up', node: 'fs1' })
  await w.running(id, 'recording')
  t.is(w.recorder().running(LEG).length, 1)
})

test('after a restart a leg that is gone is finished from its file, or failed where it left none', async t => {
  const w = await setup(t)
  const [kept, lost] = [await w.start({ format: 'wav' }), await w.start({ format: 'wav', time_limit: 60 })]
  for (const { id } of [kept, lost]) {
    w.started(id)
    await w.reaches(id, 'recording')
  }
  await w.restart()
  w.legs.clear()
  w.files.set(w.file(kept.id), WHOLE)
  w.tell({ name: 'node_up', node: 'fs1' })
  await w.reaches(kept.id, 'stopped')
  t.like(await w.reaches(lost.id, 'failed'), { reason: 'file_missing' })
})

test('after a restart a switch is asked about a few recordings at a time, however many there are, and all are adopted', async t => {
  const w = await setup(t)
  const ids: string[] = []
  for (let nth = 0; nth < 300; nth++) {
    const leg = aLeg(`leg-${nth}`)
    w.legs.set(leg.uuid, leg)
    ids.push((await w.start({}, { leg, fresh: true })).id)
  }
  for (const id of ids) w.started(id)
  for (const id of ids) await w.reaches(id, 'recording')
  await w.restart()
  w.tell({ name: 'node_up', node: 'fs1' })
  await until('all are adopted', () =>
    ids.every((id, nth) =>
      w
        .recorder()
        .running(`leg-${nth}`)
        .some(one => one.id === id),
    ),
  )
  await until('nobody waits', () => w.asking.now === 0)
  t.true(w.asking.most <= 64, `${w.asking.most} at a time`)
})

test('after a restart one that waited begins if its leg was answered meanwhile, and fails if it is gone', async t => {
  const w = await setup(t)
  w.legs.set(LEG, aLeg(LEG, { answered: false }))
  const { id } = await w.start({ record_on_answer: true })
  const gone = await w.start({ record_on_answer: true }, { leg: aLeg('gone', { answered: false }) })
  await w.restart()
  w.legs.set(LEG, aLeg(LEG, { answered: true }))
  w.tell({ name: 'node_up', node: 'fs1' })
  await w.running(id, 'starting')
  t.like(await w.reaches(gone.id, 'failed'), { reason: 'leg_lost' })
})

test('after a restart one that had begun, and of which nobody could write that down, is finished from its file', async t => {
  const w = await setup(t)
  const gone = await w.start()
  w.files.set(w.file(gone.id), WHOLE)
  w.recorded.clear()
  await w.recorder().close()
  w.legs.delete(LEG)
  await w.restart()
  w.tell({ name: 'node_up', node: 'fs1' })
  t.like(await w.reaches(gone.id, 'stopped'), { duration_ms: 10_000 })

  w.legs.set(LEG, aLeg(LEG))
  const ended = await w.start()
  w.files.set(w.file(ended.id), WHOLE)
  w.recorded.clear()
  await w.restart()
  w.tell({ name: 'node_up', node: 'fs1' })
  t.like(await w.reaches(ended.id, 'stopped'), { duration_ms: 10_000 })
  t.is(w.sent.filter(what => what.startsWith('record ')).length, 2, 'and nothing is recorded over it')
})

test('after a restart one that is stopped before its switch can be asked is not thrown away: its file says that it began', async t => {
  const w = await setup(t)
  const { id } = await w.start({}, { by: 'action' })
  // The first seconds of a recording are not on the disk yet: there is only a header.
  w.files.set(w.file(id), { ...WHOLE, size: 44, durationMs: 0 })
  w.fails.set('leg', 'switch_timeout')
  await w.restart()
  w.tell({ name: 'node_up', node: 'fs1' })
  await until('it is known', () => w.recorder().running(LEG).length > 0)
  await w.recorder().stopLatest(LEG)
  t.is((await w.inFlight(id))?.state, 'stopping')
  t.deepEqual(w.removed, [])
  w.files.set(w.file(id), WHOLE)
  w.stopped(id)
  t.like(await w.reaches(id, 'stopped'), { duration_ms: 10_000 })
})

test('after a restart a stop that the switch does not tell of is sent again, and in the end taken from the file', async t => {
  const w = await setup(t)
  const { id } = await w.start()
  w.started(id)
  await w.reaches(id, 'recording')
  await w.real.put(IN_FLIGHT, { ...(await w.inFlight(id)), state: 'stopping' } as Doc)
  await w.restart()
  w.tell({ name: 'node_up', node: 'fs1' })
  await until('the stop', () => w.sent.includes(`stop ${w.path(id)}`))
  w.files.set(w.file(id), WHOLE)
  await until('its patience is set', () => w.clock.waits().length > 0)
  w.clock.advance(30_000)
  t.like(await w.reaches(id, 'stopped'), { duration_ms: 10_000 })
})

test('after a restart one that was cut off before the switch was asked is begun', async t => {
  const w = await setup(t)
  w.fails.set('record', 'switch_down')
  const { id } = await w.start()
  await w.restart()
  w.fails.clear()
  w.tell({ name: 'node_up', node: 'fs1' })
  await until('the start', () => w.recorded.has(w.path(id)))
  w.started(id)
  t.like(await w.reaches(id, 'recording'), { call_id: LEG })
})

test('what an earlier crash left between two writes is cleared away', async t => {
  const w = await setup(t)
  const { id } = await w.start()
  const other = await w.start({ time_limit: 60 })
  await w.restart()
  // One has no recording document yet; the other one was discarded, and its place in the queue is still there.
  const [first, second] = [await w.recording(id), await w.recording(other.id)]
  await w.real.remove(recordingDb(ACCOUNT, id), id, first._rev ?? '')
  await w.real.put(recordingDb(ACCOUNT, other.id), { ...second, state: 'discarded' })
  w.tell({ name: 'node_up', node: 'fs1' })
  await until('both gone', async () => (await w.inFlight(id)) === undefined && (await w.inFlight(other.id)) === undefined)
  t.deepEqual(w.removed, [w.file(other.id)])
})

test('what a crash left of the first recording of a month keeps no other from being adopted', async t => {
  const w = await setup(t)
  const { id } = await w.start()
  await w.restart()
  // It was killed before the month had a database.
  const { _rev, ...inFlight } = (await w.inFlight(id))!
  const first = `${id.slice(0, 7)}${'0'.repeat(32)}`
  await w.real.put(IN_FLIGHT, { ...inFlight, _id: first, account_id: 'cd'.repeat(16) })
  w.tell({ name: 'node_up', node: 'fs1' })
  await w.reaches(id, 'recording')
  t.true(await until('its place in the queue is free', async () => (await w.inFlight(first)) === undefined))
})

test('documents that somebody has made nonsense of, and such a journal, keep no other recording from being adopted', async t => {
  const w = await setup(t)
  const { id } = await w.start({ format: 'wav' })
  w.started(id)
  await w.reaches(id, 'recording')
  const [{ _rev, ...inFlight }, { _rev: __, ...recording }] = [(await w.inFlight(id))!, await w.recording(id)]
  await w.restart()
  const other = (n: string): string => `${id.slice(0, 7)}${n.repeat(32)}`
  for (const [n, change, of] of [
    ['0', { account_id: 7 }, {}],
    ['1', { account_id: 'x/../y' }, {}],
    ['2', { settings: 'none' }, {}],
    ['3', { settings: undefined }, {}],
    ['4', { leg: 'a b' }, {}],
    ['5', { file: 5, started_at: 'x', gaps: 'no' }, {}],
    ['6', { state: 'running' }, {}],
    ['7', { consent: { announced: 5 }, settings: { announce: { value: {}, from: 'user' } } }, {}],
    ['8', {}, { cdr_id: null, group_id: {}, interaction_id: 5 }],
    ['9', {}, { state: 'toString', origins: 5 }],
  ] as const) {
    await w.real.put(IN_FLIGHT, { ...inFlight, file: w.file(other(n)), ...change, _id: other(n) })
    await w.real.put(recordingDb(ACCOUNT, id), { ...recording, ...of, _id: other(n) })
  }
  await w.real.put(IN_FLIGHT, { ...inFlight, _id: '0' })
  w.journal.set('half', {} as never)
  w.tell({ name: 'node_up', node: 'fs1' })
  await w.running(id, 'recording')
  w.files.set(w.file(id), WHOLE)
  w.stopped(id)
  await w.reaches(id, 'stopped')
  t.not((await w.start({ format: 'wav', time_limit: 60 })).state, 'failed')
})

test('a field somebody else wrote meanwhile outlives our writes', async t => {
  const w = await setup(t)
  const { id } = await w.start()
  await w.real.put(recordingDb(ACCOUNT, id), { ...(await w.recording(id)), user_metadata: { note: 'mine' } })
  w.started(id)
  t.like(await w.reaches(id, 'recording'), { user_metadata: { note: 'mine' } })
})

test('recordings of a switch that another engine took are not written any more', async t => {
  const w = await setup(t)
  const { id } = await w.start({ time_limit: 60 })
  w.started(id)
  await w.reaches(id, 'recording')
  const before = await w.recording(id)
  w.tell({ name: 'node_lost', node: 'fs1', owner: 'other:1' })
  t.deepEqual(w.recorder().running(LEG), [])
  w.files.set(w.file(id), WHOLE)
  w.stopped(id)
  w.clock.advance(120_000)
  await w.recorder().close()
  t.deepEqual(await w.recording(id), before)
  t.deepEqual(
    w.sent.filter(what => what.startsWith('stop')),
    [],
  )
})

test('on a switch that another engine drives nothing is begun, not even a document', async t => {
  const w = await setup(t)
  w.standby()
  await t.throwsAsync(w.start(), { message: /not ours to record on/ })
  t.deepEqual(await w.real.query(IN_FLIGHT, 'in_flight/by_node'), [])
})

test('what became of each recording is counted once, and so is a fact told twice', async t => {
  const w = await setup(t)
  const { id } = await w.start({ format: 'wav' })
  w.started(id)
  w.started(id)
  await w.reaches(id, 'recording')
  w.files.set(w.file(id), WHOLE)
  w.stopped(id)
  await w.reaches(id, 'stopped')
  w.fails.set('record', 'switch_refused')
  await w.start({ format: 'wav' })
  w.storeFails.with = new AppError('datastore_unreachable', 'away')
  w.journalFails.with = new AppError('spool_unwritable', 'full')
  await w.start({ format: 'wav' })
  t.deepEqual(w.counts, {
    'callrec_recordings_total started': 1,
    'callrec_recording_facts_repeated_total RECORD_START': 1,
    'callrec_recordings_total stopped': 1,
    'callrec_recordings_total failed switch_refused': 1,
    'callrec_recordings_total failed spool_unwritable': 1,
  })
})

test('facts about recordings that are not ours, or told twice, change nothing', async t => {
  const w = await setup(t)
  const { id } = await w.start()
  w.started(id)
  w.started(id)
  w.started('202611-ffffffffffffffffffffffffffffffff')
  w.tell({ name: 'node_down', node: 'fs1', reason: 'gone' })
  await w.running(id, 'recording')
  t.is(w.recorder().running(LEG).length, 1)
})

const OTHER = '00000000-0000-4000-8000-000000000002'

/** Two legs that talk, each with a recording that runs. */
async function twoLegs(t: ExecutionContext) {
  const w = await setup(t)
  const pair = [aLeg(LEG, { otherLeg: OTHER }), aLeg(OTHER, { otherLeg: LEG })]
  for (const leg of pair) w.legs.set(leg.uuid, leg)
  const { id: first } = await w.start()
  const { id: second } = await w.start({}, { leg: aLeg(OTHER), side: 'callee' })
  w.started(first)
  w.tell({ name: 'RECORD_START', leg: aLeg(OTHER), at: w.clock.now(), path: '', variables: { rec_id: second } })
  await w.reaches(first, 'recording')
  await w.reaches(second, 'recording')
  w.sent.length = 0
  const cover = (what: Cover, by = 'api', leg = LEG) => w.recorder().cover({ accountId: ACCOUNT, leg: w.legs.get(leg) ?? aLeg(leg), what, by })
  const wish = () => w.real.get<Doc & Wish>(CALLS, 'cover:i1')
  return { ...w, first, second, cover, wish }
}

const states = (covered: readonly Covered[]): string[] => covered.map(({ state }) => state)

test('a mask reaches every recording of the call, whichever leg is named, and stands in both documents', async t => {
  const w = await twoLegs(t)
  t.deepEqual(states(await w.cover('mask', 'api', OTHER)), ['masked', 'masked'])
  t.deepEqual(new Set(w.sent.filter(one => one.startsWith('mask'))), new Set([w.path(w.first), w.path(w.second)].map(path => `mask ${path}`)))
  t.like((await w.recording(w.first)).segments?.[0], { kind: 'mask', by: 'api', from_ms: 0 })
  w.clock.advance(2000)
  t.deepEqual(states(await w.cover('unmask')), ['recording', 'recording'])
  t.like((await w.recording(w.second)).segments?.[0], { from_ms: 0, to_ms: 2000 })
  t.deepEqual(w.told().slice(2), ['recording.masked', 'recording.masked', 'recording.unmasked', 'recording.unmasked'])
})

test('a mask waits for nothing; behind it the wish goes on the leg, until the store has it', async t => {
  const w = await twoLegs(t)
  await w.cover('mask')
  const ofFirst = w.sent.filter(one => one.includes(LEG) || one.includes(w.first))
  const [at = ''] = [(await w.wish())?.mask?.at]
  t.deepEqual([...new Set(ofFirst)], [`mask ${w.path(w.first)}`, `set ${LEG} callrec_mask,${encodeURIComponent(at)} i1 api`, `set ${LEG} callrec_mask,`])
  t.is((await w.wish())?.mask?.by, 'api')
})

test('while the store is away a call is masked all the same, its leg keeps the wish, and it is written when the store is back', async t => {
  const w = await twoLegs(t)
  w.storeFails.with = new AppError('datastore_unreachable', 'away')
  t.deepEqual(states(await w.cover('mask')), ['masked', 'masked'])
  t.is(await w.wish(), undefined)
  w.clock.advance(6000)
  t.is(await w.wish(), undefined)
  t.regex(w.legs.get(LEG)?.variables['callrec_mask'] ?? '', / i1 api$/)
  delete w.storeFails.with
  await until('the wish', async () => {
    w.clock.advance(6000)
    return (await w.wish())?.mask !== undefined
  })
  await until('the leg to be clean', () => w.legs.get(LEG)?.variables['callrec_mask'] === undefined)
})

test('what the store never had can be unmasked while it is away, and what it has cannot', async t => {
  const w = await twoLegs(t)
  await w.cover('mask')
  w.storeFails.with = new AppError('datastore_unreachable', 'away')
  await t.throwsAsync(w.cover('unmask'), { message: 'away' })
  t.is(w.recorder().wishOf('i1').mask?.by, 'api')
  const other = await twoLegs(t)
  other.storeFails.with = new AppError('datastore_unreachable', 'away')
  await other.cover('mask')
  other.clock.advance(1000)
  t.deepEqual(states(await other.cover('unmask')), ['recording', 'recording'])
  t.deepEqual(other.recorder().wishOf('i1'), {})
  t.deepEqual(Object.keys(other.legs.get(LEG)?.variables ?? {}), [], 'the next engine finds nothing')
})

test('a wish that neither the leg nor the store took is refused, and holds all the same', async t => {
  const w = await twoLegs(t)
  w.storeFails.with = new AppError('datastore_unreachable', 'away')
  w.fails.set('set', 'switch_refused')
  await t.throwsAsync(w.cover('mask'), { message: 'away' })
  t.is(w.recorder().wishOf('i1').mask?.by, 'api')
})

test('an engine that takes over finds on the leg what the one before it could not write down, and no other call’s', async t => {
  const w = await twoLegs(t)
  w.storeFails.with = new AppError('datastore_unreachable', 'away')
  await w.cover('mask', "it's, 100 % of key *2")
  const other = w.legs.get(OTHER) ?? aLeg(OTHER)
  w.legs.set(OTHER, { ...other, variables: { callrec_pause: `${encodeURIComponent('2026-11-29T00:00:00.000Z')} i9 api` } })
  delete w.storeFails.with
  await w.restart()
  w.tell({ name: 'node_up', node: 'fs1' })
  await w.reaches(w.first, 'masked')
  await w.reaches(w.second, 'masked')
  t.like(await w.wish(), { mask: { by: "it's, 100 % of key *2" }, pause: undefined })
  await until('the leg to be clean', () => w.legs.get(LEG)?.variables['callrec_mask'] === undefined)
})

test('what an engine finds on a leg while the store is away is masked, and written when it is back', async t => {
  const w = await twoLegs(t)
  const marked = { callrec_mask: `${encodeURIComponent('2026-11-29T00:00:00.000Z')} i1 api` }
  w.legs.set(LEG, aLeg(LEG, { variables: marked }))
  w.storeFails.with = new AppError('datastore_unreachable', 'away')
  w.tell({ name: 'node_up', node: 'fs1' })
  await until('the mask', () => w.sent.includes(`mask ${w.path(w.first)}`))
  delete w.storeFails.with
  w.clock.advance(6000)
  await until('the wish', async () => (await w.wish())?.mask !== undefined)
  t.is((await w.reaches(w.first, 'masked')).segments?.[0]?.by, 'api')
})

test('of a leg that is known only by name its recordings are masked first, and then the switch is asked who else is of the call', async t => {
  const w = await twoLegs(t)
  w.legs.set(OTHER, aLeg(OTHER, { otherLeg: LEG, variables: { callrec_interaction_id: 'i2' } }))
  const { id: third } = await w.start({ time_limit: 99 }, { leg: aLeg(OTHER), side: 'callee', facts: { ...FACTS, interaction_id: 'i2' } })
  w.tell({ name: 'RECORD_START', leg: aLeg(OTHER), at: w.clock.now(), path: '', variables: { rec_id: third } })
  await w.reaches(third, 'recording')
  w.sent.length = 0
  t.deepEqual(w.recorder().recorded(ACCOUNT, LEG), { node: 'fs1', uuid: LEG })
  t.is(w.recorder().recorded('f'.repeat(32), LEG), undefined)
  const cover = () => w.recorder().cover({ accountId: ACCOUNT, leg: { node: 'fs1', uuid: LEG }, what: 'mask', by: 'api' })
  t.deepEqual(states(await cover()), ['masked', 'masked', 'masked'])
  const masks = w.sent.filter(one => one.startsWith('mask'))
  t.is(new Set(masks).size, 3)
  t.is((await w.real.get<Doc & Wish>(CALLS, 'cover:i2'))?.mask?.by, 'api')
  w.fails.set('leg', 'switch_timeout')
  await t.throwsAsync(cover(), { message: /scripted/ }, 'who else is recorded is not known')
  w.fails.delete('leg')
  w.legs.delete(LEG)
  t.like(await t.throwsAsync<AppError>(cover()), { code: 'leg_gone' }, 'the call is over')
})

test('a mask that comes with the end of the call leaves no wish behind', async t => {
  const w = await twoLegs(t)
  w.legs.clear()
  for (const leg of [LEG, OTHER]) w.tell({ name: 'CHANNEL_DESTROY', leg: aLeg(leg), at: w.clock.now() })
  const late = w.recorder().cover({ accountId: ACCOUNT, leg: { node: 'fs1', uuid: LEG }, what: 'mask', by: 'api' })
  t.like(await t.throwsAsync<AppError>(late), { code: 'leg_gone' })
  t.is((await w.wish())?.mask?.by, 'api')
  for (const id of [w.first, w.second]) w.stopped(id)
  await until('nothing to be left', async () => {
    w.clock.advance(5000)
    return (await w.wish()) === undefined
  })
})

test('+OK of a leg that does not show the recording is no confirmation: it is ended, and says why', async t => {
  const w = await twoLegs(t)
  w.recorded.delete(w.path(w.first))
  t.deepEqual(states(await w.cover('mask')), ['stopping', 'masked'])
  t.true(w.sent.includes(`stop ${w.path(w.first)}`))
  t.regex((await w.recording(w.first)).warnings?.join() ?? '', /mask could not be confirmed/)
})

test('a refusal or a silence of the switch ends what was to be hidden', async t => {
  for (const code of ['switch_refused', 'switch_timeout'] as const) {
    const w = await twoLegs(t)
    w.fails.set('pause', code)
    t.deepEqual(states(await w.cover('pause')), ['stopping', 'stopping'])
  }
})

test('what cannot be uncovered stays covered, and whoever asked is told', async t => {
  const w = await twoLegs(t)
  await w.cover('mask')
  w.clock.advance(1000)
  w.fails.set('unmask', 'switch_refused')
  await t.throwsAsync(w.cover('unmask'), { message: /scripted/ })
  t.is((await w.recording(w.first)).state, 'masked')
  t.is((await w.recording(w.first)).segments?.[0]?.until, undefined)
})

test('what is masked in the first second stays so until the switch has written it', async t => {
  const w = await twoLegs(t)
  await w.cover('mask')
  w.clock.advance(300)
  w.sent.length = 0
  const unmasked = w.cover('unmask')
  await until('both wait', () => w.clock.waits().filter(ms => ms === 700).length === 2)
  t.false(w.sent.some(one => one.startsWith('unmask')))
  w.clock.advance(700)
  t.deepEqual(states(await unmasked), ['recording', 'recording'])
  t.like((await w.recording(w.first)).segments, [{ from_ms: 0, to_ms: 1000 }])
})

test('what is paused in the first second is not unmasked before it goes on', async t => {
  const w = await twoLegs(t)
  await w.cover('mask')
  w.clock.advance(300)
  await w.cover('pause')
  w.clock.advance(5000)
  await t.throwsAsync(w.cover('unmask'), { message: /resume it first/ })
  await w.cover('resume')
  w.clock.advance(700)
  t.deepEqual(states(await w.cover('unmask')), ['recording', 'recording'])
})

test('a leg that hangs up in between has nothing left to hide', async t => {
  const w = await twoLegs(t)
  w.fails.set('mask', 'leg_gone')
  await t.notThrowsAsync(w.cover('mask'))
})

test('a mask during the start is kept, and answered when it holds', async t => {
  const w = await setup(t)
  const { id } = await w.start()
  const masked = w.recorder().cover({ accountId: ACCOUNT, leg: w.legs.get(LEG) ?? aLeg(LEG), what: 'mask', by: 'key *2' })
  await until('the wish', async () => (await w.real.get<Doc & Wish>(CALLS, 'cover:i1'))?.mask !== undefined)
  w.started(id)
  t.deepEqual(states(await masked), ['masked'])
  t.like(await w.reaches(id, 'masked'), { segments: [{ kind: 'mask', by: 'key *2' }] })
})

test('a recording that begins while its call is masked begins masked', async t => {
  const w = await twoLegs(t)
  await w.cover('mask', 'key *2')
  const { id } = await w.start({ time_limit: 99 })
  t.true(w.sent.includes(`mask ${w.path(id)}`), 'before RECORD_START')
  const begun = w.recorder().begun(id)
  w.started(id)
  t.like(await begun, { state: 'masked' }, 'who waits for its start is told how it stands')
  t.like(await w.reaches(id, 'masked'), { segments: [{ by: 'key *2' }] })
})

test('an engine that takes over masks again what was to be masked', async t => {
  const w = await twoLegs(t)
  w.fails.set('mask', 'switch_down')
  await t.throwsAsync(w.cover('mask'))
  w.fails.clear()
  w.sent.length = 0
  await w.restart()
  w.tell({ name: 'node_up', node: 'fs1' })
  await w.reaches(w.first, 'masked')
  await w.reaches(w.second, 'masked')
  t.deepEqual(w.sent.filter(one => one.startsWith('mask')).length, 2)
})

test('a file that a busy switch began late is verified, and its map set right by as much', async t => {
  for (const [silentUntil, verified, segment] of [
    [3850, true, { from_ms: 1880, to_ms: 3880 }],
    [3700, false, { from_ms: 2000, to_ms: 4000 }],
  ] as const) {
    const w = await twoLegs(t)
    w.clock.advance(2000)
    await w.cover('mask')
    w.clock.advance(2000)
    await w.cover('unmask')
    w.clock.advance(2000)
    const wav = wavOf(Int16Array.from({ length: 5850 * 8 }, (_, at) => (at >= 1850 * 8 && at < silentUntil * 8 ? 0 : 9000)))
    w.audio.set(w.file(w.first), wav)
    w.files.set(w.file(w.first), { ...WHOLE, size: wav.length, durationMs: 5850 })
    w.stopped(w.first)
    t.like(await w.reaches(w.first, 'stopped'), { verified, segments: [segment] })
    t.is(w.told().includes('recording.unverified'), !verified)
  }
})

test('mask and pause are two wishes: to end one leaves the other', async t => {
  const w = await twoLegs(t)
  await w.cover('mask')
  t.deepEqual(states(await w.cover('pause')), ['masked_paused', 'masked_paused'])
  w.clock.advance(3000)
  t.deepEqual(states(await w.cover('resume')), ['masked', 'masked'])
  t.like((await w.recording(w.first)).segments, [{ kind: 'mask' }, { kind: 'pause', missing_ms: 3000 }])
})

test('to cover twice is to be sure, to uncover what is open is refused with its state', async t => {
  const w = await twoLegs(t)
  const refused = await t.throwsAsync<AppError>(w.cover('unmask'))
  t.like(refused, { code: 'wrong_state', data: { state: 'recording' } })
  const masks = () => w.sent.filter(one => one === `mask ${w.path(w.first)}`).length
  await w.cover('mask')
  const once = masks()
  await w.cover('mask')
  t.is((await w.recording(w.first)).segments?.length, 1)
  t.is(masks(), once + 1)
})

test('a call of which nothing is recorded, and one that is over, cannot be masked', async t => {
  const w = await setup(t)
  const cover = (leg: string) => w.recorder().cover({ accountId: ACCOUNT, leg: aLeg(leg), what: 'mask', by: 'api' })
  t.like(await t.throwsAsync<AppError>(cover(LEG)), { code: 'wrong_state' })
  t.like(await t.throwsAsync<AppError>(cover(OTHER)), { code: 'wrong_state' })
})

test('whatever else records the call is covered with it, and its failure is the answer', async t => {
  const w = await setup(t)
  w.legs.set(LEG, aLeg(LEG, { variables: { callrec_interaction_id: 'i1' } }))
  const asked: string[] = []
  const session: Covered = { id: 's1', kind: 'siprec', leg: LEG, state: 'paused' }
  const off = w.recorder().alsoRecords({
    ...NOTHING_ELSE,
    cover: async (interactionId, what) => {
      asked.push(`${what} ${interactionId}`)
      if (what === 'resume') throw new AppError('switch_refused', 'no server')
      return interactionId === 'i1' && what === 'pause' ? [session] : []
    },
  })
  const cover = (what: Cover) => w.recorder().cover({ accountId: ACCOUNT, leg: w.legs.get(LEG) ?? aLeg(LEG), what, by: 'api' })
  t.deepEqual(await cover('pause'), [session])
  t.like(w.recorder().wishOf('i1'), { pause: { by: 'api' } })
  await t.throwsAsync(cover('resume'), { message: 'no server' })
  t.like(await t.throwsAsync<AppError>(cover('mask')), { code: 'wrong_state' })
  t.is(w.recorder().wishOf('i1').mask, undefined)
  off()
  t.deepEqual(asked, ['pause i1', 'resume i1', 'mask i1'])
})

test('the first file that begins beside sessions with recording servers is in their group; the next has one of its own', async t => {
  const w = await setup(t)
  const group = `202611-${'c'.repeat(32)}`
  const off = w.recorder().alsoRecords({ ...NOTHING_ELSE, groupOf: (leg, interactionId) => (leg === LEG && interactionId === 'i1' ? group : undefined) })
  const [first, second] = [await w.start(), await w.start({ format: 'wav', time_limit: 60 })]
  t.is((await w.recording(first.id)).group_id, group)
  t.is((await w.recording(second.id)).group_id, second.id)
  off()
})

test('with the last leg of a call its wish is forgotten, and not before', async t => {
  const w = await twoLegs(t)
  await w.cover('mask')
  w.legs.set(OTHER, aLeg(OTHER, { variables: { callrec_interaction_id: 'i1' } }))
  const ends = { ...aLeg(LEG), variables: { callrec_interaction_id: 'i1' } }
  w.legs.delete(LEG)
  w.tell({ name: 'CHANNEL_HANGUP_COMPLETE', leg: ends, at: w.clock.now(), cause: 'NORMAL_CLEARING' })
  w.clock.advance(5_000)
  t.truthy(await w.wish())
  w.legs.delete(OTHER)
  w.files.set(w.file(w.first), WHOLE)
  w.files.set(w.file(w.second), WHOLE)
  w.stopped(w.first)
  w.tell({ name: 'RECORD_STOP', leg: aLeg(OTHER), at: w.clock.now(), path: w.path(w.second), variables: {} })
  await w.reaches(w.first, 'stopped')
  await w.reaches(w.second, 'stopped')
  await until('the wish is gone', async () => {
    w.clock.advance(5_000)
    return (await w.wish()) === undefined
  })
  t.deepEqual(w.recorder().wishOf('i1'), {})
})

test('a recording that never began is told of as missing, one that ended as stopped', async t => {
  const w = await setup(t)
  w.fails.set('record', 'switch_refused')
  await w.start()
  t.deepEqual(w.told(), ['recording.missing'])
  w.fails.clear()
  const { id } = await w.start()
  w.started(id)
  w.files.set(w.file(id), WHOLE)
  w.stopped(id)
  await w.reaches(id, 'stopped')
  await until('stopped was told', () => w.told().includes('recording.stopped'))
  t.deepEqual(w.told(), ['recording.missing', 'recording.started', 'recording.stopped'])
})

test('what was asked for and cannot be is a document that says why, and the switch is not asked', async t => {
  const w = await setup(t)
  const request = { accountId: ACCOUNT, leg: aLeg(LEG), fresh: false, side: 'caller' as const, facts: FACTS, settings: effective({}), by: 'action' as const }
  const refused = await w.recorder().refuse({ ...request, origin: 'callflow : sales' }, 'expression_failed', ['data.url: {{vars.x}} – it yields nothing'])
  t.like(refused, { state: 'failed', reason: 'expression_failed' })
  t.like(await w.reaches(refused.id, 'failed'), {
    reason: 'expression_failed',
    origin: 'callflow : sales',
    warnings: ['data.url: {{vars.x}} – it yields nothing'],
  })
  t.is(await w.inFlight(refused.id), undefined)
  t.deepEqual(w.sent, [])
})

test('a leg on hold leaves its time out of the file, and the gap map says so', async t => {
  const w = await setup(t)
  const { id } = await w.start()
  w.tell({ name: 'CHANNEL_HOLD', leg: aLeg(LEG), at: w.clock.now() })
  w.started(id)
  await w.reaches(id, 'recording')
  t.is((await w.recording(id)).segments, undefined, 'nothing runs yet that could miss anything')
  w.clock.advance(1000)
  w.tell({ name: 'CHANNEL_HOLD', leg: aLeg(LEG), at: w.clock.now() })
  w.clock.advance(4000)
  w.tell({ name: 'CHANNEL_UNHOLD', leg: aLeg(LEG), at: w.clock.now() })
  const segments = await until('the gap', async () => {
    const found = (await w.recording(id)).segments
    return found?.[0]?.until !== undefined && found
  })
  t.like(segments, [{ kind: 'hold', from_ms: 1000, to_ms: 1000, missing_ms: 4000, by: 'hold' }])
})

// Formats and channels

const OGG: Finished = { size: 20_000, sha256: 'cd', durationMs: 10_050, sampleRate: 8000, channels: 2 }

test('what the switch does not write is recorded as WAV and delivered as what was asked for', async t => {
  const w = await setup(t)
  await w.encodes(OGG)
  const { id } = await w.start({ format: 'ogg' })
  t.is(w.sent.at(-1), `record ${LEG} ${w.path(id)}`)
  t.like(await w.inFlight(id), { file: w.file(id), encode: 'ogg' })
  w.started(id)
  await w.reaches(id, 'recording')
  w.files.set(w.file(id), WHOLE)
  w.clock.advance(10_000)
  w.stopped(id)
  const made = w.file(id).replace('wav', 'ogg')
  const recording = await w.reaches(id, 'stopped')
  t.like(recording, { media_type: 'ogg', content_type: 'audio/ogg', size: 20_000, sha256: 'cd', duration_ms: 10_000 })
  t.regex(recording.name, /\.ogg$/)
  t.is(recording.warnings, undefined)
  const queued = await until('its delivery', async () => {
    const found = await w.inFlight(id)
    return found?.delivery?.state === 'due' && found
  })
  t.like(queued, { file: made, size: 20_000, encode: undefined })
  await until('the WAV is gone', () => w.removed.includes(w.file(id)))
  t.true(w.sent.includes(`encode /here/${w.file(id)} /here/${made} ogg 2`))
})

for (const [what, made, why] of [
  ['fails', new Error('no room'), /no room/],
  ['makes half of it', { ...OGG, durationMs: 5000 }, /plays 5000 ms of 10000/],
  ['makes no sound', { size: 3, sha256: 'ef', durationMs: undefined }, /plays 0 ms of 10000/],
] as const) {
  test(`where ffmpeg ${what} the WAV stays, with the reason`, async t => {
    const w = await setup(t)
    await w.encodes(made)
    const { id } = await w.start({ format: 'ogg' })
    w.started(id)
    w.files.set(w.file(id), WHOLE)
    w.clock.advance(10_000)
    w.stopped(id)
    const recording = await w.reaches(id, 'stopped')
    t.like(recording, { media_type: 'wav', content_type: 'audio/x-wav', size: WHOLE.size, sha256: 'ab' })
    t.regex(recording.name, /\.wav$/)
    t.regex(recording.warnings?.[0] ?? '', why)
    const queued = await until('its delivery', async () => {
      const found = await w.inFlight(id)
      return found?.delivery?.state === 'due' && found
    })
    t.like(queued, { file: w.file(id), encode: undefined })
    t.deepEqual(w.removed, [w.file(id).replace('wav', 'ogg')])
  })
}

test('what was encoded when the store went away is encoded again when it is back, and the WAV stays until then', async t => {
  const w = await setup(t)
  await w.encodes(OGG)
  const { id } = await w.start({ format: 'ogg' })
  w.started(id)
  await w.reaches(id, 'recording')
  w.files.set(w.file(id), WHOLE)
  w.clock.advance(10_000)
  w.storeFails.with = new AppError('datastore_unreachable', 'away')
  w.stopped(id)
  await until('it is encoded', () => w.sent.some(one => one.startsWith('encode')))
  await w.restart()
  t.deepEqual(w.removed, [])
  delete w.storeFails.with
  w.recorded.delete(w.path(id))
  w.tell({ name: 'node_up', node: 'fs1' })
  await w.reaches(id, 'stopped')
  t.is(w.sent.filter(one => one.startsWith('encode')).length, 2)
  await until('the WAV is gone', () => w.removed.includes(w.file(id)))
})

test('an mp3 that is only the usual format is not worth an encoder', async t => {
  const w = await setup(t)
  await w.encodes(OGG)
  const { id } = await w.start()
  t.is((await w.recording(id)).media_type, 'wav')
  t.is((await w.recording(id)).warnings, undefined)
})

async function threeParties(t: ExecutionContext, settings: Settings = {}) {
  const w = await setup(t)
  const { id } = await w.start({ format: 'wav', stereo: false, ...settings }, { channels: 3 })
  w.started(id)
  await w.reaches(id, 'recording')
  w.clock.advance(4000)
  const track = `fs1/tracks/${id}-2.wav`
  return { ...w, id, track, on: `/spool/${track}` }
}

test('who joins a recording with a channel for each is recorded alone, from where he came', async t => {
  const w = await threeParties(t)
  t.like(w.options[0]?.variables, { rec_id: w.id, RECORD_READ_ONLY: 'true', RECORD_STEREO: 'false' })
  await w.recorder().join(w.id, OTHER)
  t.is(w.sent.at(-1), `record ${OTHER} ${w.on}`)
  t.deepEqual(w.options[1]?.variables, { RECORD_READ_ONLY: 'true', RECORD_STEREO: 'false' })
  t.deepEqual((await w.inFlight(w.id))?.tracks, [{ leg: OTHER, file: w.track, from_ms: 4000 }])
  await w.recorder().join(w.id, OTHER)
  await w.recorder().join(w.id, LEG)
  t.is(w.options.length, 2, 'each of them once')
  await w.recorder().join('202605-nobody', OTHER)
})

test('a mask reaches every track, one that comes later as well, and what one does not confirm ends them all', async t => {
  const w = await threeParties(t)
  await w.recorder().join(w.id, OTHER)
  const cover = (what: Cover) => w.recorder().cover({ accountId: ACCOUNT, leg: aLeg(LEG, { variables: { callrec_interaction_id: 'i1' } }), what, by: 'api' })
  w.sent.length = 0
  t.deepEqual(states(await cover('mask')), ['masked'])
  t.deepEqual(w.sent.filter(one => one.startsWith('mask')).toSorted(), [`mask ${w.on}`, `mask ${w.path(w.id)}`].toSorted())
  const late = '00000000-0000-4000-8000-000000000009'
  await w.recorder().join(w.id, late)
  t.is(w.sent.filter(one => one === `mask /spool/fs1/tracks/${w.id}-3.wav`).length, 1)
  await cover('unmask')
  w.recorded.delete(w.on)
  t.deepEqual(states(await cover('mask')), ['stopping'])
  t.true(w.sent.includes(`stop ${w.on}`))
  t.true(w.sent.includes(`stop ${w.path(w.id)}`))
})

test('a party that cannot be recorded is told in the document, and the others are', async t => {
  const w = await threeParties(t)
  w.fails.set('record', 'leg_gone')
  await w.recorder().join(w.id, OTHER)
  w.files.set(w.file(w.id), { ...WHOLE, channels: 1 })
  w.clock.advance(6000)
  w.stopped(w.id)
  const recording = await w.reaches(w.id, 'stopped')
  t.regex(recording.warnings?.[0] ?? '', /could not be recorded on a channel of its own/)
  // There are no real files here to be woven.
  t.regex(recording.warnings?.[1] ?? '', /its channels are not in one file, which has the caller alone/)
  await until('its track is gone', () => w.removed.includes(w.track))
})

test('tracks end with their recording, and go with one that is dropped', async t => {
  const w = await threeParties(t, { record_min_sec: 60 })
  await w.recorder().join(w.id, OTHER)
  w.files.set(w.file(w.id), WHOLE)
  w.hangup()
  w.stopped(w.id)
  t.like(await w.reaches(w.id, 'discarded'), { reason: 'too_short' })
  t.true(w.sent.includes(`stop ${w.on}`))
  await until('they are gone', () => w.removed.length === 2)
  t.deepEqual(w.removed.toSorted(), [w.file(w.id), w.track].toSorted())
})
