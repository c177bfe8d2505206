import test, { type ExecutionContext } from 'ava'
import { createValidator } from '../../src/api/validation/validate.ts'
import { anAccount, type Answered, type Asking, asker, world, type World } from '../helpers/api.ts'
import { digest } from '../../src/api/rights/credentials.ts'

const ALICE = { first_name: 'Alice', last_name: 'Caller' }

interface Tenant extends World {
  id: string
  at: string
  user: string
}

async function tenant(t: ExecutionContext): Promise<Tenant> {
  const made = await world(t)
  const id = await anAccount(made, { name: 'acme' })
  const at = `/v2/accounts/${id}`
  const { body } = await made.ask<{ id: string }>('PUT', `${at}/users`, ALICE)
  return { ...made, id, at, user: `${at}/users/${body.data.id}` }
}

/** An envelope as it is. */
const enveloped = (fields: Record<string, unknown>, asking: Asking = {}): Asking => ({ ...asking, raw: JSON.stringify(fields) })

test('`verb` in the query takes the place of the method', async t => {
  const { ask, user, at } = await tenant(t)
  t.like(await ask('POST', `${user}?verb=patch`, { nickname: 'al' }), { status: 200, body: { data: { ...ALICE, nickname: 'al' } } })
  t.like(await ask('POST', `${at}/users?verb=PUT`, ALICE), { status: 201 })
  t.like(await ask('GET', `${user}?verb=delete`), { status: 200, body: { data: { _read_only: { deleted: true } } } })
  t.like(await ask('DELETE', `${at}/users?verb=get`), { status: 200, body: { page_size: 1 } })
  for (const verb of ['brew', '', 'options', '__proto__']) t.is((await ask('GET', `${at}/users?verb=${verb}`)).status, 405, verb)
})

test('`verb` in the envelope of a POST does too, also where the path takes no POST', async t => {
  const { ask, user, at } = await tenant(t)
  const post = (path: string, fields: Record<string, unknown>): Promise<Answered> => ask('POST', path, undefined, enveloped(fields))
  t.like(await post(user, { verb: 'patch', data: { nickname: 'al' } }), { status: 200, body: { data: { ...ALICE, nickname: 'al' } } })
  t.like(await post(user, { Verb: 'GET' }), { status: 200, body: { data: { nickname: 'al' } } })
  t.like(await post(`${at}/users`, { verb: 'PUT', data: ALICE }), { status: 201 })
  t.like(await post(`${at}/users`, { verb: 'get' }), { status: 200, body: { page_size: 2 } })
  t.like(await post(user, { verb: 'delete' }), { status: 200, body: { data: { _read_only: { deleted: true } } } })
  for (const verb of ['post', 'patch', 7, undefined]) {
    const refused = await post(`${at}/users`, { verb, data: ALICE })
    t.is(refused.status, 405, String(verb))
    t.is(refused.headers.get('allow'), 'HEAD, GET, PUT, OPTIONS')
  }
  t.is((await ask('PATCH', user, undefined, enveloped({ verb: 'DELETE', data: {} }))).status, 404)
})

test('a verb that is tunnelled needs the right of that verb', async t => {
  const { ask, url, user, at } = await tenant(t)
  await ask('PATCH', user, { username: 'alice', password: 'p' })
  const login = await asker(url)('PUT', '/v2/user_auth', { credentials: digest('md5', 'alice', 'p'), account_name: 'acme' })
  const asking = { token: login.body.auth_token }
  t.is((await ask('POST', user, undefined, enveloped({ verb: 'GET' }, asking))).status, 200)
  t.is((await ask('POST', user, undefined, enveloped({ verb: 'DELETE' }, asking))).status, 403)
  t.is((await ask('GET', `${user}?verb=DELETE`, undefined, asking)).status, 403)
  t.is((await ask('POST', `${at}/users`, undefined, enveloped({ verb: 'PUT', data: ALICE }, asking))).status, 403)
  for (const path of [user, `${at}/users`]) {
    t.is((await ask('POST', path, undefined, enveloped({ verb: 'GET' }, { token: undefined }))).status, 401)
  }
  t.is((await ask('GET', user)).status, 200)
})

test('a login may be tunnelled, by whoever has no token yet', async t => {
  const { url, master } = await tenant(t)
  const post = (path: string, fields: Record<string, unknown>): Promise<Answered> => asker(url)('POST', path, undefined, enveloped(fields))
  t.is((await post('/v2/api_auth', { verb: 'PUT', data: { api_key: master.apiKey } })).status, 201)
  t.is((await post('/v2/api_auth?verb=put', { data: { api_key: master.apiKey } })).status, 201)
  t.is((await post('/v2/api_auth', { data: { api_key: master.apiKey } })).status, 405)
})

