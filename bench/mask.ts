// From a request to mask a call until the switch has confirmed it, as the engine’s own sockets show it (wire.ts), against a bare
// uuid_record mask on such a socket; the answer, which waits for the documents as well; and very many calls masked at the same
// moment, of which none may be forgotten.

import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Client, signIn } from '../src/client.ts'
import type { Controlled } from '../src/callflow/control.ts'
import { packagePath } from '../src/root.ts'
import { embeddedStore } from '../src/store/embedded.ts'
import { header } from '../src/switch/event.ts'
import { recordedTenant } from '../test/helpers/tenant.ts'
import { openEsl } from './esl.ts'
import { openHttp, postOf } from './http.ts'
import { ms, type Row, times } from './row.ts'
import { folder, forget, quantile, startEngine, type Switch } from './world.ts'
import { FILE, PORT } from './wire.ts'

const MASKS = 200
/** Masks after which an engine runs as one does that has been up for a while, and not as one whose code is still being compiled. */
const WARM = 1000
/** Milliseconds in which nothing is asked: who asks without a rest finds the switch awake, and no call is masked so. */
const REST = 20
const DB = 'account/be/nc/h'
const CALLS = 500
/** Milliseconds between calls that are made, and until one counts as lost. */
const EVERY = 5
const PATIENCE = 30_000

export async function maskRows(on: Switch): Promise<Row[]> {
  const wire = join(on.directory, 'wire')
  writeFileSync(wire, '')
  const engine = await startEngine(on, { more: { [PORT]: String(on.port), [FILE]: wire }, ahead: ['--import', packagePath('build/bench/wire.js')] })
  const http = await openHttp(engine.port)
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
    await call()
    await records(2)
    const [first, other] = begun
    if (first === undefined || other === undefined) throw new Error('nothing is recorded')
    const [leg] = first

    // As the account's own systems ask.
    const { api_key: key } = await engine.client.put<{ api_key: string }>(`accounts/${accountId}/api_key`, {})
    const own = await signIn(`http://127.0.0.1:${engine.port}`, key)
    const requests = (to: string): [string, string] =>
      (['mask', 'unmask'] as const).map(action =>
        postOf(`/v2/accounts/${accountId}/channels/${to}`, own.token, { data: { action: 'record', data: { action } } }),
      ) as [string, string]
    const [toMask, toUnmask] = requests(leg)
    const [answered, bare]: [number[], number[]] = [[], []]
    const rested = async (took: number[], run: () => Promise<unknown>): Promise<void> => {
      await delay(REST)
      const began = performance.now()
      await run()
      took.push(performance.now() - began)
    }
    // On another call, since the gap map is a part of what a mask writes.
    for (let at = 0; at < WARM; at++) for (const one of requests(other[0])) await http.send(one)
    writeFileSync(wire, '')
    // In turn, so that a slow moment of the machine hits both.
    for (let at = 0; at < MASKS; at++) {
      await rested(bare, () => esl.send(`api uuid_record ${other[0]} ${at % 2 === 0 ? 'mask' : 'unmask'} ${other[1]}`))
      await rested(answered, () => http.send(toMask))
      await http.send(toUnmask)
    }
    const seenOnWire = readFileSync(wire, 'utf8')
      .trim()
      .split('\n')
      .map(line => line.split(' ').map(Number) as [number, number])
    if (seenOnWire.length !== MASKS) throw new Error(`${seenOnWire.length} of ${MASKS} masks were confirmed`)
    const seen = await timed(MASKS, () => engine.client.get(`accounts/${accountId}/channels/${leg}`))
    const [confirmed, proven, told, floor] = [seenOnWire.map(([one]) => one), seenOnWire.map(([, one]) => one), answered, bare].map(all =>
      quantile(all, 0.5),
    ) as [number, number, number, number]
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
        what: `the same, and seen in the list of what is recorded of the leg, ${on.name}`,
        measured: ms(proven),
        floor: ms(floor),
        ratio: times(proven, floor),
        budget: '–',
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

    for (let made = 2; made < CALLS; made++) {
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
    http.close()
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

async function timed(count: number, run: (at: number) => Promise<unknown>): Promise<number[]> {
  const took: number[] = []
  for (let at = 0; at < count; at++) {
    const began = performance.now()
    await run(at)
    took.push(performance.now() - began)
  }
  return took
}
