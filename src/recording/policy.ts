// What is recorded, and why: the decision for one leg from the documents around it. Pure; the answer
// carries the settings with the layer of each and a sentence a person can read.

import type { Side } from './document.ts'
import {
  ACTION_DEFAULTS,
  type Effective,
  type Flags,
  type Leaves,
  type Network,
  POLICY_DEFAULTS,
  type Settings,
  everywhere,
  isEnabled,
  layer,
  merge,
  sameFile,
  settingsIn,
} from './settings.ts'

/** What the documents of one party say. Of callflows first the one that was dialled, then the one it branched into. */
export interface Documents {
  account?: Flags
  user?: Flags
  device?: Flags
  callflows: readonly Flags[]
  /** Whether the account lets parties refuse to be recorded. */
  mayRefuse?: boolean
}

export interface Way {
  /** `offnet`: the call came from a trunk. */
  from: Network
  /** `offnet`: the `no_match` callflow was matched, so it leaves by a trunk. */
  to: Network
  /** Seconds no recording may exceed, whoever asks for more. */
  maxTimeLimit: number
}

export interface Decision {
  record: boolean
  settings: Effective
  /** As Kazoo words it; DESIGN §6. */
  origin: string
  why: string
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null

const partOf = (call_recording: unknown, part: 'account' | 'endpoint'): unknown => (isObject(call_recording) ? call_recording[part] : undefined)

/** An account says what holds for its endpoints in `call_recording.endpoint`; `call_recording.account` is about the account as a whole. */
const endpointsOf = ({ record_call, call_recording }: Flags): Flags => ({
  record_call,
  call_recording: partOf(call_recording, 'endpoint'),
})

const merged = (defaults: Settings, { account = {}, user = {}, device = {}, callflows }: Documents): Leaves<Effective> =>
  merge(
    everywhere('system', defaults),
    layer('account', endpointsOf(account)),
    layer('user', user),
    layer('device', device),
    ...callflows.map(callflow => layer('callflow', callflow)),
  )

/** As it holds, whatever the documents say. */
const allowed = (settings: Effective, documents: Documents, seconds: number): Effective => refusable(capped(untilBridged(settings), seconds), documents)

/** Who waits for the bridge does not begin at the answer for want of a word about that (in Kazoo nothing waits for it unless told to). */
function untilBridged(settings: Effective): Effective {
  if (settings.record_on_bridge?.value !== true || settings.record_on_answer?.from !== 'system') return settings
  return { ...settings, record_on_answer: { value: false, from: 'system' } }
}

function capped(settings: Effective, seconds: number): Effective {
  const limit = settings.time_limit
  return limit === undefined || limit.value <= seconds ? settings : { ...settings, time_limit: { value: seconds, from: limit.from } }
}

function refusable(settings: Effective, { mayRefuse = false }: Documents): Effective {
  const { announce } = settings
  if (mayRefuse || announce === undefined || announce.value === false || announce.value.optout_key === undefined) return settings
  const { optout_key: _key, ...value } = announce.value
  return { ...settings, announce: { ...announce, value } }
}

function decided(settings: Effective, where: string, origin: string): Decision {
  const record = isEnabled(settings)
  const from = settings.enabled?.from
  const why = from === undefined ? `nobody switches ${where} calls' recording on` : `${where} calls are recorded: ${record ? 'yes' : 'no'}, says ${from}`
  return { record, settings, origin, why }
}

/**
 * The account's own policy, for the caller's leg. `call_recording.account` alone decides it, so nobody below the account can switch it
 * off. Where the call came from is asked first; where it goes only if that says nothing or no (cf_route_win.erl).
 */
export function decideAccount(documents: Documents, { from, to, maxTimeLimit }: Way): Decision {
  const { account } = documents
  const said = layer('account', { call_recording: partOf(account?.call_recording, 'account') })
  const { inbound, outbound } = merge(everywhere('system', POLICY_DEFAULTS), said)
  const words = (settings: Effective): string => (settings.enabled === undefined ? 'says nothing' : `says ${isEnabled(settings) ? 'yes' : 'no'}`)
  const came = `the account's own policy ${words(inbound[from])} of calls that come from ${from}`
  if (isEnabled(inbound[from]))
    return { record: true, settings: allowed(inbound[from], documents, maxTimeLimit), origin: `inbound from ${from} to account`, why: came }
  return {
    record: isEnabled(outbound[to]),
    settings: allowed(outbound[to], documents, maxTimeLimit),
    origin: `outbound to ${to} from account`,
    why: `${came}, and ${words(outbound[to])} of calls that go to ${to}`,
  }
}

/** Of a caller that came from a trunk there is no user and no device of the account: leave them out. */
const strangers = ({ user: _user, device: _device, ...documents }: Documents): Documents => documents

/** For the caller's leg, once, when the call begins. */
export function decideCaller(documents: Documents, { from, to, maxTimeLimit }: Way): Decision {
  if (from === 'offnet') {
    const settings = allowed(merged(POLICY_DEFAULTS, strangers(documents)).inbound.offnet, documents, maxTimeLimit)
    return decided(settings, 'inbound offnet', 'inbound from offnet to endpoint')
  }
  return decided(allowed(merged(POLICY_DEFAULTS, documents).outbound[to], documents, maxTimeLimit), `outbound ${to}`, `outbound to ${to} from endpoint`)
}

/** What is to run on the caller's leg when the call comes, and again when it is about to leave by a trunk. */
export const decideCallerLeg = (documents: Documents, way: Way): readonly Decision[] => [decideAccount(documents, way), decideCaller(documents, way)]

/**
 * For the leg of an endpoint that is about to be rung. `documents` are the endpoint's; `running` are the settings of what is being
 * recorded on the caller's leg. `confirms`: who answers is not connected before he has pressed a key.
 */
export function decideCallee(documents: Documents, { from, maxTimeLimit }: Way, running: readonly Effective[], confirms = false): Decision {
  const settings = allowed(merged(POLICY_DEFAULTS, documents).inbound[from], documents, maxTimeLimit)
  const decision = decided(settings, `inbound ${from}`, `inbound from ${from} to endpoint`)
  // One flag that holds for both parties would make the same file twice.
  const shared = settings.enabled?.from
  if (decision.record && isCommon(settings) && running.some(other => sameFile(other, settings))) {
    return { ...decision, record: false, why: `the caller's leg is recorded with the same settings, and ${shared} asks for both` }
  }
  return { ...decision, settings: confirms ? onceBridged(settings) : onceThere(settings) }
}

/** One flag asks for both parties of a call. */
export const isCommon = ({ enabled }: Effective): boolean => enabled?.from === 'system' || enabled?.from === 'account' || enabled?.from === 'callflow'

/** A leg that is yet to be rung cannot be recorded before it answers, whatever the documents say. */
function onceThere(settings: Effective): Effective {
  if (settings.record_on_answer?.value === true || settings.record_on_bridge?.value === true) return settings
  return { ...settings, record_on_answer: { value: true, from: 'system' } }
}

const onceBridged = (settings: Effective): Effective => ({
  ...settings,
  record_on_answer: { value: false, from: 'system' },
  record_on_bridge: { value: true, from: 'system' },
})

/** For a `record_caller` node: as `decideAction`, of what the caller says alone. */
export function decideMessage(documents: Documents, way: Way, data: unknown, label: string): Decision {
  const { settings, ...decision } = decideAction(documents, way, data, label)
  const { record_on_answer: _answer, record_on_bridge: _bridge, ...rest } = settings
  // There is one side, and nobody to whom it could be transferred.
  const fixed = { stereo: { value: false, from: 'system' }, should_follow_transfer: { value: false, from: 'system' } } as const
  return { ...decision, settings: { ...rest, ...fixed }, origin: `caller : ${label}`, why: 'the callflow asks the caller to speak at this point' }
}

/** For a `record_call` node, or who asks for the same from outside: it records whatever the flags say, with the party's settings below its own. */
export function decideAction(documents: Documents, { from, to, maxTimeLimit }: Way, data: unknown, label: string, side: Side = 'caller'): Decision {
  const isCallee = side === 'callee'
  const layers = merged(ACTION_DEFAULTS, from === 'offnet' && !isCallee ? strangers(documents) : documents)
  const own = everywhere('action', { ...settingsIn(data), enabled: true })
  const leaves = merge(layers, own)
  const settings = isCallee || from === 'offnet' ? leaves.inbound[from] : leaves.outbound[to]
  return { record: true, settings: allowed(settings, documents, maxTimeLimit), origin: `callflow : ${label}`, why: 'the callflow says so at this point' }
}
