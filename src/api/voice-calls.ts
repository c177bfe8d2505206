// Calls of a voice application by REST: making one, how one stands, ending it, and giving it other actions. A call is
// found by the application that runs it; anybody else's is not there.

import { AppError, isCode, reasonOf } from '../errors.ts'
import { fromTrunk } from '../callflow/e164.ts'
import { waysOut } from '../callflow/trunks.ts'
import { accountDb, cdrId, fromGregorian, monthDb, toGregorian } from '../store/modb.ts'
import type { Stored } from '../store/store.ts'
import type { Leg, SwitchNode } from '../switch/switch.ts'
import { applicationId, eventOf, signerOf } from '../voice/application.ts'
import { conversationOf } from '../voice/call.ts'
import { type Called, parseCall, parseChange, placedId, type PlacedCall } from '../voice/outgoing.ts'
import { uuidAt } from '../voice/recording.ts'
import type { Device } from './devices.ts'
import { noSuch } from './document.ts'
import type { Fields } from './fields.ts'
import { orNothing } from './months.ts'
import { problem, refuse } from './problems.ts'
import { upNode } from './quickcall.ts'
import type { Applicant } from './voice-auth.ts'
import type { Room } from './room.ts'

/** Whom to ring: a leg that leaves is the world's, another is a phone of the account. */
interface Target {
  endpoint: string
  variables: Record<string, string>
}

/** Answers the body of a 201. */
export async function placeCall(room: Room, { account, application }: Applicant, body: Fields): Promise<Fields> {
  const { store, clock, random, voice } = room
  const { call, faults } = parseCall(body, application._id, application.answer_url !== undefined)
  for (const { path, message } of faults) refuse(problem(path, 'error', { message }))
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
  const db = monthDb(account._id, doc._id.slice(0, 6))
  await store.createDatabase(db, 'modb')
  await store.put(db, doc)
  const sign = signerOf(
    application,
    () => clock.now(),
    bytes => random(bytes).toString('hex'),
  )
  const { event_url: url, event_method: method = 'POST' } = call.data as { event_url?: string; event_method?: 'GET' | 'POST' }
  const event = url === undefined ? eventOf(application) : { url, method }
  const placed = voice.place(
    {
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
      about: { from: doc.from, to },
    },
    event === undefined || sign === undefined ? event : { ...event, sign },
  )
  // Whether it is answered is the call's story, not the request's; of one that is not, its document keeps the end.
  placed
    .then(async status => {
      if (status === undefined) return
      const current = await store.get<PlacedCall>(db, doc._id)
      if (current !== undefined) await store.put(db, { ...current, status })
    })
    .catch((error: unknown) => room.log.warn('voice_call_end_not_saved', { account_id: account._id, leg: uuid, reason: reasonOf(error) }))
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

/** The leg of a call that this application runs. */
async function legOf({ switches }: Room, { account, application }: Applicant, uuid: string): Promise<Found | undefined> {
  for (const node of switches.nodes.filter(one => one.status().state === 'up')) {
    const leg = await node.leg(uuid)
    const ours = leg?.variables['callrec_account_id'] === account._id && leg.variables['callrec_application_id'] === application._id
    if (leg !== undefined && ours) return { node, leg }
  }
  return undefined
}

/** As far as it is known: of a call that is up by its leg, of one that was placed and is over by its documents. */
export async function readCall(room: Room, who: Applicant, uuid: string): Promise<Fields> {
  const found = await legOf(room, who, uuid)
  const about = { uuid, conversation_uuid: conversationOf(uuid) }
  if (found !== undefined) {
    const { leg } = found
    return {
      ...about,
      status: leg.answered ? 'answered' : 'ringing',
      direction: leg.direction,
      from: leg.callerIdNumber,
      to: leg.variables['callrec_destination'] ?? leg.destination,
      ...(leg.createdAt === undefined ? {} : { start_time: new Date(leg.createdAt).toISOString() }),
    }
  }
  const id = placedId(uuid)
  const db = monthDb(who.account._id, id?.slice(0, 6) ?? '')
  const doc = id === undefined ? undefined : await orNothing(room.store.get<PlacedCall>(db, id), undefined)
  if (doc === undefined || doc.application_id !== who.application._id) throw noSuch('call', uuid)
  const asked = fromGregorian(doc.pvt_created)
  const cdr = await orNothing(room.store.get(db, cdrId(asked, uuid)), undefined)
  const times = (name: string, field: string): Fields => (typeof cdr?.[field] === 'number' ? { [name]: new Date(fromGregorian(cdr[field])).toISOString() } : {})
  return {
    ...about,
    status: doc.status ?? (cdr === undefined ? 'started' : 'completed'),
    direction: 'outbound',
    from: doc.from,
    to: doc.to,
    ...times('start_time', 'timestamp'),
    ...times('end_time', 'ended_at'),
    ...(cdr === undefined ? {} : { duration: String(cdr['billing_seconds']) }),
  }
}

export async function changeCall(room: Room, who: Applicant, uuid: string, body: Fields): Promise<void> {
  const change = parseChange(body)
  if ('path' in change) return refuse(problem(change.path, 'error', { message: change.message }))
  const found = await legOf(room, who, uuid)
  if (found === undefined) throw noSuch('call', uuid)
  if (change.action === 'hangup') {
    await found.node.hangup(uuid, 'NORMAL_CLEARING').catch((error: unknown) => {
      if (!isCode(error, 'leg_gone')) throw error
    })
    return
  }
  const script = 'ncco' in change ? { ncco: change.ncco } : { answer: { url: change.url, method: 'GET' as const } }
  if (await room.voice.transfer(uuid, script)) return
  throw new AppError('wrong_state', 'the application of this call does not run here now', { application_id: applicationId(who.application) })
}
