// A leg (FreeSWITCH's channel): what is known of one side of a call, and of those it has to do with: who sits there, what
// it is busy with, what records it, where it talks. No behaviour here: the files that have it look down to this one.

import type { Value } from './event.ts'
import type { Cause } from './causes.ts'
import type { Source } from './media.ts'

export type State = 'CS_INIT' | 'CS_SOFT_EXECUTE' | 'CS_EXECUTE' | 'CS_EXCHANGE_MEDIA' | 'CS_CONSUME_MEDIA' | 'CS_HANGUP' | 'CS_REPORTING'

/** Numbers that are ahead of the name: on its way to another dialplan, and to another leg (seen on FreeSWITCH 1.11.2). */
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

export type Reaction = { answerAfter: number; early?: boolean } | { refuse: Cause } | 'never'

/** Who sits at the far side. */
export interface Phone {
  readonly caller: boolean
  /** What it says: nothing before it has media, as early media something else than once it is answered. */
  readonly voice: Source
  /** What it does when it rings. */
  reaction(originator: Leg | undefined): Reaction
  start(): void
  answered(): void
  /** It hears something. */
  media(): void
  bridged(): void
  /** The switch rings somebody for it. */
  dialing(): void
  /** Nobody came. */
  dialed(): void
  gone(): void
}

/** One uuid_record. */
export interface Recording {
  readonly path: string
  /** Writes down what was heard until now; call it before anything that is heard changes. */
  flush(): void
  /** Silence of the same length; no event tells of it. */
  mask(on: boolean): void
  /** Cuts the time out of the file; no event either. */
  pause(on: boolean): void
  /** Closes the file and fires RECORD_STOP. */
  stop(): void
}

/** Several who talk. */
export interface Room {
  readonly members: Map<Leg, { muted: boolean; leave: () => void }>
}

export interface Action {
  app: string
  arg: string
}

export interface Execution extends Action {
  /** Comes back as Application-UUID. */
  uuid?: string
  /** event-lock: nothing else is taken while it runs. */
  lock: boolean
  loops?: number
}

export type Message = Execution | { hangup: Cause }

export interface Runner {
  /** Runs one application after the other; a leg with nothing left to do is hung up. */
  dialplan(actions: readonly Action[]): void
  message(message: Message): void
  /** Takes messages from now on, as the far leg of a bridge does. */
  bridged(): void
  /** uuid_break; `all` forgets what is queued, too. */
  interrupt(all: boolean): void
  digit(digit: string): void
  /** The leg was hung up. */
  abort(): void
  /** The leg goes elsewhere: what it is busy with ends, and the rest of its dialplan is forgotten. */
  leave(): void
}

export interface Leg {
  readonly uuid: string
  readonly sessionId: number
  readonly direction: 'inbound' | 'outbound'
  /** Channel-Name. */
  readonly name: string
  readonly profile: Profile
  state: State
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
