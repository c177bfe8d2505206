// From CHANNEL_ANSWER to RECORD_START by the switch's own clock: through the engine, and through a
// script that knows nothing but to bridge, wait for the answer and say uuid_record. And what both
// processes spend on a recorded call.

import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { embeddedStore } from '../src/store/embedded.ts'
import { monthDb, monthOf, toGregorian } from '../src/store/modb.ts'
import { type EventHeaders, header } from '../src/switch/event.ts'
import { recordedTenant, type Tenant } from '../test/helpers/tenant.ts'
import { type Esl, openEsl, timeOf } from './esl.ts'
import { ms, type Row, times } from './row.ts'
import { ACCOUNT, fill } from './sweep.ts'
import { cpuSeconds, folder, forget, quantile, startEngine, type Switch } from './world.ts'

const CALLS = 60
/** Before them, not counted: a process that has just come compiles its code, and an account's first recording makes a database. */
const WARM = 400
/** Milliseconds between calls, of talking, and until a call counts as lost. */
const EVERY = 100
const TALK = 500
const PATIENCE = 10_000

/** Makes calls one after the other; answers the milliseconds between answer and start of each that was recorded. */
async function calls(on: Switch, count: number, variables: string, heard: (event: EventHeaders, esl: Esl) => void): Promise<number[]> {
  const answered = new Map<string, number>()
  const waits: number[] = []
  const over: Promise<unknown>[] = []
  const begun = new Map<string, () => void>()
  const esl: Esl = await openEsl(on, ['CHANNEL_PARK', 'CHANNEL_ANSWER', 'RECORD_START'], event => {
    const uuid = header(event, 'Unique-ID')
    const name = header(event, 'Event-Name')
    if (name === 'CHANNEL_ANSWER') answered.set(uuid, timeOf(event))
    if (name === 'RECORD_START') {
      waits.push(timeOf(event) - (answered.get(uuid) ?? Number.NaN))
      begun.get(header(event, 'variable_callrec_call_id'))?.()
    }
    heard(event, esl)
  })
  async function call(): Promise<void> {
    const uuid = randomUUID()
    const started = new Promise<void>(resolve => begun.set(uuid, resolve))
    const own = `origination_uuid=${uuid},callrec_call_id=${uuid},callrec_destination=2002,${variables}`
    await esl.send(`bgapi originate {${own}}user/${on.caller}@${on.realm} &park`)
    await Promise.race([started.then(() => delay(TALK)), delay(PATIENCE)])
    await esl.send(`api uuid_kill ${uuid}`)
  }
  for (let made = 0; made < count; made++) {
    over.push(call())
    await delay(EVERY)
  }
  await Promise.all(over)
  await delay(TALK)
  esl.close()
  return waits
}

const SEND = 'event-lock: true\ncall-command: execute\nexecute-app-name: bridge\nexecute-app-arg: '

/** The floor. */
function script(on: Switch, count: number): Promise<number[]> {
  return calls(on, count, 'continue_on_fail=true', (event, esl) => {
    const uuid = header(event, 'Unique-ID')
    const call = header(event, 'variable_callrec_call_id')
    const name = header(event, 'Event-Name')
    const dial = `{origination_uuid=${randomUUID()},callrec_call_id=${call}}user/${on.callee}@${on.realm}`
    if (name === 'CHANNEL_PARK' && header(event, 'variable_bridge_uuid') === '') void esl.send(`sendmsg ${uuid}\n${SEND}${dial}`)
    else if (name === 'CHANNEL_ANSWER' && uuid !== call) void esl.send(`api uuid_record ${uuid} start ${join(on.directory, `${uuid}.wav`)} 0`)
  })
}

export async function startRows(on: Switch): Promise<Row[]> {
  await script(on, WARM)
  const floor = await script(on, CALLS)
  const engine = await startEngine(on)
  try {
    const { accountId, deviceId } = await recordedTenant(engine.client, on.realm, on.caller, on.callee)
    const ours = `callrec_account_id=${accountId},callrec_device_id=${deviceId}`
    await calls(on, WARM, ours, () => {})
    const before = [cpuSeconds(engine.pid), cpuSeconds(on.pid)]
    const through = await calls(on, CALLS, ours, () => {})
    for (const until = performance.now() + PATIENCE; performance.now() < until && engine.count('delivery_stored') < WARM + CALLS; ) await delay(100)
    const [mine = Number.NaN, theirs = Number.NaN] = [engine.pid, on.pid].map((pid, index) => ((cpuSeconds(pid) - (before[index] ?? 0)) * 1000) / CALLS)
    const at = (q: number): Row => {
      const [measured, least] = [quantile(through, q), quantile(floor, q)]
      const budget = on.name === 'embedded' ? '≤ floor + 5 ms' : q === 0.5 ? '≤ 1.2×' : '≤ 2×'
      const lost = through.length < CALLS ? ` (${CALLS - through.length} of ${CALLS} lost)` : ''
      return {
        what: `CHANNEL_ANSWER → RECORD_START, p${q * 100}, ${on.name}`,
        measured: ms(measured) + lost,
        floor: ms(least),
        ratio: times(measured, least),
        budget,
      }
    }
    // Of the embedded switch it says nothing: that one carries no audio over a wire.
    const cpu: Row = { what: `engine CPU per recorded call, ${on.name}`, measured: ms(mine), floor: ms(theirs), ratio: times(mine, theirs), budget: '≤ 0.5×' }
    return [at(0.5), at(0.99), ...(on.name === 'embedded' ? [] : [cpu])]
  } finally {
    await engine.stop()
  }
}

/** More than a sweep ends while calls are made. */
const OVERDUE = 100_000
const SWEPT_CALLS = 150

/** The same while a retention sweep runs: the documents of a recording are written while the phone rings, so nobody who has answered waits for the store. */
export async function sweptStartRows(on: Switch): Promise<Row[]> {
  const directory = folder()
  let tenant: Tenant | undefined
  let ended = 0
  const through = async (more: Record<string, string>): Promise<number[]> => {
    const engine = await startEngine(on, { directory, more })
    try {
      tenant ??= await recordedTenant(engine.client, on.realm, on.caller, on.callee)
      const ours = `callrec_account_id=${tenant.accountId},callrec_device_id=${tenant.deviceId}`
      await calls(on, WARM, ours, () => {})
      const before = engine.count('recording_audited')
      const waits = await calls(on, SWEPT_CALLS, ours, () => {})
      ended = engine.count('recording_audited') - before
      return waits
    } finally {
      await engine.stop()
    }
  }
  try {
    const idle = await through({})
    const [now, month] = [Date.now(), monthOf(Date.now())]
    const store = await embeddedStore({ dir: join(directory, 'store') })
    await store.createDatabase(monthDb(ACCOUNT, month), 'modb')
    await fill(store, monthDb(ACCOUNT, month), month, toGregorian(now), OVERDUE)
    await store.close()
    const swept = await through({ RETENTION_SWEEP: '1' })
    const [measured, floor] = [quantile(swept, 0.99), quantile(idle, 0.99)]
    const what = `CHANNEL_ANSWER → RECORD_START while a retention sweep runs (${ended} entries of trails meanwhile), p99, embedded`
    return [{ what, measured: ms(measured), floor: `${ms(floor)} idle`, ratio: times(measured, floor), budget: '≤ 1.2×' }]
  } finally {
    forget(directory)
  }
}
