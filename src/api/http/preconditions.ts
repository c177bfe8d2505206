// If-Match and If-None-Match (RFC 9110 §13.1): a client that read one revision changes nothing else
// than that, and is not sent again what it has.

import { AppError, isCode } from '../../errors.ts'

const names = (header: string, tag: string): boolean =>
  header.split(',').some(one => one.trim() === '*' || one.trim().replace(/^W\//, '').replaceAll('"', '') === tag.replaceAll('"', ''))

/** Koa's own `fresh` is no help: it takes `Cache-Control: no-cache`, which fetch adds, for a wish to be sent all again. */
export const isKnown = (ifNoneMatch: string | undefined, tag: string | undefined): boolean =>
  ifNoneMatch !== undefined && tag !== undefined && tag !== '' && names(ifNoneMatch, tag)

export function requireMatch(ifMatch: string | undefined, revision: string): void {
  if (ifMatch === undefined || names(ifMatch, revision)) return
  throw new AppError('precondition_failed', 'the document is at another revision', { revision })
}

/** A race that is lost after the check is the same to a client that gave a revision. */
export async function lostRaceIs412<T>(ifMatch: string | undefined, write: Promise<T>): Promise<T> {
  try {
    return await write
  } catch (error) {
    if (ifMatch === undefined || !isCode(error, 'datastore_conflict')) throw error
    throw new AppError('precondition_failed', 'the document has changed meanwhile', {}, { cause: error })
  }
}