test('what cannot be answered as asked is a 406, by the header, the query and the envelope', async t => {
  const { ask, user } = await tenant(t)
  const get = async (accept: string): Promise<number> => (await ask('GET', user, undefined, { headers: { accept } })).status
  for (const json of ['*/*', 'application/json', 'application/x-json', 'application/*', 'text/html,*/*;q=0.8']) t.is(await get(json), 200, json)
  for (const other of ['text/html', 'audio/mpeg', 'application/json;q=0', 'nonsense']) t.is(await get(other), 406, other)
  t.like(await ask('GET', `${user}?accept=text/csv`), { status: 406, body: { message: 'not_acceptable' } })
  t.is((await ask('GET', `${user}?accept=application/json`, undefined, { headers: { accept: 'text/csv' } })).status, 200)
  t.is((await ask('POST', user, undefined, enveloped({ verb: 'GET', accept: 'image/png' }))).status, 406)
  t.is((await ask('PATCH', `${user}?accept=text/csv`, { nickname: 'al' })).status, 406)
  t.is((await ask('GET', user)).body.data['nickname'], undefined)
})

test('a HEAD is the GET without its body, also where that is known already', async t => {
  const { ask, user, at } = await tenant(t)
  const got = await ask('GET', user)
  const head = await ask('HEAD', user)
  t.is(head.status, 200)
  t.is(head.headers.get('etag'), got.headers.get('etag'))
  t.deepEqual(head.body, { data: '' })
  t.is((await ask('HEAD', user, undefined, { headers: { 'if-none-match': got.headers.get('etag') ?? '' } })).status, 304)
  t.is((await ask('HEAD', `${at}/users/${'0'.repeat(32)}`)).status, 404)
  t.is((await ask('HEAD', `${at}/users`)).status, 200)
})

test('every verb that changes a document refuses another revision than the one it names', async t => {
  const { ask, at, user } = await tenant(t)
  const stale = { headers: { 'if-match': '"1-0123456789abcdef0123456789abcdef"' } }
  const before = (await ask('GET', user)).body.revision
  for (const [method, data] of [['PATCH', { nickname: 'x' }], ['POST', ALICE], ['DELETE']] as const) {
    t.like(await ask(method, user, data, stale), { status: 412, body: { message: 'precondition_failed' } }, method)
    t.like(await ask(method, at, data === undefined ? undefined : { name: 'other' }, stale), { status: 412 }, method)
  }
  t.is((await ask('GET', user)).body.revision, before)
  for (const [method, data] of [['PATCH', { nickname: 'x' }], ['POST', ALICE], ['DELETE']] as const) {
    const tag = (await ask('GET', user)).headers.get('etag') ?? ''
    t.is((await ask(method, user, data, { headers: { 'if-match': tag } })).status, 200, method)
  }
})

test('a browser of another origin asks without a token what it may, and may for a day', async t => {
  const { url, user } = await tenant(t)
  const headers = { origin: 'https://shop.example', 'access-control-request-method': 'PATCH', 'access-control-request-headers': 'x-auth-token' }
  const asked = await fetch(url + user, { method: 'OPTIONS', headers })
  t.is(asked.status, 200)
  t.is(await asked.text(), '')
  t.is(asked.headers.get('access-control-allow-origin'), '*')
  t.is(asked.headers.get('access-control-max-age'), '86400')
  t.regex(asked.headers.get('access-control-allow-methods') ?? '', /\bPATCH\b/)
  for (const name of ['content-type', 'x-auth-token', 'x-kazoo-cluster-id', 'if-match']) {
    t.true(asked.headers.get('access-control-allow-headers')?.split(',').includes(name), name)
  }
  t.is(asked.headers.get('access-control-allow-credentials'), null)
})

test('every answer, refusals too, may be read from another origin with the headers that matter', async t => {
  const { ask, user } = await tenant(t)
  const headers = { origin: 'https://shop.example' }
  for (const answer of [await ask('GET', user, undefined, { headers }), await ask('GET', user, undefined, { headers, token: undefined })]) {
    t.is(answer.headers.get('access-control-allow-origin'), '*')
    const exposed = answer.headers.get('access-control-expose-headers')?.split(',')
    for (const name of ['content-type', 'x-auth-token', 'x-request-id', 'x-kazoo-cluster-id', 'location', 'etag']) t.true(exposed?.includes(name), name)
  }
})

