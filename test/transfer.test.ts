// Transfers through the whole of callrec on its embedded neighbours: what is recorded goes on with who is left, in
// parts of one group whose call ids are those of the legs they are of.

import { readFile } from 'node:fs/promises'
import test from 'ava'
import { type RunningSimulator, stateFile } from '../src/simulator/launch.ts'
import { startEngine } from './helpers/engine.ts'
import { eslApi } from './helpers/esl-client.ts'
import { until } from './helpers/wait.ts'

interface Id {
  id: string
}

interface Listed extends Id {
  call_id: string
  cdr_id: string
  group_id: string
  origins: string[]
  interaction_id: string
  owner_id?: string
  state: string
  duration_ms: number
}

test('a call that is sent on twice is recorded to its end, each part of it on a leg that was there', async t => {
  const { client, dataDir } = await startEngine(t)
  const { id: account } = await client.put<Id>(`accounts/${client.accountId}`, { name: 'transfer' })
  const at = `accounts/${account}`
  const phone = async (
    name: string,
    number: string,
    settings: object,
    variables: object = { custom_application_vars: {} },
  ): Promise<{ user: string; device: string }> => {
    const { id: user } = await client.put<Id>(`${at}/users`, { first_name: name, last_name: 'T', ...settings })
    const { id: device } = await client.put<Id>(`${at}/devices`, { name, owner_id: user, sip: { username: name, password: `${name}-secret` } })
    await client.put(`${at}/callflows`, {
      numbers: [number],
      flow: { module: 'set_variables', data: variables, children: { _: { module: 'user', data: { id: user } } } },
    })
    return { user, device }
  }
  const alice = await phone('alice', '2001', {})
  // Bob is recorded whoever calls him; Carol is not.
  const bob = await phone('bob', '2002', { record_call: { format: 'wav' } })
  await phone('carol', '2003', {}, { custom_application_vars: { team: 'Sales & more' }, export: true })
  await phone('dave', '2004', {})
  const { port, password } = JSON.parse(await readFile(stateFile(dataDir), 'utf8')) as RunningSimulator
  const api = (command: string): Promise<string> => eslApi(port, password, command)
  const partner = async (uuid: string): Promise<string> => {
    const leg = await api(`uuid_getvar ${uuid} bridge_to`)
    return leg.startsWith('_undef_') || leg.startsWith('-') ? '' : leg
  }
  const talksTo = (uuid: string, not: readonly string[]): Promise<string> =>
    until(`a bridge of ${uuid}`, async () => {
      const leg = await partner(uuid)
      return leg !== '' && !not.includes(leg) && leg
    })
  const list = (): Promise<Listed[]> => client.get<Listed[]>(`${at}/recordings`)
  const running = (leg: string): Promise<Listed> =>
    until(`a recording of ${leg}`, async () => (await list()).find(one => one.call_id === leg && one.state === 'recording'))

  const own = `callrec_account_id=${account},callrec_device_id=${alice.device},callrec_simulator_seconds=4000`
  const caller = (await api(`callrec_simulator_call {${own}}2001 2002`)).replace('+OK ', '').trim()
  const bobsLeg = await talksTo(caller, [])
  const first = await running(bobsLeg)
  t.is(await api(`uuid_transfer ${caller} 2003`), '+OK\n')
  const second = await running(caller)
  const carolsLeg = await talksTo(caller, [bobsLeg])
  t.is(await api(`uuid_getvar ${carolsLeg} callrec_var_team`), 'Sales & more')
  t.is(await api(`uuid_transfer ${caller} -bleg 2004`), '+OK\n')
  const third = await running(carolsLeg)
  await talksTo(carolsLeg, [caller])
  await api(`uuid_kill ${carolsLeg}`)
  const parts = await until('all parts at their end', async () => {
    const all = await list()
    return all.length > 0 && all.every(({ state }) => state === 'stopped' || state === 'discarded') && all
  })
  t.deepEqual(parts.map(({ id }) => id).toSorted(), [first.id, second.id, third.id].toSorted(), 'nothing else was recorded')
  t.is(new Set(parts.map(one => one.group_id)).size, 1)
  t.is(new Set(parts.map(one => one.interaction_id)).size, 1)
  for (const part of parts) {
    t.deepEqual(part.origins, ['inbound from onnet to endpoint'])
    t.is(part.owner_id, bob.user, 'it is Bob’s recording all the way')
  }
  t.is(first.cdr_id.slice(7), caller)
  t.is(second.cdr_id.slice(7), caller)
  t.is(third.cdr_id.slice(7), carolsLeg, 'Carol is the caller of her own call by then')
  const cdrs = await until('both detail records', async () => {
    const found = await client.get<{ id: string; media_recordings?: string[] }[]>(`${at}/cdrs`)
    return found.length === 2 && found
  })
  t.deepEqual(cdrs.map(({ id }) => id.slice(7)).toSorted(), [caller, carolsLeg].toSorted())
})
