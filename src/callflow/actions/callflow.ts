// callflow: goes on in another callflow; when that has run out of nodes, at `_`.

import { accountDb, isId } from '../../store/modb.ts'
import type { Action } from '../call.ts'
import { live } from '../documents.ts'
import { branch, next } from '../flow.ts'

export const callflow: Action = async ({ id }, call) => {
  if (typeof id !== 'string' || !isId(id)) {
    call.log.warn('callflow_not_found', { why: 'data.id is no id' })
    return next()
  }
  const into =
    [call.dialled, call.branched.get(id)].find(seen => seen?._id === id) ?? live(await call.ports.store.get(accountDb(call.accountId), id), 'callflow')
  if (into === undefined) {
    call.log.warn('callflow_not_found', { into: id, why: 'there is no such callflow' })
    return next()
  }
  call.branched.set(id, into)
  return branch(into)
}
