// What was said in a recording, as text. Whoever may be given its audio may read it, and the trail of the recording says who did.

import type { Readable } from 'node:stream'
import type { Recording } from '../../recording/document.ts'
import { TRANSCRIPT, TRANSCRIPT_TYPE } from '../../recording/transcript.ts'
import { recordingDb } from '../../store/modb.ts'
import type { Store, Stored } from '../../store/store.ts'
import { damageReport } from './audio.ts'
import { checkedAudio } from './checked-audio.ts'
import { noSuch } from '../documents/document.ts'
import type { Fields } from '../validation/fields.ts'
import { factOf } from './recording-changes.ts'
import { loadAny, loadRecording } from './recording-view.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

/** In the trail, beside what was done. */
export const OF_TRANSCRIPT = { transcript: true }

type Damaged = ReturnType<typeof damageReport>

/** Bytes that break off before their end where they are not what was stored; `not_found` where there is none, or not yet. */
export async function storedTranscript(store: Store, recording: Stored<Recording>, damaged: Damaged): Promise<{ body: Readable; length: number }> {
  const { _id: id, pvt_account_id, transcription } = recording
  const found = transcription?.state === 'transcribed' ? await store.getAttachment(recordingDb(pvt_account_id, id), id, TRANSCRIPT) : undefined
  if (found === undefined) throw noSuch('transcript of recording', id)
  const { sha256 = '' } = transcription ?? {}
  return { body: checkedAudio(found.body, sha256, other => damaged({ ...recording, sha256 }, other)), length: found.length }
}

/** As a file, for whoever knows no envelopes. */
export async function transcriptFile(store: Store, recording: Stored<Recording>, damaged: Damaged): Promise<Answer> {
  const { body, length } = await storedTranscript(store, recording, damaged)
  return { file: { body, length, type: TRANSCRIPT_TYPE, name: recording.name.replace(/\w+$/, 'json'), inline: false } }
}

export function transcriptRoutes(room: Room): Route[] {
  const { store, audit } = room
  const damaged = damageReport(room)

  async function read(request: Request): Promise<Answer> {
    const recording = await loadRecording(store, request)
    const { body } = await storedTranscript(store, recording, damaged)
    try {
      await audit.note(recording, factOf(request, 'downloaded', OF_TRANSCRIPT))
      const pieces: Buffer[] = []
      for await (const piece of body as AsyncIterable<Buffer>) pieces.push(piece)
      return { data: JSON.parse(Buffer.concat(pieces).toString()) as Fields }
    } finally {
      body.destroy()
    }
  }

  const owner = async (request: Request): Promise<string | undefined> => (await loadAny(store, request)).owner_id
  return [{ method: 'GET', path: '/v2/accounts/:account/recordings/:recording/transcript', access: 'download', owner, run: read }]
}
