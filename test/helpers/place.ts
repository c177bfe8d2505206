// An account with everything in it that a path can name, and everybody who might want to get at it.

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { issueToken, proofOf } from '../../src/api/rights/tokens.ts'
import { monthDb, monthOf, toGregorian } from '../../src/store/modb.ts'
import type { Leg } from '../../src/switch/switch.ts'
import { uuidAt } from '../../src/voice/recording.ts'
import { tokenGenerate } from '../voice/sdk.ts'
import type { Asking, World } from './api.ts'

/** Whose token asks: none, one whose time is over, an admin's of another account or of a child, another user's, the owner's … */
export const COLUMNS = ['none', 'expired', 'foreign', 'child', 'user', 'owner', 'admin', 'parent'] as const
export type Column = (typeof COLUMNS)[number]

export interface Place extends World {
  /** The account that everybody wants to get at. */
  account: string
  at: string
  ids: Readonly<Record<string, string>>
  /** A new token each time, for a request may end it. */
  as: (column: Column) => Promise<Asking>
  /** The JWT of an application in place of that token: an admin's is of the one that made file and call, a user's of another of the account. */
  jwt: (column: Column) => string | undefined
}

const PAIR = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
})

export async function aUser({ ask }: World, account: string, fields: object): Promise<string> {
  const { body } = await ask<{ id: string }>('PUT', `/v2/accounts/${account}/users`, { first_name: 'A', last_name: 'B', ...fields })
  return body.data.id
}

/** Of alice, with sound in the store. */
async function aRecording({ store }: World, account: string, owner: string, more: object = {}): Promise<string> {
  const now = Date.now()
  const id = `${monthOf(now)}-${randomBytes(16).toString('hex')}`
  const db = monthDb(account, monthOf(now))
  await store.createDatabase(db, 'modb')
  const doc = {
    pvt_type: 'call_recording',
    pvt_account_id: account,
    pvt_created: toGregorian(now),
    name: 'a.wav',
    content_type: 'audio/x-wav',
    owner_id: owner,
    state: 'stopped',
    ...more,
  }
  const rev = await store.put(db, { _id: id, ...doc })
  await store.putAttachment(db, id, rev, doc.name, { stream: Readable.from([Buffer.from('RIFF')]), length: 4, contentType: doc.content_type })
  return id
}

async function aCdr({ store }: World, account: string, owner: string): Promise<string> {
  const month = monthOf(Date.now())
  const id = `${month}-${randomBytes(8).toString('hex')}`
  await store.put(monthDb(account, month), { _id: id, pvt_type: 'cdr', pvt_created: toGregorian(Date.now()), owner_id: owner })
  return id
}

/** Nobody but admins of accounts may see it, and no application its own. */
export const SECRET = 'a-secret-hidden-part@of-an-application'

/** Names end in `tag`, so that there may be several. */
export async function placeIn(made: World, tag = ''): Promise<Place> {
  const child = async (parent: string, name: string): Promise<string> =>
    (await made.ask<{ id: string }>('PUT', `/v2/accounts/${parent}`, { name: name + tag, realm: `${name}${tag}.example` })).body.data.id
  const parent = await child(made.master.accountId, 'parent')
  const account = await child(parent, 'acme')
  const below = await child(account, 'below')
  const foreign = await child(parent, 'foreign')
  const admin = { priv_level: 'admin' }
  const [alice, bob] = [await aUser(made, account, {}), await aUser(made, account, {})]
  const people: Readonly<Record<Exclude<Column, 'none' | 'expired'>, readonly [string, string]>> = {
    foreign: [foreign, await aUser(made, foreign, admin)],
    child: [below, await aUser(made, below, admin)],
    user: [account, bob],
    owner: [account, alice],
    admin: [account, await aUser(made, account, admin)],
    parent: [parent, await aUser(made, parent, admin)],
  }
  const at = `/v2/accounts/${account}`
  const one = async (path: string, data: object): Promise<string> => (await made.ask<{ id: string }>('PUT', `${at}/${path}`, data)).body.data.id
  const ids = {
    account,
    parent,
    child: below,
    user: alice,
    device: await one('devices', { name: 'phone', owner_id: alice, sip: { username: 'alice', password: 'phone-secret' } }),
    callflow: await one('callflows', { numbers: ['2001'], flow: { module: 'user', data: { id: alice } } }),
    recording: await aRecording(made, account, alice),
    temporal_rule: await one('temporal_rules', { name: 'rule', cycle: 'daily' }),
    menu: await one('menus', { name: 'menu' }),
    group: await one('groups', { name: 'group', endpoints: { [alice]: { type: 'user' } } }),
    resource: await one('resources', { name: 'trunk', gateways: [{ gateway: 'carrier' }] }),
    cdr: await aCdr(made, account, alice),
    webhook: await one('webhooks', { name: 'hook', hook: 'all', uri: 'https://hooks.example/' }),
    application: await one('applications', { name: 'application' }),
    channel: `a-leg${tag}`,
    number: `+4930${tag.padStart(6, '1')}`,
    schema: 'users',
  }
  const anApplication = async (of: string): Promise<{ id: string; application_id: string }> => {
    const fields = {
      name: 'voice',
      public_key: PAIR.publicKey,
      signature_secret: SECRET,
      answer_url: 'https://a.example/',
      event_url: 'https://u:hidden-part@a.example/',
    }
    return (await made.ask<{ id: string; application_id: string }>('PUT', `/v2/accounts/${of}/applications`, fields)).body.data
  }
  const applications = { ours: await anApplication(account), other: await anApplication(account), foreign: await anApplication(foreign) }
  const file = uuidAt(Date.now(), randomBytes(10).toString('hex'))
  await aRecording(made, account, alice, { pvt_voice: { file_uuid: file, application_id: applications.ours.id } })
  const call = `a-call${tag}`
  await made.ask('PUT', `${at}/storage`, { attachments: {} })
  const variables = { callrec_account_id: account, callrec_device_id: ids.device }
  const up = { node: 'fs1', direction: 'inbound', answered: true, destination: '2001', callerIdNumber: '2002' }
  made.legs.push({ ...up, uuid: ids.channel, variables } as unknown as Leg)
  made.legs.push({ ...up, uuid: call, variables: { callrec_account_id: account, callrec_application_id: applications.ours.id } } as unknown as Leg)
  const { store, clock } = made
  const issue = ([account_id, owner_id]: readonly [string, string], tokenTtl: number): Promise<string> =>
    issueToken({ store, clock, random: randomBytes, config: { tokenTtl } }, { account_id, owner_id, method: 'user_auth', proof: proofOf('') })
  const as = async (column: Column): Promise<Asking> => {
    if (column === 'none') return { token: undefined }
    return { token: column === 'expired' ? await issue(people.admin, -1) : await issue(people[column], 3600) }
  }
  const jwt = (column: Column): string | undefined => {
    if (column === 'none') return undefined
    const of = column === 'foreign' ? applications.foreign : column === 'user' || column === 'child' ? applications.other : applications.ours
    const hourAgo = Math.floor(clock.now() / 1000) - 3600
    return tokenGenerate(of.application_id, PAIR.privateKey, column === 'expired' ? { issued_at: hourAgo, ttl: 60 } : {})
  }
  return { ...made, account, at, ids: { ...ids, call, file }, as, jwt }
}
