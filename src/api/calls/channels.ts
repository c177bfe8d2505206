// Channels: the legs that are up now, as the switches tell at the moment they are asked. Only those with an
// account on them are anybody's, so a leg of a foreign dialplan is nobody's to see.

import { isCode } from '../../errors.ts'
import { accountDb, isId, toGregorian } from '../../store/modb.ts'
import type { Leg, NodeState, SwitchNode } from '../../switch/switch.ts'
import { type Channel, channelActions } from './channel-actions.ts'
import { type Device, ownerOf } from '../resources/devices.ts'
import { existing, noSuch } from '../documents/document.ts'
import type { Fields } from '../validation/fields.ts'
import { filterOf } from '../documents/filter.ts'
import { Elsewhere } from '../http/elsewhere.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'
import { toldByOthers } from './told-by-others.ts'

export function channelRoutes(room: Room): Route[] {
  const { store } = room
  const all = '/v2/accounts/:account/channels'

  async function list(request: Request, whose: (row: Fields) => boolean): Promise<Answer> {
    const legs = (await Promise.all(standing(room, 'up', 'standby').map(node => legsOf(node)))).flat()
    const rows = await rowsOf(room, request, legs)
    const matches = filterOf(request.query, { created: false })
    const data = rows.filter(row => mayKnow(request, row) && whose(row) && (matches === undefined || matches(row, { _id: '', _rev: '' })))
    return { data: await toldByOthers(room, request, data), beside: { page_size: data.length } }
  }

  async function ofUser(request: Request): Promise<Answer> {
    const id = request.param('user')
    await existing(store, accountDb(request.account._id), 'user', id)
    return list(request, row => row['owner_id'] === id)
  }

  async function ofDevice(request: Request): Promise<Answer> {
    const id = request.param('device')
    await existing(store, accountDb(request.account._id), 'device', id)
    return list(request, row => row['authorizing_id'] === id)
  }

  const users: Whose = (row, { param }) => row['owner_id'] === param('user')
  const devices: Whose = (row, { param }) => row['authorizing_id'] === param('device')

  /** One leg, by each path it has; below a user or a device only his. */
  function one(path: string, whose: Whose): Route[] {
    const find = (request: Request): Promise<Channel> => channelOf(room, request, whose)
    const owner = async (request: Request): Promise<string | undefined> => {
      const { owner_id: id } = (await seek(room, request, whose)).row
      return typeof id === 'string' ? id : undefined
    }
    const acts = channelActions(room, find, whose === everybody)
    return [
      { method: 'GET', path, access: 'own', owner, run: async request => ({ data: (await find(request)).row }) },
      { method: 'POST', path, access: 'own', owner, run: acts.act },
      { method: 'PUT', path, access: 'own', owner, run: acts.metaflow },
    ]
  }

  const [ofUsers, ofDevices] = ['/v2/accounts/:account/users/:user/channels', '/v2/accounts/:account/devices/:device/channels']
  return [
    { method: 'GET', path: all, access: 'user', run: request => list(request, () => true) },
    { method: 'GET', path: ofUsers, access: 'own', owner: async ({ param }) => param('user'), run: ofUser },
    { method: 'GET', path: ofDevices, access: 'own', owner: request => ownerOf(store, request), run: ofDevice },
    ...one(`${all}/:channel`, everybody),
    ...one(`${ofUsers}/:channel`, users),
    ...one(`${ofDevices}/:channel`, devices),
  ]
}

type Whose = (row: Fields, request: Request) => boolean
const everybody: Whose = () => true

/** As `seek`, and of a switch that this engine drives. */
async function channelOf(room: Room, request: Request, whose: Whose): Promise<Channel> {
  const uuid = request.param('channel')
  const leg = await legOf(room, request)
  if (leg === undefined) {
    const lost = room.switches.nodes.find(isOutOfReach)
    throw lost === undefined ? noSuch('channel', uuid) : new Elsewhere(`leg ${uuid} may be on ${lost.name}`, lost)
  }
  const node = room.switches.node(leg.node)
  const elsewhere = node.status().state === 'up' ? undefined : new Elsewhere(`leg ${uuid} is on ${node.name}`, node)
  // Nothing is read for who may have any leg of the account: what is to be hidden is hidden while the store is away.
  if (elsewhere !== undefined && whose === everybody && isOf(request, leg)) throw elsewhere
  const channel = await seen(room, request, leg, whose)
  if (elsewhere !== undefined) throw elsewhere
  return channel
}

