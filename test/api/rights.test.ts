import { randomBytes } from 'node:crypto'
import test, { type ExecutionContext } from 'ava'
import { createSessions } from '../../src/api/rights/auth.ts'
import { digest } from '../../src/api/rights/credentials.ts'
import { issueToken, proofOf } from '../../src/api/rights/tokens.ts'
import { accountDb } from '../../src/store/modb.ts'
import { type Answered, type Asking, aStore, asker, world } from '../helpers/api.ts'
import { aUser, type Column, COLUMNS, type Place, placeIn } from '../helpers/place.ts'

/**
 * Status of every route by whose token asks: none, one whose time is over, an admin's of another account, an admin's of the account's
 * child, another user's, the user's whose document it is, an admin's, an admin's of the parent. Bodies are `{}` and If-Match names no
 * revision, so 400 and 412 are what comes after a yes.
 */
const TABLE = `
GET /v2/about                                                                   401 401 200 200 200 200 200 200
PUT /v2/accounts                                                                401 401 400 400 403 403 400 400
DELETE /v2/accounts/:account                                                    401 401 403 403 403 403 403 412
GET /v2/accounts/:account                                                       401 401 403 403 200 200 200 200
PATCH /v2/accounts/:account                                                     401 401 403 403 403 403 412 412
POST /v2/accounts/:account                                                      401 401 403 403 403 403 412 412
PUT /v2/accounts/:account                                                       401 401 403 403 403 403 400 400
GET /v2/accounts/:account/api_key                                               401 401 403 403 403 403 200 403
PUT /v2/accounts/:account/api_key                                               401 401 403 403 403 403 201 201
GET /v2/accounts/:account/applications                                          401 401 403 403 200 200 200 200
PUT /v2/accounts/:account/applications                                          401 401 403 403 403 403 400 400
DELETE /v2/accounts/:account/applications/:application                          401 401 403 403 403 403 412 412
GET /v2/accounts/:account/applications/:application                             401 401 403 403 200 200 200 200
PATCH /v2/accounts/:account/applications/:application                           401 401 403 403 403 403 412 412
POST /v2/accounts/:account/applications/:application                            401 401 403 403 403 403 412 412
GET /v2/accounts/:account/callflows                                             401 401 403 403 200 200 200 200
PUT /v2/accounts/:account/callflows                                             401 401 403 403 403 403 400 400
DELETE /v2/accounts/:account/callflows/:callflow                                401 401 403 403 403 403 412 412
GET /v2/accounts/:account/callflows/:callflow                                   401 401 403 403 200 200 200 200
PATCH /v2/accounts/:account/callflows/:callflow                                 401 401 403 403 403 403 412 412
POST /v2/accounts/:account/callflows/:callflow                                  401 401 403 403 403 403 412 412
DELETE /v2/accounts/:account/callflows/:callflow/metaflows                      401 401 403 403 403 403 412 412
GET /v2/accounts/:account/callflows/:callflow/metaflows                         401 401 403 403 200 200 200 200
POST /v2/accounts/:account/callflows/:callflow/metaflows                        401 401 403 403 403 403 412 412
GET /v2/accounts/:account/cdrs                                                  401 401 403 403 200 200 200 200
GET /v2/accounts/:account/cdrs/:cdr                                             401 401 403 403 403 200 200 200
GET /v2/accounts/:account/channels                                              401 401 403 403 200 200 200 200
GET /v2/accounts/:account/channels/:channel                                     401 401 403 403 403 200 200 200
POST /v2/accounts/:account/channels/:channel                                    401 401 403 403 403 400 400 400
PUT /v2/accounts/:account/channels/:channel                                     401 401 403 403 403 400 400 400
GET /v2/accounts/:account/children                                              401 401 403 403 403 403 200 200
GET /v2/accounts/:account/descendants                                           401 401 403 403 403 403 200 200
GET /v2/accounts/:account/devices                                               401 401 403 403 200 200 200 200
PUT /v2/accounts/:account/devices                                               401 401 403 403 403 403 400 400
DELETE /v2/accounts/:account/devices/:device                                    401 401 403 403 403 403 412 412
GET /v2/accounts/:account/devices/:device                                       401 401 403 403 200 200 200 200
PATCH /v2/accounts/:account/devices/:device                                     401 401 403 403 403 412 412 412
POST /v2/accounts/:account/devices/:device                                      401 401 403 403 403 412 412 412
GET /v2/accounts/:account/devices/:device/channels                              401 401 403 403 403 200 200 200
GET /v2/accounts/:account/devices/:device/channels/:channel                     401 401 403 403 403 200 200 200
POST /v2/accounts/:account/devices/:device/channels/:channel                    401 401 403 403 403 400 400 400
PUT /v2/accounts/:account/devices/:device/channels/:channel                     401 401 403 403 403 400 400 400
DELETE /v2/accounts/:account/devices/:device/metaflows                          401 401 403 403 403 412 412 412
GET /v2/accounts/:account/devices/:device/metaflows                             401 401 403 403 200 200 200 200
POST /v2/accounts/:account/devices/:device/metaflows                            401 401 403 403 403 412 412 412
GET /v2/accounts/:account/devices/:device/quickcall/:number                     401 401 403 403 403 403 202 202
PUT /v2/accounts/:account/devices/:device/quickcall/:number                     401 401 403 403 403 403 202 202
GET /v2/accounts/:account/devices/:device/recordings                            401 401 403 403 403 200 200 200
GET /v2/accounts/:account/events                                                401 401 403 403 200 200 200 200
GET /v2/accounts/:account/groups                                                401 401 403 403 200 200 200 200
PUT /v2/accounts/:account/groups                                                401 401 403 403 403 403 400 400
DELETE /v2/accounts/:account/groups/:group                                      401 401 403 403 403 403 412 412
GET /v2/accounts/:account/groups/:group                                         401 401 403 403 200 200 200 200
PATCH /v2/accounts/:account/groups/:group                                       401 401 403 403 403 403 412 412
POST /v2/accounts/:account/groups/:group                                        401 401 403 403 403 403 412 412
GET /v2/accounts/:account/menus                                                 401 401 403 403 200 200 200 200
PUT /v2/accounts/:account/menus                                                 401 401 403 403 403 403 400 400
DELETE /v2/accounts/:account/menus/:menu                                        401 401 403 403 403 403 412 412
GET /v2/accounts/:account/menus/:menu                                           401 401 403 403 200 200 200 200
PATCH /v2/accounts/:account/menus/:menu                                         401 401 403 403 403 403 412 412
POST /v2/accounts/:account/menus/:menu                                          401 401 403 403 403 403 412 412
DELETE /v2/accounts/:account/metaflows                                          401 401 403 403 403 403 412 412
GET /v2/accounts/:account/metaflows                                             401 401 403 403 200 200 200 200
POST /v2/accounts/:account/metaflows                                            401 401 403 403 403 403 412 412
GET /v2/accounts/:account/parents                                               401 401 403 403 403 403 200 200
GET /v2/accounts/:account/phone_numbers                                         401 401 403 403 200 200 200 200
DELETE /v2/accounts/:account/phone_numbers/:number                              401 401 403 403 403 403 412 412
GET /v2/accounts/:account/phone_numbers/:number                                 401 401 403 403 200 200 200 200
PATCH /v2/accounts/:account/phone_numbers/:number                               401 401 403 403 403 403 412 412
POST /v2/accounts/:account/phone_numbers/:number                                401 401 403 403 403 403 412 412
PUT /v2/accounts/:account/phone_numbers/:number                                 401 401 403 403 403 403 201 409
GET /v2/accounts/:account/recording_policy                                      401 401 403 403 403 403 400 400
GET /v2/accounts/:account/recordings                                            401 401 403 403 200 200 200 200
DELETE /v2/accounts/:account/recordings/:recording                              401 401 403 403 403 403 412 403
GET /v2/accounts/:account/recordings/:recording                                 401 401 403 403 403 200 200 200
GET /v2/accounts/:account/recordings/:recording/audit                           401 401 403 403 403 403 200 200
PATCH /v2/accounts/:account/recordings/:recording                               401 401 403 403 403 403 412 412
GET /v2/accounts/:account/recordings/:recording?accept=audio/*                  401 401 403 403 403 200 200 403
GET /v2/accounts/:account/recordings/:recording?accept=audio/*&inline=true      401 401 403 403 403 200 200 403
PUT /v2/accounts/:account/recordings/:recording/delivery                        401 401 403 403 403 403 409 409
GET /v2/accounts/:account/recordings/:recording/integrity                       401 401 403 403 403 403 200 200
GET /v2/accounts/:account/recordings/:recording/transcript                      401 401 403 403 403 404 404 403
GET /v2/accounts/:account/recordings/reconciliation                             401 401 403 403 403 403 400 400
GET /v2/accounts/:account/resources                                             401 401 403 403 200 200 200 200
PUT /v2/accounts/:account/resources                                             401 401 403 403 403 403 403 400
DELETE /v2/accounts/:account/resources/:resource                                401 401 403 403 403 403 403 412
GET /v2/accounts/:account/resources/:resource                                   401 401 403 403 200 200 200 200
PATCH /v2/accounts/:account/resources/:resource                                 401 401 403 403 403 403 403 412
POST /v2/accounts/:account/resources/:resource                                  401 401 403 403 403 403 403 412
GET /v2/accounts/:account/siblings                                              401 401 403 403 403 403 403 200
DELETE /v2/accounts/:account/storage                                            401 401 403 403 403 403 412 412
GET /v2/accounts/:account/storage                                               401 401 403 403 403 403 200 200
PATCH /v2/accounts/:account/storage                                             401 401 403 403 403 403 412 412
POST /v2/accounts/:account/storage                                              401 401 403 403 403 403 412 412
PUT /v2/accounts/:account/storage                                               401 401 403 403 403 403 412 412
GET /v2/accounts/:account/temporal_rules                                        401 401 403 403 200 200 200 200
PUT /v2/accounts/:account/temporal_rules                                        401 401 403 403 403 403 400 400
DELETE /v2/accounts/:account/temporal_rules/:temporal_rule                      401 401 403 403 403 403 412 412
GET /v2/accounts/:account/temporal_rules/:temporal_rule                         401 401 403 403 200 200 200 200
PATCH /v2/accounts/:account/temporal_rules/:temporal_rule                       401 401 403 403 403 403 412 412
POST /v2/accounts/:account/temporal_rules/:temporal_rule                        401 401 403 403 403 403 412 412
GET /v2/accounts/:account/tree                                                  401 401 403 403 403 403 200 200
GET /v2/accounts/:account/users                                                 401 401 403 403 200 200 200 200
PUT /v2/accounts/:account/users                                                 401 401 403 403 403 403 400 400
DELETE /v2/accounts/:account/users/:user                                        401 401 403 403 403 403 412 412
GET /v2/accounts/:account/users/:user                                           401 401 403 403 200 200 200 200
PATCH /v2/accounts/:account/users/:user                                         401 401 403 403 403 412 412 412
POST /v2/accounts/:account/users/:user                                          401 401 403 403 403 412 412 412
GET /v2/accounts/:account/users/:user/cdrs                                      401 401 403 403 403 200 200 200
GET /v2/accounts/:account/users/:user/channels                                  401 401 403 403 403 200 200 200
GET /v2/accounts/:account/users/:user/channels/:channel                         401 401 403 403 403 200 200 200
POST /v2/accounts/:account/users/:user/channels/:channel                        401 401 403 403 403 400 400 400
PUT /v2/accounts/:account/users/:user/channels/:channel                         401 401 403 403 403 400 400 400
GET /v2/accounts/:account/users/:user/devices                                   401 401 403 403 200 200 200 200
DELETE /v2/accounts/:account/users/:user/metaflows                              401 401 403 403 403 412 412 412
GET /v2/accounts/:account/users/:user/metaflows                                 401 401 403 403 200 200 200 200
POST /v2/accounts/:account/users/:user/metaflows                                401 401 403 403 403 412 412 412
GET /v2/accounts/:account/users/:user/recordings                                401 401 403 403 403 200 200 200
GET /v2/accounts/:account/webhooks                                              401 401 403 403 200 200 200 200
PUT /v2/accounts/:account/webhooks                                              401 401 403 403 403 403 400 400
DELETE /v2/accounts/:account/webhooks/:webhook                                  401 401 403 403 403 403 412 412
GET /v2/accounts/:account/webhooks/:webhook                                     401 401 403 403 200 200 200 200
PATCH /v2/accounts/:account/webhooks/:webhook                                   401 401 403 403 403 403 412 412
POST /v2/accounts/:account/webhooks/:webhook                                    401 401 403 403 403 403 412 412
GET /v2/accounts/:account/webhooks/:webhook/attempts                            401 401 403 403 403 403 200 200
PUT /v2/api_auth                                                                400 400 400 400 400 400 400 400
GET /v2/openapi.json                                                            200 200 200 200 200 200 200 200
GET /v2/schemas                                                                 200 200 200 200 200 200 200 200
GET /v2/schemas/:schema                                                         200 200 200 200 200 200 200 200
PUT /v2/schemas/:schema/validation                                              401 401 400 400 400 400 400 400
DELETE /v2/token_auth                                                           401 401 200 200 200 200 200 200
GET /v2/token_auth                                                              401 401 200 200 200 200 200 200
PUT /v2/user_auth                                                               400 400 400 400 400 400 400 400
GET /v2/webhooks                                                                401 401 200 200 200 200 200 200
`

