// One recording while it lives: its inputs are taken one at a time through the lifecycle table, and
// what the table says is done. RECORD_START may overtake the +OK that caused it, so no effect waits
// for an event.

import { AppError, isCode, reasonOf } from '../errors.ts'
import type { Events, RecordingEventName } from '../events.ts'
import type { Metrics } from '../metrics.ts'
import type { Store } from '../store/store.ts'
import { type Awaited, awaitedBy, happened } from './awaited.ts'
import type { Consent, Notice } from './announce.ts'
import { Consenting, type ConsentingPorts } from './consenting.ts'
import { Covering } from './covering.ts'
import type { Wish } from './covers.ts'
import type { InFlight, Origin, Recording } from './document.ts'
import type { Encoder } from './encoder.ts'
import { Ending } from './ending.ts'
import { UNHEARD } from './finish.ts'
import { type Command, type Cover, command, type Effect, type Fact, isEnd, type State, runs, type Step, step } from './lifecycle.ts'
import { Papers } from './papers.ts'
import { Saving, type SavingPorts } from './saving.ts'
import { Span } from './span.ts'
import type { Spool } from './spool.ts'
import { type Limit, limitOf, Tape } from './tape.ts'
import { Tracks } from './tracks.ts'
import { toldOf } from './told.ts'
import { Watchdog } from './watchdog.ts'

export interface LivePorts extends ConsentingPorts, SavingPorts {
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

export interface LiveEvents {
  /** It is over. */
  end: () => void
  /** The longest file there may be is full, and nobody asked for the recording to end there. */
  full: () => Promise<void>
  /** What its call is to be covered with now. */
  wish: () => Wish
  /** Somebody joined who has to be told before more of it is kept. */
  newcomer: () => void
  /** A party said no while it was being told. */
  refused: (notice: Notice) => void
  /** A required announcement was not heard. */
  untold: () => void
}

export class Live {
  readonly #ports: LivePorts
  readonly #on: LiveEvents
  readonly #limit: Limit
  readonly #papers: Papers
  readonly #tape: Tape
  readonly #tracks: Tracks
  readonly #ending: Ending
  readonly #watchdog: Watchdog
  readonly #covering: Covering
  readonly #consenting: Consenting
  readonly #saving: Saving
  readonly #span: Span
  #inputs: Promise<unknown> = Promise.resolve()
  /** Begun here, or compared with the switch: documents alone may be behind what runs. */
  #certain = false
  #settled: () => void = () => {}
  /** Audio runs, or never will. */
  readonly begun = new Promise<void>(resolve => {
    this.#settled = resolve
  })

