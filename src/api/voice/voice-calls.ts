// Calls of a voice application by REST: making one, how one stands, ending it, and giving it other actions. A call is
// found by the application that runs it; anybody else's is not there.

import { AppError, isCode } from '../../errors.ts'
import { fromTrunk } from '../../callflow/e164.ts'
import { waysOut } from '../../callflow/trunks.ts'
import { accountDb, cdrId, fromGregorian, monthDb, monthOf, toGregorian } from '../../store/modb.ts'
import type { Stored } from '../../store/store.ts'
import type { Leg, SwitchNode } from '../../switch/switch.ts'
import { applicationId } from '../../voice/application.ts'
import { conversationOf } from '../../voice/call.ts'
import { type Called, parseCall, parseChange, placedId, type PlacedCall } from '../../voice/outgoing.ts'
import { uuidAt } from '../../voice/recording.ts'
import { SyntaxFault } from '../../voice/script.ts'
import type { Device } from '../resources/devices.ts'
import { noSuch } from '../documents/document.ts'
import { type Fields, isObject, merge } from '../validation/fields.ts'
import { orNothing } from '../documents/months.ts'
import { Elsewhere } from '../http/elsewhere.ts'
import { join, problem, refuse } from '../validation/problems.ts'
import { upNode } from '../calls/quickcall.ts'
import type { Applicant } from '../rights/voice-auth.ts'
import type { Room } from '../http/room.ts'

const LEG = /^[A-Za-z0-9][A-Za-z0-9-]{0,127}$/

/** Whom to ring: a leg that leaves is the world's, another is a phone of the account. */
interface Target {
  endpoint: string
  variables: Record<string, string>
}

/** Answers the body of a 201. */
export async function placeCall(room: Room, { account, application }: Applicant, body: Fields): Promise<Fields> {
  const { clock, placing, random } = room
  const { call, faults } = parseCall(withoutNull(body), application._id, application.answer_url !== undefined)
  refuse(join(...faults.map(({ path, message }) => problem(path, 'error', { message }))))
  // The words of the Voice API come first; what they pass over, and where URLs may lead, is the schema's.
  refuse(room.validator.check('calls', merge({}, body)).problems)
  if (call === undefined) throw new AppError('validation error', 'not a call')
  if (call.from !== undefined) await mustBeOurs(room, account._id, call.from)
  const { endpoint, variables } = await targetOf(room, { account, application }, call.to)
  const node = upNode(room)
  const now = clock.now()
  const uuid = uuidAt(now, random(10).toString('hex'))
  const to = nameOf(call.to)
  const doc: PlacedCall = {
    _id: placedId(uuid) ?? '',
    pvt_type: 'voice_call',
    pvt_account_id: account._id,
    pvt_created: toGregorian(now),
    application_id: application._id,
    from: call.from ?? '',
    to,
    data: call.data,
  }
  // Whether it is answered is the call's story, not the request's.
  await placing.place({
    node,
    leg: {
      uuid,
      endpoint,
      variables: {
        callrec_account_id: account._id,
        callrec_application_id: application._id,
        callrec_voice_call: doc._id,
        callrec_destination: to,
        callrec_call_id: uuid,
        callrec_interaction_id: uuid.replaceAll('-', ''),
        ...(call.from === undefined ? {} : { origination_caller_id_number: call.from }),
        ...variables,
      },
      timeoutSeconds: call.ringing,
    },
    call: doc,
  })
  return { uuid, conversation_uuid: conversationOf(uuid), status: 'started', direction: 'outbound' }
}

const nameOf = (to: Called): string => ('number' in to ? to.number : 'uri' in to ? (to.uri.replace(/^sip:/, '').split('@')[0] ?? '') : to.id)

async function mustBeOurs({ store }: Room, account: string, from: string): Promise<void> {
  const number = fromTrunk(from)
  const claim = number === undefined ? undefined : await store.get('numbers', number)
  if (claim !== undefined && claim['pvt_deleted'] !== true && claim['pvt_account_id'] === account) return
  refuse(problem('from', 'error', { message: 'the account has not claimed this number', value: from }))
}

