// What of a recording goes on when its leg leaves by a transfer, and what does not.

import test from 'ava'
import type { CallFacts } from '../../src/recording/document.ts'
import { Following } from '../../src/recording/following.ts'
import type { State } from '../../src/recording/lifecycle.ts'
import type { Live } from '../../src/recording/live.ts'
import { everywhere, type Settings } from '../../src/recording/settings.ts'
import { manualClock } from '../helpers/clock.ts'

const facts: CallFacts = {
  interaction_id: 'survivor',
  cdr_id: '202605-a',
  direction: 'inbound',
  from: 'alice@acme.example',
  to: '1003@acme.example',
  request: '',
  caller_id_name: '',
  caller_id_number: '',
  callee_id_name: '',
  callee_id_number: '',
  sip_call_id: 'of the survivor',
  owner_id: 'alice',
  endpoint_id: 'alice’s phone',
  custom_channel_vars: {},
}
const to = { accountId: 'acc', leg: { node: 'fs1', uuid: 'a', answered: true, sampleRate: 8000 }, side: 'caller' as const, facts }

const recording = (id: string, settings: Settings, state: State = 'recording', origins = ['inbound from onnet to endpoint']): Live =>
  ({
    id,
    leg: 'b',
    state,
    settings: everywhere('user', { enabled: true, ...settings }).inbound.onnet,
    origins: origins.map(origin => ({ origin, by: 'policy', at: 1 })),
    lengthMs: 7000,
    recording: { group_id: `group of ${id}`, interaction_id: 'original', owner_id: 'bob', label: 'sales', sip_call_id: 'of who left' },
  }) as unknown as Live

const following = { should_follow_transfer: true }

test('each origin goes on in the same group, on the other leg, and whose recording it is stays', t => {
  const one = recording('r1', following, 'recording', ['first', 'second'])
  const requests = new Following(manualClock()).requests('b', [one], to)
  t.deepEqual(
    requests.map(({ origin, by, groupId, earlierMs, leg, side, fresh }) => [origin, by, groupId, earlierMs, leg.uuid, side, fresh]),
    [
      ['first', 'policy', 'group of r1', 7000, 'a', 'caller', false],
      ['second', 'policy', 'group of r1', 7000, 'a', 'caller', false],
    ],
  )
  const { endpoint_id: _, ...expected } = { ...facts, interaction_id: 'original', owner_id: 'bob', label: 'sales' }
  t.deepEqual(requests[0]?.facts, expected)
})

test('what must not follow does not, nor what was stopped before or waits for more than for its parties to be told', t => {
  const live = [
    recording('r1', { should_follow_transfer: false }),
    recording('r2', {}),
    recording('r3', following, 'waiting'),
    recording('r4', following, 'stopping'),
    recording('r5', following, 'stopped'),
    recording('r6', following, 'starting'),
    Object.assign(recording('r7', following, 'waiting'), { tells: true }),
  ]
  const requests = new Following(manualClock()).requests('b', live, to)
  t.deepEqual(
    requests.map(({ groupId }) => groupId),
    ['group of r6', 'group of r7'],
  )
})

test('a recording that ended with its leg goes on once, although its end is told three times', t => {
  const ended = new Following(manualClock())
  const one = recording('r1', following)
  for (let times = 3; times > 0; times -= 1) ended.leaving(one)
  t.is(ended.requests('b', [], to).length, 1)
  t.is(ended.requests('b', [], to).length, 0)
})
