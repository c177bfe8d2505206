// A leg (FreeSWITCH's channel): what is known of one side of a call, and how an event spells it out. No behaviour here;
// order and names of the headers are those of transcripts 10 and 60.

import type { Header, Value } from './event.ts'
import type { Cause } from './causes.ts'
import type { Source } from './media.ts'
import type { Recording } from './recording.ts'
import type { Phone } from './phone.ts'
import type { Room } from './room.ts'
import type { Runner } from './runner.ts'

const STATES = {
  CS_INIT: 2,
  CS_SOFT_EXECUTE: 3,
  CS_EXECUTE: 4,
  CS_EXCHANGE_MEDIA: 5,
  CS_CONSUME_MEDIA: 7,
  CS_HANGUP: 10,
  CS_REPORTING: 11,
} as const

/** The number is ahead of the name: decided to hang up, and destroyed (seen on FreeSWITCH 1.11.2). */
const [HANGING_UP, DESTROYED] = [10, 12]
/** … on its way to another dialplan, and to another leg. */
export const [ROUTING, HIBERNATE] = [2, 8]

/** `source` is what sounds now. */
export interface Displaced {
  readonly target: string
  readonly source: Source
  stop(): void
}

/** Who calls whom, with the times of it in microseconds of the wall; 0 = not yet. */
export interface Profile {
  username: string
  dialplan: string
  callerIdName: string
  callerIdNumber: string
  origCallerIdName: string
  origCallerIdNumber: string
  calleeIdName: string
  calleeIdNumber: string
  ani: string
  destination: string
  source: string
  index: number
  created: number
  channelCreated: number
  answered: number
  progress: number
  progressMedia: number
  hangup: number
  bridged: number
}

export interface Leg {
  readonly uuid: string
  readonly sessionId: number
  readonly direction: 'inbound' | 'outbound'
  /** Channel-Name. */
  readonly name: string
  readonly profile: Profile
  state: keyof typeof STATES
  callState: 'DOWN' | 'RINGING' | 'EARLY' | 'ACTIVE' | 'HANGUP'
  answerState: 'ringing' | 'early' | 'answered' | 'hangup'
  /** The state it was told to go to while it is still in `state`. */
  next: number | undefined
  hitDialplan: boolean
  /** uuid of the call: the leg that made this one, or its own. */
  callUuid: string
  cause: Cause | undefined
  destroyed: boolean
  readonly variables: Map<string, Value>
  /** The other side as it was when the two met; stays in the events after it is gone. */
  other: { type: 'originator' | 'originatee'; uuid: string; name: string; direction: 'inbound' | 'outbound'; profile: Profile } | undefined
  /** Bridged with, now. */
  partner: Leg | undefined
  /** Where several talk. */
  room: Room | undefined
  /** Call time at which it came into being, and was answered. */
  readonly since: number
  answeredAt: number | undefined
  readonly phone: Phone
  readonly runner: Runner
  /** What the far side says (FreeSWITCH's read), and what an application plays to it (write) instead of the partner. */
  says: Source
  /** Put aside by uuid_hold. */
  held: boolean
  playing: Source | undefined
  /** How loud it hears what is played to it (set_audio_level write); 1 = as it is. */
  volume: number
  readonly recordings: Recording[]
  /** Sounds over what it is sent (uuid_displace). */
  displaced: readonly Displaced[]
  /** The blocking `record`, while it runs. */
  message: Pick<Recording, 'flush' | 'stop'> | undefined
  /** Told when it is answered, and when it is gone; whoever made it listens. */
  onAnswer: (() => void) | undefined
  onGone: ((cause: Cause) => void) | undefined
  /** Taken out of the bridge it was called into; who bridged it listens. */
  onTaken: (() => void) | undefined
}

export const hasMedia = (leg: Leg): boolean => leg.answerState === 'answered' || leg.answerState === 'early'
export const isUp = (leg: Leg): boolean => leg.answerState !== 'hangup'

/** One value of a variable; of several the first. */
export function variable(leg: Leg, name: string): string | undefined {
  const value = leg.variables.get(name)
  return typeof value === 'string' ? value : value?.[0]
}