async function place(t: ExecutionContext): Promise<Place> {
  return placeIn(await world(t, { config: { loginsPerMinute: { attempts: 1000, failures: 1000 } } }))
}

const rows = TABLE.trim()
  .split('\n')
  .map(line => /^(\S+ \S+) +(.*)$/.exec(line)?.slice(1) as [string, string])

const isRefused = (status: number): boolean => status === 401 || status === 403

test('every route answers every kind of token as the table says, and the table has every route and no other', async t => {
  const { ask, ids, as, routes } = await place(t)
  const seen: string[] = []
  for (const { method, path } of routes.filter(({ access }) => access !== 'application')) {
    const named = rows.filter(([route]) => route.split('?')[0] === `${method} ${path}`)
    if (named.length === 0) t.fail(`${method} ${path} has no row`)
    for (const [route] of named) {
      const filled = route.slice(method.length + 1).replaceAll(/:(\w+)/g, (_, name: string) => ids[name] ?? '')
      const statuses: number[] = []
      for (const column of COLUMNS) {
        const body = method === 'GET' || method === 'DELETE' ? undefined : {}
        const headers = { 'if-match': '"0-0"' }
        const { status } = await ask(method, filled, body, { ...(await as(column)), headers })
        const other = { ...(await as(column)), headers, raw: JSON.stringify({ verb: method, data: {} }) }
        const tunnelled = await ask('POST', filled, undefined, other)
        t.is(isRefused(tunnelled.status), isRefused(status), `${route} in the envelope of a POST, ${column}`)
        statuses.push(status)
      }
      seen.push(`${route} ${statuses.join(' ')}`)
    }
  }
  t.deepEqual(seen.sort(), rows.map(([route, statuses]) => `${route} ${statuses}`).sort())
})

