// Who wants to be told of an account's events: its own webhooks, and those of accounts above it that ask for
// what happens below. Kept for some seconds, because a call in an account without webhooks must cost nothing.

import type { Clock } from '../clock.ts'
import { isCode } from '../errors.ts'
import type { RecordingEventName } from '../events.ts'
import { accountDb } from '../store/modb.ts'
import type { Doc, Store } from '../store/store.ts'
import type { Webhook } from './document.ts'

/** Milliseconds. */
const KEPT = 5_000
/** Accounts whose webhooks are kept at once; the oldest makes room. */
const MOST = 10_000

export interface Subscribers {
  of(accountId: string, event: RecordingEventName): Promise<readonly Webhook[]>
}

export function createSubscribers(store: Store, clock: Clock): Subscribers {
  const known = new Map<string, { at: number; webhooks: Promise<readonly Webhook[]> }>()

  async function read(accountId: string): Promise<readonly Webhook[]> {
    const account = await store.get<Doc & { pvt_tree?: string[] }>('accounts', accountId)
    const [own, ...above] = await Promise.all([accountId, ...(account?.pvt_tree ?? [])].map(id => ofAccount(store, id)))
    return [...(own ?? []), ...above.flat().filter(one => one.include_subaccounts === true)]
  }

  return {
    async of(accountId, event) {
      const now = clock.elapsed()
      const kept = known.get(accountId)
      const fresh = kept !== undefined && now - kept.at < KEPT ? kept : { at: now, webhooks: read(accountId) }
      if (fresh !== kept) {
        known.delete(accountId)
        known.set(accountId, fresh)
        // What could not be read is no answer to keep.
        fresh.webhooks.catch(() => known.get(accountId) === fresh && known.delete(accountId))
        for (const oldest of known.keys()) {
          if (known.size <= MOST) break
          known.delete(oldest)
        }
      }
      return (await fresh.webhooks).filter(({ hook }) => hook === 'all' || hook === event)
    },
  }
}

async function ofAccount(store: Store, accountId: string): Promise<Webhook[]> {
  try {
    const rows = await store.query(accountDb(accountId), 'webhooks/crossbar_listing', { includeDocs: true })
    return rows.map(({ doc }) => doc as unknown as Webhook).filter(isOn)
  } catch (error) {
    if (isCode(error, 'datastore_missing')) return []
    throw error
  }
}

export const isOn = ({ enabled, pvt_deleted }: Pick<Webhook, 'enabled' | 'pvt_deleted'>): boolean => enabled !== false && pvt_deleted !== true
