import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { keepCredentials, readCredentials } from '../src/credentials.ts'

test('what is kept at the same moment is all there afterwards, for its owner alone', async t => {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-credentials-'))
  t.teardown(() => rm(dir, { recursive: true }))
  t.deepEqual(await readCredentials(dir), {})
  await Promise.all(['A', 'B', 'C', 'D'].map(name => keepCredentials(dir, { [name]: name.toLowerCase() })))
  await keepCredentials(dir, { A: 'x=y' })
  t.deepEqual(await readCredentials(dir), { A: 'x=y', B: 'b', C: 'c', D: 'd' })
  t.is((await stat(join(dir, 'credentials'))).mode & 0o777, 0o600)
})

test('a file that cannot be read is a failure, not an empty one', async t => {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-credentials-'))
  t.teardown(() => rm(dir, { recursive: true }))
  await t.throwsAsync(readCredentials(join(dir, 'a\0b')))
})