test('the routes of voice applications take none of these tokens', async t => {
  const { ask, as, routes } = await place(t)
  const theirs = routes.filter(({ access }) => access === 'application')
  t.true(theirs.length > 3)
  for (const { method, path } of theirs) {
    const filled = path.replaceAll(/:\w+/g, 'x')
    for (const column of COLUMNS)
      t.is((await ask(method, filled, method === 'GET' ? undefined : {}, await as(column))).status, 401, `${method} ${path}, ${column}`)
  }
})

const causeOf = ({ status, body }: Answered): unknown => [status, (body.data as { cause?: unknown }).cause]

test('every path tells without a token what it takes, and what can be read has a HEAD with the same status and no body', async t => {
  const { ask, ids, as, routes } = await place(t)
  const filled = (path: string): string => path.replaceAll(/:(\w+)/g, (_, name: string) => ids[name] ?? '')
  const admin = await as('admin')
  for (const path of new Set(routes.map(route => route.path))) {
    const methods = routes.filter(route => route.path === path).map(({ method }) => method)
    const told = await ask('OPTIONS', filled(path), undefined, { token: undefined })
    t.is(told.status, 200, path)
    t.deepEqual((told.headers.get('allow') ?? '').split(', ').sort(), [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].sort(), path)
    if (!methods.includes('GET')) t.is((await ask('HEAD', filled(path), undefined, admin)).status, 405, path)
    if (!methods.includes('GET') || path.includes('quickcall')) continue
    const [got, head] = [await ask<unknown>('GET', filled(path), undefined, admin), await ask<unknown>('HEAD', filled(path), undefined, admin)]
    t.deepEqual([head.status, head.body.data, head.headers.get('etag')], [got.status, '', got.headers.get('etag')], path)
  }
})

