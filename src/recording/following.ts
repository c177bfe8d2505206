// A leg has left its conversation by a transfer: what was recorded of it goes on with the leg it talked to, as the next
// part of the same group. FreeSWITCH's own recording_follow_transfer would move the file out of reach of every
// later command (seen on 1.11).

import type { Clock } from '../clock.ts'
import { Departed } from './departed.ts'
import type { CallFacts, Origin } from './document.ts'
import { isEnd } from './lifecycle.ts'
import type { Live } from './live.ts'
import type { Effective } from './settings.ts'
import type { StartRequest } from './starting.ts'

/** What a recording hands on to its next part: whose it is stays, what it is of becomes the other leg. */
interface Part {
  settings: Effective
  origins: readonly Origin[]
  groupId: string
  earlierMs: number
  facts: Pick<CallFacts, 'interaction_id' | 'owner_id' | 'endpoint_id' | 'label'>
}

/** The one who is left, and what is known of his call. */
export type Survivor = Pick<StartRequest, 'accountId' | 'leg' | 'side' | 'facts'>

/** It has audio, or is about to. */
const runs = ({ state, tells }: Live): boolean => (state !== 'waiting' || tells) && state !== 'stopping' && !isEnd(state)

const partOf = ({ settings, origins, recording, lengthMs }: Live): Part => {
  const { interaction_id, owner_id, endpoint_id, label } = recording
  return {
    settings,
    origins,
    groupId: recording.group_id,
    earlierMs: lengthMs,
    facts: {
      interaction_id,
      ...(owner_id === undefined ? {} : { owner_id }),
      ...(endpoint_id === undefined ? {} : { endpoint_id }),
      ...(label === undefined ? {} : { label }),
    },
  }
}

const follows = ({ settings }: Part): boolean => settings.should_follow_transfer?.value === true

export class Following {
  readonly #departed = new Departed<Part>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Its leg is gone, or it ended by itself: to be told before the recording is. */
  leaving(one: Live): void {
    if (runs(one)) this.#departed.add(one.leg, one.id, partOf(one), this.#clock.elapsed())
  }

  /** What is to be asked for on the other leg; `live`: recordings of the leg that still run. */
  requests(left: string, live: readonly Live[], to: Survivor): StartRequest[] {
    const { owner_id: _owner, endpoint_id: _endpoint, label: _label, ...facts } = to.facts
    for (const one of live) this.leaving(one)
    const parts = this.#departed.take(left, this.#clock.elapsed()).filter(follows)
    // Each origin asks for itself, and equal recordings meet there as ever.
    return parts.flatMap(part =>
      part.origins.map(({ origin, by }) => ({
        ...to,
        facts: { ...facts, ...part.facts },
        settings: part.settings,
        groupId: part.groupId,
        earlierMs: part.earlierMs,
        origin,
        by,
        fresh: false,
      })),
    )
  }
}
