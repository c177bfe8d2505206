// Where several legs talk: whoever is in a room hears all others who are not muted.

import { isUp, type Leg, type Room } from './leg.ts'
import { SILENCE, type Source } from './media.ts'

/** What a member hears: the others. */
export function saidIn(room: Room, to: Leg): Source {
  const says = [...room.members].flatMap(([leg, { muted }]) => (leg === to || muted || !isUp(leg) ? [] : [leg.says]))
  // Beside samples nothing is put.
  const [first = SILENCE] = says
  return says.every(one => 'hz' in one) ? { hz: says.flatMap(({ hz }) => hz) } : first
}
