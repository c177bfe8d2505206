import { createHash } from 'node:crypto'
import { request } from 'node:http'
import test, { type ExecutionContext } from 'ava'
import { accountDb } from '../../src/store/modb.ts'
import { anAccount, type Answered, asker, world, type World } from '../helpers/api.ts'

const ALICE = { first_name: 'Alice', last_name: 'Caller' }
const flow = { module: 'answer', data: {}, children: {} }

interface Made {
  id: string
  [field: string]: unknown
}

async function tenant(t: ExecutionContext): Promise<World & { id: string; at: string }> {
  const made = await world(t)
  const id = await anAccount(made)
  made.calls.length = 0
  return { ...made, id, at: `/v2/accounts/${id}` }
}

test('what recording servers ask an account for is written and never read; a password left out stays, for another host it is due', async t => {
  const { ask, at, id, store } = await tenant(t)
  const passwords = async (): Promise<unknown> => (await store.get('accounts', id))?.['pvt_siprec_passwords']
  const set = await ask<Made>('PATCH', at, { siprec_credentials: { 'rec.example.com': { username: 'acme', password: 'hidden-part' } } })
  t.is(set.status, 200)
  t.deepEqual(set.body.data['siprec_credentials'], { 'rec.example.com': { username: 'acme' } })
  t.deepEqual(await passwords(), { 'rec.example.com': 'hidden-part' })
  const read = await ask<Made>('GET', at)
  t.is((await ask('PATCH', at, { siprec_credentials: { 'rec.example.com': { username: 'callrec' } } })).status, 200)
  t.is((await ask('POST', at, read.body.data)).status, 200)
  t.deepEqual(await passwords(), { 'rec.example.com': 'hidden-part' })
  for (const host of ['srs.example.com', 'constructor']) {
    const refused = await ask('PATCH', at, { siprec_credentials: { [host]: { username: 'acme' } } })
    t.deepEqual(codes(refused), [`siprec_credentials.${host.replaceAll('.', '%2E')}.password.required`])
  }
  const wrong = await ask('PATCH', at, { siprec_credentials: { 'Rec.example.com': { username: 'acme', password: 'hidden-part' } } })
  t.is(wrong.status, 400)
  t.notRegex(JSON.stringify([set, read, wrong]), /hidden-part/)
  await ask('PATCH', at, { siprec_credentials: { 'rec.example.com': null } })
  t.is(await passwords().then(kept => JSON.stringify(kept)), '{}')
  await ask('PATCH', at, { siprec_credentials: null })
  t.is(await passwords(), undefined)
})

const codes = ({ body }: Answered): string[] =>
  Object.entries(body.data as Record<string, object>).flatMap(([path, found]) => Object.keys(found).map(code => `${path}.${code}`))

test('a user document is created, read, merged, replaced and put away by Crossbar’s verbs', async t => {
  const { ask, at } = await tenant(t)
  const made = await ask<Made>('PUT', `${at}/users`, ALICE)
  t.is(made.status, 201)
  t.like(made.body, { status: 'success', data: { ...ALICE, enabled: true, priv_level: 'user' } })
  const one = `${at}/users/${made.body.data.id}`
  t.is(made.headers.get('location'), one)
  t.is(made.headers.get('etag'), `"${made.body.revision}"`)

  const patched = await ask<Made>('PATCH', one, { record_call: { format: 'wav', time_limit: '60' }, nickname: 'al' })
  t.is(patched.status, 200)
  t.deepEqual(patched.body.data['record_call'], { format: 'wav', time_limit: 60 })
  const removed = await ask<Made>('PATCH', one, { record_call: { time_limit: null } })
  t.deepEqual(removed.body.data['record_call'], { format: 'wav' })
  t.is(removed.body.data['nickname'], 'al')

  const replaced = await ask<Made>('POST', one, { ...ALICE, nickname: null })
  t.deepEqual(replaced.body.data, { ...ALICE, enabled: true, priv_level: 'user', id: made.body.data.id })
  t.deepEqual((await ask('GET', one)).body.data, replaced.body.data)

  const deleted = await ask<Made>('DELETE', one)
  t.is(deleted.status, 200)
  t.deepEqual(deleted.body.data['_read_only'], { deleted: true })
  for (const method of ['GET', 'DELETE']) t.like(await ask(method, one), { status: 404, body: { message: 'bad_identifier', error: '404' } })
  t.is((await ask('PATCH', one, {})).status, 404)
  t.deepEqual((await ask('GET', `${at}/users`)).body.data as unknown, [])
})

