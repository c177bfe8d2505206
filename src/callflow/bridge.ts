// One bridge: whom it rings, recorded or not, and what became of it. The ids of the legs are ours before
// they exist, so that a recording can wait for them.

import { isCode } from '../errors.ts'
import { decideCallee } from '../recording/policy.ts'
import { bridgeArgument, displayable, type Target } from '../switch/commands.ts'
import { type Call, documentsOf, execute, type LegEvent } from './call.ts'
import { isObject, text } from './documents.ts'
import { next, type Outcome, stop } from './flow.ts'
import { type Callee, recordCallee } from './recording.ts'

/** One leg to be made. */
export interface Rung {
  uuid: string
  /** As it is dialled. */
  endpoint: string
  /** Seconds before it rings, and it rings then. */
  delay?: number
  timeout?: number
  /** The phone of ours it is, and who forwarded the call there. */
  callees?: readonly Callee[]
  /** It leaves for the world. */
  trunk?: boolean
  /** Who answers has to press 1 before he is connected. */
  keypress?: boolean
  /** Number that is shown in place of the caller's. */
  shows?: string
}

/** 32 hex → the form FreeSWITCH gives its own legs. */
export const newLegId = (call: Call): string => call.ports.random(16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')

/** `internal`: to phones of the account; `external`: to the world. */
export type Shown = 'internal' | 'external'

/**
 * What the documents want the other side to see; names and numbers are outside text and go by setVariables alone. Of a caller from a
 * trunk they say nothing to a phone: he is none of the account's. What a caller says of himself stays where a phone can be shown it.
 */
export async function showCaller(call: Call, as: Shown): Promise<void> {
  const stranger = call.way.from === 'offnet' && as === 'internal'
  const layers = (stranger ? [] : [call.device, call.user, call.account]).map(doc => (isObject(doc?.['caller_id']) ? doc['caller_id'][as] : undefined))
  const said = (key: 'name' | 'number', own: string): string | undefined => {
    const wanted = layers.map(one => (isObject(one) ? text(one[key]) : '')).find(one => one !== '')
    return wanted === undefined && displayable(own) === own ? undefined : displayable(wanted ?? own)
  }
  // What an earlier bridge showed is not for this one.
  const instead = call.shown === undefined || call.shown === as ? undefined : null
  const shown = {
    effective_caller_id_name: said('name', call.leg.callerIdName) ?? instead,
    effective_caller_id_number: call.showsNumber ?? said('number', call.leg.callerIdNumber) ?? instead,
  }
  call.shown = as
  const changes = Object.entries(shown).filter((one): one is [string, string | null] => one[1] !== undefined)
  if (changes.length > 0) await call.node.setVariables(call.leg.uuid, Object.fromEntries(changes))
}

/** Rings all of them at once for so many seconds; stops the flow when somebody answered. */
export async function bridge(call: Call, rung: readonly Rung[], seconds: number): Promise<Outcome> {
  const waiting = new Set<string>()
  await Promise.all(
    rung.map(async ({ uuid, callees = [] }) => {
      for (const callee of callees) if (await recordIfDecided(call, callee)) waiting.add(uuid)
    }),
  )
  // A leg that was answered has told so before its bridge ends. One of which nothing is known by then was not, or was not even made.
  const ended = new Map<string, Ended>()
  const unwatch = rung.map(({ uuid }) =>
    call.watch(uuid, event => {
      waiting.delete(uuid)
      if (event.name === 'CHANNEL_HANGUP_COMPLETE') ended.set(uuid, event)
    }),
  )
  try {
    // One limit for all: with one for each leg nobody's answer is ALLOTTED_TIMEOUT (seen on 1.11), which no callflow branches on.
    await execute(call, 'bridge', bridgeArgument(targets(call, rung), { originate_timeout: String(seconds) }))
  } catch (error) {
    // What goes on at a switch that is out of reach is not known; the recorder asks it when it is back.
    if (isCode(error, 'switch_down') || isCode(error, 'switch_timeout')) waiting.clear()
    throw error
  } finally {
    for (const end of unwatch) end()
    for (const uuid of waiting) {
      call.ports.recorder.legNeverCame(uuid)
      call.ports.siprec.legNeverCame(uuid)
    }
  }
  return whatCameOfIt(call, [...ended.values()])
}

/** True when a recording now waits for the leg. */
async function recordIfDecided(call: Call, callee: Callee): Promise<boolean> {
  const { leg, ports, way } = call
  const running = ports.recorder.running(leg.uuid).map(({ settings }) => settings)
  const decision = decideCallee(documentsOf(call, callee.device, callee.user), way, running, callee.keypress)
  call.log.debug('callee_policy_decided', { device_id: callee.device?._id, record: decision.record, why: decision.why })
  return decision.record && (await recordCallee(call, callee, decision))
}

/** Heard once by who answers; a tone, because there is nothing to say it with. */
const CONFIRM = { group_confirm_key: '1', group_confirm_file: 'tone_stream://1' }

const targets = (call: Call, rung: readonly Rung[]): Target[] =>
  rung.map(({ uuid, endpoint, delay, timeout, callees: [callee] = [], trunk = false, keypress = false, shows }) => ({
    endpoint,
    uuid,
    ...(delay === undefined ? {} : { delay }),
    ...(timeout === undefined ? {} : { timeout }),
    variables: {
      callrec_account_id: call.accountId,
      // A number outside is no phone of ours, whoever forwards to it.
      ...(callee?.device === undefined || trunk ? {} : { callrec_device_id: callee.device._id }),
      // A phone may transfer it later, and then it comes to us as what it is.
      ...(trunk ? { callrec_inception: 'offnet' } : {}),
      callrec_call_id: call.leg.uuid,
      callrec_interaction_id: call.interactionId,
      callrec_callflow_id: call.callflow._id,
      ...(shows === undefined ? {} : { origination_caller_id_number: shows, origination_caller_id_name: shows }),
      ...(keypress ? CONFIRM : {}),
    },
  }))

type Ended = Extract<LegEvent, { name: 'CHANNEL_HANGUP_COMPLETE' }>

/** A leg that stops ringing before the others ends so, and would give the bridge its name. */
const named = (cause: string): string => (cause === 'ALLOTTED_TIMEOUT' ? 'NO_ANSWER' : cause)

/** `bridge_hangup_cause` stays from an earlier bridge of the leg; `originate_disposition` is always of this one (transcript 60). */
function whatCameOfIt(call: Call, ended: readonly Ended[]): Outcome {
  const disposition = call.leg.variables['originate_disposition'] ?? ''
  if (disposition === 'SUCCESS') return stop()
  const raw = disposition || (ended.at(-1)?.cause ?? 'NORMAL_UNSPECIFIED')
  const status = ended.find(one => one.cause === raw)?.leg.variables['sip_invite_failure_status'] ?? ''
  const cause = named(raw)
  call.last = { cause, sipStatus: status }
  call.log.info('bridge_failed', { cause, ...(status === '' ? {} : { sip_status: status }) })
  return status === '' ? next(cause) : next(cause, status)
}