test('OPTIONS tells without a token what a path takes', async t => {
  const { url, user } = await tenant(t)
  const open = asker(url)
  const told = await open('OPTIONS', user)
  t.is(told.status, 200)
  t.is(told.headers.get('allow'), 'HEAD, GET, POST, PATCH, DELETE, OPTIONS')
  t.is((await open('OPTIONS', '/v2/nothing')).status, 404)
  t.is((await open('OPTIONS', '/v1/accounts')).status, 410)
})

test('a method the path does not take is refused before anybody is asked who he is', async t => {
  const { url, user } = await tenant(t)
  for (const method of ['PUT', 'PROPFIND', 'LOCK']) {
    t.like(await asker(url)(method, user, method === 'PUT' ? {} : undefined), { status: 405, body: { message: 'invalid_method', error: '405' } }, method)
  }
})

test('/v2/account is the account of the token', async t => {
  const { ask, url, master } = await tenant(t)
  t.is((await ask<{ id: string }>('GET', '/v2/account')).body.data.id, master.accountId)
  t.deepEqual((await ask('GET', '/v2/account/users')).body.data as unknown, [])
  t.is((await ask('GET', `/v2/account/users/${'0'.repeat(32)}`)).status, 404)
  t.is((await asker(url)('GET', '/v2/account')).status, 401)
})

const schema = (fields: Record<string, unknown>): ReturnType<typeof createValidator> => createValidator(new Map([['probe', { $id: 'probe', ...fields }]]))
const of = (property: Record<string, unknown>): Record<string, unknown> => ({ type: 'object', properties: { x: property } })

