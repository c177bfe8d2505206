// The REST API's table of contents, and what knows Koa: a request becomes what a route
// takes, and what it answers or throws becomes an envelope.

import { METHODS } from 'node:http'
import { Router } from '@koa/router'
import Koa from 'koa'
import helmet from 'koa-helmet'
import { parseNetworks } from '../addresses.ts'
import { AppError } from '../errors.ts'
import { requireJson } from './accept.ts'
import { aboutRoutes } from './about.ts'
import { accountTreeRoutes } from './account-tree.ts'
import { accountRoutes } from './accounts.ts'
import { apiKeyRoutes } from './api-key.ts'
import { accountOf, createSessions, type Session, tokenOf } from './auth.ts'
import { dataOf, readEnvelope, textOf } from './body.ts'
import { callflowRoutes, checkCallflow } from './callflows.ts'
import { cdrRoutes } from './cdrs.ts'
import { channelRoutes } from './channels.ts'
import { crossOrigin } from './cors.ts'
import { deviceRoutes } from './devices.ts'
import { asAppError, failure, type Frame, success } from './envelope.ts'
import { freeswitchXml, XML_PATH } from './freeswitch-xml.ts'
import { groupRoutes } from './groups.ts'
import { resourceRoutes } from './resources.ts'
import { menuRoutes } from './menus.ts'
import { temporalRuleRoutes } from './temporal-rules.ts'
import { report, WATCHED } from './health.ts'
import { createLimits } from './limits.ts'
import { loginRoutes } from './login.ts'
import { checkMetaflows } from './metaflows.ts'
import { openApiRoutes } from './openapi.ts'
import { checkedParams } from './params.ts'
import { phoneNumberRoutes } from './phone-numbers.ts'
import { isKnown } from './preconditions.ts'
import { quickcallRoutes } from './quickcall.ts'
import { recordingPolicyRoutes } from './recording-policy.ts'
import { recordingRoutes } from './recordings.ts'
import { obstacle, type Right } from './rights.ts'
import type { Answer, ApiPorts, Guarded, OpenRequest, Request, Room, Route } from './route.ts'
import { loadSchemas, schemaRoutes } from './schemas.ts'
import { asReadBy } from './secrets.ts'
import { tokenRoutes } from './token-auth.ts'
import { createTurns } from './turns.ts'
import { userRoutes } from './users.ts'
import { createValidator } from './validate.ts'
import { allowed, byPath, isAnyones, type Methods, notAllowed, routeOf } from './verb.ts'
import { webhookRoutes } from './webhooks.ts'

export interface Api {
  /** For http.createServer. */
  callback: ReturnType<Koa['callback']>
  routes: readonly Route[]
}

export function routesOf(room: Room): Route[] {
  const routes: Route[] = [
    ...loginRoutes(room),
    ...tokenRoutes(room),
    ...accountRoutes(room),
    ...accountTreeRoutes(room),
    ...apiKeyRoutes(room),
    ...userRoutes(room),
    ...deviceRoutes(room),
    ...callflowRoutes(room),
    ...temporalRuleRoutes(room),
    ...menuRoutes(room),
    ...resourceRoutes(room),
    ...groupRoutes(room),
    ...phoneNumberRoutes(room),
    ...recordingRoutes(room),
    ...recordingPolicyRoutes(room),
    ...cdrRoutes(room),
    ...quickcallRoutes(room),
    ...channelRoutes(room),
    ...webhookRoutes(room),
    ...schemaRoutes(room, { callflows: fields => checkCallflow(room, fields), metaflows: fields => checkMetaflows(room.validator, fields, []) }),
    ...aboutRoutes(room),
    ...openApiRoutes(room, () => routes),
  ]
  return routes
}

interface State {
  requestId: string
  /** What was asked with, once it is known to be good. */
  token?: string
  session?: Session
  /** The pattern of the path that was taken. */
  route?: string
}
type Context = Koa.ParameterizedContext<State>

export function createApi(ports: ApiPorts): Api {
  const schemas = loadSchemas(ports.config.maxTimeLimit)
  const room: Room = {
    ...ports,
    schemas,
    validator: createValidator(schemas, parseNetworks(ports.config.uploadAllowNetworks ?? [])),
    sessions: createSessions(ports),
    limits: createLimits(ports.config),
    inTurn: createTurns(),
  }
  const routes = routesOf(room)
  const app = new Koa<State>()
  // Only what comes after an answer has begun arrives here, such as a client that hangs up while it listens.
  app.on('error', (error: unknown) => ports.log.debug('response_ended_early', { reason: asAppError(error).message }))
  app.use(helmet())
  app.use(answers(ports))
  app.use(crossOrigin())
  app.use(watched(ports))
  app.use(directory(ports))
  const router = new Router<State>({ sensitive: true })
  for (const [path, methods] of byPath(routes)) {
    for (const name of [path, path.replace(ACCOUNT, OWN_ACCOUNT)]) {
      router.register(name, METHODS, ctx => {
        ctx.state.route = path
        return serve(room, methods, ctx)
      })
    }
  }
  app.use(router.routes())
  app.use(unrouted)
  return { callback: app.callback(), routes }
}

