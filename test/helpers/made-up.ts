// Made-up requests: bodies that a schema nearly allows, ids that nearly are some, and whatever else a
// stranger could send.

import fc, { type Arbitrary } from 'fast-check'
import { describedAs } from '../../src/api/http/described.ts'
import { type Fields, isObject } from '../../src/api/validation/fields.ts'
import { isForApplications, type Route } from '../../src/api/http/route.ts'
import type { Schemas } from '../../src/api/validation/schemas.ts'
import { MODULES } from './api.ts'
import { type Column, COLUMNS } from './place.ts'

export interface MadeUp {
  route: Route
  method: string
  path: string
  column: Column
  query: string
  headers: Record<string, string>
  body: string | undefined
}

const WORDS = [
  '',
  '0',
  '-1',
  '1',
  'true',
  'null',
  '../..',
  '..%2f',
  '__proto__',
  'constructor',
  'pvt_type',
  '_id',
  "'",
  '"',
  '<b>',
  '\u0000',
  '\ud800',
  '☎',
  '%',
  '${x}',
  '[',
  '*',
]
const word = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...WORDS) }, { weight: 1, arbitrary: fc.string({ maxLength: 20, unit: 'binary' }) })

const PRIVATE = [
  '_id',
  '_rev',
  '_attachments',
  '_deleted',
  'pvt_type',
  'pvt_tree',
  'pvt_api_key',
  'pvt_deleted',
  'pvt_account_id',
  'pvt_credentials',
  'id',
  '__proto__',
  'constructor',
  'hasOwnProperty',
  'toString',
  '_read_only',
]
const junk: Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, -1, 1e308, 2 ** 53, '', [], {}, [null], [[]], { a: null }),
  word,
  fc.jsonValue({ maxDepth: 3 }),
)

const URLS = [
  'https://a.example/',
  's3://a-bucket/x',
  'http://u:hidden-part@a.example/?x=1',
  'http://127.1/',
  'http://[::1]/',
  'ftp://a.example',
  'https://',
  'javascript:1',
]

/** Where a schema allows more than is ever right: some that is. */
const RIGHT: Readonly<Record<string, readonly unknown[]>> = {
  ncco: [
    { action: 'record', endOnKey: '#', timeOut: '5' },
    { action: 'record', eventUrl: ['http://u:hidden-part@a.example/?x=1'] },
    { action: 'wait', timeout: 1e9 },
    { action: 'connect', endpoint: [{ type: 'phone', number: '49301111111' }] },
    { action: 'notify', payload: { a: [null, {}] }, eventUrl: 'https://a.example/' },
  ],
  'calls.endpoint': [{ type: 'phone', number: '+49301111111' }],
}

/** Of a schema: mostly what it allows. */
function fromSchema(schemas: Schemas, schema: unknown, ids: Arbitrary<string>, depth: number): Arbitrary<unknown> {
  if (!isObject(schema)) return junk
  const { $ref: ref } = schema
  if (typeof ref === 'string') {
    const named = depth > 6 ? fc.constant({}) : fc.constant(ref).chain(name => fromSchema(schemas, schemas.get(name), ids, depth + 1))
    return RIGHT[ref] === undefined ? named : fc.oneof(fc.constantFrom(...RIGHT[ref]), named)
  }
  const rest = (part: unknown): Arbitrary<unknown> => fromSchema(schemas, part, ids, depth + 1)
  const sound = ((): Arbitrary<unknown> => {
    if (Array.isArray(schema['enum'])) return fc.constantFrom(...(schema['enum'] as unknown[]))
    switch ([schema['type']].flat().at(-1)) {
      case 'object':
        return objectOf(schema, rest)
      case 'array':
        return fc.array(rest(schema['items']), { maxLength: 3 })
      case 'boolean':
        return fc.constantFrom(true, false, 'true')
      case 'integer':
      case 'number':
        return fc.integer({ min: Number(schema['minimum'] ?? -5), max: Number(schema['maximum'] ?? 100_000) })
      default:
        return text(schema, ids)
    }
  })()
  return fc.oneof({ weight: 50, arbitrary: sound }, { weight: 1, arbitrary: junk })
}

function text(schema: Fields, ids: Arbitrary<string>): Arbitrary<unknown> {
  if (schema['x-http-url'] !== undefined) return fc.constantFrom(...URLS)
  const [min, max] = [Number(schema['minLength'] ?? 0), Number(schema['maxLength'] ?? 40)]
  if (min === 32 && max === 32) return ids
  if (typeof schema['pattern'] === 'string' && !schema['pattern'].includes('(?')) return fc.stringMatching(new RegExp(schema['pattern']), { size: 'small' })
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...MODULES) },
    { weight: 12, arbitrary: fc.string({ minLength: Math.min(min, 50), maxLength: Math.min(max, 50) }) },
    { weight: 1, arbitrary: word },
  )
}

