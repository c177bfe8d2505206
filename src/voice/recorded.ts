// What an application is told of a recording once its file is there, or never will be.

import type { Recording, VoiceFacts } from '../recording/document.ts'
import { fromGregorian } from '../store/modb.ts'
import { lifeId, type OwedLife } from './open-lives.ts'
import type { Fields } from './options.ts'
import { transcriptEvent } from './transcript.ts'

const iso = (unixMs: number): string => new Date(unixMs).toISOString().replace(/\.\d+Z$/, 'Z')

/** Of one that can be fetched. */
function recordedEvent(recording: Recording, voice: VoiceFacts, publicUrl: string): Fields {
  const start = fromGregorian(recording.start)
  return {
    start_time: iso(start),
    end_time: iso(start + recording.duration_ms),
    recording_url: `${publicUrl}/v1/files/${voice.file_uuid}`,
    size: recording.size ?? 0,
    recording_uuid: voice.recording_uuid,
    conversation_uuid: voice.conversation_uuid,
    ...(voice.split ? { channels: recording.channels } : {}),
  }
}

export const failure = ({ recording_uuid, conversation_uuid }: VoiceFacts): Fields => ({ recording_uuid, conversation_uuid, status: 'failed' })

/** What is to be told of one that is at its end, `now` in unix milliseconds; nothing where nobody is told. */
export function owedOf(recording: Recording | undefined, publicUrl: string, now: number): OwedLife[] {
  const voice = recording?.pvt_voice
  if (recording === undefined || voice === undefined) return []
  const { event_url: url, event_method: method, transcript } = voice
  const stored = recording.delivery?.state === 'stored'
  const fields = stored
    ? recordedEvent(recording, voice, publicUrl)
    : { ...failure(voice), reason: recording.delivery?.last_error ?? recording.reason ?? 'the file was lost' }
  const owed = (event_url: string, event_method: 'GET' | 'POST', end: Fields): OwedLife => ({
    _id: lifeId(recording._id, { url: event_url, method: event_method }, voice.application_id),
    pvt_type: 'voice_life',
    account_id: recording.pvt_account_id,
    node: recording.pvt_node ?? '',
    leg: recording.call_id,
    ...(voice.application_id === undefined ? {} : { application_id: voice.application_id }),
    event_url,
    event_method,
    about: {},
    came_at: now,
    end: { ...end, timestamp: new Date(now).toISOString() },
  })
  const told = url === undefined ? [] : [owed(url, method, fields)]
  // Whoever waits for the text alone would wait for ever.
  if (!stored && transcript?.event_url !== undefined && transcript.event_url !== url)
    told.push(owed(transcript.event_url, transcript.event_method, transcriptEvent(recording, voice, '')))
  return told
}
