// record_caller through the whole of callrec on its embedded neighbours: what is said is a recording like any other,
// and the call goes on behind it. One after the other, since each test starts a switch.

import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { startReceiver } from '../src/receiver.ts'
import { type RunningSimulator, stateFile } from '../src/simulator/launch.ts'
import { readWav, tone } from './helpers/audio.ts'
import { type Engine, startEngine } from './helpers/engine.ts'
import { eslApi } from './helpers/esl-client.ts'
import { until } from './helpers/wait.ts'

interface Id {
  id: string
}

interface Listed extends Id {
  state: string
  origin: string
  call_id: string
  media_type: string
  channel_labels: string[]
  duration_ms: number
  reason?: string
  consent?: { announced?: { leg: string; party: string; outcome: string; media?: string; ended_at?: string; key?: string }[] }
  delivery?: { state: string }
}

async function mailbox(t: ExecutionContext, engine: Engine, data: object, account: object = {}, first = 'recording', times = 1) {
  const { client, dataDir } = engine
  const receiver = await startReceiver({ host: '127.0.0.1', port: 0, dir: join(dataDir, 'received') })
  t.teardown(() => receiver.close())
  const { id } = await client.put<Id>(`accounts/${client.accountId}`, { name: `mailbox ${randomBytes(4).toString('hex')}`, ...account })
  const at = `accounts/${id}`
  const { id: device } = await client.put<Id>(`${at}/devices`, { name: 'phone', sip: { username: 'phone', password: 'phone-secret' } })
  const after = { module: 'play', data: { id: 'tone_stream://%(60000,0,600)' } }
  const message = { module: 'record_caller', data: { format: 'wav', url: receiver.url, ...data } }
  const flow = Array.from({ length: times }).reduce<object>(next => ({ ...message, children: { _: next } }), after)
  await client.put(`${at}/callflows`, { name: 'Mailbox', numbers: ['3016'], flow })
  const { port, password } = JSON.parse(await readFile(stateFile(dataDir), 'utf8')) as RunningSimulator
  const api = (command: string): Promise<string> => eslApi(port, password, command)
  const said = await api(`callrec_simulator_call {callrec_account_id=${id},callrec_device_id=${device},callrec_simulator_seconds=4000}2001 3016`)
  const leg = said.replace('+OK ', '').trim()
  const list = (): Promise<Listed[]> => engine.client.get<Listed[]>(`${at}/recordings`)
  await until('the recording', async () => (await list()).find(one => one.state === first))
  const runs = async (application: string): Promise<boolean> => (await api(`uuid_getvar ${leg} current_application`)) === application
  return { api, leg, list, runs }
}

test.serial('a message ends with a key, is delivered like any recording, and the call goes on', async t => {
  const engine = await startEngine(t)
  const { api, leg, list, runs } = await mailbox(t, engine, { terminators: ['#'], silence_seconds: 0 })
  await api(`uuid_recv_dtmf ${leg} 5`)
  t.true(await runs('record'), 'another key is part of what is said')
  await api(`uuid_recv_dtmf ${leg} #`)
  const one = await until('the delivery', async () => (await list()).find(({ delivery }) => delivery?.state === 'stored'))
  t.like(one, { state: 'stopped', origin: 'caller : Mailbox', call_id: leg, media_type: 'wav', channel_labels: ['caller'] })
  await until('what comes after', () => runs('playback'))
  const [name = ''] = await readdir(join(engine.dataDir, 'received'))
  const { sampleRate, samples } = readWav(join(engine.dataDir, 'received', name))
  t.is(samples.length, 1)
  t.true(tone(samples[0] ?? new Int16Array(), sampleRate, 440) > 0.9, 'it is the caller who is heard')
  t.is((await list()).length, 1)
})

test.serial('a message that is being spoken while the engine restarts is kept whole', async t => {
  const engine = await startEngine(t)
  const { api, leg, list } = await mailbox(t, engine, { silence_seconds: 0 })
  await engine.restart()
  const [running] = await list()
  t.is(running?.state, 'recording')
  await api(`uuid_recv_dtmf ${leg} 1`)
  const one = await until('its end', async () => (await list()).find(({ delivery }) => delivery?.state === 'stored'))
  t.true(one.id === running?.id)
  t.true(one.duration_ms >= 1000)
})