function objectOf(schema: Fields, rest: (part: unknown) => Arbitrary<unknown>): Arbitrary<unknown> {
  const properties = isObject(schema['properties']) ? schema['properties'] : {}
  const required = new Set(Array.isArray(schema['required']) ? schema['required'].map(String) : [])
  // Hashing passwords would take most of the time.
  const rare = (name: string): number => (name === 'password' ? 200 : 3)
  const fields = Object.entries(properties).map(([name, part]) => {
    const value = rest(part)
    const some = fc.oneof({ weight: rare(name), arbitrary: fc.constant([]) }, { weight: 1, arbitrary: value.map(one => [[name, one]]) })
    return required.has(name) ? fc.oneof({ weight: 20, arbitrary: value.map(one => [[name, one]]) }, { weight: 1, arbitrary: fc.constant([]) }) : some
  })
  const others = isObject(schema['additionalProperties']) ? fc.array(fc.tuple(word, rest(schema['additionalProperties'])), { maxLength: 2 }) : fc.constant([])
  const strange = fc.oneof(
    { weight: 20, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(fc.tuple(fc.oneof(fc.constantFrom(...PRIVATE), word), junk), { maxLength: 2 }) },
  )
  return fc.tuple(fc.tuple(...fields), others, strange).map(([own, more, odd]) => entriesToObject([...own.flat(), ...more, ...odd] as [string, unknown][]))
}

