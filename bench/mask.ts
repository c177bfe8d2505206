// From a request to mask a call to the answer that says the switch has confirmed it, against a bare uuid_record mask on an event
// socket; and very many calls masked at the same moment, of which none may be forgotten.

import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '../src/client.ts'
import type { Controlled } from '../src/callflow/control.ts'
import { embeddedStore } from '../src/store/embedded.ts'
import { header } from '../src/switch/event.ts'
import { recordedTenant } from '../test/helpers/tenant.ts'
import { openEsl } from './esl.ts'
import { ms, type Row, times } from './row.ts'
import { folder, forget, quantile, startEngine, type Switch } from './world.ts'

const MASKS = 200
const DB = 'account/be/nc/h'
const CALLS = 500
/** Milliseconds between calls that are made, and until one counts as lost. */
const EVERY = 5
const PATIENCE = 30_000

export async function maskRows(on: Switch): Promise<Row[]> {
  const engine = await startEngine(on)
  const begun = new Map<string, string>()
  const esl = await openEsl(on, ['RECORD_START'], event => void begun.set(header(event, 'Unique-ID'), header(event, 'Record-File-Path')))
  try {
    const { accountId, deviceId } = await recordedTenant(engine.client, on.realm, on.caller, on.callee)
    const ours = `callrec_account_id=${accountId},callrec_device_id=${deviceId},callrec_simulator_seconds=120`
    const call = (): Promise<string> => {
      const uuid = randomUUID()
      return esl.send(`bgapi originate {origination_uuid=${uuid},callrec_call_id=${uuid},callrec_destination=2002,${ours}}user/${on.caller}@${on.realm} &park`)
    }
    const records = async (count: number): Promise<void> => {
      for (const until = performance.now() + PATIENCE; begun.size < count && performance.now() < until; ) await delay(20)
    }
    const ask = (leg: string, action: string): Promise<Controlled> => record(engine.client, accountId, leg, action)

    await call()
    await records(1)
    const [first] = begun
    if (first === undefined) throw new Error('nothing is recorded')
    const [leg, path] = first
    const bare = await timed(MASKS, at => esl.send(`api uuid_record ${leg} ${at % 2 === 0 ? 'mask' : 'unmask'} ${path}`))
    await esl.send(`api uuid_record ${leg} unmask ${path}`)
    await timed(20, at => ask(leg, at % 2 === 0 ? 'mask' : 'unmask'))
    const through = await timed(MASKS, at => ask(leg, at % 2 === 0 ? 'mask' : 'unmask'))
    const asked = await timed(MASKS, () => engine.client.get(`accounts/${accountId}/channels/${leg}`))
    const [measured, floor] = [quantile(through, 0.5), quantile(bare, 0.5)]
    const least = floor + quantile(asked, 0.5) + 2 * quantile(await writes(), 0.5)
    const rows: Row[] = [
      { what: `request to mask → confirmed, p50, ${on.name}`, measured: ms(measured), floor: ms(floor), ratio: times(measured, floor), budget: '≤ 3×' },
      {
        what: `the same, beside what it cannot do without, ${on.name}`,
        measured: ms(measured),
        floor: `${ms(least)} bare mask + GET of the channel + two writes`,
        ratio: times(measured, least),
        budget: '–',
      },
    ]
    if (on.name !== 'embedded') return rows

    for (let made = 1; made < CALLS; made++) {
      void call()
      await delay(EVERY)
    }
    await records(CALLS)
    const legs = [...begun.keys()]
    const began = performance.now()
    const answers = await Promise.allSettled(legs.map(one => ask(one, 'mask')))
    const took = performance.now() - began
    const masked = answers.filter(one => one.status === 'fulfilled' && one.value.recordings.every(({ state }) => state === 'masked')).length
    return [...rows, { what: `${legs.length} calls masked at once, ${on.name}`, measured: `${masked} confirmed in ${ms(took)}`, budget: `${CALLS}, none lost` }]
  } finally {
    esl.close()
    await engine.stop()
  }
}

const record = (client: Client, accountId: string, leg: string, action: string): Promise<Controlled> =>
  client.post(`accounts/${accountId}/channels/${leg}`, { action: 'record', data: { action } })

/** Milliseconds of a write to the store that the engine has: a wish is on disk before it is asked for, and what came of it before it is told. */
async function writes(): Promise<number[]> {
  const dir = folder()
  const store = await embeddedStore({ dir })
  try {
    await store.createDatabase(DB, 'account')
    return await timed(MASKS, at => store.put(DB, { _id: `doc${at}`, text: 'x'.repeat(1000) }))
  } finally {
    await store.close()
    forget(dir)
  }
}

async function timed(count: number, run: (at: number) => Promise<unknown>): Promise<number[]> {
  const took: number[] = []
  for (let at = 0; at < count; at++) {
    const began = performance.now()
    await run(at)
    took.push(performance.now() - began)
  }
  return took
}
