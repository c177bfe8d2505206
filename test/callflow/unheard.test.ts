// The detail record of a call that ended while no engine watched: made of its recordings, and only where nothing else will make it.

import test from 'ava'
import { cdrOf, type OverCall } from '../../src/callflow/cdr.ts'
import type { Records } from '../../src/callflow/records.ts'
import { watchUnheard } from '../../src/callflow/unheard.ts'
import { silent } from '../../src/log.ts'
import type { Recording } from '../../src/recording/document.ts'
import type { Recorder, Unheard } from '../../src/recording/recorder.ts'
import { toGregorian } from '../../src/store/modb.ts'
import type { Doc, Row, Store, Stored } from '../../src/store/store.ts'
import type { Switches } from '../../src/switch/switch.ts'

const ACCOUNT = 'a'.repeat(32)
const PHONE = '1'.repeat(32)
const CAME = Date.UTC(2026, 4, 16)

const callers = {
  _id: `202605-${'c'.repeat(32)}`,
  pvt_account_id: ACCOUNT,
  pvt_call: { came_at: CAME, from: 'onnet', to: 'offnet' },
  cdr_id: '202605-leg-a',
  call_id: 'leg-a',
  interaction_id: 'i1',
  direction: 'inbound',
  from: '2001@pbx.example',
  to: '1000@pbx.example',
  request: '1000@pbx.example',
  caller_id_name: 'Alice',
  caller_id_number: '2001',
  callee_id_name: '',
  callee_id_number: '1000',
  sip_call_id: 's1',
  owner_id: 'b'.repeat(32),
  custom_channel_vars: { callflow_id: 'f'.repeat(32), authorizing_id: PHONE },
  start: toGregorian(CAME + 4_000),
  duration_ms: 60_400,
} as unknown as Recording

const callees = {
  ...callers,
  _id: `202605-${'d'.repeat(32)}`,
  call_id: 'leg-b',
  direction: 'outbound',
  to: 'bob@pbx.example',
  request: 'bob@pbx.example',
  sip_call_id: 's2',
  start: toGregorian(CAME + 6_000),
  duration_ms: 70_000,
} as Recording

interface Scene {
  recordings?: Recording[]
  account?: Doc
  /** Uuids. */
  up?: string[]
  known?: string[]
}

function scene({ recordings = [callers], account = { _id: ACCOUNT, realm: 'pbx.example' }, up = [], known = [] }: Scene) {
  const listeners = new Set<(one: Unheard) => void>()
  const asked: (() => Promise<Omit<OverCall, 'recordings'> | undefined>)[] = []
  const over = new Map<string, () => void>()
  const recorder: Pick<Recorder, 'onUnheard' | 'ended'> = {
    onUnheard(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    ended: id => new Promise(resolve => over.set(id, resolve)),
  }
  const store = {
    get: async () => account,
    query: async (): Promise<Row[]> => recordings.map(doc => ({ id: doc._id, key: doc.cdr_id, value: null, doc: doc as unknown as Stored })),
  }
  const records: Pick<Records, 'write'> = { write: read => void asked.push(read) }
  const stop = watchUnheard({
    store: store as unknown as Store,
    switches: { node: () => ({ exists: async (uuid: string) => up.includes(uuid) }) } as unknown as Switches,
    recorder,
    lives: { knows: uuid => known.includes(uuid) },
    records: records as Records,
    log: silent,
  })
  return {
    stop,
    tell: (recording: Recording) => listeners.forEach(listener => listener({ node: 'fs1', recording })),
    /** It has ended; answers what is to be written then. */
    end: async ({ _id }: Recording) => {
      over.get(_id)?.()
      await Promise.resolve()
      const [read] = asked
      return read === undefined ? 'not asked' : read()
    },
  }
}

const recordOf = (found: Awaited<ReturnType<ReturnType<typeof scene>['end']>>) => (typeof found === 'object' ? cdrOf({ ...found, recordings: ['r1'] }) : found)

test('it says what the caller’s recording knows, counts by its audio, and that nobody heard the end', async t => {
  const { tell, end } = scene({ recordings: [callees, callers] })
  tell(callers)
  t.like(recordOf(await end(callers)), {
    _id: '202605-leg-a',
    pvt_account_id: ACCOUNT,
    call_id: 'leg-a',
    interaction_id: 'i1',
    sip_call_id: 's1',
    direction: 'inbound',
    from: '2001@pbx.example',
    to: '1000@pbx.example',
    callee_id_number: '1000',
    from_network: 'onnet',
    to_network: 'offnet',
    callflow_id: 'f'.repeat(32),
    authorizing_id: PHONE,
    owner_id: 'b'.repeat(32),
    ringing_seconds: 4,
    billing_seconds: 72,
    duration_seconds: 76,
    disposition: 'ANSWERED',
    hangup_cause: 'NORMAL_UNSPECIFIED',
    end_unheard: true,
  })
})

test('where only the callee was recorded, what is the callee’s own is left out', async t => {
  const { tell, end } = scene({ recordings: [callees] })
  tell(callees)
  const record = recordOf(await end(callees))
  t.like(record, { call_id: 'leg-a', direction: 'inbound', from: '2001@pbx.example', to: '1000@pbx.example', sip_call_id: '', end_unheard: true })
  t.false(typeof record === 'object' && ('authorizing_id' in record || 'owner_id' in record))
})

test('a call whose own leg is still up, or whose end will be heard here, has its record from that', async t => {
  const up = scene({ up: ['leg-a'] })
  up.tell(callers)
  t.is(await up.end(callers), undefined)
  const known = scene({ known: ['leg-a'] })
  known.tell(callers)
  t.is(await known.end(callers), 'not asked')
})

test('a call of which nothing was heard, or whose account is gone, has none', async t => {
  const silence = scene({ recordings: [{ ...callers, duration_ms: 0 }] })
  silence.tell(callers)
  t.is(await silence.end(callers), undefined)
  const gone = scene({ account: { _id: ACCOUNT, pvt_deleted: true } })
  gone.tell(callers)
  t.is(await gone.end(callers), undefined)
})

test('nothing is written before the recording has ended, or after the engine has closed', async t => {
  const one = scene({})
  one.tell(callers)
  t.is(await one.end(callees), 'not asked')
  const closed = scene({})
  closed.stop()
  closed.tell(callers)
  t.is(await closed.end(callers), 'not asked')
})