test('a user changes what is personal in his own documents, and nothing that decides about him', async t => {
  const { ask, at, ids, as } = await place(t)
  const owner = await as('owner')
  const me = `${at}/users/${ids['user']}`
  const phone = `${at}/devices/${ids['device']}`
  t.like(await ask('PATCH', me, { first_name: 'Alice', ui_metadata: { theme: 'dark' } }, owner), { status: 200, body: { data: { first_name: 'Alice' } } })
  t.is((await ask('PATCH', phone, { name: 'desk', ringtones: { internal: 'x' } }, owner)).status, 200)
  for (const [field, value] of Object.entries({
    priv_level: 'admin',
    enabled: false,
    username: 'boss',
    recording_rights: ['listen', 'download', 'delete'],
    record_call: false,
    call_recording: { any: { any: { enabled: false } } },
    metaflows: { numbers: {} },
    retention_days: 1,
    whatever_comes_next: true,
  })) {
    t.deepEqual(causeOf(await ask('PATCH', me, { [field]: value }, owner)), [403, [field]], field)
  }
  for (const [field, value] of Object.entries({ owner_id: null, enabled: false, sip: { username: 'other' }, record_call: false })) {
    t.deepEqual(causeOf(await ask('PATCH', phone, { [field]: value }, owner)), [403, [field]], field)
  }
  t.deepEqual(causeOf(await ask('PATCH', me, { first_name: 'X', record_call: false }, await as('user'))), [403, 'owner_id'])
})

