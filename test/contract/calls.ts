// What callrec promises about calls, on whatever switch: the whole engine, phones that call each other, and the recordings
// judged by ear. Times are in seconds of the call; a switch may run them faster than the wall does.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import test, { type ExecutionContext } from 'ava'
import { systemClock } from '../../src/clock.ts'
import { silent } from '../../src/log.ts'
import { mp3Counter } from '../../src/recording/audio/audio-length.ts'
import type { Consent } from '../../src/recording/announce.ts'
import type { Segment } from '../../src/recording/segments.ts'
import { connectSwitches, whenUp } from '../../src/switch/pool.ts'
import type { Leg, SwitchEvent, SwitchNode } from '../../src/switch/switch.ts'
import { loudness, tones, type Wav, wavFrom } from '../helpers/audio.ts'
import { type Engine, startEngine } from '../helpers/engine.ts'
import { eslApi } from '../helpers/esl-client.ts'
import { httpSink, type Teardown } from '../helpers/http-sink.ts'
import { PATIENCE, until } from '../helpers/wait.ts'

/** What a phone does when it is rung; all but `busy` and `away` ring first. */
export type Behaviour =
  /** Answers and says 1000 Hz. */
  | 'tone1000'
  /** As tone1000, and hangs up some seconds later. */
  | 'brief'
  /** Says 300 Hz for two seconds before it answers as tone1000 does. */
  | 'early'
  | 'ringing'
  | 'busy'
  /** Is not registered. */
  | 'away'

/** A device document's phone. */
export interface Phone {
  id: string
  accountId: string
  realm: string
  name: string
  password: string
  does: Behaviour
}

export interface Dialling {
  from: Phone
  number: string
  /** What the phone does that is to be rung, for a switch whose phones are told by the caller. */
  rings: Behaviour
  /** Display name. */
  callerName?: string
}

/** A switch, and phones on it. */
export interface Telephony {
  /** What the engine needs to be told. */
  settings: Readonly<Record<string, string>>
  /** The event socket, for the tests' own eyes. */
  port: number
  password: string
  /** Seconds of the call in one of the wall. */
  speed: number
  /** Both views of RECORDING_DIR. */
  spool: string
  /** Seconds by which a file may be longer or shorter than the switch's own clock has it. */
  slack: number
  /** Seconds of the call by which what a timer of the engine does may be late; Infinity where that would measure the machine. */
  late: number
  /** Milliseconds within which what an answer begins has begun; Infinity likewise. */
  soon: number
  /** Seconds that the callee of that name talks. */
  brief: number
  /** Display names a phone may send, and how the switch hands each on. Where a command is in one, it would make `file`. */
  names(file: string): readonly { sent: string; arrives: string }[]
  /** Seconds of an 8 kHz stereo recording that the switch may not have brought to disk when it is killed. */
  unwritten: number
  /** From now on calls to the phone end where it is. */
  register(phone: Phone): Promise<void>
  dial(call: Dialling): Promise<Dialled>
  /** Cuts the engine's event socket, and lets it through again when the answer is called; the switch lives on. */
  cut(): () => void
  /** SIGKILL. */
  crash(): Promise<void>
  restart(): Promise<void>
}

export interface Dialled {
  /** The phone, which says 440 Hz since the answer, hangs up. */
  hangup: () => Promise<void>
}

export interface CallsContract {
  /** Shown in the titles. */
  name: string
  open: (t: Teardown) => Promise<Telephony>
  /** Title of a promise → why this switch does not keep it. */
  cannot?: Readonly<Record<string, string>>
}

interface Recording {
  id: string
  group_id: string
  consent?: Consent
  segments?: Segment[]
  verified?: boolean
  name: string
  state: string
  reason?: string
  call_id: string
  duration_ms: number
  origin: string
  sample_rate: number
  channels: number
  media_type: string
  content_type: string
  caller_id_name: string
  caller_id_number: string
  warnings?: string[]
  delivery?: { state: string; location?: string; destination?: string }
}

interface Node {
  module: string
  data?: object
  children?: Record<string, Node>
}

/** The world all promises of one switch share: it takes seconds to start. */
interface World {
  telephony: Telephony
  engine: Engine
  account: string
  realm: string
  /** The tests' own connection to the switch, beside the engine's. */
  node: SwitchNode
  events: SwitchEvent[]
  /** What the engine logged. */
  lines: { level: string; event: string; facts: object }[]
}

async function openWorld(t: Teardown, open: CallsContract['open']): Promise<World> {
  const telephony = await open(t)
  const lines: World['lines'] = []
  const at =
    (level: string) =>
    (event: string, facts = {}): void =>
      void lines.push({ level, event, facts })
  const engine = await startEngine(t, telephony.settings, { ...silent, info: at('info'), warn: at('warn'), error: at('error') })
  const { port, password, speed } = telephony
  const switches = connectSwitches({ nodes: [{ name: 'tests', host: '127.0.0.1', port, password }], clock: systemClock(speed), log: silent })
  t.teardown(() => switches.close())
  const events: SwitchEvent[] = []
  switches.on(event => events.push(event))
  await whenUp(switches, PATIENCE)
  const { id: account, realm } = await engine.client.put<{ id: string; realm: string }>(`accounts/${engine.client.accountId}`, {
    allow_parent_audio: true,
    name: 'calls',
    realm: 'calls.example.com',
  })
  await until('the engine’s switch', async () => (await fetch(`${engine.url}/readyz`)).ok)
  return { telephony, engine, account, realm, node: switches.node('tests'), events, lines }
}

let counter = 0
/** Calls at once: more of them would measure the machine. */
const TOGETHER = 6

class Scene {
  readonly t: ExecutionContext
  readonly world: World

  constructor(t: ExecutionContext, world: World) {
    this.t = t
    this.world = world
  }

  get at(): string {
    return `accounts/${this.world.account}`
  }

