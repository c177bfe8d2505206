// One recording while it lives: its inputs are taken one at a time through the lifecycle table, and
// what the table says is done. RECORD_START may overtake the +OK that caused it, so no effect waits
// for an event.

import type { Clock } from '../clock.ts'
import { AppError, isCode, reasonOf } from '../errors.ts'
import type { Facts, Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Store } from '../store/store.ts'
import type { Leg, SwitchNode } from '../switch/switch.ts'
import { destinationOf } from './destinations.ts'
import type { InFlight, Origin, Recording } from './document.ts'
import { UNHEARD, verdict } from './finish.ts'
import { type Command, command, type Effect, type Fact, type State, type Step, step } from './lifecycle.ts'
import { Papers } from './papers.ts'
import type { Spool } from './spool.ts'
import { createTimers, type Timers } from './timers.ts'

export interface LivePorts {
  store: Store
  node: (name: string) => SwitchNode
  spool: Spool
  clock: Clock
  log: Log
  metrics: Metrics
  /** A file became due. */
  deliver: () => void
  /** Seconds. */
  maxTimeLimit: number
}

// Milliseconds of call time.
/** RECORD_STOP follows a stop or the end of a leg at once; past this it is taken as lost. */
const STOP_GRACE = 30_000
const START_GRACE = 10_000
/** FreeSWITCH writes in blocks of 64 KB, which at 8 kHz mono is some 4 seconds. */
const MEDIA_GRACE = 10_000
/** Until a next part that did not begin is tried again. */
const NEXT_PART_AGAIN = 60_000
/** What a file may lack without a word: its start and end take their time on a busy switch. */
const GAP = 2_000
/** Until a write that the store refused is tried again. */
const SAVE_AGAIN = 5_000
/** Bytes of a WAV header with no audio behind it. */
const EMPTY_FILE = 44

export interface Told {
  /** Unix milliseconds by the switch's clock. */
  at?: number
  /** Record-Completion-Cause. */
  cause?: string | undefined
  /** Why it fails, where the input does not say it. */
  reason?: string
}

export interface LiveEvents {
  /** It is over. */
  end: () => void
  /** The longest file there may be is full, and nobody asked for the recording to end there. */
  full: () => Promise<void>
}

export class Live {
  readonly #ports: LivePorts
  readonly #on: LiveEvents
  readonly #timers: Timers
  readonly #papers: Papers
  #inputs: Promise<unknown> = Promise.resolve()
  #cause: string | undefined
  #settled: () => void = () => {}
  /** Audio runs, or never will. */
  readonly begun = new Promise<void>(resolve => {
    this.#settled = resolve
  })
  #endedAt: number | undefined

  constructor(ports: LivePorts, inFlight: InFlight, recording: Recording, on: LiveEvents) {
    this.#ports = ports
    this.#papers = new Papers(ports.store, ports.clock, inFlight, recording)
    this.#on = on
    this.#timers = createTimers(ports.clock, (timer, error) => ports.log.error('recording_timer_failed', { ...this.#ids, timer, reason: reasonOf(error) }))
  }

  get id(): string {
    return this.#papers.inFlight._id
  }
  get node(): string {
    return this.#papers.inFlight.node
  }
  get leg(): string {
    return this.#papers.inFlight.leg
  }
  get state(): State {
    return this.#papers.inFlight.state
  }
  get reason(): string | undefined {
    return this.#papers.inFlight.reason
  }
  get origins(): readonly Origin[] {
    return this.#papers.inFlight.origins
  }
  /** What is known of its call, and which conversation it is a part of. */
  get recording(): Readonly<Recording> {
    return this.#papers.recording
  }
  get inFlight(): Readonly<InFlight> {
    return this.#papers.inFlight
  }
  get settings(): InFlight['settings'] {
    return this.#papers.inFlight.settings
  }
  get path(): string {
    return this.#ports.spool.onSwitch(this.#papers.inFlight.file)
  }
  /** What has to happen before it begins. With both settings the answer counts, as in Kazoo (kzc_recording.erl). */
  get awaits(): 'answer' | 'bridge' | 'nothing' {
    if (this.state !== 'waiting') return 'nothing'
    if (this.settings.record_on_answer?.value === true) return 'answer'
    return this.settings.record_on_bridge?.value === true ? 'bridge' : 'nothing'
  }

