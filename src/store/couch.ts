// CouchDB behind the store port, through nano. Every request is built here from checked names, has a
// deadline and ends as a value or an AppError; reads are tried again when only the connection failed.

import { setTimeout as delay } from 'node:timers/promises'
import nano from 'nano'
import { AppError } from '../errors.ts'
import { getAttachment, putAttachment } from './couch-attachments.ts'
import { changesOf } from './couch-changes.ts'
import { couchError, type Failure } from './couch-errors.ts'
import { type CouchTimes, splitUrl, type Streams, streams, TIMES, wholeAnswers } from './couch-http.ts'
import { refusals } from './couch-refusals.ts'
import { type Design, designsFor, loadDesigns } from './design.ts'
import { heed } from './exactly.ts'
import { checkAttachment, checkDatabase, checkDoc, checkId, checkView, conflict, isRevision } from './names.ts'
import type { Classification, Doc, Query, Row, Store, Stored } from './store.ts'

export interface CouchOptions {
  /** `http://user:password@host:5984` */
  url: string
  times?: Partial<CouchTimes>
  /** For tests; otherwise couchdb/views. */
  designs?: readonly Design[]
}

interface Request {
  method?: 'GET' | 'PUT' | 'POST' | 'DELETE'
  db?: string
  id?: string
  /** Below the database, encoded already. */
  path?: string
  /** nano writes the values of start_key and end_key as JSON. */
  qs?: Record<string, unknown>
  body?: object
  /** Milliseconds, where the usual ones are too few. */
  deadline?: number
}

/** Asking again: how often, and after how many milliseconds. */
const AGAIN = [50, 250]
/** A database that somebody makes at this moment gets its views after it is there: milliseconds until they are looked for again. */
const VIEWS_COME = [100, 400, 1000]
/** A view may have to be built first; a database's first one over many documents takes long. */
const VIEW_DEADLINES = 4

