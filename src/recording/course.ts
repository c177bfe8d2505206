// One recording in the lifecycle table: what is heard and asked for is looked up there, and what the table says is done. RECORD_START
// may overtake the +OK that caused it, so no effect waits for an event.

import { AppError, isCode, reasonOf } from '../errors.ts'
import type { Events, RecordingEventName } from '../events.ts'
import type { Metrics } from '../metrics.ts'
import type { Store } from '../store/store.ts'
import type { Leg } from '../switch/switch.ts'
import { awaitedBy, happened } from './awaited.ts'
import type { Notice } from './announce.ts'
import { Consenting, type ConsentingPorts } from './consenting.ts'
import { Covering } from './covering.ts'
import type { Wish } from './covers.ts'
import type { InFlight, Recording } from './document.ts'
import type { Encoder } from './audio/encoder.ts'
import { Ending } from './ending.ts'
import { UNHEARD } from './finish.ts'
import { type Command, type Cover, command, type Effect, type Fact, isEnd, type State, type Step, step } from './lifecycle.ts'
import { Papers } from './papers.ts'
import { Saving, type SavingPorts } from './saving.ts'
import { Span } from './span.ts'
import type { Spool } from './spool.ts'
import { limitOf, Tape } from './tape.ts'
import { Tracks } from './tracks.ts'
import { toldOf } from './told.ts'
import { Watchdog } from './watchdog.ts'

export interface CoursePorts extends ConsentingPorts, SavingPorts {
  store: Store
  spool: Spool
  metrics: Metrics
  events: Pick<Events, 'tell'>
  /** A file became due. */
  deliver: () => void
  /** Seconds. */
  maxTimeLimit: number
  encoder: Encoder
}

export interface Told {
  /** Unix milliseconds by the switch's clock. */
  at?: number
  /** Record-Completion-Cause. */
  cause?: string | undefined
  /** Why it fails, where the input does not say it. */
  reason?: string
}

export interface CourseEvents {
  /** Its leg went, and nobody heard that. */
  unheard: () => void
  /** It is over. */
  end: () => void
  /** The longest file there may be is full, and nobody asked for the recording to end there. */
  full: () => Promise<void>
  /** What its call is to be covered with now. */
  wish: () => Wish
  /** Its leg, after a gap in what the switch told. */
  found: (leg: Leg) => Promise<void>
  /** Somebody joined who has to be told before more of it is kept. */
  newcomer: () => void
  /** A party said no while it was being told. */
  refused: (notice: Notice) => void
  /** A required announcement was not heard. */
  untold: () => void
}

/** Runs it when nothing else of the recording runs. */
type InTurn = <T>(run: () => Promise<T>) => Promise<T>

export class Course {
  readonly papers: Papers
  readonly tape: Tape
  readonly tracks: Tracks
  readonly covering: Covering
  readonly consenting: Consenting
  readonly span: Span
  readonly #ports: CoursePorts
  readonly #on: CourseEvents
  readonly #ending: Ending
  readonly #watchdog: Watchdog
  readonly #saving: Saving
  /** Begun here, or compared with the switch: documents alone may be behind what runs. */
  #certain = false
  #settled: () => void = () => {}
  /** Audio runs, or never will. */
  readonly begun = new Promise<void>(resolve => {
    this.#settled = resolve
  })
  #due: () => void = () => {}
  /** What it waited for has come, or nobody waits for it here any more. */
  readonly due = new Promise<void>(resolve => {
    this.#due = resolve
  })

  /** `inTurn`: what comes later of itself is taken as everything else is, one at a time. */
  constructor(ports: CoursePorts, inFlight: InFlight, recording: Recording, on: CourseEvents, inTurn: InTurn) {
    const limit = limitOf(inFlight, ports.maxTimeLimit)
    const tell = (fact: Fact, told: Told = {}): Promise<void> => inTurn(() => this.learn(fact, told))
    this.#ports = ports
    this.#on = on
    this.papers = new Papers(ports.store, ports.clock, inFlight, recording)
    this.tape = new Tape(ports, inFlight, limit)
    this.tracks = new Tracks(ports, this.papers, limit, { offset: at => this.covering.offset(at), save: () => this.save() })
    this.#ending = new Ending(ports, this.papers, this.tracks)
    const all = {
      cover: async (what: Cover) => (await Promise.all([this.tape.cover(what), this.tracks.cover(what)]))[0],
      now: () => this.tape.now(),
    }
    this.covering = new Covering(ports, this.papers, all, {
      go: (next, by) => this.#go(next, undefined, by),
      wish: on.wish,
      told: event => this.#told(event),
    })
    this.#watchdog = new Watchdog(ports, limit, this.tape, {
      ids: this.papers.ids,
      tell,
      reconcile: () => inTurn(() => this.compare()),
      stopAgain: () => inTurn(() => this.#perform('send_stop')),
      paused: () => this.state === 'paused' || this.state === 'masked_paused',
      warn: text => this.papers.warn(text),
      full: on.full,
    })
    this.#saving = new Saving(ports, this.papers, this.#watchdog, inTurn)
    this.span = new Span(ports, this.papers, limit)
    this.consenting = new Consenting(ports, this.papers, {
      told: () => inTurn(() => this.#allTold()),
      tell,
      save: () => inTurn(() => this.save()),
      refused: on.refused,
      newcomer: on.newcomer,
    })
  }

