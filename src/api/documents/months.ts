// Lists over the month databases: what is kept by the month is listed by the time it was made, and a
// page may reach over the end of one month into the next.

import { isCode } from '../../errors.ts'
import { fromGregorian, monthDb, monthsBetween, toGregorian } from '../../store/modb.ts'
import type { Key, Row, Stored } from '../../store/store.ts'
import type { Fields } from '../validation/fields.ts'
import { type Filter, filterOf } from './filter.ts'
import { isDescending, pageOf, type Source } from './page.ts'
import { createdRange, type Range } from './range.ts'
import type { Answer, Request } from '../http/route.ts'
import { asReadBy } from '../validation/secrets.ts'
import type { Room } from '../http/room.ts'

/** A view of a month database and whose rows of it; keys are `[of, created, id]`, or `[created, id]` without `of`. */
export interface Listing {
  /** `design/name`. */
  view: string
  of?: string
  /** Of these rows, the ones that are listed at all. */
  only?: (doc: Stored) => boolean
}

/** Where a page starts; the one whose recordings they are is not in it, so no key leads to somebody else's. */
type Place = readonly [created: number, id: string]
const isPlace = (key: unknown): key is Place => Array.isArray(key) && key.length === 2 && typeof key[0] === 'number' && typeof key[1] === 'string'

/** Whole documents as `view` shows them, newest first unless the query says otherwise. */
export function listMonths(
  { store, clock }: Room,
  { account, query, who }: Request,
  { view: name, of, only }: Listing,
  view: (doc: Fields) => Fields,
): Promise<Answer> {
  const range = createdRange(query, toGregorian(clock.now()))
  const descending = isDescending(query, true)
  const whose = of === undefined ? [] : [of]
  const source: Source<Place> = {
    async read(from, limit) {
      const left = rest(range, from, descending)
      const months = monthsBetween(fromGregorian(left.from), fromGregorian(left.to))
      const [startKey, endKey] = descending ? [left.high, left.low] : [left.low, left.high]
      const rows: Row[] = []
      for (const month of descending ? months.toReversed() : months) {
        const found = store.query(monthDb(account._id, month), name, {
          startKey: [...whose, ...startKey],
          endKey: [...whose, ...endKey],
          descending,
          includeDocs: true,
          limit: limit - rows.length,
        })
        rows.push(...(await orNothing(found, [])))
        if (rows.length >= limit) break
      }
      return rows
    },
    placeOf: ({ key }) => (key as readonly (string | number)[]).slice(-2) as unknown as Place,
    isPlace,
    summary: ({ doc }) => view(doc ?? {}),
    visible: doc => asReadBy(who, view(doc)),
  }
  const asked = filterOf(query, { created: false })
  const filter: Filter | undefined = only === undefined ? asked : (fields, doc) => only(doc) && (asked === undefined || asked(fields, doc))
  return pageOf(source, query, filter)
}

/** What of a range is left from a place on, as seconds and as bounds of keys; a place before its beginning is its beginning. */
function rest({ from, to }: Range, place: Place | undefined, descending: boolean): Range & { low: Key[]; high: Key[] } {
  const at = place !== undefined && (descending ? place[0] <= to : place[0] >= from) ? place : undefined
  const [low, high]: [Key[], Key[]] = [[from], [to, {}]]
  if (at === undefined) return { from, to, low, high }
  return descending ? { from, to: at[0], low, high: [...at] } : { from: at[0], to, low: [...at], high }
}

/** A month without recordings has no database. */
export async function orNothing<T>(read: Promise<T>, nothing: T): Promise<T> {
  try {
    return await read
  } catch (error) {
    if (isCode(error, 'datastore_missing')) return nothing
    throw error
  }
}
