// What CouchDB (or the way to it) failed with, as callrec's errors. The cause is made anew from its
// text: nano's own errors carry the request, with the document in it.

import { AppError, reasonOf } from '../errors.ts'
import { conflict } from './names.ts'

/** Of an error answer; undefined status = no answer came. */
export interface Failure {
  status?: number
  /** CouchDB's `error` and `reason`. */
  error?: string
  reason?: string
  cause?: unknown
}

export interface Subject {
  host: string
  db?: string
  id?: string
}

/** In the reason a request was given up for; nano keeps nothing of an error but its words. */
export const TOO_LONG = 'answer longer than'

const NO_DATABASE = ['Database does not exist.', 'no_db_file']

export function couchError({ status, error, reason, cause }: Failure, { host, db, id }: Subject): AppError {
  const where = `CouchDB at ${host}`
  const text = cause === undefined ? undefined : textOf(cause)
  const options = text === undefined ? {} : { cause: new Error(text) }
  if (status === undefined) {
    if (text?.includes(TOO_LONG)) return new AppError('datastore_fault', `${where} gave an answer too long to hold; ask for less`, { host }, options)
    const silent = text !== undefined && /timeout|aborted|deadline/i.test(text)
    const what = silent ? 'did not answer in time' : 'cannot be reached'
    return new AppError('datastore_unreachable', `${where} ${what} (${text ?? 'no answer'}): is it running, and is COUCHDB_URL right?`, { host }, options)
  }
  if (status === 404 && reason !== undefined && NO_DATABASE.includes(reason)) {
    return new AppError('datastore_missing', `there is no database ${db} in ${where}`, { db })
  }
  if (status === 409 && db !== undefined && id !== undefined) return conflict(db, id)
  if (status === 403 && /locked/i.test(reason ?? '')) {
    const cure = 'find out who there has a wrong COUCHDB_URL, and wait or restart CouchDB'
    return new AppError(
      'datastore_fault',
      `${where} has locked the user for some minutes after wrong passwords from this address: ${cure}`,
      { status },
      options,
    )
  }
  if (status === 401 || status === 403) {
    return new AppError('datastore_fault', `${where} refused user or password (${status}): correct COUCHDB_URL`, { status }, options)
  }
  if (status === 413) return new AppError('body_too_large', `${where} finds document ${id} too large`, { id })
  if (status === 412 && id !== undefined) return new AppError('unspecified_fault', `document ${id} names an attachment that was never stored`, { id })
  const said = [error, reason].filter(part => part !== undefined && part !== '').join(': ')
  const subject = [db, id].filter(part => part !== undefined).join(' ')
  const cure = status >= 500 ? '; look into its log' : ''
  return new AppError(
    'datastore_fault',
    `${where} answered ${status}${said ? ` (${said.slice(0, 300)})` : ''}${subject ? ` for ${subject}` : ''}${cure}`,
    { status },
    options,
  )
}

/** An error and its causes in words, with the codes that say what happened to the socket. */
function textOf(error: unknown): string {
  const parts: string[] = []
  for (let at: unknown = error; at instanceof Error && parts.length < 4; at = at.cause) {
    const code = (at as NodeJS.ErrnoException).code
    parts.push(typeof code === 'string' && !at.message.includes(code) ? `${at.message} ${code}` : at.message)
  }
  return parts.length > 0 ? parts.filter(part => part !== '').join(': ') : reasonOf(error)
}
