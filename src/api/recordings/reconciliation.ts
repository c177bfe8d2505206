// A day's recordings against what was promised: how many were expected, and what came of each of them.

import { monthDb } from '../../store/modb.ts'
import { asReadBy } from '../validation/secrets.ts'
import { orNothing } from '../documents/months.ts'
import { listPage } from '../documents/page.ts'
import { problem, refuse } from '../validation/problems.ts'
import { view } from './recording-view.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

const VIEW = 'reconciliation/by_day'

/** expected = recorded + discarded + missing + running, and recorded = delivered + waiting + undelivered. */
export const LISTS = ['expected', 'recorded', 'discarded', 'missing', 'running', 'delivered', 'waiting', 'undelivered'] as const

/** Of each list, beside its count; `list` asks for all of one. */
const FIRST = 20

export const reconciliationRoutes = (room: Room): Route[] => [
  { method: 'GET', path: '/v2/accounts/:account/recordings/reconciliation', access: 'admin', run: request => reconcile(room, request) },
]

async function reconcile({ store }: Room, { account, query, who }: Request): Promise<Answer> {
  const day = query.get('day') ?? ''
  if (!isDay(day)) refuse(problem('day', 'pattern', { message: 'Not a day such as 2026-05-16 (UTC)', target: 'YYYY-MM-DD', value: day }))
  const db = monthDb(account._id, day.slice(0, 7).replace('-', ''))
  const list = query.get('list')
  if (list !== null) {
    const known = LISTS.find(one => one === list)
    if (known === undefined) refuse(problem('list', 'enum', { message: 'Value not found in enumerated list of values', target: LISTS, value: list }))
    const empty: Answer = { data: [], beside: { page_size: 0 } }
    return orNothing(listPage(store, query, { db, view: VIEW, whose: [day, list], whole: true, visible: doc => asReadBy(who, view(doc)) }), empty)
  }
  const range = (name: string) => ({ startKey: [day, name], endKey: [day, name, {}] })
  const sums = LISTS.map(async name => {
    const [count, rows] = await Promise.all([
      orNothing(store.reduce(db, VIEW, range(name)), 0),
      orNothing(store.query(db, VIEW, { ...range(name), limit: FIRST }), []),
    ])
    return [name, { count, recordings: rows.map(({ id }) => id) }] as const
  })
  return { data: { day, ...Object.fromEntries(await Promise.all(sums)) } }
}

const isDay = (text: string): boolean => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) && new Date(text).toISOString().startsWith(text)
