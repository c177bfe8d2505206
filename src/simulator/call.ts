// The life of a leg: made, answered, joined with another, hung up, each with its events in the order a real switch sends
// them (transcript 60). What was heard is settled before anything changes it.

import { randomUUID } from 'node:crypto'

import type { Value } from './event.ts'
import { type Cause, q850Of, sipStatusOf } from './causes.ts'
import type { Exchange } from './exchange.ts'
import { isUp, type Leg, type Profile, setVariable, variable } from './leg.ts'
import { SILENCE, type Source } from './media.ts'
import { createPhone, nobody } from './phone.ts'
import { settle, stopAll } from './recording.ts'
import { createRunner } from './runner.ts'

export interface LegSpec {
  direction: 'inbound' | 'outbound'
  /** Who is called by an outbound leg, or calls by an inbound one. */
  user: string
  realm: string
  /** Channel-Name, where it is not that of a phone. */
  name?: string
  /** There is no phone. */
  nobody?: boolean
  destination: string
  callerIdName: string
  callerIdNumber: string
  dialplan?: string
  originator?: Leg
  /** In this order, after those every leg has. */
  variables: ReadonlyMap<string, Value>
}

/** Fires CHANNEL_CREATE. The uuid is `origination_uuid` where that is given and free. */
export function createLeg(exchange: Exchange, spec: LegSpec): Leg {
  const { direction, user, realm, originator } = spec
  const wanted = spec.variables.get('origination_uuid')
  const uuid = typeof wanted === 'string' && /^[\w.-]{1,64}$/.test(wanted) && !exchange.legs.has(wanted) ? wanted : randomUUID()
  const now = exchange.micros()
  const given = (name: string): string | undefined => {
    const value = spec.variables.get(name)
    return typeof value === 'string' ? value : undefined
  }
  const profile: Profile = {
    username: direction === 'inbound' ? user : '',
    dialplan: spec.dialplan ?? originator?.profile.dialplan ?? '',
    callerIdName: given('origination_caller_id_name') ?? spec.callerIdName,
    callerIdNumber: given('origination_caller_id_number') ?? spec.callerIdNumber,
    origCallerIdName: originator?.profile.origCallerIdName ?? '',
    origCallerIdNumber: originator?.profile.origCallerIdNumber ?? '',
    calleeIdName: given('origination_callee_id_name') ?? (originator ? 'Outbound Call' : ''),
    calleeIdNumber: given('origination_callee_id_number') ?? (originator ? spec.destination : ''),
    ani: originator?.profile.ani ?? spec.callerIdNumber,
    destination: spec.destination,
    source: direction === 'inbound' ? 'mod_sofia' : 'src/switch_ivr_originate.c',
    index: 1,
    created: now,
    channelCreated: now,
    answered: 0,
    progress: 0,
    progressMedia: 0,
    hangup: 0,
    bridged: 0,
  }
  if (!originator) {
    // The name of a leg that is called is not known before (transcript 60).
    profile.origCallerIdName = direction === 'inbound' ? profile.callerIdName : ''
    profile.origCallerIdNumber = profile.callerIdNumber
  }

  const leg: Leg = {
    uuid,
    sessionId: ++exchange.sessions,
    direction,
    name: spec.name ?? (spec.nobody === true ? `null/${user}` : `sofia/simulator/${user}@${realm}`),
    profile,
    state: 'CS_INIT',
    callState: 'DOWN',
    answerState: 'ringing',
    next: undefined,
    hitDialplan: false,
    callUuid: originator?.uuid ?? uuid,
    cause: undefined,
    destroyed: false,
    variables: new Map(),
    other: originator && {
      type: 'originator',
      uuid: originator.uuid,
      name: originator.name,
      direction: originator.direction,
      profile: stripped(originator.profile),
    },
    partner: undefined,
    room: undefined,
    since: exchange.timeline.now(),
    answeredAt: undefined,
    get phone() {
      return phone
    },
    get runner() {
      return runner
    },
    says: SILENCE,
    held: false,
    playing: undefined,
    volume: 1,
    recordings: [],
    displaced: [],
    message: undefined,
    onAnswer: undefined,
    onGone: undefined,
    onTaken: undefined,
  }
  const end = (cause: Cause): void => hangup(exchange, leg, cause)
  // Who calls in calls; of those the switch calls only a click-to-call's phone does (callrec_destination).
  const phone =
    spec.nobody === true ? nobody() : createPhone(exchange, leg, direction === 'inbound' || (!originator && spec.variables.has('callrec_destination')), end)
  const runner = createRunner(exchange, leg, { hangup: end, preAnswer: () => preAnswer(exchange, leg) })

  setVariable(leg, 'direction', direction)
  if (direction === 'outbound') setVariable(leg, 'is_outbound', 'true')
  setVariable(leg, 'uuid', uuid)
  setVariable(leg, 'session_id', String(leg.sessionId))
  setVariable(leg, 'channel_name', leg.name)
  if (originator) {
    for (const name of ['originator', 'signal_bond', 'originating_leg_uuid']) setVariable(leg, name, originator.uuid)
  }
  setVariable(leg, 'call_uuid', leg.callUuid)
  const [from, to] = direction === 'inbound' ? [`${user}@${realm}`, `${spec.destination}@${realm}`] : [`${profile.callerIdNumber}@${realm}`, `${user}@${realm}`]
  setVariable(leg, 'sip_from_user', from.split('@')[0])
  setVariable(leg, 'sip_from_uri', from)
  setVariable(leg, 'sip_to_user', to.split('@')[0])
  setVariable(leg, 'sip_to_uri', to)
  setVariable(leg, 'sip_req_user', to.split('@')[0])
  setVariable(leg, 'sip_req_uri', to)
  setVariable(leg, 'sip_call_id', randomUUID())
  for (const [name, value] of spec.variables) leg.variables.set(name, value)

  exchange.legs.set(uuid, leg)
  exchange.fireLeg('CHANNEL_CREATE', leg)
  if (direction === 'inbound') leg.callState = 'RINGING'
  leg.state = direction === 'inbound' ? 'CS_EXECUTE' : 'CS_CONSUME_MEDIA'
  phone.start()
  return leg
}