  async phone(does: Behaviour = 'tone1000', doc: object = {}): Promise<Phone> {
    const { account, realm, engine, telephony } = this.world
    const sip = { username: `phone${(counter += 1)}`, password: `secret-${counter}` }
    const { id } = await engine.client.put<{ id: string }>(`${this.at}/devices`, { name: sip.username, sip, ...doc })
    const phone = { id, accountId: account, realm, name: sip.username, password: sip.password, does }
    await telephony.register(phone)
    return phone
  }

  /** Answers the number that leads to it. */
  async callflow(flow: Node, name?: string): Promise<string> {
    const number = String(2000 + (counter += 1))
    await this.world.engine.client.put(`${this.at}/callflows`, { numbers: [number], flow, ...(name === undefined ? {} : { name }) })
    return number
  }

  /** Answers the caller's leg, once it is parked. */
  async dial(from: Phone, number: string, { rings = 'tone1000', ...more }: Partial<Dialling> = {}): Promise<Dialled & { leg: string }> {
    const { events, telephony } = this.world
    const before = events.length
    const dialled = await telephony.dial({ from, number, rings, ...more })
    this.t.teardown(() => dialled.hangup().catch(() => {}))
    const parked = await this.event(
      event => event.name === 'CHANNEL_PARK' && event.leg.destination === number && events.indexOf(event) >= before,
      'the call is parked',
    )
    return { ...dialled, leg: parked.leg.uuid }
  }

  async event(is: (event: LegEvent) => boolean, what: string): Promise<LegEvent> {
    return until(what, () => this.world.events.find((event): event is LegEvent => 'leg' in event && is(event)))
  }

  named(name: SwitchEvent['name'], leg: string): Promise<LegEvent> {
    return this.event(event => event.name === name && event.leg.uuid === leg, `${name} of ${leg}`)
  }

  /** Of all the recordings of a phone, once there are so many and nothing more is to happen to them; oldest first. */
  async recordings({ id }: Phone, count = 1): Promise<Recording[]> {
    let found: Recording[] = []
    try {
      return await until(`${count} recordings that are settled`, async () => {
        found = await this.world.engine.client.get<Recording[]>(`${this.at}/devices/${id}/recordings`)
        return found.length >= count && found.every(isSettled) && found.toReversed()
      })
    } catch (error) {
      const said = this.world.lines.filter(({ level }) => level !== 'info')
      throw new Error(`${String(error)}; there are ${JSON.stringify(found)}; the engine said ${JSON.stringify(said)}`, { cause: error })
    }
  }

  async one(phone: Phone): Promise<Recording> {
    const found = await this.recordings(phone)
    this.t.is(found.length, 1)
    const [recording] = found
    if (recording === undefined) throw new Error('no recording')
    return recording
  }

  /** The audio as the API gives it. */
  async audio({ id }: Recording): Promise<Buffer> {
    const { engine } = this.world
    const response = await fetch(`${engine.url}/v2/${this.at}/recordings/${id}`, {
      headers: { 'x-auth-token': engine.client.token, accept: 'audio/*' },
    })
    this.t.is(response.status, 200)
    return Buffer.from(await response.arrayBuffer())
  }

  async wav(recording: Recording): Promise<Wav> {
    return wavFrom(await this.audio(recording))
  }

  /** A header of the leg that the port does not carry. */
  async header(leg: string, name: string): Promise<string | undefined> {
    const { port, password } = this.world.telephony
    const dump = await eslApi(port, password, `uuid_dump ${leg} json`)
    return (JSON.parse(dump) as Record<string, string>)[name]
  }

  /** The leg that a call rings. */
  async rung(leg: string): Promise<string> {
    const found = await until('somebody is rung', async () =>
      (await this.world.node.legs()).find(one => one.variables['callrec_call_id'] === leg && one.uuid !== leg),
    )
    return found.uuid
  }

  async hungUp(leg: string, cause?: string): Promise<void> {
    const ended = await this.named('CHANNEL_HANGUP_COMPLETE', leg)
    if (cause !== undefined && ended.name === 'CHANNEL_HANGUP_COMPLETE') this.t.is(ended.cause, cause)
  }

  /** What lies in the spool of a recording. */
  filesOf({ id }: Recording): string[] {
    return readdirSync(this.world.telephony.spool, { recursive: true, encoding: 'utf8' }).filter(file => file.includes(id))
  }

  /** Does one thing and a second of the call later another; how long it was between them, at least and at most, by the asking and by the answer. */
  async between(first: () => Promise<unknown>, second: () => Promise<unknown>): Promise<{ least: number; most: number }> {
    const clock = systemClock(this.world.telephony.speed)
    const asked = clock.elapsed()
    await first()
    const done = clock.elapsed()
    await this.pass(1)
    const askedAgain = clock.elapsed()
    await second()
    return { least: (askedAgain - done) / 1000, most: (clock.elapsed() - asked) / 1000 }
  }

  /** So much of the call passes. */
  pass(seconds: number): Promise<void> {
    return after((seconds * 1000) / this.world.telephony.speed)
  }

  /** Once so many recordings of the call run, so much of it passes, and the caller hangs up. */
  async talk({ leg, hangup }: Dialled & { leg: string }, seconds: number, recordings = 1): Promise<void> {
    const { events } = this.world
    const began = (event: SwitchEvent): boolean => event.name === 'RECORD_START' && event.leg.variables['callrec_call_id'] === leg
    await until(`${recordings} recordings of call ${leg}`, () => events.filter(began).length === recordings)
    await this.pass(seconds)
    await hangup()
  }

  /** Does something that costs the engine its switch, and waits until it has seen to its recordings again. */
  async readopted(run: () => unknown): Promise<void> {
    const { lines } = this.world
    const before = lines.length
    await run()
    await until('the engine has its switch again', () => lines.slice(before).some(({ event }) => event === 'recordings_adopted'))
  }

  /** How long a leg was recorded, in seconds by the switch's clock. */
  async recorded(leg: string): Promise<number> {
    const [began, ended] = [await this.named('RECORD_START', leg), await this.named('RECORD_STOP', leg)]
    return ((ended.at - began.at) / 1000) * this.world.telephony.speed
  }

