// What of a document is public. Keys that start with `_` or `pvt_` are the store's and callrec's own:
// they neither leave by the API nor enter by it. Null is how a client removes a key and is never kept.

export type Fields = Record<string, unknown>

export const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

const isPrivate = (key: string): boolean => key.startsWith('_') || key.startsWith('pvt_')

/** A loop, because a list does this for each of its documents and entries cost four times as much. */
function only(fields: Readonly<Fields>, keep: (key: string) => boolean): Fields {
  const kept: Fields = {}
  for (const key of Object.keys(fields)) if (keep(key) && key !== '__proto__') kept[key] = fields[key]
  return kept
}

/** `id` is public too, but it is the store's `_id` and no field of its own. */
export const publicFields = (doc: Readonly<Fields>): Fields => only(doc, key => !isPrivate(key) && key !== 'id')
export const privateFields = (doc: Readonly<Fields>): Fields => only(doc, isPrivate)

/** Public fields as a client sees them. */
export function shown(doc: Readonly<Fields>): Fields {
  const fields = publicFields(doc)
  fields['id'] = doc['_id']
  return fields
}

function withoutNull(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNull)
  return isObject(value) ? merge({}, value) : value
}

/** PATCH: objects are merged, scalars and arrays replaced, and null removes a key, all at any depth. */
export function merge(old: Readonly<Fields>, change: Readonly<Fields>): Fields {
  const merged: Fields = { ...old }
  for (const [key, value] of Object.entries(change)) {
    const was = merged[key]
    if (value === null) delete merged[key]
    else merged[key] = isObject(value) && isObject(was) ? merge(was, value) : withoutNull(value)
  }
  return merged
}

/** What JSON can hold, copied; structuredClone takes ten times as long. */
export function copyOf<Value>(value: Value): Value {
  if (Array.isArray(value)) return value.map(copyOf) as Value
  if (!isObject(value)) return value
  const copied: Fields = {}
  for (const key of Object.keys(value)) if (key !== '__proto__') copied[key] = copyOf(value[key])
  return copied as Value
}

/** Deeper bodies are refused, so that nothing that walks a document can run out of stack. */
const DEEPEST = 200

/** Values in all, containers included: a body of 8 MB holds more than any document needs and everything that walks it has to look at. */
const MOST_VALUES = 100_000

/** Half of a surrogate pair: JSON can spell one, UTF-8 cannot hold it, and CouchDB takes no document that has one. */
const isHalf = (text: string): boolean => !text.isWellFormed()
const NO_UNICODE = 'the body holds half a character'

/** A copy without `__proto__` keys, which would set a prototype where they are assigned; or why the body is not one to copy. */
export function tidy(value: unknown): { value: unknown } | { refused: string } {
  let refused: string | undefined
  let values = 0
  const copy = (part: unknown, depth: number): unknown => {
    values += 1
    if (depth > DEEPEST) refused = 'the body is nested too deeply'
    if (values > MOST_VALUES) refused = 'the body holds too many values'
    if (typeof part === 'string' && isHalf(part)) refused = NO_UNICODE
    if (refused !== undefined || typeof part !== 'object' || part === null) return part
    if (Array.isArray(part)) return part.map(one => copy(one, depth + 1))
    const entries = Object.entries(part).filter(([key]) => key !== '__proto__')
    if (entries.some(([key]) => isHalf(key))) refused = NO_UNICODE
    return Object.fromEntries(entries.map(([key, one]) => [key, copy(one, depth + 1)]))
  }
  const copied = copy(value, 0)
  return refused === undefined ? { value: copied } : { refused }
}
