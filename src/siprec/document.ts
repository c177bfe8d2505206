// What is kept of a SIPREC recording: a recording document of its own, beside those of files, with the state of each server; and what a
// successor of this engine needs to go on.

import type { Consent } from '../recording/announce.ts'
import type { By, CallFacts, Side } from '../recording/document.ts'
import type { State } from '../recording/lifecycle.ts'
import type { Gaps, Segment } from '../recording/segments.ts'
import type { Effective } from '../recording/settings.ts'
import { toGregorian } from '../store/modb.ts'
import type { Doc } from '../store/store.ts'

export type ServerState = 'starting' | 'recording' | 'paused' | 'waiting' | 'stopped' | 'failed'

export interface ServerEntry {
  uri: string
  /** `waiting`: it was lost, or could not take the call, and is called again soon. */
  state: ServerState
  /** SIP status of its last refusal; 503 for an address that is none or leads nowhere. */
  code?: number
  reason?: string
  /** Whether its audio is encrypted. */
  media?: 'srtp' | 'clear'
}

/** Of the settings of a recording those that are about its parties. */
export type Told = Pick<Effective, 'announce' | 'beep'>

const toldBy = ({ announce, beep }: Effective): Told => ({ ...(announce === undefined ? {} : { announce }), ...(beep === undefined ? {} : { beep }) })

/** The header that tells servers what they are to know a recording by. */
export const RECORDING_ID = 'X-Srs-Recording-ID'

export type Mode = 'separate' | 'mixed'

export interface SiprecRecording extends Doc, CallFacts {
  pvt_type: 'call_recording'
  pvt_account_id: string
  pvt_created: number
  pvt_modified: number
  kind: 'siprec'
  state: State
  reason?: string
  name: string
  media_source: 'recorded'
  source_type: 'callrec'
  call_id: string
  group_id: string
  origin: string
  origins: string[]
  start: number
  duration: number
  duration_ms: number
  channels: number
  channel_labels: string[]
  sample_rate: number
  servers: ServerEntry[]
  /** What the servers know it by. */
  siprec_recording_id: string
  segments?: Segment[]
  /** What the parties were told of it, and what they answered. */
  consent?: Consent
}

/** `siprec_node` and not `node`: those of files are taken over by that. */
export interface SiprecInFlight extends Doc {
  account_id: string
  siprec_node: string
  leg: string
  side: Side
  /** As it was asked for. */
  servers: readonly string[]
  headers: Readonly<Record<string, string>>
  mode: Mode
  required: boolean
  /** Policy wants it: it ends with its leg, whatever an action says. */
  by_policy?: true
  /** It ends where its leg leaves the conversation, and no next part goes on with who is left. */
  ends_with_leg?: true
  /** What is said to whom. */
  settings?: Told
  started_at?: number
  gaps?: Gaps
}

export interface NewSession {
  id: string
  accountId: string
  node: string
  leg: string
  side: Side
  facts: CallFacts
  /** The latest recording of the same call, whose group it joins. */
  groupId?: string
  origin: string
  by: By
  servers: readonly string[]
  headers: Readonly<Record<string, string>>
  mode: Mode
  required: boolean
  follows: boolean
  settings: Effective
  recordingId: string
  /** Unix milliseconds. */
  now: number
}

export function recordingOf({ id, accountId, leg, facts, groupId = id, origin, servers, mode, recordingId, now }: NewSession): SiprecRecording {
  return {
    ...facts,
    _id: id,
    pvt_type: 'call_recording',
    pvt_account_id: accountId,
    pvt_created: toGregorian(now),
    pvt_modified: toGregorian(now),
    kind: 'siprec',
    state: 'waiting',
    name: `siprec_${leg}`,
    media_source: 'recorded',
    source_type: 'callrec',
    call_id: leg,
    group_id: groupId,
    origin,
    origins: [origin],
    start: toGregorian(now),
    duration: 0,
    duration_ms: 0,
    channels: mode === 'mixed' ? 1 : 2,
    channel_labels: mode === 'mixed' ? ['mixed'] : ['caller', 'callee'],
    sample_rate: 8000,
    servers: servers.map(uri => ({ uri, state: 'starting' })),
    siprec_recording_id: recordingId,
  }
}

export const inFlightOf = ({ id, accountId, node, leg, side, by, servers, headers, mode, required, follows, settings }: NewSession): SiprecInFlight => ({
  _id: id,
  account_id: accountId,
  siprec_node: node,
  leg,
  side,
  servers,
  headers,
  mode,
  required,
  ...(by === 'policy' ? { by_policy: true } : {}),
  ...(follows ? {} : { ends_with_leg: true }),
  settings: toldBy(settings),
})
