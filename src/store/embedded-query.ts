// Reads a view of the embedded store. Rows whose keys have bytes come from LMDB in order; the few
// that can only be compared are sorted here and woven in; a bound that has no bytes is compared too.

import type { Database } from 'lmdb'
import { compareKeys } from './collate.ts'
import { comparedRows, orderedRows, rowsOf, rowsUpTo, type Span } from './embedded-keys.ts'
import type { Key, Query, Row } from './store.ts'

type Lmdb = Database<string, Buffer>

/** The rows of a query's range in its order; `skip`, `limit` and `includeDocs` are applied too, `keys` is not looked at. */
export function readRows(lmdb: Lmdb, view: number, query: Query): Row[] {
  const { limit = Number.POSITIVE_INFINITY, skip = 0, descending = false } = query
  if (limit <= 0) return []
  const range = rangeOf(query)
  const woven = comparedIn(lmdb, view, range, descending)
  const span = spanOf(view, range)
  const exact = span !== undefined
  const [start, end] = descending
    ? [(span ?? orderedRows(view)).end, (span ?? orderedRows(view)).start]
    : [(span ?? orderedRows(view)).start, (span ?? orderedRows(view)).end]
  const direct = exact && woven.length === 0
  const stored = lmdb.getRange({ start, end, reverse: descending, ...(direct ? { offset: skip, ...(Number.isFinite(limit) ? { limit } : {}) } : {}) })

  const rows: Row[] = []
  let passed = direct ? skip : 0
  const take = (row: Row): boolean => {
    passed += 1
    if (passed > skip) rows.push(row)
    return rows.length < limit
  }
  for (const { value } of stored) {
    const row = parseRow(value)
    if (!exact && !isIn(range, row)) continue
    while (woven[0] && compareRows(woven[0], row, descending) < 0) if (!take(woven.shift() as Row)) return rows
    if (!take(row)) return rows
  }
  for (const row of woven) if (!take(row)) return rows
  return rows
}

/** How many rows lie in the range; LMDB counts without reading them. */
export function countRows(lmdb: Lmdb, view: number, query: Query): number {
  const range = rangeOf(query)
  const span = spanOf(view, range)
  if (!span) return readRows(lmdb, view, query).length
  return lmdb.getKeysCount({ start: span.start, end: span.end }) + comparedIn(lmdb, view, range, false).length
}

function parseRow(text: string): Row {
  const [id, key, value] = JSON.parse(text) as [string, Key, unknown]
  return { id, key, value }
}

export const rowText = (id: string, key: Key, value: unknown): string => JSON.stringify([id, key, value])

interface Bound {
  key: Key
  /** Within the rows of `key`, the document id the bound lies at; undefined = all of them. */
  id?: string
  inclusive: boolean
}

interface Range {
  low?: Bound
  high?: Bound
}

function rangeOf({ key, startKey = key, startId, endKey = key, inclusiveEnd = true, descending = false }: Query): Range {
  const first: Bound | undefined = startKey === undefined ? undefined : { key: startKey, ...(startId === undefined ? {} : { id: startId }), inclusive: true }
  const last: Bound | undefined = endKey === undefined ? undefined : { key: endKey, inclusive: inclusiveEnd }
  const [low, high] = descending ? [last, first] : [first, last]
  return { ...(low ? { low } : {}), ...(high ? { high } : {}) }
}

function isIn({ low, high }: Range, row: Row): boolean {
  const above = !low || after(row, low, 1)
  return above && (!high || after(row, high, -1))
}

/** Is the row on the inner side of a bound: above a low one (`side` 1), below a high one (-1)? */
function after({ key, id }: Row, bound: Bound, side: 1 | -1): boolean {
  const order = compareKeys(key, bound.key) * side
  if (order !== 0) return order > 0
  if (!bound.inclusive) return false
  return bound.id === undefined || (side === 1 ? id >= bound.id : id <= bound.id)
}

/** Undefined when a bound has no bytes. */
function spanOf(view: number, { low, high }: Range): Span | undefined {
  const all = orderedRows(view)
  const [lowest, highest] = [low && rowsOf(view, low.key, low.id), high && rowsOf(view, high.key)]
  if ((low && !lowest) || (high && !highest)) return undefined
  const start = low && lowest ? (low.inclusive ? lowest.start : lowest.end) : all.start
  if (!high || !highest) return { start, end: all.end }
  const upTo = high.id === undefined ? highest.end : (rowsUpTo(view, high.key, high.id) ?? highest.end)
  const end = high.inclusive ? upTo : highest.start
  return { start, end: Buffer.compare(start, end) > 0 ? start : end }
}

function comparedIn(lmdb: Lmdb, view: number, range: Range, descending: boolean): Row[] {
  const rows: Row[] = []
  for (const { value } of lmdb.getRange({ ...comparedRows(view) })) {
    const row = parseRow(value)
    if (isIn(range, row)) rows.push(row)
  }
  return rows.sort((a, b) => compareRows(a, b, descending))
}

function compareRows(a: Row, b: Row, descending: boolean): number {
  const order = compareKeys(a.key, b.key) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)
  return descending ? -order : order
}
