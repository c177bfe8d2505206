import { randomUUID } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { AppError } from '../../src/errors.ts'
import type { NewRecording } from '../../src/recording/new-recording.ts'
import { isStoreAway, openJournal, type Journal } from '../../src/recording/journal.ts'
import { openSpool } from '../../src/recording/spool.ts'

async function setup(t: ExecutionContext): Promise<{ dir: string; journal: Journal }> {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-journal-'))
  t.teardown(() => rm(dir, { recursive: true }))
  return { dir, journal: openJournal(openSpool({ here: dir, onSwitch: dir, minFree: 0 })) }
}

const made = (id: string): NewRecording => ({ id, node: 'fs1', accountId: 'a', leg: randomUUID() }) as NewRecording

test('what is written is read back by the switch it is of, until it is removed', async t => {
  const { journal } = await setup(t)
  t.deepEqual(await journal.read('fs1'), [])
  const [one, two] = [made('202611-01'), made('202611-02')]
  await journal.write(one)
  await journal.write(two)
  t.deepEqual(
    (await journal.read('fs1')).sort((a, b) => (a.id < b.id ? -1 : 1)),
    [one, two],
  )
  t.deepEqual(await journal.read('fs2'), [])
  await journal.remove(one)
  await journal.remove(one)
  t.deepEqual(await journal.read('fs1'), [two])
})

test('a file that was cut short is of a recording nobody asked for yet', async t => {
  const { dir, journal } = await setup(t)
  await journal.write(made('202611-01'))
  await writeFile(join(dir, 'fs1/journal/202611-02.json'), '{"id":"2026')
  t.is((await journal.read('fs1')).length, 1)
  t.is((await readdir(join(dir, 'fs1/journal'))).length, 2)
})

test('a journal that cannot be written says so', async t => {
  const { dir, journal } = await setup(t)
  await writeFile(join(dir, 'fs1'), 'a file where a directory must be')
  await t.throwsAsync(journal.write(made('202611-01')), { message: /cannot write|cannot be written/ })
})

test('only a store that may be back soon is waited for', t => {
  t.true(isStoreAway(new AppError('datastore_unreachable', '')))
  t.false(isStoreAway(new AppError('datastore_conflict', '')))
  t.false(isStoreAway(new Error('')))
})
