// What a resource is made of: routes, each a line of a table with who may take it. Resources know
// nothing of Koa; serve.ts turns a request into what `run` takes, answers.ts its answer into a response.

import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { Networks } from '../addresses.ts'
import type { CallControl } from '../callflow/control.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Meters } from '../metrics.ts'
import type { Audit } from '../recording/audit.ts'
import type { Erasure } from '../recording/erasure.ts'
import type { Check } from '../recording/integrity.ts'
import type { Attachment } from '../recording/storage.ts'
import type { Doc, Store, Stored } from '../store/store.ts'
import type { Switches } from '../switch/switch.ts'
import type { Events } from '../events.ts'
import type { Voice } from '../voice/voice.ts'
import type { Sessions } from './auth.ts'
import type { Fields } from './fields.ts'
import type { Limits } from './limits.ts'
import type { Param } from './params.ts'
import type { PhoneCache } from './phone-cache.ts'
import type { RecordingRight, Right } from './rights.ts'
import type { Schemas } from './schemas.ts'
import type { Validator } from './validate.ts'

/** What the API is built on. */
export interface ApiPorts {
  store: Store
  switches: Switches
  /** Calls of voice applications. */
  voice: Pick<Voice, 'place' | 'transfer'>
  /** What is done to calls that run. */
  control: CallControl
  /** What happens to recordings. */
  events: Pick<Events, 'on'>
  /** Told when what a phone registers with has changed. */
  phones: PhoneCache
  audit: Audit
  erasure: Erasure
  check: Check
  /** Something in the queue of deliveries is due. */
  deliver: () => void
  /** Stores a little file where an account wants to keep its recordings; resolves to what went wrong. */
  tryStorage: (accountId: string, attachment: Attachment) => Promise<string | undefined>
  /** Callflow modules the executor can run. */
  modules: readonly string[]
  clock: Clock
  log: Log
  random: (bytes: number) => Buffer
  metrics: Meters
  /** How far the start has got; the store may be away for long. */
  standing: () => Standing
  config: ApiConfig
}

export interface Standing {
  /** The databases every installation has are there. */
  prepared: boolean
  /** API key of the master account, as far as it is known without the store. */
  operatorKey: string | undefined
}

export interface ApiConfig {
  version: string
  /** Where tenants reach the API, with no slash at its end. */
  publicUrl: string
  /** Seconds a token lives. */
  tokenTtl: number
  /** Seconds; the cap on any recording. */
  maxTimeLimit: number
  embedded: { store: boolean; switch: boolean }
  /** What a switch asks for phones with, and CIDRs from where. */
  xmlCurl: { secret: string; networks: readonly string[] }
  /** CIDRs of private networks that tenants' URLs may lead to. */
  uploadAllowNetworks?: readonly string[]
  /** CIDRs of the proxies whose X-Forwarded-For is believed. */
  trustedProxies?: readonly string[]
  /** Attempts to log in, and failed ones, that one address has in a minute, and failed ones into one account. */
  loginsPerMinute?: { attempts?: number; failures?: number; ofAccount?: number }
  /** That one token has in ten seconds. */
  requestsPer10s?: number
}

/** The ports, and what the room itself makes of them once. */
export interface Room extends ApiPorts {
  schemas: Schemas
  validator: Validator
  sessions: Sessions
  limits: Limits
  trustedProxies: Networks
  /** Runs one after the other what has the same key. */
  inTurn: <T>(key: string, run: () => Promise<T>) => Promise<T>
}

export interface Account extends Doc {
  pvt_type: 'account'
  /** Ancestors, root first; empty for the master account. */
  pvt_tree: string[]
  pvt_api_key: string
  /** What it is found by. */
  pvt_api_key_digest: string
  /** The name's letters and digits in lower case: what `account_name` of a login is compared with. */
  pvt_alphanum_name: string
  name: string
  realm: string
  /** False: nobody logs in, and no token of it is worth anything. */
  enabled?: boolean
  allow_parent_audio?: boolean
  allow_user_recording_settings?: boolean
  pvt_deleted?: boolean
}

/** Who asks, as the token tells. */
export interface Who {
  accountId: string
  /** The user that logged in; absent for an API key. */
  ownerId?: string
  /** Id of the token's document. */
  token: string
  level: 'user' | 'admin'
  recordingRights: readonly RecordingRight[]
}

export interface OpenRequest {
  id: string
  /** Of the client, as far as it is known (proxies.ts). */
  address: string
  headers: IncomingHttpHeaders
  /** What the answer should be: the Accept header, or `accept` of the query or the envelope in its place. */
  accept: string
  query: URLSearchParams
  param: (name: Param) => string
  /** `data` of the envelope; empty where the route takes no body. */
  data: Fields
  /** What stands beside `data` in the envelope of Kazoo's metaflows. */
  action?: string
}

export interface Request extends OpenRequest {
  who: Who
  /** The one the path names, or the token's own. */
  account: Stored<Account>
}

export interface Answer {
  /** 200 unless said. */
  status?: number
  data?: unknown
  /** Of the document: the envelope's `revision` and the ETag. */
  revision?: string
  headers?: Readonly<Record<string, string>>
  /** What stands beside `data` in the envelope: `page_size`, `next_start_key` … */
  beside?: Fields
  /** A new token, for whoever just logged in; null for whoever just logged out. */
  token?: string | null
  /** Bytes in place of an envelope, for as long as they come. */
  stream?: { body: Readable; type: string }
  /** Bytes in place of an envelope. */
  file?: { body: Readable; length: number; type: string; name: string; inline: boolean }
}

interface Common {
  method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'
  /** With `:name`s of params.ts. */
  path: string
  /** PUT, POST and PATCH need a body unless it is `optional`; the others have none. */
  body?: 'optional'
  /** Types an answer may have beside JSON; the route looks at `accept` itself. */
  produces?: readonly string[]
  /** A type whose answer has no end. */
  streams?: string
}

export interface Open extends Common {
  /** Without a token. */
  access: 'anyone'
  run: (request: OpenRequest) => Promise<Answer>
}

export interface Guarded extends Common {
  /** A row of rights.ts; or several, of which `of` says what a request needs, and every request the first. */
  access: Right | { among: readonly [Right, ...Right[]]; of: (request: OpenRequest) => Right }
  /** The user whose the document is that the path names, for rows that ask. */
  owner?: (request: Request) => Promise<string | undefined>
  run: (request: Request) => Promise<Answer>
}

/** By what right a document is changed. */
export type Changing = Pick<Guarded, 'access' | 'owner'>

export type Route = Open | Guarded
