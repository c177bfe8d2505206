// The contract on a real CouchDB, where there is one.

import test from 'ava'
import { couchStore } from '../../src/store/couch.ts'
import { storeContract } from '../contract/store.ts'
import { couchdb } from '../helpers/couchdb.ts'
import { realRun } from '../helpers/real.ts'

const start = couchdb
if (realRun('the store’s contract', { CouchDB: start !== undefined }) && start) {
  let server: ReturnType<typeof start> | undefined
  storeContract({
    title: 'couchdb',
    async open(t, designs) {
      server ??= start()
      const store = await couchStore({ url: (await server).url, designs })
      t.teardown(() => store.close())
      return store
    },
  })
} else {
  test('there is no CouchDB to hold to the contract here', t => t.pass())
}
