// Which trunks a number may leave by, and what is dialled there: pure. Resources come cheapest first; a rule is
// a tenant's regular expression whose first group, where it has one, is what the carrier wants to see.

import type { Doc } from '../store/store.ts'
import { isDisabled, isObject, text } from './documents.ts'
import { bestMatch, type Patience, patienceOfLookup } from './patterns.ts'

export interface Way {
  resourceId: string
  gateway: string
  /** As the carrier gets it. */
  number: string
}

/** Nobody else will do better with these: it is the called party that failed, not the way to it. */
const FINAL: ReadonlySet<string> = new Set([
  'USER_BUSY',
  'NO_ANSWER',
  'CALL_REJECTED',
  'UNALLOCATED_NUMBER',
  'NUMBER_CHANGED',
  'INVALID_NUMBER_FORMAT',
  'ORIGINATOR_CANCEL',
])

/** Whether the next trunk is tried after this one ended so. */
export const tryAnother = (cause: string): boolean => !FINAL.has(cause)

const DEFAULT_COST = 50
const costOf = (resource: Doc): number => (typeof resource['weight_cost'] === 'number' ? resource['weight_cost'] : DEFAULT_COST)
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** The number as this resource takes it; undefined where none of its rules does. */
function admitted(resource: Doc, number: string, patience: Patience, fault: (why: string) => void): string | undefined {
  const rules = list(resource['rules']).filter(rule => typeof rule === 'string')
  if (rules.length === 0) return number
  const { found, captures, faults } = bestMatch(
    rules.map(pattern => ({ pattern, of: resource })),
    number,
    patience,
  )
  for (const { why } of faults) fault(why)
  return found === undefined ? undefined : captures[0] || number
}

/** Among resources of one cost the order they were given in. `fault` hears of rules that cannot be used. */
export function waysOut(resources: readonly Doc[], number: string, fault: (resource: Doc, why: string) => void): Way[] {
  const patience = patienceOfLookup()
  return resources
    .filter(resource => !isDisabled(resource))
    .toSorted((a, b) => costOf(a) - costOf(b))
    .flatMap(resource => {
      const dialled = admitted(resource, number, patience, why => fault(resource, why))
      if (dialled === undefined) return []
      return list(resource['gateways']).flatMap(one =>
        isObject(one) && one['enabled'] !== false
          ? [{ resourceId: resource._id, gateway: text(one['gateway']), number: `${text(one['prefix'])}${dialled}${text(one['suffix'])}` }]
          : [],
      )
    })
}
