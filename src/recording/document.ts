// The two documents of a recording. The recording document is what tenants read, in the month
// database its id names; the in-flight document is the queue: it lives in `recordings_in_flight`
// until the file is where it was to go, and what a restart finds there is all that is pending.

import { recordingDb } from '../store/modb.ts'
import type { Doc, Stored } from '../store/store.ts'
import type { Consent } from './announce.ts'
import type { Encoded } from './audio/encoder.ts'
import type { Audio } from './finish.ts'
import type { State } from './lifecycle.ts'
import type { Gaps, Segment } from './segments.ts'
import type { Effective, Format, Network } from './settings.ts'
import type { Transcription } from './transcript.ts'

/** Who asked for a recording; what policy asked for, no callflow and no key may end. */
export type By = 'policy' | 'action'

export type Side = 'caller' | 'callee'

export interface Origin {
  /** As Kazoo words it, e.g. `inbound from onnet to endpoint`, `callflow : {label}`. */
  origin: string
  by: By
  /** Unix milliseconds; the latest of an action is the one its `stop` takes away. */
  at: number
}

/** Of a recording that a voice application asked for: what it knows it by, and where it is told of it. */
export interface VoiceFacts {
  recording_uuid: string
  /** In the URL of the file; its first 12 hex digits are the time in unix milliseconds, and with it the month (RFC 9562, version 7). */
  file_uuid: string
  conversation_uuid: string
  /** The application that may fetch it; absent: any of the account. */
  application_id?: string
  event_url?: string
  event_method: 'GET' | 'POST'
  /** Channels are told of where they were asked for. */
  split: boolean
  /** Where its transcript is told of, and the uuid in the URL of that. */
  transcript?: { file_uuid: string; event_url?: string; event_method: 'GET' | 'POST' }
}

/** What is known of the call when a recording is asked for. Empty strings where the switch did not say. */
export interface CallFacts {
  /** One for all legs and recordings of a conversation. */
  interaction_id: string
  /** The detail record of the call, whichever of its legs is recorded. */
  cdr_id: string
  /** Of the recorded leg, from the switch's view. */
  direction: 'inbound' | 'outbound'
  from: string
  to: string
  request: string
  caller_id_name: string
  caller_id_number: string
  callee_id_name: string
  callee_id_number: string
  sip_call_id: string
  owner_id?: string
  endpoint_id?: string
  label?: string
  custom_channel_vars: Readonly<Record<string, string>>
  /** What the call's detail record says of it beside all that, for where nobody sees the call end. */
  pvt_call?: { came_at: number; from: Network; to: Network }
  pvt_voice?: VoiceFacts
}

/** The destination of a recording without `url`: an attachment of its document. */
export const STORE = 'store'

export type DeliveryState = 'due' | 'uploading' | 'stored' | 'failed'

/** Written by delivery alone once it is `due`. Times are unix milliseconds in the queue and ISO 8601 in the recording. */
export interface Delivery<Time = number> {
  state: DeliveryState
  /** The URL without its user part and query, or `store`. */
  destination: string
  attempts: number
  next_at?: Time
  /** When it was first tried: from there the days until giving up count. */
  since?: Time
  last_error?: string
  stored_at?: string
  location?: string
}

/** Shapes and units: DESIGN §5; field names are Kazoo's (call_recordings.json) where it has one. */
export interface Recording extends Doc, CallFacts {
  pvt_type: 'call_recording'
  pvt_account_id: string
  /** Gregorian seconds. */
  pvt_created: number
  pvt_modified: number
  /** The switch whose spool has its file while there is one. */
  pvt_node?: string
  kind: 'file'
  state: State
  /** Why it was discarded or failed. */
  reason?: string
  /** The name the file has where it is delivered; the second one of a call ends in `_2` before its extension. */
  name: string
  media_type: Format
  content_type: (typeof CONTENT_TYPES)[Format]
  media_source: 'recorded'
  source_type: 'callrec'
  /** The uuid of the leg that is recorded. */
  call_id: string
  group_id: string
  origin: string
  origins: string[]
  url?: string
  /** Gregorian seconds; when audio began, or was asked for while there is none. */
  start: number
  duration: number
  duration_ms: number
  channels: number
  channel_labels: string[]
  sample_rate: number
  /** Each setting it was started with and the layer that said so. */
  policy: Effective
  warnings?: string[]
  /** What the parties were told of it, and what they answered. */
  consent?: Consent
  /** What cannot be heard in it, and who wanted it so. */
  segments?: Segment[]
  /** Whether every masked stretch is silent in the file; null where that could not be told. Absent where nothing was masked. */
  verified?: boolean | null
  verified_reason?: string
  size?: number
  sha256?: string
  delivery?: Delivery<string>
  /** Where a transcript is wanted. Written by the recorder until there is a file, then by who transcribes. */
  transcription?: Transcription
  /** Gregorian seconds from which on it is not kept any more; absent: for ever. */
  retain_until?: number
  /** Nothing of it is destroyed while this is true. Written by the API alone. */
  legal_hold?: boolean
}