test('what a user reads of himself he may write back, and what he leaves out he takes away', async t => {
  const { ask, at, ids, as } = await place(t)
  const owner = await as('owner')
  const me = `${at}/users/${ids['user']}`
  const url = 'https://acme:s3cret@records.example/calls'
  await ask('PATCH', me, { record_call: { url } })
  const { body } = await ask('GET', me, undefined, owner)
  t.deepEqual(body.data['record_call'], { url: 'https://***@records.example/calls' })
  t.notRegex(JSON.stringify(await ask('GET', `${at}/users`, undefined, owner)), /s3cret/)
  t.is((await ask('POST', me, { ...body.data, last_name: 'New' }, owner)).status, 200)
  t.like((await ask('GET', me)).body.data, { last_name: 'New', record_call: { url } })
  const { record_call: _, ...rest } = body.data
  t.deepEqual(causeOf(await ask('POST', me, rest, owner)), [403, ['record_call']])
})

test('an account may let its users decide about the recording of their own calls, which is all it lets them', async t => {
  const { ask, at, ids, as } = await place(t)
  await ask('PATCH', at, { allow_user_recording_settings: true })
  const owner = await as('owner')
  t.is((await ask('PATCH', `${at}/users/${ids['user']}`, { record_call: false }, owner)).status, 200)
  t.is((await ask('PATCH', `${at}/devices/${ids['device']}`, { call_recording: { any: { any: { enabled: false } } } }, owner)).status, 200)
  t.deepEqual(causeOf(await ask('PATCH', `${at}/users/${ids['user']}`, { record_call: false, priv_level: 'admin' }, owner)), [403, ['priv_level']])
  t.deepEqual(causeOf(await ask('PATCH', `${at}/users/${ids['user']}`, { record_call: true }, await as('user'))), [403, 'owner_id'])
  t.is((await ask('PATCH', at, { record_call: false }, owner)).status, 403)
})

test('whether accounts above hear a recording is said by the account, or at its birth', async t => {
  const { ask, at, ids, as } = await place(t)
  const audio = async (): Promise<unknown> => causeOf(await ask('GET', `${at}/recordings/${ids['recording']}?accept=audio/*`, undefined, await as('parent')))
  t.deepEqual(await audio(), [403, 'allow_parent_audio'])
  t.deepEqual(causeOf(await ask('PATCH', at, { allow_parent_audio: true }, await as('parent'))), [403, ['allow_parent_audio']])
  t.is((await ask('PATCH', at, { allow_parent_audio: true }, await as('admin'))).status, 200)
  t.like(await audio(), [200] as never)
  t.is((await ask('PATCH', at, { name: 'acme2' }, await as('parent'))).status, 200)
  t.is((await ask('PATCH', at, { allow_parent_audio: null }, await as('parent'))).status, 200)
  t.deepEqual(await audio(), [403, 'allow_parent_audio'])
  const born = await ask('PUT', `/v2/accounts/${ids['parent']}`, { name: 'open', allow_parent_audio: true }, await as('parent'))
  t.like(born, { status: 201, body: { data: { allow_parent_audio: true } } })
})

