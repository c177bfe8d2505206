#!/usr/bin/env node
// callrec's commands. All but start, simulator, receive and doctor speak to the HTTP API, never to
// the store.

import { randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { alertsYaml, rulesFor } from './alerts.ts'
import { type Client, signIn } from './client.ts'
import { type Config, type Environment, readConfig } from './config.ts'
import { keepCredentials, readCredentials } from './credentials.ts'
import { nextSteps, runDemo } from './demo.ts'
import { examine } from './doctor.ts'
import { AppError, reasonOf } from './errors.ts'
import { retry, verify } from './day-range.ts'
import { createLog } from './log.ts'
import { type Running, start, VERSION } from './main.ts'
import { startReceiver } from './receiver.ts'
import { announce } from './simulator/launch.ts'
import { startSimulator } from './simulator/simulator.ts'
import { backUp } from './store/backup.ts'

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const integer =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text)
    if (!Number.isInteger(value) || value < min || value > max) throw new InvalidArgumentError(`must be a whole number from ${min} to ${max}.`)
    return value
  }
const port = integer(0, 65_535)

/** Resolves at the first SIGINT or SIGTERM; a second one ends the process where it is. */
const toldToStop = (): Promise<void> =>
  new Promise(done => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done())
  })

interface EngineOptions {
  dataDir?: string
  port?: number
}
const configOf = ({ dataDir, port }: EngineOptions, more: Environment = {}): Config =>
  readConfig({ ...more, ...(dataDir === undefined ? {} : { DATA_DIR: dataDir }), ...(port === undefined ? {} : { API_PORT: String(port) }) })

const program = new Command('callrec').description('Call recording for FreeSWITCH. Settings come from the environment: see README.md.').version(VERSION)

program
  .command('start')
  .description('the engine: API, executor, recorder and delivery')
  .option('--data-dir <dir>', 'instead of DATA_DIR')
  .option('--port <port>', 'instead of API_PORT', port)
  .action(async (options: EngineOptions) => {
    const config = configOf(options)
    const running = await start(config, createLog(config.logLevel))
    await toldToStop()
    await closed(running)
  })

/** Milliseconds. */
const LEAVE = 9_000

/** What a neighbour keeps from closing in time is left: nothing is only in memory. */
async function closed(running: Running): Promise<void> {
  const late = setTimeout(() => {
    process.stderr.write(`callrec: not everything could be closed within ${LEAVE / 1000} s\n`)
    process.exit(1)
  }, LEAVE)
  await running.close()
  // Fires all the same where something keeps the process from its end.
  late.unref()
}

program
  .command('demo')
  .description('what `make run` does: the engine, a receiver, a demo account and one recorded call')
  .option('--data-dir <dir>', 'instead of DATA_DIR')
  .option('--port <port>', 'instead of API_PORT', port)
  .option('--receiver-port <port>', 'where the demo receives recordings; otherwise 8001, or a free one', port)
  .option('--once', 'leave after the call')
  .action(async (options: EngineOptions & { receiverPort?: number; once?: true }) => {
    const config = configOf(options, { LOG_LEVEL: process.stdout.isTTY ? 'error' : 'warn' })
    await demo(config, options.receiverPort, options.once === true)
  })

interface CallOptions {
  from: string
  to: string
  account?: string
  url?: string
  apiKey?: string
  dataDir?: string
  seconds?: number
  answer?: string
  dtmf?: string
}

