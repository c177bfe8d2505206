// CouchDB as the engine needs it: young enough, with the right to make databases, and closed to
// everybody who has no password.

import { fail, type Finding, ok, type Tools } from './finding.ts'
import { isCode, reasonOf } from './errors.ts'
import { couchStore } from './store/couch.ts'
import type { Store } from './store/store.ts'

/** Purging, which the queues need, works on clusters from here on. */
const LEAST = [3, 3] as const
/** Milliseconds. */
const DEADLINE = 5_000
const UNREACHABLE = 'start CouchDB, or mend host, user and password in COUCHDB_URL'

export async function examineCouch(url: string, { random }: Tools): Promise<Finding[]> {
  const host = `CouchDB at ${URL.parse(url)?.host ?? ''}`
  const at = `store: ${host}`
  let store: Store
  try {
    store = await couchStore({ url, times: { deadline: DEADLINE } })
  } catch (error) {
    return [fail(`${at}: ${reasonOf(error)}`, 'mend COUCHDB_URL')]
  }
  try {
    const version = await store.version()
    return [ofAge(at, version), await mayMakeDatabases(host, url, store, `callrec_doctor_${random(8)}`)]
  } catch (error) {
    return [fail(whatOf(host, error), UNREACHABLE)]
  } finally {
    await store.close()
  }
}

/** Most errors of the store begin with its address. */
function whatOf(host: string, error: unknown): string {
  const reason = reasonOf(error)
  return reason.startsWith(host) ? `store: ${reason}` : `store: ${host}: ${reason}`
}

function ofAge(at: string, version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const old = major < LEAST[0] || (major === LEAST[0] && minor < LEAST[1])
  return old ? fail(`${at} is version ${version}`, `upgrade CouchDB to ${LEAST.join('.')} or later`) : ok(`${at} is version ${version}`)
}

async function mayMakeDatabases(host: string, url: string, store: Store, db: string): Promise<Finding> {
  const at = `store: ${host}`
  try {
    await store.createDatabase(db, 'system_config')
    try {
      await store.put(db, { _id: 'scratch' })
      await store.purge(db, 'scratch')
      const open = await readableByAnybody(url, db)
      if (!open) return ok(`${at}: databases can be made, written and deleted, and nobody gets in without a password`)
      const todo = 'keep the default of CouchDB 3: [couchdb] default_security = admin_local, and [chttpd] require_valid_user = true'
      return fail(`${at}: whoever reaches it reads new databases without a password`, todo)
    } finally {
      await store.deleteDatabase(db)
    }
  } catch (error) {
    return fail(
      whatOf(host, error),
      isCode(error, 'datastore_unreachable')
        ? UNREACHABLE
        : 'the user in COUCHDB_URL must be a server admin ([admins] of local.ini): callrec makes a database for every account and month',
    )
  }
}

async function readableByAnybody(url: string, db: string): Promise<boolean> {
  const { origin, pathname } = new URL(url)
  const answer = await fetch(`${origin}${pathname.replace(/\/+$/, '')}/${db}/_all_docs`, { signal: AbortSignal.timeout(DEADLINE) })
  await answer.body?.cancel()
  return answer.ok
}
