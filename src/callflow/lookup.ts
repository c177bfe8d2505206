// From a parked leg to the documents its call needs, in few reads of the store one after the other. A phone's
// call takes two at most: everything the leg itself names, then what those documents name. A trunk's leg names
// no account, so one read comes before: whose the number is.

import { isCode } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Network } from '../recording/settings.ts'
import { accountDb, isId, monthDb } from '../store/modb.ts'
import type { Doc, Store } from '../store/store.ts'
import type { Leg } from '../switch/switch.ts'
import { isPlacedId, type PlacedCall } from '../voice/outgoing.ts'
import { isDeleted, isDisabled, isObject, live, text } from './documents.ts'
import { fromTrunk } from './e164.ts'
import { bestMatch, type Match, patienceOfLookup } from './patterns.ts'

export interface Found {
  accountId: string
  number: string
  account: Doc
  device: Doc | undefined
  user: Doc | undefined
  callflow: Doc
  /** What the pattern that matched caught of the number. */
  captures: readonly string[]
  /** What the account runs before any callflow of its own (account.preflow.always). */
  preflow: Doc | undefined
  from: Network
  to: Network
}

/** The call cannot be served: why, what the caller is told, and what was known of it by then. */
export interface Refused {
  refused: string
  cause: 'CALL_REJECTED' | 'UNALLOCATED_NUMBER' | 'NORMAL_CIRCUIT_CONGESTION'
  known?: Pick<Found, 'accountId' | 'account' | 'device' | 'number' | 'from'>
}

const rejected = (refused: string): Refused => ({ refused, cause: 'CALL_REJECTED' })
const unallocated = (refused: string): Refused => ({ refused, cause: 'UNALLOCATED_NUMBER' })

const BY_NUMBER = 'callflows/listing_by_number'
const BY_PATTERN = 'callflows/listing_by_pattern'
export const NO_MATCH = 'no_match'

/** What of a leg says where it goes and whose it is. */
type Dialling = Pick<Leg, 'variables' | 'destination'>

/** A leg that callrec made itself carries the number it is to reach. */
export const dialledNumber = ({ variables, destination }: Dialling): string =>
  variables['callrec_destination'] ?? (isInFlow(variables) ? variables['callrec_number'] : undefined) ?? destination

/** An engine that is gone had begun its flow: what was to be done once is no more on the leg. */
const isInFlow = (variables: Dialling['variables']): boolean => variables['callrec_node'] !== undefined

/** An account that is deleted has no database any more, which is no fault of the store. */
const unlessMissing = <T>(read: Promise<T>, instead: T): Promise<T> =>
  read.catch((error: unknown) => {
    if (isCode(error, 'datastore_missing')) return instead
    throw error
  })

/** Whose call it is, and the ways its number may be written in a callflow, the most proper first. */
interface Called {
  accountId: string
  numbers: readonly [string, ...string[]]
}

async function calledBy(store: Store, leg: Dialling): Promise<Called | Refused> {
  const accountId = leg.variables['callrec_account_id']
  const dialled = dialledNumber(leg)
  if (accountId !== undefined) return isId(accountId) ? { accountId, numbers: [dialled] } : rejected('callrec_account_id is not an account id')
  const number = fromTrunk(dialled)
  if (number === undefined) return unallocated('not an international number: have the trunk or the dialplan send it as +…')
  const claim = await store.get('numbers', number)
  if (claim === undefined || isDeleted(claim)) return unallocated('no account has claimed this number')
  const holder = text(claim['pvt_account_id'])
  return isId(holder) ? { accountId: holder, numbers: [number, number.slice(1)] } : unallocated('the document of this number names no account')
}