program
  .command('call')
  .description('lets a device call a number (click-to-call); the last three options are for the phones of the embedded switch')
  .requiredOption('--from <device>', 'name or id of the device that calls')
  .requiredOption('--to <number>', 'the number it calls')
  .option('--account <id>', 'the account of the device; otherwise the demo account, or the master account')
  .option('--url <url>', 'of the API; otherwise PUBLIC_URL')
  .option('--api-key <key>', 'otherwise MASTER_API_KEY, or the one in DATA_DIR/credentials')
  .option('--data-dir <dir>', 'instead of DATA_DIR')
  .option('--seconds <n>', 'how long they talk', integer(1, 86_400))
  .option('--answer <when>', 'seconds until the callee answers, or never, or busy')
  .option('--dtmf <second:digits>', 'keys the caller presses, e.g. 5:1234')
  .action(async ({ from, to, seconds, answer, dtmf, ...options }: CallOptions) => {
    const { client, accountId } = await session(options)
    const devices = await client.get<{ id: string; name: string }[]>(`accounts/${accountId}/devices`)
    const device = devices.find(one => one.id === from || one.name === from)
    if (device === undefined)
      throw new AppError('not_found', `account ${accountId} has no device "${from}"; it has ${devices.map(one => one.name).join(', ') || 'none'}`)
    const behaviour = { ...(seconds === undefined ? {} : { seconds }), ...(answer === undefined ? {} : { answer }), ...(dtmf === undefined ? {} : { dtmf }) }
    const call = await client.put<{ call_id: string }>(`accounts/${accountId}/devices/${device.id}/quickcall/${encodeURIComponent(to)}`, behaviour)
    say(`${device.name} calls ${to}: call ${call.call_id}`)
  })

async function session({ account, url, apiKey, dataDir }: Partial<CallOptions>): Promise<{ client: Client; accountId: string }> {
  const config = configOf(dataDir === undefined ? {} : { dataDir })
  const known = await readCredentials(config.dataDir)
  const key = apiKey ?? config.api.masterApiKey ?? known.MASTER_API_KEY
  if (key === undefined)
    throw new AppError(
      'bad_configuration',
      `no API key: give --api-key, or set MASTER_API_KEY, or name the DATA_DIR of the engine (${config.dataDir} has no credentials)`,
    )
  const client = await signIn(url ?? known.API_URL ?? config.api.publicUrl, key)
  return { client, accountId: account ?? known.DEMO_ACCOUNT_ID ?? client.accountId }
}

interface RangeOptions extends Partial<CallOptions> {
  from: string
  to: string
}

const day = (text: string): string => {
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || Number.isNaN(Date.parse(text))) throw new InvalidArgumentError('must be a day such as 2026-05-16.')
  return text
}

const overDays = (name: string, description: string): Command =>
  program
    .command(name)
    .description(description)
    .requiredOption('--from <day>', 'first day, UTC', day)
    .requiredOption('--to <day>', 'last day', day)
    .option('--account <id>', 'of this account alone; otherwise of all that the API key reaches')
    .option('--url <url>', 'of the API; otherwise PUBLIC_URL')
    .option('--api-key <key>', 'otherwise MASTER_API_KEY, or the one in DATA_DIR/credentials')
    .option('--data-dir <dir>', 'instead of DATA_DIR')

overDays('verify', 'reads every recording of some days again and says which is not what it was; the exit code is 1 if there is one').action(
  async ({ from, to, account, ...options }: RangeOptions) => {
    const { client } = await session(options)
    const wrong = await verify(client, { from, to, ...(account === undefined ? {} : { account }) }, say)
    process.exitCode = wrong > 0 ? 1 : 0
  },
)

overDays('retry', 'tries every delivery of some days again that was given up').action(async ({ from, to, account, ...options }: RangeOptions) => {
  const { client } = await session(options)
  await retry(client, { from, to, ...(account === undefined ? {} : { account }) }, say)
})

program
  .command('receive')
  .description('a small server that takes the recordings callrec delivers, for trying things out')
  .option('--host <address>', 'where it listens', '127.0.0.1')
  .option('--port <port>', 'where it listens', port, 8001)
  .option('--dir <dir>', 'where files go', 'received')
  .action(async ({ host, port, dir }: { host: string; port: number; dir: string }) => {
    const receiver = await startReceiver({ host, port, dir: resolve(dir), onFile: file => say(`${file.path} ${file.size} bytes`), onRefused: say })
    say(`waiting for recordings at ${receiver.url}`)
    await toldToStop()
    await receiver.close()
  })