  constructor(ports: LivePorts, inFlight: InFlight, recording: Recording, on: LiveEvents) {
    this.#ports = ports
    this.#on = on
    this.#limit = limitOf(inFlight, ports.maxTimeLimit)
    this.#papers = new Papers(ports.store, ports.clock, inFlight, recording)
    this.#tape = new Tape(ports, inFlight, this.#limit)
    this.#tracks = new Tracks(ports, this.#papers, this.#limit, { offset: at => this.#covering.offset(at), save: () => this.#perform('save') })
    this.#ending = new Ending(ports, this.#papers, this.#tracks)
    const all = { cover: async (what: Cover) => (await Promise.all([this.#tape.cover(what), this.#tracks.cover(what)]))[0] }
    this.#covering = new Covering(ports, this.#papers, all, {
      go: (next, by) => this.#go(next, undefined, by),
      wish: on.wish,
      told: event => this.#told(event),
    })
    this.#watchdog = new Watchdog(ports, this.#limit, this.#tape, {
      ids: this.#papers.ids,
      tell: (fact, told) => this.tell(fact, told),
      reconcile: () => this.reconcile(),
      stopAgain: () => this.#next(() => this.#perform('send_stop')),
      paused: () => this.state === 'paused' || this.state === 'masked_paused',
      warn: text => this.#papers.warn(text),
      full: on.full,
    })
    this.#saving = new Saving(ports, this.#papers, this.#watchdog, run => this.#next(run))
    this.#span = new Span(ports, this.#papers, this.#limit)
    this.#consenting = new Consenting(ports, this.#papers, {
      told: () => this.#next(() => this.#allTold()),
      tell: (fact, told) => this.tell(fact, told),
      save: () => this.#next(() => this.#perform('save')),
      refused: on.refused,
      newcomer: on.newcomer,
    })
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
    return this.#tape.path
  }
  get awaits(): Awaited {
    return awaitedBy(this.#papers.inFlight)
  }

  /** Puts both documents down before anything is asked of the switch. */
  write(): Promise<void> {
    this.#certain = true
    return this.#next(async () => {
      await this.#papers.saveInFlight()
      await this.#papers.saveRecording()
    })
  }

  tell(fact: Fact, told: Told = {}): Promise<void> {
    return this.#next(async () => {
      await this.#catchUp()
      await this.#hear(fact, told)
    })
  }

  /**
   * Masks, pauses, or ends that. What hides and cannot be confirmed ends the recording: resolves then, too, and the state says so. Rejects
   * with `wrong_state`, `switch_down` (the wish is sent again when it is back), or where what was hidden stays hidden.
   */
  cover(what: Cover, by: string): Promise<void> {
    return this.#next(() => this.#covering.ask(what, by))
  }

  /** A party that has a channel of its own from now on, in a recording that has one for each. */
  join(leg: string): Promise<void> {
    return this.#next(() => this.#tracks.join(leg))
  }

  /** Its leg was put on hold, or is heard again: unix milliseconds by the switch's clock. */
  held(on: boolean, at: number): Promise<void> {
    return this.#next(async () => {
      if (!runs(this.state)) return
      this.#covering.held(on, at)
      await this.#perform('save')
    })
  }

  /** Throws `wrong_state` when it is not possible now. */
  ask(what: Command): Promise<void> {
    return this.#next(async () => {
      await this.#catchUp()
      await this.#command(what)
    })
  }

  /** It ends for its next part to begin. Throws `wrong_state`. */
  giveWay(): Promise<void> {
    return this.#next(async () => {
      await this.#catchUp()
      command(this.state, 'stop')
      this.#papers.goesOn()
      await this.#command('stop')
    })
  }

  /** Milliseconds of it that there are by now, those of earlier parts included. */
  get lengthMs(): number {
    return (this.#papers.inFlight.earlier_ms ?? 0) + this.#span.length()
  }

  /** It begins, unless it has meanwhile, or is over. */
  begin(): Promise<void> {
    return this.#next(() => this.#begin())
  }

  /** Its leg, or the one it talks with, came together with another one, or was answered. */
  met(): Promise<void> {
    return this.#consenting.met()
  }

  /** Does that key of that leg say no to it? */
  isNo(leg: string, key: string): boolean {
    return this.#consenting.isNo(leg, key)
  }

  /** Where something is to be said first: until the switch was asked to say it. */
  async asked(): Promise<void> {
    if (this.#consenting.waits) await this.#inputs
  }

  /** It waits for nothing but that its parties are told. */
  get tells(): boolean {
    return this.state === 'waiting' && this.#consenting.tells
  }

  get mayBeRefused(): boolean {
    return this.#consenting.mayBeRefused
  }

  /** It ends, and nothing of it is kept. */
  refuse(by: NonNullable<Consent['refused']>): Promise<void> {
    return this.#consenting.refuse(by)
  }

  /** It begins, if that is what it waited for. */
  cameTo(what: 'answer' | 'bridge'): Promise<void> {
    return this.#next(async () => {
      await this.#catchUp()
      if (this.awaits === what) await this.#begin()
    })
  }

  addOrigin(origin: Origin): Promise<void> {
    return this.#next(async () => {
      this.#papers.askedBy([...this.origins, origin])
      await this.#papers.save()
    })
  }

  /** A recording ends with its last origin. */
  removeOrigin(origin: Origin): Promise<void> {
    return this.#next(async () => {
      await this.#catchUp()
      const left = this.origins.filter(one => one !== origin)
      if (left.length === 0) return this.#command('stop')
      this.#papers.askedBy(left)
      await this.#papers.save()
    })
  }

  /**
   * After a gap in what the switch told: asks it and goes on from the answer. Rejects when it cannot be asked. It is asked in its turn:
   * the answer would say nothing of a command that is under way, and what comes meanwhile is judged by what it says. `limited` keeps
   * those that are asked about at the same time few.
   */
  reconcile(limited: (run: () => Promise<void>) => Promise<void> = run => run()): Promise<void> {
    return this.#next(() => limited(() => this.#compare()))
  }

  /** Another engine has it: what is still to be written here is not. */
  leave(): void {
    this.#watchdog.close()
    this.#consenting.close()
    this.#papers.leave()
    this.#settled()
  }

  /** Stops watching; the switch goes on recording, and the documents tell a successor where it stands. */
  close(): Promise<unknown> {
    this.#watchdog.close()
    this.#consenting.close()
    return this.#inputs
  }

  #next<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#inputs.then(run)
    this.#inputs = done.catch(() => {})
    return done
  }

  async #hear(fact: Fact, told: Told = {}): Promise<void> {
    const next = step(this.state, fact)
    if (next === undefined) {
      this.#ports.metrics.count('callrec_recording_facts_repeated_total', { fact })
      return this.#ports.log.debug('recording_fact_ignored', { ...this.#papers.ids, fact, state: this.state })
    }
    const begins = fact === 'RECORD_START' && this.state === 'starting'
    if (begins) this.#started(told.at ?? this.#ports.clock.now())
    if (fact === 'RECORD_STOP') this.#stopped(told)
    if (told.cause !== undefined) this.#span.because(told.cause)
    if (fact === 'untold') this.#on.untold()
    const neverBegan = fact === 'leg_gone' && next.state === 'discarded'
    await this.#go(next, neverBegan ? this.#whyNot() : told.reason)
    if (!begins) return
    await this.#covering.asWished()
    if (this.#consenting.waits) void this.met()
    else void this.#consenting.begin()
  }

  /** Why what waited is dropped. */
  #whyNot(): string {
    return this.#consenting.tells ? 'announcement_unfinished' : 'never_answered'
  }

  async #begin(): Promise<void> {
    if (this.state !== 'waiting') return
    if (this.#consenting.waits) await this.#consenting.begin()
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
    if (!this.#certain && this.state === 'waiting' && (await this.#tape.hasBegun())) this.#papers.become('starting')
  }

  async #compare(): Promise<void> {
    if (isEnd(this.state)) return
    const node = this.#ports.node(this.node)
    const leg = await node.leg(this.leg)
    const written = leg !== undefined && (await this.#tape.runs())
    // It began, and nobody could write that down any more: `begin` would record over it.
    if (this.state === 'waiting' && (written || (await this.#tape.hasBegun()))) this.#papers.become('starting')
    this.#certain = true
    if (leg === undefined) return this.#hear('switch_lost', this.state === 'waiting' ? { reason: 'leg_lost' } : { cause: UNHEARD })
    if (written) {
      if (this.state === 'stopping') return this.#stopAgain()
      if (this.state === 'starting') return this.#hear('RECORD_START', { at: this.#ports.clock.now() })
      await this.#perform('start_timers')
      await this.#covering.asWished()
      this.#consenting.changed()
      // Somebody may have joined meanwhile.
      void this.met()
      return
    }
    if (this.state !== 'waiting') return this.#hear('RECORD_STOP')
    if (await happened(this.awaits, leg, node)) await this.#begin()
  }

  async #command(what: Command): Promise<void> {
    const next = command(this.state, what)
    await this.#go(next, next.state === 'discarded' ? this.#whyNot() : undefined)
  }

  #told(event: RecordingEventName): void {
    void this.#ports.events.tell(toldOf(event, this.#papers.recording, this.#ports.clock.now()))
  }

  async #go({ state, effects }: Step, reason?: string, by = ''): Promise<void> {
    this.#papers.become(state, reason)
    for (const effect of effects) await this.#perform(effect, by)
    this.#consenting.changed()
  }

  async #perform(effect: Effect, by = ''): Promise<void> {
    switch (effect) {
      case 'send_mask':
        return this.#covering.send('mask', by)
      case 'send_unmask':
        return this.#covering.send('unmask', by)
      case 'send_pause':
        return this.#covering.send('pause', by)
      case 'send_resume':
        return this.#covering.send('resume', by)
      case 'send_start':
        return this.#sendStart()
      case 'send_stop':
        return this.#sendStop()
      case 'start_timers':
        return this.#watchdog.runs(this.#span.ran())
      case 'await_stop':
        return this.#watchdog.ends()
      case 'save':
        return this.#saving.save()
      case 'finish':
        return this.#untilSaved(() => this.#ending.finish(this.#span.ended()))
      case 'drop':
        return this.#untilSaved(() => this.#ending.drop())
    }
  }

  async #sendStart(): Promise<void> {
    this.#watchdog.startSent()
    try {
      await this.#tape.start()
      // As early as can be; it is confirmed once it runs.
      if (this.#on.wish().mask !== undefined) await this.#tape.cover('mask').catch(() => undefined)
    } catch (error) {
      // Whether it started is not known: the documents stay, and the next connection to the switch tells.
      if (isCode(error, 'switch_down') || isCode(error, 'switch_timeout'))
        return this.#ports.log.warn('recording_start_unconfirmed', { ...this.#papers.ids, reason: reasonOf(error) })
      this.#ports.log.error('recording_start_refused', { ...this.#papers.ids, reason: reasonOf(error) })
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
      await Promise.all([this.#tape.stop(), this.#tracks.stop()])
    } catch (error) {
      // It may have ended by itself a moment ago; what came of it is in the file, and the timer sees to that.
      this.#ports.log.info('recording_stop_unconfirmed', { ...this.#papers.ids, reason: reasonOf(error) })
    }
  }

  #started(at: number): void {
    this.#papers.started(at)
    this.#settled()
    this.#ports.metrics.count('callrec_recordings_total', { outcome: 'started', reason: '' })
    this.#ports.log.info('recording_started', { ...this.#papers.ids, origins: this.origins.map(one => one.origin) })
    this.#told('recording.started')
  }

  #stopped({ at, cause }: Told): void {
    this.#covering.end(at ?? this.#ports.clock.now())
    this.#span.stopped(at, cause)
  }

  /** The store was away for its first documents, and the journal has them. */
  saveLater(error: unknown): void {
    this.#saving.later(error)
  }

  #untilSaved(run: () => Promise<void>): Promise<void> {
    return this.#saving.untilSaved(run, () => {
      this.#settled()
      this.#on.end()
    })
  }
}
