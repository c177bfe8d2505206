// What is done with a recording that leaves something behind: notes, legal hold, its end, and the audit
// trail that tells of all of it. An act is in the trail before it is done.

import type { Actor, Fact } from '../../recording/keeping/audit-chain.ts'
import type { Recording } from '../../recording/document.ts'
import { IN_FLIGHT } from '../../recording/document.ts'
import { AppError } from '../../errors.ts'
import { recordingDb, toGregorian } from '../../store/modb.ts'
import type { Stored } from '../../store/store.ts'
import { refuseLarge } from '../documents/document.ts'
import { type Fields, merge, publicFields, shown } from '../validation/fields.ts'
import { lostRaceIs412, requireMatch } from '../http/preconditions.ts'
import { join, problem, refuse } from '../validation/problems.ts'
import { loadAny, loadRecording, view } from './recording-view.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

const ONE = '/v2/accounts/:account/recordings/:recording'

/** Bytes of JSON; lists hold whole recordings. */
const LARGEST_NOTES = 16_384

/** What a client may write of a recording. */
const WRITABLE = ['user_metadata', 'legal_hold']

export const actorOf = ({ who }: Pick<Request, 'who'>): Actor => ({
  account_id: who.accountId,
  ...(who.ownerId === undefined ? {} : { user_id: who.ownerId }),
})

/** For whoever asks, from where he asks. */
export const factOf = (request: Request, what: Fact['what'], details?: Fields): Fact => ({
  what,
  who: actorOf(request),
  from: request.address,
  ...(details === undefined ? {} : { details }),
})

export function recordingChangeRoutes({ store, clock, validator, audit, erasure }: Room): Route[] {
  const owner = async (request: Request): Promise<string | undefined> => (await loadAny(store, request)).owner_id

  /** Notes wait until it is made and delivered, whose writers would not know of them; a hold cannot wait, and they heed it. */
  async function change(request: Request): Promise<Answer> {
    const data = publicFields(request.data)
    refuse(
      join(...Object.keys(data).map(key => (WRITABLE.includes(key) ? {} : problem(key, 'forbidden', { message: 'Read-only property', value: data[key] })))),
    )
    const recording = await loadRecording(store, request)
    requireMatch(request.headers['if-match'], recording._rev)
    if ('user_metadata' in data) await mustBeDone(recording)
    const { user_metadata, legal_hold } = merge({ user_metadata: recording['user_metadata'], legal_hold: recording.legal_hold }, data)
    const written = { ...(user_metadata === undefined ? {} : { user_metadata }), ...(legal_hold === undefined ? {} : { legal_hold }) }
    refuse(validator.check('call_recordings', written).problems)
    refuseLarge('user_metadata', user_metadata ?? {}, LARGEST_NOTES)
    const { user_metadata: _, legal_hold: __, ...kept } = recording
    const doc = { ...kept, ...written, _id: recording._id, pvt_modified: toGregorian(clock.now()) }
    await audit.note(recording, factOf(request, 'changed', { fields: Object.keys(data), ...('legal_hold' in data ? { legal_hold: legal_hold === true } : {}) }))
    const _rev = await lostRaceIs412(request.headers['if-match'], store.put(recordingDb(request.account._id, recording._id), doc))
    return { data: view(doc), revision: _rev }
  }

  async function mustBeDone(recording: Stored<Recording>): Promise<void> {
    if ((await store.get(IN_FLIGHT, recording._id)) === undefined) return
    throw new AppError('wrong_state', 'the recording is still being made or delivered', { state: recording.state })
  }

  async function remove(request: Request): Promise<Answer> {
    const recording = await loadRecording(store, request)
    requireMatch(request.headers['if-match'], recording._rev)
    const reason = (request.query.get('reason') ?? 'on request').slice(0, 500)
    const erased = erasure.erase(recording, { who: actorOf(request), from: request.address, reason })
    const tombstone = await lostRaceIs412(request.headers['if-match'], erased)
    await erasure.compact(recording)
    return { data: { ...shown(tombstone), _read_only: { deleted: true } }, revision: tombstone._rev }
  }

  async function trail(request: Request): Promise<Answer> {
    const { _id: id, pvt_account_id } = await loadAny(store, request)
    const { entries, broken_at } = await audit.read(pvt_account_id, id)
    return { data: entries, beside: { page_size: entries.length, intact: broken_at === undefined, ...(broken_at === undefined ? {} : { broken_at }) } }
  }

  return [
    { method: 'PATCH', path: ONE, access: 'admin', run: change },
    { method: 'DELETE', path: ONE, access: 'delete', owner, run: remove },
    { method: 'GET', path: `${ONE}/audit`, access: 'admin', run: trail },
  ]
}
