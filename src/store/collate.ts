// CouchDB's order of view keys, twice: as a comparison, always exact, and as bytes whose plain
// order is the same, for LMDB. Strings that ICU calls equal have equal bytes, so the next thing
// compared (the rest of an array, the document's id) decides, as it does in CouchDB.

import { collator, elements, ONE_BYTE, PLAIN } from './alphabet.ts'
import type { Key } from './store.ts'

const NULL = 0x20
const FALSE = 0x30
const TRUE = 0x31
const NUMBER = 0x40
const STRING = 0x50
const ARRAY = 0x60
const OBJECT = 0x70
/** Ends a list; lower than every type and every weight, so the shorter of two comes first. */
const END = 0x00

function typeOf(key: Key): number {
  if (key === null) return NULL
  if (key === false) return FALSE
  if (key === true) return TRUE
  if (typeof key === 'number') return NUMBER
  if (typeof key === 'string') return STRING
  return Array.isArray(key) ? ARRAY : OBJECT
}

const isList = (key: Key): key is readonly Key[] => Array.isArray(key)
/** An object compares as the list of its names and values (couch_ejson_compare: props_compare). */
const listed = (key: Key): readonly Key[] => (isList(key) ? key : Object.entries(key as { readonly [name: string]: Key }).flat())

export function compareKeys(a: Key, b: Key): number {
  const type = typeOf(a)
  if (type !== typeOf(b)) return type - typeOf(b)
  if (type === NUMBER) return (a as number) - (b as number)
  if (type === STRING) return collator.compare(a as string, b as string)
  if (type < NUMBER) return 0
  const [left, right] = [listed(a), listed(b)]
  for (let i = 0; i < left.length && i < right.length; i++) {
    const order = compareKeys(left[i] as Key, right[i] as Key)
    if (order !== 0) return order
  }
  return left.length - right.length
}

/** Undefined for a key with a string that has no sort key (alphabet.ts); such keys can only be compared. */
export function encodeKey(key: Key): Buffer | undefined {
  const bytes: number[] = []
  return write(key, bytes) ? Buffer.from(bytes) : undefined
}

function write(key: Key, bytes: number[]): boolean {
  const type = typeOf(key)
  bytes.push(type)
  if (type === NUMBER) writeNumber(key as number, bytes)
  else if (type === STRING) return writeString(key as string, bytes)
  else if (type > STRING) {
    if (!listed(key).every(part => write(part, bytes))) return false
    bytes.push(END)
  }
  return true
}

/** IEEE 754 bits, with the sign turned so that they sort: all bits of a negative number, the first of a positive one. */
function writeNumber(value: number, bytes: number[]): void {
  bits.writeDoubleBE(value === 0 ? 0 : value)
  const negative = bits.readUInt8(0) >= 0x80
  for (let index = 0; index < bits.length; index++) {
    const byte = bits.readUInt8(index)
    bytes.push(negative ? ~byte & 0xff : index === 0 ? byte | 0x80 : byte)
  }
}
const bits = Buffer.alloc(8)

/** Three levels, each ended: letters, accents, case. The lowest weight at a level's end is left out: it says nothing. */
function writeString(text: string, bytes: number[]): boolean {
  if (writePlain(text, bytes)) return true
  const found = elements(text)
  if (!found) return false
  for (const { primary } of found) if (primary > 0) writePrimary(primary, bytes)
  bytes.push(END)
  writeLevel(
    found.map(element => element.secondary),
    bytes,
  )
  writeLevel(
    found.map(element => element.tertiary),
    bytes,
  )
  return true
}

function writePlain(text: string, bytes: number[]): boolean {
  const start = bytes.length
  for (let i = 0; i < text.length; i++) {
    const weight = PLAIN[text.charCodeAt(i)] ?? 0
    if (weight === 0) {
      bytes.length = start
      return false
    }
    bytes.push(weight)
  }
  bytes.push(END, END, END)
  return true
}

function writeLevel(weights: readonly number[], bytes: number[]): void {
  bytes.push(...weights.slice(0, weights.findLastIndex(weight => weight > 1) + 1), END)
}

/** A prefix-free code that keeps the order: one byte for digits and Latin letters, two for other letters, three for Han. */
function writePrimary(weight: number, bytes: number[]): void {
  if (weight < ONE_BYTE) bytes.push(weight)
  else if (weight < 0x3000) bytes.push(ONE_BYTE + (weight >> 8), weight & 0xff)
  else bytes.push(0xfe, (weight >> 8) & 0xff, weight & 0xff)
}
