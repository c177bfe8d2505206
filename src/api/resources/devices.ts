// Devices. What a phone registers with is unique in the account, because it is what is dialled.

import { isDeepStrictEqual } from 'node:util'
import { accountDb, isId } from '../../store/modb.ts'
import type { Doc, Store, Stored } from '../../store/store.ts'
import { accountResource } from '../documents/account-resource.ts'
import { type Draft, existing, type Settled } from '../documents/document.ts'
import { type Fields, isObject, shown } from '../validation/fields.ts'
import { listPage } from '../documents/page.ts'
import { join, problem, type Problems, refuse } from '../validation/problems.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import { asReadBy } from '../validation/secrets.ts'
import type { Account } from '../rights/who.ts'
import type { Room } from '../http/room.ts'

export interface Device extends Doc {
  pvt_type: 'device'
  enabled?: boolean
  owner_id?: string
  sip?: { username?: string; password?: string }
}

export const deviceRoutes = (room: Room): Route[] => [
  ...accountResource(room, {
    name: 'devices',
    type: 'device',
    param: 'device',
    metaflows: true,
    settle: draft => settle(room.store, draft),
    changed: change => forgetPhone(room, change),
    shown: withoutSecret,
    owner: request => ownerOf(room.store, request),
  }),
  { method: 'GET', path: '/v2/accounts/:account/users/:user/devices', access: 'user', run: request => ofUser(room.store, request) },
]

/** In short, like the list of all. */
async function ofUser(store: Store, request: Request): Promise<Answer> {
  const { account, param, query, who } = request
  const db = accountDb(account._id)
  await existing(store, db, 'user', param('user'))
  return listPage(store, query, { db, view: 'devices/listing_by_owner', key: param('user'), visible: doc => asReadBy(who, withoutSecret(doc, request)) })
}

/** The user a device belongs to. */
export async function ownerOf(store: Store, { account, param }: Request): Promise<string | undefined> {
  return (await existing<Device>(store, accountDb(account._id), 'device', param('device'))).owner_id
}

/** A new name is nothing that a switch could have kept. */
async function forgetPhone({ phones }: Room, { before, after, account }: { before?: Stored; after: Stored; account: Account }): Promise<void> {
  const { username } = (before as Device | undefined)?.sip ?? {}
  if (before === undefined || username === undefined || isDeepStrictEqual(registration(before), registration(after))) return
  await phones.forget({ name: username, realm: account.realm })
}

/** What decides whether a phone may register, and with what. */
const registration = ({ sip, enabled, pvt_deleted: deleted }: Fields): Fields => ({ sip, enabled, deleted })

async function settle(store: Store, draft: Draft): Promise<Settled> {
  const { mac_address: given } = draft.fields
  const mac = typeof given === 'string' ? { mac_address: asMac(given) } : {}
  const fields = { ...draft.fields, ...mac }
  refuse(join(await ownerProblem(store, draft), await usernameProblem(store, draft), await macProblem(store, { ...draft, fields })))
  return { fields }
}

async function ownerProblem(store: Store, { db, before, fields: { owner_id: owner } }: Draft): Promise<Problems> {
  if (typeof owner !== 'string' || owner === before?.['owner_id']) return {}
  const user = isId(owner) ? await store.get(db, owner) : undefined
  if (user !== undefined && user['pvt_type'] === 'user' && user['pvt_deleted'] !== true) return {}
  return problem('owner_id', 'not_found', { message: 'The owner is not a user of the account', cause: owner })
}

async function usernameProblem(store: Store, { db, id, before, fields }: Draft): Promise<Problems> {
  const username = usernameOf(fields)
  if (typeof username !== 'string' || username === usernameOf(before ?? {})) return {}
  const rows = await store.query(db, 'devices/listing_by_username', { key: username.toLowerCase(), limit: 2 })
  if (rows.every(row => row.id === id)) return {}
  return problem('sip.username', 'unique', { message: 'SIP username must be unique within account', cause: username })
}

/** `AA-BB-CC-DD-EE-FF` and `aabb.ccdd.eeff` are one phone: `aa:bb:cc:dd:ee:ff`. */
function asMac(text: string): string {
  const digits = text.toLowerCase().replaceAll(/[\s:.-]/g, '')
  return /^[0-9a-f]{12}$/.test(digits) ? (digits.match(/../g) ?? []).join(':') : text.toLowerCase()
}

async function macProblem(store: Store, { db, id, before, fields: { mac_address: mac } }: Draft): Promise<Problems> {
  if (typeof mac !== 'string' || mac === '' || mac === before?.['mac_address']) return {}
  const rows = await store.query(db, 'devices/listing_by_mac', { key: mac, limit: 2 })
  if (rows.every(row => row.id === id)) return {}
  return problem('mac_address', 'unique', { message: 'Mac address already in use', cause: mac })
}

const usernameOf = ({ sip }: Fields): unknown => (isObject(sip) ? sip['username'] : undefined)

/** What a phone registers with is no business of a user it does not belong to: it would let him call as that phone. */
function withoutSecret(doc: Stored, { who }: Request): Fields {
  const fields = shown(doc)
  if (who.level === 'admin' || fields['owner_id'] === who.ownerId || !isObject(fields['sip'])) return fields
  const { password: _, ...sip } = fields['sip']
  return { ...fields, sip }
}
