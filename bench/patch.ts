// A PATCH of a user over HTTP, against reading and writing the same document in the same kind of store
// without anything around it, over HTTP too: CouchDB's own, or for the embedded store a server that does
// nothing else. One after the other, so that a slow moment of the disk hits both.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { credentialsOf } from '../src/api/rights/credentials.ts'
import { type Client, signIn } from '../src/client.ts'
import { readConfig } from '../src/config.ts'
import { silent } from '../src/log.ts'
import { start } from '../src/main.ts'
import { couchStore } from '../src/store/couch.ts'
import { embeddedStore } from '../src/store/embedded.ts'
import { accountDb, toGregorian } from '../src/store/modb.ts'
import type { Doc, Store } from '../src/store/store.ts'
import { NOBODY } from '../test/helpers/ports.ts'
import { couchdbProgram, startCouchdb } from '../test/helpers/couchdb.ts'
import { ms, type Row, times } from './row.ts'
import { folder, forget, quantile } from './world.ts'

const TIMES = 400
const WARM = 20
const DB = 'account/be/nc/h'

type Bare = (id: string, change: object) => Promise<void>

/** The floor where the store has no HTTP of its own. */
async function overHttp(bare: Bare): Promise<{ bare: Bare; close: () => void }> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const change = JSON.parse(Buffer.concat(parts).toString()) as object
      void bare((request.url ?? '').slice(1), change).then(() => response.setHeader('content-type', 'application/json').end('{"data":{}}'))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    bare: async (id, change) => {
      const headers = { 'content-type': 'application/json' }
      await (await fetch(`${url}/${id}`, { method: 'PATCH', headers, body: JSON.stringify(change), signal: AbortSignal.timeout(15_000) })).json()
    },
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** What the engine keeps of the same user, field by field, so that neither writes more. */
async function likeTheEngines(accountId: string, id: string): Promise<Doc> {
  const now = toGregorian(Date.now())
  const said = { first_name: 'Ann', last_name: 'Bench', username: 'ann', enabled: true, priv_level: 'user', record_call: true }
  const birth = { pvt_type: 'user', pvt_created: now, pvt_vsn: '1', pvt_account_id: accountId, pvt_account_db: accountDb(accountId) }
  const marks = { pvt_modified: now, pvt_request_id: id, pvt_auth_account_id: accountId }
  return { ...said, ...birth, ...(await credentialsOf(accountId, 'ann', 'secret-of-bench')), ...marks, _id: id }
}

async function row(kind: string, client: Client, store: Store): Promise<Row> {
  const path = `accounts/${client.accountId}/users`
  const { id } = await client.put<{ id: string }>(path, { first_name: 'Ann', last_name: 'Bench', username: 'ann', password: 'secret-of-bench' })
  await store.createDatabase(DB, 'account')
  const user = await likeTheEngines(client.accountId, id)
  await store.put(DB, user)
  const direct: Bare = async (_, change) => {
    const found = await store.get(DB, id)
    await store.put(DB, { ...(found ?? user), ...change })
  }
  const floorOf = store.kind === 'embedded' ? await overHttp(direct) : { bare: direct, close: () => {} }
  const [patched, bare]: [number[], number[]] = [[], []]
  for (let n = 0; n < TIMES + WARM; n++) {
    const began = performance.now()
    await client.patch(`${path}/${id}`, { record_call: n % 2 === 0 })
    const between = performance.now()
    await floorOf.bare(id, { record_call: n % 2 === 0 })
    if (n < WARM) continue
    patched.push(between - began)
    bare.push(performance.now() - between)
  }
  floorOf.close()
  const [measured, floor] = [quantile(patched, 0.5), quantile(bare, 0.5)]
  return { what: `PATCH user, p50, ${kind}`, measured: ms(measured), floor: `${ms(floor)} get + put`, ratio: times(measured, floor), budget: '≤ 1.5×' }
}

async function withEngine(kind: string, settings: Readonly<Record<string, string>>, open: (dir: string) => Promise<Store>): Promise<Row> {
  const dir = folder()
  // No switch is there, and none is needed.
  const esl = `127.0.0.1:${NOBODY}`
  const running = await start(readConfig({ DATA_DIR: `${dir}/engine`, API_PORT: '0', SPOOL_MIN_FREE: '0', FREESWITCH_ESL: esl, ...settings }, {}), silent)
  const store = await open(`${dir}/bare`)
  try {
    return await row(kind, await signIn(running.url, (await running.master).apiKey), store)
  } finally {
    await store.close()
    await running.close()
    forget(dir)
  }
}

export async function patchRows(): Promise<Row[]> {
  const rows = [await withEngine('embedded store', {}, dir => embeddedStore({ dir }))]
  if (couchdbProgram === undefined) return rows
  const couch = await startCouchdb(couchdbProgram)
  try {
    rows.push(await withEngine('CouchDB', { COUCHDB_URL: couch.url }, () => couchStore({ url: couch.url })))
  } finally {
    await couch.stop()
  }
  return rows
}
