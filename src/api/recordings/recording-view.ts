// One recording as the API finds it: there, never there, or gone with a tombstone.

import { AppError } from '../../errors.ts'
import type { Recording } from '../../recording/document.ts'
import type { Tombstone } from '../../recording/keeping/erasure.ts'
import { TRANSCRIPT } from '../../recording/transcript.ts'
import { recordingDb } from '../../store/modb.ts'
import type { Store, Stored } from '../../store/store.ts'
import { noSuch } from '../documents/document.ts'
import { type Fields, shown } from '../validation/fields.ts'
import { orNothing } from '../documents/months.ts'
import type { Request } from '../http/route.ts'

/** As clients see it, with what its audio is where the store has it (cb_recordings.erl). */
export function view(recording: Fields): Fields {
  const attachments = Object.entries((recording['_attachments'] ?? {}) as Record<string, { content_type?: string }>).filter(([name]) => name !== TRANSCRIPT)
  const fields = shown(recording)
  fields['_read_only'] = { content_types: attachments.map(([, { content_type }]) => content_type) }
  return fields
}

type Asked = Pick<Request, 'account' | 'param'>

/** With its tombstone, where there is only that. */
export async function loadAny(store: Store, { account, param }: Asked): Promise<Stored<Recording> | Stored<Tombstone>> {
  const id = param('recording')
  const recording = await orNothing(store.get<Recording>(recordingDb(account._id, id), id), undefined)
  const isOne = recording?.pvt_type === 'call_recording' && (recording['pvt_deleted'] !== true || recording['deleted'] !== undefined)
  if (recording === undefined || !isOne) throw noSuch('recording', id)
  return recording
}

/** Throws `gone` where there is only a tombstone. */
export async function loadRecording(store: Store, asked: Asked): Promise<Stored<Recording>> {
  const recording = await loadAny(store, asked)
  if ('deleted' in recording) throw new AppError('gone', `recording ${recording._id} is gone`, shown(recording))
  return recording
}
