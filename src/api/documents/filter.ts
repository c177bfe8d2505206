// Which documents of a list a client wants, by its query (crossbar_filter.erl). They are asked what this
// client may see and nothing else: a filter on a hidden field would tell it bit by bit.

import type { Stored } from '../../store/store.ts'
import { type Fields, isObject } from '../validation/fields.ts'
import { secondsOf } from './range.ts'

/** `fields` are the document's as the client sees them. */
export type Filter = (fields: Fields, doc: Stored) => boolean

/** Query parameters a list filters by; of these, names that end in `_` begin a longer one. */
export const FILTERS: Readonly<Record<string, string>> = {
  filter_: 'Documents whose field of that path (`filter_sip.method=password`) has this value, or one of a JSON list of values',
  filter_not_: 'Documents whose field of that path has not this value, nor one of a JSON list of values',
  has_key: 'Documents that have a field of this path',
  key_missing: 'Documents that have no field of this path',
  has_value: 'Documents whose field of this path is not empty',
  value_missing: 'Documents that have no field of this path, or an empty one',
  modified_from: 'Gregorian seconds; documents changed then or later',
  modified_to: 'Gregorian seconds; documents changed then or before',
}

/** Of lists that have no range of their own. */
export const CREATED: Readonly<Record<string, string>> = {
  created_from: 'Gregorian seconds; documents made then or later',
  created_to: 'Gregorian seconds; documents made then or before',
}

/** Undefined where the query asks for none, so that no document need be read. */
export function filterOf(query: URLSearchParams, { created = true }: { created?: boolean } = {}): Filter | undefined {
  const filters = [...new Set(query.keys())].flatMap(name =>
    query.getAll(name).flatMap(value => {
      const filter = !created && name in CREATED ? undefined : one(name, value, query)
      return filter === undefined ? [] : [filter]
    }),
  )
  return filters.length === 0 ? undefined : (fields, doc) => filters.every(filter => filter(fields, doc))
}

function one(name: string, value: string, query: URLSearchParams): Filter | undefined {
  if (name.startsWith('filter_not_')) return not(isOneOf(name.slice('filter_not_'.length), value))
  if (name.startsWith('filter_')) return isOneOf(name.slice('filter_'.length), value)
  switch (name) {
    case 'has_key':
      return fields => valueAt(fields, value) !== undefined
    case 'key_missing':
      return fields => valueAt(fields, value) === undefined
    case 'has_value':
      return fields => !isEmpty(valueAt(fields, value))
    case 'value_missing':
    case 'missing_value':
      return fields => isEmpty(valueAt(fields, value))
    case 'created_from':
    case 'modified_from':
      return since(name, secondsOf(query, name) ?? 0, 1)
    case 'created_to':
    case 'modified_to':
      return since(name, secondsOf(query, name) ?? 0, -1)
    default:
      return undefined
  }
}

const not =
  (filter: Filter): Filter =>
  (fields, doc) =>
    !filter(fields, doc)

function since(name: string, seconds: number, side: 1 | -1): Filter {
  const field = name.startsWith('created') ? 'pvt_created' : 'pvt_modified'
  return (_, { [field]: at }) => typeof at === 'number' && (at - seconds) * side >= 0
}

/** Scalars are compared as text, because a query has nothing else; of a list one element is enough. */
function isOneOf(path: string, value: string): Filter {
  const wanted = new Set([value, ...listed(value)])
  return fields => {
    const found = valueAt(fields, path)
    const values = Array.isArray(found) ? found : [found ?? '']
    return values.some(one => typeof one !== 'object' && wanted.has(String(one)))
  }
}

function listed(text: string): string[] {
  if (!text.startsWith('[')) return []
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) ? list.map(String) : []
  } catch {
    return []
  }
}

const valueAt = (fields: Fields, path: string): unknown =>
  path
    .split('.')
    .reduce<unknown>((value, step) => (typeof value === 'object' && value !== null && Object.hasOwn(value, step) ? (value as Fields)[step] : undefined), fields)

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0
  if (isObject(value)) return Object.keys(value).length === 0
  return value === undefined || value === null || value === ''
}
