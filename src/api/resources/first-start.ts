// Makes an empty store usable: its databases, and the master account that everything else descends
// from. Done again it changes nothing, and two engines that do it at once agree: which account is the
// master, and with which key, is a document that only one of them can have written.

import { isCode } from '../../errors.ts'
import { accountDb, toGregorian } from '../../store/modb.ts'
import type { Doc, Store } from '../../store/store.ts'
import { alphanumeric, birthOf, newRealm } from './accounts.ts'
import { withApiKey } from './api-key.ts'
import { ACCOUNTS, DATABASES, SYSTEM_CONFIG } from '../rights/databases.ts'
import type { Account } from '../rights/who.ts'

export interface FirstStart {
  /** 64 hex: what the operator wants it to be from now on; undefined: what it is, or one that is made, once. */
  apiKey: string | undefined
  /** For a master account that is not there yet. What an engine remembers of one that is may have been replaced meanwhile. */
  remembered?: string | undefined
  /** Unix milliseconds. */
  now: number
  random: (bytes: number) => Buffer
  /** Name of the master account where there is none yet. */
  name?: string
}

export interface Master {
  accountId: string
  apiKey: string
  /** False where it had been there before. */
  created: boolean
}

interface Choice extends Doc {
  pvt_type: 'config'
  master_account_id: string
}

const CHOICE = 'accounts'

export async function firstStart(store: Store, { apiKey, remembered, now, random, name = 'master' }: FirstStart): Promise<Master> {
  await Promise.all(DATABASES.map(([db, classification]) => store.createDatabase(db, classification)))
  const mine: Choice = { _id: CHOICE, pvt_type: 'config', master_account_id: random(16).toString('hex') }
  const { master_account_id: id } = (await store.get<Choice>(SYSTEM_CONFIG, CHOICE)) ?? (await firstOf(store, mine))
  await store.createDatabase(accountDb(id), 'account')
  const before = await store.get<Account>(ACCOUNTS, id)
  if (before === undefined) return create(store, { id, apiKey: apiKey ?? remembered, now, random, name })
  const key = withApiKey(apiKey ?? before.pvt_api_key)
  if (key.pvt_api_key_digest !== before.pvt_api_key_digest) await store.put(ACCOUNTS, { ...before, ...key, pvt_modified: toGregorian(now) })
  return { accountId: id, apiKey: key.pvt_api_key, created: false }
}

/** What is there after trying to be the first. */
async function firstOf<T extends Doc>(store: Store, mine: T, db = SYSTEM_CONFIG): Promise<T> {
  try {
    await store.put(db, mine)
    return mine
  } catch (error) {
    const theirs = isCode(error, 'datastore_conflict') ? await store.get<T>(db, mine._id) : undefined
    if (theirs === undefined) throw error
    return theirs
  }
}

async function create(
  store: Store,
  { id, apiKey, now, random, name }: { id: string; apiKey: string | undefined; now: number; random: FirstStart['random']; name: string },
): Promise<Master> {
  const at = toGregorian(now)
  const mine: Account = {
    _id: id,
    name,
    realm: newRealm(random),
    pvt_type: 'account',
    pvt_alphanum_name: alphanumeric(name),
    pvt_created: at,
    pvt_modified: at,
    pvt_vsn: '1',
    ...birthOf(id, [], apiKey ?? random(32).toString('hex')),
  }
  const first = await firstOf(store, mine, ACCOUNTS)
  return { accountId: id, apiKey: first.pvt_api_key, created: first === mine }
}
