// Group commit for LMDB: writes asked for while the disk is busy go into one transaction and one
// flush. A write is a function that reads and changes through its `Transaction`; it runs alone (one
// process, one thread), so what it read cannot change under it, and it sees the writes queued before it.
//
// lmdb's own transaction(callback) is not used: its callback never ran on Node 20 with lmdb 3.5.6
// (`batch` does), and transactionSync would hold up the event loop for every flush.

import type { Database } from 'lmdb'
import { AppError } from '../errors.ts'

export interface Transaction {
  get(key: Buffer): string | undefined
  put(key: Buffer, value: string): void
  remove(key: Buffer): void
  /** Runs after the commit is on disk; not at all when it fails. */
  after(run: () => void): void
}

interface Waiting {
  run: () => void
  reject: (error: unknown) => void
}

export interface Group {
  /** Resolves when what `change` wrote is on disk. A change that throws has written nothing. */
  write<T>(change: (transaction: Transaction) => T): Promise<T>
  /** Resolves when all that was asked for is done; what is asked for later is refused, for a closed LMDB ends the process. */
  close(): Promise<void>
}

/** Writes of one transaction; more wait for the next, so that a flood does not hold up the event loop. */
const LARGEST = 1000

export function groupCommit(lmdb: Database<string, Buffer>): Group {
  const waiting: ((staged: Staged) => Waiting)[] = []
  let running: Promise<void> | undefined
  let closed = false

  async function drain(): Promise<void> {
    // Whatever else this turn of the event loop asks for comes along.
    await new Promise(resolve => setImmediate(resolve))
    while (waiting.length > 0) {
      const staged = stage(lmdb)
      const done = waiting.splice(0, LARGEST).map(change => change(staged))
      try {
        await staged.commit()
        for (const run of staged.afterwards) run()
        for (const one of done) one.run()
      } catch (error) {
        for (const one of done) one.reject(error)
      }
    }
    running = undefined
  }

  return {
    write: change =>
      new Promise((resolve, reject) => {
        if (closed) throw new AppError('datastore_unreachable', 'the store is closed')
        waiting.push(staged => {
          const own = staged.begin()
          try {
            const result = change(own.transaction)
            own.keep()
            return { run: () => resolve(result), reject }
          } catch (error) {
            // Not before the commit: what it lost against must be there for whoever reads it then.
            return { run: () => reject(error), reject }
          }
        })
        running ??= drain()
      }),
    close() {
      closed = true
      return running ?? Promise.resolve()
    },
  }
}

interface Staged {
  begin(): { transaction: Transaction; keep: () => void }
  afterwards: (() => void)[]
  commit(): Promise<void>
}

/** What the changes of one group wrote, over what is on disk. */
function stage(lmdb: Database<string, Buffer>): Staged {
  const writes = new Map<string, { key: Buffer; value: string | undefined }>()
  const afterwards: (() => void)[] = []
  return {
    afterwards,
    begin() {
      const own = new Map<string, { key: Buffer; value: string | undefined }>()
      const then: (() => void)[] = []
      return {
        transaction: {
          get(key) {
            const name = key.toString('latin1')
            const written = own.get(name) ?? writes.get(name)
            return written ? written.value : lmdb.get(key)
          },
          put: (key, value) => void own.set(key.toString('latin1'), { key, value }),
          remove: key => void own.set(key.toString('latin1'), { key, value: undefined }),
          after: run => void then.push(run),
        },
        keep() {
          for (const [name, write] of own) writes.set(name, write)
          afterwards.push(...then)
        },
      }
    },
    async commit() {
      if (writes.size === 0) return
      await lmdb.batch(() => {
        for (const { key, value } of writes.values()) void (value === undefined ? lmdb.remove(key) : lmdb.put(key, value))
      })
      await lmdb.flushed
    },
  }
}