test('the curl line of the documentation answers with the merged document', async t => {
  const { ask, at, token, url } = await tenant(t)
  const { body } = await ask<Made>('PUT', `${at}/users`, ALICE)
  const response = await fetch(`${url}${at}/users/${body.data.id}`, {
    method: 'PATCH',
    headers: { 'X-Auth-Token': token, 'Content-Type': 'application/json' },
    body: '{"data":{"record_call":true}}',
  })
  t.is(response.status, 200)
  t.like(await response.json(), { status: 'success', data: { ...ALICE, record_call: true, id: body.data.id }, auth_token: token })
})

test('private fields never enter and never leave', async t => {
  const { ask, at, id, store } = await tenant(t)
  const { body } = await ask<Made>('PUT', `${at}/users`, { ...ALICE, pvt_type: 'account', _id: 'mine', _rev: '9-x', pvt_tree: [], id: 'x', _read_only: 1 })
  t.is(body.data.id.length, 32)
  const answers = [body, (await ask('GET', `${at}/users/${body.data.id}`)).body, (await ask('GET', `${at}/users`)).body]
  for (const answer of answers) t.notRegex(JSON.stringify(answer.data), /pvt_|"_/)
  const stored = await store.get(accountDb(id), body.data.id)
  t.like(stored, { pvt_type: 'user', pvt_account_id: id, pvt_account_db: accountDb(id) })
  t.is(stored?.['pvt_tree'], undefined)
  await ask('PATCH', `${at}/users/${body.data.id}`, { pvt_type: 'device', _attachments: {}, id: 'y' })
  t.like(await store.get(accountDb(id), body.data.id), { pvt_type: 'user', _attachments: undefined, id: undefined })
})

test('a document of another type does not exist under this one’s path', async t => {
  const { ask, at } = await tenant(t)
  const { body } = await ask<Made>('PUT', `${at}/devices`, { name: 'phone' })
  t.is((await ask('GET', `${at}/users/${body.data.id}`)).status, 404)
  t.is((await ask('GET', `${at}/devices/${body.data.id}`)).status, 200)
})

test('If-None-Match spares a document that is known, If-Match refuses to change another one', async t => {
  const { ask, at } = await tenant(t)
  const { body } = await ask<Made>('PUT', `${at}/users`, ALICE)
  const one = `${at}/users/${body.data.id}`
  const etag = `"${body.revision}"`
  t.is((await ask('GET', one, undefined, { headers: { 'if-none-match': etag } })).status, 304)
  t.is((await ask('PATCH', one, { nickname: 'a' }, { headers: { 'if-match': etag } })).status, 200)
  t.is((await ask('GET', one, undefined, { headers: { 'if-none-match': etag } })).status, 200)
  for (const [method, data] of [
    ['PATCH', {}],
    ['POST', ALICE],
    ['DELETE', undefined],
  ] as const) {
    t.like(await ask(method, one, data, { headers: { 'if-match': etag } }), { status: 412, body: { message: 'precondition_failed' } })
  }
  t.is((await ask('PATCH', one, {}, { headers: { 'if-match': '*' } })).status, 200)
})

test('a write that loses a race is a 409, or a 412 to whoever named a revision', async t => {
  const { ask, at, id, store } = await tenant(t)
  const { body } = await ask<Made>('PUT', `${at}/users`, ALICE)
  const one = `${at}/users/${body.data.id}`
  const get = store.get.bind(store)
  // Somebody else writes between the read and the write.
  Object.assign(store, {
    get: async (db: string, key: string) => {
      const doc = await get(db, key)
      if (key === body.data.id && doc !== undefined) await store.put(accountDb(id), { ...doc })
      return doc
    },
  })
  t.like(await ask('PATCH', one, { x: 1 }), { status: 409, body: { message: 'datastore_conflict', data: { message: 'conflicting documents' } } })
  t.is((await ask('PATCH', one, { x: 1 }, { headers: { 'if-match': `"${(await get(accountDb(id), body.data.id))?._rev}"` } })).status, 412)
})

test('wrong types and broken rules are refused with the path of the field and nothing is changed', async t => {
  const { ask, at } = await tenant(t)
  const { body } = await ask<Made>('PUT', `${at}/users`, ALICE)
  const one = `${at}/users/${body.data.id}`
  const refused = await ask('PATCH', one, { call_recording: { any: { any: { time_limit: 1 } } }, record_call: { url: 'javascript:x' } })
  t.is(refused.status, 400)
  t.like(refused.body, { status: 'error', message: 'validation error', error: '400' })
  t.deepEqual(refused.body.data['call_recording.any.any.time_limit'], { minimum: { message: 'Value must be at least 5', target: 5, value: 1 } })
  t.deepEqual(codes(refused).sort(), ['call_recording.any.any.time_limit.minimum', 'record_call.url.error'])
  t.deepEqual(codes(await ask('POST', one, { first_name: 5 })).sort(), ['first_name.type', 'last_name.required'])
  t.is((await ask('GET', one)).body.revision, body.revision)
})

test('a username is kept in lower case, unique, and wants a password', async t => {
  const { ask, at } = await tenant(t)
  t.deepEqual(codes(await ask('PUT', `${at}/users`, { ...ALICE, username: 'alice' })), ['password.required'])
  t.deepEqual(codes(await ask('PUT', `${at}/users`, { ...ALICE, password: 'x' })), ['username.required'])
  const made = await ask<Made>('PUT', `${at}/users`, { ...ALICE, username: 'Alice', password: 'secret' })
  t.is(made.body.data['username'], 'alice')
  t.is(made.body.data['password'], undefined)
  const twin = await ask('PUT', `${at}/users`, { ...ALICE, username: 'ALICE', password: 'x' })
  t.deepEqual(twin.body.data['username'], { unique: { message: 'Username must be unique within account', cause: 'alice' } })
  const one = `${at}/users/${made.body.data.id}`
  t.is((await ask('PATCH', one, { nickname: 'al' })).status, 200)
  t.deepEqual(codes(await ask('PATCH', one, { username: 'bob' })), ['password.required'])
  t.is((await ask('PATCH', one, { username: 'bob', password: 'again' })).status, 200)
  t.is((await ask('PUT', `${at}/users`, { ...ALICE, username: 'alice', password: 'x' })).status, 201)
})

test('of two that want a username at the same time one gets it', async t => {
  const { ask, at } = await tenant(t)
  const both = await Promise.all([1, 2].map(() => ask('PUT', `${at}/users`, { ...ALICE, username: 'alice', password: 'x' })))
  t.deepEqual(
    both.map(({ status }) => status).sort((a, b) => a - b),
    [201, 400],
  )
})

test('a change costs the read and the write of its document, unless it takes a name, a number or an owner that it did not have', async t => {
  const { ask, at, id, calls } = await tenant(t)
  const one = async (path: string, data: object): Promise<string> => `${at}/${path}/${(await ask<Made>('PUT', `${at}/${path}`, data)).body.data.id}`
  const user = await one('users', { ...ALICE, username: 'alice', password: 'a-secret-of-hers' })
  const device = await one('devices', { name: 'phone', owner_id: user.slice(-32), sip: { username: 'phone', password: 'phone-secret' } })
  const callflow = await one('callflows', { numbers: ['2001'], patterns: ['^3'], flow })
  const cost = async (path: string, data: object): Promise<string[]> => {
    await ask('GET', at)
    calls.length = 0
    t.is((await ask('PATCH', path, data)).status, 200)
    return calls.map(call => call.split(' ')[0] ?? '')
  }
  // The account, because the token is of one above it, and the document.
  const usual = ['get', 'get', 'put']
  t.deepEqual(await cost(user, { username: 'Alice', record_call: true }), usual)
  t.deepEqual(await cost(user, { username: 'alicia', password: 'another-secret' }), ['get', 'get', 'query', 'put'])
  t.deepEqual(await cost(device, { record_call: true }), usual)
  t.deepEqual(await cost(device, { owner_id: null, sip: { username: 'phone2' } }), ['get', 'get', 'query', 'put'])
  t.deepEqual(await cost(callflow, { record_call: true }), usual)
  t.deepEqual(await cost(callflow, { numbers: ['2001', '2002'] }), ['get', 'get', 'query', 'put'])
  const account = `/v2/accounts/${id}`
  await ask('PATCH', account, { record_call: true })
  t.deepEqual(await cost(account, { record_call: false }), usual)
})

test('what a password leaves in the store is argon2 over both digests and a byte to find it by', async t => {
  const { ask, at, id, store } = await tenant(t)
  const { body } = await ask<Made>('PUT', `${at}/users`, { ...ALICE, username: 'alice', password: 'correct horse' })
  const stored = await store.get(accountDb(id), body.data.id)
  t.notRegex(JSON.stringify(stored), /correct horse/)
  const { md5, sha } = (stored?.['pvt_credentials'] ?? {}) as Record<string, string>
  t.regex(md5 ?? '', /^\$argon2id\$/)
  t.regex(sha ?? '', /^\$argon2id\$/)
  t.regex(JSON.stringify(stored?.['pvt_auth_hints']), /^\["md5[0-9a-f]{2}","sha[0-9a-f]{2}"\]$/)
  await ask('POST', `${at}/users/${body.data.id}`, ALICE)
  t.is((await store.get(accountDb(id), body.data.id))?.['pvt_credentials'], undefined)
})

test('a device’s owner is a user of the account and its SIP username nobody else’s', async t => {
  const { ask, at } = await tenant(t)
  const user = await ask<Made>('PUT', `${at}/users`, ALICE)
  const made = await ask<Made>('PUT', `${at}/devices`, { name: 'phone', owner_id: user.body.data.id, sip: { username: 'phone1', password: 'secret' } })
  t.is(made.status, 201)
  for (const owner_id of ['0'.repeat(32), '../../../../../../etc/passwd/../', made.body.data.id]) {
    t.deepEqual(codes(await ask('PUT', `${at}/devices`, { name: 'other', owner_id })), ['owner_id.not_found'])
  }
  t.deepEqual(codes(await ask('PUT', `${at}/devices`, { name: 'other', sip: { username: 'phone1' } })), ['sip.username.unique'])
  t.deepEqual(codes(await ask('PUT', `${at}/devices`, { name: 'other', sip: { username: '${system(id)}' } })), ['sip.username.pattern'])
  t.is((await ask('PATCH', `${at}/devices/${made.body.data.id}`, { sip: { username: 'phone1' } })).status, 200)
  t.is((await ask('PUT', `${at}/devices`, {})).status, 400)
})

test('a hardware address is kept in one spelling and belongs to one device', async t => {
  const { ask, at } = await tenant(t)
  const made = await ask<Made>('PUT', `${at}/devices`, { name: 'a', mac_address: 'AA-BB-CC-DD-EE-FF' })
  t.is(made.body.data['mac_address'], 'aa:bb:cc:dd:ee:ff')
  t.deepEqual(codes(await ask('PUT', `${at}/devices`, { name: 'b', mac_address: 'aabb.ccdd.eeff' })), ['mac_address.unique'])
  const one = `${at}/devices/${made.body.data.id}`
  t.is((await ask('PATCH', one, { mac_address: 'AABBCCDDEEFF', name: 'c' })).status, 200)
  t.is((await ask('DELETE', one)).status, 200)
  t.is((await ask('PUT', `${at}/devices`, { name: 'd', mac_address: 'AA:BB:CC:DD:EE:FF' })).status, 201)
  t.is((await ask<Made>('PUT', `${at}/devices`, { name: 'e', mac_address: 'Unknown' })).body.data['mac_address'], 'unknown')
  t.deepEqual(codes(await ask('PUT', `${at}/devices`, { name: 'f', mac_address: 7 })), ['mac_address.type'])
})

test('a callflow needs a number or a pattern, and each belongs to one callflow of the account', async t => {
  const { ask, at } = await tenant(t)
  const callflows = `${at}/callflows`
  t.deepEqual(codes(await ask('PUT', callflows, { flow })), ['numbers.required'])
  t.deepEqual(codes(await ask('PUT', callflows, { flow, numbers: '2001' })), ['numbers.type'])
  t.deepEqual(codes(await ask('PUT', callflows, { numbers: ['2001'] })), ['flow.required'])
  t.deepEqual(codes(await ask('PUT', callflows, { flow, patterns: ['(['] })), ['patterns.0.error'])
  const made = await ask<Made>('PUT', callflows, { name: 'desk', flow, numbers: ['2001', '2002'], patterns: ['^\\*3([0-9]*)$'] })
  t.is(made.status, 201)
  const twin = await ask('PUT', callflows, { flow, numbers: ['2002'], patterns: ['^\\*3([0-9]*)$'] })
  t.deepEqual(twin.body.data as unknown, {
    numbers: { unique: { message: `Number 2002 exists in callflow ${made.body.data.id} desk`, cause: '2002' } },
    patterns: { unique: { message: `Pattern ^\\*3([0-9]*)$ exists in callflow ${made.body.data.id} desk`, cause: '^\\*3([0-9]*)$' } },
  })
  t.is((await ask('PATCH', `${callflows}/${made.body.data.id}`, { name: 'counter' })).status, 200)
  await ask('DELETE', `${callflows}/${made.body.data.id}`)
  t.is((await ask('PUT', callflows, { flow, numbers: ['2002'] })).status, 201)
})

test('an international number is kept as it is dialled, however it is written, and belongs to one callflow', async t => {
  const { ask, at } = await tenant(t)
  const made = await ask<Made>('PUT', `${at}/callflows`, { numbers: ['+49 (30) 123-456', '2001', '+x'], flow })
  t.deepEqual(made.body.data['numbers'], ['+4930123456', '2001', '+x'])
  t.deepEqual(codes(await ask('PUT', `${at}/callflows`, { numbers: ['+49.30.123456'], flow })), ['numbers.unique'])
  const twice = await ask<Made>('PUT', `${at}/callflows`, { numbers: ['+4930999999', '+49 30 999999'], flow })
  t.deepEqual(twice.body.data['numbers'], ['+4930999999'])
})

test('an unknown module and a bad setting deep in a flow are refused with the whole path', async t => {
  const { ask, at } = await tenant(t)
  const deep = {
    module: 'play',
    data: { id: 'tone_stream://%(100,0,440)' },
    children: { _: { module: 'record_call', data: { action: 'start', time_limit: 2 } } },
  }
  const refused = await ask('PUT', `${at}/callflows`, { numbers: ['1'], flow: { module: 'teleport', data: {}, children: { _: deep } } })
  t.is(refused.status, 400)
  t.deepEqual(codes(refused).sort(), ['flow.children._.children._.data.time_limit.minimum', 'flow.module.error'])
  t.deepEqual(codes(await ask('PUT', `${at}/callflows`, { numbers: ['1'], flow: { data: {} } })), ['flow.module.required'])
  t.deepEqual(codes(await ask('PUT', `${at}/callflows`, { numbers: ['1'], flow: { module: 'answer', children: { _: 7 } } })), ['flow.children._.type'])
})

test('defaults of a module’s schema are written into the flow', async t => {
  const { ask, at } = await tenant(t)
  const { body } = await ask<Made>('PUT', `${at}/callflows`, { numbers: ['1'], flow: { module: 'user', data: { id: '0'.repeat(32), timeout: '7' } } })
  t.like(body.data['flow'], { data: { timeout: 7, strategy: 'simultaneous' }, children: {} })
})

test('reading one callflow tells the names of what its actions name', async t => {
  const { ask, at } = await tenant(t)
  const user = await ask<Made>('PUT', `${at}/users`, ALICE)
  const id = user.body.data.id
  const nowhere = { module: 'device', data: { id: 'f'.repeat(32) } }
  const made = await ask<Made>('PUT', `${at}/callflows`, { numbers: ['1'], flow: { module: 'user', data: { id }, children: { _: nowhere } } })
  t.is(made.body.data['metadata'], undefined)
  const read = await ask<Made>('GET', `${at}/callflows/${made.body.data.id}`)
  t.deepEqual(read.body.data['metadata'], { [id]: { name: 'Alice Caller', pvt_type: 'user' } })
  const back = await ask<Made>('POST', `${at}/callflows/${made.body.data.id}`, read.body.data)
  t.is(back.status, 200)
  t.is(back.body.data['metadata'], undefined)
})

test('a child account gets a realm of its own, a database, and the tree above it', async t => {
  const { ask, master, store } = await world(t)
  const made = await ask<Made>('PUT', '/v2/accounts', { name: 'Acme, Inc.' })
  t.is(made.status, 201)
  t.regex(String(made.body.data['realm']), /^[0-9a-f]{10}\.sip\.callrec\.internal$/)
  const { id } = made.body.data
  t.like(await store.get('accounts', id), { pvt_type: 'account', pvt_tree: [master.accountId], pvt_alphanum_name: 'acmeinc' })
  t.true((await store.databases()).includes(accountDb(id)))
  const child = await ask<Made>('PUT', `/v2/accounts/${id}`, { name: 'Branch', realm: 'Branch.Example' })
  t.is(child.body.data['realm'], 'branch.example')
  t.like(await store.get('accounts', child.body.data.id), { pvt_tree: [master.accountId, id] })
  t.deepEqual(codes(await ask('PUT', '/v2/accounts', { name: 'ACME inc', realm: 'branch.example' })).sort(), ['name.unique', 'realm.unique'])
  t.is((await ask('PATCH', `/v2/accounts/${id}`, { name: 'Acme Inc' })).status, 200)
  t.is((await ask<Made>('POST', `/v2/accounts/${id}`, { name: 'Acme' })).body.data['realm'], made.body.data['realm'])
})

test('an account tells what Kazoo’s clients look for, and what they send back of it is not kept', async t => {
  const { ask, master, store, url } = await world(t)
  t.like((await ask('GET', '/v2/account')).body.data, { is_reseller: true, reseller_id: master.accountId, superduper_admin: true, enabled: true })
  const { id } = (await ask<Made>('PUT', '/v2/accounts', { name: 'acme', superduper_admin: true })).body.data
  const at = `/v2/accounts/${id}`
  await ask('PUT', `${at}/users`, { first_name: 'A', last_name: 'B', username: 'boss', password: 'p', priv_level: 'admin' })
  const credentials = createHash('md5').update('boss:p').digest('hex')
  const { auth_token: token } = (await asker(url)('PUT', '/v2/user_auth', { credentials, account_name: 'acme' })).body
  const read = await ask('GET', at, undefined, { token })
  t.like(read.body.data, { is_reseller: false, reseller_id: master.accountId, superduper_admin: false, enabled: true })
  t.true(Number(read.body.data['created']) > 63_000_000_000)
  t.is((await ask('POST', at, { ...read.body.data, language: 'de' }, { token })).status, 200)
  const kept = await store.get('accounts', id)
  t.deepEqual(
    ['created', 'is_reseller', 'reseller_id', 'superduper_admin'].filter(field => field in (kept ?? {})),
    [],
  )
  t.is((await ask('PATCH', at, { enabled: false }, { token })).status, 403)
  t.is((await ask('PATCH', at, { max_calls: 5 }, { token })).status, 403)
})

test('an account with descendants stays, and nobody deletes his own', async t => {
  const { ask, master } = await world(t)
  const parent = (await ask<Made>('PUT', '/v2/accounts', { name: 'parent' })).body.data.id
  const child = (await ask<Made>('PUT', `/v2/accounts/${parent}`, { name: 'child' })).body.data.id
  t.like(await ask('DELETE', `/v2/accounts/${parent}`), { status: 409, body: { message: 'account_has_descendants' } })
  t.is((await ask('DELETE', `/v2/accounts/${master.accountId}`)).status, 403)
  t.is((await ask('DELETE', `/v2/accounts/${child}`)).status, 200)
  t.is((await ask('DELETE', `/v2/accounts/${parent}`)).status, 200)
  t.is((await ask('GET', `/v2/accounts/${parent}`)).status, 404)
  t.is((await ask('GET', `/v2/accounts/${parent}/users`)).status, 404)
  t.is((await ask('PUT', '/v2/accounts', { name: 'parent' })).status, 201)
})

test('a list comes in pages whose keys lead on while documents are added', async t => {
  const { ask, at } = await tenant(t)
  for (const name of ['b', 'c', 'd']) await ask('PUT', `${at}/devices`, { name })
  const names = ({ body }: Answered): unknown[] => (body.data as unknown as Made[]).map(({ name }) => name)
  const first = await ask('GET', `${at}/devices?page_size=2`)
  t.deepEqual(names(first), ['b', 'c'])
  t.is(first.body.page_size, 2)
  await ask('PUT', `${at}/devices`, { name: 'a' })
  const second = await ask('GET', `${at}/devices?page_size=2&start_key=${first.body.next_start_key}`)
  t.deepEqual(names(second), ['d'])
  t.is(second.body.next_start_key, undefined)
  t.deepEqual(names(await ask('GET', `${at}/devices?paginate=false`)), ['a', 'b', 'c', 'd'])
  t.like(await ask('GET', `${at}/devices?page_size=0`), { status: 404, body: { message: 'faulty_request', data: { message: 'page size must be at least 1' } } })
  for (const key of ['x', 'e30', 'WzEsMl0']) t.is((await ask('GET', `${at}/devices?start_key=${key}`)).status, 404, key)
})

/** As it is: fetch would resolve the dots before it asks. */
const raw = (url: string, path: string, method: string, token: string): Promise<{ status: number; text: string }> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url)
    request({ hostname, port, path, method, headers: { 'x-auth-token': token, 'content-type': 'application/json' } }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
      .on('error', reject)
      .end(method === 'GET' || method === 'DELETE' ? undefined : '{"data":{}}')
  })

test('an id that is no id is a 404 and nothing is read', async t => {
  const { url, at, token, calls } = await tenant(t)
  const ids = [
    '..',
    '%2e%2e',
    '..%2f..%2fetc%2fpasswd',
    '_all_docs',
    '_design%2fusers',
    '%00',
    '%ff',
    '%',
    'A'.repeat(32),
    'a'.repeat(31),
    `${'a'.repeat(32)}%0a`,
    'x?y=/../',
  ]
  for (const id of ids) {
    for (const path of [`${at}/users/${id}`, `${at}/callflows/${id}`, `/v2/accounts/${id}`, `/v2/accounts/${id}/users`, `${at}/devices/${id}/quickcall/2001`]) {
      for (const method of ['GET', 'PATCH', 'DELETE']) {
        const { status, text } = await raw(url, path, method, token)
        t.true(status === 404 || status === 405, `${method} ${path} → ${status}`)
        t.regex(text, /"status":"error"/)
      }
    }
    t.is((await raw(url, `${at}/recordings/${id}`, 'GET', token)).status, 404)
    t.is((await raw(url, `${at}/devices/${'a'.repeat(32)}/quickcall/${id}`, 'PUT', token)).status, 404)
  }
  t.deepEqual(calls, [])
})
