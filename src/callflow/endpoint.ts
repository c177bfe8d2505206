// Phones: which of them a user, a device or a group of them means, and ringing them together or in turn.

import { isCode } from '../errors.ts'
import type { Doc, Store } from '../store/store.ts'
import { bridgeArgument } from '../switch/commands.ts'
import { bridge, newLegId, type Rung, showCaller } from './bridge.ts'
import type { Call } from './call.ts'
import { isDisabled, live, sipUsername, text } from './documents.ts'
import { next, type Outcome } from './flow.ts'

export interface Ring {
  /** Whole seconds until nobody's answer is taken; of phones that ring in turn, for each that has no time of its own. */
  timeout: number
  /** `single`: one after the other, in the order they are given. */
  strategy: 'simultaneous' | 'single'
  /** Also the phone that calls. */
  canCallSelf: boolean
  /** How often all of them are rung; once unless said. */
  repeats?: number
}

export const DEFAULT_TIMEOUT = 20
const LONGEST_TIMEOUT = 3600

export function timeoutFrom(value: unknown): number {
  const seconds = Math.trunc(Number(value))
  return Number.isFinite(seconds) && seconds >= 1 ? Math.min(seconds, LONGEST_TIMEOUT) : DEFAULT_TIMEOUT
}

export interface Endpoint {
  device: Doc
  user: Doc | undefined
  /** Seconds before it rings, among others; and it rings then. */
  delay?: number
  timeout?: number
}

/** The user's phones in the order of their ids; undefined when there is no such user. */
export async function devicesOfUser(store: Store, db: string, userId: string): Promise<Endpoint[] | undefined> {
  const [found, rows] = await Promise.all([store.get(db, userId), store.query(db, 'devices/listing_by_owner', { key: userId, includeDocs: true })])
  const user = live(found, 'user')
  if (user === undefined) return undefined
  return rows.flatMap(({ doc }) => {
    const device = live(doc, 'device')
    return device === undefined ? [] : [{ device, user }]
  })
}

/** Undefined when there is no such device. */
export async function deviceAlone(store: Store, db: string, deviceId: string): Promise<Endpoint[] | undefined> {
  const device = live(await store.get(db, deviceId), 'device')
  if (device === undefined) return undefined
  const ownerId = text(device['owner_id'])
  return [{ device, user: ownerId === '' ? undefined : live(await store.get(db, ownerId), 'user') }]
}

/** Why a device is not rung. */
export function unfit({ device }: Endpoint, call: Pick<Call, 'account' | 'device'>, canCallSelf: boolean): string | undefined {
  if (isDisabled(device)) return 'it is disabled'
  if (!canCallSelf && device._id === call.device?._id) return 'it is the phone that calls'
  try {
    bridgeArgument([{ endpoint: addressOf(device, call) }])
    return undefined
  } catch (error) {
    if (isCode(error, 'unsafe_argument')) return 'its sip.username or the account’s realm cannot be dialled'
    throw error
  }
}

const addressOf = (device: Doc, call: Pick<Call, 'account'>): string => `user/${sipUsername(device)}@${text(call.account['realm'])}`

/** Stops the flow when somebody answered; else the child named by the hangup cause, by the SIP status, or `_`. */
export async function ring(call: Call, endpoints: readonly Endpoint[], how: Ring): Promise<Outcome> {
  const fit = endpoints.filter(endpoint => {
    const why = unfit(endpoint, call, how.canCallSelf)
    if (why !== undefined) call.log.info('endpoint_skipped', { device_id: endpoint.device._id, why })
    return why === undefined
  })
  if (fit.length === 0) {
    call.log.warn('nobody_to_ring')
    return next('USER_NOT_REGISTERED')
  }
  await showCaller(call, 'internal')
  const turns = how.strategy === 'single' ? fit.map(alone) : [{ together: fit, seconds: how.timeout }]
  let outcome = next('USER_NOT_REGISTERED')
  for (let left = how.repeats ?? 1; left > 0; left -= 1) {
    for (const { together, seconds } of turns) {
      outcome = await bridge(
        call,
        together.map(one => rung(one, call, seconds ?? how.timeout)),
        seconds ?? how.timeout,
      )
      if (outcome.go === 'stop' || call.signal.aborted) return outcome
    }
  }
  return outcome
}

/** Who rings alone has nobody to wait for, and the bridge's limit is his. */
const alone = ({ device, user, timeout }: Endpoint): { together: Endpoint[]; seconds: number | undefined } => ({
  together: [{ device, user }],
  seconds: timeout,
})

/** A leg's own limit is left out where the bridge's comes first. */
function rung({ device, user, delay = 0, timeout }: Endpoint, call: Call, seconds: number): Rung {
  const uuid = newLegId(call)
  const shorter = timeout !== undefined && delay + timeout < seconds
  return {
    uuid,
    endpoint: addressOf(device, call),
    ...(delay > 0 ? { delay } : {}),
    ...(shorter ? { timeout } : {}),
    callee: { uuid, device, user },
  }
}
