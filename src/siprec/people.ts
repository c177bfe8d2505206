// Who takes part in a recorded conversation, as its servers are told: the caller, and whoever he talks to now. Pure.

import type { CallFacts } from '../recording/document.ts'
import type { Leg } from '../switch/switch.ts'
import type { Mode } from './document.ts'
import { aorOf, type Participant, type Snapshot, type Stream } from './metadata.ts'

export interface People {
  caller: Participant
  /** The latest is the one who is there, unless he left, too. */
  others: readonly Participant[]
}

/** Ids of 16 bytes as RFC 7865 writes them. */
export type NewId = () => string

const hostOf = (address: string): string => address.split('@')[1] ?? ''

export function peopleOf(facts: CallFacts, newId: NewId, since: string): People {
  const host = hostOf(facts.from) || hostOf(facts.to)
  return {
    caller: { id: newId(), aor: aorOf(facts.caller_id_number, host), name: facts.caller_id_name, since },
    others: [{ id: newId(), aor: aorOf(facts.callee_id_number, hostOf(facts.to) || host), name: facts.callee_id_name, since }],
  }
}

/** The recorded leg talks to another one now; undefined when that is who was there already. */
export function joined(
  people: People,
  other: Pick<Leg, 'destination' | 'calleeIdNumber' | 'calleeIdName' | 'sipTo'>,
  newId: NewId,
  at: string,
): People | undefined {
  const aor = aorOf(other.calleeIdNumber || other.destination, hostOf(other.sipTo) || hostOf(people.caller.aor))
  const before = people.others.at(-1)
  if (before !== undefined && before.until === undefined && before.aor === aor) return undefined
  return { ...people, others: [...left(people, at).others, { id: newId(), aor, name: other.calleeIdName, since: at }] }
}

export const left = (people: People, at: string): People => ({
  ...people,
  others: people.others.map(one => (one.until === undefined ? { ...one, until: at } : one)),
})

/** Labels 1 and 2 are the caller's and the other's, whichever leg is recorded. */
export const streamIds = (mode: Mode, newId: NewId): readonly { id: string; label: string }[] =>
  (mode === 'mixed' ? ['1'] : ['1', '2']).map(label => ({ id: newId(), label }))

export function snapshotOf(
  { caller, others }: People,
  ids: { groupId: string; sessionId: string; streams: readonly { id: string; label: string }[] },
  about: { since: string; recordingId: string; paused: boolean },
): Snapshot {
  const there = others.filter(one => one.until === undefined).map(one => one.id)
  const mixed = ids.streams.length === 1
  const streams = ids.streams.map(({ id, label }): Stream => ({ id, label, speakers: mixed ? [caller.id, ...there] : label === '1' ? [caller.id] : there }))
  return { groupId: ids.groupId, sessionId: ids.sessionId, participants: [caller, ...others], streams, ...about }
}
