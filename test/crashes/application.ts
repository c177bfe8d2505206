// An installation that is killed and started anew while its switch lives on, and a voice application that makes calls by it.

import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { type Client, signIn } from '../../src/client.ts'
import { silent } from '../../src/log.ts'
import { EMPTY_FILE } from '../../src/recording/tape.ts'
import { packagePath } from '../../src/root.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { eslApi } from '../helpers/esl-client.ts'
import { httpSink, type Sink } from '../helpers/http-sink.ts'
import { freePorts } from '../helpers/ports.ts'
import { until } from '../helpers/wait.ts'
import { tokenGenerate } from '../voice/sdk.ts'

const PASSWORD = 'ClueCon'
const KEY = 'c'.repeat(64)
export interface Installation {
  url: string
  api: (command: string) => Promise<string>
  start: () => Promise<Client>
  kill: (signal?: 'SIGKILL' | 'SIGTERM') => Promise<void>
  /** Files of the switch that have audio: of a recording that has yet no frame it keeps none. */
  heard: () => Promise<number>
}

export async function installation(t: ExecutionContext, speed: number): Promise<Installation> {
  const dataDir = await mkdtemp(join(tmpdir(), 'callrec-placed-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  const spool = join(dataDir, 'recordings')
  const simulator = await startSimulator({
    host: '127.0.0.1',
    port: 0,
    password: PASSWORD,
    recordingDir: spool,
    speed,
    log: silent,
  })
  t.teardown(() => simulator.close())
  const [port = 0, sip = 0] = await freePorts(2)
  const url = `http://127.0.0.1:${port}`
  let child: ChildProcess | undefined
  t.teardown(() => child?.kill('SIGKILL'))
  return {
    url,
    async heard() {
      const files = (await readdir(spool, { recursive: true })).filter(file => file.endsWith('.wav'))
      return (await Promise.all(files.map(file => stat(join(spool, file))))).filter(({ size }) => size > EMPTY_FILE).length
    },
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
        TRANSCRIBER: 'off',
      }
      const started = spawn(process.execPath, [packagePath('build/src/cli.js'), 'start'], {
        env,
        stdio: 'ignore',
      })
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
    async kill(signal = 'SIGKILL') {
      const killed = child
      if (killed === undefined) throw new Error('nothing runs')
      killed.kill(signal)
      await once(killed, 'exit')
    },
  }
}

export interface Application {
  client: Client
  app: Sink
  /** Path of the account. */
  at: string
  calls: (method: string, path?: string, body?: object) => Promise<Record<string, unknown>>
  /** Alice's phone is called; answers the uuid. */
  place: (ncco: readonly object[]) => Promise<string>
  state: (uuid: string) => Promise<unknown>
  /** All that came whole, with the `path` it came to. */
  events: () => Record<string, unknown>[]
  /** What was told of a call at the event_url: its status, with the detail where there is one. */
  told: (uuid: string) => unknown[]
}

export async function application(t: ExecutionContext, one: Installation): Promise<Application> {
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
  const calls: Application['calls'] = async (method, path = '', body) => {
    const headers = { authorization: `Bearer ${tokenGenerate(application_id, privateKey)}` }
    const response = await fetch(`${one.url}/v1/calls${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
    return JSON.parse((await response.text()) || '{}') as Record<string, unknown>
  }
  const events: Application['events'] = () =>
    app.received.filter(({ whole }) => whole).map(({ url, body }) => ({ path: url, ...(JSON.parse(body.toString()) as object) }))
  return {
    client,
    app,
    at,
    calls,
    place: async ncco => String((await calls('POST', '', { to: [{ type: 'sip', uri: `sip:alice@${realm}` }], ncco }))['uuid']),
    state: async uuid => (await calls('GET', `/${uuid}`))['status'],
    events,
    told: uuid =>
      events()
        .filter(event => event['uuid'] === uuid && event['path'] === '/events')
        .map(({ status, detail }) => (detail === undefined ? status : [status, detail])),
  }
}