/** A leg seen from the one it called shows no times yet (transcript 60). */
const stripped = (profile: Profile): Profile => ({
  ...profile,
  created: 0,
  channelCreated: 0,
  answered: 0,
  progress: 0,
  progressMedia: 0,
  hangup: 0,
  bridged: 0,
})

export function ring(exchange: Exchange, leg: Leg): void {
  if (leg.answerState !== 'ringing' || leg.profile.progress) return
  leg.profile.progress = exchange.micros()
  exchange.fireLeg('CHANNEL_PROGRESS', leg)
  leg.callState = 'RINGING'
}

/** Early media: the caller can hear before it is answered. */
export function preAnswer(exchange: Exchange, leg: Leg): void {
  if (leg.answerState !== 'ringing') return
  leg.answerState = 'early'
  leg.callState = 'EARLY'
  startMedia(leg)
  if (leg.direction === 'outbound') leg.says = leg.phone.voice
  leg.profile.progressMedia = exchange.micros()
  exchange.fireLeg('CHANNEL_PROGRESS_MEDIA', leg)
}

export function answer(exchange: Exchange, leg: Leg): void {
  if (leg.answerState === 'answered' || !isUp(leg)) return
  settle(leg)
  leg.answerState = 'answered'
  leg.answeredAt = exchange.timeline.now()
  leg.profile.answered = exchange.micros()
  if (leg.direction === 'outbound') {
    leg.profile.calleeIdName = leg.profile.calleeIdNumber = leg.profile.destination
    for (const part of ['name', 'number'] as const) {
      const given = variable(leg, `origination_callee_id_${part}`)
      if (given !== undefined) leg.profile[part === 'name' ? 'calleeIdName' : 'calleeIdNumber'] = given
    }
  }
  startMedia(leg)
  leg.says = leg.phone.voice
  exchange.fireLeg('CHANNEL_ANSWER', leg)
  // The event still shows the state before (transcript 60: RINGING or DOWN).
  leg.callState = 'ACTIVE'
  setVariable(leg, 'endpoint_disposition', 'ANSWER')
  leg.phone.answered()
  leg.onAnswer?.()
}

