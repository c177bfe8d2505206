// An event's JSON headers → the typed events of the port. FreeSWITCH may say less than one expects (no
// Unique-ID) or more (an array where a name was set twice), and neither may stop the rest.

import { READ_VARIABLES } from './switch.ts'
import type { Leg, SwitchEvent } from './switch.ts'

/** As JSON.parse gives them: strings, arrays of strings, anything a broken peer may send. */
export type EventHeaders = Readonly<Record<string, unknown>>

/** What every connection asks for; the last three never leave this room. */
export const SUBSCRIPTION = [
  'CHANNEL_PARK',
  'CHANNEL_ANSWER',
  'CHANNEL_BRIDGE',
  'CHANNEL_UNBRIDGE',
  'CHANNEL_HOLD',
  'CHANNEL_UNHOLD',
  'CHANNEL_HANGUP_COMPLETE',
  'CHANNEL_DESTROY',
  'RECORD_START',
  'RECORD_STOP',
  'DTMF',
  'CHANNEL_EXECUTE_COMPLETE',
  'BACKGROUND_JOB',
  'HEARTBEAT',
] as const

export function parseEvent(json: string): EventHeaders | undefined {
  try {
    const parsed: unknown = JSON.parse(json)
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as EventHeaders) : undefined
  } catch {
    return undefined
  }
}

/** A header as text; empty when it is not there. A list reads as uuid_getvar prints it. */
export function header(headers: EventHeaders, name: string): string {
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.length === 1 ? String(value[0]) : `ARRAY::${value.join('|:')}`
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
}

/** 9999-12-31: what comes later has a year of more than four figures, and the names of months have four. */
const LATEST = 253_402_300_799_999

const VARIABLE = 'variable_'
const OWN = 'variable_callrec_'
const RECORDING = 'Recording-Variable-'

function withPrefix(headers: EventHeaders, wanted: string, prefix: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name in headers) if (name.startsWith(wanted)) found[name.slice(prefix.length)] = header(headers, name)
  return found
}

function variablesOf(headers: EventHeaders): Record<string, string> {
  const found = withPrefix(headers, OWN, VARIABLE)
  for (const name of READ_VARIABLES) if (Object.hasOwn(headers, `${VARIABLE}${name}`)) found[name] = header(headers, `${VARIABLE}${name}`)
  return found
}

/** While it is bridged: `bridge_to` goes with the bridge; the Other-Leg headers and `bridge_uuid` stay behind. */
function otherLegOf(headers: EventHeaders, uuid: string): string {
  if (header(headers, 'Event-Name') !== 'CHANNEL_BRIDGE') return header(headers, 'variable_bridge_to')
  const [a, b] = [header(headers, 'Bridge-A-Unique-ID'), header(headers, 'Bridge-B-Unique-ID')]
  if (a === uuid && b !== '') return b
  return b === uuid && a !== '' ? a : header(headers, 'Other-Leg-Unique-ID')
}

/** Unix milliseconds of a header in microseconds; undefined where it is 0, or no time that a date can have. */
function timeOf(headers: EventHeaders, name: string): number | undefined {
  const ms = Math.floor(Number(header(headers, name)) / 1000)
  return ms > 0 && ms <= LATEST ? ms : undefined
}

/** Of a channel event or of uuid_dump; undefined when it names no channel. */
export function legOf(node: string, headers: EventHeaders): Leg | undefined {
  const uuid = header(headers, 'Unique-ID')
  if (uuid === '') return undefined
  const otherLeg = otherLegOf(headers, uuid)
  const createdAt = timeOf(headers, 'Caller-Channel-Created-Time')
  const answeredAt = timeOf(headers, 'Caller-Channel-Answered-Time')
  return {
    node,
    uuid,
    direction: header(headers, 'Call-Direction') === 'outbound' ? 'outbound' : 'inbound',
    // Answer-State is `hangup` afterwards, whether or not it was answered.
    answered: header(headers, 'Answer-State') === 'answered' || answeredAt !== undefined,
    destination: header(headers, 'Caller-Destination-Number'),
    callerIdName: header(headers, 'Caller-Caller-ID-Name'),
    callerIdNumber: header(headers, 'Caller-Caller-ID-Number'),
    calleeIdName: header(headers, 'Caller-Callee-ID-Name'),
    calleeIdNumber: header(headers, 'Caller-Callee-ID-Number'),
    sipFrom: header(headers, 'variable_sip_from_uri'),
    sipTo: header(headers, 'variable_sip_to_uri'),
    sipRequest: header(headers, 'variable_sip_req_uri'),
    sipCallId: header(headers, 'variable_sip_call_id'),
    sampleRate: Number(header(headers, 'Channel-Read-Codec-Rate')) || 0,
    ...(createdAt === undefined ? {} : { createdAt }),
    ...(answeredAt === undefined ? {} : { answeredAt }),
    ...(otherLeg === '' ? {} : { otherLeg }),
    variables: variablesOf(headers),
  }
}

/** `received` (Unix milliseconds) stands in where the switch gave no time of its own. Undefined: not an event of the port. */
export function eventOf(node: string, headers: EventHeaders, received: number): SwitchEvent | undefined {
  const leg = legOf(node, headers)
  if (leg === undefined) return undefined
  const about = { leg, at: timeOf(headers, 'Event-Date-Timestamp') ?? received }
  const name = header(headers, 'Event-Name')
  switch (name) {
    case 'CHANNEL_PARK':
    case 'CHANNEL_ANSWER':
    case 'CHANNEL_UNBRIDGE':
    case 'CHANNEL_HOLD':
    case 'CHANNEL_UNHOLD':
    case 'CHANNEL_DESTROY':
      return { name, ...about }
    case 'CHANNEL_BRIDGE':
      return { name, ...about, otherLeg: leg.otherLeg ?? '' }
    case 'CHANNEL_HANGUP_COMPLETE':
      return { name, ...about, cause: header(headers, 'Hangup-Cause') }
    case 'DTMF':
      return { name, ...about, digit: header(headers, 'DTMF-Digit') }
    case 'RECORD_START':
    case 'RECORD_STOP': {
      const recording = { ...about, path: header(headers, 'Record-File-Path'), variables: withPrefix(headers, RECORDING, RECORDING) }
      const cause = header(headers, 'Record-Completion-Cause')
      if (name === 'RECORD_START') return { name, ...recording }
      return { name, ...recording, ...(cause === '' ? {} : { cause }) }
    }
    default:
      return undefined
  }
}
