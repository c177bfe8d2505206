// CouchDB's continuous changes feed, kept up: a feed that breaks or falls silent is opened again
// where it was. It ends with the signal, and fails only when trying again cannot help.

import { setTimeout as delay } from 'node:timers/promises'
import { AppError } from '../errors.ts'
import { type Streamed, saidBy } from './couch-attachments.ts'
import { couchError } from './couch-errors.ts'
import { checkDatabase } from './names.ts'
import type { Change, Stored } from './store.ts'

interface Line {
  /** Alone in the last line of a feed that ended in good order. */
  last_seq?: string
  seq?: string
  id?: string
  deleted?: boolean
  doc?: Stored
}

/** Milliseconds before it is opened again. */
const FIRST_WAIT = 200
const LONGEST_WAIT = 10_000
/** A line longer than a document can be is no line. */
const LONGEST_LINE = 16 * 1024 * 1024

export async function* changesOf(
  to: Streamed,
  db: string,
  { since, includeDocs = false, signal: ended }: { since?: string; includeDocs?: boolean; signal: AbortSignal },
): AsyncGenerator<Change> {
  checkDatabase(db)
  const signal = AbortSignal.any([ended, to.closing])
  let last = since
  let wait = FIRST_WAIT
  while (!signal.aborted) {
    try {
      last ??= await now(to, db, signal)
      const query = new URLSearchParams({
        feed: 'continuous',
        heartbeat: String(Math.ceil(to.times.stalled / 3)),
        since: last,
        include_docs: String(includeDocs),
      })
      for await (const { seq, id, deleted = false, doc } of lines(to, db, `?${query.toString()}`, signal)) {
        wait = FIRST_WAIT
        if (seq === undefined || id === undefined) continue
        last = seq
        if (!id.startsWith('_design/')) yield { id, seq, deleted, ...(doc && !deleted ? { doc } : {}) }
        if (signal.aborted) return
      }
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof AppError && !(error.code === 'datastore_unreachable' || Number(error.data.status) >= 500)) throw error
    }
    await delay(wait, undefined, { signal }).catch(() => {})
    wait = Math.min(wait * 2, LONGEST_WAIT)
  }
}

async function now(to: Streamed, db: string, signal: AbortSignal): Promise<string> {
  for await (const { last_seq: last } of lines(to, db, '?since=now&feed=continuous&timeout=1', signal)) if (last !== undefined) return last
  throw new AppError('datastore_unreachable', `CouchDB at ${to.host} did not say where its changes are`)
}

async function* lines({ host, streaming }: Streamed, db: string, query: string, signal: AbortSignal): AsyncGenerator<Line> {
  try {
    const answer = await streaming.open(`/${encodeURIComponent(db)}/_changes${query}`, { signal })
    if (answer.statusCode !== 200) throw couchError({ status: answer.statusCode, ...(await saidBy(answer)) }, { host, db })
    answer.body.setEncoding('utf8')
    let rest = ''
    for await (const chunk of answer.body as AsyncIterable<string>) {
      const parts = (rest + chunk).split('\n')
      rest = parts.pop() ?? ''
      if (rest.length > LONGEST_LINE) throw new Error('a line of the changes feed has no end')
      // An empty line is a heartbeat.
      for (const part of parts) if (part.trim() !== '') yield JSON.parse(part) as Line
    }
  } catch (error) {
    throw error instanceof AppError ? error : couchError({ cause: error }, { host, db })
  }
}
