// The commands as a shell runs them: processes of their own, their output and their exit codes.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { readCredentials } from '../src/credentials.ts'
import { packagePath } from '../src/root.ts'
import { type RunningSimulator, stateFile } from '../src/simulator/launch.ts'
import { embeddedStore } from '../src/store/embedded.ts'
import { SPEED } from './helpers/engine.ts'
import { freePorts } from './helpers/ports.ts'
import { until } from './helpers/wait.ts'

const CLI = packagePath('build/src/cli.js')
/** Milliseconds; processes start slowly on a busy machine. */

async function dataDirectory(t: ExecutionContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-cli-'))
  t.teardown(async () => {
    const { pid } = JSON.parse(await readFile(stateFile(dir), 'utf8').catch(() => '{}')) as Partial<RunningSimulator>
    if (pid !== undefined) process.kill(pid)
    await rm(dir, { recursive: true, force: true })
  })
  return dir
}

interface Command {
  child: ChildProcess
  out: () => string
  err: () => string
  /** Its exit code. */
  ended: Promise<number | null>
}

function callrec(t: ExecutionContext, args: readonly string[], env: Readonly<Record<string, string>> = {}): Command {
  const settings = { SIMULATOR_SPEED: String(SPEED), SPOOL_MIN_FREE: '0', ...env }
  const child = spawn(process.execPath, [CLI, ...args], { env: { ...process.env, ...settings }, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { out: '', err: '' }
  child.stdout.on('data', (piece: Buffer) => (said.out += piece.toString()))
  child.stderr.on('data', (piece: Buffer) => (said.err += piece.toString()))
  t.teardown(() => child.kill('SIGKILL'))
  return { child, out: () => said.out, err: () => said.err, ended: once(child, 'close').then(([code]) => code as number | null) }
}

test('demo makes a recorded call, tells every step, and finds what it made when it is run again', async t => {
  const dir = await dataDirectory(t)
  const [api, receiver] = await freePorts(2)
  const ports = ['--port', String(api), '--receiver-port', String(receiver)]
  const first = callrec(t, ['demo', '--once', '--data-dir', dir, ...ports])
  t.is(await first.ended, 0, first.err())
  const steps = first
    .out()
    .trim()
    .split('\n')
    .map(line => line.split(' ')[0])
  t.deepEqual(steps, ['callrec', 'account', 'people', 'callflows', 'PATCH', 'call', 'received', 'recorded'])
  t.is((await readdir(join(dir, 'received'))).length, 1)

  const credentials = await readCredentials(dir)
  t.is((await stat(join(dir, 'credentials'))).mode & 0o777, 0o600)
  t.regex(credentials.MASTER_API_KEY ?? '', /^[0-9a-f]{64}$/)

  const second = callrec(t, ['demo', '--once', '--data-dir', dir, ...ports])
  t.is(await second.ended, 0, second.err())
  t.true(second.out().includes('there from an earlier run'))
  t.deepEqual(await readCredentials(dir), credentials)
  t.is((await readdir(join(dir, 'received'))).length, 2)
})

test('an engine that was started takes a call by command, and leaves when it is told to', async t => {
  const dir = await dataDirectory(t)
  const [api, receiver] = await freePorts(2)
  const ports = ['--port', String(api), '--receiver-port', String(receiver)]
  const engine = callrec(t, ['demo', '--data-dir', dir, ...ports])
  await until('the end of the demo', () => engine.out().includes('README.md goes on'))
  const call = callrec(t, ['call', '--from', 'alice-phone', '--to', '2002', '--data-dir', dir, '--seconds', '40'])
  t.is(await call.ended, 0, call.err())
  t.regex(call.out(), /^alice-phone calls 2002: call [0-9a-f-]{36}\n$/)
  await until('its file', () => engine.out().match(/^received/gm)?.length === 2)

  const nobody = callrec(t, ['call', '--from', 'fax', '--to', '2002', '--data-dir', dir])
  t.is(await nobody.ended, 1)
  t.regex(nobody.err(), /has no device "fax"; it has alice-phone, bob-phone/)

  engine.child.kill('SIGTERM')
  t.is(await engine.ended, 0, engine.err())
  const late = callrec(t, ['call', '--from', 'alice-phone', '--to', '2002', '--data-dir', dir])
  t.is(await late.ended, 1)
  t.regex(late.err(), /nobody answers at http.*is callrec started/)
})

test('a start that cannot be names every problem and nothing else', async t => {
  const { ended, err, out } = callrec(t, ['start'], { API_PORT: '80a', COUCH_DB_URL: 'http://x' })
  t.is(await ended, 1)
  t.is(out(), '')
  t.deepEqual(
    err()
      .trim()
      .split('\n')
      .map(line => line.trim().split(' ')[0]),
    ['callrec:', 'COUCH_DB_URL', 'API_PORT'],
  )
})

test('a spool that cannot be written stops recordings, not the engine', async t => {
  const dir = await dataDirectory(t)
  await writeFile(join(dir, 'file'), '')
  const engine = callrec(t, ['start', '--data-dir', dir, '--port', '0'], { RECORDING_DIR: join(dir, 'file', 'recordings') })
  const started = await until('the start', () => /"url":"(http:[^"]+)".*callrec_started/.exec(engine.err())?.[1])
  t.true(engine.err().includes('spool_unusable'))
  t.is((await fetch(`${started}/healthz`)).status, 200)
})

test('receive takes a file and says where it lies', async t => {
  const dir = await dataDirectory(t)
  const { out, child, ended } = callrec(t, ['receive', '--port', '0', '--dir', join(dir, 'in')])
  const url = await until('its address', () => /waiting for recordings at (\S+)/.exec(out())?.[1])
  t.is((await fetch(`${url}/call_recording_x.wav`, { method: 'PUT', body: 'abc' })).status, 201)
  t.is(await readFile(join(dir, 'in', 'call_recording_x.wav'), 'utf8'), 'abc')
  await until('its line', () => out().includes('call_recording_x.wav 3 bytes'))
  child.kill('SIGINT')
  t.is(await ended, 0)
})

test('the simulator alone is reached as a switch on the event socket', async t => {
  const dir = await dataDirectory(t)
  const simulator = callrec(t, ['simulator', '--port', '0', '--data-dir', dir])
  const address = await until('its address', () => /^FREESWITCH_ESL=(\S+) /.exec(simulator.out())?.[1])
  const engine = callrec(t, ['start', '--data-dir', dir, '--port', '0'], { FREESWITCH_ESL: address })
  const url = await until('the start', () => /"url":"(http:[^"]+)".*callrec_started/.exec(engine.err())?.[1])
  t.is(await until('readiness', async () => (await fetch(`${url}/readyz`)).status === 200 && 200), 200)
  simulator.child.kill('SIGTERM')
  t.is(await simulator.ended, 0)
  t.is(await until('it to be missed', async () => (await fetch(`${url}/readyz`)).status === 503 && 503), 503)
})

