// A call that an application has made rings on when its engine is killed: whoever comes next sees it through.

import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type Client, signIn } from '../../src/client.ts'
import { silent } from '../../src/log.ts'
import { packagePath } from '../../src/root.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { eslApi } from '../helpers/esl-client.ts'
import { httpSink } from '../helpers/http-sink.ts'
import { freePorts } from '../helpers/ports.ts'
import { until } from '../helpers/wait.ts'
import { tokenGenerate } from '../voice/sdk.ts'

const PASSWORD = 'ClueCon'
const KEY = 'c'.repeat(64)
/** A phone that answers half a second after it rings does so when two engines have had the time to start. */
const SPEED = 0.02

interface Installation {
  url: string
  api: (command: string) => Promise<string>
  start: () => Promise<Client>
  kill: () => Promise<void>
}

async function installation(t: ExecutionContext): Promise<Installation> {
  const dataDir = await mkdtemp(join(tmpdir(), 'callrec-placed-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  const simulator = await startSimulator({
    host: '127.0.0.1',
    port: 0,
    password: PASSWORD,
    recordingDir: join(dataDir, 'recordings'),
    speed: SPEED,
    log: silent,
  })
  t.teardown(() => simulator.close())
  const [port = 0, sip = 0] = await freePorts(2)
  const url = `http://127.0.0.1:${port}`
  let child: ChildProcess | undefined
  t.teardown(() => child?.kill('SIGKILL'))
  return {
    url,
    api: command => eslApi(simulator.port, PASSWORD, command),
    async start() {
      const env = {
        ...process.env,
        DATA_DIR: dataDir,
        API_PORT: String(port),
        SIP_BIND: `127.0.0.1:${sip}`,
        FREESWITCH_ESL: `127.0.0.1:${simulator.port}`,
        UPLOAD_ALLOW_NETWORKS: '127.0.0.0/8',
        MASTER_API_KEY: KEY,
        SPOOL_MIN_FREE: '0',
        FFMPEG: 'off',
      }
      const started = spawn(process.execPath, [packagePath('build/src/cli.js'), 'start'], { env, stdio: 'ignore' })
      child = started
      await until('an engine with a switch', async () => {
        if (started.exitCode !== null) throw new Error(`the engine ended with ${started.exitCode}`)
        return fetch(`${url}/readyz`).then(
          ({ status }) => status === 200,
          () => false,
        )
      })
      return signIn(url, KEY)
    },
    async kill() {
      const killed = child
      if (killed === undefined) throw new Error('nothing runs')
      killed.kill('SIGKILL')
      await once(killed, 'exit')
    },
  }
}

test('a call that rings when its engine is killed runs its actions when it is answered, and else is told of, and read, as what became of it', async t => {
  const one = await installation(t)
  const app = await httpSink(t, [204])
  const client = await one.start()
  const at = `accounts/${client.accountId}`
  const { realm } = await client.get<{ realm: string }>(at)
  const { publicKey: public_key, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  await client.put(`${at}/devices`, { name: 'alice-phone', sip: { username: 'alice', password: 'alice-secret' } })
  const { application_id } = await client.put<{ application_id: string }>(`${at}/applications`, { name: 'app', public_key, event_url: `${app.url}/events` })
  const calls = async (method: string, path = '', body?: object): Promise<Record<string, unknown>> => {
    const headers = { authorization: `Bearer ${tokenGenerate(application_id, privateKey)}` }
    const response = await fetch(`${one.url}/v1/calls${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
    return (await response.json()) as Record<string, unknown>
  }
  const ncco = [{ action: 'notify', payload: { stage: 'answered' }, eventUrl: [`${app.url}/notify`] }]
  const place = async (): Promise<string> => String((await calls('POST', '', { to: [{ type: 'sip', uri: `sip:alice@${realm}` }], ncco }))['uuid'])
  const state = async (uuid: string): Promise<unknown> => (await calls('GET', `/${uuid}`))['status']
  const told = (uuid: string): unknown[] =>
    app.received
      .filter(({ whole }) => whole)
      .map(({ url, body }): Record<string, unknown> => ({ path: url, ...(JSON.parse(body.toString()) as object) }))
      .filter(event => event['uuid'] === uuid && event['path'] === '/events')
      .map(({ status, detail }) => (detail === undefined ? status : [status, detail]))

  const [answered, busy, lost] = [await place(), await place(), await place()]
  for (const uuid of [answered, busy, lost]) await until('it rings', async () => (await state(uuid)) === 'ringing')
  await one.kill()
  await one.api(`uuid_kill ${lost} USER_BUSY`)
  await one.start()
  // It asks for one after the other, the oldest first.
  await until('the end of the one that was lost', async () => (await state(lost)) === 'failed')
  t.is(await state(busy), 'ringing')
  await one.api(`uuid_kill ${busy} USER_BUSY`)
  await until('the end of the one that was busy', async () => (await state(busy)) === 'busy')
  await until('the actions of the one that is answered', () => app.received.some(({ url, whole }) => whole && url === '/notify'))
  await until('its end', async () => (await state(answered)) === 'completed')
  await until('all is told', () => told(answered).includes('completed') && told(lost).length > 2)
  t.deepEqual(told(answered), ['started', 'ringing', 'answered', 'completed'])
  t.deepEqual(told(busy), ['started', 'ringing', ['busy', 'USER_BUSY']])
  t.deepEqual(told(lost), ['started', 'ringing', ['failed', 'it ended while no engine watched it']])
})
