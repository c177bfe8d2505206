// temporal_route: goes to the child named by the first rule that is active now, else to `_`. Rules are those
// `data.rules` names and then those that children are named after. With `action` it switches them instead.

import { accountDb, isId } from '../../store/modb.ts'
import type { Stored } from '../../store/store.ts'
import type { Action, Call } from '../call.ts'
import { live, text } from '../documents.ts'
import { next } from '../flow.ts'
import { isActive, localTime, type Local } from '../temporal.ts'

/** What each makes of a rule: active always, never, or by its clock again. */
const SWITCHED: Readonly<Record<string, boolean | undefined>> = { enable: true, disable: false, reset: undefined }

export const temporal_route: Action = async ({ rules, timezone, action }, call) => {
  const named = Array.isArray(rules) ? rules.filter(id => typeof id === 'string') : []
  const ids = [...new Set([...named, ...call.children])].filter(isId)
  const found = await call.ports.store.getMany(accountDb(call.accountId), ids)
  const known = found.flatMap(doc => live(doc, 'temporal_rule') ?? [])
  if (known.length < named.length) call.log.warn('temporal_rule_not_found', { wanted: named.length, found: known.length })
  if (typeof action === 'string' && Object.hasOwn(SWITCHED, action)) {
    await switchRules(call, known, action)
    return next()
  }
  const now = timeOf(call, timezone)
  const active = known.find(rule => isActive(rule, now))
  call.log.info('temporal_rule_chosen', { rule_id: active?._id, rule: text(active?.['name']) })
  return active === undefined ? next() : next(active._id)
}

async function switchRules(call: Call, rules: readonly Stored[], action: string): Promise<void> {
  for (const { enabled: _, ...rule } of rules) {
    const enabled = SWITCHED[action]
    await call.ports.store.put(accountDb(call.accountId), { ...rule, ...(enabled === undefined ? {} : { enabled }) })
    call.log.info('temporal_rule_switched', { rule_id: rule._id, action })
  }
}

/** By the clock of the node, the caller's device, his user, the account, else UTC. */
function timeOf(call: Call, timezone: unknown): Local {
  const unixMs = call.ports.clock.now()
  for (const zone of [timezone, ...[call.device, call.user, call.account].map(doc => doc?.['timezone']), 'UTC']) {
    if (typeof zone !== 'string' || zone === '') continue
    const local = localTime(unixMs, zone)
    if (local !== undefined) return local
    call.log.warn('timezone_unknown', { timezone: zone.slice(0, 100) })
  }
  throw new Error('UTC is not known')
}