async function targetOf(room: Room, { account }: Applicant, to: Called): Promise<Target> {
  const { store, log } = room
  const db = accountDb(account._id)
  const nobody = (message: string): never => {
    refuse(problem('to', 'error', { message }))
    throw new AppError('validation error', message)
  }
  if (to.type === 'phone') {
    const rows = await store.query(db, 'resources/crossbar_listing', { includeDocs: true })
    const trunks = rows.flatMap(({ doc }) => (doc === undefined || doc['pvt_deleted'] === true ? [] : [doc]))
    const [way] = waysOut(trunks, to.number, (of, why) => log.warn('pattern_unusable', { resource_id: of._id, why }))
    if (way === undefined) return nobody('no trunk of the account takes this number')
    return { endpoint: `sofia/gateway/${way.gateway}/${way.number}`, variables: { callrec_inception: 'offnet' } }
  }
  const device = 'uri' in to ? await named(room, account._id, account.realm, to.uri) : await store.get<Device>(db, to.id)
  const username = device?.sip?.username
  if (device === undefined || device.pvt_type !== 'device' || device['pvt_deleted'] === true || device.enabled === false || username === undefined)
    return nobody('no phone of the account that can be rung')
  return { endpoint: `user/${username}@${account.realm}`, variables: { callrec_device_id: device._id } }
}

async function named({ store }: Room, account: string, realm: string, uri: string): Promise<Stored<Device> | undefined> {
  const [name = '', host = ''] = uri.replace(/^sip:/, '').split('@')
  if (host.toLowerCase() !== realm.toLowerCase()) return undefined
  const [row] = await store.query(accountDb(account), 'devices/listing_by_username', { key: name.toLowerCase() })
  return row === undefined ? undefined : store.get<Device>(accountDb(account), row.id)
}

interface Found {
  node: SwitchNode
  leg: Leg
}

/** The leg of a call that this application runs, also on a switch that another engine drives. */
async function legOf({ switches }: Room, { account, application }: Applicant, uuid: string): Promise<Found | undefined> {
  for (const node of switches.nodes.filter(canTell)) {
    const leg = await node.leg(uuid)
    const ours = leg?.variables['callrec_account_id'] === account._id && leg.variables['callrec_application_id'] === application._id
    if (leg !== undefined && ours) return { node, leg }
  }
  return undefined
}

const canTell = (node: SwitchNode): boolean => ['up', 'standby'].includes(node.status().state)

const stateOf = ({ answered }: Leg): string => (answered ? 'answered' : 'ringing')

/** As far as it is known: of a call that is up by its leg, of one that was placed by its documents. */
export async function readCall(room: Room, who: Applicant, uuid: string): Promise<Fields> {
  const found = await legOf(room, who, uuid)
  const about = { uuid, conversation_uuid: conversationOf(uuid) }
  if (found === undefined) return { ...about, ...(await placedOf(room, who, uuid)) }
  const { leg } = found
  const placed = await placedBy(room, who, uuid)
  return {
    ...about,
    status: stateOf(leg),
    direction: leg.direction,
    from: placed?.from ?? leg.callerIdNumber,
    to: leg.variables['callrec_destination'] ?? leg.destination,
    ...(leg.createdAt === undefined ? {} : { start_time: new Date(leg.createdAt).toISOString() }),
  }
}

async function placedBy({ store }: Room, { account, application }: Applicant, uuid: string): Promise<PlacedCall | undefined> {
  const id = placedId(uuid)
  const doc = id === undefined ? undefined : await orNothing(store.get<PlacedCall>(monthDb(account._id, id.slice(0, 6)), id), undefined)
  return doc?.application_id === application._id ? doc : undefined
}

