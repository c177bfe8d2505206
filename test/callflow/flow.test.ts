import test from 'ava'
import { begin, type End, follow, isEnd, next, type Outcome, type Position, stop, branch, MOST_BRANCHES } from '../../src/callflow/flow.ts'
import { causeOf } from '../../src/callflow/causes.ts'
import { playable } from '../../src/switch/media.ts'
import { bestMatch } from '../../src/callflow/patterns.ts'
import { waysOut } from '../../src/callflow/trunks.ts'
import type { Doc } from '../../src/store/store.ts'
import type { Node } from './world.ts'

const doc = (id: string, flow: unknown): Doc => ({ _id: id, flow })
const leaf = (module: string): Node => ({ module })

/** Modules in the order they are visited when each answers as scripted. */
function visit(first: Doc, outcomes: Record<string, Outcome>): { path: string[]; end: End } {
  const path: string[] = []
  let at: Position | End = begin(first)
  while (!isEnd(at)) {
    path.push(at.node.module)
    at = follow(at, outcomes[at.node.module] ?? next())
  }
  return { path, end: at }
}

const menu = doc('menu', { module: 'a', data: {}, children: { _: leaf('other'), timeout: leaf('late'), USER_BUSY: leaf('busy'), 486: leaf('sip') } })

test('a call goes to the child that the action named', t => t.deepEqual(visit(menu, { a: next('timeout') }).path, ['a', 'late']))
test('the first key that has a child wins', t => t.deepEqual(visit(menu, { a: next('NO_ANSWER', '486') }).path, ['a', 'sip']))
test('where no key has a child the call goes to _', t => t.deepEqual(visit(menu, { a: next('nowhere') }).path, ['a', 'other']))
test('a leaf ends the flow with an ordinary hangup', t => {
  t.deepEqual(visit(menu, {}).end, { end: 'no_more_nodes', cause: 'NORMAL_CLEARING' })
})
test('stop ends the flow with the cause it names, children or not', t => {
  t.deepEqual(visit(menu, { a: stop('USER_BUSY') }), { path: ['a'], end: { end: 'stopped', cause: 'USER_BUSY' } })
})

test('a name every object has is no child', t => {
  t.deepEqual(visit(doc('x', { module: 'a', children: {} }), { a: next('constructor', '__proto__', 'toString') }).path, ['a'])
})

test('a flow that is no node is over before it begins, and a child that is none is passed over', t => {
  for (const flow of [undefined, null, 'play', [], {}, { module: 7 }]) t.true(isEnd(begin(doc('x', flow))))
  t.deepEqual(visit(doc('x', { module: 'a', children: { late: 'nonsense', _: leaf('other') } }), { a: next('late') }).path, ['a', 'other'])
  t.deepEqual(visit(doc('x', { module: 'a', children: ['nonsense'], data: 'nonsense' }), {}).path, ['a'])
})

test('a branch runs the other callflow and comes back to _', t => {
  const other = doc('other', { module: 'x', children: { _: leaf('y') } })
  const first = doc('first', { module: 'callflow', children: { _: leaf('after') } })
  t.deepEqual(visit(first, { callflow: branch(other) }).path, ['callflow', 'x', 'y', 'after'])
  t.deepEqual(visit(first, { callflow: branch(other), x: stop() }).path, ['callflow', 'x'])
})

test('a branch into a callflow without a flow goes on at _', t => {
  t.deepEqual(visit(doc('first', { module: 'callflow', children: { _: leaf('after') } }), { callflow: branch(doc('empty', undefined)) }).path, [
    'callflow',
    'after',
  ])
})

test('callflows that name each other end after so many branches', t => {
  const loop = doc('loop', { module: 'callflow', children: { _: leaf('after') } })
  const { path, end } = visit(loop, { callflow: branch(loop) })
  t.deepEqual(end, { end: 'too_many_branches', cause: 'NORMAL_CLEARING' })
  t.is(path.length, MOST_BRANCHES + 1)
})

test('a tree of a thousand nodes is walked to its end', t => {
  const deep = Array.from({ length: 1000 }).reduce<Node>(child => ({ module: 'a', children: { _: child } }), leaf('z'))
  t.is(visit(doc('deep', deep), {}).path.length, 1001)
})

test('every final SIP failure has a hangup cause and nothing else has', t => {
  t.is(causeOf(486), 'USER_BUSY')
  t.is(causeOf(404), 'UNALLOCATED_NUMBER')
  t.is(causeOf(603), 'CALL_REJECTED')
  t.deepEqual([causeOf(499), causeOf(599), causeOf(699)], ['NORMAL_UNSPECIFIED', 'NORMAL_TEMPORARY_FAILURE', 'CALL_REJECTED'])
  for (const code of [0, 100, 183, 200, 302, 399, 700, 486.5, Number.NaN]) t.is(causeOf(code), undefined)
})

