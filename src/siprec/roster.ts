// The sessions that live, a leg has one, and what each needs of the others' world.

import type { Clock } from '../clock.ts'
import { isCode, reasonOf } from '../errors.ts'
import type { Events } from '../events.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { CoveredCall, Wish } from '../recording/covers.ts'
import type { State } from '../recording/lifecycle.ts'
import type { Recorder } from '../recording/recorder.ts'
import type { Store } from '../store/store.ts'
import type { Switches } from '../switch/switch.ts'
import type { SiprecInFlight, SiprecRecording } from './document.ts'
import type { Door } from './door.ts'
import type { Wishes } from './hiding.ts'
import type { Live } from './live.ts'
import { createSession } from './session.ts'

export interface SiprecPorts {
  switches: Switches
  store: Store
  recorder: Pick<Recorder, 'wishOf' | 'alsoRecords' | 'groupOf' | 'telling' | 'refusals'>
  door: Door
  /** Call time. */
  clock: Clock
  wall: Clock
  log: Log
  metrics: Metrics
  events: Pick<Events, 'tell'>
  /** Hex of so many bytes. */
  random: (bytes: number) => string
}

export const callOf = ({ inFlight, interactionId }: Live): CoveredCall => ({ accountId: inFlight.account_id, node: inFlight.siprec_node, interactionId })

const wishesOf = ({ mask, pause }: Wish): Wishes => ({
  ...(mask === undefined ? {} : { mask: mask.by }),
  ...(pause === undefined ? {} : { pause: pause.by }),
})

export class Roster {
  readonly #ports: SiprecPorts
  readonly #untold: (one: Live) => void
  readonly #byLeg = new Map<string, Live>()
  readonly #closed = new AbortController()
  readonly #ending = new Set<Promise<void>>()

  /** `untold`: a required announcement of that one was not heard. */
  constructor(ports: SiprecPorts, untold: (one: Live) => void) {
    this.#ports = ports
    this.#untold = untold
  }

  get all(): Live[] {
    return [...this.#byLeg.values()]
  }

  get isClosed(): boolean {
    return this.#closed.signal.aborted
  }

  at(leg: string): Live | undefined {
    return this.#byLeg.get(leg)
  }

  forget(leg: string): void {
    this.#byLeg.delete(leg)
  }

  /** From here on what happens to its leg comes to it. */
  add(inFlight: SiprecInFlight, recording: SiprecRecording): Live {
    const { recorder, switches } = this.#ports
    const one: Live = createSession(
      { ...this.#ports, telling: recorder.telling, signal: this.#closed.signal, node: switches.node(inFlight.siprec_node) },
      { inFlight, recording },
      {
        wish: () => wishesOf(recorder.wishOf(recording.interaction_id)),
        refused: ({ leg, key = '', key_at: at = '' }) => this.quietly(recorder.refusals.refuse(callOf(one), { leg, key, at }), leg),
        untold: () => this.#untold(one),
        over: saved => {
          this.#ending.add(saved)
          void saved.finally(() => this.#ending.delete(saved))
          if (this.at(inFlight.leg) === one) this.forget(inFlight.leg)
        },
      },
    )
    this.#byLeg.set(inFlight.leg, one)
    return one
  }

  /** As Live.begin; without a server the call of a required one ends. */
  async begin(one: Live): Promise<State> {
    const state = await one.begin()
    if (state === 'failed' && one.required) await this.hangup(one)
    return state
  }

  async hangup(one: Live): Promise<void> {
    const { switches, log } = this.#ports
    try {
      await switches.node(one.inFlight.siprec_node).hangup(one.leg, 'NORMAL_TEMPORARY_FAILURE')
      log.warn('call_ended_unrecorded', { recording_id: one.id, leg: one.leg, reason: one.reason })
    } catch (error) {
      if (!isCode(error, 'leg_gone')) log.error('hangup_failed', { leg: one.leg, reason: reasonOf(error) })
    }
  }

  /** Of a leg, or else of another leg of its call. */
  groupOf(leg: string, interactionId: string): string | undefined {
    return (this.at(leg) ?? this.all.find(one => one.interactionId === interactionId))?.document.group_id
  }

  /** Another engine drives the switch: it calls the servers itself. */
  leaveTo(node: string): void {
    for (const one of this.all) {
      if (one.inFlight.siprec_node !== node) continue
      this.forget(one.leg)
      this.quietly(one.leave(), one.leg)
    }
  }

  quietly(work: Promise<unknown>, leg: string): void {
    work.catch((error: unknown) => this.#ports.log.error('siprec_input_failed', { leg, reason: reasonOf(error) }))
  }

  /** Resolves when what had ended is written down; from here on nothing that could not be is tried again. */
  async close(): Promise<void> {
    this.#closed.abort()
    await Promise.all(this.all.map(one => one.leave()))
    await Promise.all(this.#ending)
  }
}
