// What whole calls are to be covered with. The wish is a document before anything is asked of the switch, so that a
// recording that begins later, and an engine that comes later, cover as well. Calls are named by their interaction.

import { createHash } from 'node:crypto'
import { isCode } from '../errors.ts'
import type { Doc, Store } from '../store/store.ts'
import type { Cover } from './lifecycle.ts'

interface Asked {
  /** ISO 8601. */
  at: string
  by: string
}

/** What a call is to be covered with now. */
export interface Wish {
  mask?: Asked
  pause?: Asked
}

/** A wish for the call, and whether who was told has said no to its recordings. */
interface CoverDoc extends Doc, Wish {
  refusal?: Asked
  pvt_type: 'cover'
  account_id: string
  node: string
  interaction_id: string
}

export interface CoveredCall {
  accountId: string
  node: string
  interactionId: string
}

export const CALLS = 'calls_in_progress'

export interface Covers {
  of(interactionId: string): Wish
  /** Is there anything to be forgotten when the call is over? */
  has(interactionId: string): boolean
  /** Somebody who was told did not want it. */
  refused(interactionId: string): boolean
  /** Resolves when it is on disk; holds from now on all the same. */
  refuse(call: CoveredCall, asked: Asked): Promise<void>
  /** Resolves when it is on disk; rejects when it could not be written, and then nothing has changed. */
  set(call: CoveredCall, what: Cover, asked: Asked): Promise<void>
  /** What an engine that is gone wrote down for calls of a switch; answers their interactions. */
  load(node: string): Promise<string[]>
  /** Those there are of a switch. */
  known(node: string): string[]
  /** The call is over. */
  forget(interactionId: string): Promise<void>
}

const COVERS: Readonly<Record<Cover, { part: keyof Wish; on: boolean }>> = {
  mask: { part: 'mask', on: true },
  unmask: { part: 'mask', on: false },
  pause: { part: 'pause', on: true },
  resume: { part: 'pause', on: false },
}

/** True for what hides a part of the call, false for what ends that. */
export const hides = (what: Cover): boolean => COVERS[what].on
export const partOf = (what: Cover): keyof Wish => COVERS[what].part

// An interaction's id may come from a foreign dialplan, and then it may be anything.
const idOf = (interactionId: string): string =>
  /^[A-Za-z0-9._@-]{1,100}$/.test(interactionId) ? `cover:${interactionId}` : `cover:${createHash('sha256').update(interactionId).digest('hex')}`

export function createCovers(store: Store): Covers {
  const docs = new Map<string, CoverDoc>()

  async function write(doc: CoverDoc): Promise<CoverDoc> {
    try {
      return { ...doc, _rev: await store.put(CALLS, doc) }
    } catch (error) {
      // Another engine was here before: what it knew is in memory already, or was of a call that is over.
      const current = isCode(error, 'datastore_conflict') ? await store.get<CoverDoc>(CALLS, doc._id) : undefined
      if (current === undefined) throw error
      return { ...doc, _rev: await store.put(CALLS, { ...doc, _rev: current._rev }) }
    }
  }

  const known = ({ accountId, node, interactionId }: CoveredCall): CoverDoc =>
    docs.get(interactionId) ?? { _id: idOf(interactionId), pvt_type: 'cover', account_id: accountId, node, interaction_id: interactionId }

  return {
    of(interactionId) {
      const { mask, pause } = docs.get(interactionId) ?? {}
      return { ...(mask === undefined ? {} : { mask }), ...(pause === undefined ? {} : { pause }) }
    },

    has: interactionId => docs.has(interactionId),
    refused: interactionId => docs.get(interactionId)?.refusal !== undefined,

    async refuse(call, asked) {
      const refusing = { ...known(call), refusal: asked }
      docs.set(call.interactionId, refusing)
      const written = await write(refusing)
      const { _rev } = written
      docs.set(call.interactionId, { ...(docs.get(call.interactionId) ?? written), ...(_rev === undefined ? {} : { _rev }) })
    },

    async set(call, what, asked) {
      const { interactionId } = call
      const { part, on } = COVERS[what]
      const before = known(call)
      if ((before[part] !== undefined) === on) return
      const after = { ...before }
      if (on) after[part] = asked
      else delete after[part]
      docs.set(interactionId, await write(after))
    },

    async load(node) {
      const rows = await store.query(CALLS, 'covers/by_node', { key: node, includeDocs: true })
      const found = rows.map(({ doc }) => doc as unknown as CoverDoc)
      for (const doc of found) if (!docs.has(doc.interaction_id)) docs.set(doc.interaction_id, doc)
      return found.map(doc => doc.interaction_id)
    },

    known: node => [...docs.values()].filter(doc => doc.node === node).map(doc => doc.interaction_id),

    async forget(interactionId) {
      if (!docs.delete(interactionId)) return
      await store.purge(CALLS, idOf(interactionId))
    },
  }
}
