// What a call costs the engine while recording servers hear it, by how long it lasts: audio goes from the switch to the server, so ten
// times the length should cost the same. The engine has a process of its own and only that is counted; switch and server have others.

import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { recordingServer } from '../test/helpers/recording-server.ts'
import { openEsl } from './esl.ts'
import { ms, type Row, times } from './row.ts'
import { cpuSeconds, type Engine, startEngine, type Switch } from './world.ts'

const CALLS = 40
/** Seconds; the shorter has the one look of the watch for silence as well, at ten seconds. */
const [SHORT, LONG] = [12, 120] as const
/** Seconds that the engine has nothing to do, to know what time itself costs. */
const IDLE = 30
/** Milliseconds between two calls, and until what ended must be written down. */
const EVERY = 50
const PATIENCE = 20_000

export async function siprecLengthRows(on: Switch): Promise<Row[]> {
  const undo: (() => unknown)[] = []
  const server = await recordingServer({ teardown: run => void undo.push(run) })
  const engine = await startEngine(on, { more: { SIP_BIND: '127.0.0.1:0', UPLOAD_ALLOW_NETWORKS: '127.0.0.0/8' } })
  try {
    const own = await tenant(engine, on, server.uri)
    // A process that has just come compiles its code.
    for (const seconds of [2, 2]) await calls(on, engine, own, seconds)
    const [from, at] = [cpuSeconds(engine.pid), performance.now()]
    await delay(IDLE * 1000)
    const idle = (cpuSeconds(engine.pid) - from) / ((performance.now() - at) / 1000)
    const heardBefore = server.calls.length
    // Before and after, so that what a process learns as it runs is on both sides.
    const before = await calls(on, engine, own, SHORT, idle)
    const long = await calls(on, engine, own, LONG, idle)
    const short = (before + (await calls(on, engine, own, SHORT, idle))) / 2
    const heard = server.calls.slice(heardBefore).map(one => one.heard.reduce((sum, { packets }) => sum + packets, 0))
    const packets = (of: readonly number[]): number => Math.round(of.reduce((sum, one) => sum + one, 0) / of.length)
    process.stderr.write(
      `  packets the server got of each call: ${packets(heard.slice(0, CALLS))} and ${packets(heard.slice(CALLS, 2 * CALLS))}; engine CPU when idle ${(idle * 100).toFixed(2)} %\n`,
    )
    return [
      {
        what: `engine CPU per call at a recording server, ${LONG} s long / ${SHORT} s long (${CALLS} at once), ${on.name}`,
        measured: ms(long),
        floor: ms(short),
        ratio: times(long, short),
        budget: 'flat',
      },
    ]
  } finally {
    await engine.stop()
    for (const run of undo.toReversed()) await run()
  }
}

/** An account that keeps no files and sends 2003 to the server; answers the variables of its phone's calls. */
async function tenant({ client }: Engine, { realm, caller }: Switch, server: string): Promise<string> {
  const { id } = await client.put<{ id: string }>(`accounts/${client.accountId}`, { name: 'heard by servers', realm, record_call: false })
  const at = `accounts/${id}`
  const { id: device } = await client.put<{ id: string }>(`${at}/devices`, { name: caller, sip: { username: caller, password: `${caller}-secret` } })
  const flow = { module: 'siprec_recording', data: { activity: 'start', server }, children: { _: { module: 'dead_air', data: {} } } }
  await client.put(`${at}/callflows`, { numbers: ['2003'], flow })
  return `callrec_account_id=${id},callrec_device_id=${device},callrec_destination=2003,callrec_simulator_seconds=3000`
}

/** Milliseconds of CPU each cost beyond what the engine spends when nothing happens, `idle` seconds in each second. */
async function calls(on: Switch, engine: Engine, variables: string, seconds: number, idle = 0): Promise<number> {
  const before = engine.count('recording_stopped')
  const [from, at] = [cpuSeconds(engine.pid), performance.now()]
  const esl = await openEsl(on, [], () => {})
  async function call(): Promise<void> {
    const uuid = randomUUID()
    await esl.send(`bgapi originate {origination_uuid=${uuid},${variables}}user/${on.caller}@${on.realm} &park`)
    await delay(seconds * 1000)
    await esl.send(`api uuid_kill ${uuid}`)
  }
  const made: Promise<void>[] = []
  for (let i = 0; i < CALLS; i++) {
    made.push(call())
    await delay(EVERY)
  }
  await Promise.all(made)
  esl.close()
  for (const until = performance.now() + PATIENCE; engine.count('recording_stopped') - before < CALLS; await delay(50)) {
    if (performance.now() > until) throw new Error(`only ${engine.count('recording_stopped') - before} of ${CALLS} calls were sent to the server`)
  }
  return ((cpuSeconds(engine.pid) - from - (idle * (performance.now() - at)) / 1000) * 1000) / CALLS
}
