import test from 'ava'
import fc from 'fast-check'
import { close, closeAll, type Gap, type Gaps, isGap, type Moment, offsetAt, open, shownGaps } from '../../src/recording/segments.ts'

const START = Date.UTC(2026, 4, 16, 12)
const at = (ranMs: number): Moment => ({ ranMs, at: START + ranMs })

test('a masked stretch has the place in the audio that it had in the call', t => {
  const gaps = close(open([], 'mask', at(2000), 'api'), 'mask', at(3500))
  t.deepEqual(shownGaps(gaps), [{ kind: 'mask', at: '2026-05-16T12:00:02.000Z', until: '2026-05-16T12:00:03.500Z', from_ms: 2000, to_ms: 3500, by: 'api' }])
})

test('a pause is one place in the audio and says how much is missing there', t => {
  const gaps = close(open([], 'pause', at(2000), 'key 5'), 'pause', at(7000))
  t.like(shownGaps(gaps)[0], { from_ms: 2000, to_ms: 2000, missing_ms: 5000, by: 'key 5' })
  t.is(offsetAt(gaps, 8000), 3000)
})

test('what is masked after a pause is found where it is heard', t => {
  const paused = close(open([], 'pause', at(1000), 'api'), 'pause', at(4000))
  const masked = close(open(paused, 'mask', at(6000), 'api'), 'mask', at(7000))
  t.like(shownGaps(masked)[1], { from_ms: 3000, to_ms: 4000 })
})

test('a mask that begins within a pause covers what follows it', t => {
  const both = open(open([], 'pause', at(1000), 'api'), 'mask', at(2000), 'api')
  const gaps = close(close(both, 'pause', at(3000)), 'mask', at(5000))
  t.like(shownGaps(gaps)[1], { from_ms: 1000, to_ms: 3000 })
})

test('asked for twice it is one stretch, and ended twice it ended the first time', t => {
  const once = open([], 'mask', at(1000), 'first')
  t.is(open(once, 'mask', at(2000), 'second'), once)
  const closed = close(once, 'mask', at(3000))
  t.deepEqual(close(closed, 'mask', at(4000)), closed)
  t.false(isGap(closed, 'mask'))
})

test('the end of a recording ends every stretch', t => {
  const gaps = closeAll(open(open([], 'mask', at(10), 'a'), 'hold', at(20), 'b'), at(50))
  t.true(gaps.every(({ until, to_ms }) => until !== undefined && to_ms !== undefined))
})

test('however gaps follow each other, the audio and what is missing of it make up the call', t => {
  const kinds = fc.constantFrom<Gap>('mask', 'pause', 'hold')
  fc.assert(
    fc.property(fc.array(fc.tuple(kinds, fc.boolean(), fc.integer({ min: 1, max: 5000 })), { maxLength: 30 }), steps => {
      let gaps: Gaps = []
      let ran = 0
      for (const [kind, opens, ms] of steps) {
        ran += ms
        gaps = opens ? open(gaps, kind, at(ran), 'x') : close(gaps, kind, at(ran))
      }
      const shown = shownGaps(closeAll(gaps, at(ran)))
      const missing = shown.reduce((sum, { missing_ms = 0 }) => sum + missing_ms, 0)
      t.true(missing <= ran)
      t.is(offsetAt(closeAll(gaps, at(ran)), ran), ran - missing)
      for (const { from_ms, to_ms = -1 } of shown) t.true(from_ms >= 0 && to_ms >= from_ms && to_ms <= ran)
    }),
  )
})
