// A whole engine among neighbours that are away, slow, broken or not who they should be: it starts, the
// good ones are served, and whoever watches is told which one it is.

import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type Client, signIn } from '../src/client.ts'
import { systemClock } from '../src/clock.ts'
import { readConfig } from '../src/config.ts'
import { silent } from '../src/log.ts'
import { type Running, start } from '../src/main.ts'
import { startPreparation } from '../src/preparation.ts'
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts'
import { notedLog } from './helpers/log.ts'
import { manualClock } from './helpers/clock.ts'
import { couchdbProgram, startCouchdb } from './helpers/couchdb.ts'
import { eslApi } from './helpers/esl-client.ts'
import { eslServer } from './helpers/esl-server.ts'
import { freePorts, NOBODY } from './helpers/ports.ts'
import { realRun } from './helpers/real.ts'
import { recordedTenant, type Tenant } from './helpers/tenant.ts'
import { until } from './helpers/wait.ts'

/** The machine may be busy, and what is waited for crosses several processes' worth of work. */
const SECRET = 'among-neighbours'
const KEY = 'c'.repeat(64)

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'callrec-neighbours-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

async function engine(t: ExecutionContext, dataDir: string, settings: Readonly<Record<string, string>>): Promise<Running> {
  const config = readConfig({ DATA_DIR: dataDir, API_PORT: '0', SPOOL_MIN_FREE: '0', MASTER_API_KEY: KEY, ...settings }, {})
  const running = await start(config, silent)
  t.teardown(() => running.close())
  return running
}

/** No faster: a call that no engine takes within 30 s of its time is ended. */
const SPEED = 4

async function simulator(t: ExecutionContext, recordingDir: string, { port = 0, speed = SPEED } = {}): Promise<Simulator> {
  const started = await startSimulator({ host: '127.0.0.1', port, password: SECRET, recordingDir, speed, log: silent })
  t.teardown(() => started.close())
  return started
}

interface Ready {
  ready: boolean
  store: { kind: string; up: boolean; reason?: string }
  switches: { name: string; state: string; reason?: string }[]
}

async function readyz(url: string, key?: string): Promise<{ status: number; body: Ready }> {
  const response = await fetch(`${url}/readyz`, key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } })
  return { status: response.status, body: (await response.json()) as Ready }
}

const states = ({ switches }: Ready): Record<string, string> => Object.fromEntries(switches.map(({ name, state }) => [name, state]))

/** The value of one sample of /metrics; undefined where there is none. */
async function sample(url: string, series: string): Promise<number | undefined> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const line = text.split('\n').find(one => one.startsWith(`${series} `))
  return line === undefined ? undefined : Number(line.slice(series.length + 1))
}

/** A phone of the account calls 2002 on one switch, and stays for 2 s of this machine's time so that a slow engine is there in time. */
const call = (port: number, { accountId, deviceId }: Tenant): Promise<string> =>
  eslApi(port, SECRET, `callrec_simulator_call {callrec_account_id=${accountId},callrec_device_id=${deviceId},callrec_simulator_seconds=${2 * SPEED}}2001 2002`)

const stored = (client: Client, { accountId }: Tenant, count: number): Promise<unknown> =>
  until(`${count} recordings`, async () => {
    const list = await client.get<{ delivery?: { state: string } }[]>(`accounts/${accountId}/recordings`)
    return list.filter(({ delivery }) => delivery?.state === 'stored').length === count
  })

test('switches that are down, mute, wrong or talk nonsense keep neither the engine from starting nor calls from the others', async t => {
  const dataDir = await folder(t)
  const spool = join(dataDir, 'recordings')
  const [one, two] = [await simulator(t, spool), await simulator(t, spool)]
  const wrong = await eslServer(t, { password: 'another' })
  const mute = await eslServer(t, { greeting: null })
  const nonsense = await eslServer(t, { greeting: 'HTTP/1.1 400 Bad Request\r\n\r\n' })
  const list = { gone: NOBODY, wrong: wrong.port, mute: mute.port, nonsense: nonsense.port, one: one.port, two: two.port }
  const entries = Object.entries(list).map(([name, port]) => `${name}=:${SECRET}@127.0.0.1:${port}`)

  const { url } = await engine(t, dataDir, { FREESWITCH_ESL: entries.join(',') })
  await until('the good ones are up', async () => Object.values(states((await readyz(url)).body)).filter(state => state === 'up').length === 2)
  const client = await signIn(url, KEY)
  const tenant = await recordedTenant(client, 'pool.example', 'ann', 'bob')
  await Promise.all([call(one.port, tenant), call(two.port, tenant)])
  await stored(client, tenant, 2)

  const open = await readyz(url)
  t.is(open.status, 200)
  t.like(states(open.body), { gone: 'down', wrong: 'auth_failed', nonsense: 'down', one: 'up', two: 'up' })
  t.true(['connecting', 'down'].includes(states(open.body)['mute'] ?? ''))
  t.notRegex(JSON.stringify(open.body), /reason|127\.0\.0\.1/)
  const reasons = Object.fromEntries((await readyz(url, KEY)).body.switches.map(({ name, reason }) => [name, reason ?? '']))
  t.regex(reasons['gone'] ?? '', /ECONNREFUSED/)
  t.is(reasons['wrong'], 'wrong password')
  t.regex(reasons['nonsense'] ?? '', /not an event socket/)
  t.is(reasons['one'], '')

  t.is(await sample(url, 'callrec_switch_state{switch="one",state="up"}'), 1)
  t.is(await sample(url, 'callrec_switch_state{switch="wrong",state="auth_failed"}'), 1)
  t.is(await sample(url, 'callrec_switch_state{switch="wrong",state="up"}'), 0)
  t.is(await sample(url, 'callrec_switch_connects_total{switch="gone"}'), 0)
  const twice = [0, 1].map(() => sample(url, 'callrec_switch_connects_total{switch="two"}'))
  t.deepEqual(await Promise.all(twice), [1, 1])
  t.true(((await sample(url, 'callrec_switch_events_total{switch="one"}')) ?? 0) > 10)
})

