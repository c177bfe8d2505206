// How what is to be hidden is kept: on the legs at once, in the store as soon as it takes it. No call waits for a disk to be hidden, and
// none is forgotten with the engine that was asked.

import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Leg, Switches } from '../switch/switch.ts'
import { mark, marksOn, noMark } from './cover-marks.ts'
import type { Asked, CoveredCall, Covers, Part } from './covers.ts'

export interface WishPorts {
  switches: Switches
  clock: Clock
  log: Log
}

/** A leg that is recorded, and of which call. */
export interface Recorded {
  node: string
  leg: string
  interactionId: string
}

interface Marked extends Pick<Recorded, 'node' | 'leg'> {
  part: Part
}

/** Milliseconds of call time until what the store did not take is written again. */
const WRITE_AGAIN = 5_000

export class Wishes {
  readonly #ports: WishPorts
  readonly #covers: Covers
  readonly #unwritten = new Map<string, { marks: readonly Marked[]; cancel: () => void }>()

  constructor(ports: WishPorts, covers: Covers) {
    this.#ports = ports
    this.#covers = covers
  }

  /**
   * Holds at once. Resolves when legs or store have it; rejects, and it holds all the same, where neither took it. `isMore`: of a call that
   * is kept on other legs.
   */
  async hide(calls: readonly CoveredCall[], recorded: readonly Recorded[], part: Part, asked: Asked, isMore: boolean): Promise<void> {
    for (const call of calls) this.#covers.hide(call, part, asked)
    // Behind what hides, and with it in one write to the switch: both are there, or neither is.
    await setImmediate()
    const marked = Promise.allSettled(recorded.map(one => this.#ports.switches.node(one.node).setVariables(one.leg, mark(part, one, asked))))
    // A disk keeps back what the switch is told.
    await setImmediate()
    const written = Promise.allSettled(calls.map(({ interactionId }) => this.#covers.write(interactionId)))
    const lost = (await written).find(one => one.status === 'rejected')
    const onLegs = (await marked).every(one => one.status === 'fulfilled') && (recorded.length > 0 || isMore)
    const marks = recorded.map(({ node, leg }) => ({ node, leg, part }))
    if (lost === undefined) return this.#unmark(marks)
    if (!onLegs) throw lost.reason
    for (const { interactionId } of calls) this.#writeAgain(interactionId, marks, lost.reason)
  }

  /** Rejects where the store does not take it, and then nothing has changed. */
  async show(calls: readonly CoveredCall[], part: Part): Promise<void> {
    for (const call of calls) {
      await this.#covers.show(call, part)
      this.#unmark(this.#unwritten.get(call.interactionId)?.marks.filter(one => one.part === part) ?? [])
    }
  }

  /** Takes over what stands on a leg for that call; answers whether it was news. */
  async found(call: CoveredCall, leg: Pick<Leg, 'node' | 'uuid' | 'variables'>): Promise<boolean> {
    const found = marksOn(leg, call)
    const isNews = found.some(({ part }) => this.#covers.of(call.interactionId)[part] === undefined)
    for (const { part, asked } of found) {
      const marks = [{ node: leg.node, leg: leg.uuid, part }]
      try {
        this.#covers.hide(call, part, asked)
        await this.#covers.write(call.interactionId)
        this.#unmark(marks)
      } catch (error) {
        this.#writeAgain(call.interactionId, marks, error)
      }
    }
    return isNews
  }

  close(): void {
    for (const { cancel } of this.#unwritten.values()) cancel()
  }

  #writeAgain(interactionId: string, marks: readonly Marked[], error: unknown): void {
    const { clock, log } = this.#ports
    log.warn('cover_not_written', { interaction_id: interactionId, reason: reasonOf(error), again_in_ms: WRITE_AGAIN })
    const before = this.#unwritten.get(interactionId)
    before?.cancel()
    const all = [...(before?.marks ?? []), ...marks]
    const again = async (): Promise<void> => {
      try {
        await this.#covers.write(interactionId)
        this.#unwritten.delete(interactionId)
        this.#unmark(all)
      } catch (cause) {
        this.#writeAgain(interactionId, [], cause)
      }
    }
    this.#unwritten.set(interactionId, { marks: all, cancel: clock.after(WRITE_AGAIN, () => void again()) })
  }

  /** It stands elsewhere now, or is over. What a leg keeps all the same the next engine compares with what is written. */
  #unmark(marks: readonly Marked[]): void {
    const { switches, log } = this.#ports
    for (const { node, leg, part } of marks) {
      switches
        .node(node)
        .setVariables(leg, noMark(part))
        .catch((error: unknown) => log.debug('cover_mark_stays', { node, leg, reason: reasonOf(error) }))
    }
  }
}
