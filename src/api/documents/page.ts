// Pages of a list. The row after a page's last one is read too: where it stands is the opaque key of
// the next page, so documents that are added meanwhile shift nothing, and no page counts what is before it.

import { setImmediate } from 'node:timers/promises'
import { AppError } from '../../errors.ts'
import type { Key, Row, Store, Stored } from '../../store/store.ts'
import { type Fields, shown, tidy } from '../validation/fields.ts'
import { type Filter, filterOf } from './filter.ts'
import type { Answer } from '../http/route.ts'

const PAGE_SIZE = 50
export const LARGEST_PAGE = 1000

/** Rows that one request looks at, whatever it filters for or wants at once; then it says where to go on. */
export const MOST_ROWS = 10_000

/** Characters of JSON that `paginate=false` answers with, whatever the rows hold. */
const MOST_TEXT = 64_000_000

/** Rows that are read at once; in between other requests have their turn. */
const BATCH = 500

export interface Source<P extends Key> {
  /** At most `limit` rows from a place on, or from the start; with documents where they are filtered. */
  read(from: P | undefined, limit: number, filtered: boolean): Promise<Row[]>
  placeOf(row: Row): P
  isPlace(key: unknown): key is P
  /** What the list says of a row. */
  summary(row: Row): Fields
  /** What a filter may ask of a document. */
  visible(doc: Stored): Fields
}

export async function pageOf<P extends Key>(source: Source<P>, query: URLSearchParams, matches: Filter | undefined): Promise<Answer> {
  const size = pageSize(query)
  const page: Fields[] = []
  const answer = (next: Row | undefined): Answer => {
    const start = query.get('start_key')
    return {
      data: page,
      beside: {
        page_size: page.length,
        ...(start === null ? {} : { start_key: start }),
        ...(next === undefined ? {} : { next_start_key: encodeKey(source.placeOf(next)) }),
      },
    }
  }

  const wanted = ({ doc }: Row): boolean => matches === undefined || (doc !== undefined && matches(source.visible(doc), doc))
  let from = startKey(query, source)
  let seen = 0
  let text = 0
  const isFull = (): boolean => page.length === size || text > MOST_TEXT
  for (let limit = Math.min(size, BATCH); ; limit = Math.min(matches === undefined ? size - page.length : limit * 2, BATCH, MOST_ROWS - seen)) {
    const rows = await source.read(from, limit + 1, matches !== undefined)
    for (const row of rows.slice(0, limit)) {
      if (isFull()) return answer(row)
      seen += 1
      if (!wanted(row)) continue
      const summary = source.summary(row)
      page.push(summary)
      // Of a thousand rows it is no matter, and costs as much as they do.
      if (size > LARGEST_PAGE) text += JSON.stringify(summary).length
    }
    const next = rows[limit]
    if (next === undefined || isFull() || seen === MOST_ROWS) return answer(next)
    from = source.placeOf(next)
    await setImmediate()
  }
}

/** `paginate=false` is the largest page there is. */
function pageSize(query: URLSearchParams): number {
  if (query.get('paginate') === 'false') return MOST_ROWS
  const text = query.get('page_size') ?? String(PAGE_SIZE)
  const size = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (size < 1) throw new AppError('faulty_request', 'page size must be at least 1')
  return Math.min(size, LARGEST_PAGE)
}

/** Kazoo's documentation and its code differ over which of the two counts, so both do. */
export function isDescending(query: URLSearchParams, usual: boolean): boolean {
  const [ascending, descending] = [query.get('ascending'), query.get('descending')]
  if (ascending !== null) return ascending !== 'true'
  return descending === null ? usual : descending === 'true'
}

/** Characters; more than any name makes, and no more than fits into a URL when each byte takes three. */
const LONGEST_KEY = 2700

const encodeKey = (key: Key): string => Buffer.from(JSON.stringify(key)).toString('base64url')

/** What `isPlace` does not know was not given out for such a list. */
function startKey<P extends Key>(query: URLSearchParams, { isPlace }: Pick<Source<P>, 'isPlace'>): P | undefined {
  const text = query.get('start_key')
  if (text === null) return undefined
  const key = text.length > LONGEST_KEY ? undefined : decode(text)
  if (!isPlace(key)) throw new AppError('faulty_request', 'start_key is not one that was given out for this list')
  return key
}

function decode(text: string): unknown {
  try {
    const copied = tidy(JSON.parse(Buffer.from(text, 'base64url').toString()))
    return 'refused' in copied ? undefined : copied.value
  } catch {
    return undefined
  }
}

export interface View {
  db: string
  view: string
  /** What the rows' keys begin with; it is in no start_key, so none leads to somebody else's rows. */
  whose?: readonly Key[]
  /** The rows of this key, by id; it is in no start_key either. */
  key?: Key
  /** What a filter may ask of a document, and, where `whole`, what the list says of it. */
  visible?: (doc: Stored) => Fields
  /** The list is of documents, not of what the view emits. */
  whole?: boolean
}

type Place = readonly [key: Key, id: string]

/** A page of a view, in its order unless the query turns it around. */
export function listPage(store: Store, query: URLSearchParams, { db, view, whose, key: only, visible = shown, whole = false }: View): Promise<Answer> {
  const descending = isDescending(query, false)
  const bounds = only !== undefined ? [only, only] : whose === undefined ? [] : [[...whose], [...whose, {}]]
  const [startKey, endKey] = descending ? bounds.toReversed() : bounds
  const keyOf = (from: Place): Key => only ?? (whose === undefined ? from[0] : [...whose, ...(from[0] as readonly Key[])])
  const source: Source<Place> = {
    read: (from, limit, filtered) => {
      const first = from === undefined ? startKey : keyOf(from)
      return store.query(db, view, {
        ...(first === undefined ? {} : { startKey: first }),
        ...(from === undefined ? {} : { startId: from[1] }),
        ...(endKey === undefined ? {} : { endKey }),
        limit,
        descending,
        includeDocs: whole || filtered,
      })
    },
    placeOf: ({ key, id }) => [only !== undefined ? null : whose === undefined ? key : (key as readonly Key[]).slice(whose.length), id],
    isPlace: (key): key is Place => Array.isArray(key) && key.length === 2 && (whose === undefined || Array.isArray(key[0])) && typeof key[1] === 'string',
    summary: ({ id, value, doc }) => (whole ? visible(doc ?? { _id: id, _rev: '' }) : { ...(value as Fields), id }),
    visible,
  }
  return pageOf(source, query, filterOf(query))
}
