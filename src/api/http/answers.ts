// What a route answers or throws becomes a response: an envelope, a file or nothing but headers.

import { randomUUID } from 'node:crypto'
import helmet from 'helmet'
import type Koa from 'koa'
import { AppError } from '../../errors.ts'
import { asAppError, failure, type Frame, success } from './envelope.ts'
import type { Context, State } from './exchange.ts'
import type { Fields } from '../validation/fields.ts'
import { isKnown } from './preconditions.ts'
import { problem } from '../validation/problems.ts'
import type { Answer } from './route.ts'
import type { ApiPorts } from './ports.ts'

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

/** Around everything, because Koa's own handler of errors wipes every header that was set. */
export function answers({ log, random, clock, config, metrics, store }: ApiPorts): Koa.Middleware<State> {
  const node = random(8).toString('hex')
  const protect = helmet()
  /** Those of every answer, when there is one: what a switch is asked waits for none of them. */
  function headers(ctx: Context): void {
    protect(ctx.req, ctx.res, () => {})
    ctx.set('x-request-id', ctx.state.requestId)
    // An envelope holds the token it was asked with.
    ctx.set('cache-control', 'no-store')
  }
  return async (ctx, next) => {
    // What is no URL makes Koa throw wherever it looks for the path: no route has it.
    if (!isTarget(ctx.req.url ?? '')) ctx.req.url = '/'
    const began = clock.now()
    const asked = ctx.get('x-request-id')
    ctx.state.requestId = REQUEST_ID.test(asked) ? asked : randomUUID().replaceAll('-', '')
    const frame = (): Frame => {
      const { requestId, token, tokens } = ctx.state
      return { requestId, node, version: config.version, now: clock.now(), token, tokens, store: store.kind }
    }
    try {
      await next()
      headers(ctx)
      if (isAnswer(ctx.body)) answer(ctx, ctx.body, frame())
    } catch (thrown) {
      const error = asAppError(thrown)
      if (error.status >= 500) log.error('request_failed', { request_id: ctx.state.requestId, path: ctx.path, reason: error.message, ...causeOf(error) })
      headers(ctx)
      refuse(ctx, error, frame())
    }
    metrics.count('callrec_http_requests_total', { method: ctx.method, route: ctx.state.route ?? 'none', status: String(ctx.status) })
    // Never the query: it may hold a token.
    log.debug('request_answered', { request_id: ctx.state.requestId, method: ctx.method, path: ctx.path, status: ctx.status, duration_ms: clock.now() - began })
  }
}

const isTarget = (url: string): boolean => url.startsWith('/') || URL.canParse(url)

const causeOf = ({ cause }: Error): Record<string, unknown> => (cause instanceof Error ? { cause: cause.stack } : cause === undefined ? {} : { cause })

/** Marks what a route answered among what Koa may hold as a body. */
export const ANSWER: unique symbol = Symbol('answer')
type Marked = Answer & { [ANSWER]: true }
const isAnswer = (body: unknown): body is Marked => typeof body === 'object' && body !== null && ANSWER in body

function answer(ctx: Context, given: Answer, frame: Frame): void {
  ctx.status = given.status ?? 200
  for (const [name, value] of Object.entries(given.headers ?? {})) ctx.set(name, value)
  if (given.stream !== undefined) {
    ctx.body = given.stream.body
    ctx.type = given.stream.type
    // nginx would keep events back until there are enough of them.
    ctx.set('x-accel-buffering', 'no')
  } else if (given.file !== undefined) {
    ctx.attachment(given.file.name, { type: given.file.inline ? 'inline' : 'attachment' })
    ctx.body = given.file.body
    ctx.type = given.file.type
    ctx.length = given.file.length
  } else if (given.relayed !== undefined) {
    ctx.body = given.relayed
  } else if (given.bare === null) {
    ctx.body = null
  } else if (given.bare !== undefined) {
    writeJson(ctx, given.bare)
  } else {
    const token = given.token === null ? undefined : (given.token ?? frame.token)
    write(ctx, success({ ...frame, token }, given.data, given.revision, given.beside))
    if (given.revision !== undefined) ctx.set('etag', `"${given.revision}"`)
  }
  if ((ctx.method === 'GET' || ctx.method === 'HEAD') && isKnown(ctx.headers['if-none-match'], etagOf(ctx))) notModified(ctx, given)
}

/** No dots: a path such as `opener.x.click` would let whoever can put a script's URL into one of our pages press its buttons. */
const FUNCTION = /^[A-Za-z_$][\w$]{0,127}$/

/** Readable where that is asked for. */
function writeJson(ctx: Context, fields: Fields): void {
  const { pretty_print: pretty = ctx.get('x-pretty-print') } = ctx.query
  ctx.type = 'application/json'
  ctx.body = JSON.stringify(fields, null, pretty === 'true' ? 2 : 0)
}

/** As JSON, or as the script that a page of another origin loads (api_util.erl create_resp_content/2). */
function write(ctx: Context, envelope: Fields): void {
  const { jsonp } = ctx.query
  if (jsonp === undefined || ctx.method !== 'GET') return writeJson(ctx, envelope)
  const message = 'Value must be the name of a function'
  if (typeof jsonp !== 'string' || !FUNCTION.test(jsonp)) {
    throw new AppError('validation error', message, problem('jsonp', 'pattern', { message, target: FUNCTION.source, value: jsonp }))
  }
  ctx.type = 'text/javascript'
  ctx.set('cross-origin-resource-policy', 'cross-origin')
  // The comment keeps the answer from beginning with what a stranger chose.
  ctx.body = `/**/${jsonp}(${JSON.stringify(envelope)});`
}

/** Koa's types promise a text. */
const etagOf = (ctx: Context): string | undefined => ctx.response.get('etag')

function notModified(ctx: Context, { file }: Answer): void {
  file?.body.destroy()
  ctx.status = 304
  ctx.body = null
}

/** Seconds after which a neighbour that is away is worth asking again. */
const AWAY = 5

function refuse(ctx: Context, error: AppError, frame: Frame): void {
  ctx.status = error.status
  const { retry_after, length, allow } = error.data as { retry_after?: number; length?: number; allow?: string }
  const seconds = retry_after ?? (error.status === 503 && error.retry ? AWAY : undefined)
  if (seconds !== undefined) ctx.set('retry-after', String(seconds))
  if (allow !== undefined) ctx.set('allow', allow)
  if (error.code === 'range_not_satisfiable') ctx.set('content-range', `bytes */${length}`)
  // What is left of its body is not read, so nothing else can follow on this connection.
  if (error.code === 'body_too_large') ctx.set('connection', 'close')
  writeJson(ctx, failure(frame, error))
}
