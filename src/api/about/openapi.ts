// The API as an OpenAPI 3.1 document, made of the routes, what described.ts says of them, and the schemas.
// Nothing is written twice: a schema here is the one that bodies are checked against.

import { Readable } from 'node:stream'
import { ERRORS } from '../../errors.ts'
import { CSV } from '../http/csv.ts'
import { type Described, describedAs, isList, templateOf } from '../http/described.ts'
import { type Fields, isObject } from '../validation/fields.ts'
import { CREATED, FILTERS } from '../documents/filter.ts'
import { LARGEST_PAGE, MOST_ROWS } from '../documents/page.ts'
import { isParam, type Param } from '../validation/params.ts'
import { isForApplications, type Route } from '../http/route.ts'
import type { Schemas } from '../validation/schemas.ts'
import type { Room } from '../http/room.ts'

export function openApiRoutes({ schemas, config }: Pick<Room, 'schemas' | 'config'>, routes: () => readonly Route[]): Route[] {
  let text: Buffer | undefined
  const told = (): Buffer => Buffer.from(JSON.stringify(openApi(routes(), schemas, config)))
  return [
    {
      method: 'GET',
      path: '/v2/openapi.json',
      access: 'anyone',
      run: async () => {
        text ??= told()
        return { file: { body: Readable.from([text]), length: text.length, type: 'application/json', name: 'openapi.json', inline: true } }
      },
    },
  ]
}

export function openApi(routes: readonly Route[], schemas: Schemas, { version, publicUrl }: { version: string; publicUrl: string }): Fields {
  const paths: Record<string, Fields> = {}
  for (const route of routes) {
    const path = templateOf(route)
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: {
      title: 'callrec',
      version,
      license: { name: 'MIT', identifier: 'MIT' },
      description: [
        'Crossbar-style API. Every path below `/v2/accounts/{account}` is there below `/v2/account` too, for the account of the token.',
        'A client that cannot send every method names it as `verb` in the query or in the envelope of a POST, and a type as `accept`.',
        'What does not begin with `/v2` is the Voice API’s, for applications: without envelopes, but for refusals.',
      ].join(' '),
    },
    servers: [{ url: publicUrl }],
    paths,
    components: {
      schemas: { ...Object.fromEntries([...schemas].map(([name, schema]) => [name, inComponents(schema)])), ...ENVELOPES },
      parameters: PARAMETERS,
      responses: { refusal: { description: 'A refusal; `message` is its code', content: json({ $ref: '#/components/schemas/refusal' }) } },
      securitySchemes: {
        token: { type: 'apiKey', in: 'header', name: 'X-Auth-Token' },
        bearer: { type: 'http', scheme: 'bearer' },
        query: { type: 'apiKey', in: 'query', name: 'auth_token' },
        application: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'RS256, signed with the private key of a voice application; claims `application_id`, `iat`, `jti`, and no `acl`',
        },
      },
    },
  }
}

const json = (schema: Fields): Fields => ({ 'application/json': { schema } })
const schemaOf = (name: string): Fields => ({ $ref: `#/components/schemas/${name}` })
const parameter = (name: string): Fields => ({ $ref: `#/components/parameters/${name}` })