/** Kazoo's alias for the account of the token. */
const [ACCOUNT, OWN_ACCOUNT] = [/^\/v2\/accounts\/:account(?=\/|$)/, '/v2/account']

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

/** Directly inside helmet, because Koa's own handler of errors wipes every header that was set. */
function answers({ log, random, clock, config, metrics, store }: ApiPorts): Koa.Middleware<State> {
  const node = random(8).toString('hex')
  return async (ctx, next) => {
    const began = clock.now()
    const asked = ctx.get('x-request-id')
    ctx.state.requestId = REQUEST_ID.test(asked) ? asked : random(16).toString('hex')
    ctx.set('x-request-id', ctx.state.requestId)
    // An envelope holds the token it was asked with.
    ctx.set('cache-control', 'no-store')
    const frame = (): Frame => ({ requestId: ctx.state.requestId, node, version: config.version, now: clock.now(), token: ctx.state.token, store: store.kind })
    try {
      await next()
      if (isAnswer(ctx.body)) answer(ctx, ctx.body, frame())
    } catch (thrown) {
      const error = asAppError(thrown)
      if (error.status >= 500) log.error('request_failed', { request_id: ctx.state.requestId, path: ctx.path, reason: error.message, ...causeOf(error) })
      refuse(ctx, error, frame())
    }
    metrics.count('callrec_http_requests_total', { method: ctx.method, route: ctx.state.route ?? 'none', status: String(ctx.status) })
    // Never the query: it may hold a token.
    log.debug('request_answered', { request_id: ctx.state.requestId, method: ctx.method, path: ctx.path, status: ctx.status, duration_ms: clock.now() - began })
  }
}

const causeOf = ({ cause }: Error): Record<string, unknown> => (cause instanceof Error ? { cause: cause.stack } : cause === undefined ? {} : { cause })

const ANSWER = Symbol('answer')
type Marked = Answer & { [ANSWER]: true }
const isAnswer = (body: unknown): body is Marked => typeof body === 'object' && body !== null && ANSWER in body

function answer(ctx: Context, given: Answer, frame: Frame): void {
  ctx.status = given.status ?? 200
  for (const [name, value] of Object.entries(given.headers ?? {})) ctx.set(name, value)
  if (given.file !== undefined) {
    ctx.attachment(given.file.name, { type: given.file.inline ? 'inline' : 'attachment' })
    ctx.body = given.file.body
    ctx.type = given.file.type
    ctx.length = given.file.length
  } else {
    ctx.body = success({ ...frame, token: given.token === null ? undefined : (given.token ?? frame.token) }, given.data, given.revision, given.beside)
    if (given.revision !== undefined) ctx.set('etag', `"${given.revision}"`)
  }
  if ((ctx.method === 'GET' || ctx.method === 'HEAD') && isKnown(ctx.headers['if-none-match'], etagOf(ctx))) notModified(ctx, given)
}

/** Koa's types promise a text. */
const etagOf = (ctx: Context): string | undefined => ctx.response.get('etag')

function notModified(ctx: Context, { file }: Answer): void {
  file?.body.destroy()
  ctx.status = 304
  ctx.body = null
}

function refuse(ctx: Context, error: AppError, frame: Frame): void {
  ctx.status = error.status
  const { retry_after, length, allow } = error.data as { retry_after?: number; length?: number; allow?: string }
  if (retry_after !== undefined) ctx.set('retry-after', String(retry_after))
  if (allow !== undefined) ctx.set('allow', allow)
  if (error.code === 'range_not_satisfiable') ctx.set('content-range', `bytes */${length}`)
  // What is left of its body is not read, so nothing else can follow on this connection.
  if (error.code === 'body_too_large') ctx.set('connection', 'close')
  ctx.body = failure(frame, error)
}

function watched(ports: ApiPorts): Koa.Middleware<State> {
  return async (ctx, next) => {
    const path = WATCHED.find(one => one === ctx.path)
    if (path === undefined) return next()
    ctx.state.route = path
    const { status, body, type } = await report(ports, path, ctx.headers)
    ctx.status = status
    ctx.body = body
    if (type !== undefined) ctx.set('content-type', type)
  }
}

