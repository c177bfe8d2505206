import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { request as send } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type ReceivedFile, startReceiver } from '../src/receiver.ts'
import { until } from './helpers/wait.ts'

async function receiver(t: ExecutionContext) {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-receive-'))
  const files: ReceivedFile[] = []
  const refusals: string[] = []
  const server = await startReceiver({
    host: '127.0.0.1',
    port: 0,
    dir,
    onFile: file => files.push(file),
    onRefused: reason => refusals.push(reason),
  })
  t.teardown(async () => {
    await server.close()
    await rm(dir, { recursive: true, force: true })
  })
  return { dir, files, refusals, url: server.url, port: server.port }
}

/** Sends a path as it stands: fetch would tidy it up. */
function raw(port: number, path: string, { method = 'PUT', headers = {}, body = 'audio' } = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    send({ host: '127.0.0.1', port, path, method, headers }, response => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0))
    })
      .on('error', reject)
      .end(body)
  })
}

test('a file that is PUT lies under its name, and its facts are told', async t => {
  const { dir, files, url } = await receiver(t)
  const response = await fetch(`${url}/deep/er/call%20one.wav?from=1001&caller_id_name=Ann`, {
    method: 'PUT',
    body: 'audio',
    headers: { 'content-type': 'audio/x-wav' },
  })
  t.is(response.status, 201)
  t.is(await readFile(join(dir, 'call one.wav'), 'utf8'), 'audio')
  t.like(files[0], { name: 'call one.wav', size: 5, contentType: 'audio/x-wav', query: { from: '1001', caller_id_name: 'Ann' } })
})

test('a file is never put in the place of another', async t => {
  const { dir, port } = await receiver(t)
  for (const body of ['one', 'two', 'three']) t.is(await raw(port, '/a.wav', { method: 'POST', body }), 201)
  t.deepEqual((await readdir(dir)).sort(), ['a-2.wav', 'a-3.wav', 'a.wav'])
  t.is(await readFile(join(dir, 'a.wav'), 'utf8'), 'one')
})

test('where the name travels in the query, it is taken from there', async t => {
  const { dir, port } = await receiver(t)
  await raw(port, '/upload.php?f=call_recording_abc.mp3&from=1')
  await raw(port, '/upload.php?f=call_recording_..%2Fabc.mp3')
  await raw(port, '/')
  await raw(port, '/.hidden')
  t.deepEqual((await readdir(dir)).sort(), ['call_recording_abc.mp3', 'upload', 'upload-2', 'upload.php'])
})

test('a path that leads elsewhere leaves nothing anywhere', async t => {
  const { dir, port, refusals } = await receiver(t)
  for (const path of ['/../a.wav', '/x/../../a.wav', '/%2e%2e/a.wav', '/..%2fa.wav', '/%2e%2e%2fa.wav', '/..%5ca.wav', '/a%00.wav', '/%zz']) {
    t.is(await raw(port, path), 400, path)
  }
  t.is(refusals.length, 8)
  t.deepEqual(await readdir(dir), [])
  t.false((await readdir(tmpdir())).includes('a.wav'))
})

test('only PUT and POST leave a file', async t => {
  const { dir, url } = await receiver(t)
  const response = await fetch(`${url}/a.wav`)
  t.is(response.status, 405)
  t.is(response.headers.get('allow'), 'PUT, POST')
  t.deepEqual(await readdir(dir), [])
})

test('a file that is not what its digest says is refused', async t => {
  const { dir, port } = await receiver(t)
  const digest = (body: string) => ({ 'content-digest': `sha-256=:${createHash('sha256').update(body).digest('base64')}:` })
  t.is(await raw(port, '/good.wav', { headers: digest('audio') }), 201)
  t.is(await raw(port, '/bad.wav', { headers: digest('other') }), 400)
  t.deepEqual(await readdir(dir), ['good.wav'])
})

test('an upload that breaks off leaves nothing', async t => {
  const { dir, port, files } = await receiver(t)
  await new Promise<void>(resolve => {
    const half = send({ host: '127.0.0.1', port, path: '/half.wav', method: 'PUT', headers: { 'content-length': '1000' } })
    half.on('error', () => resolve())
    half.write('half', () => setImmediate(() => half.destroy(new Error('gone'))))
  })
  t.is(await raw(port, '/whole.wav'), 201)
  await until('the half is gone', async () => (await readdir(dir)).length === 1)
  t.deepEqual(await readdir(dir), ['whole.wav'])
  t.is(files.length, 1)
})

test('a port that is taken is an error, not a server', async t => {
  const { port, dir } = await receiver(t)
  const message = /^cannot receive on 127\.0\.0\.1:\d+: .*EADDRINUSE.*; choose another port$/
  await t.throwsAsync(startReceiver({ host: '127.0.0.1', port, dir }), { code: 'bad_configuration', message })
  const spare = await startReceiver({ host: '127.0.0.1', port, spare: true, dir })
  t.teardown(() => spare.close())
  t.not(spare.port, port)
  await t.throwsAsync(startReceiver({ host: '203.0.113.1', port: 0, spare: true, dir }), { code: 'bad_configuration', message: /EADDRNOTAVAIL/ })
})
