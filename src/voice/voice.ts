// The voice applications that run here: one run per call, what may be changed of it from outside, and what is still to
// be told when a call is over.

import { isCode, reasonOf } from '../errors.ts'
import type { Signer } from './ask.ts'
import type { Recording } from '../recording/document.ts'
import type { NodeStatus } from '../switch/switch.ts'
import type { Address } from './ask.ts'
import { createConversations } from './conversations.ts'
import { conversationOf, type VoiceCall, type VoicePorts } from './call.ts'
import { failureOf, interpret, type Run } from './interpreter.ts'
import { startLives } from './lives.ts'
import type { Abilities } from './ncco.ts'
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
  /** Resolves when the actions are done, `failed` when there were none to do; rejects when the caller is gone. */
  run(call: VoiceCall, application: Application): Promise<'done' | 'failed'>
  /** Other actions take the place of those of a call; false when no application runs it here. Rejects where there are none to do. */
  transfer(uuid: string, script: Script): Promise<boolean>
  /** Tells whoever asked for it of a transcript that is there, or will never be. Rejects where it is to be tried again. */
  transcribed(recording: Recording, signal: AbortSignal): Promise<void>
  /** Resolves when all is told. */
  close(): Promise<void>
}

const abilitiesOf = (
  { modules, formats }: Pick<NodeStatus, 'modules' | 'formats'>,
  { encoder, decoder, transcriber: { languages, sentiment } }: Pick<VoicePorts, 'encoder' | 'decoder' | 'transcriber'>,
): Abilities => ({
  formats: [...new Set([...formats, ...encoder.formats])],
  plays: formats,
  speech: modules['mod_flite'] === true,
  rooms: modules['mod_conference'] === true,
  transcribes: { languages, sentiment, formats: ['wav', ...decoder.formats] },
})

const aboutOf = ({ uuid, from, to }: VoiceCall) => ({ from, to, uuid, conversation_uuid: conversationOf(uuid) })

export function startVoice(ports: VoicePorts): Voice {
  const recordings = startRecordings(ports)
  const lives = startLives(ports)
  const conversations = createConversations(ports, recordings)
  const telling = new Set<Promise<void>>()
  const running = new Map<string, Run>()

  async function run(call: VoiceCall, application: Application): Promise<'done' | 'failed'> {
    const { applicationId, eventUrl, sign } = application
    const about = aboutOf(call)
    const report = lives.begin(call, eventUrl, applicationId)
    const one: Run = {
      call,
      can: abilitiesOf(call.node.status(), ports),
      report,
      about: {
        ...(applicationId === undefined ? {} : { applicationId }),
        ...(eventUrl === undefined ? {} : { eventUrl }),
        ...(sign === undefined ? {} : { sign }),
      },
      turn: new AbortController(),
    }
    call.signal.addEventListener('abort', () => one.turn.abort(), { once: true })
    running.set(call.uuid, one)
    try {
      const actions = await actionsOf(ports, application, about, one.can, call.signal)
      await interpret(ports, { recordings, conversations }, one, actions)
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
    }
  }

  function keep(work: Promise<void>): void {
    const one = work.finally(() => telling.delete(one))
    telling.add(one)
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
    transcribed: (recording, signal) => tellTranscript(ports, recording, signal),
    async close() {
      recordings.close()
      await Promise.all([lives.close(), ...telling, recordings.idle()])
    },
  }
}
