// What is done to a call from outside of its flow, by the API or by keys. Whatever is asked of one call is done one
// after the other, so two who toggle at once both hear the truth.

import type { Clock } from '../clock.ts'
import { AppError, type ErrorCode, isCode, isErrorCode } from '../errors.ts'
import { createTurns } from '../in-turn.ts'
import { type Covered, type CoverRequest, interactionOf, type ToldLeg } from '../recording/cover-call.ts'
import { hides } from '../recording/covers.ts'
import type { Cover } from '../recording/lifecycle.ts'
import { decideAction } from '../recording/policy.ts'
import type { Recorder } from '../recording/recorder.ts'
import { sameFile } from '../recording/settings.ts'
import type { Started, StartRequest } from '../recording/starting.ts'
import type { SiprecStarted } from '../siprec/request.ts'
import { STAYS } from '../siprec/sessions.ts'
import { playable } from '../switch/media.ts'
import type { Leg } from '../switch/switch.ts'
import { callerDocuments, documentsOf, type Ports } from './call.ts'
import type { Fields } from './flow.ts'
import { cameAtOn } from './lives.ts'
import { calleeFacts, callerFacts, labelOf, type Talk } from './recording.ts'
import { recordByServers } from './siprec.ts'
import { talkOf } from './talk.ts'

export const RECORD_ACTIONS = ['start', 'stop', 'toggle', 'mask', 'unmask', 'pause', 'resume'] as const
export type RecordAction = (typeof RECORD_ACTIONS)[number]

type Hiding = Extract<RecordAction, 'mask' | 'pause'>

interface Asked {
  accountId: string
  /** `api`, `key *2`: in origins and in the gap map. */
  by: string
}

interface Recording extends Asked {
  /** As the data of a `record_call` node; what is absent is what the layers below say. */
  settings: Fields
}

/** What hides needs no more than the name of a leg, since it waits for nobody. */
type HideRequest = Recording & { action: Hiding; leg: CoverRequest['leg'] }
export type RecordRequest = HideRequest | (Recording & { action: Exclude<RecordAction, Hiding>; leg: ToldLeg })

const isHiding = (request: RecordRequest): request is HideRequest => request.action === 'mask' || request.action === 'pause'

export interface Controlled {
  /** What `toggle` came to. */
  action: Exclude<RecordAction, 'toggle'>
  /** How those it was about stand now. */
  recordings: Covered[]
}

export interface CallControl {
  /**
   * Resolves when the switch has confirmed it. Rejects with `leg_gone`, with `wrong_state` and the state where it is not possible
   * now, or with what kept a recording from beginning.
   */
  record(request: RecordRequest): Promise<Controlled>
  /**
   * Sends a call to recording servers, or ends that; `data` as of a `siprec_recording` node. The caller's leg is recorded, whichever is
   * named. Rejects as `record` does, and with `validation error` where the servers are none; that no server takes it is told by its document.
   */
  siprec(request: Asked & { leg: ToldLeg; data: Fields }): Promise<Controlled>
  /** See Recorder.recorded. */
  recorded: Recorder['recorded']
  /** Recordings of a leg that have not ended. */
  recordings(leg: string): { id: string; state: string; origins: readonly string[] }[]
  hangup(leg: Pick<Leg, 'node' | 'uuid'>): Promise<void>
  /**
   * Plays a tone or silence to the leg, to whom it talks with, or both, inside of their bridge: meanwhile they do not hear each other. Resolves
   * when it was played; rejects with `validation error` where it is none that may be played.
   */
  play(leg: Leg, media: unknown, to: PlayTo): Promise<void>
  /** To where a phone would get by dialling it. */
  transfer(leg: Leg, target: string): Promise<void>
}

/** Kazoo's words (metaflows.play.json). */
export const PLAY_TO = ['both', 'self', 'peer'] as const
export type PlayTo = (typeof PLAY_TO)[number]

