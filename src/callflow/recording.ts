// From a decision to the recorder: what is known of the call when a recording is asked for. A call is
// never cut off because it cannot be recorded, so nothing here throws.

import { isCode, reasonOf } from '../errors.ts'
import type { CallFacts } from '../recording/document.ts'
import { type Decision, decideAction, decideCallerLeg } from '../recording/policy.ts'
import type { MessageRequest, Spoken } from '../recording/message.ts'
import type { StartRequest } from '../recording/starting.ts'
import { sameFile } from '../recording/settings.ts'
import { type Call, callerDocuments, type Ports, unlessAborted } from './call.ts'
import { nameOf, sipUsername, text } from './documents.ts'
import { cdrId } from '../store/modb.ts'
import type { Fault } from './expressions.ts'
import type { Fields } from './flow.ts'
import type { Doc } from '../store/store.ts'
import type { Leg } from '../switch/switch.ts'

/** What is known of a conversation, from the side of who began it. */
export type Talk = Pick<
  Call,
  'accountId' | 'account' | 'device' | 'user' | 'dialled' | 'callflow' | 'number' | 'interactionId' | 'cameAt' | 'way' | 'leg' | 'log'
> & {
  ports: Pick<Ports, 'recorder' | 'siprec'>
}

/** A device that is about to be rung and the leg it will have. */
export interface Callee {
  uuid: string
  /** Undefined where a user without one forwards. */
  device: Doc | undefined
  user: Doc | undefined
  /** The number outside that is rung for it. */
  outside?: string
  /** It is not connected before a key was pressed. */
  keypress?: boolean
}

const realm = (call: Talk): string => text(call.account['realm'])
const address = (name: string, call: Talk): string => `${name}@${realm(call)}`

const owned = (device: Doc | undefined): Pick<CallFacts, 'owner_id' | 'endpoint_id'> => {
  const owner = text(device?.['owner_id'])
  return { ...(owner === '' ? {} : { owner_id: owner }), ...(device === undefined ? {} : { endpoint_id: device._id }) }
}

/** Kazoo's names for what it keeps as channel variables of its own. */
const channelVars = (call: Talk, device: Doc | undefined): Record<string, string> => ({
  account_id: call.accountId,
  call_interaction_id: call.interactionId,
  ...(call.callflow._id === '' ? {} : { callflow_id: call.callflow._id }),
  realm: realm(call),
  ...(device === undefined ? {} : { authorizing_id: device._id, authorizing_type: 'device', username: sipUsername(device) }),
  ...(text(device?.['owner_id']) === '' ? {} : { owner_id: text(device?.['owner_id']) }),
})

/** From whom, to what. A leg that callrec made was itself called, so what its SIP says is the wrong way round. */
function route(call: Talk): Pick<CallFacts, 'from' | 'to' | 'request' | 'caller_id_name' | 'caller_id_number'> {
  const { leg, number } = call
  const made = leg.direction === 'outbound'
  const told = (sip: string, otherwise: string): string => (made || sip === '' ? address(otherwise, call) : sip)
  return {
    from: told(leg.sipFrom, leg.callerIdNumber),
    to: told(leg.sipTo, number),
    request: told(leg.sipRequest, number),
    caller_id_name: leg.callerIdName,
    caller_id_number: leg.callerIdNumber,
  }
}

const callAs = ({ cameAt, way: { from, to } }: Talk): NonNullable<CallFacts['pvt_call']> => ({ came_at: cameAt, from, to })

export function callerFacts(call: Talk, label?: string): CallFacts {
  return {
    interaction_id: call.interactionId,
    cdr_id: cdrId(call.cameAt, call.leg.uuid),
    direction: call.leg.direction,
    ...route(call),
    callee_id_name: '',
    callee_id_number: call.number,
    sip_call_id: call.leg.sipCallId,
    ...owned(call.device),
    ...(label === undefined ? {} : { label }),
    custom_channel_vars: channelVars(call, call.device),
    pvt_call: callAs(call),
  }
}

export function calleeFacts(call: Talk, { device, user, outside }: Callee): CallFacts {
  const rung = address(outside ?? (device === undefined ? '' : sipUsername(device)), call)
  return {
    interaction_id: call.interactionId,
    cdr_id: cdrId(call.cameAt, call.leg.uuid),
    direction: 'outbound',
    ...route(call),
    to: rung,
    request: rung,
    callee_id_name: nameOf(device, user),
    callee_id_number: call.number,
    // The leg's own Call-ID exists once it rings.
    sip_call_id: '',
    ...(device === undefined && user !== undefined ? { owner_id: user._id } : owned(device)),
    custom_channel_vars: channelVars(call, device),
    pvt_call: callAs(call),
  }
}

type Asked = Pick<StartRequest, 'leg' | 'fresh' | 'side' | 'by' | 'facts'>

/** False when the recorder knows nothing of the leg. */
async function start(call: Talk, { settings, origin }: Decision, asked: Asked): Promise<boolean> {
  const about = { recorded_leg: asked.leg.uuid, origin }
  try {
    const started = await call.ports.recorder.start({ accountId: call.accountId, settings, origin, ...asked })
    if (started.state === 'failed') call.log.error('recording_refused', { ...about, recording_id: started.id, reason: started.reason })
    if (asked.by === 'policy') await toServers(call, { settings, origin }, asked)
    return true
  } catch (error) {
    const refused = isCode(error, 'wrong_state')
    call.log[refused ? 'info' : 'error']('recording_not_started', { ...about, reason: reasonOf(error) })
    return false
  }
}

