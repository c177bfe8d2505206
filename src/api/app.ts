// The REST API's table of contents, and the order in which Koa goes through it: answers.ts around
// everything, and serve.ts where a path has routes, or voice-api.ts where they are for applications.

import Koa from 'koa'
import { parseNetworks } from '../addresses.ts'
import { AppError } from '../errors.ts'
import { aboutRoutes } from './about.ts'
import { accountTreeRoutes } from './account-tree.ts'
import { accountRoutes } from './accounts.ts'
import { apiKeyRoutes } from './api-key.ts'
import { answers } from './answers.ts'
import { applicationRoutes } from './applications.ts'
import { createSessions } from './auth.ts'
import { callflowRoutes, checkCallflow } from './callflows.ts'
import { cdrRoutes } from './cdrs.ts'
import { channelRoutes } from './channels.ts'
import { crossOrigin } from './cors.ts'
import { deviceRoutes } from './devices.ts'
import { asAppError } from './envelope.ts'
import type { Context, State } from './exchange.ts'
import { eventRoutes } from './events.ts'
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
import { phoneNumberRoutes } from './phone-numbers.ts'
import { quickcallRoutes } from './quickcall.ts'
import { reconciliationRoutes } from './reconciliation.ts'
import { recordingPolicyRoutes } from './recording-policy.ts'
import { recordingDeliveryRoutes } from './recording-delivery.ts'
import { recordingChangeRoutes } from './recording-changes.ts'
import { recordingRoutes } from './recordings.ts'
import { isEnveloped, isForApplications, type Route } from './route.ts'
import { loadSchemas } from './schemas.ts'
import { createRouting } from './routing.ts'
import { serve } from './serve.ts'
import { storageRoutes } from './storage.ts'
import { tokenRoutes } from './token-auth.ts'
import { createTurns } from '../in-turn.ts'
import { userRoutes } from './users.ts'
import { createValidator } from './validate.ts'
import { byPath } from './verb.ts'
import { transcriptRoutes } from './transcripts.ts'
import { serveApplication, voiceRoutes } from './voice-api.ts'
import { webhookRoutes } from './webhooks.ts'
import type { ApiPorts } from './ports.ts'
import type { Room } from './room.ts'
import { schemaRoutes } from './schema-routes.ts'

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
    const { status, headers, xml } = await answerTo(ctx.req)
    ctx.status = status
    for (const [name, value] of Object.entries(headers)) ctx.set(name, value)
    ctx.body = xml
  }
}

function unrouted({ path }: Context): void {
  if (path === '/v1' || path.startsWith('/v1/')) throw new AppError('gone', 'version 1 of the API is gone; use /v2')
  throw new AppError('not_found', 'not found')
}