function directory(ports: ApiPorts): Koa.Middleware<State> {
  const answerTo = freeswitchXml(ports)
  return async (ctx, next) => {
    if (ctx.path !== XML_PATH) return next()
    const { status, headers, xml } = await answerTo(ctx.req)
    ctx.status = status
    for (const [name, value] of Object.entries(headers)) ctx.set(name, value)
    ctx.body = xml
  }
}

type Routed = Context & { params: Record<string, string> }

async function serve(room: Room, methods: Methods, ctx: Routed): Promise<void> {
  if (ctx.method === 'OPTIONS') return tellMethods(ctx, methods)
  const query = new URLSearchParams(ctx.querystring)
  const verb = query.get('verb')
  // A POST may say in its envelope what it is, which is read only for whoever has a token where one is needed.
  const isOpen = verb === null && ctx.method === 'POST'
  const named = routeOf(methods, verb ?? ctx.method)
  if (named === undefined && !isOpen) throw notAllowed(methods)
  const param = checkedParams(ctx.params)
  const unread = { id: ctx.state.requestId, address: ctx.ip, headers: ctx.headers, query, param }
  const session = isAnyones(methods) ? undefined : await identify(room, ctx, query)
  const enter = (route: Route): Promise<Entered> => admit(room, route, ctx, unread, session)
  const entered = isOpen || named === undefined ? undefined : await enter(named)
  const envelope = entered === undefined || takesBody(entered.route) ? await readEnvelope(ctx.req) : undefined
  const route = entered?.route ?? routeOf(methods, textOf(envelope, 'verb') ?? ctx.method)
  if (route === undefined) throw notAllowed(methods)
  if (ctx.method !== 'HEAD') ctx.method = route.method

  const { run } = entered ?? (await enter(route))
  const accept = query.get('accept') ?? textOf(envelope, 'accept') ?? (ctx.get('accept') || '*/*')
  if (route.produces === undefined) requireJson(accept)
  const data = takesBody(route) ? dataOf(envelope, route.body === 'optional') : {}
  ctx.body = { ...(await run({ ...unread, accept, data })), [ANSWER]: true }
}

async function identify({ sessions, limits }: Room, ctx: Routed, query: URLSearchParams): Promise<Session> {
  const token = tokenOf(ctx.headers, query)
  const session = await sessions.of(token)
  if (token !== undefined) ctx.state.token = token
  await limits.request(session.who.token)
  return session
}

type Unread = Omit<OpenRequest, 'accept' | 'data'>

/** A route, and what runs it for who asks. */
interface Entered {
  route: Route
  run: (request: OpenRequest) => Promise<Answer>
}

async function admit(room: Room, route: Route, ctx: Routed, unread: Unread, known: Session | undefined): Promise<Entered> {
  if (route.access === 'anyone') return { route, run: route.run }
  const session = known ?? (await identify(room, ctx, unread.query))
  const { who } = session
  const account = 'account' in ctx.params ? await accountOf(room, session, unread.param('account')) : session.account
  const { access } = route
  await authorise(typeof access === 'object' ? access.among[0] : access, route, { ...unread, accept: '', data: {}, who, account })
  const run = async (open: OpenRequest): Promise<Answer> => {
    const request = { ...open, who, account }
    if (typeof access === 'object') await authorise(access.of(open), route, request)
    const answer = await route.run(request)
    return { ...answer, data: asReadBy(who, answer.data) }
  }
  return { route, run }
}

async function authorise(right: Right, { owner }: Guarded, request: Request): Promise<void> {
  const { who } = request
  const allow = (whose: string | undefined): void => {
    const cause = obstacle(right, { ...request, owner: whose })
    if (cause !== undefined) throw new AppError('forbidden', `not with this token (${cause})`, cause === 'account' ? {} : { cause })
  }
  // Whose the document is is read only where that decides.
  allow(owner === undefined ? undefined : who.ownerId)
  if (who.level === 'user' && owner !== undefined) allow(await owner(request))
}

const takesBody = ({ method }: Route): boolean => method !== 'GET' && method !== 'DELETE'

function tellMethods(ctx: Context, methods: Methods): void {
  ctx.set('allow', allowed(methods))
  ctx.status = 200
  ctx.body = ''
}

function unrouted({ path }: Context): void {
  if (path === '/v1' || path.startsWith('/v1/')) throw new AppError('gone', 'version 1 of the API is gone; use /v2')
  throw new AppError('not_found', 'not found')
}
