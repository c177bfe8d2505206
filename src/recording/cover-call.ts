// Masking and pausing act on the call, not on a file: everything that records any leg of it is covered, and what begins
// later begins covered. Which legs those are is asked of the switch, since parties come and go.

import type { Clock } from '../clock.ts'
import { AppError, isCode, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Leg, Switches } from '../switch/switch.ts'
import type { Consent } from './announce.ts'
import { type CoveredCall, type Covers, hides, type Wish } from './covers.ts'
import { type Cover, command, TABLE } from './lifecycle.ts'
import type { Live } from './live.ts'
import type { Roster } from './roster.ts'

export interface CoverRequest {
  accountId: string
  /** Any leg of the call, as the switch has just told it: it is not asked again. */
  leg: Pick<Leg, 'node' | 'uuid' | 'otherLeg' | 'variables'>
  what: Cover
  /** `api`, `key *2`, …: stands in the gap map. */
  by: string
}

/** One recording of the call, and how it stands now. */
export interface Covered {
  id: string
  kind: 'file' | 'siprec'
  leg: string
  /** `stopping`, with a reason, where it could not be confirmed. */
  state: string
  reason?: string
}

/** What else records calls, beside the files: sessions with recording servers. What is announced is asked of both. */
export interface AlsoRecords {
  /** Answers what there is of that interaction, covered now; nothing where there is none. Rejects where it could neither cover nor end one. */
  cover(interactionId: string, what: Cover, by: string): Promise<readonly Covered[]>
  /** The group of what it records of a leg, or else of its conversation. */
  groupOf(leg: string, interactionId: string): string | undefined
  /** See Recorder.asked. */
  asked(leg: string): Promise<void>
  /** The call that a key of one of two who talk says no to the recording of. */
  saysNo(pair: readonly string[], leg: string, key: string): CoveredCall | undefined
  /** Ends all of that interaction that may be refused. */
  refuse(interactionId: string, by: NonNullable<Consent['refused']>): Promise<void>
}

export interface CoverPorts {
  switches: Switches
  clock: Clock
  log: Log
}

interface Parties {
  interactions: ReadonlySet<string>
  legs: ReadonlySet<string>
}

/** Milliseconds of call time until it is looked whether a call that was covered is over. */
const OVER_AFTER = 5_000

export class CallCovers {
  readonly #ports: CoverPorts
  readonly #roster: Roster
  readonly #covers: Covers
  readonly #also: ReadonlySet<AlsoRecords>
  readonly #checks = new Map<string, () => void>()

  /** `also` may grow and shrink. */
  constructor(ports: CoverPorts, roster: Roster, covers: Covers, also: ReadonlySet<AlsoRecords>) {
    this.#ports = ports
    this.#roster = roster
    this.#covers = covers
    this.#also = also
  }

  wishOf(interactionId: string): Wish {
    return this.#covers.of(interactionId)
  }

  /**
   * Resolves when the switch confirmed it of every recording, or those it did not confirm were ended. Rejects with
   * `wrong_state` where nothing can be covered so, and with what the store or the switch rejects.
   */
  async cover(request: CoverRequest): Promise<Covered[]> {
    const parties = await this.#parties(request)
    const [first = request.leg.uuid] = [...parties.interactions].sort()
    return this.#roster.inTurn(`cover ${first}`, () => this.#coverNow(request, parties))
  }

  async #coverNow({ accountId, leg: { node }, what, by }: CoverRequest, parties: Parties): Promise<Covered[]> {
    const now = this.#recordings(parties)
    const [first] = now
    const able = now.filter(one => TABLE[one.state][what] !== undefined)
    if (first !== undefined && able.length === 0) command(first.state, what)
    if (first === undefined && this.#also.size === 0) throw nothing(what)
    const asked = { at: new Date(this.#ports.clock.now()).toISOString(), by }
    for (const interactionId of parties.interactions) await this.#covers.set({ accountId, node, interactionId }, what, asked)
    // Whatever has been entered since knows the wish already.
    const files = await Promise.allSettled(able.map(one => coverOne(one, what, by)))
    const others = await Promise.allSettled([...parties.interactions].flatMap(id => [...this.#also].map(other => other.cover(id, what, by))))
    const failed = [...files, ...others].find((one): one is PromiseRejectedResult => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    const sessions = others.flatMap(one => (one.status === 'fulfilled' ? one.value : []))
    if (first === undefined && sessions.length === 0) {
      if (hides(what)) for (const interactionId of parties.interactions) await this.#covers.forget(interactionId)
      throw nothing(what)
    }
    return [...now.map(stands), ...sessions]
  }

  #recordings({ interactions, legs }: Parties): Live[] {
    return this.#roster.running().filter(one => one.state !== 'stopping' && (legs.has(one.leg) || interactions.has(one.recording.interaction_id)))
  }

  async #parties({ leg }: CoverRequest): Promise<Parties> {
    const other = leg.otherLeg === undefined ? undefined : await this.#ports.switches.node(leg.node).leg(leg.otherLeg)
    const legs = [leg, other].filter(one => one !== undefined)
    const recorded = legs.flatMap(one => this.#roster.ofLeg(one.uuid)).map(one => one.recording.interaction_id)
    return { legs: new Set(legs.map(one => one.uuid)), interactions: new Set([...legs.map(interactionOf), ...recorded]) }
  }

  /** What an engine that is gone had covered, before its recordings are taken over. */
  load(node: string): Promise<string[]> {
    return this.#covers.load(node)
  }

  /** A leg ended: with the last leg of a call its wish has no more to say. */
  ended(leg: Leg): void {
    const interactionId = interactionOf(leg)
    if (!this.#covers.has(interactionId) || this.#checks.has(interactionId)) return
    this.#lookAgain(leg.node, interactionId)
  }

  #lookAgain(node: string, interactionId: string): void {
    this.#checks.set(
      interactionId,
      this.#ports.clock.after(OVER_AFTER, () => {
        this.#checks.delete(interactionId)
        this.forgetIfOver(node, interactionId).catch((error: unknown) => {
          // The next connection to the switch asks again.
          this.#ports.log.warn('cover_not_forgotten', { node, reason: reasonOf(error) })
        })
      }),
    )
  }

  async forgetIfOver(node: string, interactionId: string): Promise<void> {
    if (this.#roster.running().some(one => one.recording.interaction_id === interactionId)) return this.#lookAgain(node, interactionId)
    const legs = await this.#ports.switches.node(node).legs()
    if (!legs.some(leg => interactionOf(leg) === interactionId)) await this.#covers.forget(interactionId)
  }

  close(): void {
    for (const cancel of this.#checks.values()) cancel()
  }
}

/** One that is just starting is covered from its first moment; then it is asked again, for the confirmation. */
async function coverOne(one: Live, what: Cover, by: string): Promise<void> {
  if (one.state === 'starting') await one.begun
  try {
    await one.cover(what, by)
  } catch (error) {
    // It ended meanwhile, or was covered as wished when it began.
    if (!isCode(error, 'wrong_state')) throw error
  }
}

export const interactionOf = ({ uuid, variables }: Pick<Leg, 'uuid' | 'variables'>): string => variables['callrec_interaction_id'] ?? uuid

const nothing = (what: Cover): AppError => new AppError('wrong_state', `nothing of this call is being recorded that one could ${what}`, { state: 'stopped' })

const stands = (one: Live): Covered => ({
  id: one.id,
  kind: 'file',
  leg: one.leg,
  state: one.state,
  ...(one.reason === undefined ? {} : { reason: one.reason }),
})
