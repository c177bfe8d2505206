// A document as it lies in LMDB, and what has to change with it: rows of views, its place in the
// changes feed, attachment files. Rows are a function of the document, so the old ones are known
// from the old document and are not written down a second time.

import { createHash } from 'node:crypto'
import { AppError } from '../errors.ts'
import type { Base, IndexedView } from './embedded-base.ts'
import { changeKey, docKey, fileKey, rowKey, sequenceKey } from './embedded-keys.ts'
import { rowText } from './embedded-query.ts'
import type { Files } from './files.ts'
import type { Transaction } from './group.ts'
import type { Doc, Key, Stored } from './store.ts'

/** As CouchDB shows it in `_attachments`. */
export interface Stub {
  content_type: string
  revpos: number
  digest: string
  /** Bytes. */
  length: number
  stub: true
}

export interface DocRecord {
  rev: string
  sequence: number
  deleted?: true
  /** Attachment name → file (files.ts). */
  files?: { [name: string]: string }
  /** Without `_id` and `_rev`. */
  doc: { _attachments?: { [name: string]: Stub }; [field: string]: unknown }
}

export const readRecord = (text: string | undefined): DocRecord | undefined => (text === undefined ? undefined : (JSON.parse(text) as DocRecord))

export const visible = <T extends Doc>(id: string, { rev, doc }: DocRecord): Stored<T> => ({ _id: id, _rev: rev, ...doc }) as Stored<T>

/** The next revision of a document; undefined as `doc` is its deletion, and `json` is its text. Its sequence is given when it is written. */
export function revise(id: string, old: DocRecord | undefined, doc: Doc | undefined, json = JSON.stringify(doc)): DocRecord {
  const generation = old ? Number.parseInt(old.rev, 10) + 1 : 1
  const { _id, _rev, _attachments, ...fields } = doc ?? { _id: id }
  const names = Object.keys(_attachments ?? {})
  const held = old?.doc._attachments ?? {}
  for (const name of names) {
    if (!held[name]) throw new AppError('unspecified_fault', `document ${id} names an attachment ${name} that was never stored`, { id })
  }
  const kept = Object.entries(held).filter(([name]) => names.includes(name))
  const hash = createHash('md5').update(`${old?.rev} ${old?.deleted === true} ${json}`)
  return {
    rev: `${generation}-${hash.digest('hex')}`,
    sequence: 0,
    ...(doc === undefined ? { deleted: true as const } : {}),
    ...(kept.length > 0 ? { files: Object.fromEntries(kept.map(([name]) => [name, old?.files?.[name] ?? ''])) } : {}),
    doc: { ...fields, ...(kept.length > 0 ? { _attachments: Object.fromEntries(kept) } : {}) },
  }
}

/** What map functions are given of a record: undefined where it has no rows. Frozen, because all of them are given the same. */
const mapped = (id: string, record: DocRecord | undefined): Doc | undefined =>
  record === undefined || record.deleted === true ? undefined : Object.freeze(visible(id, record))

/** What one view says of a document, as it lies in the index. */
const rowsOf = (view: IndexedView, doc: Doc | undefined): { key: Key; text: string }[] =>
  doc === undefined ? [] : view.map(doc).map(({ key, value }) => ({ key, text: rowText(doc._id, key, value) }))

/** Most writes change no row, and the bytes of a key cost more than its text. */
function replaceRows(transaction: Transaction, base: Base, id: string, old: DocRecord | undefined, next: DocRecord | undefined): void {
  const [was, is] = [mapped(id, old), mapped(id, next)]
  for (const view of base.views.values()) {
    const [before, after] = [rowsOf(view, was), rowsOf(view, is)]
    before.forEach(({ key, text }, nth) => {
      if (after[nth]?.text !== text) transaction.remove(rowKey(view.number, key, id, nth))
    })
    after.forEach(({ key, text }, nth) => {
      if (before[nth]?.text !== text) transaction.put(rowKey(view.number, key, id, nth), text)
    })
  }
}

function replaceFiles(transaction: Transaction, files: Files, old: DocRecord | undefined, next: DocRecord | undefined): void {
  const [before, after] = [Object.values(old?.files ?? {}), Object.values(next?.files ?? {})]
  for (const file of after) if (!before.includes(file)) transaction.put(fileKey(file), '')
  for (const file of before) {
    if (after.includes(file)) continue
    transaction.remove(fileKey(file))
    // Left behind by a crash, it is swept at the next start.
    transaction.after(() => void files.remove(file).catch(() => {}))
  }
}

export function writeRecord(transaction: Transaction, base: Base, files: Files, id: string, old: DocRecord | undefined, next: DocRecord): void {
  const sequence = base.lastSequence + 1
  base.lastSequence = sequence
  transaction.put(sequenceKey(base.number), String(sequence))
  if (old) transaction.remove(changeKey(base.number, old.sequence))
  transaction.put(changeKey(base.number, sequence), JSON.stringify([id, next.deleted === true]))
  transaction.put(docKey(base.number, id), JSON.stringify({ ...next, sequence }))
  replaceRows(transaction, base, id, old, next)
  replaceFiles(transaction, files, old, next)
  transaction.after(() => base.arrived(sequence))
}

export function dropRecord(transaction: Transaction, base: Base, files: Files, id: string, old: DocRecord): void {
  transaction.remove(changeKey(base.number, old.sequence))
  transaction.remove(docKey(base.number, id))
  replaceRows(transaction, base, id, old, undefined)
  replaceFiles(transaction, files, old, undefined)
}

/** Rows of a document in one view, for building an index over documents that are there already. */
export function indexRecord(transaction: Transaction, view: IndexedView, id: string, record: DocRecord): void {
  rowsOf(view, mapped(id, record)).forEach(({ key, text }, nth) => transaction.put(rowKey(view.number, key, id, nth), text))
}