/** Keyword of JSON Schema → what breaks it, where it is told, and in which words (kz_json_schema.erl). */
const KEYWORDS: readonly [string, Record<string, unknown>, Record<string, unknown>, string, Record<string, unknown>][] = [
  ['required', { type: 'object', required: ['x'] }, { y: 1 }, 'x', { required: { message: 'Field is required but missing', value: { y: 1 } } }],
  ['type', of({ type: 'object' }), { x: 1 }, 'x', { type: { message: 'Value did not match type(s): object', target: 'object', value: 1 } }],
  [
    'types',
    of({ type: ['boolean', 'object'] }),
    { x: 'no' },
    'x',
    { type: { message: 'Value did not match type(s): boolean,object', target: 'boolean,object', value: 'no' } },
  ],
  ['enum', of({ enum: ['a', 'b'] }), { x: 'c' }, 'x', { enum: { message: 'Value not found in enumerated list of values', target: ['a', 'b'], value: 'c' } }],
  ['const', of({ const: 'a' }), { x: 'c' }, 'x', { enum: { message: 'Value not found in enumerated list of values', target: ['a'], value: 'c' } }],
  ['minimum', of({ type: 'integer', minimum: 5 }), { x: 4 }, 'x', { minimum: { message: 'Value must be at least 5', target: 5, value: 4 } }],
  ['maximum', of({ type: 'integer', maximum: 5 }), { x: 6 }, 'x', { maximum: { message: 'Value must be at most 5', target: 5, value: 6 } }],
  [
    'exclusiveMinimum',
    of({ type: 'number', exclusiveMinimum: 5 }),
    { x: 5 },
    'x',
    { minimum: { message: 'Value must be greater than 5', target: 5, value: 5 } },
  ],
  ['exclusiveMaximum', of({ type: 'number', exclusiveMaximum: 5 }), { x: 5 }, 'x', { maximum: { message: 'Value must be less than 5', target: 5, value: 5 } }],
  [
    'minLength',
    of({ type: 'string', minLength: 2 }),
    { x: 'a' },
    'x',
    { minLength: { message: 'String must be at least 2 characters', target: 2, cause: 'a', value: 'a' } },
  ],
  [
    'maxLength',
    of({ type: 'string', maxLength: 2 }),
    { x: 'abc' },
    'x',
    { maxLength: { message: 'String must not be more than 2 characters', target: 2, cause: 'abc', value: 'abc' } },
  ],
  ['minItems', of({ type: 'array', minItems: 2 }), { x: [1] }, 'x', { minItems: { message: 'The list must have at least 2 items', target: 2, value: [1] } }],
  ['maxItems', of({ type: 'array', maxItems: 1 }), { x: [1, 2] }, 'x', { maxItems: { message: 'The list is more than 1 items', target: 1, value: [1, 2] } }],
  [
    'minProperties',
    of({ type: 'object', minProperties: 1 }),
    { x: {} },
    'x',
    { minProperties: { message: 'The object must have at least 1 keys', target: 1, value: {} } },
  ],
  [
    'maxProperties',
    of({ type: 'object', maxProperties: 1 }),
    { x: { a: 1, b: 2 } },
    'x',
    { maxProperties: { message: 'The object must have at most 1 keys', target: 1, value: { a: 1, b: 2 } } },
  ],
  ['uniqueItems', of({ type: 'array', uniqueItems: true }), { x: [1, 1] }, 'x', { uniqueItems: { message: 'List of items is not unique', value: [1, 1] } }],
  [
    'additionalProperties',
    { type: 'object', additionalProperties: false, properties: {} },
    { x: 1 },
    'x',
    { additionalProperties: { message: 'Strict checking of data is enabled; only include schema-defined properties', value: 1 } },
  ],
  [
    'unevaluatedProperties',
    { type: 'object', unevaluatedProperties: false },
    { x: 1 },
    'x',
    { additionalProperties: { message: 'Strict checking of data is enabled; only include schema-defined properties', value: 1 } },
  ],
  [
    'items (no more)',
    of({ type: 'array', prefixItems: [{}], minItems: 1, items: false }),
    { x: [1, 2] },
    'x',
    { additionalItems: { message: 'Strict checking of data is enabled; only include schema-defined items', value: [1, 2] } },
  ],
  ['items', of({ type: 'array', items: { type: 'string' } }), { x: ['a', {}] }, 'x.1', { type: { target: 'string', value: {} } }],
  ['patternProperties', of({ type: 'object', patternProperties: { '^a': { type: 'string' } } }), { x: { 'a.b': 1 } }, 'x.a%2Eb', { type: { value: 1 } }],
  ['pattern', of({ type: 'string', pattern: '^a$' }), { x: 'b' }, 'x', { pattern: { message: "Failed to match pattern '^a$'", target: '^a$', value: 'b' } }],
  [
    'format',
    of({ type: 'string', format: 'email' }),
    { x: 'b' },
    'x',
    { wrong_format: { message: 'Field is not in the correct format', format: 'email', value: 'b' } },
  ],
  ['multipleOf', of({ type: 'integer', multipleOf: 3 }), { x: 4 }, 'x', { divisibleBy: { message: 'Value is not divisible by 3', target: 3, value: 4 } }],
  [
    'dependentRequired',
    { type: 'object', dependentRequired: { y: ['x'] } },
    { y: 1 },
    'x',
    { dependencies: { message: 'Field is required by another one', value: { y: 1 } } },
  ],
  ['not', of({ not: { type: 'string' } }), { x: 'b' }, 'x', { disallow: { message: 'Value is disallowed', value: 'b' } }],
  [
    'oneOf',
    of({ oneOf: [{ type: 'string' }, { type: 'string', minLength: 1 }] }),
    { x: 'b' },
    'x',
    { not_one_schema_valid: { message: 'Value does not match exactly one of the schemas', value: 'b' } },
  ],
  ['anyOf', of({ anyOf: [{ enum: ['a'] }] }), { x: 'b' }, 'x', { not_one_schema_valid: { message: 'Value does not match any of the schemas', value: 'b' } }],
  [
    'if',
    of(JSON.parse('{"if":{"type":"string"},"then":{"type":"string","pattern":"^a"}}') as Record<string, unknown>),
    { x: 'b' },
    'x',
    { pattern: { value: 'b' } },
  ],
  [
    'propertyNames',
    of({ type: 'object', propertyNames: { pattern: '^a' } }),
    { x: { b: 1 } },
    'x.b',
    { additionalProperties: { message: 'Strict checking of data is enabled; only include schema-defined properties', value: 1 } },
  ],
  ['contains', of({ type: 'array', contains: { const: 1 } }), { x: [2] }, 'x', { minItems: { value: [2] } }],
  ['x-http-url', of({ type: 'string', 'x-http-url': true }), { x: 'ftp://a' }, 'x', { error: { message: 'invalid client URL', value: 'ftp://a' } }],
]

for (const [keyword, rules, data, path, problem] of KEYWORDS) {
  test(`what breaks \`${keyword}\` is told at its path in Crossbar’s words`, t => {
    const { problems } = schema(rules).check('probe', data)
    t.like(problems[path], problem)
  })
}

