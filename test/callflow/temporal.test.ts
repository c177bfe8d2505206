import test from 'ava'
import { isActive, localTime } from '../../src/callflow/temporal.ts'
import { toGregorian } from '../../src/store/modb.ts'

/** `2026-11-21 14:00` on a clock. */
function at(text: string): { year: number; month: number; day: number; second: number } {
  const [, year, month, day, hour, minute] = (/^(\d+)-(\d+)-(\d+) (\d+):(\d+)$/.exec(text) ?? []).map(Number)
  return { year: year ?? 0, month: month ?? 0, day: day ?? 0, second: (hour ?? 0) * 3600 + (minute ?? 0) * 60 }
}
const active = (rule: object, ...times: string[]): boolean[] => times.map(time => isActive(rule as Record<string, unknown>, at(time)))
const start = (iso: string): number => toGregorian(Date.parse(iso))
const hour = 3600

test('a date is that day alone', t => {
  t.deepEqual(active({ cycle: 'date', start_date: start('2026-12-24') }, '2026-12-23 23:59', '2026-12-24 00:00', '2026-12-24 23:59', '2027-12-24 12:00'), [
    false,
    true,
    true,
    false,
  ])
})

test('daily counts days from its start, and not before it', t => {
  t.deepEqual(
    active({ cycle: 'daily', interval: 3, start_date: start('2026-02-27') }, '2026-02-26 1:00', '2026-02-27 1:00', '2026-03-01 1:00', '2026-03-02 1:00'),
    [false, true, false, true],
  )
  t.deepEqual(active({ cycle: 'daily' }, '2026-11-21 3:00'), [true])
})

test('weekly is its weekdays, in every second week where it says so, and Kazoo’s spelling counts', t => {
  // 2026-11-18 is a Wednesday, the week begins on the 16th.
  t.deepEqual(active({ cycle: 'weekly', wdays: ['wensday', 'friday'] }, '2026-11-18 9:00', '2026-11-19 9:00', '2026-11-20 9:00'), [true, false, true])
  const every2 = { cycle: 'weekly', interval: 2, wdays: ['monday', 'sunday'], start_date: start('2026-11-18') }
  t.deepEqual(active(every2, '2026-11-16 9:00', '2026-11-22 9:00', '2026-11-23 9:00', '2026-11-30 9:00', '2026-12-06 9:00'), [false, true, false, true, true])
  t.deepEqual(active({ cycle: 'weekly' }, '2026-11-18 9:00'), [false])
})

test('monthly is days, or an ordinal of a weekday', t => {
  t.deepEqual(active({ cycle: 'monthly', days: [1, 31] }, '2026-11-01 1:00', '2026-11-30 1:00', '2026-12-31 1:00'), [true, false, true])
  const nth = (ordinal: string, day: number): boolean =>
    active({ cycle: 'monthly', ordinal, wdays: ['tuesday'] }, `2026-12-${String(day).padStart(2, '0')} 1:00`)[0] === true
  // Tuesdays of December 2026: 1, 8, 15, 22, 29.
  t.deepEqual(
    ['first', 'second', 'third', 'fourth', 'fifth', 'last'].map(ordinal => [1, 8, 15, 22, 29].filter(day => nth(ordinal, day))),
    [[1], [8], [15], [22], [29], [29]],
  )
  t.false(nth('first', 2))
  t.true(nth('every', 15))
  t.deepEqual(active({ cycle: 'monthly', interval: 2, days: [5], start_date: start('2026-01-01') }, '2026-02-05 1:00', '2026-03-05 1:00'), [false, true])
})

test('yearly is a month, and a day or an ordinal of a weekday in it', t => {
  t.deepEqual(active({ cycle: 'yearly', month: 12, days: [25, 26] }, '2026-12-25 1:00', '2026-12-24 1:00', '2026-11-25 1:00'), [true, false, false])
  const thanksgiving = { cycle: 'yearly', month: 11, ordinal: 'fourth', wdays: ['thursday'] }
  t.deepEqual(active(thanksgiving, '2026-11-26 1:00', '2026-11-19 1:00', '2027-11-25 1:00'), [true, false, true])
  t.deepEqual(active({ cycle: 'yearly', interval: 4, month: 2, days: [29], start_date: start('2024-01-01') }, '2028-02-29 1:00', '2026-02-28 1:00'), [
    true,
    false,
  ])
})

