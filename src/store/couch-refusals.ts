// CouchDB locks a user out, for everybody at one address, after five wrong passwords in five minutes ([chttpd_auth_lockout]). So a
// wrong password is not sent again for a while: it would lock out engines beside this one that have the right one.

import { couchError, type Failure } from './couch-errors.ts'

export interface Refusals {
  /** Throws what CouchDB said, as long as it need not be asked again. */
  heed(): void
  note(failure: Failure): void
}

/** `wait` in milliseconds. */
export function refusals(host: string, wait: number): Refusals {
  let last: { failure: Failure; until: number } | undefined
  return {
    heed() {
      if (last !== undefined && performance.now() < last.until) throw couchError(last.failure, { host })
    },
    note(failure) {
      // Other refusals are of what was asked, and count for no lock.
      if (failure.status === 401 && failure.reason === 'Name or password is incorrect.') last = { failure, until: performance.now() + wait }
    },
  }
}
