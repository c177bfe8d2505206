// The time range of a list over month databases (crossbar_view.erl time_range/4): at most a month and
// an hour, the last one unless a client says otherwise. Gregorian seconds, both ends included.

import { AppError } from '../../errors.ts'
import { problem } from '../validation/problems.ts'

export interface Range {
  from: number
  to: number
}

/** Seconds (crossbar.maximum_range). */
const LONGEST_RANGE = 2_682_000

/** Months have four digits of a year. */
const YEAR_9999 = 315_500_000_000

export function createdRange(query: URLSearchParams, now: number): Range {
  const to = secondsOf(query, 'created_to') ?? now
  const from = secondsOf(query, 'created_from') ?? Math.max(0, to - LONGEST_RANGE)
  if (to < from) throw refused(`created_to ${to} is prior to created_from ${from}`, from)
  if (to - from > LONGEST_RANGE) throw refused(`created_to ${to} is more than ${LONGEST_RANGE} seconds from created_from ${from}`, to)
  return { from, to }
}

/** Undefined where the query has none. */
export function secondsOf(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  if (/^\d{1,12}$/.test(text) && Number(text) < YEAR_9999) return Number(text)
  const message = 'Value did not match type(s): integer'
  throw new AppError('validation error', message, problem(name, 'type', { message, target: 'integer', value: text }))
}

const refused = (message: string, cause: number): AppError =>
  new AppError('validation error', message, problem('created_from', 'date_range', { message, cause }))
