// What a resource is made of: routes, each a line of a table with who may take it. Resources know
// nothing of Koa; serve.ts, and voice-api.ts for applications, turn a request into what `run` takes, answers.ts its answer into a response.

import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { Stored } from '../../store/store.ts'
import type { Fields } from '../validation/fields.ts'
import type { Param } from '../validation/params.ts'
import type { Right } from '../rights/rights.ts'
import type { Applicant } from '../rights/voice-auth.ts'
import type { Account, Who } from '../rights/who.ts'

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
  /** The Voice API's: this in place of an envelope; null is nothing at all. */
  bare?: Fields | null
  /** What another engine answered, with its type among the headers. */
  relayed?: Buffer
  /** Bytes in place of an envelope. */
  file?: { body: Readable; length: number; type: string; name: string; inline: boolean }
}

/** Of an application: its bodies have no envelope either. */
export interface ApplicationRequest extends Pick<OpenRequest, 'address' | 'headers' | 'query' | 'param'> {
  who: Applicant
  body: Fields
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

/** A route of the Voice API. */
export interface Applications extends Common {
  /** With the JWT of an application. */
  access: 'application'
  run: (request: ApplicationRequest) => Promise<Answer>
}

/** Those that speak as Crossbar does. */
export type Enveloped = Open | Guarded

export type Route = Enveloped | Applications

export const isForApplications = (route: Route): route is Applications => route.access === 'application'
export const isEnveloped = (route: Route): route is Enveloped => !isForApplications(route)
