// The API against a stranger's requests. Whatever is sent: no 5xx, no stack, nothing private, and whoever
// is refused has changed nothing. FUZZ_SEED repeats a run, FUZZ_REQUESTS makes it longer.

import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { Client } from 'undici'
import { isObject } from '../../src/api/validation/fields.ts'
import { describedAs } from '../../src/api/http/described.ts'
import { isForApplications, type Route } from '../../src/api/http/route.ts'
import { loadSchemas } from '../../src/api/validation/schemas.ts'
import { type Asking, world } from '../helpers/api.ts'
import { type MadeUp, madeUp } from '../helpers/made-up.ts'
import { type Column, type Place, placeIn, SECRET } from '../helpers/place.ts'

const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 20_000)
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_261_121)
/** Requests to one account, which by then has lost most of what it had. */
const EACH = 250
/** Milliseconds in which an answer must come. */
const PATIENCE = 10_000
/** It would be no test if everything were refused at the door. */
const COMMON = [200, 201, 400, 401, 403, 404, 405, 409, 412, 415]
/** Mistakes that are told. */
const MOST = 10

const WRITES = /^(put|putAttachment|remove|purge|createDatabase|deleteDatabase)\b/
const STACK = /\\n +at |file:\/\/|node:internal|node_modules|\.[jt]s:\d/
const SECRETS = /argon2|hidden-part@/

test('whatever is sent, nothing breaks, nothing private is told, and who is refused changes nothing', attack, REQUESTS, () => true, COMMON)

test('nor does anything where applications ask', attack, REQUESTS / 5, isForApplications, [200, 201, 204, 206, 400, 401, 404, 405, 416])

async function attack(t: ExecutionContext, requests: number, isMeant: (route: Route) => boolean, expected: readonly number[]): Promise<void> {
  t.timeout(180_000)
  const everything = 1e9
  const made = await world(t, {
    config: { requestsPer10s: everything, loginsPerMinute: { attempts: everything, failures: everything, ofAccount: everything } },
  })
  const routes = made.routes.filter(isMeant)
  const client = new Client(made.url, { headersTimeout: PATIENCE, bodyTimeout: PATIENCE })
  t.teardown(() => client.destroy())
  const schemas = loadSchemas(10_800)
  const statuses = new Map<number, number>()
  const found = new Map<string, string>()
  for (let block = 0; block * EACH < requests; block++) {
    const place = await placeIn(made, String(block))
    const tokens = new Map<Column, Asking['token']>()
    // Every request finds what those before it left, so there is nothing to shrink.
    for (const shot of fc.sample(madeUp(routes, schemas, place.ids), { numRuns: EACH, seed: SEED + block })) {
      if (!tokens.has(shot.column)) tokens.set(shot.column, (await place.as(shot.column)).token)
      const { status, wrong } = await shoot(client, place, shot, isForApplications(shot.route) ? place.jwt(shot.column) : tokens.get(shot.column))
      const sort = `${wrong?.what} ${shot.route.method} ${shot.route.path}`
      if (wrong !== undefined && !found.has(sort) && found.size < MOST) found.set(sort, wrong.told)
      // What was logged out is logged in again.
      if (shot.route.path === '/v2/token_auth') tokens.delete(shot.column)
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  }
  t.is([...found].map(([sort, told]) => `${sort}\n${told}`).join('\n\n'), '')
  const told = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${count} × ${status}`)
  t.log(told.join(', '))
  for (const status of expected) t.true((statuses.get(status) ?? 0) > requests / 2000, `hardly any ${status}`)
}

interface Seen {
  status: number
  wrong?: { what: string; told: string }
}

async function shoot(client: Client, { calls, lines }: Place, shot: MadeUp, token: string | undefined): Promise<Seen> {
  const { route, method, path, query, headers, body, column } = shot
  const credentials = token === undefined ? {} : isForApplications(route) ? { authorization: `Bearer ${token}` } : { 'x-auth-token': token }
  calls.length = 0
  lines.length = 0
  const { statusCode: status, body: answer } = await client.request({
    method,
    path: query === '' ? path : `${path}?${query}`,
    headers: { ...credentials, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body }),
  })
  const text = await answer.text()
  const what = whatIsWrong(shot, status, text, calls, lines)
  if (what === undefined) return { status }
  if (what === 'a secret' && (await isAdmin(client, token))) return { status }
  const errors = lines.filter(({ level }) => level === 'error')
  const asked = `${method} ${path}?${query} as ${column} ${JSON.stringify(headers)} ${body}`
  return { status, wrong: { what, told: `${asked}\n→ ${status} ${text.slice(0, 1000)}\n${calls.join(', ')}\n${JSON.stringify(errors)}` } }
}

/** A user may have been made one by a request before, and then the secret is his to see. */
async function isAdmin(client: Client, token: string | undefined): Promise<boolean> {
  const { body } = await client.request({ method: 'GET', path: '/v2/token_auth', headers: { 'x-auth-token': token ?? '' } })
  const { data } = (await body.json()) as { data: { priv_level?: string } }
  return data.priv_level === 'admin'
}

function whatIsWrong({ route, column, method }: MadeUp, status: number, text: string, calls: readonly string[], lines: Place['lines']): string | undefined {
  if (status >= 500) return 'it broke'
  if (lines.some(({ level }) => level === 'error')) return 'it complained'
  if (status >= 400 && calls.some(call => WRITES.test(call))) return 'refused, but it wrote'
  if (!/^.v2.(schemas|openapi)/.test(route.path) && STACK.test(withoutEcho(text))) return 'a stack'
  if (isForApplications(route)) {
    if (status === 200 && hasPrivate(`{"data":${text.startsWith('{') ? text : '{}'}}`)) return 'something private'
    if (text.includes(SECRET)) return 'a secret'
    const { refusals = {} } = describedAs(route)
    return status < 400 || status in refusals || status === 405 || method !== route.method ? undefined : 'a status nobody was told of'
  }
  if (status < 400 && hasPrivate(text)) return 'something private'
  if (status < 400 && (column === 'user' || column === 'owner') && SECRETS.test(text)) return 'a secret'
  return undefined
}

/** What was wrong with a body is told with the value itself, which may look like anything. */
const withoutEcho = (text: string): string => text.replaceAll(/"(value|cause)":("(?:[^"\\]|\\.)*"|\{[^}]*\}|\[[^\]]*\])/g, '')

/** Of the documents in an answer. */
function hasPrivate(text: string): boolean {
  if (!text.startsWith('{"data"')) return false
  const { data } = JSON.parse(text) as { data: unknown }
  const documents = [data].flat().filter(isObject)
  return documents.some(document => Object.keys(document).some(key => (key.startsWith('_') && key !== '_read_only') || key.startsWith('pvt_')))
}
