// Which of the rules that a temporal_route names is active at a moment, by the clock of the first zone that is known.

import type { Log } from '../log.ts'
import { isId } from '../store/modb.ts'
import type { Store, Stored } from '../store/store.ts'
import { live } from './documents.ts'
import { isActive, localTime, type Local } from './temporal.ts'

interface Asking {
  store: Store
  log: Log
  db: string
  /** Unix milliseconds. */
  at: number
}

export interface Route {
  /** Of the action's data. */
  rules: unknown
  /** Keys of the children, which may be rules as well. */
  children: readonly string[]
  /** The strongest first; UTC is last anyway. */
  zones: readonly unknown[]
}

/** Those `rules` names and then those that children are named after. */
export async function rulesOf({ store, log, db }: Omit<Asking, 'at'>, { rules, children }: Pick<Route, 'rules' | 'children'>): Promise<Stored[]> {
  const named = Array.isArray(rules) ? rules.filter(id => typeof id === 'string') : []
  const ids = [...new Set([...named, ...children])].filter(isId)
  const found = await store.getMany(db, ids)
  const known = found.flatMap(doc => live(doc, 'temporal_rule') ?? [])
  if (known.length < named.length) log.warn('temporal_rule_not_found', { wanted: named.length, found: known.length })
  return known
}

export async function activeRule(asking: Asking, route: Route): Promise<Stored | undefined> {
  const known = await rulesOf(asking, route)
  const now = timeAt(asking, route.zones)
  return known.find(rule => isActive(rule, now))
}

function timeAt({ at, log }: Asking, zones: readonly unknown[]): Local {
  for (const zone of [...zones, 'UTC']) {
    if (typeof zone !== 'string' || zone === '') continue
    const local = localTime(at, zone)
    if (local !== undefined) return local
    log.warn('timezone_unknown', { timezone: zone.slice(0, 100) })
  }
  throw new Error('UTC is not known')
}
