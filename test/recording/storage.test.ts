import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { systemClock } from '../../src/clock.ts'
import { tenantClient } from '../../src/net/client.ts'
import type { Cargo } from '../../src/recording/delivery/cargo.ts'
import { tryOut } from '../../src/recording/delivery/destinations.ts'
import { everywhere, type Settings } from '../../src/recording/settings.ts'
import { nameOf, type StorageDocument, targetOf } from '../../src/recording/storage.ts'
import { placeIn } from '../../src/recording/delivery/to-directory.ts'
import { httpSink } from '../helpers/http-sink.ts'

const ACCOUNT = 'a'.repeat(32)
const settings = (given: Settings) => everywhere('user', given).inbound.onnet
const planned = (handler: string, folder_path?: string) => ({
  modb: { types: { call_recording: { attachments: { handler, ...(folder_path === undefined ? {} : { params: { folder_path } }) } } } },
})

const STORAGE: StorageDocument = {
  _id: 'storage',
  pvt_type: 'storage',
  attachments: {
    web: { handler: 'http', settings: { url: 'https://***@files.example/in/', verb: 'post' } },
    bucket: { handler: 's3', settings: { bucket: 'calls', key: 'k' } },
    disk: { handler: 'directory', settings: { directory: 'archive' } },
  },
  pvt_secrets: { web: { url: 'https://al:pass@files.example/in/' }, bucket: { secret: 's' } },
}

test('a url of the recording comes first, then the plan of the account, then the store', t => {
  const url = 'https://files.example/rec'
  const plan = { ...STORAGE, plan: planned('bucket') }
  t.deepEqual(targetOf(settings({ url }), plan), { is: 'http', url, method: 'PUT' })
  t.deepEqual(targetOf(settings({ url, method: 'post' }), undefined), { is: 'http', url, method: 'POST' })
  t.like(targetOf(settings({}), plan), { is: 's3', folder: '' })
  for (const none of [undefined, STORAGE, { ...plan, pvt_deleted: true }]) t.deepEqual(targetOf(settings({}), none), { is: 'store' })
})

test('a plan leads to its attachment with the secrets that nobody reads', t => {
  const by = (handler: string, folder?: string) => targetOf(settings({}), { ...STORAGE, plan: planned(handler, folder) })
  t.deepEqual(by('web'), { is: 'http', url: 'https://al:pass@files.example/in/', method: 'POST' })
  t.deepEqual(by('bucket', '2026/x'), { is: 's3', settings: { bucket: 'calls', key: 'k', secret: 's' }, folder: '2026/x' })
  t.deepEqual(by('disk'), { is: 'directory', directory: 'archive', folder: '' })
  t.like(by('gone'), { is: 'nowhere' })
  t.like(by('constructor'), { is: 'nowhere' })
})

test('an s3 url takes the credentials of the attachment with that bucket, and leads nowhere without one', t => {
  t.deepEqual(targetOf(settings({ url: 's3://calls/a//b/' }), STORAGE), { is: 's3', settings: { bucket: 'calls', key: 'k', secret: 's' }, folder: 'a/b' })
  const reason = 'the storage settings of the account name no bucket others'
  for (const storage of [undefined, STORAGE]) t.deepEqual(targetOf(settings({ url: 's3://others/a' }), storage), { is: 'nowhere', reason })
})

