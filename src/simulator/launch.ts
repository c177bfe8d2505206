// The embedded switch as a process of its own, so that its calls outlive the engine. A second start
// finds the one that runs by the file it left in DATA_DIR.

import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { AppError } from '../errors.ts'
import { packagePath } from '../root.ts'

/** The name of the embedded switch, and of its folder in the spool. */
export const SIMULATOR = 'simulator'

export interface RunningSimulator {
  pid: number
  host: string
  port: number
  password: string
  /** Where it writes recordings, and how fast its clock runs: another engine's wishes need another simulator. */
  recordingDir: string
  speed: number
}

/** Milliseconds. */
const START_PATIENCE = 30_000
const GREETING_PATIENCE = 2_000
const LOOK_AGAIN = 25

export const stateFile = (dataDir: string): string => join(dataDir, 'simulator.json')

/** Tells the engine that started it where it listens; only its owner may read the password. */
export const announce = (dataDir: string, running: RunningSimulator): Promise<void> => writeFile(stateFile(dataDir), JSON.stringify(running), { mode: 0o600 })

/** Throws `switch_down` with the end of its log when it does not come up. */
export async function embeddedSwitch(want: { dataDir: string; recordingDir: string; speed: number }): Promise<RunningSimulator> {
  const found = await running(want.dataDir)
  if (found !== undefined && found.recordingDir === want.recordingDir && found.speed === want.speed && (await greets(found))) return found
  await rm(stateFile(want.dataDir), { force: true })
  mkdirSync(want.dataDir, { recursive: true })
  const logFile = join(want.dataDir, 'simulator.log')
  const log = openSync(logFile, 'a')
  const args = ['simulator', '--port', '0', '--data-dir', want.dataDir, '--recording-dir', want.recordingDir, '--speed', String(want.speed), '--announce']
  const child = spawn(process.execPath, [packagePath('build/src/cli.js'), ...args], { detached: true, stdio: ['ignore', log, log] })
  closeSync(log)
  const exited = new Promise<'exited'>(resolve => child.once('exit', () => resolve('exited')).once('error', () => resolve('exited')))
  child.unref()
  const up = await Promise.race([announced(want.dataDir, child.pid), exited])
  if (typeof up === 'object') return up
  const said = await readFile(logFile, 'utf8').catch(() => '')
  throw new AppError('switch_down', `the embedded switch did not start; it said: ${said.trim().split('\n').at(-1) ?? 'nothing'}`)
}

async function running(dataDir: string): Promise<RunningSimulator | undefined> {
  try {
    return JSON.parse(await readFile(stateFile(dataDir), 'utf8')) as RunningSimulator
  } catch {
    // No file, or one that a crash left half written: none runs that could be found.
    return undefined
  }
}

async function announced(dataDir: string, pid: number | undefined): Promise<RunningSimulator | 'late'> {
  for (const until = performance.now() + START_PATIENCE; performance.now() < until; ) {
    const found = await running(dataDir)
    if (found !== undefined && found.pid === pid) return found
    await new Promise(resolve => setTimeout(resolve, LOOK_AGAIN))
  }
  return 'late'
}

/** An event socket greets first, so a port that somebody else got meanwhile does not pass for ours. */
function greets({ host, port }: RunningSimulator): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host, port, timeout: GREETING_PATIENCE })
    const answer = (yes: boolean): void => {
      socket.destroy()
      resolve(yes)
    }
    socket.once('data', data => answer(data.toString('utf8').startsWith('Content-Type: auth/request')))
    socket.once('error', () => answer(false))
    socket.once('close', () => answer(false))
    socket.once('timeout', () => answer(false))
  })
}
