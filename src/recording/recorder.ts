// Starts and stops recordings on legs, and brings what the switch tells to the one it is about.

import { isCode, reasonOf } from '../errors.ts'
import type { Facts } from '../log.ts'
import type { Leg, SwitchEvent, Switches, SwitchNode } from '../switch/switch.ts'
import { Adoption } from './adoption.ts'
import { Announcer } from './announcer.ts'
import { Beeps } from './beeping.ts'
import type { ConsentingPorts } from './consenting.ts'
import { type AlsoRecords, CallCovers, type Covered, type CoverRequest, interactionOf, type NamedLeg } from './cover-call.ts'
import { createCovers, type Wish } from './covers.ts'
import type { Recording } from './document.ts'
import { isEnd, type State } from './lifecycle.ts'
import type { CoursePorts } from './course.ts'
import type { Live } from './live.ts'
import { Following, type Survivor } from './following.ts'
import { type MessageRequest, recordMessage, type Spoken } from './message.ts'
import { goOn, tellNewcomer } from './next-part.ts'
import { callOf, Refusals } from './refusals.ts'
import { Roster } from './roster.ts'
import type { Effective } from './settings.ts'
import { type Started, type StartRequest, refused, standing, start } from './starting.ts'
import { UNTOLD } from './telling.ts'
import { requestsOf, sameWish, Untold } from './untold.ts'

export interface Recorder {
  /**
   * Resolves once the documents are written and, unless it waits for an answer or a bridge, the switch replied. A refusal by the
   * switch or the store is `state: failed` with the reason, not a throw: a call is never cut off because it cannot be recorded.
   */
  start(request: StartRequest): Promise<Started>
  /** Writes down that a recording was asked for and cannot be: `failed` with the reason, and `warnings` in its document. */
  refuse(request: StartRequest, reason: string, warnings: readonly string[]): Promise<Started>
  /** Records what a caller says alone; see recordMessage. Throws `wrong_state` as `start` does. */
  message(request: MessageRequest): Promise<Spoken>
  /**
   * A leg has left its conversation by a transfer: its recordings end, and those that follow transfers go on as next parts on the leg it
   * talked to, joined with equal ones there.
   */
  follow(left: string, to: Survivor): Promise<void>
  /** Takes the latest origin an action made off a leg; the recording ends with its last origin. Undefined when there is none to stop. */
  stopLatest(leg: string): Promise<Started | undefined>
  /** A party that talks now: a channel of its own in a recording that has one for each; else nothing changes. */
  join(id: string, leg: string): Promise<void>
  /** Ends one, whoever asked for it. No error when it is ending, or has. */
  stop(id: string): Promise<void>
  /** Resolves when it has ended and its documents say so; at once for one that does not run here. */
  ended(id: string): Promise<void>
  /** Every recording of a leg that has not ended. */
  running(leg: string): readonly { id: string; settings: Effective; state: State; origins: readonly string[] }[]
  /** A leg of which something is recorded for the account, by what is known here without asking its switch. */
  recorded(accountId: string, leg: string): NamedLeg | undefined
  /** The group of what is recorded of a leg, or else of its conversation. */
  groupOf(leg: string, interactionId: string): string | undefined
  /** Masks or pauses all that records a call, or ends that; see CallCovers. */
  cover(request: CoverRequest): Promise<Covered[]>
  /** What a call is to be covered with now: whatever else begins to record it begins so. */
  wishOf(interactionId: string): Wish
  /** What says to parties that they are recorded, once to each whatever records them. */
  readonly telling: Pick<ConsentingPorts, 'announcer' | 'beeps'>
  /** Who has said no, whatever recorded him. */
  readonly refusals: Pick<Refusals, 'check' | 'holds' | 'refuse'>
  /** Something else records calls: it is covered and refused with their files, and is in one group with the first of them; the answer takes it back. */
  alsoRecords(other: AlsoRecords): () => void
  /**
   * A leg has answered: resolves when what is to be said to it of its recordings was asked for, so that what is played to it from now on is
   * heard after that.
   */
  asked(leg: string): Promise<void>
  /** Once audio runs, or it is known that it never will: how a recording stands. Undefined where it is over, or was never there. */
  begun(id: string): Promise<Started | undefined>
  /** Documents that nobody looked after are there: what they say is compared with the switch, as after a connection. */
  adopt(node: string): void
  /** Calls of which something was recorded to an end that nobody heard; told again for each recording, before it has ended. The answer takes it back. */
  onUnheard(listener: (one: Unheard) => void): () => void
  /** A leg that was to be rung was never made. */
  legNeverCame(leg: string): void
  /** The switch goes on recording; whoever connects to it next finds the recordings by their documents. */
  close(): Promise<void>
}

