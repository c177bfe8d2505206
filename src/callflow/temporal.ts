// When a temporal rule is active: pure. A rule speaks of days and of the clock on the wall of some time zone, so a
// window from 22:00 to 06:00 is that on every night, those on which the clocks change included; it belongs to
// the day it begins on. (cf_temporal_route.erl; there a window cannot pass midnight.)

import { fromGregorian } from '../store/modb.ts'

/** A day and a time of it, as a clock in some zone shows it. */
export interface Local {
  year: number
  /** 1 to 12. */
  month: number
  day: number
  /** Since midnight as the clock shows it: 3:00 is 10800 even when the clock was put forward at 2:00. */
  second: number
}

type Fields = Readonly<Record<string, unknown>>

const DAY_MS = 86_400_000
const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const
const ORDINALS = ['first', 'second', 'third', 'fourth', 'fifth'] as const
/** Kazoo's default start_date, 1983-04-11, a Monday. */
const DEFAULT_START = 62_586_115_200

/** Undefined for a zone that nobody knows. */
export function localTime(unixMs: number, timeZone: string): Local | undefined {
  try {
    const parts = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    }).formatToParts(unixMs)
    const of = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.find(part => part.type === type)?.value)
    return { year: of('year'), month: of('month'), day: of('day'), second: of('hour') * 3600 + of('minute') * 60 + of('second') }
  } catch {
    return undefined
  }
}

/** Days since 1970-01-01, whatever the zone: days are counted, not their seconds. */
type Day = number
const dayOf = ({ year, month, day }: Pick<Local, 'year' | 'month' | 'day'>): Day => Date.UTC(year, month - 1, day) / DAY_MS
const dateOf = (day: Day): { year: number; month: number; day: number; weekday: (typeof WEEKDAYS)[number] } => {
  const date = new Date(day * DAY_MS)
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate(), weekday: WEEKDAYS[date.getUTCDay()] ?? 'sunday' }
}
/** 1970-01-01 was a Thursday, the fourth day of its week. */
const weekOf = (day: Day): number => Math.floor((day + 3) / 7)

const numbers = (value: unknown): number[] => (Array.isArray(value) ? value.filter(one => typeof one === 'number') : [])
/** Kazoo's documents have spelled it so for years. */
const weekdays = (value: unknown): string[] => (Array.isArray(value) ? value.map(one => (one === 'wensday' ? 'wednesday' : String(one))) : [])
const seconds = (value: unknown): number | undefined => (typeof value === 'number' && value >= 0 && value <= 86_400 ? value : undefined)

/** Whether the day of the month is one the rule names, by its number or as `second` `tuesday`. */
function inMonth(rule: Fields, day: Day): boolean {
  const date = dateOf(day)
  const days = numbers(rule['days'])
  if (days.length > 0) return days.includes(date.day)
  if (!weekdays(rule['wdays']).includes(date.weekday)) return false
  const { ordinal = 'every' } = rule
  if (ordinal === 'every') return true
  if (ordinal === 'last') return dateOf(day + 7).month !== date.month
  return ORDINALS[Math.floor((date.day - 1) / 7)] === ordinal
}

function onDay(rule: Fields, day: Day): boolean {
  const start = Math.floor(fromGregorian(typeof rule['start_date'] === 'number' ? rule['start_date'] : DEFAULT_START) / DAY_MS)
  if (day < start) return false
  const [date, first] = [dateOf(day), dateOf(start)]
  const interval = typeof rule['interval'] === 'number' && rule['interval'] >= 1 ? Math.trunc(rule['interval']) : 1
  const every = (passed: number): boolean => passed % interval === 0
  switch (rule['cycle']) {
    case 'date':
      return day === start
    case 'daily':
      return every(day - start)
    case 'weekly':
      return weekdays(rule['wdays']).includes(date.weekday) && every(weekOf(day) - weekOf(start))
    case 'monthly':
      return inMonth(rule, day) && every((date.year - first.year) * 12 + date.month - first.month)
    case 'yearly':
      return rule['month'] === date.month && inMonth(rule, day) && every(date.year - first.year)
    default:
      return false
  }
}

/** `enabled` true or false says so without looking at the clock. */
export function isActive(rule: Fields, now: Local): boolean {
  if (typeof rule['enabled'] === 'boolean') return rule['enabled']
  const today = dayOf(now)
  const from = seconds(rule['time_window_start']) ?? 0
  const to = seconds(rule['time_window_stop']) ?? 86_400
  if (from < to) return now.second >= from && now.second < to && onDay(rule, today)
  // Past midnight it is still the window of the day before.
  return (now.second >= from && onDay(rule, today)) || (now.second < to && onDay(rule, today - 1))
}
