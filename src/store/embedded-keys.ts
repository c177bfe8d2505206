// Where things lie in the one LMDB tree: a letter, the number of a database or a view (numbers are
// never given out twice), then what sorts within it. The bytes of a view's row sort as CouchDB sorts
// rows: key, then document id.

import { encodeKey } from './collate.ts'
import type { Key } from './store.ts'

const HIGHEST = Buffer.from([0xff])

function numbered(letter: string, number: number): Buffer {
  const bytes = Buffer.alloc(5)
  bytes.write(letter, 'latin1')
  bytes.writeUInt32BE(number, 1)
  return bytes
}

export const counterKey = Buffer.from('n')
export const databaseKey = (name: string): Buffer => Buffer.from(`m${name}`)
export const fileKey = (file: string): Buffer => Buffer.from(`f${file}`)
/** Something with this number is to be removed; what a crash interrupts, the next start goes on with. */
export const doomedKey = (number: number): Buffer => numbered('x', number)

export const sequenceKey = (database: number): Buffer => numbered('s', database)
export const docKey = (database: number, id: string): Buffer => Buffer.concat([numbered('d', database), Buffer.from(id)])
export function changeKey(database: number, sequence: number): Buffer {
  const bytes = Buffer.alloc(6)
  bytes.writeUIntBE(sequence, 0, 6)
  return Buffer.concat([numbered('c', database), bytes])
}

/** Rows whose key has bytes, and rows that can only be compared (collate.ts). */
const ORDERED = Buffer.from([1])
const COMPARED = Buffer.from([2])
/** LMDB's longest key is 1978 bytes; a view's longer ones are compared. */
const LONGEST = 1900

/** `nth` tells apart what one document emits under one key. */
export function rowKey(view: number, key: Key, id: string, nth: number): Buffer {
  const bytes = encodeKey(key)
  const end = Buffer.from([0, nth >> 8, nth & 0xff])
  if (!bytes || bytes.length > LONGEST - 150) return Buffer.concat([numbered('v', view), COMPARED, Buffer.from(id), end])
  return Buffer.concat([numbered('v', view), ORDERED, bytes, Buffer.from(id), end])
}

export interface Span {
  start: Buffer
  end: Buffer
}

const under = (prefix: Buffer): Span => ({ start: prefix, end: Buffer.concat([prefix, HIGHEST]) })

export const allDatabases = under(Buffer.from('m'))
export const allDoomed = under(Buffer.from('x'))
export const allDocs = (database: number): Span => under(numbered('d', database))
export const allChanges = (database: number, after: number): Span => ({ start: changeKey(database, after + 1), end: under(numbered('c', database)).end })
export const allRows = (view: number): Span => under(numbered('v', view))
export const orderedRows = (view: number): Span => under(Buffer.concat([numbered('v', view), ORDERED]))
export const comparedRows = (view: number): Span => under(Buffer.concat([numbered('v', view), COMPARED]))

/** Where the rows of a key lie, or those of them from a document's id on; undefined when the key has no bytes. */
export function rowsOf(view: number, key: Key, fromId = ''): Span | undefined {
  const bytes = encodeKey(key)
  if (!bytes || bytes.length > LONGEST - 150) return undefined
  const prefix = Buffer.concat([numbered('v', view), ORDERED, bytes])
  return { start: Buffer.concat([prefix, Buffer.from(fromId)]), end: Buffer.concat([prefix, HIGHEST]) }
}
/** Ends after the last row of this key whose document's id is at most `id`. */
export function rowsUpTo(view: number, key: Key, id: string): Buffer | undefined {
  const span = rowsOf(view, key, id)
  return span && Buffer.concat([span.start, Buffer.from([1])])
}
