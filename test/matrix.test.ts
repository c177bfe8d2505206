// Kazoo's published matrix as calls: every kind of call under every single flag, all at once on the
// embedded switch, and what the recordings then say of their leg and origin.

import { readFile } from 'node:fs/promises'
import test from 'ava'
import type { Client } from '../src/client.ts'
import { type RunningSimulator, stateFile } from '../src/simulator/launch.ts'
import { startEngine } from './helpers/engine.ts'
import { eslApi } from './helpers/esl-client.ts'
import { type Cell, type Flag, FLAGS, type Kind, MATRIX, nameOf } from './helpers/matrix.ts'
import { until } from './helpers/wait.ts'

interface Id {
  id: string
}

interface Listed extends Id {
  origins: string[]
  call_id: string
  cdr_id: string
}

const OUTSIDE = '+491701234567'
const ELSEWHERE = '+4940999999'

/** Alice and Bob under one flag: 2002 is Bob, and so is the number from outside; whatever else is dialled plays a tone. */
async function tenant(client: Client, flag: Flag, index: number) {
  const settings = { call_recording: { [flag.direction]: { [flag.network]: { enabled: true } } } }
  const ofAccount = flag.of === 'account' ? { call_recording: { account: settings.call_recording } } : {}
  const ofUser = flag.of === 'endpoint' ? settings : {}
  const { id: account } = await client.put<Id>(`accounts/${client.accountId}`, { name: `matrix ${index}`, ...ofAccount })
  const at = `accounts/${account}`
  const phone = async (name: string): Promise<{ user: string; device: string }> => {
    const { id: user } = await client.put<Id>(`${at}/users`, { first_name: name, last_name: 'M', ...ofUser })
    const { id: device } = await client.put<Id>(`${at}/devices`, { name, owner_id: user, sip: { username: name, password: `${name}-secret` } })
    return { user, device }
  }
  const [alice, bob] = [await phone('alice'), await phone('bob')]
  const number = `+4930123456${index}`
  await client.put(`${at}/phone_numbers/${number}`, {})
  await client.put(`${at}/callflows`, { numbers: ['2002', number], flow: { module: 'user', data: { id: bob.user } } })
  await client.put(`${at}/callflows`, { numbers: ['no_match'], flow: { module: 'play', data: { id: 'tone_stream://%(20000,0,880)' } } })
  return { at, alice, bob, number }
}

test('each cell of Kazoo’s matrix holds for calls', async t => {
  const { client, dataDir } = await startEngine(t)
  const { port, password } = JSON.parse(await readFile(stateFile(dataDir), 'utf8')) as RunningSimulator
  const api = (command: string): Promise<string> => eslApi(port, password, command)
  const tenants = await Promise.all(FLAGS.map((flag, index) => tenant(client, flag, index)))

  const call = async (kind: Kind, { at, alice, number }: (typeof tenants)[number]): Promise<string> => {
    if (kind.from === 'offnet') return (await api(`callrec_simulator_call {callrec_inception=offnet}${OUTSIDE} ${number}`)).replace('+OK ', '').trim()
    const dialled = kind.to === 'offnet' ? ELSEWHERE : '2002'
    const { call_id } = await client.put<{ call_id: string }>(`${at}/devices/${alice.device}/quickcall/${encodeURIComponent(dialled)}`, {})
    return call_id
  }

  async function made({ kind, flag }: Cell): Promise<{ leg: string; origins: string[] }[]> {
    const tenant = tenants[FLAGS.indexOf(flag)]
    if (tenant === undefined) throw new Error('no tenant')
    const uuid = await call(kind, tenant)
    await until(`the call ${uuid}`, async () => (await api(`uuid_exists ${uuid}`)) === 'true')
    await until(`the end of ${uuid}`, async () => (await api(`uuid_exists ${uuid}`)) === 'false')
    const list = (await client.get<Listed[]>(`${tenant.at}/recordings`)).filter(one => one.cdr_id.endsWith(uuid))
    return list.map(one => ({ leg: one.call_id === uuid ? 'caller' : 'callee', origins: one.origins }))
  }

  const results = await Promise.all(MATRIX.map(async cell => ({ cell, recordings: await made(cell) })))
  for (const { cell, recordings } of results) {
    const expected = cell.recorded === undefined ? [] : [{ leg: cell.recorded.leg, origins: [cell.recorded.origin] }]
    t.deepEqual(recordings, expected, nameOf(cell))
  }
})
