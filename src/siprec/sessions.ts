// The SIPREC recordings of all calls: starts and stops them, covers them with their calls, and has them go on where a party leaves.

import { isDeepStrictEqual } from 'node:util'
import { AppError, type ErrorCode, reasonOf } from '../errors.ts'
import type { Covered } from '../recording/cover-call.ts'
import { Departed } from '../recording/departed.ts'
import type { Survivor } from '../recording/following.ts'
import type { Cover, State } from '../recording/lifecycle.ts'
import { UNTOLD } from '../recording/telling.ts'
import { Untold } from '../recording/untold.ts'
import { recordingId } from '../store/modb.ts'
import { inFlightOf, recordingOf } from './document.ts'
import { hearing, whyNot } from './hearing.ts'
import type { Live } from './live.ts'
import { type Part, partOf, requestOf, sessionOf, type SiprecRequest, type SiprecStarted } from './request.ts'
import { callOf, Roster, type SiprecPorts } from './roster.ts'
import { MISSING, parseServers } from './uri.ts'

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

export const ALREADY = 'Cannot start recording when recording is already started'
export const STAYS = 'Cannot stop recording: policy started it, so it ends with the leg'
export const DUPLICATE = 'discarding duplicate startCallRecording request for a call'

const wrongState = (why: string, state: string): AppError => new AppError('wrong_state', why, { state })

const standing = ({ id, state }: Live): SiprecStarted => ({ id, state, begun: Promise.resolve(state) })

const refused = (id: string, reason: string, code: ErrorCode): SiprecStarted => ({ id, state: 'failed', reason, code, begun: Promise.resolve('failed') })

/** Whoever asks for it. */
const finish = (one: Live): Promise<void> => (one.state === 'waiting' ? one.end('discarded', one.tells ? whyNot(one) : 'never_begun') : one.end('stopped'))

