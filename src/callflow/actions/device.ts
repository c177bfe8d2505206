// device: rings one phone.

import { accountDb, isId } from '../../store/modb.ts'
import type { Action } from '../call.ts'
import { deviceAlone, timeoutFrom } from '../endpoint.ts'
import { next } from '../flow.ts'
import { ring } from '../ring.ts'

export const device: Action = async ({ id, timeout, can_call_self }, call) => {
  const endpoints = typeof id === 'string' && isId(id) ? await deviceAlone(call.ports.store, accountDb(call.accountId), id) : undefined
  if (endpoints === undefined) {
    call.log.warn('device_not_found', { device_id: id })
    return next()
  }
  return ring(call, { endpoints, forwards: 'direct', timeout: timeoutFrom(timeout), strategy: 'simultaneous', canCallSelf: can_call_self === true })
}
