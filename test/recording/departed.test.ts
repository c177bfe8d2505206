// Recordings of legs that left are remembered as long as a transfer may ask for them, and no longer.

import test from 'ava'
import { Departed } from '../../src/recording/departed.ts'

test('what was recorded of a leg can be asked for after it left, once', t => {
  const departed = new Departed<string>()
  departed.add('b', 'r1', 'first', 1000)
  departed.add('b', 'r2', 'second', 1000)
  departed.add('b', 'r1', 'first, told again', 1000)
  departed.add('c', 'r3', 'other', 1000)
  t.deepEqual(departed.take('b', 2000), ['first, told again', 'second'])
  t.deepEqual(departed.take('b', 2000), [])
  t.is(departed.size, 1)
})

test('a leg that nobody asked for is forgotten, so that ended calls cost nothing', t => {
  const departed = new Departed<string>()
  for (let at = 0; at < 100_000; at += 100) departed.add(`leg ${at}`, 'r1', 'part', at)
  t.true(departed.size <= 301)
  t.deepEqual(departed.take('leg 99900', 130_000), [])
  t.is(departed.size, 0)
})
