// What a recording waits for before it begins, and whether that has already been.

import type { Leg, SwitchNode } from '../switch/switch.ts'
import type { InFlight } from './document.ts'
import { announceOf } from './telling.ts'

export type Awaited = 'answer' | 'bridge' | 'nothing'

/** With both settings the answer counts, as in Kazoo (kzc_recording.erl). */
export function awaitedBy({ state, settings, message }: Pick<InFlight, 'state' | 'settings' | 'message'>): Awaited {
  if (state !== 'waiting') return 'nothing'
  if (settings.record_on_answer?.value === true) return 'answer'
  if (settings.record_on_bridge?.value === true) return 'bridge'
  // Who has not answered cannot be told.
  return announceOf({ settings, ...(message && { message }) }) === undefined ? 'nothing' : 'answer'
}

/** Two legs are bridged while one still only has early media; they talk when both have answered. */
export async function happened(awaited: Awaited, { answered, otherLeg }: Pick<Leg, 'answered' | 'otherLeg'>, node: SwitchNode): Promise<boolean> {
  if (awaited !== 'bridge') return awaited === 'nothing' || answered
  return answered && otherLeg !== undefined && (await node.leg(otherLeg))?.answered === true
}