test('a window is from its start up to and without its stop, and one past midnight belongs to the day it begins on', t => {
  t.deepEqual(
    active(
      { cycle: 'daily', time_window_start: 8 * hour, time_window_stop: 17 * hour },
      '2026-11-21 7:59',
      '2026-11-21 8:00',
      '2026-11-21 16:59',
      '2026-11-21 17:00',
    ),
    [false, true, true, false],
  )
  const night = { cycle: 'weekly', wdays: ['friday'], time_window_start: 22 * hour, time_window_stop: 6 * hour }
  // The 20th is a Friday.
  t.deepEqual(active(night, '2026-11-20 5:00', '2026-11-20 22:00', '2026-11-21 5:59', '2026-11-21 6:00', '2026-11-21 22:00'), [false, true, true, false, false])
})

test('a rule that is switched on or off does not look at the clock', t => {
  t.deepEqual(active({ cycle: 'date', start_date: start('2000-01-01'), enabled: true }, '2026-11-21 9:00'), [true])
  t.deepEqual(active({ cycle: 'daily', enabled: false }, '2026-11-21 9:00'), [false])
})

test('a rule that makes no sense is never active', t => {
  for (const rule of [{}, { cycle: 'hourly' }, { cycle: 'weekly', wdays: 'monday' }, { cycle: 'monthly', days: ['21'] }])
    t.deepEqual(active(rule, '2026-11-23 9:00'), [false])
})

/** Which of these instants a window of Berlin's wall clock holds. */
const berlin = (from: number, to: number, ...instants: string[]): boolean[] =>
  instants.map(instant => {
    const now = localTime(Date.parse(instant), 'Europe/Berlin')
    return now !== undefined && isActive({ cycle: 'weekly', wdays: ['sunday'], time_window_start: from * hour, time_window_stop: to * hour }, now)
  })

test('when the clocks go forward a window keeps its wall clock times', t => {
  // 2026-03-29, 2:00 becomes 3:00 at 1:00 UTC.
  t.like(localTime(Date.parse('2026-03-29T00:59:59Z'), 'Europe/Berlin'), { day: 29, second: 2 * hour - 1 })
  t.like(localTime(Date.parse('2026-03-29T01:00:00Z'), 'Europe/Berlin'), { day: 29, second: 3 * hour })
  t.deepEqual(berlin(8, 17, '2026-03-29T05:59:59Z', '2026-03-29T06:00:00Z', '2026-03-29T14:59:59Z', '2026-03-29T15:00:00Z'), [false, true, true, false])
  t.deepEqual(berlin(1, 3, '2026-03-29T00:00:00Z', '2026-03-29T00:59:59Z', '2026-03-29T01:00:00Z'), [true, true, false])
  // 2:00 to 3:00 does not happen.
  t.deepEqual(berlin(2, 3, '2026-03-29T00:59:59Z', '2026-03-29T01:00:00Z'), [false, false])
})

test('when the clocks go back a window keeps its wall clock times and its hour comes twice', t => {
  // 2026-10-25, 3:00 becomes 2:00 at 1:00 UTC.
  t.deepEqual(berlin(2, 3, '2026-10-24T23:59:59Z', '2026-10-25T00:00:00Z', '2026-10-25T01:00:00Z', '2026-10-25T01:59:59Z', '2026-10-25T02:00:00Z'), [
    false,
    true,
    true,
    true,
    false,
  ])
  t.deepEqual(berlin(8, 17, '2026-10-25T06:59:59Z', '2026-10-25T07:00:00Z', '2026-10-25T15:59:59Z', '2026-10-25T16:00:00Z'), [false, true, true, false])
})

test('midnight is the first second of a day and never its twenty-fourth hour; a zone nobody knows has no time', t => {
  t.like(localTime(Date.parse('2026-11-21T00:00:00Z'), 'UTC'), { day: 21, second: 0 })
  t.like(localTime(Date.parse('2026-11-21T00:00:00Z'), 'America/New_York'), { day: 20, second: 19 * hour })
  t.is(localTime(0, 'Mars/Olympus'), undefined)
})
