// Browsers of other origins may use the API (api_util.erl): whoever has a token is in it by the token,
// and there are no cookies another page's script could borrow.

import cors from '@koa/cors'
import type { Middleware } from 'koa'

const METHODS = ['OPTIONS', 'HEAD', 'GET', 'PUT', 'POST', 'PATCH', 'DELETE']

const HEADERS = [
  'content-type',
  'depth',
  'user-agent',
  'x-http-method-override',
  'x-file-size',
  'x-requested-with',
  'if-modified-since',
  'x-file-name',
  'cache-control',
  'x-auth-token',
  'x-kazoo-cluster-id',
  'if-match',
  // Kazoo does not take these.
  'authorization',
  'if-none-match',
  'range',
  'x-request-id',
]

const EXPOSED = [
  'content-type',
  'x-auth-token',
  'x-request-id',
  'x-kazoo-cluster-id',
  'location',
  'etag',
  // What goes with a Range, a download and a 429.
  'accept-ranges',
  'content-disposition',
  'content-range',
  'link',
  'retry-after',
]

/** Seconds. */
const DAY = 86_400

export function crossOrigin(): Middleware {
  const allow = cors({ origin: '*', allowMethods: METHODS, allowHeaders: HEADERS, exposeHeaders: EXPOSED, maxAge: DAY, keepHeadersOnError: false })
  return async (ctx, next) => {
    await allow(ctx, next)
    // Kazoo's clients compare with 200.
    if (ctx.method === 'OPTIONS' && ctx.status === 204) {
      ctx.status = 200
      ctx.body = ''
    }
  }
}
