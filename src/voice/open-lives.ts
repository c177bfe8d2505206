// What applications are still to be told of calls that they run, and of recordings, as documents: what an engine must know that
// sees the end of a call which another one has begun.

import { createHash } from 'node:crypto'
import { isCode } from '../errors.ts'
import type { Doc, Store } from '../store/store.ts'
import { isUuid } from '../switch/words.ts'
import type { Address } from './ask.ts'
import type { Fields } from './options.ts'

/** In `calls_in_progress` from when an application runs the call until its end is told. */
export interface OpenLife extends Doc {
  pvt_type: 'voice_life'
  account_id: string
  node: string
  leg: string
  application_id?: string
  event_url: string
  event_method: Address['method']
  /** Stands in every event. */
  about: Fields
  /** Unix milliseconds. */
  came_at: number
  answered_at?: number
  /** What is told of its end: written before it is told. */
  end?: Fields
}

/** Also of a recording, from when its file is stored, or never will be. */
export type OwedLife = OpenLife & Required<Pick<OpenLife, 'end'>>

export interface OpenLives {
  /** Undefined where it was not there; else what was. */
  write(life: OpenLife): Promise<OpenLife | undefined>
  /** Answers the document with the change in it; undefined where it is there no more. Rejects where another engine writes it now. */
  change(life: OpenLife, change: Pick<OpenLife, 'answered_at' | 'end'>): Promise<OpenLife | undefined>
  forget(life: OpenLife): Promise<void>
  read(id: string): Promise<OpenLife | undefined>
  on(node: string): Promise<OpenLife[]>
}

const OPEN = 'calls_in_progress'

/** One for each of those who are told of the leg or recording, however often an application begins on it. */
export const lifeId = (of: string, { url, method }: Address, applicationId = ''): string =>
  `life:${of}:${createHash('sha256')
    .update(JSON.stringify([url, method, applicationId]))
    .digest('hex')
    .slice(0, 16)}`

const isTime = (value: unknown): boolean => typeof value === 'number' && !Number.isNaN(new Date(value).getTime())

/** Undefined for what a person has made of it that says neither whom to tell nor of what. */
function usable(life: OpenLife | undefined): OpenLife | undefined {
  if (life === undefined || !URL.canParse(life.event_url) || !isUuid(life.leg)) return undefined
  return isTime(life.came_at) && (life.answered_at === undefined || isTime(life.answered_at)) ? life : undefined
}

export function openLives(store: Store): OpenLives {
  return {
    async write(life) {
      try {
        await store.put(OPEN, life)
        return undefined
      } catch (error) {
        if (!isCode(error, 'datastore_conflict')) throw error
        return usable(await store.get<OpenLife>(OPEN, life._id))
      }
    },
    async change({ _id }, change) {
      const life = await store.get<OpenLife>(OPEN, _id)
      if (life === undefined || life.end !== undefined) return life
      const changed = { ...life, ...change }
      await store.put(OPEN, changed)
      return changed
    },
    read: async id => usable(await store.get<OpenLife>(OPEN, id)),
    forget: ({ _id }) => store.purge(OPEN, _id),
    async on(node) {
      const rows = await store.query(OPEN, 'voice_lives/by_node', { key: node, includeDocs: true })
      return rows.flatMap(({ doc }) => usable(doc as unknown as OpenLife) ?? [])
    },
  }
}
