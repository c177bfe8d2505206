import { createHash, randomBytes } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { systemClock } from '../../../src/clock.ts'
import { tenantClient } from '../../../src/net/client.ts'
import type { Cargo, Outcome } from '../../../src/recording/delivery/cargo.ts'
import { tryOut } from '../../../src/recording/delivery/destinations.ts'
import type { S3Settings } from '../../../src/recording/storage.ts'
import { LIMITS, objectUrl, putInto } from '../../../src/recording/delivery/to-s3.ts'
import { KEY, type S3Peer, s3Peer, SECRET } from '../../helpers/s3-peer.ts'

const BUCKET = 'calls'
const SMALL = { whole: 1_000_000, part: 300_000 }
const LARGE = SMALL.whole

const cargo = (body: Buffer, change: Partial<Cargo> = {}): Cargo => ({
  id: `202605-${'1'.repeat(32)}`,
  name: 'call_recording_a.wav',
  contentType: 'audio/x-wav',
  size: body.length,
  sha256: createHash('sha256').update(body).digest('hex'),
  pieces: async function* (size, from) {
    for (let at = from; at < from + size; at += 100_000) yield body.subarray(at, Math.min(at + 100_000, from + size))
  },
  ...change,
})

interface Room {
  peer: S3Peer
  settings: S3Settings
  put: (body: Cargo, settings?: Partial<S3Settings>, folder?: string) => Promise<Outcome>
}

async function room(t: ExecutionContext, region = 'us-east-1'): Promise<Room> {
  const peer = await s3Peer(t, BUCKET, { region })
  const http = tenantClient({ allow: ['127.0.0.0/8'], clock: systemClock() })
  t.teardown(() => http.close())
  const settings: S3Settings = { bucket: BUCKET, key: KEY, secret: SECRET, host: peer.host, port: peer.port, scheme: 'http', region }
  const ports = { http, now: () => Date.now() }
  const never = new AbortController().signal
  return { peer, settings, put: (body, change = {}, folder = '') => putInto({ ...settings, ...change }, folder, body, ports, never, SMALL) }
}

test('a file is one signed PUT, named by its folder, and says whose recording it is', async t => {
  const { peer, put } = await room(t)
  const body = randomBytes(900_000)
  t.deepEqual(await put(cargo(body), {}, '2026/sales'), { is: 'stored', location: 's3://calls/2026/sales/call_recording_a.wav' })
  const kept = peer.objects.get('/calls/2026/sales/call_recording_a.wav')
  t.deepEqual(kept?.body, body)
  t.like(kept?.headers, { 'content-type': 'audio/x-wav', 'x-amz-meta-recording-id': `202605-${'1'.repeat(32)}` })
  t.deepEqual(peer.asked, ['PUT /calls/2026/sales/call_recording_a.wav'])
})

test('a name that is no good one for a URL is signed as it is sent', async t => {
  const { peer, put } = await room(t, 'eu-central-1')
  const { is } = await put(cargo(Buffer.from('x'), { name: "call_recording_a b(c)'!@é.wav" }))
  t.is(is, 'stored')
  t.deepEqual(peer.refused, [])
})

test('more than 100 MB go in parts of 16 MB', t => t.deepEqual(LIMITS, { whole: 100 * 1024 ** 2, part: 16 * 1024 ** 2 }))

test('what is large goes in parts, each signed with its own hash, and arrives as it was', async t => {
  const { peer, put } = await room(t)
  const body = randomBytes(LARGE + 50_000)
  t.is((await put(cargo(body))).is, 'stored')
  const kept = peer.objects.get('/calls/call_recording_a.wav')
  t.is(Buffer.compare(kept?.body ?? Buffer.alloc(0), body), 0)
  t.is(kept?.headers['content-type'], 'audio/x-wav')
  t.is(peer.open(), 0)
  t.is(peer.asked.filter(line => line.startsWith('PUT')).length, 4)
})

for (const [what, answer, expected] of [
  ['a part that is refused', (line: string) => (line.includes('partNumber=2') ? { status: 403 } : undefined), 'never'],
  ['a part that cannot be taken now', (line: string) => (line.includes('partNumber=2') ? { status: 503 } : undefined), 'later'],
  [
    'parts that cannot be put together, said with a 200',
    (line: string) => (line.startsWith('POST') && line.includes('uploadId') ? { status: 200, body: '<Error><Code>InternalError</Code></Error>' } : undefined),
    'later',
  ],
] as const) {
  test(`${what}: the upload is taken back, and it is tried ${expected}`, async t => {
    const { peer, put } = await room(t)
    peer.script.answer = answer
    t.is((await put(cargo(Buffer.alloc(LARGE + 1)))).is, expected)
    t.is(peer.open(), 0)
    t.is(peer.objects.size, 0)
  })
}