  get state(): State {
    return this.papers.inFlight.state
  }

  /** Puts both documents down before anything is asked of the switch. */
  async write(): Promise<void> {
    this.#certain = true
    await this.papers.saveInFlight()
    await this.papers.saveRecording()
  }

  save(): Promise<void> {
    return this.#perform('save')
  }

  /** What the switch told, or a timer. */
  async learn(fact: Fact, told: Told = {}): Promise<void> {
    await this.#catchUp()
    await this.#hear(fact, told)
  }

  /** Throws `wrong_state` when it is not possible now. */
  async ask(what: Command): Promise<void> {
    await this.#catchUp()
    await this.#command(what)
  }

  /** It ends for its next part to begin. Throws `wrong_state`. */
  async giveWay(): Promise<void> {
    await this.#catchUp()
    command(this.state, 'stop')
    this.papers.goesOn()
    await this.#command('stop')
  }

  /** It begins, if that is what it waited for. */
  async cameTo(what: 'answer' | 'bridge'): Promise<void> {
    await this.#catchUp()
    if (awaitedBy(this.papers.inFlight) === what) await this.begin()
  }

  async #hear(fact: Fact, told: Told = {}): Promise<void> {
    const next = step(this.state, fact)
    if (next === undefined) {
      this.#ports.metrics.count('callrec_recording_facts_repeated_total', { fact })
      return this.#ports.log.debug('recording_fact_ignored', { ...this.papers.ids, fact, state: this.state })
    }
    const begins = fact === 'RECORD_START' && this.state === 'starting'
    if (begins) this.#started(told.at ?? this.#ports.clock.now())
    if (fact === 'RECORD_STOP') this.#stopped(told)
    if (told.cause !== undefined) this.span.because(told.cause)
    if (fact === 'untold') this.#on.untold()
    const neverBegan = fact === 'leg_gone' && next.state === 'discarded'
    await this.#go(next, neverBegan ? this.#whyNot() : told.reason)
    if (!begins) return
    await this.covering.asWished()
    if (this.consenting.waits) void this.consenting.met()
    else void this.consenting.begin()
  }

  /** Why what waited is dropped. */
  #whyNot(isStopped = false): string {
    if (this.consenting.tells) return 'announcement_unfinished'
    if (isStopped) return 'never_begun'
    return awaitedBy(this.papers.inFlight) === 'bridge' ? 'never_bridged' : 'never_answered'
  }

  /** It begins, unless it has meanwhile, or is over. */
  async begin(): Promise<void> {
    if (this.state !== 'waiting') return
    if (this.consenting.waits) await this.consenting.begin()
    else await this.#command('begin')
  }

  /** What was said is on disk before anything of it is kept. */
  async #allTold(): Promise<void> {
    if (isEnd(this.state)) return
    await this.#saving.save()
    if (this.state === 'waiting') await this.#command('begin')
  }

  /** It began, nobody could write that down any more, and the switch could not be asked: the file knows. */
  async #catchUp(): Promise<void> {
    if (!this.#certain && this.state === 'waiting' && (await this.tape.hasBegun())) this.papers.become('starting')
  }

  /** After a gap in what the switch told: asks it and goes on from the answer. Rejects when it cannot be asked. */
  async compare(): Promise<void> {
    if (isEnd(this.state)) return
    const node = this.#ports.node(this.papers.inFlight.node)
    const leg = await node.leg(this.papers.inFlight.leg)
    const written = leg !== undefined && (await this.tape.runs())
    // It began, and nobody could write that down any more: `begin` would record over it.
    if (this.state === 'waiting' && (written || (await this.tape.hasBegun()))) this.papers.become('starting')
    // Who was to take it was an engine that is gone.
    const isNobodys = this.state === 'waiting' && this.papers.inFlight.message === true && !this.#certain
    this.#certain = true
    if (leg === undefined) {
      this.#on.unheard()
      return this.#hear('switch_lost', this.state === 'waiting' ? { reason: 'leg_lost' } : { cause: UNHEARD })
    }
    if (written) {
      if (this.state === 'stopping') return this.#stopAgain()
      if (this.state === 'starting') return this.#hear('RECORD_START', { at: this.#ports.clock.now() })
      await this.#on.found(leg)
      await this.#perform('start_timers')
      await this.covering.asWished()
      this.consenting.changed()
      // Somebody may have joined meanwhile.
      void this.consenting.met()
      return
    }
    if (this.state !== 'waiting') return this.#hear('RECORD_STOP')
    if (isNobodys) return this.#hear('refused', { reason: 'announcement_unfinished' })
    if (await happened(awaitedBy(this.papers.inFlight), leg, node)) await this.begin()
  }

  async #command(what: Command): Promise<void> {
    const next = command(this.state, what)
    await this.#go(next, next.state === 'discarded' ? this.#whyNot(true) : undefined)
  }

  #told(event: RecordingEventName): void {
    void this.#ports.events.tell(toldOf(event, this.papers.recording, this.#ports.clock.now()))
  }

  async #go({ state, effects }: Step, reason?: string, by = ''): Promise<void> {
    this.papers.become(state, reason)
    for (const effect of effects) await this.#perform(effect, by)
    if (state !== 'waiting') this.#due()
    this.consenting.changed()
  }

  async #perform(effect: Effect, by = ''): Promise<void> {
    switch (effect) {
      case 'send_mask':
        return this.covering.send('mask', by)
      case 'send_unmask':
        return this.covering.send('unmask', by)
      case 'send_pause':
        return this.covering.send('pause', by)
      case 'send_resume':
        return this.covering.send('resume', by)
      case 'send_start':
        return this.#sendStart()
      case 'send_stop':
        return this.#sendStop()
      case 'start_timers':
        return this.#watchdog.runs(this.span.ran())
      case 'await_stop':
        return this.#watchdog.ends()
      case 'save':
        return this.#saving.save()
      case 'finish':
        return this.#untilSaved(() => this.#ending.finish(this.span.ended()))
      case 'drop':
        return this.#untilSaved(() => this.#ending.drop())
    }
  }

  async #sendStart(): Promise<void> {
    this.#watchdog.startSent()
    try {
      await this.tape.start()
      // As early as can be; it is confirmed once it runs.
      if (this.#on.wish().mask !== undefined) await this.tape.cover('mask').catch(() => undefined)
    } catch (error) {
      // Whether it started is not known: the documents stay, and the next connection to the switch tells.
      if (isCode(error, 'switch_down') || isCode(error, 'switch_timeout'))
        return this.#ports.log.warn('recording_start_unconfirmed', { ...this.papers.ids, reason: reasonOf(error) })
      this.#ports.log.error('recording_start_refused', { ...this.papers.ids, reason: reasonOf(error) })
      const next = step(this.state, 'start_refused')
      if (next !== undefined) await this.#go(next, error instanceof AppError ? error.code : 'unspecified_fault')
    }
  }

  async #stopAgain(): Promise<void> {
    await this.#perform('send_stop')
    await this.#perform('await_stop')
  }

  async #sendStop(): Promise<void> {
    try {
      await Promise.all([this.tape.stop(), this.tracks.stop()])
    } catch (error) {
      // It may have ended by itself a moment ago; what came of it is in the file, and the timer sees to that.
      this.#ports.log.info('recording_stop_unconfirmed', { ...this.papers.ids, reason: reasonOf(error) })
    }
  }

  #started(at: number): void {
    this.papers.started(at)
    this.#settled()
    this.#ports.metrics.count('callrec_recordings_total', { outcome: 'started', reason: '' })
    this.#ports.log.info('recording_started', { ...this.papers.ids, origins: this.papers.inFlight.origins.map(one => one.origin) })
    this.#told('recording.started')
  }

  #stopped({ at, cause }: Told): void {
    this.covering.end(at ?? this.#ports.clock.now())
    this.span.stopped(at, cause)
  }

  /** The store was away for its first documents, and the journal has them. */
  saveLater(error: unknown): void {
    this.#saving.later(error)
  }

  /** The switch goes on recording; nobody watches here. */
  close(): void {
    this.#watchdog.close()
    this.consenting.close()
    this.#due()
  }

  /** Another engine has it: what is still to be written here is not. */
  leave(): void {
    this.close()
    this.papers.leave()
    this.#settled()
  }

  #untilSaved(run: () => Promise<void>): Promise<void> {
    return this.#saving.untilSaved(run, () => {
      this.#settled()
      this.#on.end()
    })
  }
}
