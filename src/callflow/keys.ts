// What keys pressed in mid-call mean: one metaflow's numbers and patterns, and how far somebody has got with them. Pure;
// what is pressed is kept no longer than it may still become something.

import { isObject, text } from './documents.ts'
import type { Fields } from './flow.ts'
import { bestMatch } from './patterns.ts'

export interface Step {
  module: string
  data: Fields
  children: Readonly<Record<string, unknown>>
}

export interface Metaflows {
  /** The key that begins one. */
  binding_digit: string
  /** Milliseconds until no further key is waited for. */
  digit_timeout: number
  /** Whose keys: those of the party itself, of whoever it talks with, or both. */
  listen_on: 'self' | 'peer' | 'both'
  numbers: Readonly<Record<string, unknown>>
  patterns: Readonly<Record<string, unknown>>
}

const USUAL = { binding_digit: '*', digit_timeout: 3000, listen_on: 'self' } as const

/** Documents of one party, weakest first: numbers and patterns add up, of the rest the strongest counts. Undefined where there is none. */
export function merged(layers: readonly unknown[]): Metaflows | undefined {
  const said = layers.filter(isObject)
  const all = (part: 'numbers' | 'patterns'): Fields => Object.assign({}, ...said.map(one => (isObject(one[part]) ? one[part] : {}))) as Fields
  const [numbers, patterns] = [all('numbers'), all('patterns')]
  if (Object.keys(numbers).length + Object.keys(patterns).length === 0) return undefined
  const last = (key: string): unknown => said.findLast(one => one[key] !== undefined)?.[key]
  const [digit, ms, listen] = [last('binding_digit'), last('digit_timeout'), last('listen_on')]
  return {
    binding_digit: text(digit) || USUAL.binding_digit,
    digit_timeout: typeof ms === 'number' && ms > 0 ? ms : USUAL.digit_timeout,
    listen_on: listen === 'peer' || listen === 'both' ? listen : USUAL.listen_on,
    numbers,
    patterns,
  }
}

/** While a call is masked its keys may be a card's number: only what ends the mask is listened for. */
export function unmaskingOnly(metaflows: Metaflows): Metaflows {
  const ends = (step: unknown): boolean => {
    const found = stepOf(step)
    return found?.module === 'record_call' && found.data['action'] === 'unmask'
  }
  return { ...metaflows, numbers: Object.fromEntries(Object.entries(metaflows.numbers).filter(([, step]) => ends(step))), patterns: {} }
}

export const stepOf = (step: unknown): Step | undefined =>
  isObject(step) && typeof step['module'] === 'string'
    ? { module: step['module'], data: isObject(step['data']) ? step['data'] : {}, children: isObject(step['children']) ? step['children'] : {} }
    : undefined

/** What was pressed after the first key; undefined: that one is waited for. */
export type Pressed = string | undefined

export interface Found {
  step: Step
  /** The number, or what a pattern matched by: for a person who reads who asked. */
  key: string
  captures: readonly string[]
}

export interface Turn {
  pressed: Pressed
  found?: Found
  /** Milliseconds to wait for a further key before `given` is asked. */
  waitMs?: number
}

const NOTHING: Turn = { pressed: undefined }

export function press(pressed: Pressed, digit: string, metaflows: Metaflows): Turn {
  const { binding_digit, digit_timeout } = metaflows
  // A binding digit that is a figure may be part of a number as well.
  const begins = digit === binding_digit && (pressed === undefined || !/\d/.test(digit))
  if (begins) return { pressed: '', waitMs: digit_timeout }
  if (pressed === undefined) return NOTHING
  const now = pressed + digit
  const hasPatterns = Object.keys(metaflows.patterns).length > 0
  const longer = Object.keys(metaflows.numbers).filter(number => number.startsWith(now))
  if (longer.length === 0 && !hasPatterns) return NOTHING
  const only = longer.length === 1 && longer[0] === now && !hasPatterns ? given(now, metaflows) : undefined
  return only === undefined ? { pressed: now, waitMs: digit_timeout } : { ...NOTHING, found: only }
}

/** No further key came. */
export function given(pressed: Pressed, { binding_digit, numbers, patterns }: Metaflows): Found | undefined {
  if (pressed === undefined || pressed === '') return undefined
  const step = Object.hasOwn(numbers, pressed) ? stepOf(numbers[pressed]) : undefined
  if (step !== undefined) return { step, key: `${binding_digit}${pressed}`, captures: [] }
  const { found, captures } = bestMatch(
    Object.entries(patterns).map(([pattern, of]) => ({ pattern, of: { pattern, step: of } })),
    pressed,
  )
  const matched = stepOf(found?.step)
  // What the digits were is nobody's to read.
  return found === undefined || matched === undefined ? undefined : { step: matched, key: `${binding_digit} ${found.pattern}`, captures }
}
