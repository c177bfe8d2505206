// The recordings that have not ended, as this process holds them: by id and by the leg they are of.

import type { Notice } from './announce.ts'
import type { CoveredCall, Wish } from './covers.ts'
import type { InFlight, Recording } from './document.ts'
import { inFlightOf, type NewRecording, recordingOf } from './new-recording.ts'
import { isStoreAway } from './journal.ts'
import { isEnd } from './lifecycle.ts'
import type { CoursePorts } from './course.ts'
import { Live } from './live.ts'
import type { Leg } from '../switch/switch.ts'

export interface RosterEvents {
  /** A file is as long as files may be. */
  full(one: Live): Promise<void>
  /** What a call is to be covered with. */
  wishOf(interactionId: string): Wish
  /** The leg of a recording, after a gap in what the switch told. */
  found(call: CoveredCall, leg: Leg): Promise<void>
  /** Its leg went, and nobody heard that. It has yet to end. */
  unheard(one: Live): void
  /** Somebody joined who was not told of it. */
  newcomer(one: Live): void
  /** A party said no while it was being told. */
  refused(one: Live, notice: Notice): void
  /** A required announcement was not heard. */
  untold(one: Live): void
}

export class Roster {
  readonly #ports: CoursePorts
  readonly #on: RosterEvents
  readonly #live = new Map<string, Live>()
  /** Called at the end of those whose end somebody waits for. */
  readonly #endings = new Map<string, (() => void)[]>()
  readonly #byLeg = new Map<string, Live[]>()
  /** The last of what was asked for on each leg. */
  readonly #turns = new Map<string, Promise<unknown>>()

  constructor(ports: CoursePorts, on: RosterEvents) {
    this.#ports = ports
    this.#on = on
  }

  get(id: string): Live | undefined {
    return this.#live.get(id)
  }

  all(): Live[] {
    return [...this.#live.values()]
  }

  running(): Live[] {
    return this.all().filter(one => !isEnd(one.state))
  }

  ofLeg(leg: string): Live[] {
    return (this.#byLeg.get(leg) ?? []).filter(one => !isEnd(one.state))
  }

  /** Starts on one leg are taken one at a time, so that equal ones meet. */
  inTurn<T>(leg: string, run: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(leg) ?? Promise.resolve()).then(run)
    const settled = turn.catch(() => {})
    this.#turns.set(leg, settled)
    void settled.then(() => this.#turns.get(leg) === settled && this.#turns.delete(leg))
    return turn
  }

  /** A recording there are documents of, until it ends. */
  watch(inFlight: InFlight, recording: Recording): Live {
    const one: Live = new Live(this.#ports, inFlight, recording, {
      end: () => this.#forget(one),
      full: () => this.#on.full(one),
      // As it is now: what it was born as is not held beside it.
      wish: () => this.#on.wishOf(one.recording.interaction_id),
      found: leg => this.#on.found({ accountId: one.inFlight.account_id, node: one.node, interactionId: one.recording.interaction_id }, leg),
      unheard: () => this.#on.unheard(one),
      newcomer: () => this.#on.newcomer(one),
      refused: notice => this.#on.refused(one, notice),
      untold: () => this.#on.untold(one),
    })
    this.#live.set(one.id, one)
    this.#byLeg.set(one.leg, [...(this.#byLeg.get(one.leg) ?? []), one])
    return one
  }

  /** A new recording, once both its documents are written, or the journal while the store is away; else there is none, and this rejects. */
  async enter(made: NewRecording): Promise<Live> {
    const one = this.watch(inFlightOf(made), recordingOf(made))
    try {
      await one.write()
    } catch (error) {
      try {
        if (!isStoreAway(error)) throw error
        await this.#ports.journal.write(made)
      } catch (cause) {
        this.#forget(one)
        throw cause
      }
      one.saveLater(error)
    }
    return one
  }

  /** Another engine goes on with what runs on that switch: nothing more is written here. */
  leave(node: string): void {
    for (const one of this.all().filter(other => other.node === node)) {
      one.leave()
      this.#forget(one)
    }
  }

  /** Resolves when it has ended and its documents say so; at once for one that is not here. */
  async ended(id: string): Promise<void> {
    if (!this.#live.has(id)) return
    await new Promise<void>(resolve => this.#endings.set(id, [...(this.#endings.get(id) ?? []), resolve]))
  }

  #forget(one: Live): void {
    this.#live.delete(one.id)
    for (const over of this.#endings.get(one.id) ?? []) over()
    this.#endings.delete(one.id)
    const left = (this.#byLeg.get(one.leg) ?? []).filter(other => other !== one)
    if (left.length === 0) this.#byLeg.delete(one.leg)
    else this.#byLeg.set(one.leg, left)
  }
}
