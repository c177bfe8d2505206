// The SIPREC recordings of all calls: starts and stops them, brings what the switch tells to the one it is about, and takes over what
// an engine that is gone had begun.

import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../clock.ts'
import { AppError, isCode, reasonOf } from '../errors.ts'
import type { Events } from '../events.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import type { Covered } from '../recording/cover-call.ts'
import { Departed } from '../recording/departed.ts'
import type { Survivor } from '../recording/following.ts'
import type { CoveredCall, Wish } from '../recording/covers.ts'
import { type By, type CallFacts, factsOf, IN_FLIGHT, type Side } from '../recording/document.ts'
import { knownRecording } from '../recording/known.ts'
import { type Cover, type State } from '../recording/lifecycle.ts'
import type { Recorder } from '../recording/recorder.ts'
import type { Effective } from '../recording/settings.ts'
import { UNTOLD } from '../recording/telling.ts'
import { Untold } from '../recording/untold.ts'
import { recordingId } from '../store/modb.ts'
import type { Store } from '../store/store.ts'
import type { Leg, SwitchEvent, Switches } from '../switch/switch.ts'
import { inFlightOf, type Mode, type NewSession, recordingOf, type SiprecInFlight, type SiprecRecording } from './document.ts'
import type { Door } from './door.ts'
import type { Wishes } from './hiding.ts'
import type { Live } from './live.ts'
import { createSession } from './session.ts'
import { MISSING, parseServers } from './uri.ts'

export interface SiprecRequest {
  accountId: string
  leg: Pick<Leg, 'node' | 'uuid' | 'answered'>
  side: Side
  facts: CallFacts
  /** As the document has it, or an expression made it. */
  servers: unknown
  /** What the servers are to know it by; its own id without one. */
  recordingId?: string
  headers?: Readonly<Record<string, string>>
  mode?: Mode
  /** The call ends when no server takes it. */
  required?: boolean
  /** Where its leg leaves the conversation, it goes on with who is left; true unless said. */
  follows?: boolean
  /** Of the part it goes on from. */
  groupId?: string
  /** What of them is about its parties: what is said to them first, and whether they may refuse. */
  settings?: Effective
  origin: string
  by: By
}

export interface SiprecStarted {
  id: string
  state: State
  reason?: string
  /** How it stands once a server took it, or it is known that none will. */
  begun: Promise<State>
}

export interface Siprec {
  /**
   * A leg has one session: policy joins one that runs, an action throws `wrong_state`. So does what a party of the call has refused. What else
   * is wrong is `failed`, in a document with the reason.
   */
  start(request: SiprecRequest): Promise<SiprecStarted>
  /** Throws `wrong_state` when there is none, or policy wants it. */
  stop(leg: string): Promise<SiprecStarted>
  running(leg: string): readonly { id: string; state: State }[]
  /** As Recorder.follow. */
  follow(left: string, to: Survivor): Promise<void>
  /** A leg that was to be rung was never made. */
  legNeverCame(leg: string): void
  close(): Promise<void>
}

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

/** What a recording hands on to its next part: whose it is stays, what it is of becomes the other leg. */
interface Part {
  follows: boolean
  request: Omit<SiprecRequest, 'accountId' | 'leg' | 'side' | 'facts'>
  facts: Pick<CallFacts, 'interaction_id' | 'owner_id' | 'endpoint_id' | 'label'>
}

function partOf({ inFlight, document }: Live): Part {
  const { servers, headers, mode, required, by_policy, ends_with_leg, settings = {} } = inFlight
  const { _id, group_id: groupId, siprec_recording_id: recordingId, origin, interaction_id, owner_id, endpoint_id, label } = document
  return {
    follows: ends_with_leg !== true,
    request: {
      servers: servers.join(','),
      headers,
      mode,
      required,
      groupId,
      settings,
      origin,
      by: by_policy === true ? 'policy' : 'action',
      ...(recordingId === _id ? {} : { recordingId }),
    },
    facts: {
      interaction_id,
      ...(owner_id === undefined ? {} : { owner_id }),
      ...(endpoint_id === undefined ? {} : { endpoint_id }),
      ...(label === undefined ? {} : { label }),
    },
  }
}

export const ALREADY = 'Cannot start recording when recording is already started'
export const STAYS = 'Cannot stop recording: policy started it, so it ends with the leg'
export const DUPLICATE = 'discarding duplicate startCallRecording request for a call'

const wrongState = (why: string, state: string): AppError => new AppError('wrong_state', why, { state })

const standing = ({ id, state }: Live): SiprecStarted => ({ id, state, begun: Promise.resolve(state) })

const callOf = ({ inFlight, interactionId }: Live): CoveredCall => ({ accountId: inFlight.account_id, node: inFlight.siprec_node, interactionId })

