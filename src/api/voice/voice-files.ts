// The files of a voice application, sound and text, under the URL it was told: `/v1/files/{uuid}`, or v3 as newer SDKs ask.

import type { Recording } from '../../recording/document.ts'
import type { Tombstone } from '../../recording/keeping/erasure.ts'
import { AppError } from '../../errors.ts'
import { monthDb, monthOf } from '../../store/modb.ts'
import type { Store, Stored } from '../../store/store.ts'
import { audioOf, damageReport } from '../recordings/audio.ts'
import { noSuch } from '../documents/document.ts'
import { shown } from '../validation/fields.ts'
import { orNothing } from '../documents/months.ts'
import type { Answer, OpenRequest } from '../http/route.ts'
import { OF_TRANSCRIPT, transcriptFile } from '../recordings/transcripts.ts'
import type { Applicant } from '../rights/voice-auth.ts'
import type { ApiPorts } from '../http/ports.ts'

type Found = Stored<Recording> | Stored<Tombstone>

/** Milliseconds from the making of a file's uuid to that of its recording. */
const MADE_WITHIN = 60_000

/** The uuid tells the month: see VoiceFacts. */
async function find(store: Store, accountId: string, uuid: string): Promise<Found | undefined> {
  const at = Number.parseInt(uuid.replaceAll('-', '').slice(0, 12), 16)
  for (const month of new Set([monthOf(at), monthOf(at + MADE_WITHIN)])) {
    const rows = await orNothing(store.query(monthDb(accountId, month), 'recordings/listing_by_file', { key: uuid, includeDocs: true }), [])
    const doc = rows[0]?.doc as Found | undefined
    if (doc !== undefined) return doc
  }
  return undefined
}

/** Another application's file is not there for this one. */
export async function fileOf(
  { store, audit, log, metrics }: Pick<ApiPorts, 'store' | 'audit' | 'log' | 'metrics'>,
  { account, application }: Applicant,
  uuid: string,
  request: Pick<OpenRequest, 'headers' | 'query' | 'address'>,
): Promise<Answer> {
  const found = await find(store, account._id, uuid)
  const voice: Tombstone['pvt_voice'] = found?.pvt_voice
  if (found === undefined || (voice?.application_id !== undefined && voice.application_id !== application._id)) throw noSuch('file', uuid)
  if ('deleted' in found) throw new AppError('gone', `file ${uuid} is gone`, shown(found))
  const isText = voice?.transcript?.file_uuid === uuid
  const damaged = damageReport({ log, metrics })
  const file = await (isText ? transcriptFile(store, found, damaged) : audioOf(store, found, { account, ...request }, damaged))
  const who = { account_id: account._id, system: `application ${application._id}` }
  await audit.note(found, { what: 'downloaded', who, from: request.address, ...(isText ? { details: OF_TRANSCRIPT } : {}) }).catch((error: unknown) => {
    file.file?.body.destroy()
    throw error
  })
  return file
}