test('a scalar that is spelled as a string counts, at any depth, and what it spells is checked', t => {
  const rules = {
    type: 'object',
    properties: {
      on: { type: 'boolean' },
      deep: { type: 'object', properties: { n: { type: 'integer', minimum: 5 }, list: { type: 'array', items: { type: 'number' } } } },
      text: { type: 'string' },
    },
  }
  const check = (fields: Record<string, unknown>) => schema(rules).check('probe', fields)
  t.deepEqual(check({ on: 'true', deep: { n: '60', list: ['1.5', '-2'] }, text: '60' }), {
    fields: { on: true, deep: { n: 60, list: [1.5, -2] }, text: '60' },
    problems: {},
  })
  t.like(check({ deep: { n: '4' } }).problems['deep.n'], { minimum: { value: 4 } })
  for (const wrong of [{ on: '1' }, { on: 'TRUE' }, { deep: { n: '1.5' } }, { deep: { n: '' } }, { deep: { n: '0x1' } }, { deep: { n: ' 6' } }, { text: 60 }]) {
    t.is(Object.keys(check(wrong).problems).length, 1, JSON.stringify(wrong))
  }
})

test('a script of another origin gets the envelope as a call of its function, and of nothing else', async t => {
  const { ask, url } = await world(t)
  const answer = await ask<unknown>('GET', '/v2/schemas?jsonp=jQuery17_4')
  t.is(answer.headers.get('content-type'), 'text/javascript; charset=utf-8')
  t.is(answer.headers.get('cross-origin-resource-policy'), 'cross-origin')
  const [, envelope = ''] = /^\/\*\*\/jQuery17_4\((.*)\);$/s.exec(String(answer.body.data)) ?? []
  t.is((JSON.parse(envelope) as { status: string }).status, 'success')
  for (const name of ['alert(1)//', 'a;b', '<script>', 'opener.document.body.click', '', 'x'.repeat(129)]) {
    const refused = await ask('GET', `/v2/schemas?jsonp=${encodeURIComponent(name)}`)
    t.like(refused, { status: 400, body: { message: 'validation error' } }, name)
    t.truthy(refused.body.data['jsonp'], name)
  }
  t.is((await ask('PUT', '/v2/schemas/users/validation?jsonp=f', { first_name: 'A', last_name: 'B' })).body.status, 'success')
  const pretty = await (await fetch(`${url}/v2/schemas?pretty_print=true`)).text()
  t.true(pretty.startsWith('{\n  "data": ['))
  t.true((await (await fetch(`${url}/v2/nothing`, { headers: { 'x-pretty-print': 'true' } })).text()).startsWith('{\n  "data": {'))
})

test('the envelope tells what a request cost and what its token has left', async t => {
  const { ask, master } = await world(t, { config: { requestsPer10s: 10 } })
  const first = await ask('GET', '/v2/about')
  t.deepEqual(first.body['tokens'], { consumed: 1, remaining: 9 })
  t.like((await ask('GET', `/v2/accounts/${master.accountId}/users/${'0'.repeat(32)}`)).body['tokens'], { consumed: 1, remaining: 8 })
  t.is((await ask('GET', '/v2/schemas')).body['tokens'], undefined)
})

test('a client that can set neither header nor query says who it is in the envelope, a page in a form', async t => {
  const { ask, url, token, master } = await world(t)
  const users = `/v2/accounts/${master.accountId}/users`
  const nobody = { token: undefined }
  const data = { first_name: 'A', last_name: 'B' }
  const made = await ask<{ id: string }>('PUT', users, undefined, { ...nobody, raw: JSON.stringify({ auth_token: token, data }) })
  t.is(made.status, 201)
  const one = `${users}/${made.body.data.id}`
  t.is((await ask('PATCH', one, undefined, { ...nobody, raw: JSON.stringify({ auth_token: 'x'.repeat(43), data: {} }) })).status, 401)
  t.is((await ask('PATCH', one, undefined, { ...nobody, raw: '{' })).status, 401)
  t.is((await ask('POST', one, undefined, { ...nobody, raw: JSON.stringify({ auth_token: token, verb: 'PATCH', data: { last_name: 'C' } }) })).status, 200)
  const form = (fields: Record<string, string>): Promise<Response> => fetch(url + one, { method: 'POST', body: new URLSearchParams(fields) })
  t.is((await form({ auth_token: token, verb: 'patch', data: '{"first_name":"D"}' })).status, 200)
  t.like((await ask('GET', one)).body.data, { first_name: 'D', last_name: 'C' })
  // What cannot be read says nothing, not even who asks.
  t.is((await form({ auth_token: token, verb: 'patch', data: 'D' })).status, 401)
  t.is((await form({ verb: 'delete' })).status, 401)
  t.is((await form({ auth_token: token, verb: 'delete' })).status, 200)
})
