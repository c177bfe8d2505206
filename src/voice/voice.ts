// The voice applications that run here: one run per call, what may be changed of it from outside, and what is still to
// be told when a call is over.

import { isCode, reasonOf } from '../errors.ts'
import type { Signer } from './ask.ts'
import type { Recording } from '../recording/document.ts'
import type { Leg, NodeStatus } from '../switch/switch.ts'
import type { Address } from './ask.ts'
import { createConversations } from './conversations.ts'
import { conversationOf, type VoiceCall, type VoicePorts } from './call.ts'
import { failureOf, interpret, type Run } from './interpreter.ts'
import { startLives } from './lives.ts'
import type { Abilities } from './ncco.ts'
import { createPlaces, PLACE, type Place, placeText } from './places.ts'
import { startRecordings } from './recording.ts'
import { actionsOf, type Script } from './script.ts'
import { tellTranscript } from './transcript.ts'

export interface Application extends Script {
  /** Told of the call's events. */
  eventUrl?: Address
  /** The document of the application, which may fetch what is recorded, and what it is told is signed with. */
  applicationId?: string
  sign?: Signer
}

export interface Voice {
  /**
   * Resolves when the actions are done, `failed` when there were none to do; rejects when the caller is gone. `flow` is kept for whoever has
   * the call next; `from` is where it is in its actions already.
   */
  run(call: VoiceCall, application: Application, flow: unknown, from?: Place): Promise<'done' | 'failed'>
  /** Whether who is told of a call is told of its end from here. */
  begun(uuid: string): boolean
  /** Where a call is that an engine ran which is gone; undefined where that is not known. */
  placeOf(leg: Leg): Promise<Place | undefined>
  /** Other actions take the place of those of a call; false when no application runs it here. Rejects where there are none to do. */
  transfer(uuid: string, script: Script): Promise<boolean>
  /** Tells whoever asked for it of a transcript that is there, or will never be. Rejects where it is to be tried again. */
  transcribed(recording: Recording, signal: AbortSignal): Promise<void>
  /** Resolves when all is told. */
  close(): Promise<void>
}

const abilitiesOf = (
  { modules, formats }: Pick<NodeStatus, 'modules' | 'formats'>,
  { encoder, decoder }: Pick<VoicePorts, 'encoder' | 'decoder'>,
  { languages, sentiment }: Awaited<VoicePorts['transcriber']>,
): Abilities => ({
  formats: [...new Set([...formats, ...encoder.formats])],
  plays: formats,
  speech: modules['mod_flite'] === true,
  rooms: modules['mod_conference'] === true,
  transcribes: { languages, sentiment, formats: ['wav', ...decoder.formats] },
})

const aboutOf = ({ uuid, from, to }: VoiceCall) => ({ from, to, uuid, conversation_uuid: conversationOf(uuid) })

export function startVoice(ports: VoicePorts): Voice {
  const places = createPlaces(ports)
  const lives = startLives(ports, places)
  const recordings = startRecordings(ports, lives)
  const conversations = createConversations(ports, recordings)
  const telling = new Set<Promise<void>>()
  const running = new Map<string, Run>()

  async function run(call: VoiceCall, application: Application, flow: unknown, from?: Place): Promise<'done' | 'failed'> {
    const transcriber = await ports.transcriber
    call.signal.throwIfAborted()
    const { applicationId, eventUrl, sign } = application
    const about = aboutOf(call)
    const report = lives.begin(call, eventUrl, applicationId)
    const one: Run = {
      call,
      can: abilitiesOf(call.node.status(), ports, transcriber),
      report,
      about: {
        ...(applicationId === undefined ? {} : { applicationId }),
        ...(eventUrl === undefined ? {} : { eventUrl }),
        ...(sign === undefined ? {} : { sign }),
      },
      turn: new AbortController(),
      reached: where => call.set({ [PLACE]: placeText(where) }),
      replaced: by => keepPlace(by),
    }
    const keepPlace = (place: Pick<Place, 'actions' | 'turn'>): Promise<void> =>
      places.keep({ node: call.node.name, uuid: call.uuid }, { flow, ...place }, call.log)
    call.signal.addEventListener('abort', () => one.turn.abort(), { once: true })
    running.set(call.uuid, one)
    try {
      const place = from ?? { actions: await actionsOf(ports, application, about, one.can, call.signal), turn: 0, at: 0 }
      // The first action waits for no disk.
      if (from === undefined) keep(keepPlace(place))
      await interpret(ports, { recordings, conversations }, one, place)
      await call.set({ [PLACE]: null })
      return 'done'
    } catch (error) {
      call.signal.throwIfAborted()
      if (isCode(error, 'leg_gone') || isCode(error, 'switch_down')) throw error
      call.log.error('ncco_refused', { why: reasonOf(error) })
      void report.tell(failureOf(error))
      return 'failed'
    } finally {
      running.delete(call.uuid)
      keep(report.idle())
      // The engine stops; the call does not.
      if (!isCode(call.signal.reason, 'switch_down')) keep(forget(call))
    }
  }

  function keep(work: Promise<void>): void {
    const one = work.finally(() => telling.delete(one))
    telling.add(one)
  }

  async function forget({ log, uuid }: VoiceCall): Promise<void> {
    await places.forget(uuid).catch((error: unknown) => log.warn('voice_place_not_forgotten', { reason: reasonOf(error) }))
  }

  async function transfer(uuid: string, script: Script): Promise<boolean> {
    const one = running.get(uuid)
    if (one === undefined) return false
    const { call } = one
    const actions = await actionsOf(ports, script, aboutOf(call), one.can, call.signal)
    one.replacement = actions
    one.turn.abort()
    await call.breakOff()
    return true
  }

  return {
    run,
    transfer,
    begun: uuid => running.has(uuid) || lives.knows(uuid),
    placeOf: leg => places.of(leg),
    transcribed: (recording, signal) => tellTranscript(ports, recording, signal),
    async close() {
      await Promise.all([lives.close(), ...telling])
    },
  }
}
