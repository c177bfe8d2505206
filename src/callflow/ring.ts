// Ringing somebody: what was planned, together or in turn, until one answers.

import { branch, next, type Outcome } from './flow.ts'
import { bridge, newLegId, type Rung, showCaller } from './bridge.ts'
import type { Call } from './call.ts'
import { type Planned, planOf, type Wanted } from './plan.ts'
import { recordLeaving } from './recording.ts'

export interface Ring extends Wanted {
  /** Whole seconds until nobody's answer is taken; of phones that ring in turn, for each that has no time of its own. */
  timeout: number
  /** `single`: one after the other, in the order they are given. */
  strategy: 'simultaneous' | 'single'
  /** How often all of them are rung; once unless said. */
  repeats?: number
}

/** With these nothing of ours rang. */
const UNREACHABLE: ReadonlySet<string> = new Set(['USER_NOT_REGISTERED', 'SUBSCRIBER_ABSENT'])

/** Stops the flow when somebody answered; else the child named by the hangup cause, by the SIP status, or `_`. */
export async function ring(call: Call, how: Ring): Promise<Outcome> {
  const { account, device, log, ports } = call
  const { ring: planned, otherwise, into } = await planOf({ store: ports.store, log, account, device }, how)
  if (into !== undefined) {
    call.branched.set(into._id, into)
    return branch(into)
  }
  if (planned.length === 0 && otherwise.length === 0) {
    log.warn('nobody_to_ring')
    return next('USER_NOT_REGISTERED')
  }
  const outcome = await ringPlanned(call, planned, how)
  const reached = outcome.go === 'stop' || (planned.length > 0 && !UNREACHABLE.has(call.last?.cause ?? ''))
  return reached || otherwise.length === 0 || call.signal.aborted ? outcome : ringPlanned(call, otherwise, how)
}

async function ringPlanned(call: Call, planned: readonly Planned[], { strategy, timeout, repeats = 1 }: Ring): Promise<Outcome> {
  let outcome = next('USER_NOT_REGISTERED')
  if (planned.length === 0) return outcome
  if (planned.some(({ outside }) => outside !== undefined)) await recordLeaving(call)
  await showCaller(call, 'internal')
  const turns = strategy === 'single' ? planned.map(alone) : [{ together: planned, seconds: timeout }]
  for (let left = repeats; left > 0; left -= 1) {
    for (const { together, seconds = timeout } of turns) {
      outcome = await bridge(
        call,
        together.map(one => rung(one, call, seconds)),
        seconds,
      )
      if (outcome.go === 'stop' || call.signal.aborted) return outcome
    }
  }
  return outcome
}

/** Who rings alone has nobody to wait for, and the bridge's limit is his. */
function alone(planned: Planned): { together: Planned[]; seconds: number | undefined } {
  const { delay: _delay, timeout, ...rest } = planned
  return { together: [rest], seconds: timeout }
}

/** A leg's own limit is left out where the bridge's comes first. */
function rung({ endpoint, parties, outside, keypress, shows, delay = 0, timeout }: Planned, call: Call, seconds: number): Rung {
  const uuid = newLegId(call)
  const shorter = timeout !== undefined && delay + timeout < seconds
  return {
    uuid,
    endpoint,
    ...(delay > 0 ? { delay } : {}),
    ...(shorter ? { timeout } : {}),
    callees: parties.map(party => ({ uuid, ...party, ...(outside === undefined ? {} : { outside }), keypress })),
    ...(outside === undefined ? {} : { trunk: true }),
    ...(keypress ? { keypress } : {}),
    ...(shows === undefined ? {} : { shows }),
  }
}
