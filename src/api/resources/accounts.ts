// Accounts. The document lives in the database `accounts` alone; making one makes its own database
// first, so that an account that can be read can be used.

import { isDeepStrictEqual } from 'node:util'
import { mustHoldNothing } from '../../recording/keeping/hold.ts'
import type { WithCredentials } from '../../siprec/credentials.ts'
import { accountDb } from '../../store/modb.ts'
import type { Store, Stored } from '../../store/store.ts'
import { refuseWithDescendants } from './account-tree.ts'
import { withApiKey } from './api-key.ts'
import { ACCOUNTS } from '../rights/databases.ts'
import { type Draft, noSuch, type Place, type Resource, type Settled, verbs } from '../documents/document.ts'
import { documentRoutes } from '../documents/document-routes.ts'
import { type Fields, isObject, shown } from '../validation/fields.ts'
import { metaflowRoutes } from '../documents/metaflow-routes.ts'
import { pathOf, problem, type Problems, join, refuse } from '../validation/problems.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import type { Account } from '../rights/who.ts'
import type { Room } from '../http/room.ts'

/** What names are compared by: letters and digits in lower case (kzd_accounts:normalize_name/1). */
export const alphanumeric = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')

/** `.internal` is no one's on the Internet, so a made-up realm resolves to nobody's server (ICANN, 2024-07-29). */
const REALM_SUFFIX = 'sip.callrec.internal'

export const newRealm = (random: (bytes: number) => Buffer): string => `${random(5).toString('hex')}.${REALM_SUFFIX}`

type AccountView = 'listing_by_name' | 'listing_by_realm'

export async function findAccount(store: Store, view: AccountView, key: string): Promise<Stored<Account> | undefined> {
  if (key === '') return undefined
  const [row] = await store.query(ACCOUNTS, `accounts/${view}`, { key, limit: 1 })
  const account = row === undefined ? undefined : await store.get<Account>(ACCOUNTS, row.id)
  return account?.pvt_deleted === true ? undefined : account
}

/** What every account is born with. */
export const birthOf = (id: string, tree: readonly string[], apiKey: string) => ({
  pvt_account_id: id,
  pvt_account_db: accountDb(id),
  pvt_tree: [...tree],
  ...withApiKey(apiKey),
})

export function accountRoutes(room: Room): Route[] {
  const { store, random } = room
  const resource: Resource = {
    name: 'accounts',
    type: 'account',
    global: true,
    metaflows: true,
    computed: ['created', 'is_reseller', 'reseller_id', 'superduper_admin'],
    shown: asKazoo,
    settle: draft => settle(room, draft),
    removable: async ({ id }) => {
      await refuseWithDescendants(store, id)
      await mustHoldNothing(store, accountDb(id))
    },
    changed: async change => {
      room.sessions.forget({ accountId: change.after._id })
      await forgetPhones(room, change)
    },
  }
  const accounts = verbs(room, resource)
  const one = '/v2/accounts/:account'
  const here = ({ account }: Request): Place => ({ db: ACCOUNTS, id: account._id })

  /** A child of the account the path names, or of the token's own. */
  async function create(request: Request): Promise<Answer> {
    const id = random(16).toString('hex')
    const parent = request.account
    const birth = birthOf(id, [...parent.pvt_tree, parent._id], random(32).toString('hex'))
    return accounts.create({ db: ACCOUNTS, id }, request, `/v2/accounts/${id}`, birth)
  }

  return [
    { method: 'PUT', path: '/v2/accounts', access: 'admin', run: create },
    { method: 'PUT', path: one, access: 'admin', run: create },
    ...documentRoutes(accounts, one, here, { removing: 'above' }),
    ...metaflowRoutes(room.validator, accounts, one, here),
  ]
}

/** With what Kazoo tells of an account from its private fields (cb_accounts.erl leak_pvt_fields/2); there are no resellers but the operator. */
function asKazoo(account: Stored): Fields {
  const { pvt_created: created, pvt_tree: tree, enabled } = account as Stored<Account>
  const isMaster = tree.length === 0
  return { ...shown(account), enabled: enabled !== false, created, is_reseller: isMaster, reseller_id: tree[0] ?? account._id, superduper_admin: isMaster }
}

/** Of all accounts, for a new realm can make other accounts' names ambiguous (directory.ts, lookalikes). */
async function forgetPhones({ phones }: Room, { before, after }: { before?: Stored; after: Stored }): Promise<void> {
  const registration = ({ realm, enabled, pvt_deleted: deleted }: Partial<Stored>): unknown[] => [realm, enabled, deleted]
  if (!isDeepStrictEqual(registration(before ?? {}), registration(after))) await phones.forget()
}

async function settle({ store, random }: Room, { id, fields, before, account: parent }: Draft): Promise<Settled> {
  const name = alphanumeric(String(fields['name']))
  // A realm once given stays; devices register with it.
  const given = fields['realm'] ?? before?.['realm']
  const realm = typeof given === 'string' ? given.toLowerCase() : newRealm(random)
  const byName = name === before?.['pvt_alphanum_name'] ? {} : await taken(store, 'name', 'listing_by_name', name, id)
  const byRealm = realm === before?.['realm'] ? {} : await taken(store, 'realm', 'listing_by_realm', realm, id)
  const { open, passwords, problems } = passwordsApart(fields['siprec_credentials'], before)
  refuse(join(byName, byRealm, problems))
  if (before === undefined) {
    await mustBeThere(store, parent)
    await store.createDatabase(accountDb(id), 'account')
  }
  return {
    fields: { ...fields, realm, ...(open === undefined ? {} : { siprec_credentials: open }) },
    pvt: { pvt_alphanum_name: name, pvt_siprec_passwords: passwords },
  }
}

/** One that is left out stays what it was; with another host it would go to somebody it was not given for. */
function passwordsApart(given: unknown, before: Stored | undefined): { open?: Fields; passwords?: Record<string, string>; problems: Problems } {
  if (!isObject(given)) return { problems: {} }
  const known = (before as WithCredentials | undefined)?.pvt_siprec_passwords ?? {}
  const open: Fields = {}
  const passwords: Record<string, string> = {}
  const problems: Problems[] = []
  for (const [host, one] of Object.entries(given as Record<string, { username: string; password?: string }>)) {
    const { password = Object.hasOwn(known, host) ? known[host] : undefined, ...rest } = one
    open[host] = rest
    if (password === undefined)
      problems.push(problem(pathOf(['siprec_credentials', host, 'password']), 'required', { message: 'Field is required but missing' }))
    else passwords[host] = password
  }
  return { open, passwords, problems: join(...problems) }
}

/** An account is not made below one that was deleted since the request was let in. */
async function mustBeThere(store: Store, { _id: id }: Account): Promise<void> {
  const now = await store.get<Account>(ACCOUNTS, id)
  if (now === undefined || now.pvt_deleted === true) throw noSuch('account', id)
}

async function taken(store: Store, field: string, view: AccountView, key: string, own: string): Promise<Problems> {
  const other = await findAccount(store, view, key)
  if (other === undefined || other._id === own) return {}
  return problem(field, 'unique', { message: `Account ${field} already in use`, cause: key })
}
