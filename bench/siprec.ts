// Recording servers: how long until they hear a call, against one bare originate of the switch to the same server; and how many
// dialogs stand at once. The servers, callrec's client and the embedded switch share this process; a real FreeSWITCH has its own.

import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { startFreeSwitch } from '../test/helpers/operator-freeswitch.ts'
import { type RecordingServer, recordingServer } from '../test/helpers/recording-server.ts'
import { type Place, siprecWorld } from '../test/siprec/world.ts'
import { ms, type Row, times } from './row.ts'

const TRIES = 15
const CALLS = 200
const SERVERS = 2
/** Call time, to the wall's, while so many calls send audio within this one process. */
const SLOWLY = 0.2

type Teardown = () => unknown

async function within<T>(measure: (t: { teardown(run: Teardown): void }) => Promise<T>): Promise<T> {
  const undo: Teardown[] = []
  try {
    return await measure({ teardown: run => void undo.push(run) })
  } finally {
    for (const run of undo.toReversed()) await run()
  }
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

/** Milliseconds until the server's latest call has a first packet of audio in each stream. */
async function heardAfter(server: RecordingServer, count: number, begin: () => Promise<unknown>): Promise<number> {
  const from = performance.now()
  const begun = begin()
  for (;;) {
    const heard = server.calls[count - 1]?.heard ?? []
    if (heard.length > 0 && heard.every(({ packets }) => packets > 0)) break
    if (performance.now() - from > 20_000) throw new Error('the server heard nothing for 20 s')
    await delay(1)
  }
  const took = performance.now() - from
  await begun
  return took
}

const startRow = (name: string, place?: (t: { teardown(run: Teardown): void }) => Promise<Place | undefined>): Promise<Row[]> =>
  within(async t => {
    const given = await place?.(t)
    if (place !== undefined && given === undefined) return []
    const { siprec, node, call, request } = await siprecWorld(t, given, 1)
    const server = await recordingServer(t)
    const leg = await call()
    const [bare, ours]: [number[], number[]] = [[], []]
    let count = 0
    for (let i = 0; i < TRIES; i++) {
      const uuid = randomUUID()
      const address = `srs@127.0.0.1:${server.port}`
      bare.push(await heardAfter(server, ++count, () => node.tap({ uuid, target: leg.uuid, listens: 'both', address, secure: false, timeoutSeconds: 10 })))
      await node.hangup(uuid, 'NORMAL_CLEARING')
      ours.push(await heardAfter(server, ++count, () => siprec.start(request(leg, server.uri))))
      await siprec.stop(leg.uuid)
    }
    const [measured, floor] = [median(ours), median(bare)]
    return [
      {
        what: `siprec_recording → audio at the server, p50, ${name}`,
        measured: ms(measured),
        floor: ms(floor),
        ratio: times(measured, floor),
        budget: place === undefined ? '– (a call costs it next to nothing)' : '≤ 2× one bare originate',
      },
    ]
  })

const dialogsRow = (): Promise<Row> =>
  within(async t => {
    const { siprec, call, request, document } = await siprecWorld(t, undefined, SLOWLY)
    const servers = await Promise.all(Array.from({ length: SERVERS }, () => recordingServer(t)))
    const legs = await Promise.all(Array.from({ length: CALLS }, () => call({ talks: false })))
    const from = performance.now()
    const started = await Promise.all(legs.map(leg => siprec.start(request(leg, servers.map(({ uri }) => uri).join()))))
    await Promise.all(started.map(({ begun }) => begun))
    const took = performance.now() - from
    await delay(10_000)
    const documents = await Promise.all(started.map(({ id }) => document(id)))
    for (const one of documents
      .flatMap(one => one?.servers ?? [])
      .filter(({ state }) => state !== 'recording')
      .slice(0, 5))
      process.stderr.write(`  not standing: ${one.state} ${one.reason ?? ''}\n`)
    const standing = documents.flatMap(one => one?.servers ?? []).filter(({ state }) => state === 'recording').length
    return {
      what: `${CALLS} calls at ${SERVERS} servers at once, embedded switch: dialogs that stand after 10 s (all begun in ${ms(took)})`,
      measured: String(standing),
      budget: String(CALLS * SERVERS),
    }
  })

export async function siprecRows(): Promise<Row[]> {
  const real = async (t: { teardown(run: Teardown): void }): Promise<Place | undefined> => {
    const fs = await startFreeSwitch(t)
    const at = (name: string): string => `sofia/loop/${name}@127.0.0.1:${fs?.loop.port}`
    return fs === undefined ? undefined : { ...fs.esl, speed: 1, caller: at('tone440'), callee: at('tone1000') }
  }
  return [...(await startRow('embedded switch')), ...(await startRow('FreeSWITCH', real)), await dialogsRow()]
}