/** CouchDB is not asked for anything yet: `ping` says whether it answers. */
export async function couchStore({ url, times: given = {}, designs: own }: CouchOptions): Promise<Store> {
  const times = { ...TIMES, ...given }
  const { origin, host, headers } = splitUrl(url)
  const designs = own ?? (await loadDesigns())
  const dispatcher = wholeAnswers(times)
  const refused = refusals(host, times.refused)
  const raw = streams(origin, headers, times)
  const streaming: Streams = {
    close: () => raw.close(),
    async open(path, options) {
      await refused.heed()
      return raw.open(path, options)
    },
  }
  // nano's types want the class here, and take no signal; what it needs is the instance, and it passes the signal on.
  const server = nano({ url: origin, headers, agentOptions: dispatcher } as unknown as nano.Configuration)
  const closing = new AbortController()

  async function ask<T extends object>({ method = 'GET', db, id, path, qs, body, deadline = times.deadline }: Request): Promise<T> {
    if (closing.signal.aborted) throw new AppError('datastore_unreachable', 'the store is closed')
    const below = path ?? (id === undefined ? undefined : encodeURIComponent(id))
    const request = (): Promise<unknown> =>
      server.request({
        method,
        ...(db ? { db } : {}),
        ...(below ? { path: below } : {}),
        ...(qs ? { qs } : {}),
        ...(body ? { body } : {}),
        signal: AbortSignal.any([AbortSignal.timeout(deadline), closing.signal]),
      } as nano.RequestOptions)
    let answer: unknown
    try {
      answer = await refused.through(request, failureOf)
    } catch (error) {
      throw error instanceof AppError ? error : couchError(failureOf(error), { host, ...(db ? { db } : {}), ...(id ? { id } : {}) })
    }
    // nano answers '' for a body that is no JSON, and a Buffer when the answer does not even say it is.
    if (typeof answer === 'object' && answer !== null && !Buffer.isBuffer(answer)) return answer as T
    throw new AppError('datastore_fault', `what answers at ${host} is no CouchDB, or a broken one: its answer is no JSON; is COUCHDB_URL right?`, { host })
  }

  async function read<T extends object>(request: Request): Promise<T> {
    for (const wait of AGAIN) {
      const began = performance.now()
      try {
        return await ask<T>(request)
      } catch (error) {
        const tooLate = performance.now() - began > times.deadline / 4
        if (!(error instanceof AppError) || error.code !== 'datastore_unreachable' || tooLate || closing.signal.aborted) throw error
        await delay(wait)
      }
    }
    return ask<T>(request)
  }

  /** Undefined where CouchDB has no such thing in a database that exists. */
  async function orMissing<T>(asked: Promise<T>): Promise<T | undefined> {
    try {
      return await asked
    } catch (error) {
      if (error instanceof AppError && error.data.status === 404) return undefined
      throw error
    }
  }

  async function install(db: string, design: Design): Promise<void> {
    const id = `_design/${design.name}`
    const wanted = { language: 'javascript', views: design.views }
    for (let tries = 0; ; tries++) {
      const there = await orMissing(read<Doc>({ db, path: id }))
      if (there && JSON.stringify([there.language, there.views]) === JSON.stringify([wanted.language, wanted.views])) return
      try {
        await ask({ method: 'PUT', db, path: id, body: { ...wanted, ...(there ? { _rev: there._rev } : {}) } })
        return
      } catch (error) {
        // Another engine installs the same: look again.
        if (!(error instanceof AppError) || error.data.status !== 409 || tries > 3) throw error
      }
    }
  }

  /** False when it is there. A busy CouchDB gives up (500 timeout) what may be half done; asking again finishes it. */
  async function make(db: string, [wait, ...waits]: readonly number[]): Promise<boolean> {
    try {
      await ask({ method: 'PUT', db })
      return true
    } catch (error) {
      const status = error instanceof AppError ? Number(error.data.status) : 0
      if (status === 412) return false
      if (wait === undefined || !(status >= 500)) throw error
      await delay(wait)
      return make(db, waits)
    }
  }

  async function createDatabase(db: string, classification: Classification): Promise<boolean> {
    checkDatabase(db)
    const created = await make(db, AGAIN)
    for (const design of designsFor(designs, classification)) await install(db, design)
    return created
  }

  async function query<V>(db: string, view: string, query: Query, reduce: boolean): Promise<Row<V>[]> {
    checkDatabase(db)
    checkView(view)
    const [design, name] = view.split('/')
    const path = `_design/${design}/_view/${name}`
    const qs = { ...viewOptions(query), reduce: String(reduce), ...(reduce && query.keys ? { group: 'true' } : {}) }
    const deadline = times.deadline * VIEW_DEADLINES
    const request: Request = query.keys ? { method: 'POST', db, path, qs, body: { keys: query.keys }, deadline } : { db, path, qs, deadline }
    for (let tries = 0; ; tries++) {
      try {
        return (await read<{ rows: Row<V>[] }>(request)).rows
      } catch (error) {
        // An empty range is no error of ours.
        if (error instanceof AppError && error.data.status === 400 && error.message.includes('No rows can match')) return []
        if (!(error instanceof AppError) || error.data.status !== 404) throw error
        const wait = VIEWS_COME[tries]
        if (wait === undefined) throw new AppError('datastore_fault', `database ${db} has no view ${view}`, { view }, { cause: error })
        await new Promise(resolve => setTimeout(resolve, wait))
      }
    }
  }

  const streamed = { host, streaming, times, closing: closing.signal }

  return {
    kind: 'couchdb',
    createDatabase,
    async databases(prefix = '') {
      const qs = prefix === '' ? {} : { start_key: prefix, end_key: `${prefix}\ufff0` }
      const names = await read<string[]>({ path: '_all_dbs', qs })
      return names.filter(name => name.startsWith(prefix) && !name.startsWith('_'))
    },
    async deleteDatabase(db) {
      checkDatabase(db)
      await ask({ method: 'DELETE', db })
    },

    async get<T extends Doc>(db: string, id: string) {
      checkDatabase(db)
      checkId(id)
      return orMissing(read<Stored<T>>({ db, id }))
    },
    async getMany<T extends Doc>(db: string, ids: readonly string[]) {
      checkDatabase(db)
      for (const id of ids) checkId(id)
      if (ids.length === 0) return []
      const { rows } = await read<{ rows: { doc?: Stored<T> | null }[] }>({
        method: 'POST',
        db,
        path: '_all_docs',
        qs: { include_docs: 'true' },
        body: { keys: ids },
      })
      return rows.map(({ doc }) => doc ?? undefined)
    },
    async put(db, doc) {
      checkDoc(db, doc)
      const { rev } = await ask<{ rev: string }>({ method: 'PUT', db, id: doc._id, body: doc })
      return rev
    },
    async remove(db, id, rev) {
      checkDatabase(db)
      checkId(id)
      if (!isRevision(rev)) throw conflict(db, id)
      // Gone already is a lost race too.
      if ((await orMissing(ask({ method: 'DELETE', db, id, qs: { rev } }))) === undefined) throw conflict(db, id)
    },
    async purge(db, id) {
      checkDatabase(db)
      checkId(id)
      // Unlike a GET, _all_docs also tells the revision of a document that was deleted.
      const { rows } = await read<{ rows: { value?: { rev?: string } }[] }>({ method: 'POST', db, path: '_all_docs', body: { keys: [id] } })
      const rev = rows[0]?.value?.rev
      if (rev !== undefined) await ask({ method: 'POST', db, path: '_purge', body: { [id]: [rev] } })
    },

    query: <V>(db: string, view: string, range: Query = {}) => query<V>(db, view, range, false),
    async reduce(db, view, range = {}) {
      const { skip: _skip, limit: _limit, includeDocs: _docs, ...bounds } = range
      const rows = await query<number>(db, view, bounds, true)
      return rows.reduce((sum, { value }) => {
        if (typeof value !== 'number') throw new AppError('datastore_fault', `view ${view} of ${db}: its reduce over what is no number`, { view })
        return sum + value
      }, 0)
    },

    async putAttachment(db, id, rev, name, body) {
      heed(body)
      try {
        checkDatabase(db)
        checkId(id)
        checkAttachment(name)
        if (!isRevision(rev)) throw conflict(db, id)
      } catch (error) {
        body.stream.destroy()
        throw error
      }
      return putAttachment(streamed, { db, id, rev, name, ...body })
    },
    async getAttachment(db, id, name, range) {
      checkDatabase(db)
      checkId(id)
      checkAttachment(name)
      return getAttachment(streamed, { db, id, name, ...(range ? { range } : {}) })
    },
    changes: (db, options) => changesOf(streamed, db, options),

    async compact(db) {
      checkDatabase(db)
      await ask({ method: 'POST', db, path: '_compact', body: {} })
    },

    async version() {
      const { couchdb, version } = await read<{ couchdb?: unknown; version?: unknown }>({})
      if (couchdb === undefined || typeof version !== 'string')
        throw new AppError('datastore_fault', `what answers at ${host} does not say that it is CouchDB`, { host })
      return version
    },
    async ping() {
      await read({ path: '_up' })
    },
    async close() {
      closing.abort()
      await Promise.all([dispatcher.destroy(), streaming.close()])
    },
  }
}

function failureOf(error: unknown): Failure {
  const { statusCode, error: name, reason } = error as { statusCode?: number; error?: string; reason?: string }
  return {
    ...(statusCode === undefined ? { cause: error } : { status: statusCode }),
    ...(typeof name === 'string' ? { error: name } : {}),
    ...(typeof reason === 'string' ? { reason } : {}),
  }
}

function viewOptions({ key, startKey = key, startId, endKey = key, inclusiveEnd, limit, skip, descending, includeDocs }: Query): Record<string, unknown> {
  const options: Record<string, unknown> = {
    start_key: startKey,
    start_key_doc_id: startId,
    end_key: endKey,
    inclusive_end: inclusiveEnd,
    limit: limit,
    skip: skip,
    descending: descending ? true : undefined,
    include_docs: includeDocs ? true : undefined,
  }
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
