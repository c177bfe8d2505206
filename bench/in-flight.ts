// 10 000 recordings that run: what each holds of the heap, and how long an engine that comes back to them takes until it has
// asked the switch about every one. The switch is a script on a real socket: legs of the size that FreeSWITCH prints them.

import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../src/clock.ts'
import { NO_ENCODER } from '../src/recording/audio/encoder.ts'
import { type CallFacts, IN_FLIGHT } from '../src/recording/document.ts'
import { openJournal } from '../src/recording/journal.ts'
import { type Recorder, startRecorder } from '../src/recording/recorder.ts'
import { ACTION_DEFAULTS, everywhere } from '../src/recording/settings.ts'
import { openSpool } from '../src/recording/spool.ts'
import { embeddedStore } from '../src/store/embedded.ts'
import { monthDb, monthOf } from '../src/store/modb.ts'
import type { Store } from '../src/store/store.ts'
import { connectSwitches, whenUp } from '../src/switch/pool.ts'
import type { Switches } from '../src/switch/switch.ts'
import type { Log } from '../src/log.ts'
import { CALLS } from '../src/recording/covers.ts'
import { type EslServer, eslServer } from '../test/helpers/esl-server.ts'
import { aLeg } from '../test/helpers/legs.ts'
import type { Row } from './row.ts'

const COUNT = 10_000
const AT_ONCE = 200
const ACCOUNT = 'a'.repeat(32)
const PATIENCE = 120_000
/** Bytes of a `uuid_dump … json` of FreeSWITCH 1.11 in the middle of a bridged call. */
const DUMP = 8_000

const hex = (bytes: number): string => randomBytes(bytes).toString('hex')
const quiet = (): void => {}
const copyOf = (text: string): string => Buffer.from(text).toString()

export async function inFlightRows(): Promise<Row[]> {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-bench-flight-'))
  const store = await embeddedStore({ dir: join(dir, 'store') })
  const closings: (() => unknown)[] = [() => rm(dir, { recursive: true, force: true }), () => store.close()]
  const paths = new Map<string, string>()
  try {
    for (const [db, kind] of [
      [IN_FLIGHT, 'recordings_in_flight'],
      [CALLS, 'calls_in_progress'],
      [monthDb(ACCOUNT, monthOf(Date.now())), 'modb'],
    ] as const)
      await store.createDatabase(db, kind)
    const { port, commands } = await scriptedSwitch(paths, closings)
    const connect = async (): Promise<Switches> => {
      const switches = connectSwitches({ nodes: [{ name: 'bench', host: '127.0.0.1', port, password: 'ClueCon' }], clock: systemClock(), log: silent() })
      await whenUp(switches, PATIENCE)
      return switches
    }
    const first = await connect()
    const recorder = open(store, first, dir)
    await begin(recorder, [randomUUID()], paths)
    const before = heap()
    await begin(
      recorder,
      Array.from({ length: COUNT }, () => randomUUID()),
      paths,
    )
    // What the script was told is not the engine's to hold.
    commands.length = 0
    const held = (heap() - before - ownCost(paths)) / COUNT
    await recorder.close()
    await first.close()

    const began = performance.now()
    const second = await connect()
    const { adopted, log } = awaited('recordings_adopted')
    const again = open(store, second, dir, log)
    again.adopt('bench')
    await adopted
    const seconds = (performance.now() - began) / 1000
    const running = [...paths.keys()].filter(leg => again.running(leg).length === 1).length
    await again.close()
    await second.close()
    return [
      { what: `${COUNT} recordings that run, heap of each`, measured: `${(held / 1024).toFixed(1)} KiB`, budget: '≤ 8 KiB' },
      { what: `restart with ${running - 1} in flight, until each is adopted`, measured: `${seconds.toFixed(1)} s`, budget: '≤ 10 s' },
    ]
  } finally {
    for (const close of closings.toReversed()) await close()
  }
}

function open(store: Store, switches: Switches, dir: string, log = silent()): Recorder {
  // Nobody writes the files, and one that does not grow would be given up.
  const spool = { ...openSpool({ here: join(dir, 'spool'), onSwitch: join(dir, 'spool'), minFree: 0 }), size: async () => Date.now() }
  const ports = { store, switches, spool, journal: openJournal(spool), clock: systemClock(), log, metrics: { count: quiet }, events: { tell: async () => {} } }
  return startRecorder({ ...ports, random: hex, deliver: quiet, maxTimeLimit: 10_800, encoder: NO_ENCODER })
}

