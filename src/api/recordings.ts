// Recordings: lists over the month databases, newest first, one as JSON or as sound, and its end.
// Documents are made by the recorder; the API notes what a client says of one, destroys its audio and puts it away.

import { AppError } from '../errors.ts'
import { IN_FLIGHT, type Recording } from '../recording/document.ts'
import { accountDb, recordingDb, toGregorian } from '../store/modb.ts'
import type { Store, Stored } from '../store/store.ts'
import { audioOf, isInline, wantsAudio } from './audio.ts'
import { ownerOf } from './devices.ts'
import { noSuch } from './document.ts'
import { type Fields, merge, publicFields, shown } from './fields.ts'
import { type Listing, listMonths, orNothing } from './months.ts'
import { lostRaceIs412, requireMatch } from './preconditions.ts'
import { join, problem, refuse } from './problems.ts'
import type { Right } from './rights.ts'
import type { Answer, OpenRequest, Request, Room, Route } from './route.ts'

export function recordingRoutes(room: Room): Route[] {
  const { store, clock, validator } = room
  const all = '/v2/accounts/:account/recordings'
  const one = `${all}/:recording`
  const account = ({ who }: Request): Listing =>
    who.level === 'user' ? { view: 'recordings/listing_by_user', of: who.ownerId ?? '' } : { view: 'recordings/crossbar_listing' }

  async function ofUser(request: Request): Promise<Answer> {
    const { param } = request
    await mustBe(store, request, 'user')
    return listMonths(room, request, { view: 'recordings/listing_by_user', of: param('user') }, view)
  }

  async function ofDevice(request: Request): Promise<Answer> {
    const { param } = request
    await mustBe(store, request, 'device')
    return listMonths(room, request, { view: 'recordings/listing_by_device', of: param('device') }, view)
  }

  const owner = async (request: Request): Promise<string | undefined> => (await load(store, request)).owner_id

  async function read(request: Request): Promise<Answer> {
    const recording = await load(store, request)
    return wantsAudio(request.accept) ? audioOf(store, recording, request) : { data: view(recording), revision: recording._rev }
  }

  /** What is still being made or delivered has an owner elsewhere, who would write over what is written here. */
  async function own(request: Request): Promise<Stored<Recording>> {
    const recording = await load(store, request)
    requireMatch(request.headers['if-match'], recording._rev)
    if ((await store.get(IN_FLIGHT, recording._id)) === undefined) return recording
    throw new AppError('wrong_state', 'the recording is still being made or delivered', { state: recording.state })
  }

  async function annotate(request: Request): Promise<Answer> {
    const data = publicFields(request.data)
    refuse(
      join(...Object.keys(data).map(key => (key === 'user_metadata' ? {} : problem(key, 'forbidden', { message: 'Read-only property', value: data[key] })))),
    )
    const recording = await own(request)
    const { user_metadata } = merge({ user_metadata: recording['user_metadata'] }, data)
    refuse(validator.check('call_recordings', user_metadata === undefined ? {} : { user_metadata }).problems)
    const { user_metadata: _, ...kept } = recording
    const doc = { ...kept, ...(user_metadata === undefined ? {} : { user_metadata }), _id: recording._id, pvt_modified: toGregorian(clock.now()) }
    const _rev = await lostRaceIs412(request.headers['if-match'], store.put(recordingDb(request.account._id, recording._id), doc))
    return { data: view(doc), revision: _rev }
  }

  async function remove(request: Request): Promise<Answer> {
    const recording = await own(request)
    // A document that is put without them has no attachments any more.
    const { _attachments: _, ...kept } = recording
    const doc = { ...kept, _id: recording._id, pvt_deleted: true, pvt_modified: toGregorian(clock.now()) }
    const _rev = await lostRaceIs412(request.headers['if-match'], store.put(recordingDb(request.account._id, recording._id), doc))
    return { data: { ...view(recording), _read_only: { deleted: true } }, revision: _rev }
  }

  return [
    { method: 'GET', path: all, access: 'user', run: request => listMonths(room, request, account(request), view) },
    { method: 'GET', path: '/v2/accounts/:account/users/:user/recordings', access: 'own', owner: async ({ param }) => param('user'), run: ofUser },
    { method: 'GET', path: '/v2/accounts/:account/devices/:device/recordings', access: 'own', owner: request => ownerOf(store, request), run: ofDevice },
    { method: 'GET', path: one, access: { among: ['own', 'listen', 'download'], of: rightToRead }, owner, produces: ['audio/mpeg', 'audio/x-wav'], run: read },
    { method: 'PATCH', path: one, access: 'admin', run: annotate },
    { method: 'DELETE', path: one, access: 'delete', owner, run: remove },
  ]
}

/** To play in the page is to listen; to be given a file is to download. */
function rightToRead(request: OpenRequest): Right {
  if (!wantsAudio(request.accept)) return 'own'
  return isInline(request) ? 'listen' : 'download'
}

/** A recording as clients see it, with what its audio is where the store has it (cb_recordings.erl). */
function view(recording: Fields): Fields {
  const attachments = Object.values((recording['_attachments'] ?? {}) as Record<string, { content_type?: string }>)
  const fields = shown(recording)
  fields['_read_only'] = { content_types: attachments.map(({ content_type }) => content_type) }
  return fields
}

async function load(store: Store, { account, param }: Request): Promise<Stored<Recording>> {
  const id = param('recording')
  const recording = await orNothing(store.get<Recording>(recordingDb(account._id, id), id), undefined)
  if (recording === undefined || recording.pvt_type !== 'call_recording' || recording['pvt_deleted'] === true) throw noSuch('recording', id)
  return recording
}

async function mustBe(store: Store, { account, param }: Request, type: 'user' | 'device'): Promise<Fields> {
  const doc = await store.get(accountDb(account._id), param(type))
  if (doc === undefined || doc['pvt_type'] !== type || doc['pvt_deleted'] === true) throw noSuch(type, param(type))
  return doc
}
