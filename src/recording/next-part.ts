// A conversation is longer than a file may be: the next part of it begins, and only when it runs does
// the full one end, so that some milliseconds are heard twice and none is missing. Or it is joined by somebody who was not told.

import { reasonOf } from '../errors.ts'
import { recordingId } from '../store/modb.ts'
import { factsOf } from './document.ts'
import { runs } from './lifecycle.ts'
import type { Live } from './live.ts'
import { recordingsBefore } from './ordinal.ts'
import type { Roster } from './roster.ts'
import type { StartingPorts } from './starting.ts'

export async function goOn(ports: StartingPorts, roster: Roster, full: Live): Promise<void> {
  if (!runs(full.state)) return
  const running = roster.ofLeg(full.leg).find(one => one !== full && runs(one.state) && isAfter(one, full))
  const next = running ?? (await nextPart(ports, roster, full))
  if (next !== undefined && runs(next.state)) return full.tell('limit_reached')
  const { inFlight, recording } = full
  ports.log.error('recording_not_continued', {
    account_id: inFlight.account_id,
    recording_id: full.id,
    leg: full.leg,
    group_id: recording.group_id,
  })
}

/** Somebody has joined who was not told: what he says is only kept in a next part, which waits until he was. */
export async function tellNewcomer(ports: StartingPorts, roster: Roster, one: Live): Promise<void> {
  if (!runs(one.state)) return
  await one.giveWay()
  const next = await entered(ports, roster, one)
  await next?.begin()
}

async function nextPart(ports: StartingPorts, roster: Roster, full: Live): Promise<Live | undefined> {
  const one = await entered(ports, roster, full)
  await one?.begin()
  await one?.begun
  return one
}

/** Undefined when it could not be written down. */
async function entered(ports: StartingPorts, roster: Roster, { leg, settings, node, origins, inFlight, recording, lengthMs }: Live): Promise<Live | undefined> {
  const { clock, log, random } = ports
  const now = clock.now()
  const [first, ...others] = origins
  if (first === undefined) return undefined
  const accountId = inFlight.account_id
  const { transcription } = recording
  const id = recordingId(now, random(16))
  try {
    return await roster.enter({
      id,
      accountId,
      node,
      leg,
      side: inFlight.side,
      facts: factsOf(recording),
      settings,
      format: recording.media_type,
      written: inFlight.encode === undefined ? recording.media_type : 'wav',
      warnings: recording.warnings ?? [],
      origins: [first, ...others],
      groupId: recording.group_id,
      earlierMs: lengthMs,
      ...(transcription === undefined ? {} : { transcription: { language: transcription.language, sentiment: transcription.sentiment } }),
      state: 'waiting',
      sampleRate: recording.sample_rate,
      before: await recordingsBefore(ports, roster, { accountId, leg, now }),
      now,
    })
  } catch (error) {
    log.error('recording_not_started', { account_id: accountId, recording_id: id, leg, reason: reasonOf(error) })
    return undefined
  }
}

/** Is one the part that follows the other? After a restart both may be found running. */
const isAfter = (one: Live, other: Live): boolean =>
  one.recording.group_id === other.recording.group_id && (one.inFlight.started_at ?? 0) > (other.inFlight.started_at ?? 0)
