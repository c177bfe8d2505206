// ring_group: rings devices, users and groups, together or one after the other. In turn, a member that is a
// user or a group stays together in the order but its phones ring one by one.

import type { Action } from '../call.ts'
import { timeoutFrom } from '../endpoint.ts'
import { next } from '../flow.ts'
import { membersIn, phonesOf, shuffled } from '../members.ts'
import { ring } from '../ring.ts'

const MOST_REPEATS = 100

export const ring_group: Action = async ({ endpoints, strategy, timeout, repeats = 1, ignore_forward }, call) => {
  const members = membersIn(endpoints)
  if (members.length === 0) {
    call.log.warn('nobody_to_ring', { why: 'data.endpoints names nobody' })
    return next()
  }
  const random = (): number => (Number.parseInt(call.ports.random(4), 16) + 1) / 2 ** 32
  const ordered = strategy === 'weighted_random' ? shuffled(members, random) : members
  const times = Math.trunc(Number(repeats))
  return ring(call, {
    endpoints: await phonesOf({ ...call, ...call.ports, log: call.log }, ordered),
    forwards: ignore_forward === false ? 'group' : 'ignored',
    timeout: timeoutFrom(timeout),
    strategy: strategy === 'single' || strategy === 'weighted_random' ? 'single' : 'simultaneous',
    canCallSelf: false,
    repeats: times >= 1 ? Math.min(times, MOST_REPEATS) : 1,
  })
}