test('listening, downloading and deleting are rights of their own, and nobody hands out more than he has', async t => {
  const world = await place(t)
  const { ask, at, account, ids, as, store, clock } = world
  const clerk = await aUser(world, account, { priv_level: 'admin', recording_rights: ['listen'] })
  const issued = await issueToken(
    { store, clock, random: randomBytes, config: { tokenTtl: 60 } },
    { account_id: account, owner_id: clerk, method: 'user_auth', proof: proofOf('') },
  )
  const token = { token: issued }
  const sound = `${at}/recordings/${ids['recording']}?accept=audio/*`
  t.is((await ask('GET', `${sound}&inline=true`, undefined, token)).status, 200)
  t.deepEqual(causeOf(await ask('GET', sound, undefined, token)), [403, 'recording_rights'])
  t.deepEqual(causeOf(await ask('DELETE', `${at}/recordings/${ids['recording']}`, undefined, token)), [403, 'recording_rights'])
  t.deepEqual(causeOf(await ask('GET', `${at}/api_key`, undefined, token)), [403, 'recording_rights'])
  t.deepEqual(causeOf(await ask('PUT', `${at}/api_key`, {}, token)), [403, 'recording_rights'])

  const person = { first_name: 'A', last_name: 'B' }
  t.deepEqual(causeOf(await ask('PUT', `${at}/users`, { ...person, priv_level: 'admin' }, token)), [403, ['recording_rights']])
  t.deepEqual(causeOf(await ask('PUT', `${at}/users`, person, token)), [403, ['recording_rights']])
  t.is((await ask('PUT', `${at}/users`, { ...person, recording_rights: ['listen'] }, token)).status, 201)
  t.deepEqual(causeOf(await ask('PATCH', `${at}/users/${clerk}`, { recording_rights: null }, token)), [403, ['recording_rights']])
  t.deepEqual(causeOf(await ask('PATCH', `${at}/users/${ids['user']}`, { password: 'mine' }, token)), [403, ['recording_rights']])

  await ask('PATCH', `${at}/users/${ids['user']}`, { recording_rights: ['delete'] })
  t.deepEqual(causeOf(await ask('GET', `${sound}&inline=true`, undefined, await as('owner'))), [403, 'recording_rights'])
  t.is((await ask('DELETE', `${at}/recordings/${ids['recording']}`, undefined, await as('owner'))).status, 200)
})

test('/v2/account is the account of the token', async t => {
  const { ask, as, ids, account } = await place(t)
  t.like(await ask('GET', '/v2/account', undefined, await as('admin')), { status: 200, body: { data: { id: account } } })
  t.like(await ask('GET', `/v2/account/users/${ids['user']}`, undefined, await as('owner')), { status: 200, body: { data: { id: ids['user'] } } })
  t.is((await ask('GET', '/v2/account/users', undefined, await as('none'))).status, 401)
  t.is((await ask('GET', '/v2/account', undefined, await as('expired'))).status, 401)
  t.is((await ask('PATCH', '/v2/account', {}, await as('user'))).status, 403)
  t.is((await ask('GET', '/v2/accounting', undefined, await as('admin'))).status, 404)
})

test('a token tells what it stands for and can be ended, here and at once', async t => {
  const { ask, as, account, ids } = await place(t)
  const owner = await as('owner')
  const told = await ask('GET', '/v2/token_auth', undefined, owner)
  t.like(told.body.data, { account_id: account, owner_id: ids['user'], priv_level: 'user', method: 'user_auth', is_master_account: false })
  t.deepEqual(told.body.data['recording_rights'], ['listen', 'download'])
  t.true(Number(told.body.data['expires_in']) > 3500)
  const ended = await ask('DELETE', '/v2/token_auth', undefined, owner)
  t.is(ended.status, 200)
  t.is(ended.body.auth_token, undefined)
  t.is((await ask('GET', '/v2/token_auth', undefined, owner)).status, 401)
  t.is((await ask('GET', '/v2/token_auth', undefined, await as('owner'))).status, 200)
})

test('an account sees what is below it, and above it only as far as its token reaches', async t => {
  const { ask, at, as, ids, master } = await place(t)
  const names = async (path: string, column: Column = 'admin'): Promise<unknown[]> =>
    ((await ask('GET', path, undefined, await as(column))).body.data as unknown as { name: string; id: string }[]).map(({ name }) => name)
  const top = `/v2/accounts/${ids['parent']}`
  t.deepEqual(await names(`${at}/children`), ['below'])
  t.deepEqual(await names(`${top}/children`, 'parent'), ['acme', 'foreign'])
  t.deepEqual(await names(`${top}/descendants`, 'parent'), ['acme', 'below', 'foreign'])
  t.deepEqual(await names(`${at}/siblings`, 'parent'), ['acme', 'foreign'])
  t.deepEqual(await names(`${at}/parents`), [])
  t.deepEqual(await names(`${at}/parents`, 'parent'), ['parent'])
  t.deepEqual(await names(`/v2/accounts/${ids['child']}/tree`, 'parent'), ['parent', 'acme'])
  t.like((await ask<object[]>('GET', `/v2/accounts/${ids['child']}/tree`)).body.data[0], { id: master.accountId, name: 'master' })
  await ask('PATCH', at, { flags: ['gold'] })
  const page = await ask<{ name: string; descendants_count: number }[]>('GET', `${top}/children?page_size=1`, undefined, await as('parent'))
  const acme = { name: 'acme', realm: 'acme.example', descendants_count: 1, flags: ['gold'] }
  t.like(page.body.data[0], acme)
  t.like((await ask<object[]>('GET', `/v2/accounts/${ids['child']}/parents`, undefined, await as('admin'))).body.data[0], acme)
  const next = await ask<{ name: string }[]>('GET', `${top}/children?start_key=${page.body.next_start_key}`, undefined, await as('parent'))
  t.deepEqual(
    next.body.data.map(({ name }) => name),
    ['foreign'],
  )
  t.is((await ask('GET', `${top}/children?start_key=WzEsMl0`, undefined, await as('parent'))).status, 404)
})

