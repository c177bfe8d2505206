// The API key of an account. It is found by its sha256, so no lookup can be timed digit by digit, and a
// new one ends the old with every token it was given for.

import { createHash, timingSafeEqual } from 'node:crypto'
import { AppError } from '../../errors.ts'
import { toGregorian } from '../../store/modb.ts'
import type { Store, Stored } from '../../store/store.ts'
import { ACCOUNTS } from '../rights/databases.ts'
import { noSuch } from '../documents/document.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import type { Account } from '../rights/who.ts'
import type { Room } from '../http/room.ts'

export const apiKeyDigest = (key: string): string => createHash('sha256').update(key).digest('hex')

/** The fields of a document that has this key. */
export const withApiKey = (key: string): Pick<Account, 'pvt_api_key' | 'pvt_api_key_digest'> => ({ pvt_api_key: key, pvt_api_key_digest: apiKeyDigest(key) })

export async function accountWithKey(store: Store, key: string): Promise<Stored<Account> | undefined> {
  const digest = apiKeyDigest(key)
  const [row] = await store.query(ACCOUNTS, 'accounts/listing_by_api_key', { key: digest, limit: 1 })
  const account = row === undefined ? undefined : await store.get<Account>(ACCOUNTS, row.id)
  if (account === undefined || account.pvt_deleted === true) return undefined
  return timingSafeEqual(Buffer.from(apiKeyDigest(account.pvt_api_key)), Buffer.from(digest)) ? account : undefined
}

export function apiKeyRoutes({ store, clock, random, inTurn, sessions }: Room): Route[] {
  const path = '/v2/accounts/:account/api_key'

  async function renew({ account: { _id: id, pvt_tree: tree } }: Request): Promise<Answer> {
    if (tree.length === 0) throw new AppError('forbidden', 'the master key is the operator’s: MASTER_API_KEY', { cause: 'MASTER_API_KEY' })
    const key = random(32).toString('hex')
    await inTurn('accounts', async () => {
      const account = await store.get<Account>(ACCOUNTS, id)
      if (account === undefined || account.pvt_deleted === true) throw noSuch('account', id)
      await store.put(ACCOUNTS, { ...account, ...withApiKey(key), pvt_modified: toGregorian(clock.now()) })
    })
    sessions.forget({ accountId: id })
    return { status: 201, data: { api_key: key } }
  }

  return [
    { method: 'GET', path, access: 'key', run: async ({ account }) => ({ data: { api_key: account.pvt_api_key } }) },
    { method: 'PUT', path, access: 'new_key', body: 'optional', run: renew },
  ]
}