const whyNot = ({ tells }: Live): string => (tells ? 'announcement_unfinished' : 'never_answered')

/** Whoever asks for it. */
const finish = (one: Live): Promise<void> => (one.state === 'waiting' ? one.end('discarded', one.tells ? whyNot(one) : undefined) : one.end('stopped'))

/** What would have it begin again. */
const requestOf = (one: Live): SiprecRequest => ({
  accountId: one.inFlight.account_id,
  leg: { node: one.inFlight.siprec_node, uuid: one.leg, answered: true },
  side: one.inFlight.side,
  ...partOf(one).request,
  follows: partOf(one).follows,
  facts: factsOf(one.document),
})

export function startSiprec(ports: SiprecPorts): Siprec {
  const { switches, store, recorder, clock, log, random } = ports
  const byLeg = new Map<string, Live>()
  /** By leg: their documents are being written. */
  const starting = new Map<string, Promise<unknown>>()
  const departed = new Departed<Part>()
  const closed = new AbortController()
  const ending = new Set<Promise<void>>()

  const untold = new Untold<SiprecRequest, SiprecStarted>(
    { node: name => switches.node(name), announcer: recorder.telling.announcer, log },
    (one, other) => isDeepStrictEqual([one.servers, one.settings?.announce?.value], [other.servers, other.settings?.announce?.value]),
    request => start(request),
  )

  function watch(inFlight: SiprecInFlight, recording: SiprecRecording): Live {
    const one: Live = createSession(
      { ...ports, telling: recorder.telling, signal: closed.signal, node: switches.node(inFlight.siprec_node) },
      { inFlight, recording },
      {
        wish: () => hiddenOf(recorder.wishOf(recording.interaction_id)),
        refused: ({ leg, key = '', key_at: at = '' }) => quietly(recorder.refusals.refuse(callOf(one), { leg, key, at }), leg),
        untold: () => untold.add({ ...standing(one), state: 'failed', reason: UNTOLD, begun: Promise.resolve('failed') }, [requestOf(one)]),
        over(saved) {
          ending.add(saved)
          void saved.finally(() => ending.delete(saved))
          if (byLeg.get(inFlight.leg) === one) byLeg.delete(inFlight.leg)
        },
      },
    )
    byLeg.set(inFlight.leg, one)
    return one
  }

  const hiddenOf = ({ mask, pause }: Wish): Wishes => ({
    ...(mask === undefined ? {} : { mask: mask.by }),
    ...(pause === undefined ? {} : { pause: pause.by }),
  })

  async function begin(one: Live, node: string): Promise<State> {
    const state = await one.begin()
    if (state === 'failed' && one.required) await hangup(one, node)
    return state
  }

  async function hangup(one: Live, node: string): Promise<void> {
    try {
      await switches.node(node).hangup(one.leg, 'NORMAL_TEMPORARY_FAILURE')
      log.warn('call_ended_unrecorded', { recording_id: one.id, leg: one.leg, reason: one.reason })
    } catch (error) {
      if (!isCode(error, 'leg_gone')) log.error('hangup_failed', { leg: one.leg, reason: reasonOf(error) })
    }
  }

  async function startNow(request: SiprecRequest): Promise<SiprecStarted> {
    const { accountId, leg, side, facts, origin, by } = request
    const now = clock.now()
    const id = recordingId(now, random(16))
    const parsed = parseServers(request.servers)
    const groupId = request.groupId ?? recorder.groupOf(leg.uuid, facts.interaction_id) ?? groupOf(leg.uuid, facts.interaction_id)
    const made: NewSession = {
      ...(groupId === undefined ? {} : { groupId }),
      id,
      accountId,
      node: leg.node,
      leg: leg.uuid,
      side,
      facts,
      origin,
      by,
      servers: 'uris' in parsed ? parsed.uris : [],
      headers: request.headers ?? {},
      mode: request.mode ?? 'separate',
      required: request.required ?? false,
      follows: request.follows ?? true,
      settings: request.settings ?? {},
      recordingId: request.recordingId === undefined || request.recordingId === '' ? id : request.recordingId,
      now,
    }
    const one = watch(inFlightOf(made), recordingOf(made))
    try {
      await one.write()
    } catch (error) {
      byLeg.delete(leg.uuid)
      log.error('recording_not_started', { account_id: accountId, recording_id: id, leg: leg.uuid, reason: reasonOf(error) })
      return { id, state: 'failed', reason: reasonOf(error), begun: Promise.resolve('failed') }
    }
    if ('fault' in parsed) {
      const code = parsed.fault === MISSING ? 400 : 503
      await one.end('failed', code === 503 ? `503 ${parsed.fault}` : parsed.fault)
      if (one.required) await hangup(one, leg.node)
      return { id, state: 'failed', reason: parsed.fault, begun: Promise.resolve('failed') }
    }
    // Nobody hears an unanswered leg, so it is remembered until then.
    const answered =
      leg.answered ||
      (
        await switches
          .node(leg.node)
          .leg(leg.uuid)
          .catch(() => undefined)
      )?.answered === true
    const begun = answered ? begin(one, leg.node) : Promise.resolve(one.state)
    begun.catch((error: unknown) => log.error('siprec_failed', { recording_id: id, leg: leg.uuid, reason: reasonOf(error) }))
    // What is played from now on is heard after what is said.
    await one.asked().catch(() => {})
    return { id, state: one.state, begun }
  }

  const quietly = (work: Promise<unknown>, leg: string): void =>
    void work.catch((error: unknown) => log.error('siprec_input_failed', { leg, reason: reasonOf(error) }))

  function heard(event: SwitchEvent): void {
    if (event.name === 'node_up') return quietly(adopt(event.node), event.node)
    if (event.name === 'node_down' || event.name === 'node_lost') untold.leave(event.node)
    if (event.name === 'node_lost') return leaveTo(event.node)
    if (!('leg' in event)) return
    if (event.name === 'CHANNEL_HOLD' || event.name === 'CHANNEL_UNHOLD') {
      for (const uuid of [event.leg.uuid, event.leg.otherLeg ?? '']) {
        const held = byLeg.get(uuid)
        if (held !== undefined) quietly(held.held(event.name === 'CHANNEL_HOLD'), uuid)
      }
      return
    }
    if (event.name === 'CHANNEL_DESTROY') untold.gone(event.leg.uuid)
    if (event.name === 'CHANNEL_BRIDGE') met(event.leg.uuid, event.otherLeg)
    if (event.name === 'CHANNEL_ANSWER' && event.leg.otherLeg !== undefined) met(event.leg.uuid, event.leg.otherLeg)
    const one = byLeg.get(event.leg.uuid)
    if (one === undefined) return
    switch (event.name) {
      case 'CHANNEL_ANSWER':
        return one.state === 'waiting' ? quietly(begin(one, event.leg.node), one.leg) : undefined
      case 'CHANNEL_BRIDGE':
        return quietly(talksTo(one, event.leg.node, event.otherLeg), one.leg)
      case 'CHANNEL_UNBRIDGE':
        return quietly(one.talksTo(undefined), one.leg)
      case 'CHANNEL_HANGUP_COMPLETE':
      case 'CHANNEL_DESTROY':
        leaving(one)
        return quietly(one.state === 'waiting' ? one.end('discarded', whyNot(one)) : one.end('stopped'), one.leg)
      case 'CHANNEL_PARK':
      case 'DTMF':
      case 'RECORD_START':
      case 'RECORD_STOP':
    }
  }

  function met(...pair: readonly [string, string]): void {
    for (const uuid of pair) quietly(byLeg.get(uuid)?.met() ?? Promise.resolve(), uuid)
    quietly(untold.met(...pair), pair[0])
  }

  /** Another engine drives the switch: it calls the servers itself. */
  function leaveTo(node: string): void {
    for (const one of byLeg.values()) {
      if (one.inFlight.siprec_node !== node) continue
      byLeg.delete(one.leg)
      quietly(one.leave(), one.leg)
    }
  }

  async function talksTo(one: Live, node: string, other: string): Promise<void> {
    const leg = await switches.node(node).leg(other)
    if (leg !== undefined) await one.talksTo(leg)
  }

  function leaving(one: Live): void {
    if ((one.state !== 'waiting' || one.tells) && one.state !== 'stopping') departed.add(one.leg, one.id, partOf(one), clock.elapsed())
  }

  async function follow(left: string, { accountId, leg, side, facts }: Survivor): Promise<void> {
    const before = byLeg.get(left)
    if (before !== undefined) leaving(before)
    const [part] = departed.take(left, clock.elapsed())
    const { owner_id: _owner, endpoint_id: _endpoint, label: _label, ...ofCall } = facts
    // Begun before the other ends, so that nothing said meanwhile is missing.
    const wanted = part?.follows === true && (part.request.by === 'policy' || !byLeg.has(leg.uuid))
    const request = wanted ? { accountId, leg, side, ...part.request, facts: { ...ofCall, ...part.facts } } : undefined
    if (request !== undefined && !recorder.refusals.holds({ settings: {}, ...request })) await start(request)
    if (before !== undefined) await finish(before)
  }

  /** After a gap in what the switch told, and of an engine that is gone: its dialogs died with it, so its calls are recorded anew. */
  async function adopt(name: string): Promise<void> {
    const node = switches.node(name)
    const rows = await store.query(IN_FLIGHT, 'in_flight/siprec_by_node', { key: name, includeDocs: true })
    const mine = new Set([...byLeg.values()].map(one => one.id))
    const here = [...byLeg.values()].filter(({ inFlight }) => inFlight.siprec_node === name)
    for (const one of here) quietly((await node.exists(one.leg)) ? one.met() : one.end('stopped'), one.leg)
    const found = rows.map(({ doc }) => doc as unknown as SiprecInFlight).filter(({ _id }) => !mine.has(_id))
    if (found.length === 0 || closed.signal.aborted) return
    for (const leg of await node.legs()) {
      if (leg.variables['callrec_recording_leg'] === 'true') await node.hangup(leg.uuid, 'NORMAL_CLEARING').catch(() => undefined)
    }
    for (const inFlight of found) {
      const recording = await knownRecording<SiprecRecording>(store, inFlight)
      if (recording === undefined) {
        await store.purge(IN_FLIGHT, inFlight._id)
        continue
      }
      const one = watch(inFlight, recording)
      const leg = await node.leg(inFlight.leg)
      if (leg === undefined) await one.end('failed', 'the engine that recorded it went, and the call ended meanwhile')
      else if (leg.answered) quietly(begin(one, name), one.leg)
    }
    log.info('siprec_adopted', { node: name, recordings: found.length })
  }

  const groupOf = (leg: string, interactionId: string): string | undefined =>
    (byLeg.get(leg) ?? [...byLeg.values()].find(one => one.interactionId === interactionId))?.document.group_id

  async function cover(interactionId: string, what: Cover, by: string): Promise<Covered[]> {
    const those = [...byLeg.values()].filter(one => one.interactionId === interactionId && one.state !== 'waiting' && one.state !== 'starting')
    await Promise.all(those.map(one => one.cover(what, by)))
    return those.map(one => ({ id: one.id, kind: 'siprec', leg: one.leg, state: one.state, ...(one.reason === undefined ? {} : { reason: one.reason }) }))
  }

  const ofLegs = (legs: readonly string[]): Live[] => legs.flatMap(leg => byLeg.get(leg) ?? [])

  const alone = recorder.alsoRecords({
    cover,
    groupOf,
    async asked(leg) {
      await byLeg.get(leg)?.asked()
    },
    saysNo(pair, leg, key) {
      const found = ofLegs(pair).find(one => one.isNo(leg, key))
      return found && callOf(found)
    },
    async refuse(interactionId, by) {
      await Promise.all([...byLeg.values()].filter(one => one.mayBeRefused && one.interactionId === interactionId).map(one => one.refuse(by)))
    },
  })
  const unsubscribe = switches.on(heard)

  async function start(request: SiprecRequest): Promise<SiprecStarted> {
    const { uuid } = request.leg
    recorder.refusals.check({ settings: {}, ...request })
    const failed = untold.standing(request)
    if (failed !== undefined) return failed
    if (request.by === 'policy') {
      while (starting.has(uuid)) await starting.get(uuid)?.catch(() => {})
      const there = byLeg.get(uuid)
      const joined = there && (await join(there, request))
      if (joined !== undefined) return joined
    } else refuseSecond(uuid)
    const made = startNow(request)
    starting.set(uuid, made)
    try {
      return await made
    } finally {
      starting.delete(uuid)
    }
  }

  function refuseSecond(leg: string): void {
    const there = byLeg.get(leg)
    if (starting.has(leg) || there?.state === 'starting' || there?.state === 'waiting') throw wrongState(DUPLICATE, 'starting')
    if (there !== undefined) throw wrongState(ALREADY, there.state)
  }

  async function join(there: Live, { servers, origin }: SiprecRequest): Promise<SiprecStarted | undefined> {
    const parsed = parseServers(servers)
    if ('fault' in parsed) return { id: there.id, state: 'failed', reason: parsed.fault, begun: Promise.resolve('failed') }
    return (await there.join(origin, parsed.uris)) ? { id: there.id, state: there.state, begun: Promise.resolve(there.state) } : undefined
  }

  return {
    start,
    follow,
    async stop(leg) {
      const one = byLeg.get(leg)
      if (one === undefined) throw wrongState('no SIPREC recording of this call runs', 'stopped')
      if (one.inFlight.by_policy === true) throw wrongState(STAYS, one.state)
      await finish(one)
      return standing(one)
    },
    running: leg => {
      const one = byLeg.get(leg)
      return one === undefined ? [] : [{ id: one.id, state: one.state }]
    },
    legNeverCame(leg) {
      const one = byLeg.get(leg)
      if (one?.state === 'waiting') quietly(one.end('discarded', 'never_answered'), leg)
    },
    async close() {
      closed.abort()
      unsubscribe()
      alone()
      await Promise.all([...byLeg.values()].map(one => one.leave()))
      await Promise.all(ending)
    },
  }
}