const TONE = 'tone_stream://%(2000,0,2000)'

test.serial('a caller hears what his account announces before his message is kept, and the message has it as fact, not as sound', async t => {
  const engine = await startEngine(t)
  const { api, leg, list, runs } = await mailbox(
    t,
    engine,
    { terminators: ['#'], silence_seconds: 0 },
    { record_call: { enabled: false, announce: { media: TONE } } },
  )
  t.true(await runs('record'))
  await api(`uuid_recv_dtmf ${leg} #`)
  const one = await until('the delivery', async () => (await list()).find(({ delivery }) => delivery?.state === 'stored'))
  t.is(one.consent?.announced?.length, 1)
  t.like(one.consent?.announced?.[0], { leg, party: 'caller', media: TONE, outcome: 'played' })
  const [name = ''] = await readdir(join(engine.dataDir, 'received'))
  const { sampleRate, samples } = readWav(join(engine.dataDir, 'received', name))
  t.true(tone(samples[0] ?? new Int16Array(), sampleRate, 440) > 0.9)
  t.is((await list()).length, 1)
})

test.serial('without a setting that says so nothing is announced to who leaves a message, and a node may take it back', async t => {
  const engine = await startEngine(t)
  for (const [data, account] of [
    [{}, {}],
    [{ announce: false }, { record_call: { enabled: false, announce: { media: TONE } } }],
  ] as const) {
    const { list } = await mailbox(t, engine, data, account)
    t.is((await list())[0]?.consent, undefined)
  }
})

test.serial('a message whose required announcement cannot be played is failed with the reason, and the call goes on', async t => {
  const engine = await startEngine(t)
  const { list, runs } = await mailbox(t, engine, { announce: { text: '日本' } }, {}, 'failed')
  await until('what comes after', () => runs('playback'))
  const [one, ...others] = await list()
  t.like(one, { state: 'failed', reason: 'announcement_failed' })
  t.like(one?.consent?.announced?.[0], { outcome: 'failed' })
  t.deepEqual(others, [])
})

test.serial('a message is kept where the announcement that failed was not required', async t => {
  const engine = await startEngine(t)
  const { api, leg, list } = await mailbox(t, engine, { announce: { text: '日本', required: false }, silence_seconds: 0 })
  await api(`uuid_recv_dtmf ${leg} 1`)
  const one = await until('the delivery', async () => (await list()).find(({ delivery }) => delivery?.state === 'stored'))
  t.like(one.consent?.announced?.[0], { outcome: 'failed' })
})

test.serial('who says no while it is announced leaves no message, and is not asked again in that call', async t => {
  const engine = await startEngine(t)
  const announce = { media: 'tone_stream://%(60000,0,2000)', optout_key: '9' }
  const { api, leg, list, runs } = await mailbox(t, engine, { announce }, { allow_recording_optout: true }, 'waiting', 2)
  await until('the announcement', () => runs('playback'))
  await api(`uuid_recv_dtmf ${leg} 9`)
  const one = await until('its end', async () => (await list()).find(({ state }) => state === 'discarded'))
  t.like(one, { reason: 'opted_out' })
  t.like(one.consent?.announced?.[0], { outcome: 'broken_off', key: '9' })
  await until('what comes after', async () => (await api(`uuid_getvar ${leg} current_application_data`)).includes('600'))
  t.is((await list()).length, 1)
})

test.serial('a message whose announcement an engine did not live to finish is discarded by the next one', async t => {
  const engine = await startEngine(t)
  const { list } = await mailbox(t, engine, { announce: { media: 'tone_stream://%(60000,0,2000)' } }, {}, 'waiting')
  await engine.restart()
  const one = await until('its end', async () => (await list()).find(({ state }) => state === 'discarded'))
  t.is(one.reason, 'announcement_unfinished')
})

test.serial('a caller who hangs up while it is announced leaves no message', async t => {
  const engine = await startEngine(t)
  const { api, leg, list, runs } = await mailbox(t, engine, { announce: { media: 'tone_stream://%(60000,0,2000)' } }, {}, 'waiting')
  await until('the announcement', () => runs('playback'))
  await api(`uuid_kill ${leg}`)
  const one = await until('its end', async () => (await list()).find(({ state }) => state === 'discarded'))
  t.is(one.reason, 'announcement_unfinished')
})
