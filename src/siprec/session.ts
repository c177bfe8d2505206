// The recording of one leg by servers: several dialogs, one document. It counts as recording while one server takes it; what one of them
// does never disturbs another, the call, or its files.

import type { Clock } from '../clock.ts'
import { AppError, reasonOf } from '../errors.ts'
import type { Events, RecordingEventName } from '../events.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { IN_FLIGHT, recordingDbOf } from '../recording/document.ts'
import type { Consent, Notice } from '../recording/announce.ts'
import { Consenting, type ConsentingPorts } from '../recording/consenting.ts'
import { hides, partOf } from '../recording/covers.ts'
import type { Cover, State } from '../recording/lifecycle.ts'
import { close, closeAll, type Moment, open, shownGaps } from '../recording/segments.ts'
import { toGregorian } from '../store/modb.ts'
import type { Doc, Store } from '../store/store.ts'
import type { Leg, SwitchNode } from '../switch/switch.ts'
import { toldOf } from '../recording/told.ts'
import { credentialsOf } from './credentials.ts'
import type { SiprecInFlight, SiprecRecording } from './document.ts'
import type { Door } from './door.ts'
import { metadata } from './metadata.ts'
import { joined, left, type NewId, peopleOf, snapshotOf, streamIds } from './people.ts'
import { createServer, type Server } from './server.ts'

export interface SessionPorts {
  store: Store
  node: SwitchNode
  door: Door
  /** Call time, for lengths and the watch for silence. */
  clock: Clock
  /** The wall's, for SIP. */
  wall: Clock
  log: Log
  metrics: Metrics
  events: Pick<Events, 'tell'>
  /** Aborted when the engine closes. */
  signal: AbortSignal
  telling: Pick<ConsentingPorts, 'announcer' | 'beeps'>
  /** Hex of so many bytes. */
  random: (bytes: number) => string
}

export interface Live {
  readonly id: string
  readonly leg: string
  readonly state: State
  readonly reason: string | undefined
  readonly interactionId: string
  readonly required: boolean
  readonly document: Readonly<SiprecRecording>
  readonly inFlight: Readonly<SiprecInFlight>
  /** Writes both documents, before anything is asked of anybody: what happens meanwhile waits for that. */
  write(): Promise<void>
  /** Policy wants it as well: servers it has not are called beside those it has. False where it is over. */
  join(origin: string, servers: readonly string[]): Promise<boolean>
  /** Once all who are there were told, where something is announced. Resolves when the first server took it, or it is known that none will. */
  begin(): Promise<State>
  /** Where something is to be said first: until the switch was asked to say it. */
  asked(): Promise<void>
  /** It waits for nothing but that its parties are told. */
  readonly tells: boolean
  /** Its leg, or the one it talks with, came together with another one, or was answered. */
  met(): Promise<void>
  /** Does that key of that leg say no to it? */
  isNo(leg: string, key: string): boolean
  readonly mayBeRefused: boolean
  refuse(by: NonNullable<Consent['refused']>): Promise<void>
  /** Throws `wrong_state`. */
  cover(what: Cover, by: string): Promise<void>
  talksTo(other: Leg | undefined): Promise<void>
  /** One party has put the other on hold: nobody speaks on any stream until that ends. */
  held(on: boolean): Promise<void>
  end(state: 'stopped' | 'discarded' | 'failed', reason?: string): Promise<void>
  /** The engine goes, or its switch is another's: its dialogs end, its documents are a successor's to write. */
  leave(): Promise<void>
}

/** `untold`: somebody joined, and is being told. */
export type Hidden = 'mask' | 'pause' | 'untold'

export interface SessionEvents {
  /** `saved`: its end is written down. */
  over: (saved: Promise<void>) => void
  /** What its call is to be covered with now, and by whom. */
  wish: () => Partial<Record<Hidden, string>>
  /** A party said no while it was being told. */
  refused: (notice: Notice) => void
  /** A required announcement was not heard. */
  untold: () => void
}

// Milliseconds of call time.
const SILENCE_AFTER = 10_000
const SAVE_AGAIN = 5000
/** Of the wall: how long anybody waits for the answers to our BYEs. */
const BYE_PATIENCE = 1000

