// What is told of a recording, from its document: all that a tenant may read of it, but for its settings and
// the URL, which may hold a password.

import type { RecordingEvent, RecordingEventName } from '../events.ts'
import type { Doc } from '../store/store.ts'

const KEPT_BACK: ReadonlySet<string> = new Set(['policy', 'url'])

/** `at` is unix milliseconds. */
export function toldOf(event: RecordingEventName, recording: Readonly<Doc & { pvt_account_id: string }>, at: number): RecordingEvent {
  const fields = Object.entries(recording).filter(([name]) => !name.startsWith('_') && !name.startsWith('pvt_') && !KEPT_BACK.has(name))
  return { event, accountId: recording.pvt_account_id, recordingId: recording._id, at, recording: { id: recording._id, ...Object.fromEntries(fields) } }
}