/** Empty unsets, as `uuid_setvar` without a value does. */
export function setVariable(leg: Leg, name: string, value: string | undefined): void {
  // FreeSWITCH keeps a variable's place when its value changes; a map does the same.
  if (value === undefined || value === '') leg.variables.delete(name)
  else leg.variables.set(name, value)
}

/** Adds to the values of a variable (SWITCH_STACK_PUSH). */
export function pushVariable(leg: Leg, name: string, value: string): void {
  const old = leg.variables.get(name)
  leg.variables.set(name, old === undefined ? value : [...(typeof old === 'string' ? [old] : old), value])
}

/** `first` stands before the channel's state, as Bridge-A-Unique-ID and the first Hangup-Cause do. */
export function legHeaders(leg: Leg, first: readonly Header[] = [], last: readonly Header[] = []): Header[] {
  const headers: Header[] = [
    ...first,
    ['Channel-State', leg.state],
    ['Channel-Call-State', leg.callState],
    ['Channel-State-Number', String(leg.destroyed ? DESTROYED : isUp(leg) ? (leg.next ?? STATES[leg.state]) : Math.max(HANGING_UP, STATES[leg.state]))],
    ['Channel-Name', leg.name],
    ['Unique-ID', leg.uuid],
    ['Call-Direction', leg.direction],
    ['Presence-Call-Direction', leg.direction],
    ['Channel-HIT-Dialplan', String(leg.hitDialplan)],
    ['Channel-Call-UUID', leg.callUuid],
    ['Answer-State', leg.answerState],
  ]
  if (leg.cause) headers.push(['Hangup-Cause', leg.cause])
  if (leg.profile.progressMedia || leg.profile.answered) {
    for (const way of ['Read', 'Write']) {
      headers.push([`Channel-${way}-Codec-Name`, 'PCMU'], [`Channel-${way}-Codec-Rate`, '8000'], [`Channel-${way}-Codec-Bit-Rate`, '64000'])
    }
  }
  profileHeaders(headers, 'Caller', leg.direction, leg.uuid, leg.name, leg.profile)
  if (leg.other) {
    headers.push(['Other-Type', leg.other.type])
    profileHeaders(headers, 'Other-Leg', leg.other.direction, leg.other.uuid, leg.other.name, leg.other.profile)
  }
  for (const [name, value] of leg.variables) headers.push([`variable_${name}`, value])
  headers.push(...last)
  return headers
}

function profileHeaders(headers: Header[], prefix: string, direction: string, uuid: string, name: string, profile: Profile): void {
  const add = (key: string, value: string): void => {
    headers.push([`${prefix}-${key}`, value])
  }
  const known = (key: string, value: string): void => {
    if (value !== '') add(key, value)
  }
  add('Direction', direction)
  add('Logical-Direction', prefix === 'Caller' ? direction : 'inbound')
  known('Username', profile.username)
  known('Dialplan', profile.dialplan)
  known('Caller-ID-Name', profile.callerIdName)
  known('Caller-ID-Number', profile.callerIdNumber)
  known('Orig-Caller-ID-Name', profile.origCallerIdName)
  known('Orig-Caller-ID-Number', profile.origCallerIdNumber)
  known('Callee-ID-Name', profile.calleeIdName)
  known('Callee-ID-Number', profile.calleeIdNumber)
  add('Network-Addr', '127.0.0.1')
  add('ANI', profile.ani)
  add('Destination-Number', profile.destination)
  add('Unique-ID', uuid)
  add('Source', profile.source)
  add('Context', 'default')
  add('Channel-Name', name)
  if (prefix === 'Caller') add('Profile-Index', String(profile.index))
  add('Profile-Created-Time', String(profile.created))
  add('Channel-Created-Time', String(profile.channelCreated))
  add('Channel-Answered-Time', String(profile.answered))
  add('Channel-Progress-Time', String(profile.progress))
  add('Channel-Progress-Media-Time', String(profile.progressMedia))
  add('Channel-Hangup-Time', String(profile.hangup))
  add('Channel-Transfer-Time', '0')
  add('Channel-Resurrect-Time', '0')
  add('Channel-Bridged-Time', String(profile.bridged))
  add('Channel-Last-Hold', '0')
  add('Channel-Hold-Accum', '0')
  add('Screen-Bit', 'true')
  add('Privacy-Hide-Name', 'false')
  add('Privacy-Hide-Number', 'false')
}
