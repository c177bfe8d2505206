// What each route does, takes and answers, in the words of the OpenAPI document and of couchdb/reference.md.
// A route that is not here, or a line without its route, fails a test.

import { AppError } from '../../errors.ts'
import type { Route } from './route.ts'

export interface Described {
  summary: string
  /** Schema of `data` in the request, or of all of it where the route is for applications; any object where there is none. */
  takes?: string
  /** Schema of `data` in the answer (of an application's, of all of it), or of each row where the route lists; `plain` is no envelope and no schema. */
  gives?: string
  /** Rows: by a view, by time over the month databases, or all there are. */
  lists?: 'view' | 'months' | 'all'
  /** Where it is not 200. */
  status?: 201 | 202 | 204
  /** The document has a revision, so If-Match and If-None-Match count. */
  revision?: true
  /** Every status of a refusal that the route has a meaning of its own for. */
  refusals?: Readonly<Record<number, string>>
}

type Table = Readonly<Record<string, Described>>

const ACCOUNT = '/v2/accounts/{account}'

function resource(name: string, param: string, noun: string): Table {
  const all = `${ACCOUNT}/${name}`
  return {
    [`GET ${all}`]: { summary: `Lists the ${name.replaceAll('_', ' ')} of the account in short`, lists: 'view' },
    [`PUT ${all}`]: { summary: `Makes ${noun}`, takes: name, gives: name, status: 201, revision: true },
    ...document(`${all}/{${param}}`, name, noun),
  }
}

const document = (path: string, name: string, noun: string): Table => ({
  [`GET ${path}`]: { summary: `Reads ${noun}`, gives: name, revision: true },
  [`POST ${path}`]: { summary: `Replaces ${noun}`, takes: name, gives: name, revision: true },
  [`PATCH ${path}`]: { summary: `Merges fields into ${noun}; null removes one`, gives: name, revision: true },
  [`DELETE ${path}`]: { summary: `Puts ${noun} away`, gives: name, revision: true },
})

const metaflows = (path: string, whose: string): Table => ({
  [`GET ${path}/metaflows`]: { summary: `Reads what keys do in calls of ${whose}`, gives: 'metaflows', revision: true },
  [`POST ${path}/metaflows`]: { summary: `Says what keys do in calls of ${whose}`, takes: 'metaflows', gives: 'metaflows', revision: true },
  [`DELETE ${path}/metaflows`]: { summary: `Takes away what keys do in calls of ${whose}`, revision: true },
})

const recordings = (path: string, whose: string): Table => ({
  [`GET ${path}/recordings`]: { summary: `Lists the recordings of ${whose}, newest first`, gives: 'call_recordings', lists: 'months' },
})

const channels = (path: string, whose: string): Table => ({
  [`GET ${path}/channels`]: { summary: `Lists the legs of ${whose} that are up now`, lists: 'all' },
})

const channel = (path: string): Table => ({
  [`GET ${path}/channels/{channel}`]: { summary: 'Reads a leg that is up now, and how its recordings stand' },
  [`POST ${path}/channels/{channel}`]: { summary: 'Controls the recording of a call, ends a leg or sends it elsewhere', takes: 'channels' },
  [`PUT ${path}/channels/{channel}`]: { summary: 'Runs a metaflow on a leg', takes: 'metaflow' },
})

const quickcall: Described = { summary: 'Rings a device and, when it answers, calls a number', takes: 'quickcall', status: 202 }

const STRANGER = 'The token is none, or one whose application callrec does not know'
const NO_CALL = 'No such call, or another application’s'
const AWAY = 'The call is, or may be, on a switch that is not connected here'
const NO_BODY = { 400: 'What is wrong with the body: each path and its problems', 413: 'The body is too large' }

const file: Described = {
  summary: 'Fetches the file of a recording that a voice application made, or its transcript, under the URL it was told',
  gives: 'transcript',
  refusals: {
    401: STRANGER,
    404: 'No such file, or another application’s',
    410: 'The time of the file is over; `data` is what is left of its recording',
    416: 'The Range is beyond the end of the file',
  },
}

