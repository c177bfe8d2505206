// CouchDB locks a user out, for everybody at one address, after five wrong passwords in five minutes ([chttpd_auth_lockout]). So a
// wrong password is not sent by many requests at once, nor again for a while: it would lock out engines beside this one that have
// the right one.

import { couchError, type Failure } from './couch-errors.ts'

export interface Refusals {
  /** Throws what CouchDB said, as long as it need not be asked again; waits for what it says to the first who asks. */
  heed(): Promise<void>
  through<T>(request: () => Promise<T>, failureOf: (error: unknown) => Failure): Promise<T>
}

/** `wait` in milliseconds. */
export function refusals(host: string, wait: number): Refusals {
  let accepted = false
  let first: Promise<void> | undefined
  let last: { failure: Failure; until: number } | undefined

  function note(failure: Failure): void {
    // Other refusals are of what was asked, and count for no lock.
    const wrong = failure.status === 401 && failure.reason === 'Name or password is incorrect.'
    if (wrong) last = { failure, until: performance.now() + wait }
    if (failure.status !== undefined) accepted = !wrong
  }

  function unlessRefused(): void {
    if (last !== undefined && performance.now() < last.until) throw couchError(last.failure, { host })
  }

  async function noted<T>(asked: Promise<T>, failureOf: (error: unknown) => Failure): Promise<T> {
    try {
      const answer = await asked
      accepted = true
      return answer
    } catch (error) {
      note(failureOf(error))
      throw error
    }
  }

  return {
    async heed() {
      if (!accepted && first !== undefined) await first
      unlessRefused()
    },
    async through(request, failureOf) {
      // Nothing else is awaited: whoever finds nobody first is it.
      if (!accepted && first !== undefined) await first
      unlessRefused()
      const asked = noted(request(), failureOf)
      if (!accepted && first === undefined) {
        const over = (): void => void (first = undefined)
        first = asked.then(over, over)
      }
      return asked
    },
  }
}
