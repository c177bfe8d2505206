// Calls on the embedded switch, in a process of its own behind a hop, so that either can be cut off.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packagePath } from '../../src/root.ts'
import { type RunningSimulator, stateFile } from '../../src/simulator/launch.ts'
import { type Behaviour, callsContract, type Telephony } from '../contract/calls.ts'
import { eslApi } from '../helpers/esl-client.ts'
import type { Teardown } from '../helpers/http-sink.ts'
import { freePorts } from '../helpers/ports.ts'
import { proxy } from '../helpers/proxy.ts'
import { until } from '../helpers/wait.ts'

/** No faster: 100 ms of a busy machine are half a second of a call. */
const SPEED = 5
/** What `callrec simulator` takes where nobody names another. */
const PASSWORD = 'ClueCon'

/** Seconds of the call, which are two of the wall. */
const BRIEF = 2 * SPEED

/** What a caller tells the embedded switch about whom he rings. */
const WISHES: Readonly<Record<Behaviour, Readonly<Record<string, string>>>> = {
  tone1000: {},
  brief: { callrec_simulator_callee_seconds: String(BRIEF) },
  early: { callrec_simulator_answer: 'early:2' },
  ringing: { callrec_simulator_answer: 'never' },
  busy: { callrec_simulator_answer: 'busy' },
  away: { callrec_simulator_answer: 'USER_NOT_REGISTERED' },
}

async function open(t: Teardown): Promise<Telephony> {
  const home = await mkdtemp(join(tmpdir(), 'callrec-calls-'))
  t.teardown(() => rm(home, { recursive: true, force: true }))
  const dataDir = join(home, 'data')
  const recordingDir = join(dataDir, 'recordings')
  await mkdir(dataDir)
  const [port = 0] = await freePorts(1)
  let running = await startProcess(home, recordingDir, port)
  t.teardown(() => running.kill('SIGKILL'))
  const hop = await proxy(port)
  t.teardown(() => hop.close())
  // As if this engine's own had left it: the engine takes what it finds. Process 0 is nobody's to end.
  const found: Omit<RunningSimulator, 'pid'> = { host: '127.0.0.1', port: hop.port, password: PASSWORD, recordingDir, speed: SPEED }
  await writeFile(stateFile(dataDir), JSON.stringify(found))
  return {
    settings: { DATA_DIR: dataDir, SIMULATOR_SPEED: String(SPEED) },
    port,
    password: PASSWORD,
    speed: SPEED,
    spool: recordingDir,
    slack: 0.1,
    late: Number.POSITIVE_INFINITY,
    soon: Number.POSITIVE_INFINITY,
    brief: BRIEF,
    // It brings it to disk four times a second of the wall.
    unwritten: 2 * SPEED,
    names: file => ['back\\', `O'Brien "Bob"`, '%41lice', `\${system(touch ${file})}`, 'Zoë 😀', "'; x"].map(sent => ({ sent, arrives: sent })),
    register: async () => {},
    async dial({ from, number, rings, callerName }) {
      const tell = {
        callrec_account_id: from.accountId,
        callrec_device_id: from.id,
        callrec_simulator_realm: from.realm,
        callrec_simulator_seconds: '600',
        ...WISHES[rings],
        ...(callerName === undefined ? {} : { origination_caller_id_name: `'${callerName.replaceAll(/[\\']/g, '\\$&')}'` }),
      }
      const variables = Object.entries(tell).map(([name, value]) => `${name}=${value}`)
      const said = await eslApi(port, PASSWORD, `callrec_simulator_call {${variables.join(',')}}${from.name} ${number}`)
      const leg = /^\+OK (\S+)/.exec(said)?.[1]
      if (leg === undefined) throw new Error(said)
      return { hangup: async () => void (await eslApi(port, PASSWORD, `uuid_kill ${leg}`)) }
    },
    cut: () => hop.block(),
    async crash() {
      running.kill('SIGKILL')
      await once(running, 'exit')
    },
    async restart() {
      running = await startProcess(home, recordingDir, port)
    },
  }
}

async function startProcess(home: string, recordingDir: string, port: number): Promise<ChildProcess> {
  const args = ['simulator', '--port', String(port), '--data-dir', join(home, 'simulator'), '--recording-dir', recordingDir, '--speed', String(SPEED)]
  const child = spawn(process.execPath, [packagePath('build/src/cli.js'), ...args], { stdio: 'ignore' })
  await until('the embedded switch', () =>
    eslApi(port, PASSWORD, 'status')
      .then(said => said !== '')
      .catch(() => false),
  )
  return child
}

callsContract({
  name: 'the embedded switch',
  open,
  cannot: {
    'a call whose media goes past the switch is a recording that failed, not one that is missing': 'all media is its own',
    'what is missing from a recording because the call was on hold is in the gap map': 'nobody can be put on hold there',
    'a recording whose format nobody names is an mp3 as long as the call': 'it writes WAV alone, like a switch without mod_shout',
  },
})
