// temporal_route: goes to the child named by the first rule that is active now, else to `_`. Rules are those
// `data.rules` names and then those that children are named after. With `action` it switches them instead.

import { accountDb } from '../../store/modb.ts'
import type { Stored } from '../../store/store.ts'
import type { Action, Call } from '../call.ts'
import { text } from '../documents.ts'
import { next } from '../flow.ts'
import { activeRule, rulesOf } from '../temporal-rules.ts'

/** What each makes of a rule: active always, never, or by its clock again. */
export const SWITCHED: Readonly<Record<string, boolean | undefined>> = { enable: true, disable: false, reset: undefined }

export const temporal_route: Action = async ({ rules, timezone, action }, call) => {
  const { children, log, ports, account, device, user } = call
  const asking = { store: ports.store, log, db: accountDb(call.accountId) }
  if (typeof action === 'string' && Object.hasOwn(SWITCHED, action)) {
    await switchRules(call, await rulesOf(asking, { rules, children }), action)
    return next()
  }
  const zones = [timezone, ...[device, user, account].map(doc => doc?.['timezone'])]
  const active = await activeRule({ ...asking, at: ports.clock.now() }, { rules, children, zones })
  log.info('temporal_rule_chosen', { rule_id: active?._id, rule: text(active?.['name']) })
  return active === undefined ? next() : next(active._id)
}

async function switchRules(call: Call, rules: readonly Stored[], action: string): Promise<void> {
  for (const { enabled: _, ...rule } of rules) {
    const enabled = SWITCHED[action]
    await call.ports.store.put(accountDb(call.accountId), { ...rule, ...(enabled === undefined ? {} : { enabled }) })
    call.log.info('temporal_rule_switched', { rule_id: rule._id, action })
  }
}
