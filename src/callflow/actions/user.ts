// user: rings the phones a user owns.

import { accountDb, isId } from '../../store/modb.ts'
import type { Action } from '../call.ts'
import { live } from '../documents.ts'
import { devicesOfUser, timeoutFrom } from '../endpoint.ts'
import { next } from '../flow.ts'
import { ring } from '../ring.ts'

export const user: Action = async ({ id, timeout, strategy, can_call_self }, call) => {
  const endpoints = typeof id === 'string' && isId(id) ? await devicesOfUser(call.ports.store, accountDb(call.accountId), id) : undefined
  if (endpoints === undefined) {
    call.log.warn('user_not_found', { user_id: id })
    return next()
  }
  // He may forward his calls without having a phone.
  const owner = endpoints.length > 0 ? undefined : live(await call.ports.store.get(accountDb(call.accountId), String(id)), 'user')
  return ring(call, {
    endpoints,
    owner,
    forwards: 'direct',
    timeout: timeoutFrom(timeout),
    strategy: strategy === 'single' ? 'single' : 'simultaneous',
    canCallSelf: can_call_self === true,
  })
}