test('alerts prints rules, verify wants days, and backup copies a store once and says why not twice', async t => {
  const dir = await dataDirectory(t)
  const alerts = callrec(t, ['alerts'], { SPOOL_MIN_FREE: '1MiB' })
  t.is(await alerts.ended, 0, alerts.err())
  t.true(alerts.out().startsWith('groups:\n  - name: callrec\n') && alerts.out().includes('callrec_spool_free_bytes < 2097152'))
  const verify = callrec(t, ['verify', '--from', 'yesterday', '--to', '2026-05-16', '--data-dir', dir])
  t.is(await verify.ended, 1)
  t.regex(verify.err(), /must be a day such as 2026-05-16/)
  const none = callrec(t, ['backup', '--data-dir', dir, '--to', join(dir, 'copy')])
  t.is(await none.ended, 1)
  t.regex(none.err(), /there is no embedded store in DATA_DIR .*for CouchDB see couchdb\/README\.md/)
  await (await embeddedStore({ dir })).close()
  const copied = callrec(t, ['backup', '--data-dir', dir, '--to', join(dir, 'copy')])
  t.is(await copied.ended, 0, copied.err())
  t.regex(copied.out(), /^copied the documents and 0 attachments to /)
  const again = callrec(t, ['backup', '--data-dir', dir, '--to', join(dir, 'copy')])
  t.is(await again.ended, 1)
  t.regex(again.err(), /already: name an empty directory/)
})