test('an account with descendants stays until they are gone', async t => {
  const { ask, at, ids, as } = await place(t)
  t.like(await ask('DELETE', at, undefined, await as('parent')), { status: 409, body: { message: 'account_has_descendants' } })
  t.is((await ask('DELETE', `/v2/accounts/${ids['child']}`, undefined, await as('admin'))).status, 200)
  t.is((await ask('DELETE', at, undefined, await as('parent'))).status, 200)
})

test('of a deletion and a birth below at the same time one is refused', async t => {
  const { ask, ids, as } = await place(t)
  const here = `/v2/accounts/${ids['child']}`
  const [admin, child] = [await as('admin'), await as('child')]
  const [gone, born] = await Promise.all([ask('DELETE', here, undefined, admin), ask('PUT', here, { name: 'grandchild' }, child)])
  t.true((gone.status === 200 && [401, 404].includes(born.status)) || (gone.status === 409 && born.status === 201), `${gone.status} ${born.status}`)
})

test('a new API key ends the old one and every token it was given for', async t => {
  const { ask, at, as, url } = await place(t)
  const open = asker(url)
  const login = (api_key: unknown): Promise<Answered> => open('PUT', '/v2/api_auth', { api_key })
  const old = (await ask('GET', `${at}/api_key`, undefined, await as('admin'))).body.data['api_key']
  const token = (await login(old)).body.auth_token
  t.is((await ask('GET', at, undefined, { token })).status, 200)
  const fresh = (await ask('PUT', `${at}/api_key`, undefined, await as('parent'))).body.data['api_key']
  t.regex(String(fresh), /^[0-9a-f]{64}$/)
  t.is((await login(old)).status, 401)
  t.is((await ask('GET', at, undefined, { token })).status, 401)
  t.is((await login(fresh)).status, 201)
})

test('the master key is the operator’s to change', async t => {
  const { ask, master } = await world(t)
  t.deepEqual(causeOf(await ask('PUT', `/v2/accounts/${master.accountId}/api_key`)), [403, 'MASTER_API_KEY'])
  t.is((await ask('GET', '/v2/account/api_key')).body.data['api_key'], master.apiKey)
})

test('a disabled account lets nobody in and is told so only to who knows the password', async t => {
  const world = await place(t)
  const { ask, at, as, account, url } = world
  const key = (await ask('GET', `${at}/api_key`, undefined, await as('admin'))).body.data['api_key']
  await aUser(world, account, { username: 'carol', password: 'secret' })
  const login = (password: string): Promise<Answered> =>
    asker(url)('PUT', '/v2/user_auth', { credentials: digest('md5', 'carol', password), account_name: 'acme' })
  t.is((await login('secret')).status, 201)
  t.deepEqual(causeOf(await ask('PATCH', at, { enabled: false }, await as('admin'))), [403, ['enabled']])
  t.is((await ask('PATCH', at, { enabled: false }, await as('parent'))).status, 200)
  const locked = { status: 423, body: { message: 'locked', error: '423', data: { account: { disabled: { message: 'account disabled', cause: account } } } } }
  t.like(await login('secret'), locked)
  t.like(await asker(url)('PUT', '/v2/api_auth', { api_key: key }), locked)
  t.is((await login('wrong')).status, 401)
  for (const column of ['admin', 'owner'] as const) t.is((await ask('GET', at, undefined, await as(column))).status, 401)
  t.is((await ask('PATCH', at, { enabled: true }, await as('parent'))).status, 200)
  t.is((await login('secret')).status, 201)
})

