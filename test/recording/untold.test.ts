// What policy wants and nobody could be told of: once in a call, until somebody joins who can be.

import test from 'ava'
import { AppError } from '../../src/errors.ts'
import { silent } from '../../src/log.ts'
import type { Notice } from '../../src/recording/announce.ts'
import type { Announcer, Party } from '../../src/recording/announcer.ts'
import type { CallFacts } from '../../src/recording/document.ts'
import { everywhere, type Layer, type Settings } from '../../src/recording/settings.ts'
import type { StartRequest } from '../../src/recording/starting.ts'
import { sameWish, Untold } from '../../src/recording/untold.ts'
import type { Leg, SwitchNode } from '../../src/switch/switch.ts'
import { aLeg } from '../helpers/legs.ts'

const facts = { interaction_id: 'i1', cdr_id: '202605-a', owner_id: 'alice' } as CallFacts
const settings = (from: Layer = 'account', more: Settings = {}) =>
  everywhere(from, { enabled: true, announce: { text: 'x', to: 'both', required: true, keep: false }, ...more }).inbound.onnet

const request = (leg: string, more: Partial<StartRequest> = {}): StartRequest => ({
  accountId: 'acc',
  leg: { node: 'fs1', uuid: leg, answered: false, sampleRate: 8000 },
  fresh: false,
  side: 'caller',
  facts,
  settings: settings(),
  origin: `of ${leg}`,
  by: 'policy',
  ...more,
})

/** Alice, who talks with Bob; who of them cannot be told. */
function setup(...deaf: string[]) {
  const legs = new Map<string, Leg>([['a', aLeg('a', { otherLeg: 'b' })]])
  const joins = (uuid: string): void => {
    legs.set('a', aLeg('a', { otherLeg: uuid }))
    legs.set(uuid, aLeg(uuid, { otherLeg: 'a' }))
  }
  joins('b')
  const told: string[] = []
  const fails: { with?: AppError } = {}
  const node = {
    name: 'fs1',
    async leg(uuid) {
      if (fails.with !== undefined) throw fails.with
      return legs.get(uuid)
    },
    exists: async uuid => legs.has(uuid),
  } as Partial<SwitchNode> as SwitchNode
  const announcer = {
    tell({ leg }: Party) {
      told.push(leg)
      return { sent: Promise.resolve(), notice: Promise.resolve({ leg, outcome: deaf.includes(leg) ? 'failed' : 'played' } as Notice) }
    },
  } as unknown as Announcer
  const begun: StartRequest[] = []
  const untold = new Untold<StartRequest, string>({ node: () => node, announcer, log: silent }, sameWish, async one => begun.push(one))
  const failed = (one = request('a')): void => untold.add('failed', [one])
  return { untold, failed, joins, legs, told, begun, deaf, fails }
}

test('the same wish in the same call is answered with the document that failed, whoever has it', t => {
  const { untold, failed } = setup()
  t.is(untold.standing(request('a')), undefined)
  failed()
  t.is(untold.standing(request('a')), 'failed')
  t.is(untold.standing(request('b', { origin: 'inbound from onnet to endpoint', facts: { ...facts, owner_id: 'bob' } })), 'failed')
  t.is(untold.standing(request('a', { by: 'action' })), undefined, 'an action asks anew')
  t.is(untold.standing(request('a', { settings: settings('account', { time_limit: 60 }) })), undefined)
  t.is(untold.standing(request('a', { facts: { ...facts, cdr_id: '202605-b' } })), undefined)
  untold.gone('b')
  t.is(untold.standing(request('a')), 'failed')
  untold.gone('a')
  t.is(untold.standing(request('a')), undefined)
})

test('what the documents of a party say is his own wish', t => {
  const { untold, failed } = setup()
  failed(request('a', { settings: settings('user') }))
  t.is(untold.standing(request('a', { settings: settings('user') })), 'failed')
  t.is(untold.standing(request('b', { settings: settings('user'), facts: { ...facts, owner_id: 'bob' } })), undefined)
})

test('what an action asked for is not waited for', t => {
  const { untold, failed } = setup()
  failed(request('a', { by: 'action' }))
  t.is(untold.standing(request('a')), undefined)
})

test('it begins once all who are there were told, on the leg that was first, by all who asked for that', async t => {
  const { untold, failed, joins, told, begun } = setup('b', 'c')
  failed(request('a', { groupId: 'g1' }))
  for (const origin of ['another', 'another']) untold.standing(request('a', { origin }))
  await untold.met('a', 'b')
  joins('c')
  untold.standing(request('c'))
  await untold.met('a', 'c')
  t.deepEqual(begun, [])
  joins('d')
  untold.standing(request('d'))
  await Promise.all([untold.met('a', 'd'), untold.met('d', 'a')])
  t.deepEqual(
    begun.map(({ leg, origin, groupId }) => [leg.uuid, leg.answered, origin, groupId]),
    [
      ['a', true, 'of a', 'g1'],
      ['a', true, 'another', 'g1'],
    ],
  )
  t.deepEqual(told, ['a', 'b', 'a', 'c', 'a', 'd'])
  t.is(untold.standing(request('a')), undefined, 'whatever fails from now on is told anew')
})

test('others who meet are nobody’s business, and what the switch does not say is asked at the next bridge', async t => {
  const { untold, failed, told, begun, fails, legs } = setup()
  failed()
  await untold.met('x', 'y')
  fails.with = new AppError('switch_timeout', 'no answer')
  await untold.met('a', 'b')
  delete fails.with
  t.deepEqual([told, begun], [[], []])
  legs.clear()
  await untold.met('a', 'b')
  t.deepEqual(begun, [])
  untold.leave('fs2')
  t.is(untold.standing(request('a')), 'failed')
  untold.leave('fs1')
  t.is(untold.standing(request('a')), undefined)
})
