// What holds for a whole call outlives the engine that heard it.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { AppError } from '../../src/errors.ts'
import { CALLS, createCovers } from '../../src/recording/covers.ts'
import { embeddedStore } from '../../src/store/embedded.ts'
import type { Store } from '../../src/store/store.ts'

const call = { accountId: 'ab'.repeat(16), node: 'fs1', interactionId: 'i1' }
const asked = { at: '2026-05-16T00:00:00.000Z', by: 'key 9' }

test('a refusal is known to the next engine, stands beside a mask, and is forgotten with the call', async t => {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-covers-'))
  const real = await embeddedStore({ dir })
  t.teardown(async () => {
    await real.close()
    await rm(dir, { recursive: true })
  })
  await real.createDatabase(CALLS, 'calls_in_progress')
  const covers = createCovers(real)
  covers.hide(call, 'mask', asked)
  await covers.refuse(call, asked)
  await covers.show(call, 'mask')
  t.deepEqual(covers.of('i1'), {})
  t.true(covers.has('i1'))

  const successor = createCovers(real)
  t.false(successor.refused('i1'))
  t.deepEqual(await successor.load('fs1'), ['i1'])
  t.true(successor.refused('i1'))
  await successor.forget('i1')
  t.false(successor.refused('i1'))
  t.deepEqual(await createCovers(real).load('fs1'), [])
})

test('a refusal that the store does not take holds all the same', async t => {
  const store = { put: () => Promise.reject(new AppError('datastore_unreachable', 'away')) } as unknown as Store
  const covers = createCovers(store)
  t.like(await t.throwsAsync<AppError>(covers.refuse(call, asked)), { code: 'datastore_unreachable' })
  t.true(covers.refused('i1'))
})
