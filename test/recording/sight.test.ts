import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { AppError } from '../../src/errors.ts'
import { sightOf } from '../../src/recording/sight.ts'
import { openSpool } from '../../src/recording/spool.ts'
import type { SwitchNode } from '../../src/switch/switch.ts'

async function folder(t: ExecutionContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-sight-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** A switch that has `theirs` where it records to. */
const aNode = (hasFile: (path: string) => Promise<boolean>): SwitchNode => ({ name: 'fs1', hasFile }) as unknown as SwitchNode
const lookFrom = (here: string): ((node: SwitchNode) => Promise<boolean>) =>
  sightOf(openSpool({ here, onSwitch: '/var/spool/callrec', minFree: 0 }), () => 'abcdef')

test('a switch that has the file that was made here records where it is seen', async t => {
  const here = await folder(t)
  const asked: string[] = []
  const sees = await lookFrom(here)(
    aNode(async path => {
      asked.push(path)
      return existsSync(path.replace('/var/spool/callrec', here))
    }),
  )
  t.true(sees)
  t.deepEqual(asked, ['/var/spool/callrec/fs1/seen-abcdef'])
  t.deepEqual(await readdir(join(here, 'fs1')), [], 'and nothing of it stays')
})

test('a switch that does not have it records elsewhere', async t => {
  const here = await folder(t)
  t.false(await lookFrom(here)(aNode(async () => false)))
  t.deepEqual(await readdir(join(here, 'fs1')), [])
})

test('a switch that cannot be asked is not known to be seen', async t => {
  const here = await folder(t)
  await t.throwsAsync(lookFrom(here)(aNode(() => Promise.reject(new AppError('switch_timeout', 'no answer')))), { message: 'no answer' })
  t.deepEqual(await readdir(join(here, 'fs1')), [])
})

test('a spool that takes nothing does not keep calls from being served: each recording is refused by itself', async t => {
  const here = join(await folder(t), 'file')
  await writeFile(here, '')
  t.true(await lookFrom(here)(aNode(() => Promise.reject(new Error('not asked')))))
})