program
  .command('simulator')
  .description('the embedded switch alone; an engine reaches it by FREESWITCH_ESL')
  .option('--host <address>', 'where it listens', '127.0.0.1')
  .option('--port <port>', 'where it listens', port, 8021)
  .option('--data-dir <dir>', 'instead of DATA_DIR')
  .option('--recording-dir <dir>', 'instead of SWITCH_RECORDING_DIR')
  .option('--speed <n>', 'instead of SIMULATOR_SPEED')
  .option('--announce', 'takes a password of its own and tells it in DATA_DIR/simulator.json; leaves when no engine was connected for a minute')
  .action(async (options: { host: string; port: number; dataDir?: string; recordingDir?: string; speed?: string; announce?: true }) => {
    const config = configOf(options.dataDir === undefined ? {} : { dataDir: options.dataDir }, {
      SWITCH_RECORDING_DIR: options.recordingDir,
      SIMULATOR_SPEED: options.speed,
    })
    const alone = options.announce !== true
    const { host } = options
    const password = alone ? config.password : randomBytes(16).toString('hex')
    const speed = config.simulatorSpeed
    const recordingDir = config.spool.onSwitch
    const simulator = await startSimulator({ host, port: options.port, password, recordingDir, speed, log: createLog(config.logLevel) })
    if (alone) say(`FREESWITCH_ESL=${host}:${simulator.port} reaches it, with ${password === 'ClueCon' ? 'the default password' : 'FREESWITCH_PASSWORD'}`)
    else await announce(config.dataDir, { pid: process.pid, host, port: simulator.port, password, recordingDir, speed })
    await Promise.race([toldToStop(), ...(alone ? [] : [simulator.idle])])
    await simulator.close()
  })

program
  .command('backup')
  .description('copies the embedded store, also while an engine runs on it; CouchDB has its own ways (couchdb/README.md)')
  .requiredOption('--to <dir>', 'an empty directory, to be a DATA_DIR')
  .option('--data-dir <dir>', 'instead of DATA_DIR')
  .action(async ({ to, dataDir }: { to: string; dataDir?: string }) => {
    const { files, gone } = await backUp(configOf(dataDir === undefined ? {} : { dataDir }).dataDir, resolve(to))
    say(`copied the documents and ${files} attachments to ${to}${gone === 0 ? '' : `; ${gone} were destroyed meanwhile`}`)
  })

program
  .command('alerts')
  .description('prints alert rules for Prometheus, a file for its rule_files')
  .action(() => say(alertsYaml(rulesFor(configOf({}).spool.minFree))))

program
  .command('doctor')
  .description('checks every neighbour and says what to do; the exit code is 1 if something must be done')
  .option('--data-dir <dir>', 'instead of DATA_DIR')
  .action(async (options: EngineOptions) => {
    const findings = await examine(configOf(options))
    for (const { is, what, todo } of findings) say(`${MARKS[is]}  ${what}${todo === undefined ? '' : `\n      ${todo}`}`)
    process.exitCode = findings.some(one => one.is === 'fail') ? 1 : 0
  })

const MARKS = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' }

async function demo(config: Config, receiverPort: number | undefined, once: boolean): Promise<void> {
  const received = join(config.dataDir, 'received')
  const receiver = await startReceiver({
    host: '127.0.0.1',
    port: receiverPort ?? 8001,
    spare: receiverPort === undefined,
    dir: received,
    onFile: file => say(`received  ${file.path} – PUT by callrec, ${file.size} bytes`),
    onRefused: reason => say(`refused   ${reason}`),
  })
  const running = await start(config, createLog(config.logLevel))
  say(
    `callrec   ${running.url} – API with ${config.couchdbUrl === undefined ? 'the embedded store' : 'CouchDB'} and ${config.switches.length === 0 ? 'the embedded switch' : 'FreeSWITCH'}`,
  )
  const client = await signIn(running.url, (await running.master).apiKey)
  const known = await readCredentials(config.dataDir)
  const demo = await runDemo({ client, accountId: known.DEMO_ACCOUNT_ID, receiverUrl: receiver.url, say, patience: DEMO_PATIENCE })
  const names = { API_URL: running.url, DEMO_ACCOUNT_ID: demo.accountId, DEMO_USER_ID: demo.userId, DEMO_DEVICE_ID: demo.deviceId }
  await keepCredentials(config.dataDir, names)
  if (!once) {
    say(nextSteps({ url: running.url, token: client.token, demo, credentials: join(config.dataDir, 'credentials') }))
    await toldToStop()
  }
  await running.close()
  await receiver.close()
}

/** Milliseconds. */
const DEMO_PATIENCE = 45_000

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`callrec: ${reasonOf(error)}\n`)
  process.exitCode = 1
})
