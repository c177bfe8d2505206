// A whole callrec on embedded neighbours in a directory of its own, reached over HTTP as a user
// reaches it. The embedded switch is its own process, so the end of a test ends it too.

import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, signIn } from '../../src/client.ts'
import { readConfig } from '../../src/config.ts'
import { type Log, silent } from '../../src/log.ts'
import { start } from '../../src/main.ts'
import { type RunningSimulator, stateFile } from '../../src/simulator/launch.ts'
import { type Wav, wavFrom } from './audio.ts'
import type { Teardown } from './http-sink.ts'
import { until } from './wait.ts'

export interface Engine {
  url: string
  client: Client
  dataDir: string
  /** As a restart of the process would: calls live on. `meanwhile` happens while there is no engine. */
  restart(meanwhile?: () => Promise<unknown>): Promise<void>
}

/** Calls run this many times as fast as real ones. */
export const SPEED = 20

export async function startEngine(t: Teardown, settings: Readonly<Record<string, string>> = {}, log: Log = silent): Promise<Engine> {
  const dataDir = settings['DATA_DIR'] ?? (await mkdtemp(join(tmpdir(), 'callrec-')))
  const config = readConfig(
    { DATA_DIR: dataDir, API_PORT: '0', SIMULATOR_SPEED: String(SPEED), SPOOL_MIN_FREE: '0', FFMPEG: 'off', TRANSCRIBER: 'off', ...settings },
    {},
  )
  let running = await start(config, log)
  t.teardown(async () => {
    await running.close()
    const { pid } = JSON.parse(await readFile(stateFile(dataDir), 'utf8').catch(() => '{}')) as Partial<RunningSimulator>
    if (pid !== undefined) process.kill(pid)
    await rm(dataDir, { recursive: true, force: true })
  })
  await hasSwitch(running)
  const engine: Engine = {
    url: running.url,
    client: await signIn(running.url, (await running.master).apiKey),
    dataDir,
    async restart(meanwhile) {
      await running.close()
      await meanwhile?.()
      running = await start(config, log)
      await hasSwitch(running)
      engine.url = running.url
      engine.client = await signIn(running.url, (await running.master).apiKey)
    },
  }
  return engine
}

/** Until its switch can make calls. */
const hasSwitch = ({ url }: { url: string }): Promise<unknown> => until('the switch', async () => (await fetch(`${url}/readyz`)).status === 200)

/** The file of a recording; `path` as of its document. */
export async function audioOf({ url, client }: Pick<Engine, 'url' | 'client'>, path: string): Promise<Wav> {
  const response = await fetch(`${url}/v2/${path}`, { headers: { 'x-auth-token': client.token, accept: 'audio/*' }, signal: AbortSignal.timeout(15_000) })
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  return wavFrom(Buffer.from(await response.arrayBuffer()), path)
}
