import test from 'ava'
import { createAlarm } from '../../src/recording/alarm.ts'
import { manualClock } from '../helpers/clock.ts'

test('an alarm rings once, at the earliest time it was set to, and again when it is set again', t => {
  const clock = manualClock()
  let rung = 0
  const alarm = createAlarm(clock, () => rung++)
  const now = clock.now()
  alarm.set(now + 5000)
  alarm.set(now + 2000)
  alarm.set(now + 3000)
  t.deepEqual(clock.waits(), [2000])
  clock.advance(10_000)
  t.is(rung, 1)
  alarm.set(clock.now())
  clock.advance(0)
  t.is(rung, 2)
})

test('an alarm that is closed neither rings nor can be set', t => {
  const clock = manualClock()
  const alarm = createAlarm(clock, () => t.fail())
  alarm.set(clock.now() + 1000)
  alarm.close()
  alarm.set(clock.now() + 2000)
  t.deepEqual(clock.waits(), [])
  clock.advance(5000)
  t.pass()
})
