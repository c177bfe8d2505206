// Phones: which of them a user or a device means.

import type { Doc, Store } from '../store/store.ts'
import { live, text } from './documents.ts'

export const DEFAULT_TIMEOUT = 20
const LONGEST_TIMEOUT = 3600

export function timeoutFrom(value: unknown): number {
  const seconds = Math.trunc(Number(value))
  return Number.isFinite(seconds) && seconds >= 1 ? Math.min(seconds, LONGEST_TIMEOUT) : DEFAULT_TIMEOUT
}

export interface Endpoint {
  device: Doc
  user: Doc | undefined
  /** Seconds before it rings, among others; and it rings then. */
  delay?: number
  timeout?: number
}

/** The user's phones in the order of their ids; undefined when there is no such user. */
export async function devicesOfUser(store: Store, db: string, userId: string): Promise<Endpoint[] | undefined> {
  const [found, rows] = await Promise.all([store.get(db, userId), store.query(db, 'devices/listing_by_owner', { key: userId, includeDocs: true })])
  const user = live(found, 'user')
  if (user === undefined) return undefined
  return rows.flatMap(({ doc }) => {
    const device = live(doc, 'device')
    return device === undefined ? [] : [{ device, user }]
  })
}

/** Undefined when there is no such device. */
export async function deviceAlone(store: Store, db: string, deviceId: string): Promise<Endpoint[] | undefined> {
  const device = live(await store.get(db, deviceId), 'device')
  if (device === undefined) return undefined
  const ownerId = text(device['owner_id'])
  return [{ device, user: ownerId === '' ? undefined : live(await store.get(db, ownerId), 'user') }]
}