/** Beside the file, where a layer names servers. */
async function toServers(call: Talk, { settings, origin }: Pick<Decision, 'settings' | 'origin'>, { leg, side, facts, by }: Asked): Promise<void> {
  const servers = settings.siprec_server?.value
  if (servers === undefined) return
  const started = await call.ports.siprec.start({
    accountId: call.accountId,
    leg,
    side,
    facts,
    servers,
    origin,
    by,
    settings,
    follows: settings.should_follow_transfer?.value !== false,
  })
  if (started.state === 'failed') call.log.error('siprec_refused', { recorded_leg: leg.uuid, recording_id: started.id, reason: started.reason })
}

/** Policy asks for the recording of a call before its first action; `fresh`: nobody can have recorded the leg before. */
export const recordNewCaller = (call: Talk, decision: Decision, fresh: boolean): Promise<boolean> =>
  start(call, decision, { leg: call.leg, fresh, side: 'caller', by: 'policy', facts: callerFacts(call) })

/** What a `record_call` node calls its recording. */
export const labelOf = (call: Pick<Call, 'callflow' | 'number'>, data: Fields): string => text(data['label']) || text(call.callflow['name']) || call.number

/** Policy is asked once more in the middle of a call: what it wants of the caller's leg begins, unless it runs already. */
export async function recordAgain(call: Talk): Promise<void> {
  const running = call.ports.recorder.running(call.leg.uuid)
  for (const decision of decideCallerLeg(callerDocuments(call), call.way)) {
    const runs = running.some(({ settings, origins }) => origins.includes(decision.origin) && sameFile(settings, decision.settings))
    if (decision.record && !runs) await start(call, decision, { leg: call.leg, fresh: false, side: 'caller', by: 'policy', facts: callerFacts(call) })
  }
}

/**
 * What was recorded of a leg that has left goes on with the one it talked to, as the next part of the same conversation; what of it
 * does not follow transfers ends.
 */
export async function recordOn(
  call: Talk,
  left: string,
  facts: CallFacts = callerFacts(call),
  to: Pick<StartRequest, 'leg' | 'side'> = { leg: call.leg, side: 'caller' },
): Promise<void> {
  for (const room of [call.ports.recorder, call.ports.siprec]) {
    try {
      await room.follow(left, { accountId: call.accountId, facts, ...to })
    } catch (error) {
      call.log.error('recording_not_continued', { recorded_leg: left, surviving_leg: to.leg.uuid, reason: reasonOf(error) })
    }
  }
}

/** The call is about to leave by a trunk. */
export async function recordLeaving(call: Call): Promise<void> {
  call.way = { ...call.way, to: 'offnet' }
  await recordAgain(call)
}

export const recordCaller = (call: Talk, decision: Decision, label: string): Promise<boolean> =>
  start(call, decision, { leg: call.leg, fresh: false, side: 'caller', by: 'action', facts: callerFacts(call, label) })

/** An action was to record, and what it was told cannot be read: its document says so, as the log does. */
export async function recordingRefused(call: Call, data: Fields, faults: readonly Fault[]): Promise<void> {
  const broken = new Set(faults.map(({ path }) => path[0]))
  const readable = Object.fromEntries(Object.entries(data).filter(([name]) => !broken.has(name)))
  const label = labelOf(call, readable)
  const { settings, origin } = decideAction(callerDocuments(call), call.way, readable, label)
  const asked = { leg: call.leg, fresh: false, side: 'caller' as const, by: 'action' as const, facts: callerFacts(call, label) }
  const warnings = faults.map(({ path, expression, why }) => `data.${path.join('.')}: ${expression} – ${why}`)
  try {
    await call.ports.recorder.refuse({ accountId: call.accountId, settings, origin, ...asked }, 'expression_failed', warnings)
  } catch (error) {
    call.log.error('recording_not_started', { recorded_leg: call.leg.uuid, origin, reason: reasonOf(error) })
  }
}

/** What the caller says alone, until the recorder answers; undefined where it does not. */
export async function recordSpoken(call: Call, { settings, origin }: Decision, label: string, until: MessageRequest['until']): Promise<Spoken | undefined> {
  const about = { recorded_leg: call.leg.uuid, origin }
  const asked = {
    accountId: call.accountId,
    leg: call.leg,
    fresh: false,
    side: 'caller' as const,
    facts: callerFacts(call, label),
    settings,
    origin,
    by: 'action' as const,
  }
  try {
    const spoken = await unlessAborted(call.signal, call.ports.recorder.message({ ...asked, until }))
    if (spoken.state === 'failed') call.log.error('recording_refused', { ...about, recording_id: spoken.id, reason: spoken.reason })
    return spoken
  } catch (error) {
    if (call.signal.aborted || isCode(error, 'leg_gone') || isCode(error, 'switch_down')) throw error
    call.log.error('recording_not_started', { ...about, reason: reasonOf(error) })
    return undefined
  }
}

/** Before the bridge, so that the documents are there when it answers; `leg`: it is there already. */
export function recordCallee(call: Talk, callee: Callee, decision: Decision, leg?: Leg): Promise<boolean> {
  const asked = leg ?? { node: call.leg.node, uuid: callee.uuid, answered: false, sampleRate: 0 }
  return start(call, decision, { leg: asked, fresh: leg === undefined, side: 'callee', by: 'policy', facts: calleeFacts(call, callee) })
}
