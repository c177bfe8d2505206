// Click-to-call: rings a device and, when it answers, sends it to a number (cb_devices.erl quickcall).
// What the number leads to is the executor's to decide: it finds the leg parked, with the number on it.

import { AppError, reasonOf } from '../../errors.ts'
import { accountDb, toGregorian } from '../../store/modb.ts'
import type { SwitchNode } from '../../switch/switch.ts'
import type { Device } from '../resources/devices.ts'
import { existing } from '../documents/document.ts'
import type { Fields } from '../validation/fields.ts'
import { join, problem, refuse } from '../validation/problems.ts'
import { Elsewhere } from '../http/elsewhere.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

/** Seconds the device rings. */
const RING_SECONDS = 30

export function quickcallRoutes(room: Room): Route[] {
  const path = '/v2/accounts/:account/devices/:device/quickcall/:number'
  const run = (request: Request): Promise<Answer> => quickcall(room, request)
  return [
    { method: 'PUT', path, access: 'admin', body: 'optional', run },
    // Kazoo's clients call with GET; it is not safe in the sense of RFC 9110 all the same, so it needs an admin too.
    { method: 'GET', path, access: 'admin', run },
  ]
}

async function quickcall(room: Room, { account, param, data }: Request): Promise<Answer> {
  const behaviour = behaviourOf(room, data)
  const device = await existing<Device>(room.store, accountDb(account._id), 'device', param('device'))
  refuse(deviceProblem(device))
  const node = upNode(room)
  const uuid = newUuid(room.random)
  const interaction = `${toGregorian(room.clock.now())}-${room.random(4).toString('hex')}`
  const originated = node.originate({
    uuid,
    endpoint: `user/${device.sip?.username}@${account.realm}`,
    variables: {
      callrec_account_id: account._id,
      callrec_device_id: device._id,
      callrec_destination: param('number'),
      callrec_call_id: uuid,
      callrec_interaction_id: interaction,
      ...behaviour,
    },
    timeoutSeconds: RING_SECONDS,
  })
  // The answer is not waited for: whether the phone is picked up is the call's story, not the request's.
  originated.catch((error: unknown) => room.log.info('quickcall_ended', { account_id: account._id, device_id: device._id, leg: uuid, reason: reasonOf(error) }))
  return { status: 202, data: { call_id: uuid, interaction_id: interaction, node: node.name } }
}

function behaviourOf({ validator, config }: Room, data: Fields): Record<string, string> {
  if (!config.embedded.switch) {
    const message = 'Only phones of the embedded switch can be told how to behave'
    refuse(join(...Object.keys(data).map(key => problem(key, 'forbidden', { message, value: data[key] }))))
  }
  const { fields, problems } = validator.check('quickcall', data)
  refuse(problems)
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [`callrec_simulator_${name}`, String(value)]))
}

function deviceProblem({ enabled, sip }: Device) {
  if (enabled === false) return problem('enabled', 'disabled', { message: 'The device is disabled', value: false })
  if (sip?.username !== undefined) return {}
  return problem('sip.username', 'required', { message: 'The device has no SIP username, so it cannot be rung', value: sip ?? {} })
}

/** The first that this engine drives, else it is for the engine that drives the first of which that is known, in reach from here or not. */
export function upNode({ switches }: Pick<Room, 'switches'>): SwitchNode {
  const own = switches.nodes.find(one => one.status().state === 'up')
  if (own !== undefined) return own
  const another = switches.nodes.find(one => one.status().askAt !== undefined) ?? switches.nodes.find(one => one.status().state === 'standby')
  if (another === undefined) throw new AppError('switch_down', 'no switch is connected')
  throw new Elsewhere(`no switch is connected but ${another.name}`, another)
}

/** Version 4, of random bytes (RFC 9562 §5.4). */
function newUuid(random: (bytes: number) => Buffer): string {
  const bytes = random(16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
