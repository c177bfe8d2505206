// Telephone numbers. A document's id is the number itself, in one database for all accounts, so that two
// can never hold it. The surprise: a released number's document is really gone, for the next who claims it.

import { international } from '../../callflow/e164.ts'
import { AppError, ERRORS, isCode } from '../../errors.ts'
import type { Doc, Store, Stored } from '../../store/store.ts'
import { ACCOUNTS, NUMBERS } from '../rights/databases.ts'
import { noSuch, type Place, type Resource, verbs } from '../documents/document.ts'
import { documentRoutes } from '../documents/document-routes.ts'
import { type Fields, shown } from '../validation/fields.ts'
import { listPage } from '../documents/page.ts'
import { lostRaceIs412, requireMatch } from '../http/preconditions.ts'
import { problem } from '../validation/problems.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import type { Account } from '../rights/who.ts'
import type { Room } from '../http/room.ts'

export interface Claimed extends Doc {
  pvt_type: 'number'
  /** Who holds it. */
  pvt_account_id: string
}

/** Of all that are claimed (knm_phone_number.hrl NUMBER_STATE_IN_SERVICE); Kazoo's other states are of carriers callrec does not know. */
const STATE = 'in_service'

const resource: Resource = {
  name: 'phone_numbers',
  type: 'number',
  computed: ['state'],
  shown: asKazoo,
}

function asKazoo(doc: Stored): Fields {
  const { pvt_created: created, pvt_modified: modified } = doc
  return { ...shown(doc), state: STATE, _read_only: { created, modified, state: STATE } }
}

export function phoneNumberRoutes(room: Room): Route[] {
  const { store, inTurn } = room
  const does = verbs(room, resource)
  const all = '/v2/accounts/:account/phone_numbers'
  const one = `${all}/:number`
  const place = ({ account, param }: Request): Place => {
    const id = international(param('number'))
    if (id === undefined) throw noSuch('number', param('number'))
    return { db: NUMBERS, id, accountId: account._id }
  }

  async function claim(request: Request): Promise<Answer> {
    const { account, param } = request
    const id = international(param('number'))
    if (id === undefined) throw notInternational(param('number'))
    const location = `/v2/accounts/${account._id}/phone_numbers/${encodeURIComponent(id)}`
    try {
      await forgetDead(store, id)
      return await does.create({ db: NUMBERS, id }, request, location, { pvt_account_id: account._id })
    } catch (error) {
      throw isCode(error, 'datastore_conflict') ? taken(id, error) : error
    }
  }

  const release = (request: Request): Promise<Answer> =>
    inTurn(`${request.account._id}/${resource.name}`, async () => {
      const before = await does.load(place(request))
      const ifMatch = request.headers['if-match']
      requireMatch(ifMatch, before._rev)
      await lostRaceIs412(ifMatch, store.remove(NUMBERS, before._id, before._rev))
      return { data: { ...shown(before), _read_only: { deleted: true } } }
    })

  return [
    { method: 'GET', path: all, access: 'user', run: request => listed(store, request) },
    { method: 'PUT', path: one, access: 'admin', body: 'optional', run: claim },
    ...documentRoutes(does, one, place, { remove: release }),
  ]
}

function notInternational(number: string): AppError {
  const message = 'Write the number with its country code, as +4930123456 or 004930123456'
  return new AppError('validation error', message, problem('number', 'pattern', { message, value: number }))
}

/** In the shape of knm_errors:number_exists/1. */
function taken(number: string, cause?: unknown): AppError {
  const message = `number ${number} already exists`
  return new AppError('number_exists', message, { code: ERRORS.number_exists.status, error: 'number_exists', message, cause: number }, { cause })
}

/** A number stays with an account that is deleted until somebody else wants it. Throws when it is taken. */
async function forgetDead(store: Store, number: string): Promise<void> {
  const claimed = await store.get<Claimed>(NUMBERS, number)
  if (claimed === undefined) return
  const holder = await store.get<Account>(ACCOUNTS, claimed.pvt_account_id)
  if (holder !== undefined && holder.pvt_deleted !== true) throw taken(number)
  await store.remove(NUMBERS, number, claimed._rev)
}

/** As Kazoo lists them: an object by number, not an array (cb_phone_numbers.erl). */
async function listed(store: Store, { account, query }: Request): Promise<Answer> {
  const view = { db: NUMBERS, view: 'phone_numbers/listing_by_account', whose: [account._id], visible: asKazoo }
  const { data, ...answer } = await listPage(store, query, view)
  const numbers = (data as Fields[]).map(({ id, ...row }) => [String(id), row] as const)
  return { ...answer, data: { cascade_quantity: 0, numbers: Object.fromEntries(numbers) } }
}