/** From here, and another engine was known to drive it. */
function isOutOfReach(node: SwitchNode): boolean {
  const { state, askAt } = node.status()
  return state !== 'up' && state !== 'standby' && askAt !== undefined
}

/** The leg that the path names, whoever drives its switch; `bad_identifier` where it is not the account's, or not whose the path says. */
async function seek(room: Room, request: Request, whose: Whose): Promise<Channel> {
  const leg = await legOf(room, request)
  if (leg === undefined) throw noSuch('channel', request.param('channel'))
  return seen(room, request, leg, whose)
}

async function seen(room: Room, request: Request, leg: Leg, whose: Whose): Promise<Channel> {
  const [row] = await rowsOf(room, request, [leg])
  if (row === undefined || !whose(row, request)) throw noSuch('channel', leg.uuid)
  return { leg, row }
}

/** Anybody's. Switches of others are asked only for what ours have not. */
async function legOf(room: Room, { param }: Request): Promise<Leg | undefined> {
  const [ours, others] = [standing(room, 'up'), standing(room, 'standby')]
  const among = async (nodes: readonly SwitchNode[]): Promise<Leg | undefined> =>
    (await Promise.all(nodes.map(node => unlessDown(node.leg(param('channel')), undefined)))).find(found => found !== undefined)
  return (await among(ours)) ?? among(others)
}

const standing = ({ switches }: Room, ...states: NodeState[]): SwitchNode[] => switches.nodes.filter(node => states.includes(node.status().state))

const legsOf = (node: SwitchNode): Promise<Leg[]> => unlessDown(node.legs(), [])

/** A switch that goes down while it is asked has no channels; one that does not answer may have some. */
async function unlessDown<T>(asked: Promise<T>, nothing: T): Promise<T> {
  try {
    return await asked
  } catch (error) {
    if (isCode(error, 'switch_down')) return nothing
    throw error
  }
}

/** A leg to a recording server is a part of a recording, not of a call. */
const isOf = ({ account }: Request, { variables }: Leg): boolean =>
  variables['callrec_account_id'] === account._id && variables['callrec_recording_leg'] !== 'true'

/**
 * Those of the account, with what the documents know of them (cb_channels.erl). How recordings stand is known to the engine that drives the
 * switch, and not (null) to the others.
 */
async function rowsOf({ store, control, switches }: Room, request: Request, legs: readonly Leg[]): Promise<Fields[]> {
  const { account } = request
  const own = legs.filter(leg => isOf(request, leg))
  const ids = [...new Set(own.map(deviceOf).filter(isId))]
  const devices = await store.getMany<Device>(accountDb(account._id), ids)
  const byId = new Map(ids.map((id, at) => [id, devices[at]]))
  const recordingsOf = ({ node, uuid }: Leg): unknown => (switches.node(node).status().state === 'up' ? control.recordings(uuid) : null)
  return own.map(leg => ({ ...rowOf(leg, byId.get(deviceOf(leg)), account.realm), recordings: recordingsOf(leg) }))
}

const deviceOf = ({ variables }: Leg): string => variables['callrec_device_id'] ?? ''

function rowOf(leg: Leg, device: Device | undefined, realm: string): Fields {
  const username = device?.sip?.username
  return {
    uuid: leg.uuid,
    call_id: leg.uuid,
    node: leg.node,
    direction: leg.direction,
    answered: leg.answered,
    destination: leg.variables['callrec_destination'] ?? leg.destination,
    caller_id_name: leg.callerIdName,
    caller_id_number: leg.callerIdNumber,
    ...(leg.otherLeg === undefined ? {} : { other_leg: leg.otherLeg }),
    ...(leg.createdAt === undefined ? {} : { timestamp: toGregorian(leg.createdAt) }),
    ...(leg.variables['callrec_interaction_id'] === undefined ? {} : { interaction_id: leg.variables['callrec_interaction_id'] }),
    ...(device === undefined ? {} : { authorizing_id: device._id, authorizing_type: 'device' }),
    ...(device?.owner_id === undefined ? {} : { owner_id: device.owner_id }),
    ...(username === undefined ? {} : { username, presence_id: `${username}@${realm}` }),
  }
}

/** As with recordings, a user knows of his own. */
const mayKnow = ({ who }: Request, row: Fields): boolean => who.level === 'admin' || row['owner_id'] === who.ownerId
