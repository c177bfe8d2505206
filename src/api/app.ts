// The REST API's table of contents, and the order in which Koa goes through it: answers.ts around
// everything, and serve.ts where a path has routes, or voice-api.ts where they are for applications.

import Koa from 'koa'
import { parseNetworks } from '../addresses.ts'
import { AppError } from '../errors.ts'
import { aboutRoutes } from './about/about.ts'
import { accountTreeRoutes } from './resources/account-tree.ts'
import { accountRoutes } from './resources/accounts.ts'
import { apiKeyRoutes } from './resources/api-key.ts'
import { answers } from './http/answers.ts'
import { applicationRoutes } from './voice/applications.ts'
import { createSessions } from './rights/auth.ts'
import { callflowRoutes, checkCallflow } from './resources/callflows.ts'
import { cdrRoutes } from './calls/cdrs.ts'
import { channelRoutes } from './calls/channels.ts'
import { crossOrigin } from './http/cors.ts'
import { deviceRoutes } from './resources/devices.ts'
import { asAppError } from './http/envelope.ts'
import { handOn } from './http/hand-on.ts'
import type { Context, State } from './http/exchange.ts'
import { eventRoutes } from './calls/events.ts'
import { freeswitchXml, XML_PATH } from './directory/freeswitch-xml.ts'
import { groupRoutes } from './resources/groups.ts'
import { resourceRoutes } from './resources/resources.ts'
import { menuRoutes } from './resources/menus.ts'
import { temporalRuleRoutes } from './resources/temporal-rules.ts'
import { report, WATCHED } from './about/health.ts'
import { createLimits } from './rights/limits.ts'
import { loginRoutes } from './resources/login.ts'
import { checkMetaflows } from './validation/metaflows.ts'
import { openApiRoutes } from './about/openapi.ts'
import { phoneNumberRoutes } from './resources/phone-numbers.ts'
import { quickcallRoutes } from './calls/quickcall.ts'
import { reconciliationRoutes } from './recordings/reconciliation.ts'
import { recordingPolicyRoutes } from './recordings/recording-policy.ts'
import { recordingDeliveryRoutes } from './recordings/recording-delivery.ts'
import { recordingChangeRoutes } from './recordings/recording-changes.ts'
import { recordingRoutes } from './recordings/recordings.ts'
import { isEnveloped, isForApplications, type Route } from './http/route.ts'
import { loadSchemas } from './validation/schemas.ts'
import { createRouting } from './http/routing.ts'
import { serve } from './http/serve.ts'
import { storageRoutes } from './recordings/storage.ts'
import { tokenRoutes } from './resources/token-auth.ts'
import { createTurns } from '../in-turn.ts'
import { userRoutes } from './resources/users.ts'
import { createValidator } from './validation/validate.ts'
import { byPath } from './http/verb.ts'
import { transcriptRoutes } from './recordings/transcripts.ts'
import { serveApplication, voiceRoutes } from './voice/voice-api.ts'
import { webhookRoutes } from './resources/webhooks.ts'
import type { ApiPorts } from './http/ports.ts'
import type { Room } from './http/room.ts'
import { schemaRoutes } from './about/schema-routes.ts'

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
    ...reconciliationRoutes(room),
    ...recordingRoutes(room),
    ...recordingChangeRoutes(room),
    ...transcriptRoutes(room),
    ...recordingDeliveryRoutes(room),
    ...storageRoutes(room),
    ...recordingPolicyRoutes(room),
    ...cdrRoutes(room),
    ...quickcallRoutes(room),
    ...channelRoutes(room),
    ...webhookRoutes(room),
    ...applicationRoutes(room),
    ...voiceRoutes(room),
    ...eventRoutes(room),
    ...schemaRoutes(room, { callflows: fields => checkCallflow(room, fields), metaflows: fields => checkMetaflows(room.validator, fields, []) }),
    ...aboutRoutes(room),
    ...openApiRoutes(room, () => routes),
  ]
  return routes
}

export function createApi(ports: ApiPorts): Api {
  const schemas = loadSchemas(ports.config.maxTimeLimit)
  const room: Room = {
    ...ports,
    schemas,
    validator: createValidator(schemas, parseNetworks(ports.config.uploadAllowNetworks ?? [])),
    sessions: createSessions(ports),
    limits: createLimits(ports.config),
    trustedProxies: parseNetworks(ports.config.trustedProxies ?? []),
    inTurn: createTurns(),
  }
  const routes = routesOf(room)
  const app = new Koa<State>()
  // Only what comes after an answer has begun arrives here, such as a client that hangs up while it listens.
  app.on('error', (error: unknown) => ports.log.debug('response_ended_early', { reason: asAppError(error).message }))
  app.use(answers(ports))
  app.use(crossOrigin())
  app.use(handOn(ports))
  app.use(watched(ports))
  app.use(directory(ports))
  const routing = createRouting()
  for (const [path, methods] of byPath(routes.filter(isEnveloped))) routing.add(path, ctx => serve(room, methods, ctx))
  for (const [path, methods] of byPath(routes.filter(isForApplications))) routing.add(path, ctx => serveApplication(room, methods, ctx))
  app.use(routing.dispatch)
  app.use(unrouted)
  return { callback: app.callback(), routes }
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
    ctx.state.route = XML_PATH
    const { status, headers, xml } = await answerTo(ctx.req)
    ctx.status = status
    for (const [name, value] of Object.entries(headers)) ctx.set(name, value)
    ctx.body = xml
  }
}

/** Kazoo's first version is gone; of the Voice API's first version there are other paths. */
function unrouted({ path }: Context): void {
  if (/^\/v1(\/|$)/.test(path) && !/^\/v1\/(calls|files)\//.test(path)) throw new AppError('gone', 'version 1 of the API is gone; use /v2')
  throw new AppError('not_found', 'not found')
}
