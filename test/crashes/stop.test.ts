// SIGTERM to a real process, while what it waits for does not answer: it is gone within 10 s, and its switch is free for the next engine.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type Client, signIn } from '../../src/client.ts'
import { readCredentials } from '../../src/credentials.ts'
import { packagePath } from '../../src/root.ts'
import { couchdb } from '../helpers/couchdb.ts'
import { SPEED } from '../helpers/engine.ts'
import { eslApi } from '../helpers/esl-client.ts'
import { httpSink, ignore } from '../helpers/http-sink.ts'
import { proxy } from '../helpers/proxy.ts'
import { realRun } from '../helpers/real.ts'
import { until } from '../helpers/wait.ts'

const PASSWORD = 'ClueCon'
/** Milliseconds. */
const WITHIN = 10_000

interface Id {
  id: string
}

const cli = (t: ExecutionContext, args: readonly string[], env: Readonly<Record<string, string>>): { child: ChildProcess; said: () => string } => {
  const settings = { SIMULATOR_SPEED: String(SPEED), SPOOL_MIN_FREE: '0', ...env }
  const child = spawn(process.execPath, [packagePath('build/src/cli.js'), ...args], { env: { ...process.env, ...settings }, stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece: Buffer) => (text += piece.toString()))
  t.teardown(() => child.kill('SIGKILL'))
  return { child, said: () => text }
}

interface Installation {
  simulator: ChildProcess
  /** What the engine said. */
  said: () => string
  url: string
  dir: string
  api: (command: string) => Promise<string>
  /** Another process of the same DATA_DIR. */
  restart: (env: Readonly<Record<string, string>>) => Promise<void>
  /** Milliseconds until it was gone, and how. */
  stop: () => Promise<{ code: unknown; ms: number }>
}

async function installation(t: ExecutionContext, env: Readonly<Record<string, string>> = {}): Promise<Installation> {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-stop-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const simulator = cli(t, ['simulator', '--port', '0', '--data-dir', dir], {})
  const port = Number(await until('the switch', () => /^FREESWITCH_ESL=\S*:(\d+)\s/m.exec(simulator.said())?.[1]))
  const start = (more: Readonly<Record<string, string>>): ReturnType<typeof cli> =>
    cli(t, ['start', '--port', '0', '--data-dir', dir], {
      FREESWITCH_ESL: `127.0.0.1:${port}`,
      SIP_BIND: '127.0.0.1:0',
      UPLOAD_ALLOW_NETWORKS: '127.0.0.0/8',
      ...more,
    })
  const engine = start(env)
  const url = await until('the start', () => /"url":"(http:[^"]+)".*callrec_started/.exec(engine.said())?.[1])
  await until('the switch is ours', () => engine.said().includes('switch_owned'))
  return {
    simulator: simulator.child,
    said: engine.said,
    url,
    dir,
    api: command => eslApi(port, PASSWORD, command),
    async restart(more) {
      const next = start(more)
      await until('the next start', () => next.said().includes('switch_owned'))
    },
    async stop() {
      const at = performance.now()
      engine.child.kill('SIGTERM')
      const [code] = await once(engine.child, 'exit')
      return { code, ms: Math.round(performance.now() - at) }
    },
  }
}

/** Alice calls Bob, who is recorded to `url`; seconds of the switch. */
async function recordedCall({ api }: Installation, client: Client, url: string, seconds: number): Promise<void> {
  const { id: account } = await client.put<Id>(`accounts/${client.accountId}`, { name: `to ${url} for ${seconds} s` })
  const at = `accounts/${account}`
  const { id: bob } = await client.put<Id>(`${at}/users`, { first_name: 'Bob', last_name: 'B', record_call: { url } })
  const { id: phone } = await client.put<Id>(`${at}/devices`, { name: 'alice', sip: { username: 'alice', password: 'alice-secret' } })
  await client.put(`${at}/devices`, { name: 'bob', owner_id: bob, sip: { username: 'bob', password: 'bob-secret' } })
  await client.put(`${at}/callflows`, { numbers: ['2002'], flow: { module: 'user', data: { id: bob } } })
  await api(`callrec_simulator_call {callrec_account_id=${account},callrec_device_id=${phone},callrec_simulator_seconds=${seconds}}2001 2002`)
}

const signedIn = (one: Installation): Promise<Client> =>
  until('a login', async () => {
    const { MASTER_API_KEY } = await readCredentials(one.dir)
    return MASTER_API_KEY !== undefined && signIn(one.url, MASTER_API_KEY).catch(() => undefined)
  })

