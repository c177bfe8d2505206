// The master account's key: the operator's to set, and nobody's to set back.

import { randomBytes } from 'node:crypto'
import test from 'ava'
import { firstStart } from '../../src/api/resources/first-start.ts'
import { aStore } from '../helpers/api.ts'

const [OLD, NEW] = ['a'.repeat(64), 'b'.repeat(64)]
const how = { now: Date.UTC(2026, 4, 16), random: randomBytes }

test('a store without a master account gets the key that is wanted, else the one that is remembered, else a new one', async t => {
  const wanted = await firstStart(await aStore(t), { ...how, apiKey: NEW, remembered: OLD })
  t.like(wanted, { apiKey: NEW, created: true })
  t.is((await firstStart(await aStore(t), { ...how, apiKey: undefined, remembered: OLD })).apiKey, OLD)
  t.regex((await firstStart(await aStore(t), { ...how, apiKey: undefined })).apiKey, /^[0-9a-f]{64}$/)
})

test('a key that was replaced is not set back by an engine that remembers the old one', async t => {
  const store = await aStore(t)
  await firstStart(store, { ...how, apiKey: OLD })
  await firstStart(store, { ...how, apiKey: NEW })
  t.is((await firstStart(store, { ...how, apiKey: undefined, remembered: OLD })).apiKey, NEW)
})
