// Recordings: lists over the month databases, newest first, and one as JSON or as sound.

import { accountDb } from '../../store/modb.ts'
import { audioOf, damageReport, isInline, wantsAudio } from './audio.ts'
import { ownerOf } from '../resources/devices.ts'
import { existing } from '../documents/document.ts'
import { type Listing, listMonths } from '../documents/months.ts'
import { factOf } from './recording-changes.ts'
import { loadAny, loadRecording, view } from './recording-view.ts'
import type { Right } from '../rights/rights.ts'
import type { Answer, OpenRequest, Request, Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

export function recordingRoutes(room: Room): Route[] {
  const { store, audit } = room
  const all = '/v2/accounts/:account/recordings'
  const one = `${all}/:recording`
  const reach = ({ who }: Request): Listing =>
    who.level === 'user' ? { view: 'recordings/listing_by_user', of: who.ownerId ?? '' } : { view: 'recordings/crossbar_listing' }

  async function ofUser(request: Request): Promise<Answer> {
    const { account, param } = request
    await existing(store, accountDb(account._id), 'user', param('user'))
    return listMonths(room, request, { view: 'recordings/listing_by_user', of: param('user') }, view)
  }

  async function ofDevice(request: Request): Promise<Answer> {
    const { account, param, who } = request
    const device = param('device')
    await existing(store, accountDb(account._id), 'device', device)
    // The phone may have been somebody else's; of his own recordings, so that no start_key is another's either.
    const his: Listing = { view: 'recordings/listing_by_user', of: who.ownerId ?? '', only: doc => doc['endpoint_id'] === device }
    return listMonths(room, request, who.level === 'user' ? his : { view: 'recordings/listing_by_device', of: device }, view)
  }

  const owner = async (request: Request): Promise<string | undefined> => (await loadAny(store, request)).owner_id

  const damaged = damageReport(room)

  async function read(request: Request): Promise<Answer> {
    const recording = await loadRecording(store, request)
    if (!wantsAudio(request.accept)) return { data: view(recording), revision: recording._rev }
    const sound = await audioOf(store, recording, request, damaged)
    await audit.note(recording, factOf(request, isInline(request) ? 'listened' : 'downloaded')).catch((error: unknown) => {
      sound.file?.body.destroy()
      throw error
    })
    return sound
  }

  return [
    { method: 'GET', path: all, access: 'user', run: request => listMonths(room, request, reach(request), view) },
    { method: 'GET', path: '/v2/accounts/:account/users/:user/recordings', access: 'own', owner: async ({ param }) => param('user'), run: ofUser },
    { method: 'GET', path: '/v2/accounts/:account/devices/:device/recordings', access: 'own', owner: request => ownerOf(store, request), run: ofDevice },
    { method: 'GET', path: one, access: { among: ['own', 'listen', 'download'], of: rightToRead }, owner, produces: ['audio/mpeg', 'audio/x-wav'], run: read },
  ]
}

/** To play in the page is to listen; to be given a file is to download. */
function rightToRead(request: OpenRequest): Right {
  if (!wantsAudio(request.accept)) return 'own'
  return isInline(request) ? 'listen' : 'download'
}
