// What is measured: an engine in a process of its own, beside a switch in another. Everything they
// write lies in a temporary folder that goes when the measurement ends.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Client, signIn } from '../src/client.ts'
import { packagePath } from '../src/root.ts'
import { REALM, startFreeSwitch } from '../test/helpers/freeswitch.ts'
import { onPath } from '../test/helpers/real.ts'
import { openEsl } from './esl.ts'

/** A switch that is up, and two phones it knows. */
export interface Switch {
  name: string
  port: number
  password: string
  pid: number
  /** Where it may write. */
  directory: string
  realm: string
  caller: string
  callee: string
  stop(): Promise<void>
}

export interface Engine {
  pid: number
  client: Client
  /** Of its API. */
  port: number
  /** How often its log tells of this event. */
  count(event: string): number
  stop(): Promise<void>
}

const CLI = packagePath('build/src/cli.js')
const KEY = 'b'.repeat(64)
/** Milliseconds. */
const PATIENCE = 20_000
/** Nothing of the environment this runs in may decide what is measured. */
const UNSET = Object.fromEntries(
  ['API_HOST', 'API_PORT', 'COUCHDB_URL', 'DATA_DIR', 'FREESWITCH_ESL', 'PUBLIC_URL', 'RECORDING_DIR', 'SIMULATOR_SPEED', 'SWITCH_RECORDING_DIR'].map(name => [
    name,
    '',
  ]),
)

export const folder = (): string => mkdtempSync(join(tmpdir(), 'callrec-bench-'))
export const forget = (directory: string): void => rmSync(directory, { recursive: true, force: true })

function launch(args: string[], env: Record<string, string>, log: string, ahead: readonly string[] = []): ChildProcess & { pid: number } {
  const out = openSync(log, 'w')
  // BENCH_NODE_FLAGS: such as `--cpu-prof --cpu-prof-dir=/tmp/profiles`, to see where the time goes.
  const flags = [...(process.env['BENCH_NODE_FLAGS'] ?? '').split(' ').filter(flag => flag !== ''), ...ahead]
  const child = spawn(process.execPath, [...flags, CLI, ...args], { env: { ...process.env, ...UNSET, ...env }, stdio: ['ignore', out, out] })
  closeSync(out)
  if (child.pid === undefined) throw new Error(`cannot start ${args.join(' ')}`)
  return child as ChildProcess & { pid: number }
}

async function said<T>(log: string, what: string, find: (line: string) => T | undefined): Promise<T> {
  for (const until = performance.now() + PATIENCE; performance.now() < until; await delay(20)) {
    for (const line of readFileSync(log, 'utf8').split('\n')) {
      const found = find(line)
      if (found !== undefined) return found
    }
  }
  throw new Error(`${what} did not start: ${readFileSync(log, 'utf8')}`)
}

async function stop(child: ChildProcess, directory?: string): Promise<void> {
  if (child.exitCode === null) {
    const gone = new Promise<void>(resolve => child.once('exit', () => resolve()))
    child.kill('SIGTERM')
    const kill = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await gone
    clearTimeout(kill)
  }
  if (directory !== undefined) forget(directory)
}

export async function startEmbeddedSwitch(): Promise<Switch> {
  const directory = folder()
  const log = join(directory, 'simulator.log')
  const password = 'bench'
  const child = launch(['simulator', '--port', '0', '--data-dir', directory], { FREESWITCH_PASSWORD: password, LOG_LEVEL: 'warn' }, log)
  const port = await said(log, 'the embedded switch', line => /^FREESWITCH_ESL=[^:]+:(\d+)/.exec(line)?.[1])
  return {
    name: 'embedded',
    port: Number(port),
    password,
    pid: child.pid,
    directory,
    realm: 'bench.example',
    caller: 'ann',
    callee: 'bob',
    stop: () => stop(child, directory),
  }
}

/** Undefined where there is none on PATH. Its phones are legs of its own, answered by its own dialplan. */
export async function startRealSwitch(): Promise<Switch | undefined> {
  if (!onPath('freeswitch')) return undefined
  const freeswitch = await startFreeSwitch()
  for (const until = performance.now() + PATIENCE; performance.now() < until; await delay(100)) {
    const esl = await openEsl(freeswitch, [], () => {}).catch(() => undefined)
    const ready = (await esl?.send('api status'))?.includes('is ready') === true
    esl?.close()
    if (!ready) continue
    return { ...freeswitch, name: 'FreeSWITCH', realm: REALM, caller: 'tone440', callee: 'tone1000', stop: async () => freeswitch.stop() }
  }
  freeswitch.stop()
  throw new Error('FreeSWITCH did not start')
}

/** `directory`: one that outlives it; `more`: settings; `ahead`: flags of its node. */
export async function startEngine(
  on: Switch,
  { directory: given, more = {}, ahead = [] }: { directory?: string; more?: Record<string, string>; ahead?: readonly string[] } = {},
): Promise<Engine> {
  const directory = given ?? folder()
  const log = join(directory, 'engine.log')
  const env = {
    FREESWITCH_ESL: `bench=:${on.password}@127.0.0.1:${on.port}`,
    RECORDING_DIR: join(on.directory, 'spool'),
    SPOOL_MIN_FREE: '0',
    MASTER_API_KEY: KEY,
    LOG_LEVEL: 'info',
    ...more,
  }
  const child = launch(['start', '--data-dir', directory, '--port', '0'], env, log, ahead)
  const url = await said(log, 'the engine', line => (line.includes('"callrec_started"') ? (JSON.parse(line) as { url: string }).url : undefined))
  await said(log, 'the connection to the switch', line => (line.includes('"switch_connected"') ? true : undefined))
  return {
    pid: child.pid,
    client: await signIn(url, KEY),
    port: Number(new URL(url).port),
    count: event => readFileSync(log, 'utf8').split(`"event":"${event}"`).length - 1,
    stop: () => stop(child, given === undefined ? directory : undefined),
  }
}

/** Seconds of CPU a process has used until now; NaN where there is no /proc. */
export function cpuSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return Number.NaN
  }
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}
