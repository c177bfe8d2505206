// SIP status codes as hangup causes: what FreeSWITCH sends for a cause on a leg that is not answered
// (mod_sofia.c, hangup_cause_to_sip), read backwards.

const CAUSES: Readonly<Record<number, string>> = {
  403: 'OUTGOING_CALL_BARRED',
  404: 'UNALLOCATED_NUMBER',
  408: 'NO_USER_RESPONSE',
  410: 'NUMBER_CHANGED',
  480: 'NO_ANSWER',
  483: 'EXCHANGE_ROUTING_ERROR',
  484: 'INVALID_NUMBER_FORMAT',
  486: 'USER_BUSY',
  487: 'ORIGINATOR_CANCEL',
  488: 'BEARERCAPABILITY_NOTIMPL',
  501: 'FACILITY_REJECTED',
  502: 'DESTINATION_OUT_OF_ORDER',
  503: 'NORMAL_TEMPORARY_FAILURE',
  504: 'RECOVERY_ON_TIMER_EXPIRE',
  600: 'USER_BUSY',
  603: 'CALL_REJECTED',
}

/** Undefined for what is no final failure of SIP. A code that has no cause of its own becomes the nearest. */
export function causeOf(code: number): string | undefined {
  if (!Number.isInteger(code) || code < 400 || code > 699) return undefined
  return CAUSES[code] ?? (code < 500 ? 'NORMAL_UNSPECIFIED' : code < 600 ? 'NORMAL_TEMPORARY_FAILURE' : 'CALL_REJECTED')
}
