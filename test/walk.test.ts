// README's story, executed: a document says that a user is recorded, a call is made to him, and the
// file is where it was to go – listed, played back, and true to what was said.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { startReceiver } from '../src/receiver.ts'
import { readWav, tone } from './helpers/audio.ts'
import { startEngine } from './helpers/engine.ts'
import { until } from './helpers/wait.ts'

interface Id {
  id: string
}

interface Listed extends Id {
  state: string
  origin: string
  duration_ms: number
  delivery?: { state: string; location?: string }
}

test('PATCH a user, make a call, receive the file', async t => {
  const { client, url, dataDir } = await startEngine(t)
  const received = join(dataDir, 'received')
  const receiver = await startReceiver({ host: '127.0.0.1', port: 0, dir: received })
  t.teardown(() => receiver.close())

  const { id: account } = await client.put<Id>(`accounts/${client.accountId}`, { name: 'walk' })
  const at = `accounts/${account}`
  const { id: bob } = await client.put<Id>(`${at}/users`, { first_name: 'Bob', last_name: 'Recorded' })
  const { id: phone } = await client.put<Id>(`${at}/devices`, { name: 'alice-phone', sip: { username: 'alice', password: 'alice-secret' } })
  await client.put(`${at}/devices`, { name: 'bob-phone', owner_id: bob, sip: { username: 'bob', password: 'bob-secret' } })
  await client.put(`${at}/callflows`, { numbers: ['2002'], flow: { module: 'user', data: { id: bob } } })

  // 1. The seed's own line, and then where the file is to go.
  const patched = await fetch(`${url}/v2/${at}/users/${bob}`, {
    method: 'PATCH',
    headers: { 'X-Auth-Token': client.token, 'Content-Type': 'application/json' },
    body: '{"data":{"record_call":true}}',
  })
  t.is(patched.status, 200)
  t.like(await patched.json(), { status: 'success', data: { id: bob, first_name: 'Bob', record_call: true } })
  await client.patch(`${at}/users/${bob}`, { record_call: { url: receiver.url } })

  // 2.–6. The call, and its recording as the list tells of it.
  await client.put(`${at}/devices/${phone}/quickcall/2002`, {})
  const listed = await until('a delivered recording', async () => {
    const list = await client.get<Listed[]>(`${at}/users/${bob}/recordings`)
    return list.find(one => one.delivery?.state === 'stored')
  })
  t.is(listed.state, 'stopped')
  t.is(listed.origin, 'inbound from onnet to endpoint')

  // 7. Received under the name Kazoo gives it, five seconds of both of them: the caller left, Bob right.
  const [name = ''] = await readdir(received)
  const whole = await client.get<{ call_id: string; policy: object; sha256: string; channel_labels: string[] }>(`${at}/recordings/${listed.id}`)
  t.is(name, `call_recording_${whole.call_id}.wav`)
  t.like(whole.policy, { enabled: { value: true, from: 'user' }, url: { from: 'user' }, record_on_answer: { from: 'system' } })
  t.deepEqual(whole.channel_labels, ['caller', 'callee'])
  const wav = readWav(join(received, name))
  t.is(wav.channels, 2)
  // The caller hangs up 5 s after the answer; a busy machine begins later, never earlier.
  t.true(wav.seconds > 0.5 && wav.seconds < 5.2, `${wav.seconds} s`)
  const [left, right] = wav.samples as [Int16Array, Int16Array]
  t.true(tone(left, wav.sampleRate, 440) > 0.9, 'the caller is on the left')
  t.true(tone(left, wav.sampleRate, 1000) < 0.05, 'and alone there')
  t.true(tone(right, wav.sampleRate, 1000) > 0.9, 'the callee is on the right')
  t.true(tone(right, wav.sampleRate, 440) < 0.05, 'and alone there')
})
