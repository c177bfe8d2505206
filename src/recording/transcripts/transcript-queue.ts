// What is still to be transcribed, or told of: documents of `recordings_in_flight` beside those of recordings, so that a restart
// finds them. A recording gets its own once its file is stored, and before the queue of deliveries forgets it.

import { isCode } from '../../errors.ts'
import type { Doc, Store } from '../../store/store.ts'
import { IN_FLIGHT, type Recording } from '../document.ts'

export interface Pending extends Doc {
  account_id: string
  recording_id: string
  transcript: {
    /** Until then (unix milliseconds) it is this engine's. */
    engine: string
    until: number
    /** Not before then. */
    next_at: number
    /** Of making it. */
    attempts: number
    /** Of telling it, and since when. */
    told?: { attempts: number; since: number }
  }
}

export const PENDING = 'in_flight/transcripts'
export const pendingId = (recordingId: string): string => `transcript-${recordingId}`

/** Milliseconds for which whoever stored the file has it for himself. */
const OWN = 3600_000

/** Does nothing where none is wanted, or it stands there already. */
export async function enqueue(
  store: Store,
  recording: Pick<Recording, '_id' | 'pvt_account_id' | 'transcription'>,
  engine: string,
  now: number,
): Promise<void> {
  if (recording.transcription?.state !== 'due') return
  const { _id: recording_id, pvt_account_id: account_id } = recording
  const transcript = { engine, until: now + OWN, next_at: now, attempts: 0 }
  const pending: Pending = { _id: pendingId(recording_id), account_id, recording_id, transcript }
  await store.put(IN_FLIGHT, pending).catch((error: unknown) => {
    if (!isCode(error, 'datastore_conflict')) throw error
  })
}
