// record_caller through the whole of callrec on its embedded neighbours: what is said is a recording like any other,
// and the call goes on behind it.

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
  delivery?: { state: string }
}

async function mailbox(t: ExecutionContext, engine: Engine, data: object) {
  const { client, dataDir } = engine
  const receiver = await startReceiver({ host: '127.0.0.1', port: 0, dir: join(dataDir, 'received') })
  t.teardown(() => receiver.close())
  const { id: account } = await client.put<Id>(`accounts/${client.accountId}`, { name: 'mailbox' })
  const at = `accounts/${account}`
  const { id: device } = await client.put<Id>(`${at}/devices`, { name: 'phone', sip: { username: 'phone', password: 'phone-secret' } })
  const after = { module: 'play', data: { id: 'tone_stream://%(60000,0,600)' } }
  await client.put(`${at}/callflows`, {
    name: 'Mailbox',
    numbers: ['3016'],
    flow: { module: 'record_caller', data: { format: 'wav', url: receiver.url, ...data }, children: { _: after } },
  })
  const { port, password } = JSON.parse(await readFile(stateFile(dataDir), 'utf8')) as RunningSimulator
  const api = (command: string): Promise<string> => eslApi(port, password, command)
  const said = await api(`callrec_simulator_call {callrec_account_id=${account},callrec_device_id=${device},callrec_simulator_seconds=4000}2001 3016`)
  const leg = said.replace('+OK ', '').trim()
  const list = (): Promise<Listed[]> => engine.client.get<Listed[]>(`${at}/recordings`)
  await until('the recording', async () => (await list()).find(one => one.state === 'recording'))
  const runs = async (application: string): Promise<boolean> => (await api(`uuid_getvar ${leg} current_application`)) === application
  return { api, leg, list, runs }
}

test('a message ends with a key, is delivered like any recording, and the call goes on', async t => {
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

test('a message that is being spoken while the engine restarts is kept whole', async t => {
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