export async function lookup(store: Store, leg: Dialling, log: Log): Promise<Found | Refused> {
  const called = await calledBy(store, leg)
  if ('refused' in called) return called
  const { accountId, numbers } = called
  const [number] = numbers
  const db = accountDb(accountId)
  const deviceId = leg.variables['callrec_device_id'] ?? ''
  const from: Network = leg.variables['callrec_inception'] === 'offnet' ? 'offnet' : 'onnet'
  if (deviceId !== '' && !isId(deviceId)) return rejected('callrec_device_id is not a device id')

  const [account, phone, placed, numbered] = await Promise.all([
    unlessMissing(store.get('accounts', accountId), undefined),
    deviceId === '' ? undefined : unlessMissing(store.get(db, deviceId), undefined),
    unlessMissing(placedCall(store, accountId, leg), undefined),
    unlessMissing(callflowsAt(store, db, [...numbers, NO_MATCH]), new Map<string, Doc>()),
  ])
  if (account === undefined || isDeleted(account)) return rejected('there is no such account')
  const device = live(phone, 'device')
  const known = { accountId, account, device, number, from }
  if (isDisabled(account)) return { ...rejected('the account is disabled'), known }
  if (deviceId !== '' && device === undefined) return { ...rejected('there is no such device'), known }
  if (device !== undefined && isDisabled(device)) return { ...rejected('the device is disabled'), known }

  const ownerId = text(device?.['owner_id'])
  const exact = placed ?? numbers.map(one => numbered.get(one)).find(callflow => callflow !== undefined)
  const preflowId = isObject(account['preflow']) ? text(account['preflow']['always']) : ''
  const [user, patterned, preflow] = await Promise.all([
    isId(ownerId) ? store.get(db, ownerId) : undefined,
    exact === undefined ? callflowLike(store, db, numbers, log) : undefined,
    isId(preflowId) ? store.get(db, preflowId) : undefined,
  ])
  // Only a phone of the account may leave it by dialling what nobody has, and only with a telephone number.
  const fallback = from === 'onnet' && /^\+?\d+$/.test(number) ? numbered.get(NO_MATCH) : undefined
  const matched = exact ?? patterned?.found
  const callflow = matched ?? fallback
  if (callflow === undefined) return { ...unallocated('no callflow has this number'), known }
  const captures = exact === undefined ? (patterned?.captures ?? []) : []
  const before = live(preflow, 'callflow')
  if (preflowId !== '' && before === undefined) log.warn('preflow_not_found', { callflow_id: preflowId.slice(0, 100) })
  return {
    accountId,
    number,
    account,
    device,
    user: live(user, 'user'),
    callflow,
    captures,
    preflow: before?._id === callflow._id ? undefined : before,
    from,
    to: matched === undefined ? 'offnet' : 'onnet',
  }
}

/** A call that a voice application has made runs what it asked for, whatever number it reached. */
async function placedCall(store: Store, accountId: string, { variables }: Dialling): Promise<Doc | undefined> {
  const id = variables['callrec_voice_call'] ?? (isInFlow(variables) ? variables['callrec_callflow_id'] : undefined) ?? ''
  if (!isPlacedId(id)) return undefined
  const call = await store.get<PlacedCall>(monthDb(accountId, id.slice(0, 6)), id)
  return call?.pvt_type === 'voice_call' ? { _id: call._id, name: 'voice call', from: call.from, flow: { module: 'ncco', data: call.data } } : undefined
}

/** Whose number it is; `mayLeave`: else the `no_match` callflow, for a telephone number. */
export async function callflowOf(
  store: Store,
  db: string,
  number: string,
  mayLeave: boolean,
  log: Log,
): Promise<Pick<Found, 'callflow' | 'captures' | 'to'> | undefined> {
  const numbered = await callflowsAt(store, db, [number, NO_MATCH])
  const exact = numbered.get(number)
  if (exact !== undefined) return { callflow: exact, captures: [], to: 'onnet' }
  const match = await callflowLike(store, db, [number], log)
  if (match?.found !== undefined) return { callflow: match.found, captures: match.captures, to: 'onnet' }
  const fallback = mayLeave && /^\+?\d+$/.test(number) ? numbered.get(NO_MATCH) : undefined
  return fallback === undefined ? undefined : { callflow: fallback, captures: [], to: 'offnet' }
}

/** The first live callflow of each number. */
export async function callflowsAt(store: Store, db: string, numbers: readonly string[]): Promise<Map<string, Doc>> {
  const rows = await store.query(db, BY_NUMBER, { keys: numbers, includeDocs: true })
  const found = new Map<string, Doc>()
  for (const { key, doc } of rows) {
    const callflow = live(doc, 'callflow')
    if (typeof key === 'string' && callflow !== undefined && !found.has(key)) found.set(key, callflow)
  }
  return found
}

async function callflowLike(store: Store, db: string, numbers: readonly string[], log: Log): Promise<Match<Doc> | undefined> {
  const rows = await store.query(db, BY_PATTERN, { includeDocs: true })
  const callflows = new Map<string, Doc>()
  for (const { doc } of rows) {
    const callflow = live(doc, 'callflow')
    if (callflow !== undefined) callflows.set(callflow._id, callflow)
  }
  const patterns = [...callflows.values()].flatMap(of => list(of['patterns']).map(pattern => ({ pattern, of })))
  const patience = patienceOfLookup()
  for (const number of numbers) {
    const match = bestMatch(patterns, number, patience)
    for (const { of, why } of match.faults) log.warn('pattern_unusable', { callflow_id: of._id, why })
    if (match.found !== undefined) return match
  }
  return undefined
}

const list = (value: unknown): string[] => (Array.isArray(value) ? value.filter(one => typeof one === 'string') : [])
