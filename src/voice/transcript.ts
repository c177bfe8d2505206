// An application is told that what was said in its recording is there as text, or why it is not.

import { AppError, reasonOf } from '../errors.ts'
import type { Recording, VoiceFacts } from '../recording/document.ts'
import { signerFor } from './application.ts'
import { ask } from './ask.ts'
import type { VoicePorts } from './call.ts'
import type { Fields } from './options.ts'

export function transcriptEvent({ transcription, delivery, reason }: Recording, voice: VoiceFacts, publicUrl: string): Fields {
  const about = { conversation_uuid: voice.conversation_uuid, type: 'record', recording_uuid: voice.recording_uuid }
  if (transcription?.state === 'transcribed')
    return { ...about, status: 'transcribed', transcription_url: `${publicUrl}/v1/files/${voice.transcript?.file_uuid}` }
  return { ...about, status: 'failed', reason: transcription?.reason ?? delivery?.last_error ?? reason ?? 'the file was lost' }
}

/** Rejects where the application's server may have it later; one that does not want it is told in the log. */
export async function tellTranscript(ports: VoicePorts, recording: Recording, signal: AbortSignal): Promise<void> {
  const { pvt_account_id: account_id, _id: recording_id, pvt_voice: voice } = recording
  const to = voice?.transcript
  if (voice === undefined || to?.event_url === undefined) return
  const sign = await signerFor(ports, account_id, voice.application_id)
  const fields = { ...transcriptEvent(recording, voice, ports.publicUrl), timestamp: new Date(ports.wall.now()).toISOString() }
  try {
    await ask(ports, { url: to.event_url, method: to.event_method, ...(sign === undefined ? {} : { sign }) }, fields, { signal })
  } catch (error) {
    if (!isRefusal(error)) throw error
    ports.log.warn('voice_transcript_untold', { account_id, recording_id, why: reasonOf(error) })
  }
}

function isRefusal(error: unknown): boolean {
  if (!(error instanceof AppError) || error.retry) return false
  const { status } = error.data
  return typeof status !== 'number' || (status < 500 && status !== 429)
}
