// From when a caller's leg comes until it is gone: one detail record, however often the leg is transferred meanwhile
// and whichever engine saw it come. What a successor needs for that stands on the leg.

import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Network } from '../recording/settings.ts'
import { accountDb, isId } from '../store/modb.ts'
import type { Doc, Store } from '../store/store.ts'
import type { Leg } from '../switch/switch.ts'
import { bound, type Call, type LegEvent } from './call.ts'
import type { OverCall } from './cdr.ts'
import { isDeleted, live } from './documents.ts'
import type { Records } from './records.ts'

/** What a detail record says of a call beside its leg and its times. */
export type About = Pick<OverCall, 'accountId' | 'account' | 'device' | 'dialled' | 'number' | 'interactionId' | 'way'>

export interface Lives {
  /** Unix milliseconds when the leg came first. */
  came(leg: Leg): number
  /** As `came`, but of a leg whose record is not ours to write. */
  cameAt(leg: Leg): number
  /** Its end will be heard. */
  knows(uuid: string): boolean
  /** It is this call; a transfer changes nothing of that. Kept as it is, so what its flow changes is told as it was in the end. */
  known(uuid: string, about: About, log: Log): void
  heard(event: LegEvent): void
  /** The records of calls on that switch are another engine's to write. */
  leave(node: string): void
  /** The connection to the switch was away: no end of its calls will be heard but of those that `found` then names. */
  reconnected(node: string): void
  /** What is up on the switch, as it was asked after that. */
  found(node: string, legs: readonly Leg[]): void
}

interface Life {
  node: string
  cameAt: number
  /** Call time. */
  began: number
  answered: number | undefined
  /** It may have ended while the connection was away. */
  unsure: boolean
  about: { call: About; log: Log } | undefined
}

const CAME_AT = 'callrec_came_at'
const NUMBER = 'callrec_number'
const TO = 'callrec_to'

/** Variables of the leg from which another engine can tell of the call. */
export const startOf = ({ cameAt, number, way }: Pick<Call, 'cameAt' | 'number' | 'way'>): Record<string, string> => ({
  [CAME_AT]: String(cameAt),
  [NUMBER]: number,
  [TO]: way.to,
})

/** Undefined where no flow ever began for the leg. */
export const cameAtOn = ({ variables }: Leg): number | undefined => {
  const value = Number(variables[CAME_AT])
  return Number.isSafeInteger(value) && value > 0 ? value : undefined
}

/** The leg called, or called on, and a flow began for it. */
const isCall = ({ uuid, variables }: Leg): boolean => variables['callrec_call_id'] === uuid

export function watchLives({ store, clock, log, records }: { store: Store; clock: Clock; log: Log; records: Records }): Lives {
  const lives = new Map<string, Life>()

  function over({ leg, cause }: Extract<LegEvent, { name: 'CHANNEL_HANGUP_COMPLETE' }>, { about, cameAt, began, answered }: Life): void {
    if (about === undefined) return
    const timing = { cameAt, answeredAfterMs: answered === undefined ? undefined : answered - began, endedAfterMs: clock.elapsed() - began }
    records.write(() => Promise.resolve({ ...about.call, ...timing, leg, hangupCause: cause }), about.log)
  }

  /** Its flow ran in an engine that is gone; times are the switch's. */
  function overElsewhere({ leg, cause, at }: Extract<LegEvent, { name: 'CHANNEL_HANGUP_COMPLETE' }>): void {
    const accountId = leg.variables['callrec_account_id'] ?? ''
    const cameAt = cameAtOn(leg)
    if (!isCall(leg) || !isId(accountId) || cameAt === undefined) return
    const { createdAt = cameAt, answeredAt } = leg
    const about = bound(log, { account_id: accountId, call_id: leg.uuid, leg: leg.uuid, sip_call_id: leg.sipCallId, node: leg.node })
    records.write(async () => {
      const call = await aboutOf(store, accountId, leg)
      if (call === undefined) return undefined
      const answeredAfterMs = answeredAt === undefined ? undefined : answeredAt - createdAt
      return { ...call, leg, cameAt, answeredAfterMs, endedAfterMs: at - createdAt, hangupCause: cause }
    }, about)
  }

  const cameAtOf = (leg: Leg): number => lives.get(leg.uuid)?.cameAt ?? cameAtOn(leg) ?? clock.now()

  return {
    cameAt: cameAtOf,
    came(leg) {
      const cameAt = cameAtOf(leg)
      if (lives.has(leg.uuid)) return cameAt
      const began = clock.elapsed()
      lives.set(leg.uuid, { node: leg.node, cameAt, began, answered: leg.answered ? began : undefined, unsure: false, about: undefined })
      return cameAt
    },
    knows: uuid => lives.get(uuid)?.unsure === false,
    leave(name) {
      for (const [uuid, { node }] of lives) if (node === name) lives.delete(uuid)
    },
    reconnected(name) {
      for (const life of lives.values()) if (life.node === name) life.unsure = true
    },
    found(name, legs) {
      const up = new Set(legs.map(({ uuid }) => uuid))
      for (const [uuid, life] of lives) {
        if (life.node !== name || !life.unsure) continue
        if (up.has(uuid)) life.unsure = false
        else lives.delete(uuid)
      }
    },
    known(uuid, call, log) {
      const life = lives.get(uuid)
      if (life !== undefined) life.about ??= { call, log }
    },
    heard(event) {
      const life = lives.get(event.leg.uuid)
      if (event.name === 'CHANNEL_ANSWER' && life !== undefined) life.answered ??= clock.elapsed()
      if (event.name === 'CHANNEL_HANGUP_COMPLETE') {
        if (life === undefined) overElsewhere(event)
        else over(event, life)
      }
      if (event.name === 'CHANNEL_HANGUP_COMPLETE' || event.name === 'CHANNEL_DESTROY') lives.delete(event.leg.uuid)
    },
  }
}

/** Undefined where the account is no more. */
async function aboutOf(store: Store, accountId: string, { uuid, variables }: Leg): Promise<About | undefined> {
  const db = accountDb(accountId)
  const named = (name: string): Promise<Doc | undefined> => (isId(variables[name] ?? '') ? store.get(db, variables[name] ?? '') : Promise.resolve(undefined))
  const [account, device, callflow] = await Promise.all([store.get('accounts', accountId), named('callrec_device_id'), named('callrec_callflow_id')])
  if (account === undefined || isDeleted(account)) return undefined
  const network = (value: string | undefined): Network => (value === 'offnet' ? 'offnet' : 'onnet')
  return {
    accountId,
    account,
    device: live(device, 'device'),
    dialled: live(callflow, 'callflow'),
    number: variables[NUMBER] ?? '',
    interactionId: variables['callrec_interaction_id'] ?? uuid,
    way: { from: network(variables['callrec_inception']), to: network(variables[TO]) },
  }
}