export const NO_AUDIO = 'no audio has left the switch for this server in 10 s; RTP from the switch to the server may be blocked'

/** The parts of one conversation are one group to servers, too (RFC 7865 section 6.2): its id is 16 bytes, and so is this. */
function groupIdOf({ group_id }: SiprecRecording): string | undefined {
  const [, hex] = /-([0-9a-f]{32})$/.exec(group_id) ?? []
  return hex === undefined ? undefined : Buffer.from(hex, 'hex').toString('base64')
}

export function createSession(ports: SessionPorts, first: { inFlight: SiprecInFlight; recording: SiprecRecording }, on: SessionEvents): Live {
  const { store, clock, wall, log, metrics, random } = ports
  let { inFlight, recording } = first
  const newId: NewId = () => Buffer.from(random(16), 'hex').toString('base64')
  const since = new Date(wall.now()).toISOString()
  const ids = { groupId: groupIdOf(recording) ?? newId(), sessionId: newId(), streams: streamIds(inFlight.mode, newId) }
  const hidden = new Map<Hidden, string>()
  let people = peopleOf(recording, newId, since)
  let startedAt: number | undefined
  let onHold = false
  let handedOver = false
  let written: Promise<void> = Promise.resolve()
  let begun: Promise<State> | undefined
  let asked: Promise<void> = Promise.resolve()
  let settle: (state: State) => void = () => {}
  /** begin() has called its servers. */
  let called = false
  let firstTaken = (): void => {}
  let saving: Promise<unknown> = Promise.resolve()
  let turn: Promise<unknown> = Promise.resolve()
  let watch = (): void => {}

  const facts = { account_id: inFlight.account_id, recording_id: inFlight._id, leg: inFlight.leg, node: inFlight.siprec_node, kind: 'siprec' }
  // The recorded leg is the caller's, or that of who was called: then what it says is stream 2.
  const [caller, other] = inFlight.side === 'caller' ? (['said', 'heard'] as const) : (['heard', 'said'] as const)
  const streams =
    inFlight.mode === 'mixed' ? [{ listens: 'both' as const, label: '1' }] : [caller, other].map((listens, at) => ({ listens, label: String(at + 1) }))

  const serverAt = (uri: string): Server =>
    createServer(
      { door: ports.door, node: ports.node, clock: wall, log, random },
      {
        uri,
        target: inFlight.leg,
        streams,
        from: 'sip:callrec@callrec.invalid',
        headers: [['X-Srs-Recording-ID', recording.siprec_recording_id], ...Object.entries(inFlight.headers)],
        credentials: at => credentialsOf(store, inFlight.account_id, at).catch((error: unknown) => unread(at, error)),
      },
      {
        metadata: () => metadata(snapshotOf(people, ids, { since, recordingId: recording.siprec_recording_id, paused: isHidden() || onHold })),
        changed: () => void save(),
        taken: () => void runs(),
        lost: () => void lost(),
        hidden: isHidden,
      },
    )
  const servers: Server[] = inFlight.servers.map(serverAt)

  function unread(uri: string, error: unknown): undefined {
    log.warn('siprec_credentials_not_read', { ...facts, uri, reason: reasonOf(error) })
  }

  // Until it runs, what the call is covered with holds from one moment to the next.
  function isHidden(): boolean {
    return hidden.size > 0 || (recording.state === 'starting' && Object.keys(on.wish()).length > 0)
  }

  const isOver = (): boolean => handedOver || ['stopping', 'stopped', 'failed', 'discarded'].includes(recording.state)
  const moment = (): Moment => ({ ranMs: startedAt === undefined ? 0 : Math.max(0, Math.round(clock.elapsed() - startedAt)), at: clock.now() })

  async function put(db: string, doc: Doc): Promise<string> {
    try {
      return await store.put(db, doc)
    } catch (error) {
      if (error instanceof AppError && error.code === 'datastore_missing' && db !== IN_FLIGHT) {
        await store.createDatabase(db, 'modb')
        return store.put(db, doc)
      }
      const current = error instanceof AppError && error.code === 'datastore_conflict' ? await store.get(db, doc._id) : undefined
      if (current === undefined) throw error
      // A hold or a note that somebody else wrote meanwhile.
      return store.put(db, { ...current, ...doc, _rev: current._rev })
    }
  }

  async function saveNow(): Promise<void> {
    if (handedOver) return
    recording = { ...recording, servers: servers.map(({ entry }) => ({ ...entry })), pvt_modified: toGregorian(clock.now()) }
    const _rev = await put(recordingDbOf(inFlight), recording)
    // Meanwhile it may have changed.
    recording = { ...recording, _rev }
  }

  /** One after the other; a store that is away is asked again with what holds then. */
  function save(): Promise<void> {
    const done = saving.then(saveNow)
    saving = done.catch(() => {})
    return done.catch((error: unknown) => log.warn('recording_state_not_saved', { ...facts, reason: reasonOf(error) }))
  }

  const tell = (event: RecordingEventName): void => void ports.events.tell(toldOf(event, recording, clock.now()))

  function inTurn<T>(run: () => Promise<T>): Promise<T> {
    const done = turn.then(run)
    turn = done.catch(() => {})
    return done
  }

  const isPaused = (): boolean => hidden.has('pause') || hidden.has('untold')
  const shown = (): State => (hidden.size === 0 ? 'recording' : isPaused() ? (hidden.has('mask') ? 'masked_paused' : 'paused') : 'masked')

  const consenting = new Consenting(
    { ...ports.telling, node: () => ports.node, clock, log },
    {
      get inFlight() {
        const { _id, siprec_node: node, leg, side, settings = {} } = inFlight
        const { state, consent } = recording
        return { _id, node, leg, side, state, settings, ...(consent === undefined ? {} : { consent }) }
      },
      // Until a server has it, one may at any moment.
      get begins() {
        return called && startedAt === undefined
      },
      ids: facts,
      consentBecomes(consent) {
        recording = { ...recording, consent }
      },
    },
    {
      told: async () => {
        // What was said is on disk before anything of it leaves.
        await save()
        if (called) await inTurn(heardAgain)
        else
          void beginNow().then(settle, (error: unknown) => {
            log.error('siprec_failed', { ...facts, reason: reasonOf(error) })
            settle(recording.state)
          })
      },
      async tell(fact, { reason }) {
        if (fact === 'untold') on.untold()
        await end(fact === 'untold' ? 'failed' : 'discarded', reason)
      },
      save,
      refused: on.refused,
      newcomer: () => void inTurn(unheard).then(() => consenting.begin()),
    },
  )

  async function write(): Promise<void> {
    const _rev = await put(IN_FLIGHT, inFlight)
    inFlight = { ...inFlight, _rev }
    await saveNow()
  }

  function begin(): Promise<State> {
    if (!consenting.waits) return beginNow()
    // One that another engine had was further.
    recording = { ...recording, state: 'waiting' }
    const told = new Promise<State>(resolve => (settle = resolve))
    asked = written.then(() => (isOver() ? undefined : consenting.begin()))
    asked.catch(() => settle('failed'))
    return told
  }

  async function beginNow(): Promise<State> {
    if (isOver()) return recording.state
    recording = { ...recording, state: 'starting' }
    await written
    await save()
    if (isOver()) return recording.state
    called = true
    await new Promise<void>(resolve => {
      firstTaken = resolve
      void Promise.all(servers.map(call)).then(() => resolve())
    })
    // Who must be recorded waits for nobody who may come later.
    if (startedAt === undefined && inFlight.required) await end('failed')
    await saving
    return recording.state
  }

  async function call(server: Server): Promise<void> {
    await ((await server.start()) ? runs() : lost())
  }

  /** A server has it: the first one makes it a recording. */
  async function runs(): Promise<void> {
    if (startedAt !== undefined || isOver()) return
    for (const [what, by] of Object.entries(on.wish())) hidden.set(what as Hidden, by)
    startedAt = clock.elapsed()
    inFlight = { ...inFlight, started_at: clock.now() }
    for (const [what, by] of hidden) inFlight = { ...inFlight, gaps: open(inFlight.gaps ?? [], gapOf(what), moment(), by) }
    recording = { ...recording, state: shown(), start: toGregorian(clock.now()), ...segments() }
    // Some server may have been called before that was asked for.
    await Promise.all(servers.map(async server => server.agree()))
    if (isOver()) return
    await save()
    metrics.count('callrec_recordings_total', { outcome: 'started', reason: '' })
    log.info('recording_started', { ...facts, origins: recording.origins })
    tell('recording.started')
    listenForSilence()
    consenting.changed()
    if (consenting.waits) void consenting.met()
    else void consenting.begin()
    firstTaken()
  }

  const segments = (): Pick<SiprecRecording, 'segments'> => (inFlight.gaps === undefined ? {} : { segments: shownGaps(inFlight.gaps) })

  /** Servers hear nothing when something between is shut; from here one sees at least whether anything leaves. */
  function listenForSilence(): void {
    watch = clock.after(SILENCE_AFTER, () => {
      void Promise.all(
        servers.map(async server => {
          if (hidden.size > 0 || server.entry.state !== 'recording' || (await server.sent()) !== 0) return
          log.error('siprec_without_audio', { ...facts, uri: server.entry.uri, reason: NO_AUDIO })
          recording = { ...recording, reason: NO_AUDIO }
          await save()
        }),
      )
    })
  }

  const noneIsLeft = (): boolean => servers.every(({ entry }) => entry.state === 'failed')

  async function lost(): Promise<void> {
    if (!isOver() && noneIsLeft()) await end('failed', startedAt === undefined ? undefined : 'no recording server is left')
  }

  const whyNone = (): string => servers.map(({ entry }) => `${entry.uri}: ${entry.code ?? ''} ${entry.reason ?? ''}`.trim()).join('; ')

  async function join(origin: string, uris: readonly string[]): Promise<boolean> {
    if (isOver()) return false
    const more = uris.filter(uri => !inFlight.servers.includes(uri)).map(serverAt)
    const isLate = called
    servers.push(...more)
    inFlight = { ...inFlight, servers: servers.map(({ entry }) => entry.uri), by_policy: true }
    recording = { ...recording, origins: [...new Set([...recording.origins, origin])] }
    try {
      const _rev = await put(IN_FLIGHT, inFlight)
      inFlight = { ...inFlight, _rev }
    } catch (error) {
      log.warn('recording_state_not_saved', { ...facts, reason: reasonOf(error) })
    }
    await save()
    // Otherwise they are called with the others.
    if (isLate && !isOver()) for (const one of more) void call(one)
    return true
  }

  async function cover(what: Cover, by: string): Promise<void> {
    if (!['recording', 'paused', 'masked', 'masked_paused'].includes(recording.state)) {
      throw new AppError('wrong_state', `cannot ${what} a SIPREC recording that is ${recording.state}`, { state: recording.state })
    }
    await hide(partOf(what), hides(what), by)
    if (isOver()) return
    log.info(`recording_${what}${what.endsWith('k') ? 'ed' : 'd'}`, { ...facts, by })
    tell(({ mask: 'recording.masked', unmask: 'recording.unmasked', pause: 'recording.paused', resume: 'recording.resumed' } as const)[what])
  }

  const gapOf = (what: Hidden): 'mask' | 'pause' => (what === 'mask' ? 'mask' : 'pause')

  async function hide(what: Hidden, on: boolean, by: string): Promise<void> {
    const before = hidden.size > 0
    if (on) hidden.set(what, by)
    else hidden.delete(what)
    const now = hidden.size > 0
    if (now && !before) await Promise.all(servers.map(async server => server.hide()))
    else if (!now && before) await Promise.all(servers.map(async server => server.show()))
    const [gap, gaps] = [gapOf(what), inFlight.gaps ?? []]
    // It begins with that, once it does.
    if (startedAt === undefined) return
    const isHiddenSo = gap === 'mask' ? hidden.has('mask') : isPaused()
    inFlight = { ...inFlight, gaps: isHiddenSo ? open(gaps, gap, moment(), by) : close(gaps, gap, moment()) }
    if (isOver()) return
    recording = { ...recording, state: shown(), ...segments() }
    consenting.changed()
    await save()
  }

  /** Somebody has joined who was not told. */
  async function unheard(): Promise<void> {
    if (hidden.has('untold') || isOver()) return
    await hide('untold', true, 'announcement')
    if (startedAt !== undefined) tell('recording.paused')
  }

  async function heardAgain(): Promise<void> {
    if (!hidden.has('untold') || isOver()) return
    await hide('untold', false, 'announcement')
    if (startedAt !== undefined) tell('recording.resumed')
  }

  async function hold(on: boolean): Promise<void> {
    if (on === onHold || startedAt === undefined || isOver()) return
    onHold = on
    const gaps = inFlight.gaps ?? []
    inFlight = { ...inFlight, gaps: on ? open(gaps, 'hold', moment(), 'hold') : close(gaps, 'hold', moment()) }
    recording = { ...recording, ...segments() }
    await Promise.all(servers.map(async server => server.update()))
    await save()
  }

  async function end(wanted: 'stopped' | 'discarded' | 'failed', why?: string): Promise<void> {
    if (isOver()) return
    recording = { ...recording, state: 'stopping' }
    watch()
    consenting.close()
    consenting.changed()
    await written.catch(() => {})
    const waited = new Promise<void>(resolve => wall.after(BYE_PATIENCE, resolve))
    await Promise.race([Promise.all(servers.map(async server => server.stop())), waited])
    const { ranMs } = moment()
    // Nobody ever had it, however it was to end.
    const isNone = called && startedAt === undefined && noneIsLeft()
    const state = isNone && wanted === 'stopped' ? 'failed' : wanted
    const reason = why ?? (isNone ? whyNone() : undefined)
    inFlight = { ...inFlight, ...(inFlight.gaps === undefined ? {} : { gaps: closeAll(inFlight.gaps, moment()) }) }
    recording = { ...recording, state, ...(reason === undefined ? {} : { reason }), duration: Math.floor(ranMs / 1000), duration_ms: ranMs, ...segments() }
    const saved = untilSaved()
    on.over(saved)
    await saved
    metrics.count('callrec_recordings_total', { outcome: state, reason: state === 'failed' ? 'siprec' : '' })
    log[state === 'failed' ? 'error' : 'info'](`recording_${state}`, { ...facts, ...(reason === undefined ? {} : { reason }) })
    tell(`recording.${state}`)
    settle(state)
  }

  /** What a successor would go on with is only forgotten when the end is written down. */
  async function untilSaved(): Promise<void> {
    try {
      await (saving = saving.then(saveNow))
      await store.purge(IN_FLIGHT, inFlight._id)
    } catch (error) {
      log.warn('recording_state_not_saved', { ...facts, reason: reasonOf(error) })
      saving = Promise.resolve()
      if (!ports.signal.aborted) clock.after(SAVE_AGAIN, () => void (ports.signal.aborted ? undefined : untilSaved()))
    }
  }

  return {
    id: inFlight._id,
    leg: inFlight.leg,
    required: inFlight.required,
    interactionId: recording.interaction_id,
    get state() {
      return recording.state
    },
    get reason() {
      return recording.reason
    },
    get document() {
      return recording
    },
    get inFlight() {
      return inFlight
    },
    write: () => (written = write()),
    join: (origin, uris) => inTurn(() => join(origin, uris)),
    begin: () => (begun ??= begin()),
    asked: () => asked,
    get tells() {
      return recording.state === 'waiting' && consenting.tells
    },
    met: () => consenting.met(),
    isNo: (leg, key) => consenting.isNo(leg, key),
    get mayBeRefused() {
      return consenting.mayBeRefused
    },
    refuse: by => consenting.refuse(by),
    cover: (what, by) => inTurn(() => cover(what, by)),
    talksTo: leg =>
      inTurn(async () => {
        const at = new Date(wall.now()).toISOString()
        const next = leg === undefined ? left(people, at) : joined(people, leg, newId, at)
        if (next === undefined || isOver()) return
        people = next
        await Promise.all(servers.map(async server => server.update()))
      }),
    held: on => inTurn(() => hold(on)),
    end,
    async leave() {
      handedOver = true
      watch()
      consenting.close()
      settle(recording.state)
      const waited = new Promise<void>(resolve => wall.after(BYE_PATIENCE, resolve))
      const ending = Promise.all(servers.map(async server => server.stop()))
      await Promise.race([ending, waited])
      await saving
    },
  }
}
