// Where several legs talk: whoever is in a room hears all others who are not muted.

import { isUp, type Leg } from './leg.ts'
import { SILENCE, type Source } from './media.ts'

export interface Room {
  readonly members: Map<Leg, { muted: boolean; leave: () => void }>
}

/** What a member hears: the others. */
export function saidIn(room: Room, to: Leg): Source {
  const says = [...room.members].flatMap(([leg, { muted }]) => (leg === to || muted || !isUp(leg) ? [] : [leg.says]))
  // Beside samples nothing is put.
  const [first = SILENCE] = says
  return says.every(one => 'hz' in one) ? { hz: says.flatMap(({ hz }) => hz) } : first
}
