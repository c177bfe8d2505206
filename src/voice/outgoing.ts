// Calls that an application has made: what it may ask for, and the document that a call is known by from then on.
// Pure. Names are those of the Voice API (POST /v1/calls).

import type { Doc } from '../store/store.ts'
import { monthOf } from '../store/modb.ts'
import type { Endpoint } from './ncco.ts'
import { absent, type Fault, type Fields, method, oneUrl, read, type Reader, type Readers, whole, Wrong } from './options.ts'
import { endpointOf, parseNcco } from './parse.ts'

/** Phones of a user are several; one is called. */
export type Called = Exclude<Endpoint, { type: 'user' }>

export interface Outgoing {
  to: Called
  /** Number to show. */
  from?: string
  /** Seconds it rings. */
  ringing: number
  /** Of the action `ncco` that the call runs when it is answered. */
  data: Fields
}

interface Body {
  to: Called
  from: string
  ncco: readonly unknown[]
  answer_url: string
  answer_method: 'GET' | 'POST'
  event_url: string
  event_method: 'GET' | 'POST'
  ringing_timer: number
  length_timer: never
  random_from_number: never
  machine_detection: never
  advanced_machine_detection: never
}

const isOne = (value: unknown): value is readonly [Fields] => Array.isArray(value) && value.length === 1 && typeof value[0] === 'object' && value[0] !== null

const to: Reader<Called> = value => {
  if (!isOne(value)) return new Wrong('must be an array with one endpoint')
  const found = endpointOf(value[0], '')
  if (!('made' in found) || found.faults.length > 0) return new Wrong(found.faults.map(({ path, message }) => `[0]${path} ${message}`).join('; '))
  return found.made.type === 'user' ? new Wrong('[0].type must be one of phone, sip, device') : found.made
}

const from: Reader<string> = value => {
  const { type, number } = (typeof value === 'object' && value !== null ? value : {}) as Fields
  return type === 'phone' && typeof number === 'string' && /^\+?\d{1,20}$/.test(number) ? number : new Wrong('must be {"type": "phone", "number": …}')
}

const BODY: Readers<Body> = {
  to,
  from,
  ncco: value => (Array.isArray(value) ? value : new Wrong('must be an array of actions')),
  answer_url: oneUrl,
  answer_method: method,
  event_url: oneUrl,
  event_method: method,
  ringing_timer: whole(1, 120, 'must be between 1 and 120 seconds'),
  length_timer: absent(),
  random_from_number: absent(),
  machine_detection: absent(),
  advanced_machine_detection: absent(),
}

/** `hasAnswerUrl`: the application's own document says where to ask. */
export function parseCall(body: Fields, applicationId: string, hasAnswerUrl: boolean): { call: Outgoing | undefined; faults: Fault[] } {
  const { said, faults: wrong } = read(body, BODY, '', ['to'])
  const faults = wrong.map(({ path, message }) => ({ path: path.slice(1), message }))
  if (said.ncco !== undefined)
    faults.push(...parseNcco(said.ncco).faults.map(({ path, message }) => ({ path: path === 'ncco' ? path : `ncco${path}`, message })))
  if (said.ncco !== undefined && said.answer_url !== undefined) faults.push({ path: 'ncco', message: 'and answer_url exclude each other' })
  if (said.ncco === undefined && said.answer_url === undefined && faults.length === 0 && !hasAnswerUrl)
    faults.push({ path: 'ncco', message: 'or answer_url is required' })
  if (said.to === undefined || faults.length > 0) return { call: undefined, faults }
  const { to: called, from: shows, ringing_timer: ringing = 60, ...rest } = said
  return { call: { to: called, ...(shows === undefined ? {} : { from: shows }), ringing, data: { ...rest, application_id: applicationId } }, faults }
}

/** In the account's database of the month it was asked for. */
export interface PlacedCall extends Doc {
  pvt_type: 'voice_call'
  pvt_account_id: string
  /** Gregorian seconds. */
  pvt_created: number
  application_id: string
  from: string
  to: string
  /** Of the action `ncco`. */
  data: Fields
  /** Gregorian seconds. */
  answered_at?: number
  /** Of a call that was not answered: how it ended, in the words of the Voice API, and the hangup cause or why there is none. */
  status?: string
  detail?: string
}

/** The uuid's time (version 7) tells the month. */
export const placedId = (uuid: string): string | undefined => {
  const at = Number.parseInt(uuid.replaceAll('-', '').slice(0, 12), 16)
  return /^0[0-9a-f]{7}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(uuid) ? `${monthOf(at)}-voice-${uuid}` : undefined
}

/** Of a call that an application has made. */
export const isPlacedId = (id: string): boolean => /^\d{6}-voice-/.test(id)

/** What a call asks to be done with it instead of what it does. */
export type Change = { action: 'hangup' } | { action: 'transfer'; ncco: unknown } | { action: 'transfer'; url: string }

export function parseChange(body: Fields): Change | Fault {
  if (body['action'] === 'hangup') return { action: 'hangup' }
  if (body['action'] !== 'transfer') return { path: 'action', message: 'must be one of hangup, transfer' }
  const { type, ncco, url } = (typeof body['destination'] === 'object' && body['destination'] !== null ? body['destination'] : {}) as Fields
  if (type !== 'ncco') return { path: 'destination.type', message: 'must be ncco' }
  if (ncco !== undefined) {
    const [first] = parseNcco(ncco).faults
    return first === undefined
      ? { action: 'transfer', ncco }
      : { path: first.path === 'ncco' ? 'destination.ncco' : `destination.ncco${first.path}`, message: first.message }
  }
  const asked = oneUrl(url)
  return asked instanceof Wrong ? { path: 'destination.url', message: asked.why } : { action: 'transfer', url: asked }
}