  /** It began with the answer of a leg, its own or that of the other side: not before, and soon after. */
  async beganWith(leg: string, answered = leg): Promise<void> {
    const late = (await this.named('RECORD_START', leg)).at - (await this.named('CHANNEL_ANSWER', answered)).at
    this.t.true(late >= 0 && late < this.world.telephony.soon, `it began ${late} ms after the answer`)
  }

  /** So many seconds, give or take what the way over the wire costs; or more, up to a most. */
  lasts(wav: Pick<Wav, 'seconds'>, least: number, most = least): void {
    const { slack } = this.world.telephony
    this.t.true(wav.seconds >= least - slack && wav.seconds <= most + slack, `${wav.seconds} s instead of ${least} to ${most} ± ${slack}`)
  }

  /** The caller left, the callee right, and neither on the other side. */
  hearsBoth({ samples: [left, right], sampleRate }: Wav, from?: number, to?: number): void {
    this.says(left, sampleRate, 440, from, to)
    this.says(right, sampleRate, 1000, from, to)
  }

  /** Is one tone all that is heard? */
  says(samples: Int16Array | undefined, rate: number, hz: number, from?: number, to?: number): void {
    if (samples === undefined) return this.t.fail('there is no such channel')
    const heard = tones(samples, rate, hz, from, to)
    this.t.true(heard > 0.8, `${heard.toFixed(2)} of it is ${hz} Hz`)
  }
}

type LegEvent = Extract<SwitchEvent, { leg: Leg }>

const isSettled = ({ state, delivery }: Recording): boolean =>
  state === 'discarded' || state === 'failed' || (state === 'stopped' && (delivery?.state === 'stored' || delivery?.state === 'failed'))

const ring = ({ id }: Phone, more: Partial<Node> = {}): Node => ({ module: 'device', data: { id }, ...more })