function startMedia(leg: Leg): void {
  for (const name of ['read_codec', 'original_read_codec', 'write_codec']) setVariable(leg, name, 'PCMU')
  for (const name of ['read_rate', 'original_read_rate', 'write_rate']) setVariable(leg, name, '8000')
  setVariable(leg, 'dtmf_type', 'rfc2833')
}

/** Plays to a leg; undefined gives its partner back. */
export function play(leg: Leg, source: Source | undefined): void {
  settle(leg)
  leg.playing = source === undefined || leg.volume === 1 ? source : { ...source, gain: leg.volume }
}

/** From now on they hear each other. */
export function join(exchange: Exchange, a: Leg, b: Leg): void {
  settle(a)
  settle(b)
  a.partner = b
  b.partner = a
  a.profile.bridged = b.profile.bridged = exchange.micros()
  a.profile.calleeIdName = b.profile.calleeIdName
  a.profile.calleeIdNumber = b.profile.calleeIdNumber
  b.state = 'CS_EXCHANGE_MEDIA'
  a.other = { type: 'originatee', uuid: b.uuid, name: b.name, direction: b.direction, profile: { ...b.profile, bridged: 0 } }
  setVariable(a, 'signal_bond', b.uuid)
  exchange.fireLeg('CHANNEL_BRIDGE', a, [], bridgeIds(a, b))
  for (const [leg, far] of [
    [a, b],
    [b, a],
  ] as const) {
    for (const name of ['bridge_to', 'last_bridge_to', 'bridge_uuid', 'signal_bond']) setVariable(leg, name, far.uuid)
    setVariable(leg, 'bridge_channel', far.name)
  }
  setVariable(a, 'last_bridge_role', 'originator')
  setVariable(b, 'last_bridge_role', 'originatee')
  a.phone.bridged()
  b.phone.bridged()
  b.runner.bridged()
}

/** They hear each other no more. */
export function part(a: Leg, b: Leg): void {
  settle(a)
  settle(b)
  for (const leg of [a, b]) {
    setVariable(leg, 'bridge_to', undefined)
    leg.partner = undefined
  }
}

export const bridgeIds = (a: Leg, b: Leg): [string, string][] => [
  ['Bridge-A-Unique-ID', a.uuid],
  ['Bridge-B-Unique-ID', b.uuid],
]

/** CHANNEL_HANGUP, what it was busy with ends, recordings close, CHANNEL_HANGUP_COMPLETE, CHANNEL_DESTROY. */
export function hangup(exchange: Exchange, leg: Leg, cause: Cause): void {
  if (!isUp(leg)) return
  settle(leg)
  leg.answerState = 'hangup'
  leg.cause = cause
  exchange.unschedule(leg.uuid)
  exchange.fireLeg('CHANNEL_HANGUP', leg)
  leg.profile.hangup = exchange.micros()
  leg.phone.gone()
  if (leg.partner) part(leg, leg.partner)
  leg.runner.abort()
  leg.state = 'CS_HANGUP'
  stopAll(leg)
  for (const one of leg.displaced) one.stop()
  exchange.sip.targetGone(leg)
  leg.state = 'CS_REPORTING'
  leg.callState = 'HANGUP'
  const refused = leg.direction === 'outbound' && leg.profile.answered === 0
  if (refused) setVariable(leg, 'sip_invite_failure_status', String(sipStatusOf(cause)))
  setVariable(leg, 'sip_term_status', String(refused ? sipStatusOf(cause) : 200))
  setVariable(leg, 'hangup_cause', cause)
  setVariable(leg, 'hangup_cause_q850', String(q850Of(cause)))
  const seconds = (since: number | undefined): string => (since === undefined ? '0' : String(Math.round((exchange.timeline.now() - since) / 1000)))
  setVariable(leg, 'duration', seconds(leg.since))
  setVariable(leg, 'billsec', seconds(leg.answeredAt))
  exchange.fireLeg('CHANNEL_HANGUP_COMPLETE', leg, [], [['Hangup-Cause', cause]])
  exchange.legs.delete(leg.uuid)
  leg.onGone?.(cause)
  leg.destroyed = true
  exchange.fireLeg('CHANNEL_DESTROY', leg)
}
