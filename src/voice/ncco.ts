// NCCOs: what a voice application wants done with a call, as an array of actions; names are those of Vonage's NCCO
// reference. Pure.

import type { Fields } from './options.ts'

export const FORMATS = ['mp3', 'wav', 'ogg'] as const
type Method = 'GET' | 'POST'

/** What was said, as text, and who is told of it. */
export interface TranscriptionOptions {
  /** BCP 47. */
  language: string
  sentimentAnalysis: boolean
  eventUrl?: string
  eventMethod: Method
}

export interface RecordAction {
  action: 'record'
  /** Undefined: mp3, or wav where the switch cannot write that. */
  format?: (typeof FORMATS)[number]
  split?: 'conversation'
  /** 1: all in one; 2: the caller on the left, what he hears on the right. */
  channels: number
  /** Seconds. */
  endOnSilence?: number
  endOnKey?: string
  timeOut?: number
  beepStart: boolean
  transcription?: TranscriptionOptions
  eventUrl?: string
  eventMethod: Method
}

/** How something is played. */
interface Played {
  /** -1 to 1; 0: as loud as it is. */
  level: number
  /** 0: again and again. */
  loop: number
  /** A key ends it, and is the first of the `input` that follows. */
  bargeIn: boolean
}

export interface TalkAction extends Played {
  action: 'talk'
  text: string
  /** Which of the voices. */
  style: number
}

export interface StreamAction extends Played {
  action: 'stream'
  streamUrl: string
}

export interface InputAction {
  action: 'input'
  dtmf: { timeOut: number; maxDigits: number; submitOnHash: boolean }
  eventUrl?: string
  eventMethod: Method
}

export type Endpoint = { type: 'phone'; number: string } | { type: 'sip'; uri: string } | { type: 'device' | 'user'; id: string }

export interface ConnectAction {
  action: 'connect'
  endpoint: Endpoint
  /** Number to show. */
  from?: string
  /** Seconds it rings, and seconds they may talk. */
  timeout: number
  limit: number
  eventUrl?: string
  eventMethod: Method
}

export interface ConversationAction {
  action: 'conversation'
  name: string
  /** What those hear who wait for somebody that starts it. */
  musicOnHoldUrl?: string
  startOnEnter: boolean
  endOnExit: boolean
  record: boolean
  mute: boolean
  eventUrl?: string
  eventMethod: Method
}

export interface NotifyAction {
  action: 'notify'
  payload: Fields
  eventUrl: string
  eventMethod: Method
}

export interface WaitAction {
  action: 'wait'
  /** Seconds. */
  timeout: number
}

export type NccoAction = RecordAction | TalkAction | StreamAction | InputAction | ConnectAction | ConversationAction | NotifyAction | WaitAction

/** What can be done for the call: most of it by its switch. */
export interface Abilities {
  /** Of recordings. */
  formats: readonly string[]
  /** Of what is streamed. */
  plays: readonly string[]
  speech: boolean
  rooms: boolean
  /** Of what is said in recordings, text is made: in which languages (as `speaks` takes them; none: it is not), with a score for its mood, of which formats. */
  transcribes: { languages: readonly string[]; sentiment: boolean; formats: readonly string[] }
}

/** The words an application is told; what exactly is wrong stands beside them. */
export const SYNTAX_ERROR = 'Syntax error in NCCO. Invalid value type or action.'

export const MOST_ACTIONS = 1000

/** Any of the three makes it blocking: the next action waits until the first of them is met. */
export const isBlocking = ({ endOnSilence, endOnKey, timeOut }: RecordAction): boolean =>
  endOnSilence !== undefined || endOnKey !== undefined || timeOut !== undefined

export const isPlayed = (action: NccoAction): action is TalkAction | StreamAction => action.action === 'talk' || action.action === 'stream'

/** A recording that nothing ends keeps the call up when nothing comes after it. */
export const staysUp = (actions: readonly NccoAction[]): boolean => {
  const last = actions.at(-1)
  return last?.action === 'record' && !isBlocking(last)
}
