// transfer: the caller goes on in the callflow that has another number, and does not come back. It is a new
// call in all but its leg: policy is asked again, and expressions see the new destination.

import { accountDb } from '../../store/modb.ts'
import type { Action } from '../call.ts'
import { text } from '../documents.ts'
import { next, replace } from '../flow.ts'
import { callflowOf } from '../lookup.ts'
import { recordAgain } from '../recording.ts'

export const transfer: Action = async ({ target, captures = [] }, call) => {
  const number = text(target)
  const mayLeave = Array.isArray(captures) && captures.includes('no_match') && call.way.from === 'onnet'
  const found = number === '' ? undefined : await callflowOf(call.ports.store, accountDb(call.accountId), number, mayLeave, call.log)
  if (found === undefined) {
    call.log.warn('transfer_target_not_found', { target: number.slice(0, 100), why: 'no callflow has this number' })
    return next('UNALLOCATED_NUMBER')
  }
  const { callflow, to } = found
  call.log.info('call_transferred', { target: number, into: callflow._id })
  call.number = number
  call.captures = found.captures
  call.dialled = callflow
  call.callflow = callflow
  call.way = { ...call.way, to }
  await call.node.setVariables(call.leg.uuid, { callrec_callflow_id: callflow._id })
  await recordAgain(call)
  return replace(callflow)
}
