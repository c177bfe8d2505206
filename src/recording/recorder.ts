// Starts and stops recordings on legs, and brings what the switch tells to the one it is about.

import { AppError, isCode, reasonOf } from '../errors.ts'
import type { Facts } from '../log.ts'
import { monthDb, monthOf, recordingId } from '../store/modb.ts'
import type { Leg, SwitchEvent, Switches } from '../switch/switch.ts'
import {
  type By,
  type CallFacts,
  IN_FLIGHT,
  type InFlight,
  inFlightOf,
  type NewRecording,
  type Recording,
  factsOf,
  recordingDbOf,
  recordingOf,
  type Side,
} from './document.ts'
import { isEnd, type State } from './lifecycle.ts'
import { happened, Live, type LivePorts } from './live.ts'
import { type Effective, sameFile } from './settings.ts'

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
}

export interface Started {
  id: string
  state: State
  /** The leg was already being recorded with the same settings: the origin was added to that recording. */
  joined: boolean
  reason?: string
}

export interface Recorder {
  /**
   * Resolves once the documents are written and, unless it waits for an answer or a bridge, the switch replied. A refusal by the
   * switch or the store is `state: failed` with the reason, not a throw: a call is never cut off because it cannot be recorded.
   */
  start(request: StartRequest): Promise<Started>
  /** Takes the latest origin an action made off a leg; the recording ends with its last origin. Undefined when there is none to stop. */
  stopLatest(leg: string): Promise<Started | undefined>
  /** Every recording of a leg that has not ended. */
  running(leg: string): readonly { id: string; settings: Effective; state: State; origins: readonly string[] }[]
  /** A leg that was to be rung was never made. */
  legNeverCame(leg: string): void
  /** The switch goes on recording; whoever connects to it next finds the recordings by their documents. */
  close(): Promise<void>
}

export interface RecorderPorts extends Omit<LivePorts, 'node'> {
  switches: Switches
  /** Hex of so many bytes. */
  random: (bytes: number) => string
}

/** Milliseconds of call time until what could not be adopted is looked at again. */
const ADOPT_AGAIN = 5_000

/** Hz, where a leg has no media yet: what a phone network gives. */
const USUAL_RATE = 8000