test('a folder is no way up or out', t => {
  for (const path of ['../../etc', '/../..//etc', './etc/.', '..\\/etc']) {
    const target = targetOf(settings({}), { ...STORAGE, plan: planned('disk', path) })
    t.regex(target.is === 'directory' ? target.folder : '', /^([A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*\/)*etc$/)
  }
})

test('a destination is named without its secrets', t => {
  const by = (handler: string) => nameOf(targetOf(settings({}), { ...STORAGE, plan: planned(handler, 'x/y') }))
  t.deepEqual(['web', 'bucket', 'disk', 'gone'].map(by), ['https://files.example/in/', 's3://calls/x/y', 'directory://archive/x/y', undefined])
  t.is(nameOf(targetOf(settings({}), undefined)), 'store')
})

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'callrec-archive-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

const cargo = (body: Buffer, change: Partial<Cargo> = {}): Cargo => ({
  id: 'id',
  name: 'call_recording_a.wav',
  contentType: 'audio/x-wav',
  size: body.length,
  sha256: createHash('sha256').update(body).digest('hex'),
  pieces: async function* (size, from) {
    yield body.subarray(from, from + size)
  },
  ...change,
})

test('a file is put below the account’s own folder of a directory, whole and under its name alone', async t => {
  const root = await folder(t)
  const body = randomBytes(100_000)
  const place = () => placeIn({ directory: 'archive', folder: 'a/b' }, ACCOUNT, cargo(body), { archive: root })
  t.deepEqual(await place(), { is: 'stored', location: `directory://archive/${ACCOUNT}/a/b/call_recording_a.wav` })
  t.deepEqual(await place(), { is: 'stored', location: `directory://archive/${ACCOUNT}/a/b/call_recording_a.wav` })
  t.deepEqual(await readdir(join(root, ACCOUNT, 'a/b')), ['call_recording_a.wav'])
  t.deepEqual(await readFile(join(root, ACCOUNT, 'a/b/call_recording_a.wav')), body)
})

test('a directory that the operator did not name takes nothing, whatever it is called', async t => {
  for (const directory of ['other', '__proto__', 'toString', '../x']) {
    t.deepEqual(await placeIn({ directory, folder: '' }, ACCOUNT, cargo(Buffer.from('x')), { archive: await folder(t) }), {
      is: 'never',
      reason: `DELIVERY_DIRECTORIES has no ${directory}`,
    })
  }
})

test('a name with a path in it stays a name', async t => {
  const root = await folder(t)
  await placeIn({ directory: 'archive', folder: '' }, ACCOUNT, cargo(Buffer.from('x'), { name: '../../evil.wav' }), { archive: root })
  t.deepEqual(await readdir(root, { recursive: true }), [ACCOUNT, `${ACCOUNT}/.._.._evil.wav`])
})

test('what cannot be written, or is not what it should be, is tried later and leaves nothing', async t => {
  const root = await folder(t)
  const other = cargo(Buffer.from('abc'), { sha256: createHash('sha256').update('abd').digest('hex') })
  t.like(await placeIn({ directory: 'archive', folder: '' }, ACCOUNT, other, { archive: root }), { is: 'later' })
  t.deepEqual(await readdir(join(root, ACCOUNT)), [])
  await writeFile(join(root, 'file'), '')
  t.like(await placeIn({ directory: 'archive', folder: '' }, ACCOUNT, cargo(Buffer.from('x')), { archive: join(root, 'file') }), { is: 'later' })
})

test('a server and a directory are tried out with a little file', async t => {
  const sink = await httpSink(t, [201, 401])
  const root = await folder(t)
  const http = tenantClient({ allow: ['127.0.0.0/8'], clock: systemClock() })
  t.teardown(() => http.close())
  const ports = { http, now: () => Date.now(), directories: { archive: root } }
  const signal = new AbortController().signal
  const web = { handler: 'http', settings: { url: `${sink.url}/in?token=x&f=` } } as const
  t.is(await tryOut(web, ACCOUNT, ports, signal), undefined)
  t.like(sink.received[0], { method: 'PUT', headers: { 'content-type': 'text/plain' } })
  t.regex(sink.received[0]?.url ?? '', /^\/in\?token=x&f=callrec_test_[0-9a-f]{16}\.txt&/)
  t.is(await tryOut(web, ACCOUNT, ports, signal), `PUT ${sink.host} answered 401`)
  t.is(await tryOut({ handler: 'directory', settings: { directory: 'archive' } }, ACCOUNT, ports, signal), undefined)
  t.deepEqual(await readdir(join(root, ACCOUNT)), [])
  t.is(await tryOut({ handler: 'directory', settings: { directory: 'other' } }, ACCOUNT, ports, signal), 'DELIVERY_DIRECTORIES has no other')
})
