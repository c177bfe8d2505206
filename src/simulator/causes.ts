// Hangup causes: FreeSWITCH's names (switch_channel.c) with their numbers, and what a SIP peer would have said.

const CAUSES = {
  UNALLOCATED_NUMBER: [1, 404],
  NO_ROUTE_DESTINATION: [3, 404],
  NORMAL_CLEARING: [16, 480],
  USER_BUSY: [17, 486],
  NO_USER_RESPONSE: [18, 408],
  NO_ANSWER: [19, 480],
  SUBSCRIBER_ABSENT: [20, 480],
  CALL_REJECTED: [21, 603],
  NUMBER_CHANGED: [22, 410],
  DESTINATION_OUT_OF_ORDER: [27, 502],
  INVALID_NUMBER_FORMAT: [28, 484],
  NORMAL_UNSPECIFIED: [31, 480],
  NORMAL_CIRCUIT_CONGESTION: [34, 503],
  NETWORK_OUT_OF_ORDER: [38, 503],
  NORMAL_TEMPORARY_FAILURE: [41, 503],
  SWITCH_CONGESTION: [42, 503],
  REQUESTED_CHAN_UNAVAIL: [44, 503],
  OUTGOING_CALL_BARRED: [52, 403],
  INCOMING_CALL_BARRED: [54, 403],
  SERVICE_UNAVAILABLE: [63, 503],
  CHAN_NOT_IMPLEMENTED: [66, 501],
  INCOMPATIBLE_DESTINATION: [88, 488],
  RECOVERY_ON_TIMER_EXPIRE: [102, 504],
  INTERWORKING: [127, 500],
  ORIGINATOR_CANCEL: [487, 487],
  SYSTEM_SHUTDOWN: [701, 503],
  LOSE_RACE: [702, 487],
  MANAGER_REQUEST: [703, 487],
  BLIND_TRANSFER: [800, 480],
  ATTENDED_TRANSFER: [801, 480],
  ALLOTTED_TIMEOUT: [802, 480],
  MEDIA_TIMEOUT: [804, 480],
  PICKED_OFF: [805, 480],
  USER_NOT_REGISTERED: [806, 480],
  PROGRESS_TIMEOUT: [807, 480],
  INVALID_GATEWAY: [808, 480],
  DECLINE: [816, 603],
} as const satisfies Record<string, readonly [number, number]>

export type Cause = keyof typeof CAUSES

export const isCause = (text: string): text is Cause => Object.hasOwn(CAUSES, text)

/** Name or number, in any case; what is unknown clears normally. */
export function causeOf(text: string | undefined): Cause {
  const name = (text ?? '').toUpperCase()
  if (isCause(name)) return name
  for (const known of Object.keys(CAUSES)) if (isCause(known) && String(CAUSES[known][0]) === name) return known
  return 'NORMAL_CLEARING'
}

export const q850Of = (cause: Cause): number => (CAUSES[cause][0] > 127 ? 16 : CAUSES[cause][0])

/** The SIP status a phone refuses a call with. */
export const sipStatusOf = (cause: Cause): number => CAUSES[cause][1]