export interface ControlPorts extends Pick<Ports, 'switches' | 'store' | 'recorder' | 'siprec' | 'log' | 'config'> {
  clock: Clock
}

/** Milliseconds of call time. */
const LONGEST_SOUND = 3_600_000
const NOT_PLAYABLE = 'not tone_stream://%(ms,ms,hz[,hz]) nor silence_stream://ms'

export const RUNS_ALREADY = 'Cannot start recording when recording is already started'

export function createControl(ports: ControlPorts): CallControl {
  const { switches, recorder, clock } = ports
  const inTurn = createTurns()

  async function legNow({ node, uuid }: Pick<Leg, 'node' | 'uuid'>): Promise<Leg> {
    const leg = await switches.node(node).leg(uuid)
    if (leg === undefined) throw new AppError('leg_gone', `${node}: no leg ${uuid}`, { node, leg: uuid })
    return leg
  }

  const talk = (leg: Leg): Promise<Talk | undefined> =>
    talkOf(ports, leg, leg.variables['callrec_to'] === 'offnet' ? 'offnet' : 'onnet', cameAtOn(leg) ?? leg.createdAt ?? clock.now())

  /** The leg that called, where this one was called. */
  async function callerOf(leg: Leg): Promise<Leg | undefined> {
    const { callrec_call_id: callId = leg.uuid } = leg.variables
    return callId === leg.uuid ? undefined : switches.node(leg.node).leg(callId)
  }

  /** Settings merged as for a node of its callflow, of the party whose leg it is. */
  async function asked(leg: Leg, { accountId, settings: data, by }: RecordRequest): Promise<StartRequest> {
    const caller = await callerOf(leg)
    const [own, called] = await Promise.all([talk(leg), caller === undefined ? undefined : talk(caller)])
    if (own === undefined) throw new AppError('leg_gone', `leg ${leg.uuid} is no account's any more`, { leg: leg.uuid })
    const about = called ?? own
    const label = labelOf(about, data)
    const side = called === undefined ? 'caller' : 'callee'
    const documents = called === undefined ? callerDocuments(own) : documentsOf(called, own.device, own.user)
    const { settings } = decideAction(documents, about.way, data, label, side)
    const party = own.device === undefined ? undefined : { uuid: leg.uuid, device: own.device, user: own.user }
    const facts = called === undefined || party === undefined ? callerFacts(about, label) : { ...calleeFacts(called, party), label }
    return { accountId, leg, fresh: false, side, facts, settings, origin: `${by} : ${label}`, by: 'action' }
  }

  async function start(request: RecordRequest): Promise<Controlled> {
    const leg = await legNow(request.leg)
    const wanted = await asked(leg, request)
    const twin = recorder.running(leg.uuid).find(one => one.state !== 'stopping' && sameFile(one.settings, wanted.settings))
    if (twin !== undefined) throw new AppError('wrong_state', RUNS_ALREADY, { state: twin.state, recording_id: twin.id })
    const started = await recorder.start(wanted)
    const stands = started.state === 'starting' ? ((await recorder.begun(started.id)) ?? started) : started
    if (stands.state === 'failed') throw refused(stands)
    return { action: 'start', recordings: [shown(stands, leg.uuid)] }
  }

  /** Undefined when no action, key or request started one that still runs. */
  async function stop({ leg }: RecordRequest): Promise<Controlled | undefined> {
    const now = await legNow(leg)
    for (const uuid of [now.uuid, ...(now.otherLeg === undefined ? [] : [now.otherLeg])]) {
      const stopped = await recorder.stopLatest(uuid)
      if (stopped !== undefined) return { action: 'stop', recordings: [shown(stopped, uuid)] }
    }
    return undefined
  }

  function nothingToStop(leg: string): AppError {
    const [policy] = recorder.running(leg)
    if (policy === undefined) return new AppError('wrong_state', 'Cannot stop recording when recording is not started', { state: 'stopped' })
    return new AppError('wrong_state', STAYS, { state: policy.state, recording_id: policy.id })
  }

  async function now(request: RecordRequest): Promise<Controlled> {
    const { accountId, action, by } = request
    if (action === 'start') return start(request)
    if (action === 'toggle') return (await stop(request)) ?? start(request)
    if (action === 'stop') {
      const stopped = await stop(request)
      if (stopped === undefined) throw nothingToStop(request.leg.uuid)
      return stopped
    }
    const what: Cover = action
    // What shows waited for its turn, and the parties may be others by now.
    return { action, recordings: await recorder.cover({ accountId, leg: hides(what) ? request.leg : await legNow(request.leg), what, by }) }
  }

  async function siprec({ accountId, leg: named, data, by }: Parameters<CallControl['siprec']>[0]): Promise<Controlled> {
    const own = await legNow(named)
    const leg = (await callerOf(own)) ?? own
    const { activity } = data
    if (activity === 'pause' || activity === 'resume') return { action: activity, recordings: await recorder.cover({ accountId, leg, what: activity, by }) }
    if (activity === 'stop') return { action: 'stop', recordings: [byServers(await ports.siprec.stop(leg.uuid), leg.uuid)] }
    const call = await talk(leg)
    if (call === undefined) throw new AppError('leg_gone', `leg ${leg.uuid} is no account's any more`, { leg: leg.uuid })
    const started = await recordByServers(call, data, by)
    const { id, state, reason = 'it could not begin', code = 'datastore_fault' } = started
    if (state === 'failed') throw new AppError(code, reason, { recording_id: id, state })
    return { action: 'start', recordings: [byServers(started, leg.uuid)] }
  }

  return {
    recorded: (accountId, leg) => recorder.recorded(accountId, leg),

    async record(request) {
      // A mask waits for nobody. What else both parties of a call ask for has one order.
      if (isHiding(request)) return now(request)
      return inTurn(interactionOf(request.leg), () => now(request))
    },

    // A pause waits for nobody.
    siprec: async request => (request.data['activity'] === 'pause' ? siprec(request) : inTurn(interactionOf(request.leg), () => siprec(request))),

    recordings: leg => recorder.running(leg).map(({ id, state, origins }) => ({ id, state, origins })),

    async hangup({ node, uuid }) {
      try {
        await switches.node(node).hangup(uuid, 'NORMAL_CLEARING')
      } catch (error) {
        if (!isCode(error, 'leg_gone')) throw error
      }
    },

    async play(leg, media, to) {
      const source = typeof media === 'string' ? playable(media) : undefined
      if (source === undefined) throw new AppError('validation error', NOT_PLAYABLE, { field: 'id' })
      const { otherLeg } = await legNow(leg)
      if (otherLeg === undefined && to === 'peer') throw new AppError('wrong_state', 'the leg talks with nobody', { leg: leg.uuid })
      const node = switches.node(leg.node)
      const legs = [...(to === 'peer' ? [] : [leg.uuid]), ...(to === 'self' || otherLeg === undefined ? [] : [otherLeg])]
      await Promise.all(legs.map(uuid => node.execute(uuid, 'playback', source, { timeoutMs: LONGEST_SOUND })))
    },

    async transfer(leg, target) {
      // Both contexts park it for us; a phone's may dial whatever phones may.
      const context = leg.variables['callrec_device_id'] === undefined ? 'callrec-transfer' : 'callrec'
      await switches.node(leg.node).transfer(leg.uuid, target, context)
    },
  }
}

const byServers = ({ id, state }: SiprecStarted, leg: string): Covered => ({ id, kind: 'siprec', leg, state })

const shown = ({ id, state, reason }: Started, leg: string): Covered => ({ id, kind: 'file', leg, state, ...(reason === undefined ? {} : { reason }) })

function refused({ id, reason = '' }: Started): AppError {
  const code: ErrorCode = isErrorCode(reason) ? reason : 'datastore_fault'
  return new AppError(code, `the recording could not begin: ${reason}`, { recording_id: id, state: 'failed' })
}
