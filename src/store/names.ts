// What may be named: checked before an adapter builds a path or a key of it, because nano sends
// `..`, `_local` and attachment names to CouchDB as they are (reference/couchdb.md §4.8).

import { AppError } from '../errors.ts'
import type { Doc } from './store.ts'

const DATABASE = /^[a-z][a-z0-9_+-]*(\/[a-z0-9_+-]+)*$/
const DOCUMENT = /^[A-Za-z0-9+][A-Za-z0-9_.:+@-]{0,127}$/
/** CouchDB keeps names that start with `_` for itself. */
const ATTACHMENT = /^[A-Za-z0-9][A-Za-z0-9_.+@ -]{0,254}$/
const VIEW = /^[a-z][a-z0-9_]*\/[a-z][a-z0-9_]*$/
const REVISION = /^[1-9][0-9]*-[0-9a-f]{32}$/

/** CouchDB's own limit (max_document_size, 3.x). */
export const LARGEST_DOCUMENT = 8_000_000

function must(holds: boolean, what: string, text: string): void {
  if (!holds) throw new AppError('bad_identifier', `no ${what} can have the name ${JSON.stringify(text.slice(0, 200))}`, { [what]: text.slice(0, 200) })
}

export const checkDatabase = (db: string): void => must(DATABASE.test(db) && db.length <= 200, 'database', db)
export const checkId = (id: string): void => must(DOCUMENT.test(id), 'document', id)
export const checkAttachment = (name: string): void => must(ATTACHMENT.test(name), 'attachment', name)
export const checkView = (view: string): void => must(VIEW.test(view), 'view', view)

export const isRevision = (rev: string): boolean => REVISION.test(rev)

export const conflict = (db: string, id: string): AppError =>
  new AppError('datastore_conflict', `document ${id} in ${db} was changed meanwhile: read it again`, { id })

/** The document's JSON, refused where CouchDB would refuse it. */
export function checkDoc(db: string, doc: Doc): string {
  checkDatabase(db)
  checkId(doc._id)
  const foreign = Object.keys(doc).find(field => field.startsWith('_') && !['_id', '_rev', '_attachments'].includes(field))
  if (foreign) throw new AppError('unspecified_fault', `document ${doc._id}: the store keeps the field ${foreign} for itself`)
  const stubs: unknown[] = Object.values(doc._attachments ?? {})
  if (stubs.some(stub => (stub as { stub?: unknown } | null)?.stub !== true)) {
    throw new AppError('unspecified_fault', `document ${doc._id}: attachments are written by putAttachment`)
  }
  const json = JSON.stringify(doc)
  if (Buffer.byteLength(json) > LARGEST_DOCUMENT) {
    throw new AppError('body_too_large', `document ${doc._id} is larger than ${LARGEST_DOCUMENT} bytes`, { maximum: LARGEST_DOCUMENT })
  }
  if (doc._rev !== undefined && !isRevision(doc._rev)) throw conflict(db, doc._id)
  return json
}
