// A list as a table for spreadsheets (RFC 4180), as Crossbar has it: a column for every field that some row has, named by
// its dotted path. The surprise: a caller may call himself `=HYPERLINK(…)`, so what a spreadsheet would compute is quoted.

import { Readable } from 'node:stream'
import { AppError } from '../../errors.ts'
import { wants, wantsJson } from './accept.ts'
import { type Fields, isObject } from '../validation/fields.ts'
import type { Answer, OpenRequest } from './route.ts'

export const CSV = 'text/csv'

export const wantsCsv = (accept: string): boolean => wants(accept, /^text\/csv$/) > wantsJson(accept)

/** What a route answered as a file; where the next page begins is told in a header (RFC 8288). */
export function asCsv({ data, beside, ...answer }: Answer, path: string, { query, headers }: Pick<OpenRequest, 'query' | 'headers'>): Answer {
  if (!Array.isArray(data)) throw new AppError('not_acceptable', 'only a list of rows is there as CSV')
  const text = Buffer.from(csvOf(data))
  const asked = query.get('file_name') ?? headers['x-file-name']
  const name = typeof asked === 'string' && asked !== '' ? asked : `${path.split('/').findLast(part => part !== '')}.csv`
  const next = beside?.['next_start_key']
  const link = typeof next === 'string' ? { link: `<?${following(query, next)}>; rel="next"` } : {}
  return {
    ...answer,
    headers: { ...answer.headers, ...link },
    file: { body: Readable.from([text]), length: text.length, type: `${CSV}; charset=utf-8`, name, inline: false },
  }
}

/** The same query, for what comes after; a token is not repeated. */
function following(query: URLSearchParams, next: string): string {
  const then = new URLSearchParams(query)
  then.delete('auth_token')
  then.set('start_key', next)
  return then.toString()
}

export function csvOf(rows: readonly unknown[]): string {
  const flat = rows.map(row => new Map(leavesOf(isObject(row) ? row : { value: row })))
  const columns = [...new Set(flat.flatMap(row => [...row.keys()]))]
  const lines = [columns, ...flat.map(row => columns.map(column => row.get(column)))]
  return lines.map(cells => `${cells.map(cell).join(',')}\r\n`).join('')
}

const leavesOf = (fields: Fields, at = ''): [string, unknown][] =>
  Object.entries(fields).flatMap(([key, value]) =>
    isObject(value) ? leavesOf(value, `${at}${key}.`) : [[`${at}${key}`, Array.isArray(value) ? listed(value) : value] as [string, unknown]],
  )

const listed = (list: readonly unknown[]): string => (list.every(one => typeof one === 'string') ? list.join(' ') : JSON.stringify(list))

/** A number may begin with a sign; telephone numbers do. */
const FORMULA = /^[=@\t\r]|^[+-](?![\d .()-]*$)/

function cell(value: unknown): string {
  if (value === undefined || value === null) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const safe = typeof value === 'string' && FORMULA.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
