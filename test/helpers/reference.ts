// `make docs`: the tables of couchdb/reference.md, made of the routes and the schemas. A test compares.

import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { createApi } from '../../src/api/app.ts'
import { isObject, type Fields } from '../../src/api/validation/fields.ts'
import { CREATED, FILTERS } from '../../src/api/documents/filter.ts'
import { describedAs, templateOf } from '../../src/api/http/described.ts'
import { PAGING, RANGE } from '../../src/api/about/openapi.ts'
import type { Route } from '../../src/api/http/route.ts'
import { loadSchemas } from '../../src/api/validation/schemas.ts'
import { type Input, isEnd, STATES, TABLE } from '../../src/recording/lifecycle.ts'
import type { ApiPorts } from '../../src/api/http/ports.ts'

const CONFIG = { version: '', publicUrl: '', maxTimeLimit: 10_800, xmlCurl: { secret: '', networks: [] } }

/** Routes are made without a look at what they will work with. */
export const routes = (): readonly Route[] =>
  createApi({ config: CONFIG, modules: [], random: (bytes: number) => randomBytes(bytes), events: { on: () => () => {} } } as unknown as ApiPorts).routes

export const reference = (): string => `# Reference

Written by \`make docs\`, from the routes and from \`couchdb/schemas\`; the same, for programs, is served at \`/v2/openapi.json\`.

## Routes

${table(
  ['method', 'path', 'right', 'what it does'],
  routes().map(route => [`\`${route.method}\``, `\`${templateOf(route)}\``, rightOf(route), describedAs(route).summary]),
)}

Rights are the rows of [Who may do what](../README.md#who-may-do-what); \`application\` is the JWT of a [voice application](../README.md#voice-applications), whose
routes know nothing of what follows but \`HEAD\` and \`OPTIONS\`. A \`HEAD\` is a \`GET\` without the body; \`OPTIONS\` needs no token. Any request may name another method as \`verb\` in its query, a POST in its envelope
(\`{"verb": "PATCH", "data": {…}}\`), and what it wants to be answered with as \`accept\` in either. \`/v2/account/…\` is \`/v2/accounts/{account}/…\` for the
account of the token.

A client that can send a token neither as \`X-Auth-Token\`, \`Authorization: Bearer\` nor \`auth_token\` in the query puts \`auth_token\` into an envelope of at most 64 kB. An
envelope may be a form, whose \`data\` is JSON. \`pretty_print=true\` makes answers readable, \`jsonp={function}\` a GET a script that calls a function with it.

## Refusals of the Voice API

In the envelope that the other routes have around everything.

${table(
  ['method', 'path', 'status', 'meaning'],
  routes().flatMap(route =>
    Object.entries(describedAs(route).refusals ?? {}).map(([status, meaning]) => [`\`${route.method}\``, `\`${templateOf(route)}\``, status, meaning]),
  ),
)}

## Lists

A page says with \`next_start_key\` where the next one begins; the last one does not. The key stays good while documents are added. As
\`text/csv\` (\`accept=csv\` for short) a list is a table for spreadsheets, \`file_name\` its name; its \`Link\` header leads to the next page, and what a spreadsheet
would compute is quoted with \`'\`.

${table(['parameter', 'meaning'], named(PAGING))}

Filters; of several, all hold. They ask only for fields this client may see. With filters a request looks at as many rows as \`paginate=false\` gives at
most: a page may have fewer rows than it could, or none, and still a \`next_start_key\`.

${table(['parameter', 'meaning'], named({ ...FILTERS, ...CREATED }))}

In lists of recordings the last two are the range of time that is looked at:

${table(['parameter', 'meaning'], named(RANGE))}

## Life of a recording

What a recording may do next. Words in small letters are commands or what the engine finds, words in capitals events of the switch; \`(kept)\` waits for its
beginning. A command that is not in the row of its state is refused with 409 and the state; anything else that is not there changes nothing. \`mask\` and
\`pause\` may be repeated and are then confirmed again.

${table(
  ['state', 'what happens, and what it is then'],
  STATES.map(state => [`\`${state}\``, isEnd(state) ? 'the end' : lifeOf(state)]),
)}

## Schemas

${[...loadSchemas(CONFIG.maxTimeLimit)].map(([name, schema]) => section(name, schema)).join('\n\n')}
`

const lifeOf = (state: (typeof STATES)[number]): string =>
  (Object.entries(TABLE[state]) as [Input, readonly [string]][])
    .map(([input, [next]]) => `${input} → ${next === state && TABLE[state][input]?.length === 1 ? '(kept)' : `\`${next}\``}`)
    .join(' · ')

const rightOf = ({ access }: Route): string => (typeof access === 'object' ? access.among.join(', ') : access === 'anyone' ? '–' : access)

const named = (texts: Readonly<Record<string, string>>): string[][] =>
  Object.entries(texts).map(([name, text]) => [`\`${name.endsWith('_') ? `${name}{path}` : name}\``, text])

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n')

function section(name: string, schema: Fields): string {
  const required = Array.isArray(schema['required']) ? schema['required'] : []
  const properties = Object.entries(isObject(schema['properties']) ? schema['properties'] : {}) as [string, Fields][]
  const rows = properties.map(([key, property]) => [
    `\`${key}\`${required.includes(key) ? ' *' : ''}`,
    typeOf(property),
    'default' in property ? `\`${JSON.stringify(property['default'])}\`` : '',
    typeof property['description'] === 'string' ? property['description'] : '',
  ])
  const closed = schema['additionalProperties'] === false ? ' No other fields.' : ''
  const fields = rows.length === 0 ? '' : `\n\n${table(['field', 'type', 'default', 'meaning'], rows)}`
  return `### ${name}\n\n${String(schema['description'])}.${closed}${fields}`
}

const LIMITS: Readonly<Record<string, string>> = {
  minimum: '≥',
  maximum: '≤',
  minLength: 'characters ≥',
  maxLength: 'characters ≤',
  minItems: 'items ≥',
  maxItems: 'items ≤',
  minProperties: 'keys ≥',
  maxProperties: 'keys ≤',
}

function typeOf(property: Fields): string {
  if (typeof property['$ref'] === 'string') return `[${property['$ref']}](#${property['$ref'].replaceAll('.', '')})`
  const type = [property['type']].flat().join(' or ')
  const values = Array.isArray(property['enum']) ? property['enum'].map(one => `\`${String(one)}\``).join(', ') : ''
  const of = isObject(property['items']) ? ` of ${typeOf(property['items'])}` : ''
  const limits = Object.entries(LIMITS).flatMap(([key, sign]) => (property[key] === undefined ? [] : [`${sign} ${JSON.stringify(property[key])}`]))
  const pattern = typeof property['pattern'] === 'string' ? [`like \`${property['pattern']}\``] : []
  const url = property['x-http-url'] === undefined ? [] : [property['x-http-url'] === 's3' ? 'http(s) or s3 URL' : 'http(s) URL']
  return [values === '' ? type + of : values, ...limits, ...pattern, ...url].join(', ')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(reference())