test('tones and silence are played as they were meant', t => {
  for (const id of [
    'tone_stream://%(500,0,440)',
    'tone_stream://%(2000,4000,440,480)',
    'tone_stream://%(100,100,440);%(200,0,880);loops=3',
    'silence_stream://1500',
  ]) {
    t.is(playable(id), id)
  }
  t.is(playable('tone_stream://%(0500,00,0440)'), 'tone_stream://%(500,0,440)')
})

test('nothing else is played, whatever it looks like', t => {
  for (const id of [
    '',
    '/etc/passwd',
    '../x.wav',
    'http://example.com/x.wav',
    'http_cache://example.com/x.wav',
    'shell_stream://id',
    'say:hello',
    '${system(touch x)}',
    'tone_stream://${system(touch x)}',
    'tone_stream://%(500,0,${system(touch x)})',
    'tone_stream://%(500,0,440)\nplayback',
    'tone_stream://%(500,0)',
    'tone_stream://%(500,0,1,2,3,4,5)',
    'tone_stream://%(0,0,440)',
    'tone_stream://%(500,0,99999)',
    'tone_stream://%(500,,440)',
    'tone_stream://%(500,0,440);path=/etc/passwd',
    'tone_stream://path=/tmp/x.ttml',
    'tone_stream://loops=3',
    'tone_stream://%(500,0,440);loops=0',
    'tone_stream://%(500,0,440);loops=-1',
    'tone_stream://',
    'silence_stream://0',
    'silence_stream://-1',
    'silence_stream://99999999',
    'silence_stream://1000,1400',
    `tone_stream://${'%(1,1,440);'.repeat(100)}%(1,1,440)`,
  ]) {
    t.is(playable(id), undefined, id)
  }
})

test('the pattern with the longest capture wins, one without a capture only where no other fits', t => {
  const patterns = [
    { pattern: '^\\*3', of: 'bare' },
    { pattern: '^\\*3(\\d)', of: 'short' },
    { pattern: '^\\*3(\\d*)$', of: 'long' },
    { pattern: '^\\*4(\\d*)$', of: 'other' },
  ]
  t.is(bestMatch(patterns, '*3123').found, 'long')
  t.is(bestMatch(patterns, '*3x').found, 'bare')
  t.is(bestMatch(patterns, '999').found, undefined)
  t.is(bestMatch(patterns, `*3${'1'.repeat(200)}`).found, undefined)
})

test('a pattern that was given up again and again is left out for a minute, and what stands before it still counts', t => {
  const ofSlow = (pattern: string): { pattern: string; of: string } => ({ pattern, of: 'slow' })
  const [pattern, number] = ['^(\\d+)+\\D$', '1'.repeat(60)]
  const whyOf = (now: number): string => bestMatch([{ pattern: '^1', of: 'good' }, ofSlow(pattern)], number, undefined, now).faults[0]?.why ?? ''
  for (const now of [0, 1, 2]) t.regex(whyOf(now), /timed out/)
  t.regex(whyOf(60_001), /left out for 60 s/)
  t.regex(whyOf(60_002), /timed out/)
  t.regex(whyOf(60_003), /left out for 60 s/)
  t.regex(whyOf(700_000), /timed out/)
  t.regex(whyOf(700_001), /timed out/)
  const three = [ofSlow(pattern), ofSlow(pattern), ofSlow(pattern)]
  t.regex(whyOf(700_002), /timed out/)
  t.is(bestMatch([{ pattern: '^1', of: 'good' }, ...three], number, undefined, 700_003).found, 'good')
  t.is(bestMatch([...three, { pattern: '^1', of: 'late' }], number, undefined, 700_003).found, undefined)
})

test('a pattern that is broken or backtracks for ever is told of and the others still count', t => {
  const { found, faults } = bestMatch(
    [
      { pattern: '(', of: 'broken' },
      { pattern: '^(\\d+)+$', of: 'endless' },
      { pattern: '^\\d+x', of: 'good' },
    ],
    `${'1'.repeat(60)}x`,
  )
  t.is(found, 'good')
  t.deepEqual(
    faults.map(fault => fault.of),
    ['broken', 'endless'],
  )
})

test('however many trunks have endless rules, one call gives up three of them and no more', t => {
  const trunks = Array.from({ length: 20 }, (_, at): Doc => ({ _id: `${at}`, gateways: [{ gateway: 'a' }], rules: [`^(\\d+)+\\D{${at + 2}}$`] }))
  const faults: string[] = []
  t.deepEqual(
    waysOut(trunks, '1'.repeat(60), ({ _id }) => void faults.push(_id)),
    [],
  )
  t.deepEqual(faults, ['0', '1', '2'])
})