export function startRecorder(ports: RecorderPorts): Recorder {
  const { switches, store, clock, log, metrics, random } = ports
  const livePorts: LivePorts = { ...ports, node: name => switches.node(name) }
  const live = new Map<string, Live>()
  const byLeg = new Map<string, Live[]>()
  /** The last of the starts asked for on each leg: they are taken one at a time, so that equal ones meet. */
  const turns = new Map<string, Promise<unknown>>()

  function inTurn<T>(leg: string, run: () => Promise<T>): Promise<T> {
    const turn = (turns.get(leg) ?? Promise.resolve()).then(run)
    const settled = turn.catch(() => {})
    turns.set(leg, settled)
    void settled.then(() => turns.get(leg) === settled && turns.delete(leg))
    return turn
  }

  const ofLeg = (leg: string): Live[] => (byLeg.get(leg) ?? []).filter(one => !isEnd(one.state))

  function watch(inFlight: InFlight, recording: Recording): Live {
    const one = new Live(livePorts, inFlight, recording, { end: () => forget(one), full: () => inTurn(one.leg, () => goOn(one)) })
    live.set(one.id, one)
    byLeg.set(one.leg, [...(byLeg.get(one.leg) ?? []), one])
    return one
  }

  function forget(one: Live): void {
    live.delete(one.id)
    const left = (byLeg.get(one.leg) ?? []).filter(other => other !== one)
    if (left.length === 0) byLeg.delete(one.leg)
    else byLeg.set(one.leg, left)
  }

  const answer = (one: Live, joined: boolean): Started => ({
    id: one.id,
    state: one.state,
    joined,
    ...(one.reason === undefined ? {} : { reason: one.reason }),
  })

  async function startNow({ accountId, leg, fresh, side, facts, settings, origin, by }: StartRequest): Promise<Started> {
    const now = clock.now()
    const asked = { origin, by, at: now }
    const twin = ofLeg(leg.uuid).find(one => one.state !== 'stopping' && sameFile(one.settings, settings))
    if (twin !== undefined) {
      // Policy is decided again at every turn of a call; an action that starts twice is to be stopped twice.
      const known = by === 'policy' && twin.origins.some(one => one.by === 'policy' && one.origin === origin)
      if (!known) await twin.addOrigin(asked)
      return answer(twin, true)
    }
    const { format, warnings } = writable(settings, switches.node(leg.node).status().modules)
    const id = recordingId(now, random(16))
    const made: NewRecording = {
      id,
      accountId,
      node: leg.node,
      leg: leg.uuid,
      side,
      facts,
      settings,
      format,
      warnings,
      origins: [asked],
      state: 'waiting',
      sampleRate: settings.record_sample_rate?.value ?? (leg.sampleRate || USUAL_RATE),
      before: fresh ? ofLeg(leg.uuid).length : await recordingsBefore(accountId, leg.uuid, now),
      now,
    }
    const one = watch(inFlightOf(made), recordingOf(made))
    try {
      await one.write()
    } catch (error) {
      forget(one)
      metrics.count('callrec_recordings_total', { outcome: 'failed', reason: error instanceof AppError ? error.code : 'unspecified_fault' })
      log.error('recording_not_started', { account_id: accountId, recording_id: id, leg: leg.uuid, reason: reasonOf(error) })
      return { id, state: 'failed', joined: false, reason: reasonOf(error) }
    }
    if (await alreadyHappened(one, leg)) await one.ask('begin')
    return answer(one, false)
  }

  /**
   * The file is as long as files may be: the next part of the same conversation begins, and only when it runs does this one end, so
   * that some milliseconds are heard twice and none is missing.
   */
  async function goOn(full: Live): Promise<void> {
    if (closed || full.state !== 'recording') return
    const { recording, inFlight } = full
    const next = ofLeg(full.leg).find(one => one !== full && one.state === 'recording' && isAfter(one, full)) ?? (await nextPart(full))
    if (next?.state === 'recording') return full.tell('limit_reached')
    log.error('recording_not_continued', { account_id: inFlight.account_id, recording_id: full.id, leg: full.leg, group_id: recording.group_id })

    async function nextPart({ leg, settings, node, origins }: Live): Promise<Live | undefined> {
      const now = clock.now()
      const [first, ...others] = origins
      if (first === undefined) return undefined
      const made: NewRecording = {
        id: recordingId(now, random(16)),
        accountId: inFlight.account_id,
        node,
        leg,
        side: inFlight.side,
        facts: factsOf(recording),
        settings,
        format: recording.media_type,
        warnings: recording.warnings ?? [],
        origins: [first, ...others],
        groupId: recording.group_id,
        state: 'waiting',
        sampleRate: recording.sample_rate,
        before: await recordingsBefore(inFlight.account_id, leg, now),
        now,
      }
      const one = watch(inFlightOf(made), recordingOf(made))
      try {
        await one.write()
      } catch (error) {
        forget(one)
        log.error('recording_not_started', { account_id: inFlight.account_id, recording_id: one.id, leg, reason: reasonOf(error) })
        return undefined
      }
      await one.ask('begin')
      await one.begun
      return one
    }
  }

  /** How many recordings of a leg there are, for the name of the next; a call may have crossed the end of a month. */
  async function recordingsBefore(accountId: string, leg: string, now: number): Promise<number> {
    const yesterday = monthOf(now - 86_400_000)
    const counts = [...new Set([monthOf(now), yesterday])].map(async month => {
      try {
        return await store.reduce(monthDb(accountId, month), 'recordings/listing_by_call', { startKey: [leg], endKey: [leg, {}] })
      } catch (error) {
        if (isCode(error, 'datastore_missing')) return 0
        log.warn('recordings_not_counted', { account_id: accountId, leg, reason: reasonOf(error) })
        return ofLeg(leg).length
      }
    })
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
  }

  const told = (leg: string, tell: (one: Live) => Promise<void>): void => {
    for (const one of ofLeg(leg)) quietly(tell(one), { recording_id: one.id, leg })
  }

  const quietly = (work: Promise<unknown>, about: Facts): void =>
    void work.catch((error: unknown) => log.error('recording_input_failed', { ...about, reason: reasonOf(error) }))

  /** What of a switch that cannot be asked is not known is asked again when it is back. */
  const alreadyHappened = (one: Live, leg: StartRequest['leg']): Promise<boolean> =>
    happened(one.awaits, leg, switches.node(leg.node)).catch((error: unknown) => {
      log.warn('recording_start_unconfirmed', { recording_id: one.id, leg: leg.uuid, reason: reasonOf(error) })
      return false
    })

  /** Two legs are bridged, or one of such a pair was answered. */
  async function talking(node: string, ...pair: readonly [string, string]): Promise<void> {
    const waiting = pair.flatMap(ofLeg).filter(one => one.awaits === 'bridge')
    if (waiting.length === 0) return
    const legs = await Promise.all(pair.map(leg => switches.node(node).leg(leg)))
    if (legs.every(leg => leg?.answered === true)) await Promise.all(waiting.map(one => one.cameTo('bridge')))
  }

  function meant({ leg, path, variables }: Extract<SwitchEvent, { path: string }>, tell: (one: Live) => Promise<void>): void {
    const one = live.get(variables.rec_id ?? '') ?? ofLeg(leg.uuid).find(other => other.path === path)
    if (one !== undefined) quietly(tell(one), { recording_id: one.id, leg: leg.uuid })
  }

  const bridged = ({ node, uuid }: Leg, otherLeg: string): void => quietly(talking(node, uuid, otherLeg), { leg: uuid })

  function heard(event: SwitchEvent): void {
    switch (event.name) {
      case 'CHANNEL_ANSWER':
        told(event.leg.uuid, one => one.cameTo('answer'))
        return event.leg.otherLeg === undefined ? undefined : bridged(event.leg, event.leg.otherLeg)
      case 'CHANNEL_BRIDGE':
        return bridged(event.leg, event.otherLeg)
      case 'RECORD_START':
        return meant(event, one => one.tell('RECORD_START', { at: event.at }))
      case 'RECORD_STOP':
        return meant(event, one => one.tell('RECORD_STOP', { at: event.at, cause: event.cause }))
      case 'CHANNEL_HANGUP_COMPLETE':
      case 'CHANNEL_DESTROY':
        return told(event.leg.uuid, one => one.tell('leg_gone'))
      case 'node_up':
        return takeOver(event.node)
      case 'CHANNEL_PARK':
      case 'CHANNEL_UNBRIDGE':
      case 'node_down':
    }
  }

  /** One after the other for each switch; again and again while the store is away, because nobody else looks for what ran before. */
  function takeOver(node: string): void {
    again.get(node)?.()
    const turn = (adopting.get(node) ?? Promise.resolve()).then(() => (closed ? undefined : adopt(node)))
    const settled = turn.catch((error: unknown) => {
      log.error('recordings_not_adopted', { node, reason: reasonOf(error) })
      // A switch that went is adopted when it is back.
      if (!closed && !isCode(error, 'switch_down'))
        again.set(
          node,
          clock.after(ADOPT_AGAIN, () => takeOver(node)),
        )
    })
    adopting.set(node, settled)
  }

  /** What the documents say is running on a switch, compared with what it says. */
  async function adopt(node: string): Promise<void> {
    const rows = await store.query(IN_FLIGHT, 'in_flight/by_node', { startKey: [node], endKey: [node, {}], includeDocs: true })
    for (const { doc } of rows) {
      const inFlight = doc as InFlight | undefined
      if (inFlight === undefined || inFlight.delivery !== undefined || live.has(inFlight._id)) continue
      const recording = await store.get<Recording>(recordingDbOf(inFlight), inFlight._id)
      if (closed) return
      if (recording !== undefined && !isEnd(recording.state)) watch(inFlight, recording)
      else if (recording?.state === 'stopped') watch(inFlight, { ...recording, state: inFlight.state })
      else await leaveBehind(inFlight, recording)
    }
    const found = [...live.values()].filter(one => one.node === node && !isEnd(one.state))
    await Promise.all(found.map(one => one.reconcile()))
    log.info('recordings_adopted', { node, recordings: found.length })
  }

  /** Cut off between its last two writes, or before the second of its first two: then the switch was never asked. */
  async function leaveBehind(inFlight: InFlight, recording: Recording | undefined): Promise<void> {
    if (recording?.state === 'discarded') await ports.spool.remove(inFlight.file)
    await store.purge(IN_FLIGHT, inFlight._id)
  }

  const adopting = new Map<string, Promise<void>>()
  const again = new Map<string, () => void>()
  let closed = false
  const unsubscribe = switches.on(heard)

  return {
    start: request => inTurn(request.leg.uuid, () => startNow(request)),

    async stopLatest(leg) {
      const asked = ofLeg(leg)
        .filter(one => one.state !== 'stopping')
        .flatMap(one => one.origins.filter(origin => origin.by === 'action').map(origin => ({ one, origin })))
        .sort((a, b) => a.origin.at - b.origin.at)
      const latest = asked.at(-1)
      if (latest === undefined) return undefined
      await latest.one.removeOrigin(latest.origin)
      return answer(latest.one, false)
    },

    running: leg => ofLeg(leg).map(one => ({ id: one.id, settings: one.settings, state: one.state, origins: one.origins.map(({ origin }) => origin) })),

    legNeverCame: leg => told(leg, one => one.tell('leg_gone')),

    async close() {
      closed = true
      unsubscribe()
      for (const cancel of again.values()) cancel()
      await Promise.all([...live.values()].map(one => one.close()))
    },
  }
}

/** Is one the part that follows the other? After a restart both may be found running. */
const isAfter = (one: Live, other: Live): boolean =>
  one.recording.group_id === other.recording.group_id && (one.inFlight.started_at ?? 0) > (other.inFlight.started_at ?? 0)

/** A recording is never lost to its format: mp3 asked of a switch that cannot write it becomes wav, and the document says so. */
function writable(settings: Effective, modules: Readonly<Record<string, boolean>>): { format: 'mp3' | 'wav'; warnings: string[] } {
  const asked = settings.format?.value
  if (asked === 'wav' || modules.mod_shout === true) return { format: asked ?? 'mp3', warnings: [] }
  return { format: 'wav', warnings: asked === 'mp3' ? ['the switch cannot write mp3 (mod_shout is not loaded): recorded as wav'] : [] }
}
