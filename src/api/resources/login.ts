// How a client gets a token: with the account's API key, or as a user with a digest of name and
// password. Whatever is wrong, the answer is the same 401, and who is wrong often waits.

import { international } from '../../callflow/e164.ts'
import { AppError } from '../../errors.ts'
import { accountDb } from '../../store/modb.ts'
import type { Store, Stored } from '../../store/store.ts'
import { alphanumeric, findAccount } from './accounts.ts'
import { told } from '../rights/auth.ts'
import { accountWithKey } from './api-key.ts'
import { ACCOUNTS, NUMBERS } from '../rights/databases.ts'
import { hint, type Method, whoseDigest } from '../rights/credentials.ts'
import { type Fields } from '../validation/fields.ts'
import type { Claimed } from './phone-numbers.ts'
import { problem, refuse } from '../validation/problems.ts'
import type { Answer, OpenRequest, Route } from '../http/route.ts'
import { issueToken, proofOf } from '../rights/tokens.ts'
import type { Account, User } from '../rights/who.ts'
import type { Room } from '../http/room.ts'

export function loginRoutes(room: Room): Route[] {
  const login = (path: string, auth: (room: Room, request: OpenRequest) => Promise<Answer>): Route => ({
    method: 'PUT',
    path,
    access: 'anyone',
    run: request => room.limits.fromAddress(request.address, () => auth(room, request)),
  })
  return [login('/v2/api_auth', apiAuth), login('/v2/user_auth', userAuth)]
}

const wrong = (): AppError => new AppError('invalid_credentials', 'wrong credentials')

async function apiAuth(room: Room, { data }: OpenRequest): Promise<Answer> {
  const { api_key } = checked(room, 'api_auth', data) as { api_key: string }
  const account = await accountWithKey(room.store, api_key)
  if (account === undefined) throw wrong()
  refuseDisabled(account)
  return loggedIn(account, await issueToken(room, { account_id: account._id, method: 'api_auth', proof: proofOf(account.pvt_api_key) }))
}

async function userAuth(room: Room, { data }: OpenRequest): Promise<Answer> {
  const said = checked(room, 'user_auth', data) as unknown as Said
  const account = await namedAccount(room, said)
  // An account that is not there is guessed at like one that is.
  return room.limits.intoAccount(account?._id ?? `${said.account_realm}/${said.phone_number}/${said.account_name}`, async () => {
    const user = await owner(room, account?._id, said.method, said.credentials.toLowerCase())
    if (account === undefined || user === undefined || user.enabled === false) throw wrong()
    refuseDisabled(account)
    const proof = proofOf(user.pvt_credentials?.md5 ?? '')
    return loggedIn(account, await issueToken(room, { account_id: account._id, owner_id: user._id, method: 'user_auth', proof }), user)
  })
}

interface Said {
  credentials: string
  method: Method
  account_name?: string
  account_realm?: string
  phone_number?: string
}

/** Told only to those who may log in (crossbar: cb_user_auth.erl, cb_context add_validation_error). */
function refuseDisabled(account: Account): void {
  if (account.enabled !== false) return
  throw new AppError('locked', 'the account is disabled', problem('account', 'disabled', { message: 'account disabled', cause: account._id }))
}

function checked(room: Room, schema: string, data: Fields): Fields {
  const { fields, problems } = room.validator.check(schema, data)
  refuse(problems)
  return fields
}

async function namedAccount({ store }: Room, said: Said): Promise<Stored<Account> | undefined> {
  if (said.account_realm !== undefined) return findAccount(store, 'listing_by_realm', said.account_realm.toLowerCase())
  if (said.phone_number !== undefined) return holderOf(store, said.phone_number)
  if (said.account_name !== undefined) return findAccount(store, 'listing_by_name', alphanumeric(said.account_name))
  const nothing = { message: 'Field is required but missing', value: {} }
  throw new AppError('validation error', 'no account', problem('account_name', 'required', nothing))
}

async function holderOf(store: Store, number: string): Promise<Stored<Account> | undefined> {
  const id = international(number)
  const claimed = id === undefined ? undefined : await store.get<Claimed>(NUMBERS, id)
  const account = claimed === undefined ? undefined : await store.get<Account>(ACCOUNTS, claimed.pvt_account_id)
  return account?.pvt_deleted === true ? undefined : account
}

/** Without an account it takes as long and finds nobody. */
async function owner({ store }: Room, accountId: string | undefined, method: Method, digest: string): Promise<Stored<User> | undefined> {
  if (accountId === undefined) return whoseDigest<Stored<User>>(digest, [])
  const rows = await store.query(accountDb(accountId), 'users/listing_by_hint', { key: hint(accountId, method, digest), includeDocs: true })
  const users = rows.map(({ doc }) => doc as Stored<User> | undefined).filter(user => user !== undefined)
  const candidates = users.map(user => [user, user.pvt_credentials?.[method] ?? ''] as const).filter(([, hashed]) => hashed !== '')
  return whoseDigest(digest, candidates)
}

const loggedIn = (account: Account, token: string, user?: Stored<User>): Answer => ({
  status: 201,
  data: {
    ...told(account, user),
    ...(user === undefined ? {} : { owner_id: user._id, priv_level: user.priv_level }),
  },
  token,
})