test('a switch that is restarted is found again with nothing left waiting, and what was counted was really done', async t => {
  const dataDir = await folder(t)
  const spool = join(dataDir, 'recordings')
  const [one, two] = [await simulator(t, spool), await simulator(t, spool)]
  const esl = [one, two].map(({ port }, index) => `fs${index + 1}=:${SECRET}@127.0.0.1:${port}`).join(',')
  const { url } = await engine(t, dataDir, { FREESWITCH_ESL: esl })
  const client = await signIn(url, KEY)
  const tenant = await recordedTenant(client, 'restart.example', 'ann', 'bob')
  const state = async (name: string): Promise<string | undefined> => states((await readyz(url)).body)[name]
  await until('both are up', async () => (await state('fs1')) === 'up' && (await state('fs2')) === 'up')

  await call(one.port, tenant)
  await until('a recording runs', async () => (await sample(url, 'callrec_recordings_total{outcome="started",reason=""}')) === 1)
  t.is(await sample(url, 'callrec_calls'), 1)
  await one.close()
  await until('it is down', async () => (await state('fs1')) === 'down')
  t.is((await readyz(url)).status, 200)
  t.is(await sample(url, 'callrec_switch_pending{switch="fs1"}'), 0)
  await call(two.port, tenant)
  await until('a call on the other', async () => (await sample(url, 'callrec_recordings_total{outcome="started",reason=""}')) === 2)

  await simulator(t, spool, { port: one.port })
  await until('it is back', async () => (await state('fs1')) === 'up')
  t.is(await sample(url, 'callrec_switch_connects_total{switch="fs1"}'), 2)
  await call(one.port, tenant)
  // The file of the first call was closed as its switch went.
  await stored(client, tenant, 3)
  await until('no call runs', async () => (await sample(url, 'callrec_calls')) === 0)
  for (const name of ['fs1', 'fs2']) t.is(await sample(url, `callrec_switch_pending{switch="${name}"}`), 0)
  t.is(await sample(url, 'callrec_recordings_total{outcome="started",reason=""}'), 3)
  t.is(await sample(url, 'callrec_recordings_total{outcome="stopped",reason=""}'), 3)
  t.is(await sample(url, 'callrec_delivery_attempts_total'), 3)
  // Counted once its document says so.
  await until('the last one is counted', async () => (await sample(url, 'callrec_deliveries_total{outcome="stored"}')) === 3)
  await until('the queue is empty', async () => (await sample(url, 'callrec_deliveries_queued')) === 0)
  t.is(await sample(url, 'callrec_delivery_oldest_due_seconds'), 0)
  t.is(await sample(url, 'callrec_store_up'), 1)
  t.true(((await sample(url, 'callrec_spool_free_bytes')) ?? 0) > 0)
})

/** Something that is no good CouchDB, on a port of its own. */
async function pretender(t: ExecutionContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://admin:s3cret@127.0.0.1:${(server.address() as AddressInfo).port}`
}

const json =
  (status: number, body: object): RequestListener =>
  (_, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))