/** `bad_identifier` where there is none; `switch_down` where the call may be on a switch that does not tell. */
async function placedOf(room: Room, { account, application }: Applicant, uuid: string): Promise<Fields & { status: string }> {
  const placed = await placedBy(room, { account, application }, uuid)
  const cdr =
    placed === undefined ? await takenOf(room, { account, application }, uuid) : await recordOf(room, account._id, uuid, fromGregorian(placed.pvt_created))
  if (placed?.status === undefined && cdr === undefined) {
    const away = room.switches.nodes.find(node => !canTell(node))
    if (away !== undefined) throw new Elsewhere(`call ${uuid} may be on ${away.name}`, away)
  }
  if (placed === undefined && cdr === undefined) throw noSuch('call', uuid)
  const times = (name: string, field: string): Fields => (typeof cdr?.[field] === 'number' ? { [name]: new Date(fromGregorian(cdr[field])).toISOString() } : {})
  return {
    ...(placed === undefined
      ? { status: ENDS[String(cdr?.['disposition'])] ?? 'completed', direction: 'inbound', from: cdr?.['caller_id_number'], to: cdr?.['callee_id_number'] }
      : {
          status: placed.status ?? (cdr === undefined && placed.answered_at === undefined ? 'started' : 'completed'),
          direction: 'outbound',
          from: placed.from,
          to: placed.to,
          ...(placed.detail === undefined ? {} : { detail: placed.detail }),
        }),
    ...times('start_time', 'timestamp'),
    ...times('end_time', 'ended_at'),
    ...(cdr === undefined ? {} : { duration: String(cdr['billing_seconds']) }),
  }
}

/** Milliseconds from the wish for a call to its coming, which names its detail record: it may have rung so long. */
const COMES_WITHIN = 180_000

/** How a call ended that came to the application, by its detail record. */
const ENDS: Readonly<Record<string, string>> = { BUSY: 'busy', 'NO ANSWER': 'unanswered', FAILED: 'failed' }
/** Milliseconds: calls that came are read for a month. */
const READ_FOR = 31 * 86_400_000

/** Of a call that came, by this month's or last month's detail record. */
async function takenOf(room: Room, { account, application }: Applicant, uuid: string): Promise<Stored | undefined> {
  if (!LEG.test(uuid)) return undefined
  const now = room.clock.now()
  for (const at of [now, now - READ_FOR]) {
    const cdr = await orNothing(room.store.get(monthDb(account._id, monthOf(at)), cdrId(at, uuid)), undefined)
    if (cdr?.['application_id'] === application._id) return cdr
  }
  return undefined
}

async function recordOf({ store }: Room, account: string, uuid: string, asked: number): Promise<Stored | undefined> {
  for (const at of [asked, asked + COMES_WITHIN]) {
    const cdr = await orNothing(store.get(monthDb(account, monthOf(at)), cdrId(at, uuid)), undefined)
    if (cdr !== undefined) return cdr
  }
  return undefined
}

export async function changeCall(room: Room, who: Applicant, uuid: string, body: Fields): Promise<void> {
  const change = parseChange(withoutNull({ ...body, destination: isObject(body['destination']) ? withoutNull(body['destination']) : body['destination'] }))
  if ('path' in change) return refuse(problem(change.path, 'error', { message: change.message }))
  refuse(room.validator.check('calls.change', merge({}, body)).problems)
  const found = await legOf(room, who, uuid)
  if (found === undefined) {
    const { status: state } = await placedOf(room, who, uuid)
    throw new AppError('wrong_state', `call ${uuid} is ${state}`, { state })
  }
  const { node, leg } = found
  if (node.status().state !== 'up') throw new Elsewhere(`call ${uuid} is on ${node.name}`, node)
  if (change.action === 'hangup') {
    const cause = leg.direction === 'outbound' && !leg.answered ? 'ORIGINATOR_CANCEL' : 'NORMAL_CLEARING'
    await node.hangup(uuid, cause).catch((error: unknown) => {
      if (!isCode(error, 'leg_gone')) throw error
    })
    return
  }
  const script = 'ncco' in change ? { ncco: change.ncco } : { answer: { url: change.url, method: 'GET' as const } }
  if (await room.voice.transfer(uuid, script).catch(atItsPath('ncco' in change ? 'destination.ncco' : 'destination.url'))) return
  const data = { state: stateOf(leg), application_id: applicationId(who.application) }
  throw new AppError('wrong_state', 'the application of this call does not run here now', data)
}

/** What is wrong with actions that were fetched, or that this switch has not, is told as what is wrong with a body. */
const atItsPath =
  (path: string) =>
  (error: unknown): never => {
    if (error instanceof SyntaxFault) refuse(problem(path, 'error', { message: error.message }))
    throw error
  }

/** Of the options themselves; what stands in an action may mean something. */
const withoutNull = (fields: Fields): Fields => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))