function operation(route: Route): Fields {
  const about = describedAs(route)
  const { method, path, access, body, produces = [] } = route
  const enveloped = !isForApplications(route)
  const params = [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => name)
  const changes = method !== 'GET' && about.status !== 201 && about.revision === true
  return {
    summary: about.summary,
    operationId: `${method.toLowerCase()}_${path.replace(/^\/(v2\/)?/, '').replaceAll(/[^A-Za-z0-9]+/g, '_')}`,
    tags: [/^\/v\d\/(?:accounts\/:\w+\/)?(\w+)/.exec(path)?.[1] ?? ''],
    security: enveloped ? (access === 'anyone' ? [] : [{ token: [] }, { bearer: [] }, { query: [] }]) : [{ application: [] }],
    parameters: [
      ...params.map(name => ({ name, in: 'path', required: true, schema: { type: 'string' }, description: isParam(name) ? PATH_PARAMS[name] : name })),
      ...(about.lists === undefined || about.gives === 'plain' ? [] : LISTS[about.lists].map(parameter)),
      ...(method === 'GET' && about.revision === true ? [parameter('if-none-match')] : []),
      ...(changes ? [parameter('if-match')] : []),
      ...(produces.length === 0 ? [] : ['inline', 'range'].map(parameter)),
      ...(enveloped && (produces.length > 0 || isList(route)) ? [parameter('accept')] : []),
      ...(enveloped && method === 'GET' && about.gives !== 'plain' ? [parameter('jsonp')] : []),
    ],
    ...(method === 'GET' || method === 'DELETE' ? {} : { requestBody: requestBody(about, enveloped, body === 'optional') }),
    responses: {
      [about.status ?? 200]: enveloped
        ? answer(about, [...produces, ...(isList(route) ? [CSV] : []), ...(route.streams === undefined ? [] : [route.streams])])
        : bareAnswer(about, produces),
      ...(produces.length === 0 ? {} : { 206: { description: 'The part a Range asks for', content: bytes(produces) } }),
      ...(method === 'GET' && about.revision === true ? { 304: { description: 'The client has it already' } } : {}),
      ...Object.fromEntries(Object.entries(about.refusals ?? {}).map(([status, description]) => [status, { description, content: json(schemaOf('refusal')) }])),
      default: { $ref: '#/components/responses/refusal' },
    },
  }
}

const bytes = (types: readonly string[]): Fields => Object.fromEntries(types.map(type => [type, {}]))

function requestBody({ takes }: Described, enveloped: boolean, optional: boolean): Fields {
  const data = takes === undefined ? { type: 'object' } : schemaOf(takes)
  return { required: !optional, content: json(enveloped ? { type: 'object', required: ['data'], properties: { data } } : data) }
}

const bareAnswer = ({ summary, gives }: Described, produces: readonly string[]): Fields => ({
  description: summary,
  ...(gives === undefined && produces.length === 0 ? {} : { content: { ...(gives === undefined ? {} : json(schemaOf(gives))), ...bytes(produces) } }),
})

function answer({ summary, gives, lists, revision }: Described, produces: readonly string[]): Fields {
  if (gives === 'plain') return { description: summary, content: json({ type: 'object' }) }
  const one = gives === undefined ? {} : schemaOf(gives)
  const data = lists === undefined ? one : gives === 'phone_numbers' ? { type: 'object' } : { type: 'array', items: one }
  const envelope = schemaOf(lists === 'view' || lists === 'months' ? 'list' : 'success')
  return {
    description: summary,
    ...(revision === true ? { headers: { ETag: { description: 'The revision', schema: { type: 'string' } } } } : {}),
    content: { ...json({ allOf: [envelope, { type: 'object', properties: { data } }] }), ...bytes(produces) },
  }
}

/** Schemas name each other by `$id`; here they stand side by side. */
function inComponents(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(inComponents)
  if (!isObject(schema)) return schema
  const entries = Object.entries(schema).filter(([key, value]) => !((key === '$id' || key === '$schema') && typeof value === 'string'))
  return Object.fromEntries(
    entries.map(([key, value]) => [key, key === '$ref' && typeof value === 'string' ? `#/components/schemas/${value}` : inComponents(value)]),
  )
}

const FRAME = {
  auth_token: { type: 'string' },
  node: { type: 'string' },
  request_id: { type: 'string' },
  timestamp: { type: 'string', format: 'date-time' },
  tokens: {
    type: 'object',
    properties: { consumed: { type: 'integer' }, remaining: { type: 'integer' } },
    description: 'What the request cost, and what its token has left for now',
  },
  version: { type: 'string' },
}

const ENVELOPES: Readonly<Record<string, Fields>> = {
  success: {
    type: 'object',
    required: ['data', 'status'],
    properties: { ...FRAME, data: {}, revision: { type: 'string' }, status: { const: 'success' } },
  },
  list: {
    allOf: [schemaOf('success')],
    type: 'object',
    properties: {
      page_size: { type: 'integer', description: 'Rows in this page' },
      start_key: { type: 'string' },
      next_start_key: { type: 'string', description: '`start_key` of the next page; absent on the last one' },
    },
  },
  refusal: {
    type: 'object',
    required: ['data', 'error', 'message', 'status'],
    properties: {
      ...FRAME,
      data: { description: 'What is wrong: `message` and more, or of a body each path with its problems' },
      error: { type: 'string', description: 'The HTTP status' },
      message: { enum: Object.keys(ERRORS), description: 'The code' },
      status: { const: 'error' },
    },
  },
}

