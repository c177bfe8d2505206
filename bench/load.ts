// How many calls a second one engine sustains on the embedded switch: calls come in at a steady rate for
// some seconds, each is looked up, bridged and recorded by policy, and every recording must be there
// at the end. The rate is raised until one is missing or the engine is too far behind.

import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { header } from '../src/switch/event.ts'
import { recordedTenant, type Tenant } from '../test/helpers/tenant.ts'
import { openEsl, timeOf } from './esl.ts'
import { ms, type Row } from './row.ts'
import { cpuSeconds, type Engine, quantile, startEngine, type Switch } from './world.ts'

const RATES = [100, 200, 250, 300, 400]
/** Seconds that calls come in, and that each lasts. */
const SECONDS = 4
const TALK = 2
/** Milliseconds between handfuls of calls, and for what is left when the last has come. */
const TICK = 20
const DRAIN = 12_000
/** Of all steps together. */
const LONGEST = 45_000

interface Step {
  rate: number
  calls: number
  started: number
  stopped: number
  /** Milliseconds from answer to start. */
  p99: number
  /** Milliseconds of CPU per call. */
  cpu: number
  /** Files a second that reached the store, counted until all had or the time was up. */
  delivered: number
}

async function step(on: Switch, engine: Engine, { accountId, deviceId }: Tenant, rate: number): Promise<Step> {
  const total = rate * SECONDS
  const answered = new Map<string, number>()
  const begun = new Map<string, number>()
  let stopped = 0
  const esl = await openEsl(on, ['CHANNEL_ANSWER', 'RECORD_START', 'RECORD_STOP'], event => {
    const name = header(event, 'Event-Name')
    const uuid = header(event, 'Unique-ID')
    if (name === 'CHANNEL_ANSWER') answered.set(uuid, timeOf(event))
    else if (name === 'RECORD_START') begun.set(uuid, timeOf(event))
    else stopped += 1
  })
  const stored = engine.count('delivery_stored')
  const cpu = cpuSeconds(engine.pid)
  const began = performance.now()
  for (let made = 0; made < total; await delay(TICK)) {
    const due = Math.min(total, Math.floor(((performance.now() - began) / 1000) * rate))
    for (; made < due; made++) {
      const own = `callrec_account_id=${accountId},callrec_device_id=${deviceId},callrec_simulator_seconds=${TALK},callrec_simulator_answer=0.2`
      void esl.send(`api callrec_simulator_call {origination_uuid=${randomUUID()},${own}}2001 2002`)
    }
  }
  const until = performance.now() + DRAIN
  const isDone = (): boolean => stopped === total && engine.count('delivery_stored') - stored === total
  while (performance.now() < until && !isDone()) await delay(100)
  esl.close()
  return {
    rate,
    calls: total,
    started: begun.size,
    stopped,
    p99: quantile(
      [...begun].map(([uuid, at]) => at - (answered.get(uuid) ?? Number.NaN)),
      0.99,
    ),
    cpu: ((cpuSeconds(engine.pid) - cpu) * 1000) / total,
    delivered: ((engine.count('delivery_stored') - stored) * 1000) / (performance.now() - began),
  }
}

export async function loadRows(on: Switch): Promise<Row[]> {
  const engine = await startEngine(on)
  try {
    const tenant = await recordedTenant(engine.client, on.realm, on.caller, on.callee)
    const deadline = performance.now() + LONGEST
    let best: Step | undefined
    for (const rate of RATES) {
      if (performance.now() > deadline) break
      const done = await step(on, engine, tenant, rate)
      process.stderr.write(
        `  ${done.rate} calls/s: ${done.stopped} of ${done.calls} recorded, p99 ${ms(done.p99)}, CPU ${ms(done.cpu)} a call, ${done.delivered.toFixed(0)} files/s stored\n`,
      )
      if (done.stopped < done.calls) break
      best = done
    }
    const measured = best === undefined ? `less than ${RATES[0]}/s` : `${best.rate}/s`
    const about = best === undefined ? '' : ` (p99 ${ms(best.p99)}, CPU ${ms(best.cpu)} a call)`
    return [{ what: 'calls with policy and recording that one engine takes, none lost', measured: measured + about, budget: '≥ 300/s' }]
  } finally {
    await engine.stop()
  }
}