async function begin(recorder: Recorder, legs: readonly string[], paths: Map<string, string>): Promise<void> {
  for (let at = 0; at < legs.length; at += AT_ONCE) {
    await Promise.all(
      legs.slice(at, at + AT_ONCE).map(async uuid => {
        const { id } = await recorder.start({
          accountId: ACCOUNT,
          leg: aLeg(uuid, { node: 'bench' }),
          fresh: true,
          side: 'caller',
          facts: factsOf(uuid),
          settings: everywhere('user', { ...ACTION_DEFAULTS, format: 'wav', enabled: true }).inbound.onnet,
          origin: 'inbound from onnet to endpoint',
          by: 'policy',
        })
        await recorder.begun(id)
      }),
    )
  }
  for (const until = performance.now() + PATIENCE; paths.size < legs.length && performance.now() < until; ) await delay(10)
}

const factsOf = (uuid: string): CallFacts => ({
  interaction_id: uuid,
  cdr_id: `${monthOf(Date.now())}-${uuid}`,
  direction: 'inbound',
  from: '2001@acme.example',
  to: '2002@acme.example',
  request: '2002@acme.example',
  caller_id_name: 'Ann',
  caller_id_number: '2001',
  callee_id_name: 'Bob',
  callee_id_number: '2002',
  sip_call_id: uuid,
  owner_id: hex(16),
  endpoint_id: hex(16),
  custom_channel_vars: { account_id: ACCOUNT, realm: 'acme.example', callflow_id: hex(16) },
  pvt_call: { came_at: Date.now(), from: 'onnet', to: 'onnet' },
})

/** Records what it is told to, and shows it in its lists. */
async function scriptedSwitch(paths: Map<string, string>, closings: (() => unknown)[]): Promise<Pick<EslServer, 'port' | 'commands'>> {
  const padding = Object.fromEntries(Array.from({ length: 100 }, (_, nth) => [`variable_sip_padding_${nth}`, 'x'.repeat(DUMP / 100 - 28)]))
  const headersOf = (uuid: string): Record<string, string> => ({
    'Unique-ID': uuid,
    'Call-Direction': 'inbound',
    'Answer-State': 'answered',
    'Event-Date-Timestamp': String(Date.now() * 1000),
    ...padding,
  })
  const server = await eslServer({ teardown: (close: () => unknown) => void closings.push(close) } as never, {
    script({ line, headers }, peer) {
      const [, , uuid = '', verb, path = ''] = line.split(' ')
      if (line.startsWith('api uuid_dump')) peer.answer(JSON.stringify(headersOf(uuid)))
      else if (line.startsWith('api uuid_buglist'))
        peer.answer(`<media-bugs><media-bug><function>session_record</function><target>${paths.get(uuid) ?? ''}</target></media-bug></media-bugs>`)
      else if (line.startsWith('bgapi uuid_record') && verb === 'start') {
        const id = headers['Job-UUID'] ?? ''
        // Copies: a piece of a line would keep the whole line, and what it came with.
        paths.set(copyOf(uuid), copyOf(path))
        peer.reply(`+OK Job-UUID: ${id}\nJob-UUID: ${id}`)
        const ended = { 'Event-Name': 'BACKGROUND_JOB', 'Job-UUID': id, _body: '+OK Success\n' }
        peer.event({
          ...headersOf(uuid),
          'Event-Name': 'RECORD_START',
          'Record-File-Path': path,
          'Recording-Variable-rec_id': /rec_id=([^,}]+)/.exec(line)?.[1] ?? '',
        })
        peer.event(ended)
      } else return false
      return true
    },
  })
  return server
}

const collect = ((): (() => void) => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
})()

function heap(): number {
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

/** Bytes that the script's own list of recordings takes. */
function ownCost(paths: ReadonlyMap<string, string>): number {
  const before = heap()
  const copy = new Map([...paths].map(([uuid, path]) => [copyOf(uuid), copyOf(path)]))
  return copy.size === paths.size ? heap() - before : 0
}

const silent = (): Log => ({ debug: quiet, info: quiet, warn: quiet, error: quiet })

/** A log, and a promise of the line that is waited for. */
function awaited(event: string) {
  let told = quiet
  const adopted = new Promise<void>(resolve => {
    told = resolve
  })
  return { adopted, log: { ...silent(), info: (name: string) => void (name === event && told()) } }
}
