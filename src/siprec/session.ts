// The recording of one leg by servers: several dialogs, one document. It counts as recording while one server takes it; what one of them
// does never disturbs another, the call, or its files.

import type { Clock } from '../clock.ts'
import { AppError, reasonOf } from '../errors.ts'
import type { Events, RecordingEventName } from '../events.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics.ts'
import { Consenting, type ConsentingPorts } from '../recording/consenting.ts'
import { hides, partOf } from '../recording/covers.ts'
import { type Cover, runs, type State } from '../recording/lifecycle.ts'
import { toldOf } from '../recording/told.ts'
import type { Store } from '../store/store.ts'
import type { SwitchNode } from '../switch/switch.ts'
import type { SiprecInFlight, SiprecRecording } from './document.ts'
import type { Door } from './door.ts'
import { Hiding, type Hidden } from './hiding.ts'
import type { Live, SessionEvents } from './live.ts'
import { SiprecPapers } from './papers.ts'
import type { Server } from './server.ts'
import { Servers } from './servers.ts'

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

/** Milliseconds of call time. */
const SILENCE_AFTER = 10_000

export const NO_AUDIO = 'no audio has left the switch for this server in 10 s; RTP from the switch to the server may be blocked'

export function createSession(ports: SessionPorts, first: { inFlight: SiprecInFlight; recording: SiprecRecording }, on: SessionEvents): Live {
  const { clock, wall, log, metrics } = ports
  const papers = new SiprecPapers(ports, first, () => servers.entries)
  const hiding = new Hiding(clock, papers, on.wish)
  const servers = new Servers({ ...ports, clock: wall }, first, {
    changed: () => void papers.save(),
    taken: () => void begins(),
    lost: () => void lost(),
    hidden: () => hiding.isHidden,
  })
  const { ids } = papers
  let written: Promise<void> = Promise.resolve()
  let begun: Promise<State> | undefined
  let asked: Promise<void> = Promise.resolve()
  let settle: (state: State) => void = () => {}
  /** begin() has called its servers. */
  let called = false
  let firstTaken = (): void => {}
  let turn: Promise<unknown> = Promise.resolve()
  let watch = (): void => {}

  const tell = (event: RecordingEventName): void => void ports.events.tell(toldOf(event, papers.recording, clock.now()))

  function inTurn<T>(run: () => Promise<T>): Promise<T> {
    const done = turn.then(run)
    turn = done.catch(() => {})
    return done
  }

  const consenting = new Consenting(
    { ...ports.telling, node: () => ports.node, clock, log },
    {
      get inFlight() {
        const { _id, siprec_node: node, leg, side, settings = {} } = papers.inFlight
        const { state, consent } = papers.recording
        return { _id, node, leg, side, state, settings, ...(consent === undefined ? {} : { consent }) }
      },
      // Until a server has it, one may at any moment.
      get begins() {
        return called && !hiding.hasStarted
      },
      ids,
      consentBecomes: consent => papers.consentBecomes(consent),
    },
    {
      told: async () => {
        // What was said is on disk before anything of it leaves.
        await papers.save()
        if (called) await inTurn(() => untold(false))
        else
          void beginNow().then(settle, (error: unknown) => {
            log.error('siprec_failed', { ...ids, reason: reasonOf(error) })
            settle(papers.recording.state)
          })
      },
      async tell(fact, { reason }) {
        if (fact === 'untold') on.untold()
        await end(fact === 'untold' ? 'failed' : 'discarded', reason)
      },
      save: () => papers.save(),
      refused: on.refused,
      newcomer: () => void inTurn(() => untold(true)).then(() => consenting.begin()),
    },
  )

  function begin(): Promise<State> {
    if (!consenting.waits) return beginNow()
    // One that another engine had was further.
    papers.become('waiting')
    const told = new Promise<State>(resolve => (settle = resolve))
    asked = written.then(() => (papers.isOver ? undefined : consenting.begin()))
    asked.catch(() => settle('failed'))
    return told
  }

  async function beginNow(): Promise<State> {
    if (papers.isOver) return papers.recording.state
    papers.become('starting')
    await written
    await papers.save()
    if (papers.isOver) return papers.recording.state
    called = true
    await new Promise<void>(resolve => {
      firstTaken = resolve
      void servers.start(answered).then(resolve)
    })
    // Who must be recorded waits for nobody who may come later.
    if (!hiding.hasStarted && papers.inFlight.required) await end('failed')
    await papers.saved
    return papers.recording.state
  }

  const answered = (_: Server, taken: boolean): Promise<void> => (taken ? begins() : lost())

  /** A server has it: the first one makes it a recording. */
  async function begins(): Promise<void> {
    if (hiding.hasStarted || papers.isOver) return
    hiding.start()
    // Some server may have been called before that was asked for.
    await servers.agree()
    if (papers.isOver) return
    await papers.save()
    metrics.count('callrec_recordings_total', { outcome: 'started', reason: '' })
    log.info('recording_started', { ...ids, origins: papers.recording.origins })
    tell('recording.started')
    watch = clock.after(SILENCE_AFTER, () => void listen())
    consenting.changed()
    if (consenting.waits) void consenting.met()
    else void consenting.begin()
    firstTaken()
  }

  /** Servers hear nothing when something between is shut; from here one sees at least whether anything leaves. */
  async function listen(): Promise<void> {
    if (hiding.isHidden) return
    for (const uri of await servers.withoutAudio()) {
      log.error('siprec_without_audio', { ...ids, uri, reason: NO_AUDIO })
      papers.noted(NO_AUDIO)
      await papers.save()
    }
  }

  async function lost(): Promise<void> {
    if (!papers.isOver && servers.areLost) await end('failed', hiding.hasStarted ? 'no recording server is left' : undefined)
  }

  async function join(origin: string, uris: readonly string[]): Promise<boolean> {
    if (papers.isOver) return false
    const isLate = called
    const more = servers.add(uris)
    papers.joined(
      origin,
      servers.entries.map(({ uri }) => uri),
    )
    await papers.saveInFlight()
    await papers.save()
    // Otherwise they are called with the others.
    if (isLate && !papers.isOver) for (const one of more) void one.start().then(taken => answered(one, taken))
    return true
  }

  async function cover(what: Cover, by: string): Promise<void> {
    const { state } = papers.recording
    if (!runs(state)) throw new AppError('wrong_state', `cannot ${what} a SIPREC recording that is ${state}`, { state })
    await hide(partOf(what), hides(what), by)
    if (papers.isOver) return
    log.info(`recording_${what}${what.endsWith('k') ? 'ed' : 'd'}`, { ...ids, by })
    tell(({ mask: 'recording.masked', unmask: 'recording.unmasked', pause: 'recording.paused', resume: 'recording.resumed' } as const)[what])
  }

  async function hide(what: Hidden, on: boolean, by: string): Promise<void> {
    const change = hiding.set(what, on, by)
    if (change !== undefined) await servers[change]()
    hiding.mark(what, by)
    if (!hiding.hasStarted || papers.isOver) return
    consenting.changed()
    await papers.save()
  }

  /** Somebody has joined who was not told; or he was. */
  async function untold(on: boolean): Promise<void> {
    if (hiding.has('untold') === on || papers.isOver) return
    await hide('untold', on, 'announcement')
    if (hiding.hasStarted) tell(on ? 'recording.paused' : 'recording.resumed')
  }

  async function hold(on: boolean): Promise<void> {
    if (on === hiding.isHeld || !hiding.hasStarted || papers.isOver) return
    hiding.hold(on)
    servers.hold(on)
    await papers.save()
  }

  async function end(wanted: 'stopped' | 'discarded' | 'failed', why?: string): Promise<void> {
    if (papers.isOver) return
    papers.become('stopping')
    watch()
    consenting.close()
    consenting.changed()
    await written.catch(() => {})
    await servers.stop()
    // Nobody ever had it, however it was to end.
    const isNone = called && !hiding.hasStarted && servers.areLost
    const state = isNone && wanted === 'stopped' ? 'failed' : wanted
    const reason = why ?? (isNone ? servers.reasons : undefined)
    hiding.end()
    papers.ended(state, reason, hiding.ranMs)
    const saved = papers.saveEnd()
    on.over(saved)
    await saved
    metrics.count('callrec_recordings_total', { outcome: state, reason: state === 'failed' ? 'siprec' : '' })
    log[state === 'failed' ? 'error' : 'info'](`recording_${state}`, { ...ids, ...(reason === undefined ? {} : { reason }) })
    tell(`recording.${state}`)
    settle(state)
  }

  return {
    id: papers.inFlight._id,
    leg: papers.inFlight.leg,
    required: papers.inFlight.required,
    interactionId: papers.recording.interaction_id,
    get state() {
      return papers.recording.state
    },
    get reason() {
      return papers.recording.reason
    },
    get document() {
      return papers.recording
    },
    get inFlight() {
      return papers.inFlight
    },
    write: () => (written = papers.write()),
    join: (origin, uris) => inTurn(() => join(origin, uris)),
    begin: () => (begun ??= begin()),
    asked: () => asked,
    get tells() {
      return papers.recording.state === 'waiting' && consenting.tells
    },
    met: () => consenting.met(),
    isNo: (leg, key) => consenting.isNo(leg, key),
    get mayBeRefused() {
      return consenting.mayBeRefused
    },
    refuse: by => consenting.refuse(by),
    cover: (what, by) => inTurn(() => cover(what, by)),
    talksTo: leg => inTurn(async () => (papers.isOver ? undefined : servers.talksTo(leg))),
    held: on => inTurn(() => hold(on)),
    end,
    async leave() {
      papers.leave()
      watch()
      consenting.close()
      settle(papers.recording.state)
      await servers.stop()
      await papers.saved
    },
  }
}
