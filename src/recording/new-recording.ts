// A recording that begins: its two documents, from what is known at that moment.

import { toGregorian } from '../store/modb.ts'
import { type CallFacts, CONTENT_TYPES, type InFlight, type Origin, type Recording, type Side } from './document.ts'
import type { State } from './lifecycle.ts'
import type { Effective, Format } from './settings.ts'
import type { TranscriptionWish } from './transcript.ts'

/** Seconds. */
const DAY = 86_400

export interface NewRecording {
  id: string
  accountId: string
  node: string
  leg: string
  side: Side
  facts: CallFacts
  settings: Effective
  /** What it becomes, which may not be what the settings ask for. */
  format: Format
  /** What the switch writes: WAV, where it is encoded at the end. */
  written: Format
  /** More than two: one for each party that joins. */
  channels?: number
  warnings: readonly string[]
  /** The first one is what the recording began with. */
  origins: readonly [Origin, ...Origin[]]
  /** Of the recording this one continues. */
  groupId?: string
  /** Milliseconds of it that there are. */
  earlierMs?: number
  /** What a caller says alone. */
  message?: true
  transcription?: TranscriptionWish
  state: State
  /** Hz. */
  sampleRate: number
  /** How many recordings of the same leg came before. */
  before: number
  /** Unix milliseconds. */
  now: number
}

/** Below the spool. */
export const fileOf = ({ id, node, format }: Pick<NewRecording, 'id' | 'node' | 'format'>): string => `${node}/${id.slice(0, 'YYYYMM'.length)}/${id}.${format}`

export function inFlightOf({
  id,
  accountId,
  node,
  leg,
  side,
  settings,
  format,
  written,
  channels,
  earlierMs,
  origins,
  message,
  state,
}: NewRecording): InFlight {
  return {
    _id: id,
    account_id: accountId,
    node,
    leg,
    side,
    state,
    file: fileOf({ id, node, format: written }),
    ...(format === written || format === 'wav' ? {} : { encode: format }),
    ...(channels === undefined ? {} : { channels }),
    settings,
    ...(earlierMs === undefined ? {} : { earlier_ms: earlierMs }),
    origins: [...origins],
    ...(message === undefined ? {} : { message }),
  }
}

export function recordingOf(made: NewRecording): Recording {
  const {
    id,
    accountId,
    node,
    leg,
    facts,
    settings,
    format,
    channels,
    warnings,
    origins,
    groupId = id,
    message,
    transcription,
    state,
    sampleRate,
    before,
    now,
  } = made
  const url = settings.url?.value
  const stereo = settings.stereo?.value === true
  const days = settings.retention_days?.value ?? 0
  return {
    ...facts,
    _id: id,
    pvt_type: 'call_recording',
    pvt_account_id: accountId,
    pvt_created: toGregorian(now),
    pvt_modified: toGregorian(now),
    pvt_node: node,
    kind: 'file',
    state,
    // A second file of the same call must not overwrite the first where it is delivered.
    name: `call_recording_${leg}${before === 0 ? '' : `_${before + 1}`}.${format}`,
    media_type: format,
    content_type: CONTENT_TYPES[format],
    media_source: 'recorded',
    source_type: 'callrec',
    call_id: leg,
    group_id: groupId,
    origin: origins[0].origin,
    origins: origins.map(one => one.origin),
    ...(url === undefined ? {} : { url }),
    start: toGregorian(now),
    duration: 0,
    duration_ms: 0,
    channels: channels ?? (stereo ? 2 : 1),
    channel_labels: message || channels !== undefined ? ['caller'] : stereo ? ['caller', 'callee'] : ['mixed'],
    sample_rate: sampleRate,
    policy: settings,
    ...(transcription === undefined ? {} : { transcription: { ...transcription, state: 'due' } }),
    ...(days === 0 ? {} : { retain_until: toGregorian(now) + days * DAY }),
    ...(warnings.length === 0 ? {} : { warnings: [...warnings] }),
  }
}
