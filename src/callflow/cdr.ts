// The detail record of a call that is over: pure. Durations are of call time; the id is that of the first leg
// in the month the call came, so writing it twice is writing one document.

import type { Network } from '../recording/settings.ts'
import { cdrId, toGregorian } from '../store/modb.ts'
import type { Doc } from '../store/store.ts'
import type { Leg } from '../switch/switch.ts'
import { text } from './documents.ts'

export interface OverCall {
  accountId: string
  account: Doc
  device: Doc | undefined
  /** Undefined for a call that was refused before it came to one. */
  dialled: Doc | undefined
  number: string
  interactionId: string
  leg: Pick<Leg, 'uuid' | 'direction' | 'sipCallId' | 'sipFrom' | 'sipTo' | 'sipRequest' | 'callerIdName' | 'callerIdNumber' | 'calleeIdName' | 'variables'>
  way: { from: Network; to: Network }
  /** Unix milliseconds. */
  cameAt: number
  /** Milliseconds from then to the answer; undefined when there was none. */
  answeredAfterMs: number | undefined
  /** … and to the end. */
  endedAfterMs: number
  hangupCause: string
  /** Nobody heard its end: its times are those of its recordings, its cause is not known. */
  unheard?: true
  /** Ids, oldest first. */
  recordings: readonly string[]
}

export interface Cdr extends Doc {
  pvt_type: 'cdr'
  pvt_account_id: string
  /** Gregorian seconds when the call came: what lists go by. */
  pvt_created: number
  pvt_modified: number
  call_id: string
  interaction_id: string
  duration_seconds: number
  ringing_seconds: number
  billing_seconds: number
  hangup_cause: string
  disposition: 'ANSWERED' | 'BUSY' | 'NO ANSWER' | 'FAILED'
  /** See OverCall.unheard. */
  end_unheard?: true
  media_recordings: string[]
}

const NOBODY = new Set(['NO_ANSWER', 'NO_USER_RESPONSE', 'ORIGINATOR_CANCEL', 'ALLOTTED_TIMEOUT'])

function disposition(answered: boolean, cause: string): Cdr['disposition'] {
  if (answered) return 'ANSWERED'
  if (cause === 'USER_BUSY') return 'BUSY'
  return NOBODY.has(cause) ? 'NO ANSWER' : 'FAILED'
}

const seconds = (ms: number): number => Math.round(Math.max(0, ms) / 1000)

export function cdrOf(call: OverCall): Cdr {
  const { accountId, account, device, dialled, number, interactionId, leg, way, cameAt, answeredAfterMs, endedAfterMs, hangupCause, unheard, recordings } = call
  const realm = text(account['realm'])
  // A leg that callrec made was itself called, so what its SIP says is the wrong way round.
  const made = leg.direction === 'outbound'
  const told = (sip: string, otherwise: string): string => (made || sip === '' ? `${otherwise}@${realm}` : sip)
  const owner = text(device?.['owner_id'])
  const { callrec_application_id: application } = leg.variables
  return {
    _id: cdrId(cameAt, leg.uuid),
    pvt_type: 'cdr',
    pvt_account_id: accountId,
    pvt_created: toGregorian(cameAt),
    pvt_modified: toGregorian(cameAt + endedAfterMs),
    call_id: leg.uuid,
    interaction_id: interactionId,
    sip_call_id: leg.sipCallId,
    direction: leg.direction,
    from: told(leg.sipFrom, leg.callerIdNumber),
    to: told(leg.sipTo, number),
    request: told(leg.sipRequest, number),
    caller_id_name: leg.callerIdName,
    caller_id_number: leg.callerIdNumber,
    callee_id_name: leg.calleeIdName,
    callee_id_number: number,
    from_network: way.from,
    to_network: way.to,
    ...(dialled === undefined ? {} : { callflow_id: dialled._id }),
    ...(device === undefined ? {} : { authorizing_id: device._id, authorizing_type: 'device' }),
    ...(owner === '' ? {} : { owner_id: owner }),
    ...(application === undefined ? {} : { application_id: application }),
    timestamp: toGregorian(cameAt),
    ...(answeredAfterMs === undefined ? {} : { answered_at: toGregorian(cameAt + answeredAfterMs) }),
    ended_at: toGregorian(cameAt + endedAfterMs),
    duration_seconds: seconds(endedAfterMs),
    ringing_seconds: seconds(answeredAfterMs ?? endedAfterMs),
    billing_seconds: answeredAfterMs === undefined ? 0 : seconds(endedAfterMs - answeredAfterMs),
    hangup_cause: hangupCause,
    disposition: disposition(answeredAfterMs !== undefined, hangupCause),
    ...(unheard === undefined ? {} : { end_unheard: unheard }),
    media_recordings: [...recordings],
  }
}
