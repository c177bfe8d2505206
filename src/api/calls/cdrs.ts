// Call detail records: one for each call, written by the executor when it is over; here they are read.

import { accountDb, recordingDb } from '../../store/modb.ts'
import type { Stored } from '../../store/store.ts'
import { existing, noSuch } from '../documents/document.ts'
import { shown } from '../validation/fields.ts'
import { listMonths, orNothing } from '../documents/months.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

export function cdrRoutes(room: Room): Route[] {
  const { store } = room
  const all = '/v2/accounts/:account/cdrs'

  /** A user reads of the calls his own phones made. */
  const list = (request: Request): Promise<Answer> => {
    const { who } = request
    const listing = who.level === 'user' ? { view: 'cdrs/listing_by_owner', of: who.ownerId ?? '' } : { view: 'cdrs/crossbar_listing' }
    return listMonths(room, request, listing, shown)
  }

  async function ofUser(request: Request): Promise<Answer> {
    const { account, param } = request
    await existing(store, accountDb(account._id), 'user', param('user'))
    return listMonths(room, request, { view: 'cdrs/listing_by_owner', of: param('user') }, shown)
  }

  async function load({ account, param }: Pick<Request, 'account' | 'param'>): Promise<Stored> {
    const id = param('cdr')
    const cdr = await orNothing(store.get(recordingDb(account._id, id), id), undefined)
    if (cdr === undefined || cdr['pvt_type'] !== 'cdr' || cdr['pvt_deleted'] === true) throw noSuch('cdr', id)
    return cdr
  }

  const owner = async (request: Pick<Request, 'account' | 'param'>): Promise<string | undefined> => {
    const { owner_id } = await load(request)
    return typeof owner_id === 'string' ? owner_id : undefined
  }

  async function read(request: Request): Promise<Answer> {
    const cdr = await load(request)
    return { data: shown(cdr), revision: cdr._rev }
  }

  return [
    { method: 'GET', path: all, access: 'user', run: list },
    { method: 'GET', path: '/v2/accounts/:account/users/:user/cdrs', access: 'own', owner: async ({ param }) => param('user'), run: ofUser },
    { method: 'GET', path: `${all}/:cdr`, access: 'own', owner, run: read },
  ]
}
