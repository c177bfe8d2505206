// A call from outside, through the whole of callrec on its embedded neighbours: the number is an account's,
// the callflow rings a user, and the user's own settings for calls from outside say whether it is recorded.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import { readCredentials } from '../src/credentials.ts'
import { startReceiver } from '../src/receiver.ts'
import { type RunningSimulator, stateFile } from '../src/simulator/launch.ts'
import { readWav, tone } from './helpers/audio.ts'
import { startEngine } from './helpers/engine.ts'
import { eslApi } from './helpers/esl-client.ts'
import { until } from './helpers/wait.ts'

interface Id {
  id: string
}

interface Listed extends Id {
  origin: string
  caller_id_number: string
  callee_id_number: string
  delivery?: { state: string }
}

/** Milliseconds. */

test('a trunk’s call to a claimed number reaches a user and is recorded as his inbound.offnet says', async t => {
  const { client, dataDir } = await startEngine(t)
  const receiver = await startReceiver({ host: '127.0.0.1', port: 0, dir: join(dataDir, 'received') })
  t.teardown(() => receiver.close())
  const { id: account } = await client.put<Id>(`accounts/${client.accountId}`, { name: 'trunk' })
  const at = `accounts/${account}`
  const { id: bob } = await client.put<Id>(`${at}/users`, { first_name: 'Bob', last_name: 'B' })
  await client.put(`${at}/devices`, { name: 'bob-phone', owner_id: bob, sip: { username: 'bob', password: 'bob-secret' } })
  await client.put(`${at}/callflows`, { numbers: ['4930123456'], flow: { module: 'user', data: { id: bob } } })
  await client.put(`${at}/phone_numbers/+4930123456`, {})

  const { port, password } = JSON.parse(await readFile(stateFile(dataDir), 'utf8')) as RunningSimulator
  const call = async (number: string): Promise<string> => {
    const said = await eslApi(port, password, `callrec_simulator_call {callrec_inception=offnet}+491701234567 ${number}`)
    return said.replace('+OK ', '').trim()
  }
  const over = (leg: string): Promise<true> => until(`the end of ${leg}`, async () => (await eslApi(port, password, `uuid_exists ${leg}`)) === 'false')
  const settings = (network: string): object => ({ call_recording: { inbound: { [network]: { enabled: true, url: receiver.url } } } })
  const recordings = (): Promise<Listed[]> => client.get<Listed[]>(`${at}/users/${bob}/recordings`)

  await client.patch(`${at}/users/${bob}`, settings('onnet'))
  await over(await call('+4930123456'))
  t.deepEqual(await recordings(), [], 'onnet is not meant')

  await client.patch(`${at}/users/${bob}`, { call_recording: null })
  await client.patch(`${at}/users/${bob}`, settings('offnet'))
  await over(await call('004930999999'))
  await over(await call('004930123456'))
  const one = await until('a delivered recording', async () => (await recordings()).find(({ delivery }) => delivery?.state === 'stored'))
  t.like(one, { origin: 'inbound from offnet to endpoint', caller_id_number: '+491701234567', callee_id_number: '+4930123456' })
  t.is((await recordings()).length, 1)

  const [name = ''] = await readdir(join(dataDir, 'received'))
  const { sampleRate, samples } = readWav(join(dataDir, 'received', name))
  const [left = new Int16Array(), right = new Int16Array()] = samples
  t.true(tone(left, sampleRate, 440) > 0.9, 'the caller from outside is on the left')
  t.true(tone(right, sampleRate, 1000) > 0.9, 'Bob is on the right')

  t.regex((await readCredentials(dataDir)).XML_CURL_SECRET ?? '', /^[0-9a-f]{64}$/)
})
