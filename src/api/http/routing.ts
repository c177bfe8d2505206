// From a request's path to what serves it. A router tries one route after the other, so there is a router for each resource.

import { METHODS } from 'node:http'
import { Router } from '@koa/router'
import type Koa from 'koa'
import type { State } from './exchange.ts'
import type { Routed } from './serve.ts'

export interface Routing {
  /** `path` with `:name`s; every method comes to `run`. */
  add(path: string, run: (ctx: Routed) => Promise<void>): void
  dispatch: Koa.Middleware<State>
}

export function createRouting(): Routing {
  const routers = new Map<string, Router<State>>()
  const dispatchers = new Map<string, Koa.Middleware<State>>()
  return {
    add(path, run) {
      const resource = resourceOf(path)
      const router = routers.get(resource) ?? new Router<State>({ sensitive: true })
      routers.set(resource, router)
      router.register(path.replace(ACCOUNT, OR_OWN_ACCOUNT), METHODS, ctx => {
        ctx.state.route = path
        return run(ctx)
      })
      dispatchers.set(resource, router.routes() as Koa.Middleware<State>)
    },
    dispatch: (ctx, next) => dispatchers.get(resourceOf(ctx.path))?.(ctx, next) ?? next(),
  }
}

/** Kazoo's alias for the account of the token. */
const [ACCOUNT, OR_OWN_ACCOUNT] = [/^\/v2\/accounts\/:account(?=\/|$)/, '/v2/account{s/:account}']

/** The word behind the account, or behind the version where there is none; the same for a route and for each path that matches it. */
function resourceOf(path: string): string {
  const [, , first = '', ...rest] = path.split('/', 5)
  return (first === 'accounts' ? rest[1] : first === 'account' ? rest[0] : first) ?? ''
}
