// The ways a number leaves by: the account's trunks that admit it, in their order, as they are dialled.

import { isCode } from '../errors.ts'
import type { Log } from '../log.ts'
import { accountDb } from '../store/modb.ts'
import type { Store } from '../store/store.ts'
import { bridgeArgument } from '../switch/commands.ts'
import { live } from './documents.ts'
import { waysOut } from './trunks.ts'

export interface WayOut {
  resourceId: string
  gateway: string
  /** As it is dialled. */
  endpoint: string
}

export const isTelephoneNumber = (text: string): boolean => /^\+?[0-9*#]{1,36}$/.test(text)

export async function waysFor(store: Store, log: Log, accountId: string, number: string): Promise<WayOut[]> {
  const rows = await store.query(accountDb(accountId), 'resources/crossbar_listing', { includeDocs: true })
  const ours = rows.flatMap(({ doc }) => live(doc, 'resource') ?? [])
  const ways = waysOut(ours, number, (of, why) => log.warn('pattern_unusable', { resource_id: of._id, why })).flatMap(({ resourceId, gateway, number }) => {
    const endpoint = `sofia/gateway/${gateway}/${number}`
    if (dialable(endpoint)) return [{ resourceId, gateway, endpoint }]
    log.warn('trunk_skipped', { resource_id: resourceId, gateway, why: 'its gateway or the number with its prefix cannot be dialled' })
    return []
  })
  if (ways.length === 0)
    log.warn('no_trunk', { wanted: number, resources: ours.length, why: 'the account has no enabled resource whose rules admit this number' })
  return ways
}

export function dialable(endpoint: string): boolean {
  try {
    bridgeArgument([{ endpoint }])
    return true
  } catch (error) {
    if (isCode(error, 'unsafe_argument')) return false
    throw error
  }
}
