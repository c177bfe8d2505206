// Reads of the store that stand one after the other between CHANNEL_PARK and the first action: what a
// slow store costs the caller before he hears anything.

import { startExecutor } from '../src/callflow/executor.ts'
import { systemClock } from '../src/clock.ts'
import { silent } from '../src/log.ts'
import { fakeSwitch } from '../test/helpers/switches.ts'
import { ACCOUNT, ALICE, ALICE_PHONE, documents, memoryStore, notingRecorder, notingSiprec } from '../test/callflow/world.ts'
import type { Row } from './row.ts'

export async function readsRow(): Promise<Row> {
  const fake = fakeSwitch()
  // Recorded by policy, so that it is decided and asked for in between.
  const docs = documents({ module: 'play', data: { id: 'tone_stream://%(1,0,440)' } })
  const { store, steps } = memoryStore({ ...docs, alice: { ...docs['alice'], _id: ALICE, record_call: true } })
  let before = Number.NaN
  const log = {
    ...silent,
    debug: (event: string) => {
      if (event === 'action_started' && Number.isNaN(before)) before = steps()
    },
  }
  const executor = startExecutor({
    switches: fake.switches,
    store,
    recorder: notingRecorder().recorder,
    siprec: notingSiprec().siprec,
    clock: systemClock(),
    wall: systemClock(),
    http: { request: () => Promise.reject(new Error('no flow from elsewhere is measured')), close: () => Promise.resolve() },
    voice: { run: () => Promise.reject(new Error('no voice application is measured')), placeOf: () => Promise.resolve(undefined) },
    checkFlow: flow => ({ flow, faults: [] }),
    log,
    random: bytes => '0'.repeat(2 * bytes),
    config: { maxTimeLimit: 10_800 },
  })
  fake.park({ variables: { callrec_account_id: ACCOUNT, callrec_device_id: ALICE_PHONE } })
  await fake.until('hangup')
  await executor.close()
  return { what: 'store reads one after the other, CHANNEL_PARK → first action', measured: String(before), budget: '≤ 2' }
}
