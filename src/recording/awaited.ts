// What a recording waits for before it begins, and whether that has already been.

import type { Leg, SwitchNode } from '../switch/switch.ts'
import type { InFlight } from './document.ts'

export type Awaited = 'answer' | 'bridge' | 'nothing'

/** With both settings the answer counts, as in Kazoo (kzc_recording.erl). */
export function awaitedBy({ state, settings }: Pick<InFlight, 'state' | 'settings'>): Awaited {
  if (state !== 'waiting') return 'nothing'
  if (settings.record_on_answer?.value === true) return 'answer'
  return settings.record_on_bridge?.value === true ? 'bridge' : 'nothing'
}

/** Two legs are bridged while one still only has early media; they talk when both have answered. */
export async function happened(awaited: Awaited, { answered, otherLeg }: Pick<Leg, 'answered' | 'otherLeg'>, node: SwitchNode): Promise<boolean> {
  if (awaited !== 'bridge') return awaited === 'nothing' || answered
  return answered && otherLeg !== undefined && (await node.leg(otherLeg))?.answered === true
}
