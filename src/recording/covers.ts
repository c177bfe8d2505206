// What whole calls are to be covered with, as documents, so that an engine that comes later covers as well. Calls are named by
// their interaction.

import { createHash } from 'node:crypto'
import { isCode } from '../errors.ts'
import { createTurns } from '../in-turn.ts'
import type { Doc, Store } from '../store/store.ts'
import type { Cover } from './lifecycle.ts'

export interface Asked {
  /** ISO 8601. */
  at: string
  by: string
}

/** What a call is to be covered with now. */
export interface Wish {
  mask?: Asked
  pause?: Asked
}

export type Part = keyof Wish

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
  /** Holds from now on, and is to be written. */
  hide(call: CoveredCall, part: Part, asked: Asked): void
  /** What holds and is not on disk. */
  write(interactionId: string): Promise<void>
  /** Resolves when it is on disk; rejects when it could not be written, and then nothing has changed. */
  show(call: CoveredCall, part: Part): Promise<void>
  /** What an engine that is gone wrote down for calls of a switch; answers their interactions. */
  load(node: string): Promise<string[]>
  /** The call is over. */
  forget(interactionId: string): Promise<void>
}

const COVERS: Readonly<Record<Cover, { part: Part; on: boolean }>> = {
  mask: { part: 'mask', on: true },
  unmask: { part: 'mask', on: false },
  pause: { part: 'pause', on: true },
  resume: { part: 'pause', on: false },
}

/** True for what hides a part of the call, false for what ends that. */
export const hides = (what: Cover): boolean => COVERS[what].on
export const partOf = (what: Cover): Part => COVERS[what].part

// An interaction's id may come from a foreign dialplan, and then it may be anything.
const idOf = (interactionId: string): string =>
  /^[A-Za-z0-9._@-]{1,100}$/.test(interactionId) ? `cover:${interactionId}` : `cover:${createHash('sha256').update(interactionId).digest('hex')}`

export function createCovers(store: Store): Covers {
  const docs = new Map<string, CoverDoc>()
  /** Those that the store does not have as they are. */
  const unwritten = new Set<string>()
  const inTurn = createTurns()

  async function put(doc: CoverDoc): Promise<string> {
    try {
      return await store.put(CALLS, doc)
    } catch (error) {
      // Another engine was here before: what it knew is in memory already, or was of a call that is over.
      const current = isCode(error, 'datastore_conflict') ? await store.get<CoverDoc>(CALLS, doc._id) : undefined
      if (current === undefined) throw error
      return store.put(CALLS, { ...doc, _rev: current._rev })
    }
  }

  const known = ({ accountId, node, interactionId }: CoveredCall): CoverDoc =>
    docs.get(interactionId) ?? { _id: idOf(interactionId), pvt_type: 'cover', account_id: accountId, node, interaction_id: interactionId }

  function without(doc: CoverDoc, part: Part): CoverDoc {
    const { [part]: _, ...rest } = doc
    return rest
  }

  /** As it is when its turn comes. */
  const write = (interactionId: string): Promise<void> =>
    inTurn(interactionId, async () => {
      const doc = docs.get(interactionId)
      if (doc === undefined || !unwritten.has(interactionId)) return
      unwritten.delete(interactionId)
      try {
        const _rev = await put(doc)
        const now = docs.get(interactionId)
        if (now !== undefined) docs.set(interactionId, { ...now, _rev })
      } catch (error) {
        unwritten.add(interactionId)
        throw error
      }
    })

  function hold(call: CoveredCall, change: Wish & Pick<CoverDoc, 'refusal'>): void {
    docs.set(call.interactionId, { ...known(call), ...change })
    unwritten.add(call.interactionId)
  }

  return {
    of(interactionId) {
      const { mask, pause } = docs.get(interactionId) ?? {}
      return { ...(mask === undefined ? {} : { mask }), ...(pause === undefined ? {} : { pause }) }
    },

    has: interactionId => docs.has(interactionId),
    refused: interactionId => docs.get(interactionId)?.refusal !== undefined,

    refuse(call, asked) {
      hold(call, { refusal: asked })
      return write(call.interactionId)
    },

    hide(call, part, asked) {
      if (known(call)[part] === undefined) hold(call, { [part]: asked })
    },

    write,

    show: (call, part) =>
      inTurn(call.interactionId, async () => {
        const { interactionId } = call
        const before = docs.get(interactionId)
        if (before?.[part] === undefined) return
        // The store never had it.
        if (before._rev === undefined) return void docs.set(interactionId, without(before, part))
        const _rev = await put(without(before, part))
        docs.set(interactionId, { ...without(docs.get(interactionId) ?? before, part), _rev })
      }),

    async load(node) {
      const rows = await store.query(CALLS, 'covers/by_node', { key: node, includeDocs: true })
      const found = rows.map(({ doc }) => doc as unknown as CoverDoc)
      for (const doc of found) if (!docs.has(doc.interaction_id)) docs.set(doc.interaction_id, doc)
      return found.map(doc => doc.interaction_id)
    },

    async forget(interactionId) {
      if (!docs.delete(interactionId)) return
      unwritten.delete(interactionId)
      await inTurn(interactionId, () => store.purge(CALLS, idOf(interactionId)))
    },
  }
}
