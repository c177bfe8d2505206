// A call as the interpreter sees it, and the ports it acts through. Whoever walks the callflow makes one; nothing
// here knows of callflows.

import type { Clock } from '../clock.ts'
import type { Events } from '../events.ts'
import type { Log } from '../log.ts'
import type { TenantClient } from '../net/client.ts'
import type { Decoder } from '../recording/audio/decoder.ts'
import type { Encoder } from '../recording/audio/encoder.ts'
import type { VoiceFacts } from '../recording/document.ts'
import type { Recorder } from '../recording/recorder.ts'
import type { Effective } from '../recording/settings.ts'
import type { Started, StartRequest } from '../recording/starting.ts'
import type { Spool } from '../recording/spool.ts'
import type { Transcriber } from '../recording/transcripts/transcriber.ts'
import type { Store } from '../store/store.ts'
import type { Switches, SwitchNode } from '../switch/switch.ts'
import type { Endpoint } from './ncco.ts'

export interface VoicePorts {
  store: Store
  switches: Switches
  recorder: Pick<Recorder, 'stop' | 'ended' | 'join'>
  /** Tells when a recording has arrived where it is kept. */
  events: Pick<Events, 'on'>
  http: TenantClient
  spool: Spool
  encoder: Pick<Encoder, 'formats'>
  decoder: Pick<Decoder, 'formats'>
  /** Known once it was asked what it understands. */
  transcriber: Promise<Pick<Transcriber, 'languages' | 'sentiment'>>
  /** Call time. */
  clock: Clock
  /** The wall's, for servers of tenants. */
  wall: Clock
  log: Log
  /** That many random bytes in hex. */
  random(bytes: number): string
  /** Resolves when it is told of a call that was placed here that it rings. */
  toldBefore(leg: string): Promise<void>
  /** Where applications reach callrec, with no slash at its end. */
  publicUrl: string
}

/** How a connect ended. */
export interface Dialled {
  answered: boolean
  /** Hangup cause, of one that was not answered. */
  cause: string
}

export interface Dial {
  /** Number to show. */
  from?: string
  /** Seconds it rings, and seconds they may talk. */
  timeout: number
  limit: number
  /** The other leg was answered. */
  talking: (leg: string) => void
}

export interface VoiceCall {
  /** Of the caller's leg. */
  uuid: string
  accountId: string
  from: string
  to: string
  /** The application has made it, and was told that it rings. */
  placed: boolean
  node: SwitchNode
  answered: () => boolean
  /** Of the leg, as it was last told. */
  variable: (name: string) => string | undefined
  /** Aborted when the caller is gone (`leg_gone`) or the engine stops. */
  signal: AbortSignal
  log: Log
  onAnswer: (then: () => void) => void
  /** Variables of the leg; null unsets one. */
  set: (variables: Readonly<Record<string, string | null>>) => Promise<void>
  /** Runs an application on the leg until it ends. */
  execute: (app: string, argument?: string) => Promise<string>
  startRecording: (settings: Effective, facts: VoiceFacts, more: Pick<StartRequest, 'groupId' | 'channels' | 'transcription'>) => Promise<Started>
  /** Rings somebody and resolves when the two have talked, or did not come to talk. */
  dial: (to: Endpoint, how: Dial) => Promise<Dialled>
  /** Ends what the leg is doing: an application, or a talk with somebody else. */
  breakOff: () => Promise<void>
}

export const conversationOf = (uuid: string): string => `CON-${uuid}`

/** Resolves when it is aborted. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    signal.addEventListener('abort', () => resolve(), { once: true })
    if (signal.aborted) resolve()
  })