const PATH_PARAMS: Readonly<Record<Param, string>> = {
  account: 'Id of an account',
  user: 'Id of a user',
  device: 'Id of a device',
  callflow: 'Id of a callflow',
  temporal_rule: 'Id of a temporal rule',
  menu: 'Id of a menu',
  resource: 'Id of a resource',
  webhook: 'Id of a webhook',
  application: 'Id of a voice application',
  group: 'Id of a group',
  cdr: 'Id of a detail record, YYYYMM- and the call',
  recording: 'Id of a recording, `YYYYMM-` and 32 hex digits',
  channel: 'Uuid of a leg',
  call: 'Uuid of a call',
  file: 'Uuid of a file, from the `recording_url` that its application was told',
  number: 'A telephone number',
  schema: 'Name of a schema, such as `callflows.record_call`',
}

const inQuery = (name: string, description: string, type = 'string'): Fields => ({ name, in: 'query', description, schema: { type } })
const inHeader = (name: string, description: string): Fields => ({ name, in: 'header', description, schema: { type: 'string' } })

const fixed = Object.entries({ ...FILTERS, ...CREATED }).filter(([name]) => !name.endsWith('_'))

/** Of lists, beside their filters. */
export const PAGING: Readonly<Record<string, string>> = {
  page_size: `Rows of a page: 50, ${LARGEST_PAGE} at most`,
  paginate: `\`false\`: everything at once, up to ${MOST_ROWS} rows`,
  start_key: '`next_start_key` of the page before',
  ascending: '`true`: lowest or oldest first',
  descending: '`true`: highest or newest first',
}

/** Of lists of recordings, where they bound the months that are looked at. */
export const RANGE: Readonly<Record<string, string>> = {
  created_from: 'Gregorian seconds (unix + 62167219200); 31 days and an hour before `created_to` at most, and usually',
  created_to: 'Gregorian seconds; now where it is not given',
}

const PARAMETERS: Readonly<Record<string, Fields>> = {
  ...Object.fromEntries(Object.entries(PAGING).map(([name, text]) => [name, inQuery(name, text, name === 'page_size' ? 'integer' : 'string')])),
  ...Object.fromEntries(fixed.map(([name, text]) => [name, inQuery(name, text)])),
  // An exploded object stands for parameters whose names are not fixed.
  filters: {
    name: 'filters',
    in: 'query',
    style: 'form',
    explode: true,
    schema: { type: 'object', additionalProperties: { type: 'string' } },
    description: Object.entries(FILTERS)
      .flatMap(([name, text]) => (name.endsWith('_') ? [`\`${name}{path}\`: ${text}`] : []))
      .join('. '),
  },
  ...Object.fromEntries(Object.entries(RANGE).map(([name, text]) => [`range.${name}`, inQuery(name, text, 'integer')])),
  'if-match': inHeader('If-Match', 'The revision that is changed; another one is refused'),
  'if-none-match': inHeader('If-None-Match', 'The revision the client has'),
  range: inHeader('Range', 'Bytes of the sound'),
  accept: inQuery('accept', 'In place of the header Accept'),
  jsonp: inQuery('jsonp', 'Name of a function; the answer is a script that calls it with the envelope'),
  inline: inQuery('inline', '`true`: to be played, not to be kept as a file'),
}

const FILTERING = ['filters', ...fixed.map(([name]) => name)]

const LISTS: Readonly<Record<NonNullable<Described['lists']>, readonly string[]>> = {
  view: [...Object.keys(PAGING), ...FILTERING],
  months: [...Object.keys(PAGING), ...FILTERING.filter(name => !(name in CREATED)), ...Object.keys(RANGE).map(name => `range.${name}`)],
  all: [],
}