  /** Puts both documents down before anything is asked of the switch. */
  write(): Promise<void> {
    return this.#next(async () => {
      await this.#papers.saveInFlight()
      await this.#papers.saveRecording()
    })
  }

  tell(fact: Fact, told: Told = {}): Promise<void> {
    return this.#next(async () => {
      const next = step(this.state, fact)
      if (next === undefined) {
        this.#ports.metrics.count('callrec_recording_facts_repeated_total', { fact })
        return this.#ports.log.debug('recording_fact_ignored', { ...this.#ids, fact, state: this.state })
      }
      if (fact === 'RECORD_START' && this.state === 'starting') this.#started(told.at ?? this.#ports.clock.now())
      if (fact === 'RECORD_STOP') this.#stopped(told)
      if (told.cause !== undefined) this.#cause = told.cause
      const neverAnswered = fact === 'leg_gone' && next.state === 'discarded'
      await this.#go(next, neverAnswered ? 'never_answered' : told.reason)
    })
  }

  /** Throws `wrong_state` when it is not possible now. */
  ask(what: Command): Promise<void> {
    return this.#next(() => this.#command(what))
  }

  /** It begins, if that is what it waited for. */
  cameTo(what: 'answer' | 'bridge'): Promise<void> {
    return this.#next(async () => {
      if (this.awaits === what) await this.#command('begin')
    })
  }

  addOrigin(origin: Origin): Promise<void> {
    return this.#next(async () => {
      this.#papers.askedBy([...this.origins, origin])
      await this.#save()
    })
  }

  /** A recording ends with its last origin. */
  removeOrigin(origin: Origin): Promise<void> {
    return this.#next(async () => {
      const left = this.origins.filter(one => one !== origin)
      if (left.length === 0) return this.#command('stop')
      this.#papers.askedBy(left)
      await this.#save()
    })
  }

  /** After a gap in what the switch told: asks it and goes on from the answer. Rejects when it cannot be asked. */
  async reconcile(): Promise<void> {
    const node = this.#ports.node(this.node)
    const leg = await node.leg(this.leg)
    if (leg === undefined) return this.tell('switch_lost', this.state === 'waiting' ? { reason: 'leg_lost' } : { cause: UNHEARD })
    if ((await node.recordings(this.leg)).includes(this.path)) {
      // Begun before the gap: `begin` would send it again, so a waiting one is brought to `starting` by hand.
      if (this.state === 'waiting') await this.#next(async () => this.#papers.become('starting'))
      if (this.state === 'stopping') return this.#next(() => this.#perform('send_stop'))
      if (this.state === 'starting') return this.tell('RECORD_START', { at: this.#ports.clock.now() })
      return this.#next(() => this.#perform('start_timers'))
    }
    if (this.state !== 'waiting') return this.tell('RECORD_STOP')
    if (await happened(this.awaits, leg, node)) return this.ask('begin')
  }

  /** Stops watching; the switch goes on recording, and the documents tell a successor where it stands. */
  close(): Promise<unknown> {
    this.#timers.clear()
    return this.#inputs
  }

  get #ids(): Facts {
    const { account_id } = this.#papers.inFlight
    const { cdr_id, sip_call_id } = this.#papers.recording
    // Behind the month of the detail record stands the call.
    return { account_id, call_id: cdr_id.slice('YYYYMM-'.length), sip_call_id, recording_id: this.id, leg: this.leg, node: this.node }
  }

  #next<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#inputs.then(run)
    this.#inputs = done.catch(() => {})
    return done
  }

  async #command(what: Command): Promise<void> {
    const next = command(this.state, what)
    await this.#go(next, next.state === 'discarded' ? 'never_answered' : undefined)
  }

  async #go({ state, effects }: Step, reason?: string): Promise<void> {
    this.#papers.become(state, reason)
    for (const effect of effects) await this.#perform(effect)
  }

  async #perform(effect: Effect): Promise<void> {
    switch (effect) {
      case 'send_start':
        return this.#sendStart()
      case 'send_stop':
        return this.#sendStop()
      case 'start_timers':
        return this.#startTimers()
      case 'await_stop':
        return this.#timers.set('stop', STOP_GRACE, () => this.#stopLost())
      case 'save':
        return this.#save().catch((error: unknown) =>
          this.#ports.log.warn('recording_state_not_saved', { ...this.#ids, state: this.state, reason: reasonOf(error) }),
        )
      case 'finish':
        return this.#untilSaved(() => this.#finish())
      case 'drop':
        return this.#untilSaved(() => this.#end())
    }
  }

  async #sendStart(): Promise<void> {
    const { file, settings, side } = this.#papers.inFlight
    const stereo = settings.stereo?.value === true
    const minimum = settings.record_min_sec?.value ?? 0
    const rate = settings.record_sample_rate?.value
    this.#timers.set('start', START_GRACE, () => this.reconcile())
    try {
      await this.#ports.spool.check()
      await this.#ports.spool.makeReady(file)
      await this.#ports.node(this.node).record(this.leg, this.path, {
        // FreeSWITCH's own limit counts whole seconds of the clock and is up to one short; ours is the exact one. A recording that goes
        // on in a next part has none there, so that nothing is cut while nobody is here to begin that part.
        limit: this.#goesOn ? 0 : this.#limit + 1,
        variables: {
          rec_id: this.id,
          RECORD_STEREO: String(stereo),
          ...(stereo && side === 'callee' ? { RECORD_STEREO_SWAP: 'true' } : {}),
          ...(minimum > 0 ? { RECORD_MIN_SEC: String(minimum) } : {}),
          ...(rate === undefined ? {} : { record_sample_rate: String(rate) }),
        },
      })
    } catch (error) {
      // Whether it started is not known: the documents stay, and the next connection to the switch tells.
      if (isCode(error, 'switch_down') || isCode(error, 'switch_timeout'))
        return this.#ports.log.warn('recording_start_unconfirmed', { ...this.#ids, reason: reasonOf(error) })
      this.#ports.log.error('recording_start_refused', { ...this.#ids, reason: reasonOf(error) })
      const next = step(this.state, 'start_refused')
      if (next !== undefined) await this.#go(next, error instanceof AppError ? error.code : 'unspecified_fault')
    }
  }

  async #sendStop(): Promise<void> {
    try {
      await this.#ports.node(this.node).stopRecording(this.leg, this.path)
    } catch (error) {
      // It may have ended by itself a moment ago; what came of it is in the file, and the timer sees to that.
      this.#ports.log.info('recording_stop_unconfirmed', { ...this.#ids, reason: reasonOf(error) })
    }
  }

  /** Seconds. */
  get #limit(): number {
    return Math.min(this.settings.time_limit?.value ?? this.#ports.maxTimeLimit, this.#ports.maxTimeLimit)
  }

  /** Nobody set a limit: only the length of a file has one. */
  get #goesOn(): boolean {
    return this.settings.time_limit === undefined
  }

  #started(at: number): void {
    this.#papers.started(at)
    this.#settled()
    this.#count('started')
    this.#ports.log.info('recording_started', { ...this.#ids, origins: this.origins.map(one => one.origin) })
  }

  /** Milliseconds since it began. */
  #ran(until = this.#ports.clock.now()): number {
    return Math.max(0, until - (this.#papers.inFlight.started_at ?? until))
  }

  // At the end of a leg FreeSWITCH names another cause. It says this one for any other end, e.g. when media is taken
  // away from the switch in the middle of a call (uuid_media off, seen on 1.11), and for its own limit, up to a second early.
  #stopped({ at, cause }: Told): void {
    // Undefined where it ended while nobody listened.
    this.#endedAt = at
    if (this.state !== 'recording' || cause !== 'success-maxtime' || this.#ran(at) >= (this.#limit - 1) * 1000) return
    this.#papers.warn('the switch ended it before the call was over')
    this.#ports.log.warn('recording_ended_by_switch', this.#ids)
  }

  #startTimers(): void {
    this.#timers.cancel('start')
    this.#timers.set('limit', this.#limit * 1000 - this.#ran(), () => (this.#goesOn ? this.#full() : this.tell('limit_reached')))
    this.#timers.set('media', MEDIA_GRACE, () => this.#checkMedia())
  }

  async #full(): Promise<void> {
    // Where the next part does not begin this one goes on: too long a file is better than a hole.
    this.#timers.set('limit', NEXT_PART_AGAIN, () => this.#full())
    await this.#on.full()
  }

  // RECORD_START is no proof of audio: with bypassed media it comes and no file does (reference: seen on 1.11).
  async #checkMedia(): Promise<void> {
    const size = await this.#ports.spool.size(this.#papers.inFlight.file)
    if (size !== undefined && size > EMPTY_FILE) return
    this.#ports.log.error('recording_without_media', { ...this.#ids, file: this.#papers.inFlight.file })
    await this.tell('no_media', { reason: 'no_media' })
  }

  /** RECORD_STOP did not come in time: stopped again if it still runs, else finished from the file. */
  async #stopLost(): Promise<void> {
    try {
      const running = await this.#ports.node(this.node).recordings(this.leg)
      if (!running.includes(this.path)) return this.tell('switch_lost')
      await this.#next(() => this.#perform('send_stop'))
    } catch (error) {
      if (isCode(error, 'leg_gone')) return this.tell('switch_lost')
      this.#ports.log.warn('recording_end_unknown', { ...this.#ids, reason: reasonOf(error) })
    }
    this.#timers.set('stop', STOP_GRACE, () => this.#stopLost())
  }

  async #finish(): Promise<void> {
    const { file } = this.#papers.inFlight
    const minSeconds = this.settings.record_min_sec?.value ?? 0
    const found = await this.#ports.spool.finish(file)
    const end = verdict({ file: found, minSeconds, cause: this.#cause, reason: this.reason, ranMs: this.#ran(this.#endedAt) })
    if (end.state !== 'stopped') {
      this.#papers.become(end.state, end.reason)
      return this.#end()
    }
    this.#papers.heard(end.audio)
    this.#tellOfGaps(end.audio.durationMs)
    await this.#papers.saveRecording()
    // From here on the document is delivery's.
    const url = this.settings.url?.value
    this.#papers.due(destinationOf(url))
    await this.#papers.saveInFlight()
    this.#count('stopped')
    this.#ports.log.info('recording_stopped', { ...this.#ids, duration_ms: end.audio.durationMs, size_bytes: end.audio.size })
    this.#over()
    this.#ports.deliver()
  }

  /** Hold, and media that takes another way in the middle of a call, leave no trace but a file that is too short (both seen on 1.11). */
  #tellOfGaps(durationMs: number): void {
    if (this.#endedAt === undefined) return
    const ran = this.#ran(this.#endedAt)
    const missing = ran - durationMs
    if (missing <= GAP) return
    const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`
    this.#papers.warn(`${seconds(missing)} of ${seconds(ran)} are not in the file: it was on hold, or its media did not pass the switch`)
    this.#ports.log.warn('recording_has_gaps', { ...this.#ids, duration_ms: durationMs, ran_ms: ran })
  }

  /** No file is to be delivered. */
  async #end(): Promise<void> {
    await this.#papers.saveRecording()
    if (this.state === 'discarded') await this.#ports.spool.remove(this.#papers.inFlight.file)
    await this.#papers.removeInFlight()
    this.#count(this.state, this.reason)
    this.#ports.log.info(`recording_${this.state}`, { ...this.#ids, reason: this.reason })
    this.#over()
  }

  #count(outcome: string, reason = ''): void {
    this.#ports.metrics.count('callrec_recordings_total', { outcome, reason })
  }

  #over(): void {
    this.#timers.clear()
    this.#settled()
    this.#on.end()
  }

  /** The end of a recording is not given up because the store is away. */
  async #untilSaved(run: () => Promise<void>): Promise<void> {
    this.#timers.clear()
    try {
      await run()
    } catch (error) {
      this.#ports.log.error('recording_end_not_saved', { ...this.#ids, reason: reasonOf(error), again_in_ms: SAVE_AGAIN })
      this.#timers.set('save', SAVE_AGAIN, () => this.#next(() => this.#untilSaved(run)))
    }
  }

  async #save(): Promise<void> {
    await Promise.all([this.#papers.saveInFlight(), this.#papers.saveRecording()])
  }
}

/** Has a leg seen what a recording waits for? Two legs are bridged while one still only has early media; they talk when both have answered. */
export async function happened(awaited: Live['awaits'], { answered, otherLeg }: Pick<Leg, 'answered' | 'otherLeg'>, node: SwitchNode): Promise<boolean> {
  if (awaited !== 'bridge') return awaited === 'nothing' || answered
  return answered && otherLeg !== undefined && (await node.leg(otherLeg))?.answered === true
}
