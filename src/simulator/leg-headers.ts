// How an event spells out a leg; order and names of the headers are those of transcripts 10 and 60.

import type { Header } from './event.ts'
import { isUp, type Leg, type Profile, type State } from './leg.ts'

const STATES: Readonly<Record<State, number>> = {
  CS_INIT: 2,
  CS_SOFT_EXECUTE: 3,
  CS_EXECUTE: 4,
  CS_EXCHANGE_MEDIA: 5,
  CS_CONSUME_MEDIA: 7,
  CS_HANGUP: 10,
  CS_REPORTING: 11,
}

/** The number is ahead of the name: decided to hang up, and destroyed (seen on FreeSWITCH 1.11.2). */
const [HANGING_UP, DESTROYED] = [10, 12]

/** `first` stands before the channel's state, as Bridge-A-Unique-ID and the first Hangup-Cause do. */
export function legHeaders(leg: Leg, first: readonly Header[] = [], last: readonly Header[] = []): Header[] {
  const variables = [...leg.variables].map(([name, value]): Header => [`variable_${name}`, value])
  return [...bareHeaders(leg, first), ...variables, ...last]
}

/** Without its variables, as a key is told. */
export function bareHeaders(leg: Leg, first: readonly Header[] = []): Header[] {
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
