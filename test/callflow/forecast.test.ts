// The dry run and the executor on the same documents: what is foreseen is what is asked of the recorder.

import test from 'ava'
import fc from 'fast-check'
import { forecast, type From } from '../../src/callflow/forecast.ts'
import { NO_MATCH } from '../../src/callflow/lookup.ts'
import { silent } from '../../src/log.ts'
import type { Settings } from '../../src/recording/settings.ts'
import type { Doc } from '../../src/store/store.ts'
import { ACCOUNT, ALICE_PHONE, BOB, BOB_MOBILE, BOB_PHONE, device, documents, FLOW, memoryStore, type Node, OTHER_FLOW, world } from './world.ts'

const NUMBER = '+4930123456'
const ELSEWHERE = '+4940999999'

const settings: fc.Arbitrary<Settings> = fc.record(
  { enabled: fc.boolean(), format: fc.constantFrom('mp3', 'wav'), record_on_answer: fc.boolean(), time_limit: fc.constantFrom(60, 9000) },
  { requiredKeys: [] },
)
const source = fc.record({ any: settings, onnet: settings, offnet: settings }, { requiredKeys: [] })
const tree = fc.record({ any: source, inbound: source, outbound: source }, { requiredKeys: [] })
const flags = fc.record({ record_call: fc.oneof(fc.boolean(), settings), call_recording: tree }, { requiredKeys: [] })
const ofAccount = fc.record(
  { record_call: fc.oneof(fc.boolean(), settings), call_recording: fc.record({ account: tree, endpoint: tree }, { requiredKeys: [] }) },
  { requiredKeys: [] },
)

const step: fc.Arbitrary<Node> = fc.oneof(
  settings.map(data => ({ module: 'record_call', data: { action: 'start', ...data } })),
  fc.constantFrom<Node>(
    { module: 'record_call', data: { action: 'stop' } },
    { module: 'play', data: { id: 'tone_stream://%(1,0,440)' } },
    { module: 'nonsense' },
    { module: 'record_call', data: { action: 'start', skip_module: true } },
    { module: 'callflow', data: { id: OTHER_FLOW } },
    { module: 'callflow', data: { id: FLOW.replaceAll('f', '9') } },
  ),
)
const end: fc.Arbitrary<Node> = fc.oneof(
  fc.record({ strategy: fc.constantFrom('simultaneous', 'single') }).map(({ strategy }) => ({ module: 'user', data: { id: BOB, strategy } })),
  fc.constantFrom<Node>({ module: 'device', data: { id: BOB_PHONE } }, { module: 'device', data: { id: ALICE_PHONE } }, { module: 'hangup' }),
)
const flow = fc
  .tuple(fc.array(step, { maxLength: 3 }), end)
  .map(([steps, last]) => steps.reduceRight<Node>((after, one) => ({ ...one, children: { _: after } }), last))

const situation = fc.record({
  flow,
  other: flow,
  account: ofAccount,
  alice: flags,
  alicePhone: flags,
  bob: flags,
  bobPhone: flags,
  bobMobile: flags,
  callflow: flags,
  kind: fc.constantFrom('inside', 'in', 'out'),
})
type Situation = typeof situation extends fc.Arbitrary<infer S> ? S : never

function docsOf({ flow, other, kind, ...said }: Situation): Record<string, Doc> {
  const docs: Record<string, Doc> = {
    ...documents(flow),
    bobMobile: device(BOB_MOBILE, BOB, 'bobmobile'),
    number: { _id: NUMBER, pvt_type: 'number', pvt_account_id: ACCOUNT },
    other: { _id: OTHER_FLOW, pvt_type: 'callflow', name: 'Other', numbers: [], flow: other },
  }
  for (const [name, one] of Object.entries(said)) docs[name] = { ...(docs[name] as Doc), ...one }
  docs['callflow'] = { ...(docs['callflow'] as Doc), numbers: kind === 'out' ? [NO_MATCH] : ['1000', NUMBER] }
  return docs
}

test('what the dry run foresees is what the executor asks of the recorder, whatever the documents say', async t => {
  let recorded = 0
  await fc.assert(
    fc.asyncProperty(situation, async given => {
      const docs = docsOf(given)
      const { kind } = given
      const number = kind === 'inside' ? '1000' : kind === 'in' ? NUMBER : ELSEWHERE
      const { fake, dial, idle, recording } = world(t, docs, { maxTimeLimit: 7200 })
      fake.bridges.push({ answered: true })
      if (kind === 'in') fake.park({ destination: number, variables: { callrec_inception: 'offnet' } })
      else dial(number)
      await idle()
      recorded += recording.started.length

      const { store } = memoryStore(docs)
      const account = docs['account'] as Doc
      const from: From = kind === 'in' ? { number: '+491701234567' } : { device: docs['alicePhone'] as Doc, user: docs['alice'] }
      const { decisions } = await forecast({ store, log: silent, account, maxTimeLimit: 7200 }, from, { number })
      t.deepEqual(
        decisions
          .filter(({ record }) => record)
          .map(({ leg, by, origin, settings, device }) => ({
            leg,
            by,
            origin,
            settings,
            endpoint: leg === 'caller' && kind === 'in' ? undefined : device?._id,
          })),
        recording.started.map(({ side, by, origin, settings, facts }) => ({ leg: side, by, origin, settings, endpoint: facts.endpoint_id })),
      )
    }),
    { numRuns: 150 },
  )
  t.true(recorded > 150, 'and it is not for want of recordings')
})