export const DESCRIBED: Table = {
  'PUT /v2/api_auth': { summary: 'Logs in with the API key of an account', takes: 'api_auth', status: 201 },
  'PUT /v2/user_auth': { summary: 'Logs in as a user', takes: 'user_auth', status: 201 },
  'GET /v2/token_auth': { summary: 'Tells whose token it is' },
  'DELETE /v2/token_auth': { summary: 'Logs out: the token is good for nothing any more' },

  'PUT /v2/accounts': { summary: 'Makes an account below the one of the token', takes: 'accounts', gives: 'accounts', status: 201, revision: true },
  [`PUT ${ACCOUNT}`]: { summary: 'Makes an account below this one', takes: 'accounts', gives: 'accounts', status: 201, revision: true },
  ...document(ACCOUNT, 'accounts', 'an account'),
  [`GET ${ACCOUNT}/children`]: { summary: 'Lists the accounts directly below this one', lists: 'view' },
  [`GET ${ACCOUNT}/descendants`]: { summary: 'Lists all accounts below this one', lists: 'view' },
  [`GET ${ACCOUNT}/siblings`]: { summary: 'Lists the accounts beside this one', lists: 'view' },
  [`GET ${ACCOUNT}/parents`]: { summary: 'Lists the accounts above this one, as far as the token reaches', lists: 'all' },
  [`GET ${ACCOUNT}/tree`]: { summary: 'Lists the accounts above this one, as far as the token reaches', lists: 'all' },
  [`GET ${ACCOUNT}/api_key`]: { summary: 'Reads the API key of the account' },
  [`PUT ${ACCOUNT}/api_key`]: { summary: 'Makes a new API key; the old one is good for nothing any more', status: 201 },
  ...metaflows(ACCOUNT, 'the account'),

  ...resource('users', 'user', 'a user'),
  ...metaflows(`${ACCOUNT}/users/{user}`, 'the user'),
  [`GET ${ACCOUNT}/users/{user}/devices`]: { summary: 'Lists the devices of a user in short', lists: 'view' },
  ...resource('devices', 'device', 'a device'),
  ...metaflows(`${ACCOUNT}/devices/{device}`, 'the device'),
  [`PUT ${ACCOUNT}/devices/{device}/quickcall/{number}`]: quickcall,
  [`GET ${ACCOUNT}/devices/{device}/quickcall/{number}`]: quickcall,
  ...resource('callflows', 'callflow', 'a callflow'),
  ...metaflows(`${ACCOUNT}/callflows/{callflow}`, 'the callflow'),
  ...resource('groups', 'group', 'a group'),
  ...resource('resources', 'resource', 'a trunk'),
  ...resource('menus', 'menu', 'a menu'),
  ...resource('temporal_rules', 'temporal_rule', 'a temporal rule'),
  'GET /v2/webhooks': { summary: 'Lists what a webhook can be told of', lists: 'all' },
  ...resource('webhooks', 'webhook', 'a webhook'),
  [`GET ${ACCOUNT}/events`]: { summary: 'Tells what happens to recordings as it happens (`Accept: text/event-stream`), or lists the latest', lists: 'all' },
  [`GET ${ACCOUNT}/webhooks/{webhook}/attempts`]: { summary: 'Lists the attempts to tell a webhook, newest first', lists: 'months' },

  ...resource('applications', 'application', 'a voice application'),

  'GET /v1/files/{file}': file,
  'GET /v3/files/{file}': file,
  'POST /v1/calls': {
    summary: 'Makes a call and gives it actions once it is answered',
    takes: 'calls',
    gives: 'calls.state',
    status: 201,
    refusals: { 401: STRANGER, ...NO_BODY, 503: 'No switch is connected' },
  },
  'GET /v1/calls/{call}': { summary: 'Tells how a call of the application stands', gives: 'calls.state', refusals: { 401: STRANGER, 404: NO_CALL, 503: AWAY } },
  'PUT /v1/calls/{call}': {
    summary: 'Ends a call, or gives it other actions',
    takes: 'calls.change',
    status: 204,
    refusals: {
      401: STRANGER,
      404: NO_CALL,
      409: 'The call is not answered yet, is over, or has left its actions; `data.state` tells which',
      ...NO_BODY,
      502: 'The URL of the actions answered with none',
      503: AWAY,
      504: 'The URL of the actions did not answer',
    },
  },

  [`GET ${ACCOUNT}/phone_numbers`]: { summary: 'Lists the telephone numbers of the account, as an object by number', lists: 'view', gives: 'phone_numbers' },
  [`PUT ${ACCOUNT}/phone_numbers/{number}`]: {
    summary: 'Claims a telephone number',
    takes: 'phone_numbers',
    gives: 'phone_numbers',
    status: 201,
    revision: true,
  },
  ...document(`${ACCOUNT}/phone_numbers/{number}`, 'phone_numbers', 'a telephone number'),
  [`DELETE ${ACCOUNT}/phone_numbers/{number}`]: { summary: 'Releases a telephone number', gives: 'phone_numbers', revision: true },

  ...recordings(ACCOUNT, 'the account'),
  ...recordings(`${ACCOUNT}/users/{user}`, 'a user'),
  ...recordings(`${ACCOUNT}/devices/{device}`, 'a device'),
  [`GET ${ACCOUNT}/recordings/{recording}`]: { summary: 'Reads a recording, or hears it', gives: 'call_recordings', revision: true },
  [`PATCH ${ACCOUNT}/recordings/{recording}`]: {
    summary: 'Notes `user_metadata` of a recording, or holds it and releases it (`legal_hold`)',
    gives: 'call_recordings',
    revision: true,
  },
  [`DELETE ${ACCOUNT}/recordings/{recording}`]: {
    summary: 'Destroys the sound of a recording and leaves a tombstone, with the `reason` of the query',
    gives: 'call_recordings',
    revision: true,
  },
  [`GET ${ACCOUNT}/recordings/{recording}/audit`]: {
    summary: 'Tells who did what with a recording, as a chain of hashes',
    gives: 'recording_audit',
    lists: 'all',
  },

  [`GET ${ACCOUNT}/recordings/{recording}/transcript`]: {
    summary: 'Reads what was said in a recording, where a transcript of it was asked for',
    gives: 'transcript',
  },
  [`PUT ${ACCOUNT}/recordings/{recording}/delivery`]: { summary: 'Tries a delivery again that failed or waits, now and for another 72 h', status: 202 },
  [`GET ${ACCOUNT}/recordings/{recording}/integrity`]: {
    summary: 'Reads the audio of a recording where callrec has it, and tells whether it and the trail are intact',
  },
  [`GET ${ACCOUNT}/recordings/reconciliation`]: {
    summary: 'Sums a `day`: recordings expected, recorded, discarded, missing, running, delivered, waiting, undelivered; or lists one `list` of it',
  },
  [`PUT ${ACCOUNT}/storage`]: {
    summary: 'Says where recordings are kept, after a test file was stored there (unless `validate_settings=false`)',
    takes: 'storage',
    gives: 'storage',
    status: 201,
    revision: true,
  },
  ...document(`${ACCOUNT}/storage`, 'storage', 'the storage settings of the account'),

  [`GET ${ACCOUNT}/recording_policy`]: {
    summary: 'Tells what would be recorded of a call `from` one device, user or number `to` another, now or `at` a moment in gregorian seconds, and why',
  },

  [`GET ${ACCOUNT}/cdrs`]: { summary: 'Lists the detail records of calls, newest first', lists: 'months' },
  [`GET ${ACCOUNT}/users/{user}/cdrs`]: { summary: 'Lists the detail records of calls a user made, newest first', lists: 'months' },
  [`GET ${ACCOUNT}/cdrs/{cdr}`]: { summary: 'Reads the detail record of a call', revision: true },

  ...channels(ACCOUNT, 'the account'),
  ...channels(`${ACCOUNT}/users/{user}`, 'a user'),
  ...channels(`${ACCOUNT}/devices/{device}`, 'a device'),
  ...channel(ACCOUNT),
  ...channel(`${ACCOUNT}/users/{user}`),
  ...channel(`${ACCOUNT}/devices/{device}`),

  'GET /v2/schemas': { summary: 'Lists the names of all schemas', lists: 'all' },
  'GET /v2/schemas/{schema}': { summary: 'Reads a schema' },
  'PUT /v2/schemas/{schema}/validation': { summary: 'Checks a body against a schema without keeping it' },
  'GET /v2/openapi.json': { summary: 'This document', gives: 'plain' },
  'GET /v2/about': { summary: 'Tells what the engine is and what it stands on' },
}

/** `/v2/accounts/{account}` of `/v2/accounts/:account`. */
export const templateOf = ({ path }: Route): string => path.replaceAll(/:(\w+)/g, '{$1}')

export function describedAs(route: Route): Described {
  const line = `${route.method} ${templateOf(route)}`
  const found = DESCRIBED[line]
  if (found === undefined) throw new AppError('unspecified_fault', `nothing describes ${line}`)
  return found
}

/** Its data is an array of rows, which is there as CSV too. */
export const isList = (route: Route): boolean => {
  const { lists, gives } = describedAs(route)
  return lists !== undefined && gives !== 'phone_numbers'
}
