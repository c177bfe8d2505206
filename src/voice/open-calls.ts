// Calls that applications have made and that are neither answered nor over, as documents: what an engine must know that has
// their switch later than the one that rang.

import { isCode } from '../errors.ts'
import { isId, monthDb } from '../store/modb.ts'
import type { Doc, Store, Stored } from '../store/store.ts'
import { isUuid } from '../switch/words.ts'
import { isPlacedId, type PlacedCall } from './outgoing.ts'

/** In `calls_in_progress` from before it rings until its answer is written, or its end is written and told. */
export interface OpenCall extends Doc {
  pvt_type: 'placed_call'
  account_id: string
  node: string
  leg: string
  /** Of its PlacedCall. */
  call_id: string
}

/** What became of it. */
export type Outcome = Required<Pick<PlacedCall, 'answered_at'>> | Required<Pick<PlacedCall, 'status' | 'detail'>>

export interface OpenCalls {
  /** Undefined where there is no such call. */
  call(account: string, id: string): Promise<Stored<PlacedCall> | undefined>
  write(open: OpenCall, placed: PlacedCall): Promise<void>
  /** The document with the outcome in it, or with the one that it had; undefined where there is no such call. Rejects where another engine writes it now. */
  end(open: OpenCall, outcome: Outcome): Promise<PlacedCall | undefined>
  forget(open: OpenCall): Promise<void>
  on(node: string): Promise<OpenCall[]>
}

const OPEN = 'calls_in_progress'

export const openCall = (call: PlacedCall, node: string, leg: string): OpenCall => ({
  _id: `placed:${leg}`,
  pvt_type: 'placed_call',
  account_id: call.pvt_account_id,
  node,
  leg,
  call_id: call._id,
})

const dbOf = (account: string, id: string): string => monthDb(account, id.slice(0, 6))

export function openCalls(store: Store): OpenCalls {
  async function call(account: string, id: string): Promise<Stored<PlacedCall> | undefined> {
    try {
      return await store.get<PlacedCall>(dbOf(account, id), id)
    } catch (error) {
      if (isCode(error, 'datastore_missing')) return undefined
      throw error
    }
  }

  return {
    call,
    async end(open, outcome) {
      const before = await call(open.account_id, open.call_id)
      if (before === undefined || before.status !== undefined || before.answered_at !== undefined) return before
      const ended = { ...before, ...outcome }
      await store.put(dbOf(open.account_id, open.call_id), ended)
      return ended
    },
    async write(open, placed) {
      // One that is open and has no document is nothing; the other way round it would never end.
      await store.put(OPEN, open)
      const db = dbOf(open.account_id, open.call_id)
      await store.createDatabase(db, 'modb')
      await store.put(db, placed)
    },
    forget: ({ _id }) => store.purge(OPEN, _id),
    async on(node) {
      const rows = await store.query(OPEN, 'placed_calls/by_node', { key: node, includeDocs: true })
      // What a person has made of them may name no call.
      return rows.map(({ doc }) => doc as unknown as OpenCall).filter(one => isUuid(one.leg) && isId(one.account_id) && isPlacedId(one.call_id))
    },
  }
}
