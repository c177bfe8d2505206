// SIPREC through the whole engine: a setting of a user, a call, two parties at a recording server, and the API's view of it.

import test from 'ava'
import { tones } from './helpers/audio.ts'
import { startEngine } from './helpers/engine.ts'
import { recordingServer } from './helpers/recording-server.ts'
import { until } from './helpers/wait.ts'

interface Id {
  id: string
}

interface Listed extends Id {
  kind: string
  state: string
  group_id: string
  servers?: { uri: string; state: string }[]
  media_recordings?: string[]
}

test('a user with siprec_server is heard by that server, with no node in any flow; another engine goes on with it, and no list counts its legs', async t => {
  const engine = await startEngine(t)
  const server = await recordingServer(t)
  const { client } = engine
  // The account itself: no parent of it may end its recordings.
  const at = `accounts/${client.accountId}`
  const { id: alice } = await client.put<Id>(`${at}/users`, { first_name: 'Alice', last_name: 'Heard' })
  const { id: phone } = await client.put<Id>(`${at}/devices`, { name: 'alice-phone', owner_id: alice, sip: { username: 'alice', password: 'alice-secret' } })
  const { id: bob } = await client.put<Id>(`${at}/users`, { first_name: 'Bob', last_name: 'Other' })
  await client.put(`${at}/devices`, { name: 'bob-phone', owner_id: bob, sip: { username: 'bob', password: 'bob-secret' } })
  await client.put(`${at}/callflows`, { numbers: ['2002'], flow: { module: 'user', data: { id: bob } } })
  await client.patch(`${at}/users/${alice}`, { record_call: { siprec_server: server.uri } })

  const { call_id: call } = await client.put<{ call_id: string }>(`${at}/devices/${phone}/quickcall/2002`, { seconds: 600 })
  const heard = await until('three seconds of both', () => {
    const both = server.calls[0]?.heard
    return (
      both?.length === 2 &&
      both.every(one => one.pcm.length > 24_000 && tones(one.pcm, 8000, one.label === '1' ? 440 : 1000, 0, one.pcm.length / 8000) > 0.5) &&
      both
    )
  })
  t.deepEqual(
    heard.map(({ label }) => label),
    ['1', '2'],
  )
  const channels = await client.get<{ uuid: string }[]>(`${at}/channels`)
  t.is(channels.length, 2)

  await engine.restart()
  const again = await until('the next engine has called the server', () => server.calls.length >= 2 && (server.calls.at(-1)?.heard[0]?.packets ?? 0) > 10)
  t.true(again)
  const act = (uuid: string, action: string, data: object = {}): Promise<unknown> => engine.client.post(`${at}/channels/${uuid}`, { action, data })
  await t.throwsAsync(act(call, 'siprec_recording', { activity: 'stop' }), { message: /policy started it/ })
  await t.throwsAsync(act(call, 'siprec_recording', { activity: 'start', server: server.uri }), { message: /already started/ })
  await act(call, 'hangup')
  const ended = await until('it is over', async () =>
    (await engine.client.get<Listed[]>(`${at}/recordings`)).find(({ kind, state }) => kind === 'siprec' && state === 'stopped'),
  )
  t.like(ended, { servers: [{ uri: server.uri, state: 'stopped' }] })
  const headers = { 'X-Auth-Token': engine.client.token }
  const audio = await fetch(`${engine.url}/v2/${at}/recordings/${ended.id}?accept=audio/mpeg`, { headers })
  t.is(audio.status, 404, 'its audio is at the servers')
  // Its end is written down before it is forgotten that it was under way.
  await until('it may be deleted', async () => (await fetch(`${engine.url}/v2/${at}/recordings/${ended.id}`, { method: 'DELETE', headers })).status === 200)
  t.false((await engine.client.get<Listed[]>(`${at}/recordings`)).some(({ id }) => id === ended.id))
  // The file of the same call runs beside it.
  t.true((await engine.client.get<Listed[]>(`${at}/recordings`)).some(({ kind }) => kind === 'file'))
  t.deepEqual(await server.check(), [])
})

test('a file that is begun while servers record the call is in their group', async t => {
  const engine = await startEngine(t)
  const server = await recordingServer(t)
  const { client } = engine
  const at = `accounts/${client.accountId}`
  await client.patch(at, { record_call: false })
  const { id: alice } = await client.put<Id>(`${at}/users`, { first_name: 'Alice', last_name: 'Heard' })
  const { id: phone } = await client.put<Id>(`${at}/devices`, { name: 'alice-phone', owner_id: alice, sip: { username: 'alice', password: 'alice-secret' } })
  await client.put(`${at}/callflows`, { numbers: ['2002'], flow: { module: 'dead_air', data: {} } })
  const { call_id: call } = await client.put<{ call_id: string }>(`${at}/devices/${phone}/quickcall/2002`, { seconds: 600 })
  const act = (action: string, data: object): Promise<unknown> => client.post(`${at}/channels/${call}`, { action, data })
  await until('it is sent to the server', () =>
    act('siprec_recording', { activity: 'start', server: server.uri }).then(
      () => true,
      () => false,
    ),
  )
  await act('record', { action: 'start' })
  const [siprec, file] = await until('both run', async () => {
    const all = await client.get<Listed[]>(`${at}/recordings`)
    const [one, other] = ['siprec', 'file'].map(kind => all.find(found => found.kind === kind))
    return one !== undefined && other !== undefined && [one, other]
  })
  t.is(file?.group_id, siprec?.group_id)
  await act('hangup', {})
})
