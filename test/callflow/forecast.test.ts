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
const CAROL = '6'.repeat(32)
const TRUNK = { _id: '9'.repeat(32), pvt_type: 'resource', name: 'trunk', gateways: [{ gateway: 'trunk' }] }
const member = (endpoint_type: string, id: string): object => ({ endpoint_type, id })
const end: fc.Arbitrary<Node> = fc.oneof(
  fc
    .record({ strategy: fc.constantFrom('simultaneous', 'single'), ignore_forward: fc.boolean() })
    .map(data => ({ module: 'ring_group', data: { ...data, endpoints: [member('user', BOB), member('device', BOB_PHONE)] } })),
  fc.constantFrom<Node>(
    { module: 'user', data: { id: CAROL } },
    { module: 'transfer', data: { target: '1003' } },
    { module: 'transfer', data: { target: '4711' }, children: { UNALLOCATED_NUMBER: { module: 'device', data: { id: BOB_PHONE } } } },
    { module: 'resources', data: { to_did: ELSEWHERE } },
    { module: 'resources', data: { to_did: 'nonsense' }, children: { INVALID_NUMBER_FORMAT: { module: 'device', data: { id: BOB_PHONE } } } },
    { module: 'temporal_route', data: { rules: ['8'.repeat(32)] }, children: { ['8'.repeat(32)]: { module: 'device', data: { id: BOB_PHONE } } } },
  ),
  fc.record({ strategy: fc.constantFrom('simultaneous', 'single') }).map(({ strategy }) => ({ module: 'user', data: { id: BOB, strategy } })),
  fc.constantFrom<Node>({ module: 'device', data: { id: BOB_PHONE } }, { module: 'device', data: { id: ALICE_PHONE } }, { module: 'hangup' }),
)
const flow = fc
  .tuple(fc.array(step, { maxLength: 3 }), end)
  .map(([steps, last]) => steps.reduceRight<Node>((after, one) => ({ ...one, children: { _: after } }), last))

const forward = fc.option(
  fc.record({
    enabled: fc.boolean(),
    number: fc.constantFrom('1003', '1004', ELSEWHERE, 'nobody'),
    substitute: fc.boolean(),
    failover: fc.boolean(),
    direct_calls_only: fc.boolean(),
    require_keypress: fc.boolean(),
  }),
  { nil: undefined },
)

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
  forwards: fc.record({ bob: forward, bobPhone: forward, carol: forward }),
  trunk: fc.boolean(),
  kind: fc.constantFrom('inside', 'in', 'out'),
})
type Situation = typeof situation extends fc.Arbitrary<infer S> ? S : never

function docsOf({ flow, other, kind, forwards, trunk, ...said }: Situation): Record<string, Doc> {
  const docs: Record<string, Doc> = {
    ...documents(flow),
    bobMobile: device(BOB_MOBILE, BOB, 'bobmobile'),
    number: { _id: NUMBER, pvt_type: 'number', pvt_account_id: ACCOUNT },
    other: { _id: OTHER_FLOW, pvt_type: 'callflow', name: 'Other', numbers: [], flow: other },
  }
  docs['carol'] = { _id: CAROL, pvt_type: 'user', first_name: 'Carol' }
  docs['desk'] = { ...device('7'.repeat(32), '', 'desk'), record_call: { format: 'wav' } }
  docs['deskFlow'] = { _id: 'd'.repeat(32), pvt_type: 'callflow', numbers: ['1003'], flow: { module: 'device', data: { id: '7'.repeat(32) } } }
  docs['otherFlow'] = { _id: 'c'.repeat(32), pvt_type: 'callflow', numbers: ['1004'], record_call: true, flow: { module: 'hangup' } }
  docs['rule'] = { _id: '8'.repeat(32), pvt_type: 'temporal_rule', enabled: true, cycle: 'daily' }
  if (trunk) docs['trunk'] = TRUNK
  for (const [name, one] of Object.entries(forwards)) if (one !== undefined) docs[name] = { ...(docs[name] as Doc), call_forward: one }
  for (const [name, one] of Object.entries(said)) docs[name] = { ...(docs[name] as Doc), ...one }
  docs['callflow'] = { ...(docs['callflow'] as Doc), numbers: kind === 'out' ? [NO_MATCH] : ['1000', NUMBER] }
  return docs
}

const keyOf = ({ device, settings }: { settings: object; device: { _id: string } | undefined }): string => `${device?._id ?? ''} ${JSON.stringify(settings)}`

/** Phones that ring together are decided about at the same time. */
function inOrder<T extends { leg: string; settings: object; device: { _id: string } | undefined }>(list: readonly T[]): T[] {
  const callees = list.filter(({ leg }) => leg === 'callee').toSorted((a, b) => keyOf(a).localeCompare(keyOf(b)))
  return [...list.filter(({ leg }) => leg === 'caller'), ...callees]
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
      const { decisions } = await forecast({ store, log: silent, account, maxTimeLimit: 7200, at: Date.now() }, from, { number })
      t.deepEqual(
        inOrder(decisions.filter(({ record }) => record)).map(({ leg, by, origin, settings, device }) => ({
          leg,
          by,
          origin,
          settings,
          endpoint: leg === 'caller' && kind === 'in' ? undefined : device?._id,
        })),
        inOrder(recording.started.map(one => ({ ...one, leg: one.side, device: { _id: one.facts.endpoint_id ?? '' } }))).map(
          ({ side, by, origin, settings, facts }) => ({ leg: side, by, origin, settings, endpoint: facts.endpoint_id }),
        ),
      )
    }),
    { numRuns: 400 },
  )
  t.true(recorded > 150, 'and it is not for want of recordings')
})
