// Whole engines that share a CouchDB and a switch, and are asked as behind a load balancer: now this one, now that one.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { signIn } from '../src/client.ts'
import { readConfig } from '../src/config.ts'
import { silent } from '../src/log.ts'
import { type Running, start } from '../src/main.ts'
import { startSimulator } from '../src/simulator/simulator.ts'
import { couchdbProgram, startCouchdb } from './helpers/couchdb.ts'
import type { Channel, Recorded } from './helpers/desk.ts'
import { eslApi } from './helpers/esl-client.ts'
import { freePorts } from './helpers/ports.ts'
import { realRun } from './helpers/real.ts'
import { recordedTenant } from './helpers/tenant.ts'
import { until } from './helpers/wait.ts'

const SECRET = 'engines-together'
const KEY = 'c'.repeat(64)

async function balanced(t: ExecutionContext, program: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'callrec-together-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const couch = await startCouchdb(program)
  t.teardown(() => couch.stop())
  const spool = join(folder, 'recordings')
  const simulator = await startSimulator({ host: '127.0.0.1', port: 0, password: SECRET, recordingDir: spool, speed: 1, log: silent })
  t.teardown(() => simulator.close())
  const ports = await freePorts(2)
  async function engine(port = 0): Promise<Running> {
    const own = { DATA_DIR: join(folder, String(port)), API_PORT: String(port), API_ADVERTISE: `http://127.0.0.1:${port}`, FFMPEG: 'off', TRANSCRIBER: 'off' }
    const shared = { COUCHDB_URL: couch.url, FREESWITCH_ESL: `fs1=:${SECRET}@127.0.0.1:${simulator.port}`, RECORDING_DIR: spool }
    const running = await start(readConfig({ ...own, ...shared, SPOOL_MIN_FREE: '0', MASTER_API_KEY: KEY }, {}), silent)
    t.teardown(() => running.close())
    return running
  }
  const drives = ({ url }: Running) => until('it drives the switch', async () => (await fetch(`${url}/readyz`)).status === 200)
  const a = await engine(ports[0])
  await drives(a)
  const b = await engine(ports[1])
  const [atA, atB] = [await signIn(a.url, KEY), await signIn(b.url, KEY)]
  const { accountId, deviceId } = await recordedTenant(atB, 'together.example', 'ann', 'bob')
  const at = `accounts/${accountId}`

  const quickcall = () => atB.put<{ call_id: string; node: string }>(`${at}/devices/${deviceId}/quickcall/2002`, {}).catch(() => undefined)
  // It looks once a second who drives the switch.
  const { call_id: short } = await until('a call, made by the other engine', quickcall)
  await until('it rings or talks', () => atB.get(`${at}/channels/${short}`).catch(() => undefined))
  t.is(await atB.post(`${at}/channels/${short}`, { action: 'hangup' }), 'hangup initiated')
  await until('it is over', async () => (await atB.get<Channel[]>(`${at}/channels`)).length === 0)

  const phone = `callrec_account_id=${accountId},callrec_device_id=${deviceId},callrec_simulator_seconds=60`
  await eslApi(simulator.port, SECRET, `callrec_simulator_call {${phone}}2001 2002`)
  type Row = Channel & { direction: string; recordings: { state: string }[] | null }
  const isCaller = ({ direction, other_leg: other }: Row): boolean => direction === 'inbound' && other !== undefined
  const { uuid: leg } = await until('a call', async () => (await atB.get<Row[]>(`${at}/channels`)).find(isCaller))
  const states = async (client = atB) => ((await client.get<Row>(`${at}/channels/${leg}`)).recordings ?? []).map(({ state }) => state)
  const bob = await until('it talks', async () => (await atB.get<Row[]>(`${at}/channels`)).find(({ other_leg: other }) => other === leg))
  await until('it is recorded', async () => ((await atB.get<Row>(`${at}/channels/${bob.uuid}`)).recordings ?? []).some(({ state }) => state === 'recording'))
  const record = (action: string, client = atB) =>
    client.post<{ recordings: { state: string }[] }>(`${at}/channels/${leg}`, { action: 'record', data: { action } })
  t.deepEqual(
    (await record('mask')).recordings.map(({ state }) => state),
    ['masked'],
  )
  t.deepEqual(
    (await record('unmask', atA)).recordings.map(({ state }) => state),
    ['recording'],
  )
  await record('mask')
  await record('start')
  t.true((await atB.get<Row[]>(`${at}/channels`)).every(({ recordings }) => recordings?.length === 1))
  await until('what begins in a masked call is masked', async () => (await states()).join() === 'masked')

  await a.close()
  await drives(b)
  await until('it knows the recordings', async () => (await states()).join() === 'masked')
  t.deepEqual(
    (await record('unmask')).recordings.map(({ state }) => state),
    ['recording', 'recording'],
  )
  t.is(await atB.post(`${at}/channels/${leg}`, { action: 'hangup' }), 'hangup initiated')
  const done = await until('both recordings', async () => {
    const all = (await atB.get<Recorded[]>(`${at}/recordings`)).filter(({ call_id: recorded }) => [leg, bob.uuid].includes(recorded))
    return all.length === 2 && all.every(({ delivery }) => delivery?.state === 'stored') && all
  })
  const segments = (of: string): (string | undefined)[] => (done.find(({ call_id: recorded }) => recorded === of)?.segments ?? []).map(({ by }) => by)
  t.deepEqual([segments(bob.uuid), segments(leg)], [['api', 'api'], ['api']])
}

const real = realRun('engines that share a store', { CouchDB: couchdbProgram !== undefined }) ? test : test.skip
real('a call is made, masked, recorded and ended by any of two engines, whichever drives its switch', t => balanced(t, couchdbProgram ?? ''))
