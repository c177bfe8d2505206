// From a request to mask a call until the switch has confirmed it, as seen on the wires before and behind the engine, against a bare
// uuid_record mask on such a wire; the answer, which waits for the documents as well; and very many calls masked at the same
// moment, of which none may be forgotten.

import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '../src/client.ts'
import type { Controlled } from '../src/callflow/control.ts'
import { embeddedStore } from '../src/store/embedded.ts'
import { header } from '../src/switch/event.ts'
import { recordedTenant } from '../test/helpers/tenant.ts'
import { openEsl } from './esl.ts'
import { commandsAnswered, startRelay } from './relay.ts'
import { ms, type Row, times } from './row.ts'
import { folder, forget, quantile, startEngine, type Switch } from './world.ts'

const MASKS = 200
const WARM = 30
/** Milliseconds in which nothing is asked: who asks without a rest finds the switch awake, and no call is masked so. */
const REST = 20
const DB = 'account/be/nc/h'
const CALLS = 500
/** Milliseconds between calls that are made, and until one counts as lost. */
const EVERY = 5
const PATIENCE = 30_000

export async function maskRows(on: Switch): Promise<Row[]> {
  let asked = (): void => {}
  let answered = (_command: string): void => {}
  const behind = await startRelay(
    on.port,
    commandsAnswered(command => answered(command)),
  )
  const engine = await startEngine({ ...on, port: behind.port })
  const before = await startRelay(engine.port, () => ({ asked: () => asked(), answered() {} }))
  const client = await engine.clientBy(before.port)
  const beside = await startRelay(
    on.port,
    commandsAnswered(() => {}),
  )
  const begun = new Map<string, string>()
  const esl = await openEsl(
    { ...on, port: beside.port },
    ['RECORD_START'],
    event => void begun.set(header(event, 'Unique-ID'), header(event, 'Record-File-Path')),
  )
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
    const ask = (leg: string, action: string): Promise<Controlled> => record(client, accountId, leg, action)

    await call()
    await records(1)
    const [first] = begun
    if (first === undefined) throw new Error('nothing is recorded')
    const [leg, path] = first
    const bare = await timed(
      MASKS,
      async at => {
        await esl.send(`api uuid_record ${leg} ${at % 2 === 0 ? 'mask' : 'unmask'} ${path}`)
      },
      REST,
    )
    await esl.send(`api uuid_record ${leg} unmask ${path}`)

    /** Of a mask: when its +OK and the list of what is recorded of the leg had both come, and when the answer had. */
    const mask = async (): Promise<[confirmed: number, answered: number]> => {
      await delay(REST)
      const open = new Set([`api uuid_record ${leg} mask ${path}`, `api uuid_buglist ${leg}`])
      let began = Number.NaN
      let confirmed = Number.NaN
      asked = () => {
        if (Number.isNaN(began)) began = performance.now()
      }
      answered = command => {
        if (open.delete(command) && open.size === 0) confirmed = performance.now() - began
      }
      await ask(leg, 'mask')
      const told = performance.now() - began
      await ask(leg, 'unmask')
      return [confirmed, told]
    }
    for (let at = 0; at < WARM; at++) await mask()
    const masks: Awaited<ReturnType<typeof mask>>[] = []
    for (let at = 0; at < MASKS; at++) masks.push(await mask())
    asked = () => {}
    answered = () => {}
    const seen = await timed(MASKS, () => engine.client.get(`accounts/${accountId}/channels/${leg}`))
    const [confirmed, told, floor] = [masks.map(([one]) => one), masks.map(([, one]) => one), bare].map(all => quantile(all, 0.5)) as [number, number, number]
    const least = floor + quantile(seen, 0.5) + quantile(await writes(), 0.5)
    const rows: Row[] = [
      {
        what: `request to mask → confirmed by the switch, p50, ${on.name}`,
        measured: ms(confirmed),
        floor: ms(floor),
        ratio: times(confirmed, floor),
        budget: '≤ 3×',
      },
      {
        what: `request to mask → answered, p50, ${on.name}`,
        measured: ms(told),
        floor: `${ms(least)} bare mask + GET of the channel + a write`,
        ratio: times(told, least),
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
    for (const one of [behind, before, beside]) one.close()
  }
}

const record = (client: Client, accountId: string, leg: string, action: string): Promise<Controlled> =>
  client.post(`accounts/${accountId}/channels/${leg}`, { action: 'record', data: { action } })

/** Milliseconds of a write to the store that the engine has: what came of a wish is on disk before it is told. */
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

/** `rest`: milliseconds before each. */
async function timed(count: number, run: (at: number) => Promise<unknown>, rest = 0): Promise<number[]> {
  const took: number[] = []
  for (let at = 0; at < count; at++) {
    if (rest > 0) await delay(rest)
    const began = performance.now()
    await run(at)
    took.push(performance.now() - began)
  }
  return took
}