test('an upload in parts that does not begin is refused with what was said', async t => {
  const { peer, put } = await room(t)
  peer.script.answer = () => ({ status: 403, body: '<Error><Code>AccessDenied</Code></Error>' })
  t.like(await put(cargo(Buffer.alloc(LARGE + 1))), { is: 'never', reason: `POST ${peer.host}:${peer.port} answered 403 (AccessDenied)` })
  peer.script.answer = () => ({ status: 200, body: 'what?' })
  t.like(await put(cargo(Buffer.alloc(LARGE + 1))), { is: 'never', reason: `${peer.host}:${peer.port} began no upload in parts` })
})

test('a wrong key, secret or region is refused at once, with the words of the other side', async t => {
  const { put } = await room(t)
  const said = async (change: Partial<S3Settings>): Promise<unknown> => {
    const outcome = await put(cargo(Buffer.from('x')), change)
    return [outcome.is, 'reason' in outcome ? /\((\w+)\)$/.exec(outcome.reason)?.[1] : undefined]
  }
  t.deepEqual(await said({ secret: 'wrong' }), ['never', 'SignatureDoesNotMatch'])
  t.deepEqual(await said({ key: 'wrong' }), ['never', 'InvalidAccessKeyId'])
  t.deepEqual(await said({ region: 'eu-west-1' }), ['never', 'AuthorizationHeaderMalformed'])
  t.deepEqual(await said({ bucket: 'nobodys' }), ['never', 'NoSuchBucket'])
})

test('without a secret nothing is sent', async t => {
  const { peer, put, settings } = await room(t)
  const { secret: _, ...rest } = settings
  await t.throwsAsync(() => put(cargo(Buffer.from('x')), { ...rest, secret: undefined } as never), { message: /has no secret/ })
  t.deepEqual([peer.asked, peer.refused], [[], []])
})

test('bytes that are not what they were said to be are refused by the other side', async t => {
  const { peer, put } = await room(t)
  t.is((await put(cargo(Buffer.from('abc'), { sha256: createHash('sha256').update('abd').digest('hex') }))).is, 'never')
  t.deepEqual(peer.refused, ['XAmzContentSHA256Mismatch'])
})

test('what S3 says with a 400 or 409 and will pass is tried later, with its patience', async t => {
  const { peer, put } = await room(t)
  const answered = async (status: number, code: string, headers = {}): Promise<Outcome> => {
    peer.script.answer = () => ({ status, body: `<Error><Code>${code}</Code></Error>`, headers })
    return put(cargo(Buffer.from('x')))
  }
  t.is((await answered(400, 'RequestTimeout')).is, 'later')
  t.is((await answered(409, 'OperationAborted')).is, 'later')
  t.is((await answered(400, 'InvalidDigest')).is, 'never')
  t.like(await answered(503, 'SlowDown', { 'retry-after': '7' }), { is: 'later', askedMs: 7000 })
})

test('an object has a host of its own at Amazon’s, and lies below its bucket elsewhere', t => {
  const s3 = { bucket: 'calls', key: 'k' }
  t.is(objectUrl(s3, 'a/b c.wav'), 'https://calls.s3.us-east-1.amazonaws.com/a/b%20c.wav')
  t.is(objectUrl({ ...s3, bucket: 'calls.acme', region: 'eu-west-1' }, 'x'), 'https://s3.eu-west-1.amazonaws.com/calls.acme/x')
  t.is(objectUrl({ ...s3, host: 'minio.example', scheme: 'http', port: 9000 }, 'x'), 'http://minio.example:9000/calls/x')
})

test('storage that is tried out is left as it was, and what stands in the way is told', async t => {
  const { peer, settings } = await room(t)
  const http = tenantClient({ allow: ['127.0.0.0/8'], clock: systemClock() })
  t.teardown(() => http.close())
  const ports = { http, now: () => Date.now(), directories: {} }
  const attempt = (change: Partial<S3Settings> = {}) =>
    tryOut({ handler: 's3', settings: { ...settings, ...change } }, 'a'.repeat(32), ports, new AbortController().signal)
  t.is(await attempt(), undefined)
  t.deepEqual(
    peer.asked.map(line => line.replace(/_[0-9a-f]{16}/, '')),
    ['PUT /calls/callrec_test.txt', 'DELETE /calls/callrec_test.txt'],
  )
  t.is(peer.objects.size, 0)
  t.is(await attempt({ secret: 'wrong' }), `PUT ${peer.host}:${peer.port} answered 403 (SignatureDoesNotMatch)`)
  peer.script.answer = line => (line.startsWith('DELETE') ? { status: 403 } : undefined)
  t.is(await attempt(), `DELETE ${peer.host}:${peer.port} answered 403`)
})
