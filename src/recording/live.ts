// One recording while it lives: its inputs are taken one at a time.

import type { Consent } from './announce.ts'
import { type Awaited, awaitedBy } from './awaited.ts'
import { Course, type CourseEvents, type CoursePorts, type Told } from './course.ts'
import type { InFlight, Origin, Recording } from './document.ts'
import { type Command, type Cover, type Fact, type State, runs } from './lifecycle.ts'

export class Live {
  readonly #course: Course
  #inputs: Promise<unknown> = Promise.resolve()

  constructor(ports: CoursePorts, inFlight: InFlight, recording: Recording, on: CourseEvents) {
    this.#course = new Course(ports, inFlight, recording, on, run => this.#next(run))
  }

  /** Audio runs, covered as its call is, or never will. */
  get begun(): Promise<void> {
    return this.#course.begun.then(() => this.#next(async () => {}))
  }
  /** What it waited for has come, or nobody waits for it here any more. */
  get due(): Promise<void> {
    return this.#course.due
  }
  get id(): string {
    return this.#course.papers.inFlight._id
  }
  get node(): string {
    return this.#course.papers.inFlight.node
  }
  get leg(): string {
    return this.#course.papers.inFlight.leg
  }
  get state(): State {
    return this.#course.papers.inFlight.state
  }
  get reason(): string | undefined {
    return this.#course.papers.inFlight.reason
  }
  get origins(): readonly Origin[] {
    return this.#course.papers.inFlight.origins
  }
  /** What is known of its call, and which conversation it is a part of. */
  get recording(): Readonly<Recording> {
    return this.#course.papers.recording
  }
  get inFlight(): Readonly<InFlight> {
    return this.#course.papers.inFlight
  }
  get settings(): InFlight['settings'] {
    return this.#course.papers.inFlight.settings
  }
  get path(): string {
    return this.#course.tape.path
  }
  get awaits(): Awaited {
    return awaitedBy(this.#course.papers.inFlight)
  }

  /** Puts both documents down before anything is asked of the switch. */
  write(): Promise<void> {
    return this.#next(() => this.#course.write())
  }

  tell(fact: Fact, told: Told = {}): Promise<void> {
    return this.#next(() => this.#course.learn(fact, told))
  }

  /**
   * Masks, pauses, or ends that. What hides and cannot be confirmed ends the recording: resolves then, too, and the state says so. Rejects
   * with `wrong_state`, `switch_down` (the wish is sent again when it is back), or where what was hidden stays hidden.
   */
  cover(what: Cover, by: string): Promise<void> {
    return this.#next(() => this.#course.covering.ask(what, by))
  }

  /** Masks and pauses what its call is to be covered with. */
  asWished(): Promise<void> {
    return this.#next(() => this.#course.covering.asWished())
  }

  /** A party that has a channel of its own from now on, in a recording that has one for each. */
  join(leg: string): Promise<void> {
    return this.#next(() => this.#course.tracks.join(leg))
  }

  /** Its leg was put on hold, or is heard again: unix milliseconds by the switch's clock. */
  held(on: boolean, at: number): Promise<void> {
    return this.#next(async () => {
      if (!runs(this.state)) return
      this.#course.covering.held(on, at)
      await this.#course.save()
    })
  }

  /** Throws `wrong_state` when it is not possible now. */
  ask(what: Command): Promise<void> {
    return this.#next(() => this.#course.ask(what))
  }

  /** It ends for its next part to begin. Throws `wrong_state`. */
  giveWay(): Promise<void> {
    return this.#next(() => this.#course.giveWay())
  }

  /** Milliseconds of it that there are by now, those of earlier parts included. */
  get lengthMs(): number {
    return (this.#course.papers.inFlight.earlier_ms ?? 0) + this.#course.span.length()
  }

  /** It begins, unless it has meanwhile, or is over. */
  begin(): Promise<void> {
    return this.#next(() => this.#course.begin())
  }

  /** Its leg, or the one it talks with, came together with another one, or was answered. */
  met(): Promise<void> {
    return this.#course.consenting.met()
  }

  /** Does that key of that leg say no to it? */
  isNo(leg: string, key: string): boolean {
    return this.#course.consenting.isNo(leg, key)
  }

  /** Where something is to be said first: until the switch was asked to say it. */
  async asked(): Promise<void> {
    if (this.#course.consenting.waits) await this.#inputs
  }

  /** It waits for nothing but that its parties are told. */
  get tells(): boolean {
    return this.state === 'waiting' && this.#course.consenting.tells
  }

  get mayBeRefused(): boolean {
    return this.#course.consenting.mayBeRefused
  }

  /** It ends, and nothing of it is kept. */
  refuse(by: NonNullable<Consent['refused']>): Promise<void> {
    return this.#course.consenting.refuse(by)
  }

  /** It begins, if that is what it waited for. */
  cameTo(what: 'answer' | 'bridge'): Promise<void> {
    return this.#next(() => this.#course.cameTo(what))
  }

  addOrigin(origin: Origin): Promise<void> {
    return this.#next(async () => {
      this.#course.papers.askedBy([...this.origins, origin])
      await this.#course.papers.save()
    })
  }

  /** A recording ends with its last origin. */
  removeOrigin(origin: Origin): Promise<void> {
    return this.#next(async () => {
      const left = this.origins.filter(one => one !== origin)
      if (left.length === 0) return this.#course.ask('stop')
      this.#course.papers.askedBy(left)
      await this.#course.papers.save()
    })
  }

  /**
   * After a gap in what the switch told: asks it and goes on from the answer. Rejects when it cannot be asked. It is asked in its turn:
   * the answer would say nothing of a command that is under way, and what comes meanwhile is judged by what it says. `limited` keeps
   * those that are asked about at the same time few.
   */
  reconcile(limited: (run: () => Promise<void>) => Promise<void> = run => run()): Promise<void> {
    return this.#next(() => limited(() => this.#course.compare()))
  }

  /** Another engine has it: what is still to be written here is not. */
  leave(): void {
    this.#course.leave()
  }

  /** Stops watching; the switch goes on recording, and the documents tell a successor where it stands. */
  close(): Promise<unknown> {
    this.#course.close()
    return this.#inputs
  }

  /** The store was away for its first documents, and the journal has them. */
  saveLater(error: unknown): void {
    this.#course.saveLater(error)
  }

  #next<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#inputs.then(run)
    this.#inputs = done.catch(() => {})
    return done
  }
}