for (const [what, answer, reason] of [
  ['away', undefined, /CouchDB at 127\.0\.0\.1:\d+ cannot be reached .*COUCHDB_URL/],
  [
    'refusing the password',
    json(401, { error: 'unauthorized', reason: 'Name or password is incorrect.' }),
    /refused user or password \(401\): correct COUCHDB_URL/,
  ],
  ['answering 500', json(500, { error: 'internal', reason: 'broken' }), /CouchDB at .* answered 500 .*look into its log/],
  [
    'a web server',
    (_: unknown, response: Parameters<RequestListener>[1]) => void response.writeHead(200).end('<html></html>'),
    /no CouchDB.*is COUCHDB_URL right/,
  ],
  [
    'cutting its answers off',
    (_: unknown, response: Parameters<RequestListener>[1]) => void response.writeHead(200, { 'content-length': '100' }).write('{"st', () => response.destroy()),
    /CouchDB at/,
  ],
  ['silent', () => {}, /not within 3000 ms/],
] as const) {
  test(`an engine whose CouchDB is ${what} starts, is alive and not ready, and its API says 503 and why`, async t => {
    const one = await simulator(t, await folder(t))
    const couch = answer === undefined ? `http://admin:s3cret@127.0.0.1:${NOBODY}` : await pretender(t, answer)
    const running = await engine(t, await folder(t), { COUCHDB_URL: couch, FREESWITCH_ESL: `fs1=:${SECRET}@127.0.0.1:${one.port}` })
    t.is((await fetch(`${running.url}/healthz`)).status, 200)
    const series = 'callrec_store_up'
    const [{ status, body }, open, up] = await Promise.all([readyz(running.url, KEY), readyz(running.url), sample(running.url, series)])
    t.is(status, 503)
    t.like(body, { ready: false, store: { kind: 'couchdb', up: false } })
    t.regex(body.store.reason ?? '', reason)
    t.notRegex(JSON.stringify(body), /s3cret/)
    t.notRegex(JSON.stringify(open.body), /reason/)
    t.is(up, what === 'silent' ? undefined : 0)
    if (what === 'silent') return
    const login = await fetch(`${running.url}/v2/api_auth`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ data: { api_key: KEY } }),
    })
    t.is(login.status, 503)
    t.regex(await login.text(), /CouchDB (does not answer|failed or refused)/)
  })
}

async function comesLate(t: ExecutionContext, program: string): Promise<void> {
  const dataDir = await folder(t)
  // Its first call makes databases and builds views.
  const one = await simulator(t, join(dataDir, 'recordings'), { speed: 1 })
  const [port = 0] = await freePorts(1)
  const settings = { COUCHDB_URL: `http://callrec:s3cret@127.0.0.1:${port}`, FREESWITCH_ESL: `fs1=:${SECRET}@127.0.0.1:${one.port}` }
  const running = await engine(t, dataDir, settings)
  t.is((await readyz(running.url)).status, 503)
  const couch = await startCouchdb(program, undefined, port)
  t.teardown(() => couch.stop())
  t.is((await running.master).apiKey, KEY)
  await until('it is ready', async () => (await readyz(running.url)).status === 200)
  const client = await signIn(running.url, KEY)
  const tenant = await recordedTenant(client, 'late.example', 'ann', 'bob')
  await call(one.port, tenant)
  await stored(client, tenant, 1)
}
if (realRun('an engine before its store', { CouchDB: couchdbProgram !== undefined }) && couchdbProgram !== undefined) {
  test('an engine that was started before its CouchDB is ready soon after that is, and takes up its work', comesLate, couchdbProgram)
}

test('the store is asked again, ever more rarely, until it answers; the log says so once and when it is over', async t => {
  const clock = manualClock()
  const { log, lines } = notedLog()
  let tries = 0
  const attempt = (): Promise<string> => (++tries < 8 ? Promise.reject(new Error('away')) : Promise.resolve('master'))
  const preparation = startPreparation({ attempt, clock, log })
  const waits: number[] = []
  while (preparation.master() === undefined) {
    const wait = await until('the next attempt is planned, or none is needed', () => clock.waits()[0] ?? (preparation.master() === undefined ? undefined : 0))
    if (wait > 0) waits.push(wait)
    clock.advance(wait)
    await new Promise(setImmediate)
  }
  t.is(await preparation.ready, 'master')
  t.deepEqual(waits, [500, 1_000, 2_000, 5_000, 10_000, 10_000, 10_000])
  t.deepEqual(
    lines.map(({ level, event }) => `${level} ${event}`),
    ['error store_not_ready', 'info store_reached'],
  )
  await preparation.close()
})

test('a preparation that is closed before the store answered is over, whether it waits or asks', async t => {
  const waiting = startPreparation({ attempt: () => Promise.reject(new Error('away')), clock: systemClock(), log: silent })
  await new Promise(setImmediate)
  await waiting.close()
  await t.throwsAsync(waiting.ready, { message: 'closed before the store answered' })
  const clock = manualClock()
  const asking = startPreparation({ attempt: () => new Promise<string>(() => {}), clock, log: silent })
  const closed = asking.close()
  clock.advance(1_000)
  await closed
  t.is(asking.master(), undefined)
})

test('an engine that stands by says so, and lets nobody call over a switch that another one drives', async t => {
  const spool = await folder(t)
  const { port } = await simulator(t, spool)
  const settings = { FREESWITCH_ESL: `fs1=:${SECRET}@127.0.0.1:${port}`, RECORDING_DIR: spool }
  const first = await engine(t, await folder(t), settings)
  await until('the first drives it', async () => (await readyz(first.url)).status === 200)
  const { url } = await engine(t, await folder(t), settings)
  const seen = await until('the second knows', async () => {
    const { status, body } = await readyz(url, KEY)
    return body.switches[0]?.reason?.startsWith('driven by ') === true && { status, body }
  })
  t.is(seen.status, 503)
  t.is(seen.body.switches[0]?.state, 'standby')
  const client = await signIn(url, KEY)
  const { deviceId, accountId } = await recordedTenant(client, 'standby.example', 'ann', 'bob')
  await t.throwsAsync(client.put(`accounts/${accountId}/devices/${deviceId}/quickcall/2002`, {}), { message: /no switch is connected/ })
})
