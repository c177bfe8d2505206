// A private real FreeSWITCH as an operator runs it, with exactly the configuration of freeswitch/conf: only the values of
// vars.xml are other ones, and a profile of test phones (test-phones.ts) is added. Nothing is started where `freeswitch` is
// not on PATH. (freeswitch.ts is the bare switch of the contract suite.)

import { execFileSync, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { packagePath } from '../../src/root.ts'
import { eslClient, type EslAddress } from './esl-events.ts'
import { freePorts } from './ports.ts'
import { onPath } from './real.ts'
import { testPhones, type TestPhone } from './test-phones.ts'

export interface Teardown {
  teardown(run: () => unknown): void
}

export interface FreeSwitchOptions {
  /** Values of vars.xml to run with, by name. */
  vars?: Readonly<Record<string, string>>
  /** Where phones are asked for (`callrec_xml_url`), and with what secret; without it no phone can register. */
  directory?: { url: string; secret: string }
  /** SIP phones that register through the directory and answer as told (test-phones.ts). */
  phones?: readonly TestPhone[]
  /** More dialplan: `<context>` elements, written to dialplan/local. */
  dialplan?: string
  /** Phones known without an engine: a `<domain>` element, written to directory. */
  domain?: string
}

export interface FreeSwitch {
  esl: EslAddress
  /** Where phones register and call. */
  sip: { host: string; port: number }
  /** Where carriers call; 127.0.0.1 may. */
  trunk: { host: string; port: number }
  /** Profile `loop` of the test phones: `sofia/loop/tone1000@{host}:{port}` is answered with a tone. */
  loop: { host: string; port: number }
  /** Both views of the spool. */
  recordingDir: string
  confDir: string
  logFile: string
  pid: number
  /** SIGKILL; its files and what it kept of registrations stay. */
  crash(): Promise<void>
  /** Again, on the same ports; resolves as `startFreeSwitch` does. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Replaces values in a vars.xml; a name that is not there is an error, so that the tests notice a renamed one. */
export function withVars(xml: string, values: Readonly<Record<string, string>>): string {
  for (const [name, value] of Object.entries(values)) {
    const line = new RegExp(`(data="${name}=)[^"]*`)
    if (!line.test(xml)) throw new Error(`vars.xml has no ${name}`)
    xml = xml.replace(line, (_, start: string) => start + value)
  }
  return xml
}

function edit(file: string, from: string, to: string): void {
  const text = readFileSync(file, 'utf8')
  if (!text.includes(from)) throw new Error(`${file} has no ${from}`)
  writeFileSync(file, text.replace(from, to))
}

/** Undefined when there is no FreeSWITCH on PATH. Resolves when calls can be made and all `phones` are registered. */
export async function startFreeSwitch(t: Teardown, options: FreeSwitchOptions = {}): Promise<FreeSwitch | undefined> {
  if (!onPath('freeswitch')) return undefined

  const home = mkdtempSync(join(tmpdir(), 'callrec-fs-'))
  const folder = (name: string): string => join(home, name)
  const confDir = folder('conf')
  const recordingDir = folder('spool')
  cpSync(packagePath('freeswitch/conf'), confDir, { recursive: true })
  for (const name of ['log', 'db', 'run', 'spool', 'temp', 'storage', 'cache', 'scripts', 'sounds', 'grammar', 'certs', 'htdocs']) mkdirSync(folder(name))
  certificate(folder('certs/dtls-srtp.pem'))

  const [esl = 0, sip = 0, trunk = 0, loop = 0] = await freePorts(4)
  // Below the range that systems give out by themselves; the switch asks for each port before it uses it.
  const rtp = 10_000 + 2 * Math.floor(Math.random() * 10_000)
  const password = randomBytes(12).toString('hex')
  const vars = {
    callrec_esl_port: String(esl),
    callrec_sip_port: String(sip),
    callrec_trunk_port: String(trunk),
    callrec_rtp_start: String(rtp),
    callrec_rtp_end: String(rtp + 998),
    callrec_xml_url: options.directory?.url ?? 'http://127.0.0.1:9/freeswitch/xml',
    ...options.vars,
  }
  writeFileSync(join(confDir, 'vars.xml'), withVars(readFileSync(join(confDir, 'vars.xml'), 'utf8'), vars))
  edit(join(confDir, 'secrets/event_socket.xml'), '"ClueCon"', `"${password}"`)
  edit(join(confDir, 'secrets/xml_curl.xml'), '"freeswitch:"', `"freeswitch:${options.directory?.secret ?? ''}"`)
  // The carrier is the loop profile: what goes out by the trunk is answered there.
  edit(join(confDir, 'sip_profiles/callrec-trunk/trunk.xml'), '127.0.0.1:9', `127.0.0.1:${loop}`)
  testPhones(confDir, { loopPort: loop, sipPort: sip, phones: options.phones ?? [] })
  if (options.dialplan) writeFileSync(join(confDir, 'dialplan/local/test.xml'), `<include>\n${options.dialplan}\n</include>\n`)
  if (options.domain) writeFileSync(join(confDir, 'directory/test.xml'), options.domain)

  const paths = [
    ['conf', 'conf'],
    ['log', 'log'],
    ['db', 'db'],
    ['run', 'run'],
    ['recordings', 'spool'],
    ['temp', 'temp'],
    ['storage', 'storage'],
    ['cache', 'cache'],
    ['scripts', 'scripts'],
    ['sounds', 'sounds'],
    ['grammar', 'grammar'],
    ['certs', 'certs'],
    ['htdocs', 'htdocs'],
  ].flatMap(([option, name]) => [`-${option}`, folder(name ?? '')])
  // The umask is the one freeswitch/README.md asks for; `exec` keeps the process id ours to kill.
  const flags = ['-nf', '-c', '-np', '-nonat', '-nonatmap', '-nocal', '-nort']
  const run = (): Process => startProcess([...flags, ...paths], home)
  let process = run()
  let over: Promise<void> | undefined
  const stop = (): Promise<void> =>
    (over ??= (async () => {
      await process.kill()
      rmSync(home, { recursive: true, force: true })
    })())
  t.teardown(stop)

  const address = { host: '127.0.0.1', port: esl, password }
  const usable = async (): Promise<void> => {
    await ready(address, () => process.exitCode(), folder('log/freeswitch.log'))
    if (options.directory) await registered(address, options.phones ?? [])
  }
  await usable()
  return {
    esl: address,
    sip: { host: '127.0.0.1', port: sip },
    trunk: { host: '127.0.0.1', port: trunk },
    loop: { host: '127.0.0.1', port: loop },
    recordingDir,
    confDir,
    logFile: folder('log/freeswitch.log'),
    get pid() {
      return process.pid
    },
    crash: () => process.kill(),
    async restart() {
      process = run()
      await usable()
    },
    stop,
  }
}

interface Process {
  pid: number
  exitCode: () => number | null
  kill: () => Promise<void>
}

function startProcess(args: readonly string[], home: string): Process {
  const child = spawn('sh', ['-c', 'umask 0027; exec freeswitch "$@"', 'freeswitch', ...args], { stdio: 'ignore' })
  const gone = new Promise<void>(resolve => {
    child.on('exit', () => resolve())
    child.on('error', () => resolve())
  })
  // A test run that is killed runs no teardown: then the guard's input closes, and the guard ends the switch.
  const guard = spawn('sh', ['-c', 'cat; kill -9 "$1"; rm -rf "$2"', 'guard', String(child.pid), home], { stdio: ['pipe', 'ignore', 'ignore'] })
  return {
    pid: child.pid ?? 0,
    exitCode: () => child.exitCode,
    async kill() {
      guard.kill('SIGKILL')
      // A shutdown in order takes seconds; nothing here is worth them.
      child.kill('SIGKILL')
      await gone
    },
  }
}

async function ready(address: EslAddress, exitCode: () => number | null, log: string): Promise<void> {
  const deadline = performance.now() + 30_000
  for (;;) {
    try {
      const client = await eslClient(address, '')
      const profiles = await client.api('sofia status')
      const status = await client.api('status')
      client.close()
      if (status.includes('is ready') && /callrec-trunk\s+profile.*RUNNING/.test(profiles) && /loop\s+profile.*RUNNING/.test(profiles)) return
    } catch {
      // Not listening yet.
    }
    if (exitCode() !== null || performance.now() > deadline) {
      let tail = 'it wrote no log'
      try {
        tail = readFileSync(log, 'utf8').slice(-3000)
      } catch {
        // As said.
      }
      throw new Error(`FreeSWITCH is not ready (exit ${exitCode()}): ${tail}`)
    }
    await delay(50)
  }
}

/** What phones sent before the switch was ready was answered 503, and they would wait half a minute before they try again. */
async function registered(address: EslAddress, phones: readonly TestPhone[]): Promise<void> {
  const client = await eslClient(address, '')
  const deadline = performance.now() + 10_000
  await client.api('sofia profile loop register all')
  for (;;) {
    const status = await client.api('sofia status')
    const missing = phones.filter(({ name }) => !new RegExp(`loop::${name}\\s.*\\sREGED\\s`).test(`${status}\n`))
    if (missing.length === 0) return client.close()
    if (performance.now() > deadline) throw new Error(`not registered: ${missing.map(({ name }) => name).join(', ')}`)
    await delay(20)
  }
}

/** Left to itself FreeSWITCH makes a 4096-bit key at its first start, which takes seconds. */
function certificate(file: string): void {
  if (!onPath('openssl')) return
  const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=test', '-days', '2']
  const pem = execFileSync('openssl', [...made, '-keyout', '-', '-out', '-'], { stdio: ['ignore', 'pipe', 'ignore'] })
  writeFileSync(file, pem, { mode: 0o600 })
}
