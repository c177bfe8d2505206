// The document store as the rest of callrec sees it: CouchDB's model (documents with revisions,
// views, attachments, a changes feed) without its wire. Two adapters, couch.ts and embedded.ts,
// are held to one suite of promises, test/contract/store.ts.

import type { Readable } from 'node:stream'

/** A document. Fields that start with `_` are the store's, `pvt_` are callrec's own; neither leaves by the API. */
export interface Doc {
  _id: string
  _rev?: string
  [field: string]: unknown
}

export type Stored<T extends Doc = Doc> = T & { _rev: string }

/** What a database is for; it decides which views of couchdb/views are installed in it. */
export const CLASSIFICATIONS = [
  'accounts',
  'account',
  'modb',
  'numbers',
  'token_auth',
  'recordings_in_flight',
  'calls_in_progress',
  'webhook_queue',
  'system_config',
] as const
export type Classification = (typeof CLASSIFICATIONS)[number]

/** A view's key: compared as CouchDB does (null < booleans < numbers < strings < arrays < objects, ICU for strings). */
export type Key = null | boolean | number | string | readonly Key[] | { readonly [name: string]: Key }

export interface Query {
  /** Inclusive; with `descending` the higher end. */
  startKey?: Key
  /** Among rows of `startKey`, where to begin. */
  startId?: string
  /** Inclusive unless `inclusiveEnd` is false. */
  endKey?: Key
  inclusiveEnd?: boolean
  key?: Key
  keys?: readonly Key[]
  limit?: number
  skip?: number
  descending?: boolean
  includeDocs?: boolean
}

export interface Row<V = unknown> {
  id: string
  key: Key
  value: V
  doc?: Stored
}

export interface Attachment {
  contentType: string
  /** Bytes of the whole attachment, whatever part `body` carries. */
  length: number
  body: Readable
}

export interface Change {
  id: string
  seq: string
  deleted: boolean
  doc?: Stored
}

/**
 * Errors, all AppError: `datastore_missing` (no such database), `datastore_conflict` (a lost race),
 * `bad_identifier` (an id that no document may have), `body_too_large`, `length_mismatch` (an attachment's body),
 * `datastore_unreachable`, `datastore_fault`; `unspecified_fault` where the caller broke a rule of this file.
 * A resolved write is on disk.
 */
export interface Store {
  readonly kind: 'couchdb' | 'embedded'

  /** Creates it, or brings its views up to date where it exists; false when it existed. */
  createDatabase(db: string, classification: Classification): Promise<boolean>
  /** Names that start with `prefix`, ascending. */
  databases(prefix?: string): Promise<string[]>
  deleteDatabase(db: string): Promise<void>

  /** Undefined when there is none or it was deleted. */
  get<T extends Doc>(db: string, id: string): Promise<Stored<T> | undefined>
  /** In the order asked for; undefined where there is none. */
  getMany<T extends Doc>(db: string, ids: readonly string[]): Promise<(Stored<T> | undefined)[]>
  /**
   * Without `_rev` the document must be new; with it, the revision must be the current one. Answers the new revision.
   * An attachment stays while `_attachments` of the document names it. With the revision of a document that was purged,
   * CouchDB makes the document anew where the embedded store finds a lost race: do not count on either.
   */
  put(db: string, doc: Doc): Promise<string>
  remove(db: string, id: string, rev: string): Promise<void>
  /** Removes and leaves no tombstone; for queues that churn. No error when it is not there. */
  purge(db: string, id: string): Promise<void>

  /** `view` is `design/name` of couchdb/views. */
  query<V = unknown>(db: string, view: string, query?: Query): Promise<Row<V>[]>
  /** The view's built-in reduce (`_count` or `_sum`) over a range: one number, 0 for no rows. */
  reduce(db: string, view: string, query?: Query): Promise<number>

  /** Answers the document's new revision. A body that is shorter or longer than `length` is an error and nothing is stored. */
  putAttachment(db: string, id: string, rev: string, name: string, body: { stream: Readable; length: number; contentType: string }): Promise<string>
  /**
   * Undefined when there is none. `range` is inclusive byte offsets, as in HTTP; one behind the end gives no bytes.
   * The body must be read or destroyed; it fails when it breaks off.
   */
  getAttachment(db: string, id: string, name: string, range?: { first: number; last: number }): Promise<Attachment | undefined>

  /**
   * Every change after `since` (a `seq`; '0' = all, absent = from now) until the signal or close; deletions included,
   * purges not. A document's changes come in order, those in between left out; CouchDB promises no order among
   * documents and may repeat one. A store that is away is waited for, a database that is not there is an error.
   */
  changes(db: string, options: { since?: string; includeDocs?: boolean; signal: AbortSignal }): AsyncIterable<Change>

  /** Begins to let go of what deleted documents and old revisions still hold on its disk; the embedded store never keeps them. */
  compact(db: string): Promise<void>

  /** Of the program behind it, as that calls itself: `3.5.0`. */
  version(): Promise<string>
  /** Rejects when the store cannot answer now. */
  ping(): Promise<void>
  close(): Promise<void>
}
