// Kills of a real process: SIGKILL while a call is recorded, again while its file is on the way, and while its text is made.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { type Client, signIn } from '../../src/client.ts'
import { readCredentials } from '../../src/credentials.ts'
import { packagePath } from '../../src/root.ts'
import { type RunningSimulator, stateFile } from '../../src/simulator/launch.ts'
import { SPEED } from '../helpers/engine.ts'
import { hang, httpSink } from '../helpers/http-sink.ts'
import { folder, HELLO, transcriber } from '../helpers/programs.ts'
import { freePorts } from '../helpers/ports.ts'
import { until } from '../helpers/wait.ts'

interface Id {
  id: string
}

interface Listed extends Id {
  state: string
  reason?: string
  duration_ms: number
  delivery?: { state: string; attempts: number }
}

interface Installation {
  start: () => Promise<Client>
  kill: () => Promise<void>
}

async function installation(t: ExecutionContext, settings: Readonly<Record<string, string>> = {}): Promise<Installation> {
  const dataDir = await mkdtemp(join(tmpdir(), 'callrec-sigkill-'))
  const [port = 0] = await freePorts(1)
  let child: ChildProcess | undefined
  t.teardown(async () => {
    child?.kill('SIGKILL')
    const { pid } = JSON.parse(await readFile(stateFile(dataDir), 'utf8').catch(() => '{}')) as Partial<RunningSimulator>
    if (pid !== undefined) process.kill(pid)
    await rm(dataDir, { recursive: true, force: true })
  })
  return {
    async start(): Promise<Client> {
      const env = {
        ...process.env,
        DATA_DIR: dataDir,
        API_PORT: String(port),
        SIMULATOR_SPEED: String(SPEED),
        SPOOL_MIN_FREE: '0',
        FFMPEG: 'off',
        TRANSCRIBER: 'off',
        LOG_LEVEL: 'error',
        ...settings,
      }
      const started = spawn(process.execPath, [packagePath('build/src/cli.js'), 'start'], { env, stdio: 'ignore' })
      child = started
      return until('the engine', async () => {
        if (started.exitCode !== null) throw new Error(`the engine ended with ${started.exitCode}`)
        const { MASTER_API_KEY } = await readCredentials(dataDir)
        const url = `http://127.0.0.1:${port}`
        const ready = await fetch(`${url}/readyz`).catch(() => undefined)
        return MASTER_API_KEY === undefined || ready?.status !== 200 ? undefined : signIn(url, MASTER_API_KEY).catch(() => undefined)
      })
    },
    async kill(): Promise<void> {
      const killed = child
      if (killed === undefined) throw new Error('nothing runs')
      killed.kill('SIGKILL')
      await once(killed, 'exit')
    },
  }
}

test('a process that is killed while it records, and again while it delivers, delivers the whole call to the same place with the same key', async t => {
  const { start, kill } = await installation(t)
  const sink = await httpSink(t, [hang, 201])
  let client = await start()
  const { id: account } = await client.put<Id>(`accounts/${client.accountId}`, { name: 'killed' })
  const at = `accounts/${account}`
  const { id: bob } = await client.put<Id>(`${at}/users`, { first_name: 'Bob', last_name: 'B', record_call: { url: sink.url } })
  const { id: phone } = await client.put<Id>(`${at}/devices`, { name: 'alice', sip: { username: 'alice', password: 'alice-secret' } })
  await client.put(`${at}/devices`, { name: 'bob', owner_id: bob, sip: { username: 'bob', password: 'bob-secret' } })
  await client.put(`${at}/callflows`, { numbers: ['2002'], flow: { module: 'user', data: { id: bob } } })
  // Long enough that the next process is there before it ends, on a busy machine too.
  await client.put(`${at}/devices/${phone}/quickcall/2002`, { seconds: 160 })

  const list = (): Promise<Listed[]> => client.get<Listed[]>(`${at}/recordings`)
  await until('a recording that runs', async () => (await list()).some(({ state }) => state === 'recording'))
  await kill()
  client = await start()
  await sink.arrived(1)
  await kill()
  client = await start()
  const [recording, ...others] = await until('the delivery', async () => {
    const found = await list()
    return found.some(({ delivery }) => delivery?.state === 'stored') && found
  })
  t.deepEqual(others, [])
  t.like(recording, { state: 'stopped', delivery: { state: 'stored' } })
  t.is(new Set(sink.received.map(({ url }) => url)).size, 1)
  t.deepEqual(new Set(sink.received.map(({ headers }) => headers['idempotency-key'])), new Set([recording?.id]))
  t.true(sink.received.some(({ whole, body }) => whole && body.length > 44))
  // The call went on as if nothing had happened.
  const [cdr] = await until('the detail record', async () => {
    const found = await client.get<{ hangup_cause: string }[]>(`${at}/cdrs`)
    return found.length > 0 && found
  })
  t.is(cdr?.hangup_cause, 'NORMAL_CLEARING')
  t.true((recording?.duration_ms ?? 0) > 30_000, `${recording?.duration_ms} ms`)
})

test('a process that is killed while a transcript is made makes it at its next start, and tells it once', async t => {
  const dir = folder(t)
  const program = transcriber(t, `touch ${dir}/begun; while [ ! -e ${dir}/go ]; do sleep 0.05; done; ${HELLO}`)
  const { start, kill } = await installation(t, { TRANSCRIBER: program })
  const app = await httpSink(t, [204])
  let client = await start()
  const at = `accounts/${client.accountId}`
  const { id: phone } = await client.put<Id>(`${at}/devices`, { name: 'alice', sip: { username: 'alice', password: 'alice-secret' } })
  const ncco = [{ action: 'record', timeOut: 3, transcription: { eventUrl: [`${app.url}/said`] } }]
  await client.put(`${at}/callflows`, { numbers: ['3100'], flow: { module: 'ncco', data: { ncco } } })
  await client.put(`${at}/devices/${phone}/quickcall/3100`, { seconds: 60 })
  await until('the program', () => existsSync(join(dir, 'begun')))
  await kill()
  await writeFile(join(dir, 'go'), '')
  client = await start()
  await app.arrived(1)
  const [recording] = await until('the transcript', async () => {
    const found = await client.get<(Id & { transcription: { state: string } })[]>(`${at}/recordings`)
    return found[0]?.transcription.state === 'transcribed' && found
  })
  t.like(await client.get(`${at}/recordings/${recording?.id}/transcript`), { channels: [{ transcript: [{ sentence: 'Hello, World!' }] }] })
  t.deepEqual(
    app.received.map(({ url, body }) => [url, (JSON.parse(body.toString()) as { status: string }).status]),
    [['/said', 'transcribed']],
  )
})
