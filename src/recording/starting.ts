// A recording is asked for: it joins one that runs with the same settings, or gets documents of its
// own and begins as soon as what it waits for has happened.

import type { Clock } from '../clock.ts'
import { AppError, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { recordingId } from '../store/modb.ts'
import type { Store } from '../store/store.ts'
import type { Leg, Switches } from '../switch/switch.ts'
import { happened } from './awaited.ts'
import type { Encoder } from './audio/encoder.ts'
import type { By, CallFacts, Side } from './document.ts'
import type { NewRecording } from './new-recording.ts'
import type { State } from './lifecycle.ts'
import type { Live } from './live.ts'
import { recordingsBefore } from './ordinal.ts'
import type { Roster } from './roster.ts'
import { type Effective, sameFile } from './settings.ts'
import type { TranscriptionWish } from './transcript.ts'

export interface StartRequest {
  accountId: string
  /** The leg to record. One that is about to be rung need not exist yet: its uuid is chosen before the bridge. */
  leg: Pick<Leg, 'node' | 'uuid' | 'answered' | 'otherLeg' | 'sampleRate'>
  /** The leg has just come, or is about to: nobody but this recorder can have recorded it before, and the store need not be asked. */
  fresh: boolean
  side: Side
  facts: CallFacts
  /** With `record_on_answer` or `record_on_bridge` it waits for that, unless it has already happened. */
  settings: Effective
  origin: string
  by: By
  /** Of the recording it goes on from. */
  groupId?: string
  /** Milliseconds of that. */
  earlierMs?: number
  /** More than two: one for each party, of which there is a file of one format alone. */
  channels?: number
  /** What is said is wanted as text. */
  transcription?: TranscriptionWish
}

export interface Started {
  id: string
  state: State
  /** The leg was already being recorded with the same settings: the origin was added to that recording. */
  joined: boolean
  reason?: string
}

export interface StartingPorts {
  store: Store
  switches: Switches
  clock: Clock
  log: Log
  metrics: Metrics
  encoder: Pick<Encoder, 'formats'>
  /** Hex of so many bytes. */
  random: (bytes: number) => string
}

/** Hz, where a leg has no media yet: what a phone network gives. */
const USUAL_RATE = 8000

export async function start(ports: StartingPorts, roster: Roster, request: StartRequest): Promise<Started> {
  const { leg, facts, settings, origin, by } = request
  const twin = roster.ofLeg(leg.uuid).find(one => one.state !== 'stopping' && isShared(one, facts) && sameFile(one.settings, settings))
  if (twin !== undefined) {
    // Policy is decided again at every turn of a call; an action that starts twice is to be stopped twice.
    const known = by === 'policy' && twin.origins.some(one => one.by === 'policy' && one.origin === origin)
    if (!known) await twin.addOrigin({ origin, by, at: ports.clock.now() })
    return standing(twin, true)
  }
  const one = await entered(ports, roster, request)
  if (!('ask' in one)) return one
  if (await alreadyHappened(ports, one, leg)) await one.begin()
  return standing(one, false)
}

/** What was asked for cannot be done, whatever the switch says: `warnings` say why, and the document is all there is of it. */
export async function refused(ports: StartingPorts, roster: Roster, request: StartRequest, reason: string, warnings: readonly string[]): Promise<Started> {
  const one = await entered(ports, roster, { ...request, warnings })
  if (!('ask' in one)) return one
  await one.tell('start_refused', { reason })
  return standing(one, false)
}

/** A recording of its own, once its documents are written; what is to be told instead when they cannot be. */
export async function entered(
  ports: StartingPorts,
  roster: Roster,
  request: StartRequest & Partial<Pick<NewRecording, 'message' | 'warnings'>>,
): Promise<Live | Started> {
  const { switches, clock, log, metrics, random } = ports
  const { accountId, leg, fresh, side, facts, settings, origin, by, groupId, earlierMs, message, channels, transcription } = request
  const now = clock.now()
  const { state, reason, formats } = switches.node(leg.node).status()
  if (state === 'standby') throw new AppError('switch_down', `${leg.node} is not ours to record on: ${reason ?? ''}`, { node: leg.node })
  const { format, written, warnings } = writable(settings, formats, ports.encoder.formats)
  const made: NewRecording = {
    id: recordingId(now, random(16)),
    accountId,
    node: leg.node,
    leg: leg.uuid,
    side,
    facts,
    settings,
    format,
    written,
    warnings: [...warnings, ...(request.warnings ?? [])],
    origins: [{ origin, by, at: now }],
    ...(groupId === undefined ? {} : { groupId }),
    ...(earlierMs === undefined ? {} : { earlierMs }),
    ...(channels === undefined ? {} : { channels }),
    ...(message === undefined ? {} : { message }),
    ...(transcription === undefined ? {} : { transcription }),
    state: 'waiting',
    sampleRate: settings.record_sample_rate?.value ?? (leg.sampleRate || USUAL_RATE),
    before: fresh ? roster.ofLeg(leg.uuid).length : await recordingsBefore(ports, roster, { accountId, leg: leg.uuid, now }),
    now,
  }
  try {
    return await roster.enter(made)
  } catch (error) {
    const { id } = made
    metrics.count('callrec_recordings_total', { outcome: 'failed', reason: error instanceof AppError ? error.code : 'unspecified_fault' })
    log.error('recording_not_started', { account_id: accountId, recording_id: id, leg: leg.uuid, reason: reasonOf(error) })
    return { id, state: 'failed', joined: false, reason: reasonOf(error) }
  }
}

/** What a voice application asks for is a file of its own, and so is a message. */
const isShared = ({ recording, inFlight }: Live, { pvt_voice }: CallFacts): boolean =>
  recording.pvt_voice === undefined && pvt_voice === undefined && inFlight.message === undefined

export const standing = (one: Live, joined: boolean): Started => ({
  id: one.id,
  state: one.state,
  joined,
  ...(one.reason === undefined ? {} : { reason: one.reason }),
})

/** What of a switch that cannot be asked is not known is asked again when it is back. */
const alreadyHappened = ({ switches, log }: StartingPorts, one: Live, leg: StartRequest['leg']): Promise<boolean> =>
  happened(one.awaits, leg, switches.node(leg.node)).catch((error: unknown) => {
    log.warn('recording_start_unconfirmed', { recording_id: one.id, leg: leg.uuid, reason: reasonOf(error) })
    return false
  })

/** A recording is never lost to its format: what nobody here can write becomes wav, and the document says so. */
function writable(settings: Effective, writes: readonly string[], makes: readonly string[]): Pick<NewRecording, 'format' | 'written' | 'warnings'> {
  const asked = settings.format?.value
  const format = asked ?? 'mp3'
  if (format === 'wav' || writes.includes(format)) return { format, written: format, warnings: [] }
  // Nobody waits for a format that nobody asked for.
  if (asked !== undefined && makes.includes(format)) return { format, written: 'wav', warnings: [] }
  const why = `the switch cannot write ${format}${format === 'mp3' ? ' (mod_shout is not loaded)' : ''}, and there is no ffmpeg that makes it: recorded as wav`
  return { format: 'wav', written: 'wav', warnings: asked === undefined ? [] : [why] }
}
