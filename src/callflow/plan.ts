// What ringing somebody comes to: phones, numbers outside where a phone's calls are forwarded, or another callflow. The
// dry run asks the same.

import type { Log } from '../log.ts'
import { accountDb, isId } from '../store/modb.ts'
import type { Doc, Store } from '../store/store.ts'
import { isDisabled, isObject, sipUsername, text } from './documents.ts'
import { deviceAlone, devicesOfUser, type Endpoint } from './endpoint.ts'
import { type Forward, forwardOf, ownNumber } from './forward.ts'
import { dialable, isTelephoneNumber, waysFor } from './leaving.ts'
import { callflowOf } from './lookup.ts'

/** Whose settings decide about a leg that is rung. */
export type Party = Pick<Endpoint, 'user'> & { device: Doc | undefined }

export interface Planned {
  /** As it is dialled. */
  endpoint: string
  /** The phone of ours that rings, and who forwarded to it or to a number outside. */
  parties: readonly Party[]
  /** Where it leaves for, by a trunk. */
  outside?: string
  /** A key has to be pressed first. */
  keypress: boolean
  /** Shown in place of the caller's number. */
  shows?: string
  delay?: number
  timeout?: number
}

export interface Plan {
  ring: Planned[]
  /** Rung where none of those can be reached. */
  otherwise: Planned[]
  /** Nobody is rung: the call goes on there, because its only phone forwards to it. */
  into?: Doc
}

interface Calling {
  store: Store
  log: Log
  account: Doc
  /** The phone that calls. */
  device: Doc | undefined
}

export interface Wanted {
  endpoints: readonly Endpoint[]
  /** Whose phones they are, where one user is called: he may forward without having any. */
  owner?: Doc | undefined
  canCallSelf: boolean
  /** `group`: phones are members of a group; `ignored`: nobody's forward counts. */
  forwards: 'direct' | 'group' | 'ignored'
}

interface Forwarded {
  planned: Planned[]
  into?: Doc
}

export async function planOf(calling: Calling, { endpoints, owner, canCallSelf, forwards }: Wanted): Promise<Plan> {
  const { log } = calling
  const plan: Plan = { ring: [], otherwise: [] }
  const flows: Doc[] = []
  const numbers = new Set<string>()
  const parties: readonly (Endpoint | { device: undefined; user: Doc })[] =
    endpoints.length === 0 && owner !== undefined ? [{ device: undefined, user: owner }] : endpoints
  for (const party of parties) {
    const { device, user } = party
    if (device !== undefined && isDisabled(device)) {
      log.info('endpoint_skipped', { device_id: device._id, why: 'it is disabled' })
      continue
    }
    const forward = forwards === 'ignored' ? undefined : forwardOf(device, user, forwards === 'direct')
    // A user's phones forward together, and whoever is rung for one of them is rung for all.
    const again = forward !== undefined && numbers.has(forward.number)
    if (forward !== undefined) numbers.add(forward.number)
    const forwarded = forward === undefined || again ? { planned: [] } : await forwardedBy(calling, party, forward)
    const reached = again || forwarded.planned.length > 0 || forwarded.into !== undefined
    const instead = forward !== undefined && reached && forward.substitute && !forward.failover
    if (forward?.failover === true) plan.otherwise.push(...forwarded.planned)
    else plan.ring.push(...forwarded.planned)
    if (forwarded.into !== undefined && instead) flows.push(forwarded.into)
    if (instead || party.device === undefined) continue
    const why = unfit(party, calling, canCallSelf)
    if (why === undefined) plan.ring.push(phone(party, calling))
    else log.info('endpoint_skipped', { device_id: party.device._id, why })
  }
  const [into] = flows
  if (into !== undefined && plan.ring.length === 0) return { ...plan, into }
  if (into !== undefined) log.warn('forward_not_rung', { callflow_id: into._id, why: 'it leads to a callflow that is no phone, and other phones ring as well' })
  return plan
}

/** Why a device is not rung. */
export function unfit({ device }: Endpoint, { account, device: caller }: Pick<Calling, 'account' | 'device'>, canCallSelf: boolean): string | undefined {
  if (isDisabled(device)) return 'it is disabled'
  if (!canCallSelf && device._id === caller?._id) return 'it is the phone that calls'
  return dialable(addressOf(device, account)) ? undefined : 'its sip.username or the account’s realm cannot be dialled'
}

const addressOf = (device: Doc, account: Doc): string => `user/${sipUsername(device)}@${text(account['realm'])}`

const phone = ({ device, user, delay, timeout }: Endpoint, { account }: Calling): Planned => ({
  endpoint: addressOf(device, account),
  parties: [{ device, user }],
  keypress: false,
  ...(delay === undefined ? {} : { delay }),
  ...(timeout === undefined ? {} : { timeout }),
})

/** A number of the account that rings phones rings them; any other of its numbers is a callflow; else it leaves by a trunk. */
async function forwardedBy(calling: Calling, by: Party & Pick<Endpoint, 'delay' | 'timeout'>, forward: Forward): Promise<Forwarded> {
  const { store, log, account } = calling
  const { number, keypress } = forward
  const shows = forward.keepCallerId ? undefined : ownNumber(by.device, by.user, account)
  const common = {
    keypress,
    ...(shows === undefined ? {} : { shows }),
    ...(by.delay === undefined ? {} : { delay: by.delay }),
    ...(by.timeout === undefined ? {} : { timeout: by.timeout }),
  }
  const told = { device_id: by.device?._id, owner_id: by.user?._id, number: number.slice(0, 50) }
  const found = await callflowOf(store, accountDb(account._id), number, false, log)
  if (found !== undefined) {
    const phones = await phonesBehind(calling, found.callflow)
    log.info('call_forwarded', { ...told, callflow_id: found.callflow._id })
    if (phones === undefined) return { planned: [], into: found.callflow }
    return { planned: phones.map(one => ({ ...phone(one, calling), ...common, parties: [{ device: one.device, user: one.user }, by] })) }
  }
  const [way] = isTelephoneNumber(number) ? await waysFor(store, log, account._id, number) : []
  if (way === undefined) {
    log.warn('forward_not_rung', { ...told, why: 'no callflow of the account has this number, and no trunk takes it' })
    return { planned: [] }
  }
  log.info('call_forwarded', { ...told, resource_id: way.resourceId, gateway: way.gateway })
  return { planned: [{ endpoint: way.endpoint, parties: [by], outside: number, ...common }] }
}

/** The phones a callflow rings and nothing else; undefined where it does anything else. Their own forwards do not count: nobody is sent round in circles. */
async function phonesBehind(calling: Calling, callflow: Doc): Promise<Endpoint[] | undefined> {
  const flow = callflow['flow']
  const id = isObject(flow) && isObject(flow['data']) ? text(flow['data']['id']) : ''
  if (!isObject(flow) || !isId(id) || (flow['module'] !== 'user' && flow['module'] !== 'device')) return undefined
  const db = accountDb(calling.account._id)
  const endpoints = await (flow['module'] === 'user' ? devicesOfUser(calling.store, db, id) : deviceAlone(calling.store, db, id))
  return endpoints?.filter(one => unfit(one, calling, false) === undefined)
}
