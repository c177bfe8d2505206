// Calls that applications have made and that are neither answered nor over, as documents: what an engine must know that has
// their switch later than the one that rang.

import { isCode } from '../errors.ts'
import { monthDb } from '../store/modb.ts'
import type { Doc, Store, Stored } from '../store/store.ts'
import type { PlacedCall } from './outgoing.ts'

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
  write(open: OpenCall, call: PlacedCall): Promise<void>
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

const dbOf = ({ account_id, call_id }: OpenCall): string => monthDb(account_id, call_id.slice(0, 6))

export function openCalls(store: Store): OpenCalls {
  async function documentOf(open: OpenCall): Promise<Stored<PlacedCall> | undefined> {
    try {
      return await store.get<PlacedCall>(dbOf(open), open.call_id)
    } catch (error) {
      if (isCode(error, 'datastore_missing')) return undefined
      throw error
    }
  }

  return {
    async end(open, outcome) {
      const call = await documentOf(open)
      if (call === undefined || call.status !== undefined || call.answered_at !== undefined) return call
      const ended = { ...call, ...outcome }
      await store.put(dbOf(open), ended)
      return ended
    },
    async write(open, call) {
      // One that is open and has no document is nothing; the other way round it would never end.
      await store.put(OPEN, open)
      await store.createDatabase(dbOf(open), 'modb')
      await store.put(dbOf(open), call)
    },
    forget: ({ _id }) => store.purge(OPEN, _id),
    async on(node) {
      const rows = await store.query(OPEN, 'placed_calls/by_node', { key: node, includeDocs: true })
      return rows.map(({ doc }) => doc as unknown as OpenCall)
    },
  }
}