export interface Unheard {
  node: string
  recording: Pick<Recording, '_id' | 'cdr_id' | 'pvt_account_id'>
}

export interface RecorderPorts extends Omit<CoursePorts, 'node' | 'announcer' | 'beeps'> {
  switches: Switches
  /** Hex of so many bytes. */
  random: (bytes: number) => string
}

/** It came to its end while it waited for its turn. */
function unlessOver(error: unknown): void {
  if (!isCode(error, 'wrong_state')) throw error
}

export function startRecorder(ports: RecorderPorts): Recorder {
  const { switches, log } = ports
  let closed = false
  const covers = createCovers(ports.store)
  const node = (name: string): SwitchNode => switches.node(name)
  const announcer = new Announcer({ ...ports, node })
  const beeps = new Beeps({ node })
  const roster: Roster = new Roster(
    { ...ports, node, announcer, beeps },
    {
      full: one => roster.inTurn(one.leg, async () => (closed ? undefined : goOn(ports, roster, one))),
      wishOf: interactionId => covers.of(interactionId),
      found: (call, leg) => callCovers.found(call, leg),
      unheard: ({ node: name, recording }) => unheard.forEach(listener => listener({ node: name, recording })),
      newcomer: one =>
        quietly(
          roster.inTurn(one.leg, async () => (closed ? undefined : tellNewcomer(ports, roster, one))),
          about(one),
        ),
      untold: one => untold.add({ ...standing(one, true), state: 'failed', reason: UNTOLD }, requestsOf(one)),
      refused: (one, { leg, key = '', key_at: at = '' }) => quietly(refusals.refuse(callOf(one), { leg, key, at }), about(one)),
    },
  )
  const also = new Set<AlsoRecords>()
  const unheard = new Set<(one: Unheard) => void>()
  const refusals = new Refusals(ports, roster, covers, also)
  const untold = new Untold<StartRequest, Started>({ node, announcer, log }, sameWish, request => roster.inTurn(request.leg.uuid, () => begin(request)))
  const following = new Following(ports.clock)
  const callCovers = new CallCovers(ports, roster, covers, also)
  const adoption = new Adoption(ports, roster, callCovers)

  /** Of one group only one file of a call may be: the next of a group is what goes on when it is full. */
  function inGroup(request: StartRequest): StartRequest {
    const { leg, facts, groupId } = request
    const found = [...also].map(other => other.groupOf(leg.uuid, facts.interaction_id)).find(one => one !== undefined)
    if (groupId !== undefined || found === undefined || roster.running().some(one => one.recording.group_id === found)) return request
    return { ...request, groupId: found }
  }

  async function begin(request: StartRequest): Promise<Started> {
    refusals.check(request)
    return untold.standing(request) ?? start(ports, roster, inGroup(request))
  }

  const told = (leg: string, tell: (one: Live) => Promise<void>): void => {
    for (const one of roster.ofLeg(leg)) quietly(tell(one), { recording_id: one.id, leg })
  }

  const quietly = (work: Promise<unknown>, about: Facts): void =>
    void work.catch((error: unknown) => log.error('recording_input_failed', { ...about, reason: reasonOf(error) }))

  /** Two legs are bridged, or one of such a pair was answered. */
  async function talking(node: string, ...pair: readonly [string, string]): Promise<void> {
    const waiting = pair.flatMap(leg => roster.ofLeg(leg)).filter(one => one.awaits === 'bridge')
    if (waiting.length === 0) return
    const legs = await Promise.all(pair.map(leg => switches.node(node).leg(leg)))
    if (legs.every(leg => leg?.answered === true)) await Promise.all(waiting.map(one => one.cameTo('bridge')))
  }

  function meant({ leg, path, variables }: Extract<SwitchEvent, { path: string }>, tell: (one: Live) => Promise<void>): void {
    const one = roster.get(variables.rec_id ?? '') ?? roster.ofLeg(leg.uuid).find(other => other.path === path)
    if (one !== undefined) quietly(tell(one), { recording_id: one.id, leg: leg.uuid })
  }

  const about = ({ id, leg }: Live): Facts => ({ recording_id: id, leg })

  function bridged({ node, uuid }: Leg, otherLeg: string): void {
    quietly(talking(node, uuid, otherLeg), { leg: uuid })
    for (const one of [...roster.ofLeg(uuid), ...roster.ofLeg(otherLeg)]) quietly(one.met(), about(one))
    quietly(untold.met(uuid, otherLeg), { leg: uuid })
  }

  function heard(event: SwitchEvent): void {
    switch (event.name) {
      case 'CHANNEL_ANSWER':
        told(event.leg.uuid, one => one.cameTo('answer'))
        return event.leg.otherLeg === undefined ? undefined : bridged(event.leg, event.leg.otherLeg)
      case 'CHANNEL_BRIDGE':
        return bridged(event.leg, event.otherLeg)
      case 'CHANNEL_HOLD':
      case 'CHANNEL_UNHOLD':
        return told(event.leg.uuid, one => one.held(event.name === 'CHANNEL_HOLD', event.at))
      case 'DTMF':
        // While a call is masked a key may be a part of a card's number.
        if (covers.of(interactionOf(event.leg)).mask !== undefined || announcer.pressed(event.leg, event.digit)) return
        return quietly(refusals.pressed(event.leg, event.digit, event.at), { leg: event.leg.uuid })
      case 'RECORD_START':
        return meant(event, one => one.tell('RECORD_START', { at: event.at }))
      case 'RECORD_STOP':
        return meant(event, one => {
          following.leaving(one)
          return one.tell('RECORD_STOP', { at: event.at, cause: event.cause })
        })
      case 'CHANNEL_HANGUP_COMPLETE':
      case 'CHANNEL_DESTROY':
        callCovers.ended(event.leg)
        if (event.name === 'CHANNEL_DESTROY') for (const room of [announcer, untold]) room.gone(event.leg.uuid)
        return told(event.leg.uuid, one => {
          following.leaving(one)
          return one.tell('leg_gone')
        })
      case 'node_up':
        return adoption.takeOver(event.node)
      case 'node_lost':
        untold.leave(event.node)
        return roster.leave(event.node)
      case 'node_down':
        return untold.leave(event.node)
      case 'CHANNEL_PARK':
      case 'CHANNEL_UNBRIDGE':
    }
  }

  const unsubscribe = switches.on(heard)

  return {
    start: request =>
      roster.inTurn(request.leg.uuid, async () => {
        // What runs already is to be joined, not recorded twice.
        if (!request.fresh) await adoption.done(request.leg.node)
        return begin(request)
      }),

    refuse: (request, reason, warnings) => refused(ports, roster, request, reason, warnings),
    async message(request) {
      refusals.check(request)
      return recordMessage(ports, roster, request)
    },

    async follow(left, to) {
      const live = roster.ofLeg(left)
      const requests = following.requests(left, live, to).filter(request => !refusals.holds(request))
      // Begun before the others end, so that nothing said meanwhile is missing.
      for (const request of requests) await roster.inTurn(to.leg.uuid, () => start(ports, roster, request))
      await Promise.all(live.map(one => one.ask('stop').catch(unlessOver)))
    },

    async stopLatest(leg) {
      const asked = roster
        .ofLeg(leg)
        .filter(one => one.state !== 'stopping')
        .flatMap(one => one.origins.filter(origin => origin.by === 'action').map(origin => ({ one, origin })))
        .sort((a, b) => a.origin.at - b.origin.at)
      const latest = asked.at(-1)
      if (latest === undefined) return undefined
      await latest.one.removeOrigin(latest.origin)
      return standing(latest.one, false)
    },

    async stop(id) {
      const one = roster.get(id)
      if (one === undefined || one.state === 'stopping' || isEnd(one.state)) return
      await one.ask('stop').catch(unlessOver)
    },

    ended: id => roster.ended(id),
    join: async (id, leg) => roster.get(id)?.join(leg),

    running: leg =>
      roster
        .ofLeg(leg)
        .filter(one => !one.inFlight.message)
        .map(one => ({ id: one.id, settings: one.settings, state: one.state, origins: one.origins.map(({ origin }) => origin) })),

    recorded(accountId, leg) {
      const one = roster.ofLeg(leg).find(({ inFlight }) => inFlight.account_id === accountId)
      return one === undefined ? undefined : { node: one.node, uuid: leg }
    },

    groupOf: (leg, interactionId) => (roster.ofLeg(leg)[0] ?? roster.running().find(one => one.recording.interaction_id === interactionId))?.recording.group_id,

    cover: request => callCovers.cover(request),
    wishOf: interactionId => callCovers.wishOf(interactionId),
    telling: { announcer, beeps },
    refusals,
    alsoRecords(other) {
      also.add(other)
      return () => void also.delete(other)
    },

    async asked(leg) {
      await Promise.all([...roster.ofLeg(leg).map(one => one.asked()), ...[...also].map(other => other.asked(leg))])
    },

    async begun(id) {
      const one = roster.get(id)
      await one?.begun
      return one === undefined ? undefined : standing(one, false)
    },

    adopt: node => adoption.takeOver(node),
    onUnheard(listener) {
      unheard.add(listener)
      return () => void unheard.delete(listener)
    },
    legNeverCame: leg => told(leg, one => one.tell('leg_gone')),

    async close() {
      closed = true
      unsubscribe()
      adoption.close()
      callCovers.close()
      await Promise.all(roster.all().map(one => one.close()))
    },
  }
}