export function callsContract({ name, open, cannot = {} }: CallsContract): void {
  const ends: (() => unknown)[] = []
  const world = openWorld({ teardown: run => void ends.push(run) }, open)
  world.catch(() => undefined)
  test.after.always(async () => {
    for (const end of ends.toReversed()) await end()
  })

  function promise(title: string, run: (scene: Scene) => Promise<void>, how: typeof test | typeof test.serial = test): void {
    const why = cannot[title]
    if (why !== undefined) process.stdout.write(`  # ${name} cannot: ${title} (${why})\n`)
    else how(`${name}: ${title}`, async t => run(new Scene(t, await turn(t, world))))
  }

  promise('PATCH a user, call him, and the recording is put to a server and listed; what has no server is downloaded', async scene => {
    const { t, world, at } = scene
    const sink = await httpSink(t)
    const { client } = world.engine
    const { id: bob } = await client.put<{ id: string }>(`${at}/users`, { first_name: 'Bob', last_name: 'Recorded' })
    const caller = await scene.phone('tone1000', { record_call: { format: 'wav' } })
    const callee = await scene.phone('tone1000', { owner_id: bob })
    const number = await scene.callflow({ module: 'user', data: { id: bob } })
    await client.patch(`${at}/users/${bob}`, { record_call: { url: sink.url, format: 'wav' } })
    const call = await scene.dial(caller, number)
    await scene.talk(call, 2, 2)

    const put = await scene.one(callee)
    t.like(put, { state: 'stopped', origin: 'inbound from onnet to endpoint', channels: 2, sample_rate: 8000 })
    t.deepEqual(
      (await client.get<Recording[]>(`${at}/users/${bob}/recordings`)).map(({ id }) => id),
      [put.id],
    )
    const [request] = sink.received
    t.like(request, { method: 'PUT', whole: true })
    t.true(request?.url.startsWith(`/call_recording_${put.call_id}.wav?`), request?.url)
    const kept = await scene.one(caller)
    t.like(kept, { state: 'stopped', origin: 'outbound to onnet from endpoint', call_id: call.leg })

    for (const [of, wav] of [
      [put, wavFrom(request?.body ?? Buffer.alloc(0))],
      [kept, await scene.wav(kept)],
    ] as const) {
      t.is(wav.channels, 2)
      await scene.beganWith(of.call_id)
      scene.lasts(wav, await scene.recorded(of.call_id))
      scene.hearsBoth(wav)
    }
  })

  promise(
    'a call that crosses a lost connection is recorded whole, and ends when the callee hangs up',
    async scene => {
      const caller = await scene.phone('tone1000', { record_call: { format: 'wav' } })
      const callee = await scene.phone('tone1000', { record_call: { format: 'wav' } })
      const { leg } = await scene.dial(caller, await scene.callflow(ring(callee)))
      const rung = await scene.rung(leg)
      await scene.named('RECORD_START', leg)
      await scene.named('RECORD_START', rung)
      await scene.pass(1)
      await scene.readopted(() => scene.world.telephony.cut()())
      await scene.pass(1)
      await scene.world.node.hangup(rung, 'NORMAL_CLEARING')
      for (const recording of [await scene.one(caller), await scene.one(callee)]) {
        scene.t.like(recording, { state: 'stopped', warnings: undefined })
        const wav = await scene.wav(recording)
        scene.lasts(wav, await scene.recorded(recording.call_id))
        scene.hearsBoth(wav)
      }
      await scene.hungUp(leg, 'NORMAL_CLEARING')
    },
    test.serial,
  )

  promise(
    'a call that ends while the connection is lost is recorded to its end',
    async scene => {
      const caller = await scene.phone('tone1000', { record_call: { format: 'wav' } })
      const { leg, hangup } = await scene.dial(caller, await scene.callflow(ring(await scene.phone())))
      await scene.named('RECORD_START', leg)
      await scene.pass(1)
      await scene.readopted(async () => {
        const through = scene.world.telephony.cut()
        await hangup()
        await scene.hungUp(leg)
        through()
      })
      const recording = await scene.one(caller)
      scene.t.like(recording, { state: 'stopped', warnings: undefined })
      scene.lasts(await scene.wav(recording), await scene.recorded(leg))
    },
    test.serial,
  )

  promise(
    'of two calls one outlives an engine that is restarted, the other ends without it, and both are recorded whole',
    async scene => {
      const [stays, leaves] = [
        await scene.phone('tone1000', { record_call: { format: 'wav' } }),
        await scene.phone('tone1000', { record_call: { format: 'wav' } }),
      ]
      const callee = await scene.phone()
      const number = await scene.callflow(ring(callee))
      const staying = await scene.dial(stays, number)
      const leaving = await scene.dial(leaves, number)
      for (const { leg } of [staying, leaving]) await scene.named('RECORD_START', leg)
      await scene.pass(1)
      await scene.readopted(() =>
        scene.world.engine.restart(async () => {
          await leaving.hangup()
          await scene.hungUp(leaving.leg)
        }),
      )
      await scene.pass(1)
      await scene.world.node.hangup(await scene.rung(staying.leg), 'NORMAL_CLEARING')
      for (const [phone, { leg }] of [
        [stays, staying],
        [leaves, leaving],
      ] as const) {
        await scene.hungUp(leg)
        const recording = await scene.one(phone)
        scene.t.like(recording, { state: 'stopped', call_id: leg, warnings: undefined })
        const wav = await scene.wav(recording)
        scene.lasts(wav, await scene.recorded(leg))
        scene.hearsBoth(wav)
      }
    },
    test.serial,
  )

  promise(
    'a switch that is killed leaves what it wrote: the file is mended and delivered, and the next call is recorded',
    async scene => {
      const { telephony } = scene.world
      const caller = await scene.phone('tone1000', { record_call: { format: 'wav' } })
      const callee = await scene.phone()
      const number = await scene.callflow(ring(callee))
      const { leg } = await scene.dial(caller, number)
      const began = await scene.named('RECORD_START', leg)
      await scene.pass(4)
      const ran = (): number => ((Date.now() - began.at) / 1000) * telephony.speed
      const least = ran() - telephony.unwritten
      let most = 0
      await scene.readopted(async () => {
        await telephony.crash()
        most = ran()
        await telephony.restart()
      })
      const recording = await scene.one(caller)
      scene.t.is(recording.state, 'stopped')
      const wav = await scene.wav(recording)
      scene.lasts(wav, least, most)
      scene.hearsBoth(wav)

      await until('the tests’ own connection', () => scene.world.node.status().state === 'up')
      const again = await scene.phone('tone1000', { record_call: { format: 'wav' } })
      const next = await scene.dial(again, number)
      await scene.talk(next, 1)
      scene.t.like(await scene.one(again), { state: 'stopped', call_id: next.leg })
    },
    test.serial,
  )

  for (const [rate, stereo] of [
    [8000, false],
    [16_000, true],
    [48_000, false],
  ] as const) {
    promise(`a recording at ${rate} Hz, ${stereo ? 'stereo' : 'mono'}, has that rate, those channels and both voices`, async scene => {
      const callee = await scene.phone('tone1000', { record_call: { format: 'wav', record_sample_rate: rate, stereo } })
      await scene.talk(await scene.dial(await scene.phone(), await scene.callflow(ring(callee))), 2)
      const recording = await scene.one(callee)
      scene.t.like(recording, { state: 'stopped', sample_rate: rate, channels: stereo ? 2 : 1, media_type: 'wav', content_type: 'audio/x-wav' })
      const wav = await scene.wav(recording)
      scene.t.like(wav, { sampleRate: rate, channels: stereo ? 2 : 1 })
      scene.t.is(recording.duration_ms, Math.round(wav.seconds * 1000))
      scene.lasts(wav, await scene.recorded(recording.call_id))
      if (stereo) return scene.hearsBoth(wav)
      const [mixed = new Int16Array()] = wav.samples
      for (const hz of [440, 1000]) scene.t.true(tones(mixed, rate, hz) > 0.3, `${hz} Hz is ${tones(mixed, rate, hz)} of it`)
    })
  }

  promise('a recording whose format nobody names is an mp3 as long as the call', async scene => {
    const callee = await scene.phone('tone1000', { record_call: { record_sample_rate: 16_000 } })
    await scene.talk(await scene.dial(await scene.phone(), await scene.callflow(ring(callee))), 2)
    const recording = await scene.one(callee)
    scene.t.like(recording, { state: 'stopped', media_type: 'mp3', content_type: 'audio/mpeg', channels: 2, sample_rate: 16_000, warnings: undefined })
    scene.t.true(recording.name.endsWith('.mp3'))
    const frames = mp3Counter()
    frames.feed(await scene.audio(recording))
    scene.t.like(frames.sound(), { channels: 2, sampleRate: 16_000, durationMs: recording.duration_ms })
    // The encoder begins and ends with silence of its own.
    const seconds = await scene.recorded(recording.call_id)
    scene.lasts({ seconds: recording.duration_ms / 1000 }, seconds, seconds + 0.15)
  })

  promise('a call shorter than record_min_sec leaves no file', async scene => {
    const callee = await scene.phone('tone1000', { record_call: { format: 'wav', record_min_sec: 60 } })
    await scene.talk(await scene.dial(await scene.phone(), await scene.callflow(ring(callee))), 2)
    const recording = await scene.one(callee)
    scene.t.like(recording, { state: 'discarded', reason: 'too_short', delivery: undefined })
    scene.t.deepEqual(scene.filesOf(recording), [])
  })

  promise('time_limit ends the recording to a quarter of a second, and not the call', async scene => {
    const callee = await scene.phone('tone1000', { record_call: { format: 'wav', time_limit: 5 } })
    const { leg } = await scene.dial(await scene.phone(), await scene.callflow(ring(callee)))
    const recording = await scene.one(callee)
    scene.t.true(await scene.world.node.exists(leg), 'the call goes on')
    scene.lasts(await scene.wav(recording), 5, 5 + scene.world.telephony.late)
  })

  promise('record_on_answer leaves out what the callee says before he answers', async scene => {
    const caller = await scene.phone('tone1000', { record_call: { format: 'wav' } })
    const callee = await scene.phone('early', { record_call: { format: 'wav' } })
    await scene.talk(await scene.dial(caller, await scene.callflow(ring(callee)), { rings: 'early' }), 2, 2)
    for (const recording of [await scene.one(caller), await scene.one(callee)]) {
      await scene.beganWith(recording.call_id)
      const wav = await scene.wav(recording)
      scene.lasts(wav, await scene.recorded(recording.call_id))
      scene.hearsBoth(wav)
    }
  })

  promise('a recording that waits for the answer does not pre-answer the caller', async scene => {
    const caller = await scene.phone('tone1000', { record_call: true })
    const callee = await scene.phone('ringing', { record_call: true })
    const { leg, hangup } = await scene.dial(caller, await scene.callflow(ring(callee)), { rings: 'ringing' })
    await scene.rung(leg)
    await scene.pass(1)
    scene.t.is(await scene.header(leg, 'Answer-State'), 'ringing')
    scene.t.deepEqual(await scene.world.node.recordings(leg), [])
    await hangup()
    for (const phone of [caller, callee]) scene.t.like(await scene.one(phone), { state: 'discarded', reason: 'never_answered', duration_ms: 0 })
  })

  promise('record_on_bridge begins when both talk: neither what was played before nor what is heard before the answer is in it', async scene => {
    const waits = { format: 'wav', record_on_bridge: true }
    const caller = await scene.phone('tone1000', { record_call: waits })
    const callee = await scene.phone('early', { record_call: waits })
    const number = await scene.callflow({ ...play(500, 1), children: { _: ring(callee) } })
    await scene.talk(await scene.dial(caller, number, { rings: 'early' }), 2, 2)
    const { call_id: answered } = await scene.one(callee)
    for (const recording of [await scene.one(caller), await scene.one(callee)]) {
      await scene.beganWith(recording.call_id, answered)
      const wav = await scene.wav(recording)
      scene.lasts(wav, await scene.recorded(recording.call_id))
      scene.hearsBoth(wav)
    }
  })

  promise('a call whose media goes past the switch is a recording that failed, not one that is missing', async scene => {
    const caller = await scene.phone('tone1000', { record_call: { format: 'wav' } })
    const callee = await scene.phone('tone1000', { record_call: { format: 'wav' } })
    const number = await scene.callflow({ module: 'sleep', data: { duration: 1 }, children: { _: ring(callee) } })
    const { leg, hangup } = await scene.dial(caller, number)
    await until('the engine has the call', async () => (await scene.world.node.leg(leg))?.variables['callrec_node'] !== undefined)
    await scene.world.node.setVariables(leg, { bypass_media: 'true' })
    await scene.named('CHANNEL_BRIDGE', leg)
    const failed = [await scene.one(caller), await scene.one(callee)]
    await hangup()
    for (const recording of failed) scene.t.like(recording, { state: 'failed', reason: 'switch_refused', duration_ms: 0 })
  })

  promise('what is missing from a recording because the call was on hold is in the gap map', async scene => {
    const caller = await scene.phone('tone1000', { record_call: { format: 'wav' } })
    const { leg, hangup } = await scene.dial(caller, await scene.callflow(ring(await scene.phone())))
    const { port, password } = scene.world.telephony
    await scene.named('RECORD_START', leg)
    await scene.pass(1)
    scene.t.regex(await eslApi(port, password, `uuid_hold ${leg}`), /^\+OK/)
    await scene.pass(4)
    scene.t.regex(await eslApi(port, password, `uuid_hold off ${leg}`), /^\+OK/)
    await scene.pass(1)
    await hangup()
    const recording = await scene.one(caller)
    const [held] = recording.segments ?? []
    scene.t.like(held, { kind: 'hold', by: 'hold' })
    const missing = (held?.missing_ms ?? 0) / 1000
    scene.t.true(missing >= 3.9, `${missing} s are missing by the map`)
    scene.lasts(await scene.wav(recording), (await scene.recorded(leg)) - missing)
    scene.t.deepEqual(recording.warnings ?? [], [])
  })

  promise('no name runs anything, whoever it comes from, and each is in the document as the switch heard it', async scene => {
    const touched = join(scene.world.telephony.spool, 'touched')
    const outside = `\${system(touch ${touched})} O'Neill "X", 😀`
    const callee = await scene.phone('tone1000', { name: outside, record_call: { format: 'wav' } })
    const flow = { module: 'record_call', data: { action: 'start', label: outside, format: 'wav', record_on_answer: true }, children: { _: ring(callee) } }
    await Promise.all(
      scene.world.telephony.names(touched).map(async ({ sent, arrives }) => {
        const caller = await scene.phone('tone1000', { name: outside })
        const call = await scene.dial(caller, await scene.callflow(flow, outside), { callerName: sent })
        await scene.talk(call, 0.5, 2)
        scene.t.like(await scene.one(caller), { state: 'stopped', caller_id_name: arrives, origin: `callflow : ${outside}` })
      }),
    )
    const shown = await scene.phone('tone1000', { caller_id: { internal: { name: outside, number: '4711' } } })
    const call = await scene.dial(shown, await scene.callflow(ring(callee)))
    await scene.talk(call, 0.5)
    const answered = await scene.event(
      event => event.name === 'CHANNEL_ANSWER' && event.leg.variables['callrec_call_id'] === call.leg && event.leg.uuid !== call.leg,
      'an answer',
    )
    // mod_sofia cuts a name at a slash.
    scene.t.true(answered.leg.callerIdName.endsWith("O'Neill 'X', 😀"), answered.leg.callerIdName)
    scene.t.is(answered.leg.callerIdNumber, '4711')
    scene.t.false(existsSync(touched))
  })

  promise('two recordings of one leg are two files, named apart', async scene => {
    const caller = await scene.phone('tone1000', { record_call: { format: 'wav' } })
    const callee = await scene.phone()
    const start = { module: 'record_call', data: { action: 'start', format: 'wav', record_sample_rate: 16_000, record_on_answer: true } }
    const call = await scene.dial(caller, await scene.callflow({ ...start, children: { _: ring(callee) } }, 'twice'))
    await scene.talk(call, 2, 2)
    const both = (await scene.recordings(caller, 2)).toSorted((a, b) => a.name.length - b.name.length)
    scene.t.deepEqual(
      both.map(({ name, origin, sample_rate }) => ({ name, origin, sample_rate })),
      [
        { name: `call_recording_${call.leg}.wav`, origin: 'outbound to onnet from endpoint', sample_rate: 8000 },
        { name: `call_recording_${call.leg}_2.wav`, origin: 'callflow : twice', sample_rate: 16_000 },
      ],
    )
    for (const recording of both) {
      const wav = await scene.wav(recording)
      scene.lasts(wav, await scene.recorded(call.leg))
      scene.hearsBoth(wav)
    }
  })

  promise('record_call start and stop around a tone record that tone and nothing else', async scene => {
    const caller = await scene.phone()
    const stop: Node = { module: 'record_call', data: { action: 'stop' }, children: { _: play(700, 1) } }
    const start: Node = { module: 'record_call', data: { action: 'start', format: 'wav' }, children: { _: { ...play(600, 2), children: { _: stop } } } }
    const { leg } = await scene.dial(caller, await scene.callflow({ ...play(500, 1), children: { _: start } }))
    const wav = await scene.wav(await scene.one(caller))
    scene.lasts(wav, await scene.recorded(leg))
    const [left, right] = wav.samples
    scene.says(left, wav.sampleRate, 440)
    scene.says(right, wav.sampleRate, 600)
  })

  promise('masking silences both sides and keeps the time, pausing cuts it out, and the gap map says where', async scene => {
    const { client } = scene.world.engine
    const caller = await scene.phone('tone1000', { record_call: { format: 'wav' } })
    const { leg, hangup } = await scene.dial(caller, await scene.callflow(ring(await scene.phone())))
    await scene.named('RECORD_START', leg)
    const ask = (action: string): Promise<void> => client.post(`${scene.at}/channels/${leg}`, { action: 'record', data: { action } })
    await until(
      'it runs',
      async () => (await client.get<{ recordings: { state: string }[] }>(`${scene.at}/channels/${leg}`)).recordings[0]?.state === 'recording',
    )
    await scene.pass(1)
    const masked = await scene.between(
      () => ask('mask'),
      () => ask('unmask'),
    )
    await scene.pass(1)
    await scene.between(
      () => ask('pause'),
      () => ask('resume'),
    )
    await scene.pass(1)
    await hangup()
    const recording = await scene.one(caller)
    const [mask, pause] = recording.segments ?? []
    if (mask?.to_ms === undefined || pause?.missing_ms === undefined) throw new Error(JSON.stringify(recording))
    scene.t.is(recording.verified, true)
    const wav = await scene.wav(recording)
    const whole = await scene.recorded(leg)
    scene.lasts(wav, whole - pause.missing_ms / 1000)
    for (const samples of wav.samples) {
      const silence = longestSilence(samples, wav.sampleRate)
      const seconds = (mask.to_ms - mask.from_ms) / 1000
      scene.t.true(Math.abs(silence.seconds - seconds) <= 0.1, `silent for ${silence.seconds} s, ${seconds} s by the map`)
      scene.t.is(loudness(samples, wav.sampleRate, mask.from_ms / 1000 + 0.1, mask.to_ms / 1000 - 0.1), 0)
      scene.t.true(silence.seconds >= masked.least - 0.1 && silence.seconds <= masked.most + 0.1, `${silence.seconds} s of ${JSON.stringify(masked)}`)
    }
    scene.hearsBoth(wav, 0, 0.9)
    scene.hearsBoth(wav, wav.seconds - 0.9)
  })

  promise('a mask that begins and ends within the first half second hides what is said in it', async scene => {
    const { client } = scene.world.engine
    const caller = await scene.phone('tone1000', { record_call: { format: 'wav' } })
    const { leg, hangup } = await scene.dial(caller, await scene.callflow(ring(await scene.phone())))
    await scene.named('RECORD_START', leg)
    const ask = (action: string): Promise<void> => client.post(`${scene.at}/channels/${leg}`, { action: 'record', data: { action } })
    await until('it is masked', () =>
      ask('mask').then(
        () => true,
        () => false,
      ),
    )
    await scene.pass(0.1)
    await ask('unmask')
    await scene.pass(1)
    await hangup()
    const recording = await scene.one(caller)
    const [mask] = recording.segments ?? []
    if (mask?.to_ms === undefined) throw new Error(JSON.stringify(recording))
    scene.t.is(recording.verified, true, JSON.stringify(recording.segments))
    const wav = await scene.wav(recording)
    for (const samples of wav.samples) scene.t.is(loudness(samples, wav.sampleRate, mask.from_ms / 1000 + 0.1, mask.to_ms / 1000 - 0.1), 0)
    scene.hearsBoth(wav, wav.seconds - 0.9)
  })

  promise('both parties are told before anything is kept, and neither what is said nor the beep is in the file', async scene => {
    const announce = { media: 'tone_stream://%(1500,0,2000)', optout_key: '9' }
    const caller = await scene.phone('tone1000', { record_call: { format: 'wav', announce, beep: { every: 1 } } })
    const { leg, hangup } = await scene.dial(caller, await scene.callflow(ring(await scene.phone())))
    const began = await scene.named('RECORD_START', leg)
    await scene.pass(3)
    await hangup()
    const recording = await scene.one(caller)
    const { announced = [], beeps = [] } = recording.consent ?? {}
    scene.t.deepEqual(announced.map(({ party, outcome, key }) => `${party} ${outcome} ${key}`).sort(), ['callee played undefined', 'caller played undefined'])
    scene.t.deepEqual(beeps.map(({ party, reason }) => `${party} ${reason}`).sort(), ['callee undefined', 'caller undefined'])
    // Times are told in milliseconds, by two clocks of one machine.
    for (const { ended_at = '' } of announced) scene.t.true(Date.parse(ended_at) <= began.at + 20, `${ended_at} and ${began.at}`)
    const wav = await scene.wav(recording)
    scene.hearsBoth(wav, 0.2)
    for (const samples of wav.samples) for (const hz of [2000, 1400]) scene.t.true(tones(samples, wav.sampleRate, hz) < 0.02, `${hz} Hz`)
  })

  promise('a sentence is said to both before anything is kept, where the switch can speak, and is not in the file; else nothing is kept', async scene => {
    const text = 'This call is recorded.'
    const caller = await scene.phone('tone1000', { record_call: { format: 'wav', announce: { text } } })
    const { leg, hangup } = await scene.dial(caller, await scene.callflow(ring(await scene.phone())))
    if (scene.world.node.status().modules['mod_flite'] === true) await scene.named('RECORD_START', leg)
    await scene.pass(3)
    await hangup()
    const recording = await scene.one(caller)
    const { announced = [] } = recording.consent ?? {}
    scene.t.deepEqual(
      announced.map(({ party, text }) => [party, text]).toSorted(([a = ''], [b = '']) => a.localeCompare(b)),
      [
        ['callee', text],
        ['caller', text],
      ],
    )
    if (announced.some(({ outcome }) => outcome !== 'played')) {
      scene.t.like(recording, { state: 'failed', reason: 'announcement_failed' })
      scene.t.true(announced.every(({ reason }) => reason?.includes('mod_flite')))
      return
    }
    const took = announced.map(({ at, ended_at = '' }) => ((Date.parse(ended_at) - Date.parse(at)) * scene.world.telephony.speed) / 1000)
    scene.t.true(
      took.every(seconds => seconds > 0.8 && seconds < 10),
      String(took),
    )
    const wav = await scene.wav(recording)
    scene.hearsBoth(wav, 0.2)
  })

  promise('a caller whom the API sends to another number is connected there, and who answers him is told before more is kept', async scene => {
    const { client } = scene.world.engine
    const caller = await scene.phone('tone1000', { record_call: { format: 'wav', announce: { media: 'tone_stream://%(1000,0,2000)' } } })
    const { leg, hangup } = await scene.dial(caller, await scene.callflow(ring(await scene.phone())))
    const number = await scene.callflow(ring(await scene.phone()))
    await scene.named('RECORD_START', leg)
    await scene.pass(1)
    const first = (await scene.named('CHANNEL_BRIDGE', leg)) as Extract<SwitchEvent, { name: 'CHANNEL_BRIDGE' }>
    await client.post(`${scene.at}/channels/${leg}`, { action: 'transfer', target: number })
    const bridged = await scene.event(
      event => event.name === 'CHANNEL_BRIDGE' && event.leg.uuid === leg && event.otherLeg !== first.otherLeg,
      'he is connected elsewhere',
    )
    await until('a second part', () => scene.world.events.filter(event => event.name === 'RECORD_START' && event.leg.uuid === leg).length === 2)
    await scene.pass(2)
    await hangup()
    const parts = await scene.recordings(caller, 2)
    scene.t.is(parts.length, 2)
    const told = (part: Recording | undefined): string[] =>
      (part?.consent?.announced ?? []).map(notice => `${notice.party} ${notice.leg} ${notice.outcome}`).sort()
    const second = bridged.name === 'CHANNEL_BRIDGE' ? bridged.otherLeg : ''
    const heard = (part: Recording, uuid: string): boolean => part.consent?.announced?.some(notice => notice.leg === uuid) === true
    const [one, other] = [parts.find(part => heard(part, first.otherLeg)), parts.find(part => heard(part, second))]
    scene.t.deepEqual(told(one), [`callee ${first.otherLeg} played`, `caller ${leg} played`])
    scene.t.deepEqual(told(other), [`callee ${second} played`, `caller ${leg} played`])
    scene.t.is(one?.group_id, other?.group_id)
    if (other === undefined) return
    const wav = await scene.wav(other)
    scene.hearsBoth(wav, 0.2)
    for (const samples of wav.samples) scene.t.true(tones(samples, wav.sampleRate, 2000) < 0.02)
  })

  promise('a caller who is sent on while he is told hears it from its beginning, and is recorded once who answers has heard it too', async scene => {
    const { client } = scene.world.engine
    const caller = await scene.phone('tone1000', { record_call: { format: 'wav', announce: { media: 'tone_stream://%(2500,0,2000)' } } })
    const { leg, hangup } = await scene.dial(caller, await scene.callflow(ring(await scene.phone())))
    const number = await scene.callflow(ring(await scene.phone()))
    const first = (await scene.named('CHANNEL_BRIDGE', leg)) as Extract<SwitchEvent, { name: 'CHANNEL_BRIDGE' }>
    await scene.pass(1)
    await client.post(`${scene.at}/channels/${leg}`, { action: 'transfer', target: number })
    const bridged = await scene.event(
      event => event.name === 'CHANNEL_BRIDGE' && event.leg.uuid === leg && event.otherLeg !== first.otherLeg,
      'he is connected elsewhere',
    )
    await scene.named('RECORD_START', leg)
    await scene.pass(2)
    await hangup()
    const recording = await scene.one(caller)
    scene.t.is(recording.state, 'stopped')
    const second = bridged.name === 'CHANNEL_BRIDGE' ? bridged.otherLeg : ''
    const announced = new Map((recording.consent?.announced ?? []).map(notice => [notice.leg, notice]))
    for (const uuid of [leg, second]) {
      const { outcome, at = '', ended_at = '' } = announced.get(uuid) ?? {}
      const seconds = ((Date.parse(ended_at) - Date.parse(at)) * scene.world.telephony.speed) / 1000
      scene.t.is(outcome, 'played')
      scene.t.true(seconds > 2.3, `${uuid}: ${seconds} s`)
    }
    const wav = await scene.wav(recording)
    scene.hearsBoth(wav, 0.2)
    for (const samples of wav.samples) scene.t.true(tones(samples, wav.sampleRate, 2000) < 0.02)
  })

  promise('keys of either party start and stop a recording in mid-call, as his document says', async scene => {
    const record = (action: string): object => ({ module: 'record_call', data: { action, format: 'wav' } })
    const metaflows = { binding_digit: '9', numbers: { 1: record('start'), 2: record('stop') } }
    const [caller, callee] = [await scene.phone('tone1000', { metaflows }), await scene.phone('tone1000', { metaflows })]
    const { leg, hangup } = await scene.dial(caller, await scene.callflow(ring(callee)))
    await scene.named('CHANNEL_BRIDGE', leg)
    const rung = (await scene.world.node.leg(leg))?.otherLeg ?? ''
    const { port, password } = scene.world.telephony
    for (const [uuid, phone] of [
      [leg, caller],
      [rung, callee],
    ] as const) {
      await eslApi(port, password, `uuid_recv_dtmf ${uuid} 91`)
      await scene.named('RECORD_START', uuid)
      await scene.pass(1)
      await eslApi(port, password, `uuid_recv_dtmf ${uuid} 92`)
      const recording = await scene.one(phone)
      scene.t.like(recording, { state: 'stopped', call_id: uuid })
      scene.hearsBoth(await scene.wav(recording), 0.1)
    }
    await hangup()
  })

  promise('record_caller takes a message until a key is pressed, the caller’s voice alone, and the call goes on', async scene => {
    const caller = await scene.phone()
    const message: Node = { module: 'record_caller', data: { format: 'wav', terminators: ['#'] }, children: { _: { module: 'hangup' } } }
    const { leg } = await scene.dial(caller, await scene.callflow(message, 'mailbox'))
    await scene.named('RECORD_START', leg)
    await scene.pass(1)
    const { port, password } = scene.world.telephony
    await eslApi(port, password, `uuid_recv_dtmf ${leg} 5#`)
    const recording = await scene.one(caller)
    scene.t.like(recording, { state: 'stopped', origin: 'caller : mailbox', channels: 1, call_id: leg })
    const wav = await scene.wav(recording)
    scene.lasts(wav, await scene.recorded(leg))
    scene.says(wav.samples[0], wav.sampleRate, 440)
    await scene.hungUp(leg, 'NORMAL_CLEARING')
  })

  promise('a callee who hangs up ends his recording and the call', async scene => {
    const caller = await scene.phone('tone1000', { record_call: { format: 'wav' } })
    const callee = await scene.phone('brief', { record_call: { format: 'wav' } })
    const { leg } = await scene.dial(caller, await scene.callflow(ring(callee)), { rings: 'brief' })
    for (const recording of [await scene.one(caller), await scene.one(callee)]) {
      const wav = await scene.wav(recording)
      scene.t.true(wav.seconds > 0.5 && wav.seconds < scene.world.telephony.brief + 0.5, `${wav.seconds} s`)
      scene.hearsBoth(wav, 0, wav.seconds - 0.2)
    }
    await scene.hungUp(leg, 'NORMAL_CLEARING')
  })

  for (const [does, key, code, cause] of [
    ['busy', 'USER_BUSY', 603, 'CALL_REJECTED'],
    ['ringing', 'NO_ANSWER', 404, 'UNALLOCATED_NUMBER'],
    ['away', 'USER_NOT_REGISTERED', 410, 'NUMBER_CHANGED'],
  ] as const) {
    promise(`a callee who is ${does} leaves no recording and sends the call where ${key} leads`, async scene => {
      const callee = await scene.phone(does, { record_call: true })
      const caller = await scene.phone()
      const flow = ring(callee, { data: { id: callee.id, timeout: 2 }, children: { [key]: { module: 'response', data: { code } }, _: { module: 'hangup' } } })
      const { leg } = await scene.dial(caller, await scene.callflow(flow), { rings: does })
      await scene.hungUp(leg, cause)
      scene.t.like(await scene.one(callee), { state: 'discarded', reason: 'never_answered', duration_ms: 0 })
    })
  }

  promise('a caller who is gone while it rings leaves nothing behind', async scene => {
    const caller = await scene.phone('tone1000', { record_call: true })
    const callee = await scene.phone('ringing', { record_call: true })
    const { leg, hangup } = await scene.dial(caller, await scene.callflow(ring(callee)), { rings: 'ringing' })
    const rung = await scene.rung(leg)
    await hangup()
    await scene.hungUp(leg)
    await scene.hungUp(rung, 'ORIGINATOR_CANCEL')
    for (const phone of [caller, callee]) {
      const recording = await scene.one(phone)
      scene.t.like(recording, { state: 'discarded', reason: 'never_answered' })
      scene.t.deepEqual(scene.filesOf(recording), [])
    }
  })
}

const waiting: (() => void)[] = []
let taken = 0

/** The world, when there is room for one more in it. */
async function turn(t: ExecutionContext, world: Promise<World>): Promise<World> {
  if (taken < TOGETHER) taken++
  else await new Promise<void>(resolve => waiting.push(resolve))
  t.teardown(() => {
    const next = waiting.shift()
    if (next === undefined) taken--
    else next()
  })
  return world
}

/** The longest stretch of 20 ms pieces with next to nothing in them. */
function longestSilence(samples: Int16Array, rate: number): { from: number; seconds: number } {
  let best = { from: 0, seconds: 0 }
  let from: number | undefined
  for (let at = 0; at + 0.02 <= samples.length / rate; at += 0.02) {
    if (loudness(samples, rate, at, at + 0.02) > 100) from = undefined
    else {
      from ??= at
      if (at + 0.02 - from > best.seconds) best = { from, seconds: at + 0.02 - from }
    }
  }
  return best
}

const play = (hz: number, seconds: number): Node => ({ module: 'play', data: { id: `tone_stream://%(${seconds * 1000},0,${hz})` } })
