import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import test, { type ExecutionContext } from 'ava'
import { packagePath } from '../../src/root.ts'
import { backUp } from '../../src/store/backup.ts'
import { embeddedStore } from '../../src/store/embedded.ts'
import type { Row } from '../../src/store/store.ts'

const DB = 'account/ab/cd/ef-202611'

async function directory(t: ExecutionContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-backup-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** An engine's worth of writers in a process of their own; `acknowledged` grows while it runs. */
function writer(t: ExecutionContext, dir: string): { acknowledged: string[]; more: (count: number) => Promise<void>; stop: () => Promise<unknown> } {
  const child = spawn(process.execPath, [packagePath('build/test/helpers/store-writer.js'), dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  const acknowledged: string[] = []
  const lines = createInterface({ input: child.stdout })
  lines.on('line', line => acknowledged.push(line.split(' ')[0] ?? ''))
  const more = async (count: number): Promise<void> => {
    for (const wanted = acknowledged.length + count; acknowledged.length < wanted; ) await once(lines, 'line')
  }
  const stop = (): Promise<unknown> => {
    const closed = once(child, 'close')
    child.kill('SIGKILL')
    return closed
  }
  return { acknowledged, more, stop }
}

test('a copy made while an engine writes has every document acknowledged before it, each whole and with its attachment', async t => {
  const [dir, to] = [await directory(t), await directory(t)]
  const { acknowledged, more, stop } = writer(t, dir)
  await more(400)
  const before = [...acknowledged]
  const copied = await backUp(dir, to)
  await more(1)
  await stop()
  t.true(copied.files > 0)
  const store = await embeddedStore({ dir: to })
  t.teardown(() => store.close())
  const rows: Row[] = await store.query(DB, 'recordings/crossbar_listing', { includeDocs: true })
  const there = new Map(rows.map(({ id, doc }) => [id, doc]))
  t.deepEqual(
    before.filter(id => !there.has(id)),
    [],
  )
  let heard = 0
  for (const [id, doc] of there) {
    if (doc?.['_attachments'] === undefined) continue
    const [, writer, n] = id.split('-').map(Number)
    const sound = Buffer.concat((await (await store.getAttachment(DB, id, 'a.wav'))?.body.toArray()) ?? [])
    t.deepEqual(sound, Buffer.alloc(20_000 + (n ?? 0), writer), id)
    heard++
  }
  t.true(heard > 0)
})

test('a restored copy takes new documents, and its views go on', async t => {
  const [dir, to] = [await directory(t), await directory(t)]
  const first = await embeddedStore({ dir })
  await first.createDatabase(DB, 'modb')
  await first.put(DB, { _id: 'a', pvt_type: 'call_recording', pvt_created: 1 })
  await first.close()
  t.deepEqual(await backUp(dir, to), { files: 0, gone: 0 })
  const store = await embeddedStore({ dir: to })
  t.teardown(() => store.close())
  await store.createDatabase(DB, 'modb')
  await store.put(DB, { _id: 'b', pvt_type: 'call_recording', pvt_created: 2 })
  t.deepEqual(
    (await store.query(DB, 'recordings/crossbar_listing')).map(({ id }) => id),
    ['a', 'b'],
  )
})

test('there has to be a store to copy, and none where it is copied to', async t => {
  const [dir, to] = [await directory(t), await directory(t)]
  await t.throwsAsync(() => backUp(dir, to), { message: /there is no embedded store in DATA_DIR/ })
  await (await embeddedStore({ dir })).close()
  await backUp(dir, to)
  await t.throwsAsync(() => backUp(dir, to), { message: /there is a store in .* already/ })
})
