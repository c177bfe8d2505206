// The phones as FreeSWITCH's directory: from a name and a realm to the device that registers with them, in
// two reads. A phone's secret leaves only as the digest that FreeSWITCH compares with.

import { createHash } from 'node:crypto'
import { isCode } from '../../errors.ts'
import { accountDb } from '../../store/modb.ts'
import type { Store } from '../../store/store.ts'
import { ACCOUNTS } from '../rights/databases.ts'
import type { Device } from '../resources/devices.ts'
import { xml } from './xml.ts'
import type { Account } from '../rights/who.ts'

/** As FreeSWITCH asks: the name and realm a phone gave, or the ones that are dialled. */
export interface Asked {
  name: string
  realm: string
}

export interface Entry {
  accountId: string
  deviceId: string
  /** As it is stored; a phone may write it with other capitals. */
  realm: string
  /** md5(name:realm:password) of the spelling that was asked for: the phone computes it from its own (RFC 7616 §3.4.2). */
  a1Hash: string
  /** Whether FreeSWITCH may keep the answer; it then holds until the entry is flushed (phone-cache.ts). */
  cacheable: boolean
}

export interface Refused {
  refused: string
}

const refused = (why: string): Refused => ({ refused: why })

/** What the schemas let in. Anything else would have to be quoted in a dial string, which FreeSWITCH expands. */
const NAME = /^[A-Za-z0-9._+*#~-]{2,32}$/
const REALM = /^[A-Za-z0-9.-]{4,253}$/

export async function findPhone(store: Store, asked: Asked): Promise<Entry | Refused> {
  if (!NAME.test(asked.name)) return refused('no phone can have this name')
  if (!REALM.test(asked.realm)) return refused('no account can have this realm')
  const realm = asked.realm.toLowerCase()
  const keys = [realm, ...lookalikes(asked.name.toLowerCase(), realm)]
  const rows = await store.query(ACCOUNTS, 'accounts/listing_by_realm', { keys, includeDocs: true })
  const account = rows.find(({ key }) => key === realm)?.doc as Account | undefined
  if (account === undefined || account.pvt_deleted === true) return refused('no account has this realm')
  if (isDisabled(account)) return refused('the account is disabled')

  const devices = await devicesNamed(store, account._id, asked.name.toLowerCase())
  const [device] = devices
  if (device === undefined) return refused('the account has no phone of this name')
  if (devices.length > 1) return refused('the account has two phones of this name')
  if (isDisabled(device)) return refused('the device is disabled')
  const password = device.sip?.password
  if (typeof password !== 'string' || password === '') return refused('the device has no password')

  const a1Hash = createHash('md5').update(`${asked.name}:${asked.realm}:${password}`).digest('hex')
  // Flushing names the stored spelling, so another one would stay.
  const cacheable = asked.name === device.sip?.username && asked.realm === realm && rows.every(({ key }) => key === realm)
  return { accountId: account._id, deviceId: device._id, realm, a1Hash, cacheable }
}

const isDisabled = (doc: Readonly<Record<string, unknown>>): boolean => doc['enabled'] === false || doc['enabled'] === 'false'

async function devicesNamed(store: Store, accountId: string, name: string): Promise<Device[]> {
  const rows = await store.query(accountDb(accountId), 'devices/listing_by_username', { key: name, includeDocs: true, limit: 2 }).catch((error: unknown) => {
    if (isCode(error, 'datastore_missing')) return []
    throw error
  })
  return rows.flatMap(({ doc }) => (doc !== undefined && doc['pvt_type'] === 'device' && doc['pvt_deleted'] !== true ? [doc as Device] : []))
}

/**
 * Realms with which another name reads the same: FreeSWITCH keeps entries by name and realm written together (switch_xml.c,
 * switch_xml_user_cache), so bob@acme.example and boba@cme.example share one place, and one account could put its phone into the
 * other's. Where such a realm exists nothing is kept.
 */
export function lookalikes(name: string, realm: string): string[] {
  const shorter = Array.from({ length: realm.length - 1 }, (_, at) => realm.slice(at + 1))
  const longer = Array.from({ length: name.length - 1 }, (_, at) => name.slice(at + 1) + realm)
  return [...shorter, ...longer].filter(one => REALM.test(one))
}

const document = (...lines: readonly string[]): string =>
  ['<?xml version="1.0" encoding="UTF-8" standalone="no"?>', '<document type="freeswitch/xml">', ...lines, '</document>', ''].join('\n')

/** Why each line is as it is: freeswitch/README.md, "The directory". */
export const entryXml = ({ name, realm: spelling }: Asked, { accountId, deviceId, realm, a1Hash, cacheable }: Entry): string =>
  document(
    '  <section name="directory">',
    xml`    <domain name="${spelling}">`,
    cacheable ? xml`      <user id="${name}" cacheable="true">` : xml`      <user id="${name}">`,
    '        <params>',
    xml`          <param name="a1-hash" value="${a1Hash}"/>`,
    xml`          <param name="dial-string" value="{sip_invite_domain=${realm}}sofia/callrec/${deviceId}%${realm}"/>`,
    xml`          <param name="sip-force-user" value="${deviceId}"/>`,
    '        </params>',
    '        <variables>',
    xml`          <variable name="callrec_account_id" value="${accountId}"/>`,
    xml`          <variable name="callrec_device_id" value="${deviceId}"/>`,
    '          <variable name="user_context" value="callrec"/>',
    '        </variables>',
    '      </user>',
    '    </domain>',
    '  </section>',
  )

export const NOT_FOUND = document('  <section name="result">', '    <result status="not found"/>', '  </section>')
