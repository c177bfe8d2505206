// Members of a ring group: devices, users and groups, each with a delay, a time it rings and a weight. What a
// group of them comes to is a list of phones, each of them once.

import type { Log } from '../log.ts'
import { accountDb, isId } from '../store/modb.ts'
import type { Store } from '../store/store.ts'
import { isObject, live } from './documents.ts'
import { DEFAULT_TIMEOUT, deviceAlone, devicesOfUser, type Endpoint, timeoutFrom } from './endpoint.ts'

export interface Member {
  type: string
  id: string
  /** Seconds before it rings. */
  delay: number
  timeout: number
  weight: number
}

/** Kazoo's (cf_ring_group.erl). */
const DEFAULT_WEIGHT = 20
/** Groups inside of groups. */
const DEEPEST = 5
/** FreeSWITCH rings up to 128 legs at once (switch_ivr_originate.c, MAX_PEERS). */
const MOST_PHONES = 128

const between = (value: unknown, least: number, most: number, otherwise: number): number => {
  const number = Math.trunc(Number(value))
  return Number.isFinite(number) && number >= least ? Math.min(number, most) : otherwise
}

const memberFrom = (fields: Readonly<Record<string, unknown>>, type: unknown, id: unknown, around?: Member): Member => ({
  type: String(type),
  id: String(id),
  delay: between(fields['delay'], 0, 3600, 0) + (around?.delay ?? 0),
  timeout: fields['timeout'] === undefined ? (around?.timeout ?? DEFAULT_TIMEOUT) : timeoutFrom(fields['timeout']),
  weight: between(fields['weight'], 1, 100, DEFAULT_WEIGHT),
})

/** Of an action's `endpoints`. */
export const membersIn = (list: unknown): Member[] =>
  Array.isArray(list) ? list.filter(isObject).map(fields => memberFrom(fields, fields['endpoint_type'], fields['id'])) : []

/** The heavier, the likelier to be first; `random` is in (0, 1]. (Efraimidis and Spirakis, 2006) */
export function shuffled<T extends { weight: number }>(members: readonly T[], random: () => number): T[] {
  return members
    .map(member => ({ member, key: random() ** (1 / member.weight) }))
    .toSorted((a, b) => b.key - a.key)
    .map(({ member }) => member)
}

interface Asking {
  store: Store
  log: Log
  accountId: string
}

/** The phones of each member, in order; those that are not there are told and left out. */
export async function phonesOf(asking: Asking, members: readonly Member[]): Promise<Endpoint[]> {
  const found = await Promise.all(members.map(member => phonesOfOne(asking, member, 0)))
  const seen = new Set<string>()
  const phones = found.flat().filter(({ device }) => !seen.has(device._id) && seen.add(device._id))
  if (phones.length > MOST_PHONES) asking.log.warn('ring_group_too_large', { phones: phones.length, rung: MOST_PHONES })
  return phones.slice(0, MOST_PHONES)
}

async function phonesOfOne(asking: Asking, member: Member, depth: number): Promise<Endpoint[]> {
  const { type, id, delay, timeout } = member
  const { store, log } = asking
  const db = accountDb(asking.accountId)
  const missing = (why: string): Endpoint[] => {
    log.warn('member_not_found', { endpoint_type: type, endpoint_id: id.slice(0, 100), why })
    return []
  }
  if (!isId(id)) return missing('its id is no id')
  if (type === 'group') {
    const group = live(await store.get(db, id), 'group')
    if (group === undefined) return missing('there is no such group')
    if (depth === DEEPEST) return missing(`groups are inside of each other more than ${DEEPEST} times`)
    const inside = Object.entries(isObject(group['endpoints']) ? group['endpoints'] : {}).flatMap(([inner, fields]) =>
      isObject(fields) ? [memberFrom(fields, fields['type'], inner, member)] : [],
    )
    return (await Promise.all(inside.map(one => phonesOfOne(asking, one, depth + 1)))).flat()
  }
  const phones = type === 'user' ? await devicesOfUser(store, db, id) : type === 'device' ? await deviceAlone(store, db, id) : undefined
  return phones?.map(phone => ({ ...phone, delay, timeout })) ?? missing(`there is no such ${type}`)
}
