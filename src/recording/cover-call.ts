// Masking and pausing act on the call, not on a file: everything that records any leg of it is covered, and what begins
// later begins covered. Which legs those are is asked of the switch, since parties come and go.

import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import { AppError, isCode, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Leg, Switches } from '../switch/switch.ts'
import type { Consent } from './announce.ts'
import { type CoveredCall, type Covers, hides, partOf, type Wish } from './covers.ts'
import { type Cover, command, TABLE } from './lifecycle.ts'
import type { Live } from './live.ts'
import type { Roster } from './roster.ts'
import { type Recorded, Wishes } from './wishes.ts'

export interface CoverRequest {
  accountId: string
  /** Any leg of the call. As the switch has just told it, it is not asked again. */
  leg: NamedLeg | ToldLeg
  what: Cover
  /** `api`, `key *2`, …: stands in the gap map. */
  by: string
}

export type NamedLeg = Pick<Leg, 'node' | 'uuid'>
export type ToldLeg = Pick<Leg, 'node' | 'uuid' | 'otherLeg' | 'variables'>

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
  readonly #wishes: Wishes
  readonly #also: ReadonlySet<AlsoRecords>
  readonly #checks = new Map<string, () => void>()

  /** `also` may grow and shrink. */
  constructor(ports: CoverPorts, roster: Roster, covers: Covers, also: ReadonlySet<AlsoRecords>) {
    this.#ports = ports
    this.#roster = roster
    this.#covers = covers
    this.#wishes = new Wishes(ports, covers)
    this.#also = also
  }

  wishOf(interactionId: string): Wish {
    return this.#covers.of(interactionId)
  }

  /**
   * Resolves when the switch confirmed it of every recording, or those it did not confirm were ended. Rejects with
   * `wrong_state` where nothing can be covered so, `leg_gone`, and with what the store or the switch rejects.
   */
  async cover(request: CoverRequest): Promise<Covered[]> {
    const known = this.#known(request)
    if (known === undefined) return this.#inTurn(request, await this.#parties(request))
    // What is recorded of the leg is hidden at once; behind that the switch is asked who else is of the call.
    const behind = async (): Promise<Parties> => {
      await setImmediate()
      await setImmediate()
      return this.#parties(request)
    }
    const [hidden, asked] = await Promise.allSettled([this.#inTurn(request, known), behind()])
    if (hidden.status === 'rejected' && !isCode(hidden.reason, 'wrong_state')) throw hidden.reason
    if (asked.status === 'rejected') {
      // Its end may have been heard before there was a wish to forget.
      if (isCode(asked.reason, 'leg_gone')) for (const id of known.interactions) this.#mayBeOver(request.leg.node, id)
      throw asked.reason
    }
    const before = hidden.status === 'fulfilled' ? hidden.value : []
    const { interactions, legs } = asked.value
    const all = await this.#inTurn(request, { legs, interactions: new Set([...interactions].filter(id => !known.interactions.has(id))) }, before)
    return [...new Map([...before, ...all].map(one => [one.id, one])).values()]
  }

  /** Undefined where nothing of the leg is known to be recorded that could be hidden now. */
  #known({ accountId, leg: { uuid }, what }: CoverRequest): Parties | undefined {
    if (!hides(what)) return undefined
    const own = this.#roster.ofLeg(uuid).filter(one => one.inFlight.account_id === accountId)
    if (!own.some(one => isAble(one, what))) return undefined
    return { legs: new Set([uuid]), interactions: new Set(own.map(one => one.recording.interaction_id)) }
  }

  #inTurn(request: CoverRequest, parties: Parties, before: readonly Covered[] = []): Promise<Covered[]> {
    const [first = request.leg.uuid] = [...parties.interactions].sort()
    return this.#roster.inTurn(`cover ${first}`, () => this.#coverNow(request, parties, before))
  }

  /** `before`: what of the call is covered already. */
  async #coverNow({ accountId, leg: { node }, what, by }: CoverRequest, parties: Parties, before: readonly Covered[]): Promise<Covered[]> {
    const now = this.#recordings(parties)
    const [first] = now
    const able = now.filter(one => isAble(one, what) && !before.some(({ id }) => id === one.id))
    if (first !== undefined && able.length === 0 && before.length === 0) command(first.state, what)
    if (first === undefined && this.#also.size === 0 && before.length === 0) throw nothing(what)
    const calls = [...parties.interactions].map(interactionId => ({ accountId, node, interactionId }))
    const asked = { at: new Date(this.#ports.clock.now()).toISOString(), by }
    const part = partOf(what)
    if (!hides(what)) await this.#wishes.show(calls, part)
    // Whatever has been entered since knows the wish already.
    const files = await Promise.allSettled([
      ...(hides(what) ? [this.#wishes.hide(calls, able.map(wished), part, asked, before.length > 0)] : []),
      ...able.map(one => coverOne(one, what, by)),
    ])
    const others = await Promise.allSettled([...parties.interactions].flatMap(id => [...this.#also].map(other => other.cover(id, what, by))))
    const failed = [...files, ...others].find((one): one is PromiseRejectedResult => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    const sessions = others.flatMap(one => (one.status === 'fulfilled' ? one.value : []))
    if (first === undefined && sessions.length === 0 && before.length === 0) {
      if (hides(what)) for (const interactionId of parties.interactions) await this.#covers.forget(interactionId)
      throw nothing(what)
    }
    return [...now.map(stands), ...sessions]
  }

  /** After a gap in what the switch told: what an engine that is gone had asked for, and could not write down any more. */
  async found(call: CoveredCall, leg: Pick<Leg, 'node' | 'uuid' | 'variables'>): Promise<void> {
    if (!(await this.#wishes.found(call, leg))) return
    // Those of other legs may have been compared before.
    for (const one of this.#roster.running()) if (one.recording.interaction_id === call.interactionId) this.#wishedLater(one)
  }

  #wishedLater(one: Live): void {
    one.asWished().catch((error: unknown) => {
      // The next connection to the switch finds the wish.
      this.#ports.log.warn('recording_not_covered_yet', { recording_id: one.id, leg: one.leg, reason: reasonOf(error) })
    })
  }

  #recordings({ interactions, legs }: Parties): Live[] {
    return this.#roster.running().filter(one => one.state !== 'stopping' && (legs.has(one.leg) || interactions.has(one.recording.interaction_id)))
  }

  async #parties({ leg: named }: CoverRequest): Promise<Parties> {
    const node = this.#ports.switches.node(named.node)
    const leg = 'variables' in named ? named : await node.leg(named.uuid)
    if (leg === undefined) throw new AppError('leg_gone', `${named.node}: no leg ${named.uuid}`, { node: named.node, leg: named.uuid })
    const other = leg.otherLeg === undefined ? undefined : await node.leg(leg.otherLeg)
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
    this.#mayBeOver(leg.node, interactionOf(leg))
  }

  #mayBeOver(node: string, interactionId: string): void {
    if (this.#covers.has(interactionId) && !this.#checks.has(interactionId)) this.#lookAgain(node, interactionId)
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
    this.#wishes.close()
  }
}

const wished = ({ node, leg, recording }: Live): Recorded => ({ node, leg, interactionId: recording.interaction_id })

const isAble = (one: Live, what: Cover): boolean => one.state !== 'stopping' && TABLE[one.state][what] !== undefined

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