/** With `__proto__` as a key like any other. */
const entriesToObject = (entries: readonly (readonly [string, unknown])[]): unknown => {
  const object: unknown = JSON.parse(`{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value) ?? 'null'}`).join(',')}}`)
  return object
}

const made = (key: string): string => Buffer.from(key).toString('base64url')

const QUERY: Readonly<Record<string, readonly string[]>> = {
  page_size: ['1', '2', '0', '-1', '1e9', 'x', '999999999'],
  paginate: ['false', 'true', ''],
  start_key: [
    'WzEsMl0',
    'W1siYSJdLCJiIl0',
    'bnVsbA',
    'e30',
    'W10',
    'W251bGwsIiJd',
    '%%%',
    'WzYzOTQ2MTA4ODAwLCJhIl0',
    made(`[${'['.repeat(900)}${']'.repeat(900)},"x"]`),
    made('["\\ud800","x"]'),
  ],
  ascending: ['true', 'false', 'x'],
  descending: ['true', 'false'],
  created_from: ['0', '63946108800', '99999999999999', '-1', 'x', ''],
  created_to: ['0', '63999999999', '315500000000', 'x'],
  modified_from: ['0', 'x'],
  accept: ['audio/*', 'audio/mpeg', 'application/json', 'text/csv', 'csv', '*/*;q=x', ',,,;;'],
  jsonp: ['show', 'alert(1)', '__proto__', ''],
  pretty_print: ['true'],
  file_name: ['a.csv', '../../x', 'a"\r\nb', ''],
  inline: ['true', 'false'],
  validate_settings: ['false', 'true'],
  day: ['2026-05-16', '', 'x', '2026-13-01'],
  list: ['missing', 'expected', 'x'],
  verb: ['GET', 'DELETE', 'patch', 'HEAD', 'TRACE', 'constructor', ''],
  auth_token: ['x', '', 'A'.repeat(43)],
  from: ['2001', 'x', '', '+49301111111'],
  to: ['2001', '2002', ''],
  has_key: ['name', 'sip.password', '__proto__', 'a..b', ''],
  key_missing: ['pvt_type', 'toString.length'],
  has_value: ['constructor', 'name'],
  filter_name: ['["a"', '["a"]', 'x'],
  'filter_sip.username': ['alice'],
  filter_not_pvt_type: ['user'],
  filter_: [''],
}

const HEADERS: Readonly<Record<string, readonly string[]>> = {
  'if-match': ['*', '"1-x"', '', 'W/"2-y", "3-z"', '"'],
  'if-none-match': ['*', '"1-x"', ','],
  'if-range': ['"x"', 'Wed, 21 Oct 2015 07:28:00 GMT'],
  range: ['bytes=0-1', 'bytes=9-', 'bytes=-1', 'bytes=0-0,2-3', 'bytes=99999999999999999999-', 'lines=1-2', 'bytes=--'],
  accept: ['audio/x-wav', 'application/json', 'text/html', '*/*', 'audio/*;q=2', ';', 'a/b/c'],
  'x-request-id': ['mine', '<x>', ' '],
  'content-type': ['application/json', 'text/plain', 'multipart/form-data', 'application/json; charset=latin1', ';;', 'application/x-www-form-urlencoded'],
  'x-file-name': ['b.csv', '/'],
  authorization: ['Bearer x', 'Basic eDp5', 'Bearer'],
  origin: ['https://evil.example', 'null'],
  'access-control-request-method': ['DELETE'],
  'x-http-method-override': ['DELETE'],
  'accept-encoding': ['gzip', ''],
  'x-forwarded-for': ['127.0.0.1'],
}

const jwt = (head: unknown, claims: unknown, signature = 'x'): string => `Bearer ${made(JSON.stringify(head))}.${made(JSON.stringify(claims))}.${signature}`

/** In place of an application's token. */
const FORGED = [
  'Bearer',
  'Bearer .',
  'Bearer a.b.c',
  `Bearer ${'A'.repeat(8000)}`,
  'Basic eDp5',
  `bearer   ${'.'.repeat(100)}`,
  ...[null, [], 7, 'x', {}, { application_id: null }, { application_id: ['__proto__'] }, { application_id: `${'0'.repeat(32)}-${'0'.repeat(32)}` }].flatMap(
    claims => [jwt({ alg: 'none' }, claims, ''), jwt({ alg: 'RS256' }, claims), jwt({ alg: 'HS256', crit: ['b64'], b64: false }, claims)],
  ),
  jwt(null, null),
  `Bearer ${made('['.repeat(2000))}.${made('['.repeat(2000))}.x`,
]

const some = (table: Readonly<Record<string, readonly string[]>>, most: number): Arbitrary<[string, string][]> =>
  fc.array(
    fc.constantFrom(...Object.entries(table)).chain(([name, values]) => fc.constantFrom(...values).map((value): [string, string] => [name, value])),
    { maxLength: most },
  )

const METHODS = ['GET', 'PUT', 'POST', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']

/** Requests of every route; `ids` are what its params may truly be. */
export function madeUp(routes: readonly Route[], schemas: Schemas, ids: Readonly<Record<string, string>>): Arbitrary<MadeUp> {
  const anId = fc.constantFrom(...Object.values(ids), '0'.repeat(32))
  const param = (name: string): Arbitrary<string> =>
    fc.oneof(
      { weight: 40, arbitrary: fc.constant(ids[name] ?? '') },
      { weight: 1, arbitrary: anId },
      { weight: 1, arbitrary: word.map(text => (text === '..%2f' ? text : encodeURIComponent(Buffer.from(text).toString()))) },
    )
  const pathOf = (path: string): Arbitrary<string> =>
    fc.tuple(...path.split('/').map(step => (step.startsWith(':') ? param(step.slice(1)) : fc.constant(step)))).map(steps => steps.join('/'))
  const bodies = new Map(routes.map(route => [route, bodyOf(route, schemas, anId)]))
  return fc.constantFrom(...routes).chain(route =>
    fc.record({
      route: fc.constant(route),
      method: fc.oneof({ weight: 12, arbitrary: fc.constant(route.method) }, { weight: 1, arbitrary: fc.constantFrom(...METHODS) }),
      path: pathOf(route.path),
      column: fc.oneof(
        { weight: 1, arbitrary: fc.constantFrom(...COLUMNS) },
        { weight: 2, arbitrary: fc.constantFrom('admin' as const, 'parent' as const, 'owner' as const) },
      ),
      query: some(QUERY, 2).map(pairs => new URLSearchParams(pairs).toString()),
      headers: some(isForApplications(route) ? { ...HEADERS, authorization: FORGED } : HEADERS, 2).map(pairs => Object.fromEntries(pairs)),
      body: route.method === 'GET' || route.method === 'DELETE' ? fc.constant(undefined) : (bodies.get(route) ?? fc.constant('{}')),
    }),
  )
}

function bodyOf(route: Route, schemas: Schemas, ids: Arbitrary<string>): Arbitrary<string | undefined> {
  const about = describedAs(route)
  const name = about?.takes ?? about?.gives
  const whole = name === undefined ? junk : fromSchema(schemas, schemas.get(name), ids, 0)
  // A PATCH needs no more than one field.
  const data = route.method === 'PATCH' ? whole.map(value => (isObject(value) ? Object.fromEntries(Object.entries(value).slice(-2)) : value)) : whole
  const envelope = (value: unknown, more: object): string =>
    isForApplications(route) ? JSON.stringify(isObject(value) ? { ...value, ...more } : value) : JSON.stringify({ data: value, ...more })
  const beside = fc.constantFrom(
    {},
    {},
    {},
    {},
    {},
    {},
    { verb: 'DELETE' },
    { verb: 7 },
    { accept: 'audio/*' },
    { DATA: {} },
    { auth_token: 'x' },
    { data: null },
  )
  const broken = fc.constantFrom(
    '',
    '{',
    'null',
    '[]',
    '{"data":',
    '\u0000',
    '{"data":{}}x',
    `{"data":${'['.repeat(300)}`,
    `{"data":{"a":${'{"a":'.repeat(250)}1${'}'.repeat(251)}}`,
  )
  return fc.oneof(
    { weight: 12, arbitrary: fc.tuple(data, beside).map(([value, more]) => envelope(value, more)) },
    { weight: 1, arbitrary: broken },
    { weight: 1, arbitrary: fc.constant(undefined) },
  )
}
