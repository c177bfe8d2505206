// Two phones, an account that says how they are recorded, and what became of their calls on the embedded switch.

import { readFile } from 'node:fs/promises'
import type { ExecutionContext } from 'ava'
import type { Client } from '../../src/client.ts'
import type { Consent } from '../../src/recording/announce.ts'
import type { Segment } from '../../src/recording/segments.ts'
import { type RunningSimulator, stateFile } from '../../src/simulator/launch.ts'
import { type Wav, wavFrom } from './audio.ts'
import { type Engine, startEngine } from './engine.ts'
import { eslApi } from './esl-client.ts'
import { until } from './wait.ts'

interface Id {
  id: string
}

export interface Recorded extends Id {
  kind: 'file' | 'siprec'
  state: string
  reason?: string
  call_id: string
  group_id: string
  start: number
  duration_ms: number
  consent?: Consent
  segments?: Segment[]
  delivery?: { state: string }
}

export interface Channel {
  uuid: string
  other_leg?: string
}

export interface Desk {
  engine: Engine
  client: Client
  at: string
  alice: string
  bob: string
  /** Another one, by its id. */
  phone: (name: string) => Promise<string>
  /** Alice calls, presses keys (`second:keys`), and hangs up after so many seconds. */
  calls: (asking: { number?: string; seconds?: number; dtmf?: string }) => Promise<{ call_id: string }>
  channels: () => Promise<Channel[]>
  /** Whom a leg talks with, once that is another one than before. */
  partner: (leg: string, before?: string) => Promise<string>
  /** What a command says at the switch. */
  esl: (command: string) => Promise<string>
  /** Until a leg hears something that is played to it. */
  hears: (leg: string) => Promise<unknown>
  /** All recordings once there are so many and each has come to its end. */
  recordings: (count: number) => Promise<Recorded[]>
  file: (id: string) => Promise<Wav>
}

export async function desk(t: ExecutionContext, settings: object, { account: more = {}, speed = 5 }: { account?: object; speed?: number } = {}): Promise<Desk> {
  const engine = await startEngine(t, { SIMULATOR_SPEED: String(speed) })
  const { client } = engine
  const { id: account } = await client.put<Id>(`accounts/${client.accountId}`, {
    name: 'desk',
    allow_parent_audio: true,
    record_call: { format: 'wav', ...settings },
    ...more,
  })
  const at = `accounts/${account}`
  const phone = async (name: string): Promise<string> =>
    (await client.put<Id>(`${at}/devices`, { name, sip: { username: name, password: `${name}-secret` } })).id
  const [alice, bob] = [await phone('alice'), await phone('bob')]
  const ring = { module: 'device', data: { id: bob } }
  await client.put(`${at}/callflows`, { numbers: ['2002'], flow: ring })
  await client.put(`${at}/callflows`, { numbers: ['3003'], flow: { module: 'play', data: { id: 'tone_stream://%(2000,0,600)' }, children: { _: ring } } })
  const channels = (): Promise<Channel[]> => engine.client.get<Channel[]>(`${at}/channels`)
  const esl = async (command: string): Promise<string> => {
    const { port, password } = JSON.parse(await readFile(stateFile(engine.dataDir), 'utf8')) as RunningSimulator
    return eslApi(port, password, command)
  }
  return {
    engine,
    client,
    at,
    alice,
    bob,
    phone,
    calls: ({ number = '2002', ...asking }) => engine.client.put(`${at}/devices/${alice}/quickcall/${number}`, { seconds: 8, ...asking }),
    channels,
    partner: (leg, before) =>
      until(`somebody talks with ${leg}`, async () => {
        const other = (await channels()).find(({ uuid }) => uuid === leg)?.other_leg
        return other !== undefined && other !== before && other
      }),
    esl,
    hears: leg => until(`${leg} hears something`, async () => (await esl(`uuid_getvar ${leg} current_application`)) === 'playback'),
    recordings: count =>
      until(`${count} recordings at their end`, async () => {
        const all = await engine.client.get<Recorded[]>(`${at}/recordings`)
        const over = all.filter(
          one => one.delivery?.state === 'stored' || (one.kind === 'siprec' && one.state === 'stopped') || one.state === 'discarded' || one.state === 'failed',
        )
        return over.length >= count && over.length === all.length && all
      }),
    async file(id) {
      const response = await fetch(`${engine.url}/v2/${at}/recordings/${id}?accept=audio/x-wav`, { headers: { 'x-auth-token': engine.client.token } })
      return wavFrom(Buffer.from(await response.arrayBuffer()))
    },
  }
}