test('an engine whose store says nothing is gone within 10 s of SIGTERM and hands its switch over', async t => {
  const sockets = new Set<Socket>()
  const store = createServer(socket => void sockets.add(socket.on('error', () => {}).resume())).listen(0, '127.0.0.1')
  await once(store, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    store.close()
  })
  const one = await installation(t, { COUCHDB_URL: `http://127.0.0.1:${(store.address() as AddressInfo).port}` })
  await one.api(`callrec_simulator_call {callrec_account_id=${'a'.repeat(32)},callrec_device_id=${'1'.repeat(32)},callrec_simulator_seconds=600}2001 2002`)
  await until('a call that waits for the store', async () => (await one.api('show channels')).includes('2002'))
  const asked = fetch(`${one.url}/v2/api_auth`, { method: 'PUT', headers: { 'Content-Type': 'application/json' }, body: '{"data":{"api_key":"x"}}' }).catch(
    () => undefined,
  )
  const { code, ms } = await one.stop()
  await asked
  t.log(`${ms} ms`)
  t.true(ms < WITHIN)
  t.is(code, 0, one.said())
  t.notRegex(await one.api('hash select/callrec/owner'), /:/, 'nobody has the switch')
  t.regex(await one.api('show channels'), /2002/, 'the call is left to it')
})

const real = realRun('a stop', { CouchDB: couchdb !== undefined }) ? test : test.skip

real('an engine whose store falls silent while a recording runs is gone within 10 s of SIGTERM, and the next one has the recording', async t => {
  const couch = await couchdb?.()
  t.teardown(() => couch?.stop())
  const at = new URL(couch?.url ?? '')
  const hop = await proxy(Number(at.port))
  t.teardown(() => hop.close())
  const sink = await httpSink(t)
  const direct = at.href
  at.port = String(hop.port)
  const one = await installation(t, { COUCHDB_URL: at.href })
  await recordedCall(one, await signedIn(one), sink.url, 1200)
  await until('a recording', () => one.said().includes('recording_started'))
  hop.freeze()
  // Its end has to be saved.
  const [leg] = JSON.parse(await one.api('show channels as json')).rows as { uuid: string }[]
  await one.api(`uuid_kill ${leg?.uuid}`)
  const { code, ms } = await one.stop()
  t.log(`${ms} ms`)
  t.true(ms < WITHIN)
  t.is(code, 0, one.said())
  t.notRegex(await one.api('hash select/callrec/owner'), /:/, 'nobody has the switch')
  await one.restart({ COUCHDB_URL: direct })
  await sink.arrived(1)
})

test('an engine with recordings that run and a delivery that hangs is gone within 10 s of SIGTERM, and what it left runs on', async t => {
  const sink = await httpSink(t, [ignore])
  const one = await installation(t)
  const client = await signedIn(one)
  await recordedCall(one, client, sink.url, 4)
  await sink.arrived(1)
  await recordedCall(one, client, sink.url, 1200)
  await until('a recording', () => one.said().split('recording_started').length > 2)
  const { code, ms } = await one.stop()
  t.log(`${ms} ms`)
  t.true(ms < WITHIN)
  t.is(code, 0, one.said())
  t.notRegex(await one.api('hash select/callrec/owner'), /:/, 'nobody has the switch')
  t.regex(await one.api('show channels'), /2002/, 'the call goes on')
})

test('an engine that is told to stop takes no more calls, also while a client reads its last answer slowly', async t => {
  const sink = await httpSink(t)
  const one = await installation(t)
  const client = await signedIn(one)
  await recordedCall(one, client, sink.url, 1200)
  await until('a recording', () => one.said().includes('recording_started'))
  const { hostname, port } = new URL(one.url)
  const slow = connect(Number(port), hostname)
  t.teardown(() => slow.destroy())
  slow.on('error', () => {})
  slow.write('PUT /v2/api_auth HTTP/1.1\r\nHost: callrec\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n')
  await once(slow, 'data')
  const stopped = one.stop()
  await until('it answers nobody new', () =>
    fetch(one.url).then(
      () => false,
      () => true,
    ),
  )
  const before = one.said()
  await one.api(`callrec_simulator_call {callrec_account_id=${client.accountId},callrec_inception=offnet,callrec_simulator_seconds=1200}2009 2002`)
  t.is((await stopped).code, 0)
  t.notRegex(one.said().slice(before.length), /call_refused|policy_decided|call_failed/)
})

test('an engine whose switch says nothing is gone within 10 s of SIGTERM', async t => {
  const sink = await httpSink(t)
  const one = await installation(t)
  const client = await signedIn(one)
  await recordedCall(one, client, sink.url, 1200)
  await until('a recording', () => one.said().includes('recording_started'))
  one.simulator.kill('SIGSTOP')
  t.teardown(() => one.simulator.kill('SIGCONT'))
  const quick = client.get(`accounts/${client.accountId}/channels`).catch(() => undefined)
  const { code, ms } = await one.stop()
  await quick
  t.log(`${ms} ms`)
  t.true(ms < WITHIN)
  t.is(code, 0, one.said())
})
