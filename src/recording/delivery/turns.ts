// Whose turn it is. What is due is taken in order, but no destination may take the places of all
// others: one that has not lately taken a file gets one place, and such ones together only half.

import { STORE } from '../document.ts'

export interface Turn {
  id: string
  /** Host of the destination, with its port; or the store. */
  host: string
}

export interface Limits {
  /** Of all tenants' destinations. */
  total: number
  perHost: number
  /** Our own store is no tenant, and writes that wait for the same disk together cost little more than one: they have places of their own. */
  store: number
  /** For all hosts together whose last attempt did not succeed, or that were never tried. */
  unproven: number
}
export const LIMITS: Limits = { total: 16, perHost: 4, store: 32, unproven: 8 }

/** Oldest first. Apart, because a long queue for the store is not looked through each time for a tenant's file. */
export interface Waiting {
  tenants: readonly Turn[]
  store: readonly Turn[]
}

export const sorted = (turns: readonly Turn[]): Waiting => ({
  tenants: turns.filter(({ host }) => host !== STORE),
  store: turns.filter(({ host }) => host === STORE),
})

/** What of it may start now, and what waits on. */
export function takeTurns(
  waiting: Waiting,
  running: Iterable<Turn>,
  proven: ReadonlySet<string>,
  limits: Limits = LIMITS,
): { taken: readonly Turn[]; waiting: Waiting } {
  const perHost = new Map<string, number>()
  let total = 0
  let unproven = 0
  const start = ({ host }: Turn): void => {
    perHost.set(host, (perHost.get(host) ?? 0) + 1)
    if (host === STORE) return
    total++
    if (!proven.has(host)) unproven++
  }
  const mayStart = ({ host }: Turn): boolean => {
    const busy = perHost.get(host) ?? 0
    return proven.has(host) ? busy < limits.perHost : busy < 1 && unproven < limits.unproven
  }
  for (const turn of running) start(turn)
  const places = Math.max(0, limits.store - (perHost.get(STORE) ?? 0))
  const taken = new Set(waiting.store.slice(0, places))
  for (const turn of waiting.tenants) {
    if (total >= limits.total) break
    if (!mayStart(turn)) continue
    start(turn)
    taken.add(turn)
  }
  return { taken: [...taken], waiting: { tenants: waiting.tenants.filter(turn => !taken.has(turn)), store: waiting.store.slice(places) } }
}
