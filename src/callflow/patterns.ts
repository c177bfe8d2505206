// Which callflow's pattern fits a dialled number best. A pattern is a tenant's regular expression and
// may backtrack for ever (`^(a+)+$`) while every other call waits, so it runs under a timeout.

import { createContext, Script } from 'node:vm'
import { reasonOf } from '../errors.ts'

/** Milliseconds of the wall until a pattern is asked again, and until it is given up: the process may just have had no processor. */
const PATIENCE = [20, 250] as const
/** Patterns that may be given up in one lookup; what comes after them does not count. */
const MOST_GIVEN_UP = 3
/** A pattern that was given up so often is left out for so many milliseconds of the wall, since each time holds up all calls; after so many it is forgiven. */
const STRIKES = 3
const LEFT_OUT = 60_000
const FORGIVEN = 600_000
/** Slow patterns that are remembered; the oldest makes room. */
const MOST_SLOW = 1000
/** A number is never this long; a regular expression's time grows with it. */
const LONGEST_NUMBER = 128

export interface Pattern<T> {
  pattern: string
  of: T
}

export interface Match<T> {
  found: T | undefined
  /** What the pattern's groups caught, one that caught nothing as an empty text. */
  captures: string[]
  /** Patterns that are no regular expression, or took too long to say. */
  faults: { of: T; why: string }[]
}

/** What one lookup has left, however many lists of patterns it asks. */
export interface Patience {
  givingUp: number
}
export const patienceOfLookup = (): Patience => ({ givingUp: MOST_GIVEN_UP })

const slow = new Map<string, { strikes: number; at: number }>()

const isLeftOut = (pattern: string, now: number): boolean => {
  const { strikes = 0, at = 0 } = slow.get(pattern) ?? {}
  return strikes >= STRIKES && now - at < LEFT_OUT
}

function struck(pattern: string, now: number): void {
  const before = slow.get(pattern)
  const strikes = before === undefined || now - before.at > FORGIVEN ? 1 : before.strikes + 1
  slow.delete(pattern)
  slow.set(pattern, { strikes, at: now })
  const [oldest] = slow.keys()
  if (slow.size > MOST_SLOW && oldest !== undefined) slow.delete(oldest)
}

/** The longest of the captures; a match without one is as good as an empty capture. */
const SCRIPT = new Script(`
for (at += 1; at < expressions.length; at += 1) {
  const match = expressions[at].exec(number)
  const length = match === null ? -1 : Math.max(0, ...match.slice(1).map(capture => (capture === undefined ? 0 : capture.length)))
  if (length > longest) {
    longest = length
    best = at
    captures = match.slice(1).map(capture => capture ?? '').join('\\n')
  }
}`)

/** The pattern with the longest capture; among equals the first. */
export function bestMatch<T>(patterns: readonly Pattern<T>[], number: string, patience = patienceOfLookup(), now = performance.now()): Match<T> {
  const faults: Match<T>['faults'] = []
  const fault = ({ pattern, of }: Pattern<T>, error: unknown): void =>
    void faults.push({ of, why: `${JSON.stringify(pattern).slice(0, 100)}: ${reasonOf(error)}` })

  const usable: Pattern<T>[] = []
  const expressions: RegExp[] = []
  for (const one of number.length > LONGEST_NUMBER ? [] : patterns) {
    if (patience.givingUp <= 0) break
    if (isLeftOut(one.pattern, now)) {
      fault(one, `it was given up ${STRIKES} times and is left out for ${LEFT_OUT / 1000} s`)
      patience.givingUp -= 1
      continue
    }
    try {
      expressions.push(new RegExp(one.pattern))
      usable.push(one)
    } catch (error) {
      fault(one, error)
    }
  }
  if (usable.length === 0) return { found: undefined, captures: [], faults }

  const state = { number, expressions, at: -1, best: -1, longest: -1, captures: '' }
  createContext(state)
  let asked = -1
  // What stands before those that are left out is asked.
  for (let left = Math.max(1, patience.givingUp); left > 0 && state.at < expressions.length; ) {
    try {
      SCRIPT.runInContext(state, { timeout: PATIENCE[state.at + 1 === asked ? 1 : 0] })
    } catch (error) {
      const endless = usable[state.at]
      if (endless === undefined) break
      if (state.at === asked) {
        fault(endless, error)
        struck(endless.pattern, now)
        patience.givingUp -= 1
        left -= 1
      } else {
        asked = state.at
        state.at -= 1
      }
    }
  }
  return { found: usable[state.best]?.of, captures: state.captures === '' ? [] : state.captures.split('\n'), faults }
}
