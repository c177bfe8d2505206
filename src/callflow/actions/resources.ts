// resources: leaves by a trunk. The trunks of the account are tried one after the other until one gets through
// to somebody, even if he is busy; whose recording depends on leaving is decided before.

import { bridge, newLegId, showCaller } from '../bridge.ts'
import type { Action, Call } from '../call.ts'
import { text } from '../documents.ts'
import { timeoutFrom } from '../endpoint.ts'
import { next } from '../flow.ts'
import { isTelephoneNumber, waysFor } from '../leaving.ts'
import { recordLeaving } from '../recording.ts'
import { tryAnother } from '../trunks.ts'

const DEFAULT_TIMEOUT = 60

export const resources: Action = async ({ to_did, caller_id_type, timeout = DEFAULT_TIMEOUT }, call) => {
  const number = text(to_did) || call.number
  const why = whyNot(call, number, to_did)
  if (why !== undefined) {
    call.log.warn('number_not_dialled', { wanted: number.slice(0, 100), why })
    return next('INVALID_NUMBER_FORMAT')
  }
  const ways = await waysFor(call.ports.store, call.log, call.accountId, number)
  if (ways.length === 0) return next('NO_ROUTE_DESTINATION')
  await recordLeaving(call)
  await showCaller(call, caller_id_type === 'internal' ? 'internal' : 'external')
  let outcome = next('NO_ROUTE_DESTINATION')
  for (const { resourceId, gateway, endpoint } of ways) {
    call.log.info('trunk_tried', { resource_id: resourceId, gateway })
    outcome = await bridge(call, [{ uuid: newLegId(call), endpoint, trunk: true }], timeoutFrom(timeout))
    if (outcome.go === 'stop' || call.signal.aborted || !tryAnother(call.last?.cause ?? '')) break
  }
  return outcome
}

/** A caller from a trunk who goes back where he came from, by the same number, would come in again and again. */
function whyNot(call: Call, number: string, to: unknown): string | undefined {
  if (!isTelephoneNumber(number)) return 'not a telephone number'
  return call.way.from === 'offnet' && text(to) === '' ? 'a call from a trunk leaves only to a number the callflow names (to_did)' : undefined
}