/** What one party of a recording that has a channel for each says. */
export interface Track {
  leg: string
  /** Below the spool. */
  file: string
  /** Where in the audio of the recording it begins. */
  from_ms: number
}

/** What a successor needs to go on with a recording. Written by the recorder until `stopped`, then by delivery. */
export interface InFlight extends Doc {
  account_id: string
  node: string
  leg: string
  /** Whose leg it is; left is always the caller's side, so a callee's leg is recorded with its sides swapped. */
  side: Side
  state: State
  /** Why it will be failed or discarded, known before its end. */
  reason?: string
  /** What a caller says alone (the blocking `record`), not a leg that is overheard. */
  message?: true
  /** Below the spool directory, `{node}/{YYYYMM}/{id}.{format}`. */
  file: string
  /** What the file is to be encoded to, once it has ended. */
  encode?: Encoded
  /** Of one that has a channel for each party: more than two. */
  channels?: number
  /** Those that joined. */
  tracks?: readonly Track[]
  settings: Effective
  /** Milliseconds that earlier parts of it have: its limit and its least length count from their beginning. */
  earlier_ms?: number
  /** It ended for its next part to begin, and is not too short. */
  goes_on?: true
  origins: Origin[]
  /** Unix milliseconds when the switch confirmed the start. */
  started_at?: number
  gaps?: Gaps
  consent?: Consent
  /** Bytes of the file, once it has ended. */
  size?: number
  delivery?: Delivery
}

/** A delivery as tenants read it in the recording document. */
export const shown = ({ next_at, since, ...delivery }: Delivery): Delivery<string> => ({
  ...delivery,
  ...(next_at === undefined ? {} : { next_at: new Date(next_at).toISOString() }),
  ...(since === undefined ? {} : { since: new Date(since).toISOString() }),
})

export type StoredRecording = Stored<Recording>
export type StoredInFlight = Stored<InFlight>

export const IN_FLIGHT = 'recordings_in_flight'

export const recordingDbOf = (doc: { _id: string; account_id: string }): string => recordingDb(doc.account_id, doc._id)

export const CONTENT_TYPES = { mp3: 'audio/mpeg', ogg: 'audio/ogg', wav: 'audio/x-wav' } as const

/** What the ended file taught, in the recording document's own fields. */
export function audioFields({ durationMs, size, sha256, sampleRate, channels }: Audio): Partial<Recording> {
  return {
    duration: Math.floor(durationMs / 1000),
    duration_ms: durationMs,
    size,
    sha256,
    ...(sampleRate === undefined ? {} : { sample_rate: sampleRate }),
    ...(channels === undefined ? {} : { channels }),
  }
}

/** Keys of an object, because only those are checked to be all there are. */
const CALL_FACTS = Object.keys({
  interaction_id: 0,
  cdr_id: 0,
  direction: 0,
  from: 0,
  to: 0,
  request: 0,
  caller_id_name: 0,
  caller_id_number: 0,
  callee_id_name: 0,
  callee_id_number: 0,
  sip_call_id: 0,
  owner_id: 0,
  endpoint_id: 0,
  label: 0,
  custom_channel_vars: 0,
  pvt_call: 0,
  pvt_voice: 0,
} satisfies Record<keyof CallFacts, 0>) as (keyof CallFacts)[]

/** What one part of a conversation knew of its call, for the next. */
export const factsOf = (recording: CallFacts): CallFacts =>
  Object.fromEntries(CALL_FACTS.flatMap(key => (recording[key] === undefined ? [] : [[key, recording[key]]]))) as unknown as CallFacts
