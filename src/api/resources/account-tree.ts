// What is around an account: below it, beside it and above it. Nobody sees above his own account, so
// the way up starts at the token's.

import { AppError } from '../../errors.ts'
import type { Store } from '../../store/store.ts'
import { ACCOUNTS } from '../rights/databases.ts'
import type { Fields } from '../validation/fields.ts'
import { listPage } from '../documents/page.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import type { Account } from '../rights/who.ts'
import type { Room } from '../http/room.ts'

export function accountTreeRoutes({ store }: Room): Route[] {
  const at = (what: string): { method: 'GET'; path: string } => ({ method: 'GET', path: `/v2/accounts/:account/${what}` })
  const above = async (request: Request): Promise<Answer> => ({ data: await ancestors(store, request) })
  return [
    { ...at('children'), access: 'admin', run: request => list(store, 'listing_by_children', request.account._id, request) },
    { ...at('descendants'), access: 'admin', run: request => list(store, 'listing_by_descendants', request.account._id, request) },
    { ...at('siblings'), access: 'above', run: request => list(store, 'listing_by_children', request.account.pvt_tree.at(-1) ?? '', request) },
    { ...at('parents'), access: 'admin', run: above },
    { ...at('tree'), access: 'admin', run: above },
  ]
}

/** By name. */
async function list(store: Store, view: string, of: string, { query }: Request): Promise<Answer> {
  const answer = await listPage(store, query, { db: ACCOUNTS, view: `accounts/${view}`, whose: [of] })
  return { ...answer, data: await Promise.all((answer.data as Fields[]).map(row => counted(store, row))) }
}

const counted = async (store: Store, row: Fields): Promise<Fields> => ({ ...row, descendants_count: await countBelow(store, String(row['id'])) })

const countBelow = (store: Store, id: string): Promise<number> =>
  store.reduce(ACCOUNTS, 'accounts/listing_by_descendants', { startKey: [id], endKey: [id, {}] })

/** From the token's account down to the parent. */
async function ancestors(store: Store, { who, account }: Request): Promise<Fields[]> {
  const from = account.pvt_tree.indexOf(who.accountId)
  const found = await store.getMany<Account>(ACCOUNTS, from < 0 ? [] : account.pvt_tree.slice(from))
  const rows = found.flatMap(one => (one === undefined ? [] : [{ id: one._id, name: one.name, realm: one.realm, flags: one['flags'] ?? [] }]))
  return Promise.all(rows.map(row => counted(store, row)))
}

export async function refuseWithDescendants(store: Store, id: string): Promise<void> {
  if ((await countBelow(store, id)) > 0) throw new AppError('account_has_descendants', 'the account has descendants')
}
