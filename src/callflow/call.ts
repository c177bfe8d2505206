// One call, from CHANNEL_PARK to hangup: what the actions may know of it and the ports they act through.
// It carries no behaviour; that is in the actions.

import type { Clock } from '../clock.ts'
import { AppError } from '../errors.ts'
import type { Facts, Log } from '../log.ts'
import type { TenantClient } from '../net/client.ts'
import type { Recorder } from '../recording/recorder.ts'
import type { Siprec } from '../siprec/sessions.ts'
import type { Documents, Way } from '../recording/policy.ts'
import type { Doc, Store } from '../store/store.ts'
import type { Leg, SwitchEvent, Switches, SwitchNode } from '../switch/switch.ts'
import { flagsOf } from './documents.ts'
import type { Fields, Outcome, Position } from './flow.ts'
import type { Place } from '../voice/places.ts'
import type { Voice } from '../voice/voice.ts'

export interface Ports {
  switches: Switches
  store: Store
  recorder: Recorder
  siprec: Siprec
  /** Call time. */
  clock: Clock
  /** The wall's, for servers of tenants. */
  wall: Clock
  http: TenantClient
  voice: Pick<Voice, 'run' | 'placeOf'>
  /** What a flow from elsewhere would be saved as, and why it would not, each with its path. */
  checkFlow: (flow: unknown) => { flow: unknown; faults: string[] }
  log: Log
  /** That many random bytes in hex. */
  random(bytes: number): string
  /** `maxTimeLimit`: seconds no recording may exceed. */
  config: { maxTimeLimit: number }
}

export type LegEvent = Extract<SwitchEvent, { leg: Leg }>

export interface Call {
  ports: Ports
  node: SwitchNode
  /** The caller's leg as the last event or command told of it. */
  leg: Leg
  accountId: string
  /** What was dialled. */
  number: string
  interactionId: string
  /** Unix milliseconds when it was taken: the month of its detail record. */
  cameAt: number
  account: Doc
  /** The authenticated phone that calls, and whose it is; neither for a caller from a trunk. */
  device: Doc | undefined
  user: Doc | undefined
  /** The callflow that was dialled, in the revision the call started with. */
  dialled: Doc
  /** The account's callflow that runs before it. */
  preflow: Doc | undefined
  /** The callflow whose node runs now. */
  callflow: Doc
  /** Callflows that were branched into: the call keeps the revision it first saw. */
  branched: Map<string, Doc>
  /** Keys of the children that the node has which runs now. */
  children: readonly string[]
  /** Where it is in its flow now. */
  at: Position | undefined
  /** How far the voice application is that runs it, until that goes on. */
  place: Place | undefined
  way: Way
  /** What the pattern that matched the number caught of it. */
  captures: readonly string[]
  /** Set by the callflow; only expressions ask for them. */
  vars: Map<string, string>
  /** Names of variables of the leg that legs it rings get as well. */
  exported: Set<string>
  language: string | undefined
  /** What the caller pressed last when he was asked. */
  digits: string | undefined
  /** How the last bridge failed. */
  last: { cause: string; sipStatus: string } | undefined
  /** Whose caller id the leg shows since its last bridge. */
  shown: 'internal' | 'external' | undefined
  /** A number of the account that the next bridges show in place of what documents say. */
  showsNumber: string | undefined
  /** Aborted with the reason when the caller is gone or the engine stops: nothing more is to be done for this call. */
  signal: AbortSignal
  /** With the call's ids in every line. */
  log: Log
  /** Events of another leg of this call until the answer is called. */
  watch(uuid: string, listener: (event: LegEvent) => void): () => void
}

/**
 * One callflow module. It answers where the call goes; what it throws is logged and the call goes on at `_`.
 * `data` passed the module's schema when it was saved, but a document can come to the store by other ways.
 */
export type Action = (data: Fields, call: Call) => Promise<Outcome> | Outcome

/** What the documents of one party and of the callflows the call is in say about recording. */
export const documentsOf = (call: Pick<Call, 'account' | 'dialled' | 'callflow'>, device: Doc | undefined, user: Doc | undefined): Documents => ({
  account: flagsOf(call.account),
  mayRefuse: call.account['allow_recording_optout'] === true,
  ...(user === undefined ? {} : { user: flagsOf(user) }),
  ...(device === undefined ? {} : { device: flagsOf(device) }),
  callflows: (call.dialled === call.callflow ? [call.dialled] : [call.dialled, call.callflow]).map(flagsOf),
})

export const callerDocuments = (call: Pick<Call, 'account' | 'dialled' | 'callflow' | 'device' | 'user'>): Documents =>
  documentsOf(call, call.device, call.user)

/** Runs an application on the caller's leg until it ends; remembers what became of the leg. Throws `leg_taken` when others moved it meanwhile. */
export async function execute(call: Call, app: string, argument?: string): Promise<string> {
  const { response, leg, taken } = await unlessAborted(call.signal, call.node.execute(call.leg.uuid, app, argument))
  call.leg = leg
  if (app === 'answer') await unlessAborted(call.signal, call.ports.recorder.asked(leg.uuid))
  if (taken) throw new AppError('leg_taken', `leg ${leg.uuid} was transferred, or bridged with another one, during ${app}`)
  return response
}

/** Resolves when the caller is gone or the engine stops. */
export const untilGone = ({ signal }: Call): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })

/** Only the waiting ends: the port's own signal would break off what runs, and a closing engine leaves calls as they are. */
export function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** A log whose every line carries `facts`. */
export function bound(log: Log, facts: Facts): Log {
  const level =
    (name: keyof Log) =>
    (event: string, more: Facts = {}): void =>
      log[name](event, { ...facts, ...more })
  return { debug: level('debug'), info: level('info'), warn: level('warn'), error: level('error') }
}