test('a password that was changed ends the tokens it was given for', async t => {
  const world = await place(t)
  const { ask, at, account, url } = world
  const carol = await aUser(world, account, { username: 'carol', password: 'secret' })
  const { body } = await asker(url)('PUT', '/v2/user_auth', { credentials: digest('md5', 'carol', 'secret'), account_name: 'acme' })
  const token = { token: body.auth_token }
  t.is((await ask('PATCH', `${at}/users/${carol}`, { first_name: 'C' }, token)).status, 200)
  t.is((await ask('GET', at, undefined, token)).status, 200)
  t.is((await ask('PATCH', `${at}/users/${carol}`, { password: 'better' }, token)).status, 200)
  t.is((await ask('GET', at, undefined, token)).status, 401)
})

test('what a token means is kept for five seconds, in which it costs no read, and not a moment longer', async t => {
  const store = await aStore(t)
  for (const [db, kind] of [
    ['accounts', 'accounts'],
    ['token_auth', 'token_auth'],
  ] as const)
    await store.createDatabase(db, kind)
  const account = 'a'.repeat(32)
  const user = 'b'.repeat(32)
  await store.createDatabase(accountDb(account), 'account')
  await store.put('accounts', { _id: account, pvt_type: 'account', pvt_tree: [], name: 'acme' })
  const rev = await store.put(accountDb(account), { _id: user, pvt_type: 'user', priv_level: 'admin' })
  let reads = 0
  const counted = { ...store, get: ((db: string, id: string) => store.get(db, id).finally(() => reads++)) as typeof store.get }
  const time = { at: 1000 }
  const clock = { now: () => time.at, elapsed: () => time.at, after: () => () => {} }
  const token = await issueToken(
    { store, clock, random: randomBytes, config: { tokenTtl: 60 } },
    { account_id: account, owner_id: user, method: 'user_auth', proof: proofOf('') },
  )
  const [here, elsewhere] = [createSessions({ store: counted, clock }), createSessions({ store: counted, clock })]
  t.is((await here.of(token)).who.level, 'admin')
  t.is((await elsewhere.of(token)).who.level, 'admin')
  reads = 0
  await store.put(accountDb(account), { _id: user, _rev: rev, pvt_type: 'user', priv_level: 'user' })
  // The engine that made the change forgets, another one notices in time.
  here.forget({ accountId: account })
  t.is((await here.of(token)).who.level, 'user')
  t.is(reads, 3)
  time.at += 4999
  t.is((await elsewhere.of(token)).who.level, 'admin')
  t.is(reads, 3)
  time.at += 1
  t.is((await elsewhere.of(token)).who.level, 'user')
  time.at += 55_001
  await t.throwsAsync(elsewhere.of(token), { code: 'invalid_credentials' })
})

test('what was read before a change is not kept after it', async t => {
  const { store, as, account, ids } = await place(t)
  const { token } = await as('owner')
  const clock = { now: Date.now, elapsed: () => 0, after: () => () => {} }
  const held: (() => void)[] = []
  const get = async (db: string, id: string): Promise<unknown> => {
    const doc = await store.get(db, id)
    if (id === ids['user']) await new Promise<void>(resolve => held.push(resolve))
    return doc
  }
  const sessions = createSessions({ store: { ...store, get: get as typeof store.get }, clock })
  const asked = async (): Promise<() => void> => {
    for (;;) {
      const release = held.shift()
      if (release !== undefined) return release
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  const first = sessions.of(token)
  const release = await asked()
  sessions.forget({ accountId: account })
  release()
  await first
  const second = sessions.of(token)
  ;(await asked())()
  await second
  await sessions.of(token)
  t.is(held.length, 0)
})

test('a change of one user costs nobody else a read, and who is logged out once stays logged in elsewhere', async t => {
  const { ask, as, at, ids, calls } = await place(t)
  const [owner, elsewhere, other] = [await as('owner'), await as('owner'), await as('user')]
  const reads = async (asking: Asking): Promise<number> => {
    calls.length = 0
    t.is((await ask('GET', '/v2/token_auth', undefined, asking)).status, 200)
    return calls.filter(call => call.startsWith('get ') && !call.startsWith('get token_auth')).length
  }
  for (const asking of [owner, elsewhere, other]) t.true((await reads(asking)) > 0)
  await ask('PATCH', `${at}/users/${ids['user']}`, { recording_rights: ['listen'] })
  t.is(await reads(other), 0)
  t.true((await reads(owner)) > 0)
  t.true((await reads(elsewhere)) > 0)
  await ask('DELETE', '/v2/token_auth', undefined, owner)
  t.is((await ask('GET', '/v2/token_auth', undefined, owner)).status, 401)
  t.is(await reads(elsewhere), 0)
})
