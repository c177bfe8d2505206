// The six routes of a kind of document that every account has its own of: create and list it, and
// read, replace, merge and put away one.

import { accountDb } from '../../store/modb.ts'
import { type Place, type Resource, verbs } from './document.ts'
import { documentRoutes } from './document-routes.ts'
import { metaflowRoutes } from './metaflow-routes.ts'
import { listPage } from './page.ts'
import type { Param } from '../validation/params.ts'
import type { Answer, Changing, Request, Route } from '../http/route.ts'
import type { Right } from '../rights/rights.ts'
import { asReadBy } from '../validation/secrets.ts'
import type { Room } from '../http/room.ts'

interface AccountResource extends Resource {
  param: Param
  /** A single GET instead of the plain one. */
  read?: (place: Place, plain: Promise<Answer>) => Promise<Answer>
  /** The user whose the document is: he may change of it what changes.ts says. */
  owner?: (request: Request) => Promise<string | undefined>
  /** What changing takes; `admin` unless it is said. */
  right?: Right
}

/** List rows are what the view `{name}/crossbar_listing` emits; admins change, an owner some of it, any token of the account reads. */
export function accountResource(room: Room, resource: AccountResource): Route[] {
  const { store, random } = room
  const does = verbs(room, resource)
  const all = `/v2/accounts/:account/${resource.name}`
  const one = `${all}/:${resource.param}`
  const place = ({ account, param }: Request): Place => ({ db: accountDb(account._id), id: param(resource.param) })
  const plain = (request: Request): Promise<Answer> => does.read(place(request), request)

  function create(request: Request): Promise<Answer> {
    const { account } = request
    const id = random(16).toString('hex')
    const birth = { pvt_account_id: account._id, pvt_account_db: accountDb(account._id) }
    return does.create({ db: accountDb(account._id), id }, request, `/v2/accounts/${account._id}/${resource.name}/${id}`, birth)
  }

  const { owner, right = 'admin', read: special } = resource
  const changing: Changing = owner === undefined ? { access: right } : { access: 'own', owner }

  return [
    {
      method: 'GET',
      path: all,
      access: 'user',
      run: request =>
        listPage(store, request.query, {
          db: accountDb(request.account._id),
          view: `${resource.name}/crossbar_listing`,
          visible: doc => asReadBy(request.who, does.visible(doc, request)),
        }),
    },
    { method: 'PUT', path: all, access: right, run: create },
    ...documentRoutes(does, one, place, {
      changing,
      removing: right,
      ...(special === undefined ? {} : { read: async request => special(place(request), plain(request)) }),
    }),
    ...(resource.metaflows === true ? metaflowRoutes(room.validator, does, one, place, changing) : []),
  ]
}