export function startSiprec(ports: SiprecPorts): Siprec {
  const { switches, recorder, clock, log, random } = ports
  /** By leg: their documents are being written. */
  const starting = new Map<string, Promise<unknown>>()
  const departed = new Departed<Part>()

  const untold = new Untold<SiprecRequest, SiprecStarted>(
    { node: name => switches.node(name), announcer: recorder.telling.announcer, log },
    (one, other) => isDeepStrictEqual([one.servers, one.settings?.announce?.value], [other.servers, other.settings?.announce?.value]),
    request => start(request),
  )
  const roster = new Roster(ports, one => untold.add(refused(one.id, UNTOLD, 'wrong_state'), [requestOf(one)]))

  async function startNow(request: SiprecRequest): Promise<SiprecStarted> {
    const { leg, facts } = request
    const now = clock.now()
    const id = recordingId(now, random(16))
    const parsed = parseServers(request.servers)
    const groupId = request.groupId ?? recorder.groupOf(leg.uuid, facts.interaction_id) ?? roster.groupOf(leg.uuid, facts.interaction_id)
    const made = sessionOf(request, { id, now, servers: 'uris' in parsed ? parsed.uris : [], groupId })
    const one = roster.add(inFlightOf(made), recordingOf(made))
    try {
      await one.write()
    } catch (error) {
      roster.forget(leg.uuid)
      log.error('recording_not_started', { account_id: request.accountId, recording_id: id, leg: leg.uuid, reason: reasonOf(error) })
      return refused(id, reasonOf(error), error instanceof AppError ? error.code : 'datastore_fault')
    }
    if ('fault' in parsed) {
      const code = parsed.fault === MISSING ? 400 : 503
      await one.end('failed', code === 503 ? `503 ${parsed.fault}` : parsed.fault)
      if (one.required) await roster.hangup(one)
      return refused(id, parsed.fault, 'validation error')
    }
    // Nobody hears an unanswered leg, so it is remembered until then.
    const begun = (await isAnswered(leg)) ? roster.begin(one) : Promise.resolve(one.state)
    begun.catch((error: unknown) => log.error('siprec_failed', { recording_id: id, leg: leg.uuid, reason: reasonOf(error) }))
    // What is played from now on is heard after what is said.
    await one.asked().catch(() => {})
    return { id, state: one.state, begun }
  }

  async function isAnswered({ node, uuid, answered }: SiprecRequest['leg']): Promise<boolean> {
    if (answered) return true
    const leg = await switches
      .node(node)
      .leg(uuid)
      .catch(() => undefined)
    return leg?.answered === true
  }

  function leaving(one: Live): void {
    if ((one.state !== 'waiting' || one.tells) && one.state !== 'stopping') departed.add(one.leg, one.id, partOf(one), clock.elapsed())
  }

  async function follow(left: string, { accountId, leg, side, facts }: Survivor): Promise<void> {
    const before = roster.at(left)
    if (before !== undefined) leaving(before)
    const [part] = departed.take(left, clock.elapsed())
    const { owner_id: _owner, endpoint_id: _endpoint, label: _label, ...ofCall } = facts
    // Begun before the other ends, so that nothing said meanwhile is missing.
    const wanted = part?.follows === true && (part.request.by === 'policy' || roster.at(leg.uuid) === undefined)
    const request = wanted ? { accountId, leg, side, ...part.request, facts: { ...ofCall, ...part.facts } } : undefined
    if (request !== undefined && !recorder.refusals.holds({ settings: {}, ...request })) await start(request)
    if (before !== undefined) await finish(before)
  }

  async function cover(interactionId: string, what: Cover, by: string): Promise<Covered[]> {
    const those = roster.all.filter(one => one.interactionId === interactionId && one.state !== 'waiting' && one.state !== 'starting')
    await Promise.all(those.map(one => one.cover(what, by)))
    return those.map(one => ({ id: one.id, kind: 'siprec', leg: one.leg, state: one.state, ...(one.reason === undefined ? {} : { reason: one.reason }) }))
  }

  const ofLegs = (legs: readonly string[]): Live[] => legs.flatMap(leg => roster.at(leg) ?? [])

  const alone = recorder.alsoRecords({
    cover,
    groupOf: (leg, interactionId) => roster.groupOf(leg, interactionId),
    async asked(leg) {
      await roster.at(leg)?.asked()
    },
    saysNo(pair, leg, key) {
      const found = ofLegs(pair).find(one => one.isNo(leg, key))
      return found && callOf(found)
    },
    async refuse(interactionId, by) {
      await Promise.all(roster.all.filter(one => one.mayBeRefused && one.interactionId === interactionId).map(one => one.refuse(by)))
    },
  })
  const unsubscribe = switches.on(hearing(ports, roster, untold, leaving))

  async function start(request: SiprecRequest): Promise<SiprecStarted> {
    const { uuid } = request.leg
    recorder.refusals.check({ settings: {}, ...request })
    const failed = untold.standing(request)
    if (failed !== undefined) return failed
    if (request.by === 'policy') {
      while (starting.has(uuid)) await starting.get(uuid)?.catch(() => {})
      const there = roster.at(uuid)
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
    const there = roster.at(leg)
    if (starting.has(leg) || there?.state === 'starting' || there?.state === 'waiting') throw wrongState(DUPLICATE, 'starting')
    if (there !== undefined) throw wrongState(ALREADY, there.state)
  }

  async function join(there: Live, { servers, origin }: SiprecRequest): Promise<SiprecStarted | undefined> {
    const parsed = parseServers(servers)
    if ('fault' in parsed) return refused(there.id, parsed.fault, 'validation error')
    return (await there.join(origin, parsed.uris)) ? { id: there.id, state: there.state, begun: Promise.resolve(there.state) } : undefined
  }

  return {
    start,
    follow,
    async stop(leg) {
      const one = roster.at(leg)
      if (one === undefined) throw wrongState('no SIPREC recording of this call runs', 'stopped')
      if (one.inFlight.by_policy === true) throw wrongState(STAYS, one.state)
      await finish(one)
      return standing(one)
    },
    running: leg => {
      const one = roster.at(leg)
      return one === undefined ? [] : [{ id: one.id, state: one.state }]
    },
    legNeverCame(leg) {
      const one = roster.at(leg)
      if (one?.state === 'waiting') roster.quietly(one.end('discarded', 'never_answered'), leg)
    },
    async close() {
      unsubscribe()
      alone()
      await roster.close()
    },
  }
}
