// A request about a switch that another engine drives is handed on to that engine, as it came, and its answer is ours. Only
// what was refused here for that reason gets so far: what is about our own switches asks nobody.

import type Koa from 'koa'
import { AppError, reasonOf } from '../../errors.ts'
import type { PeerAnswer } from '../../net/peers.ts'
import { ANSWER } from './answers.ts'
import { Elsewhere } from './elsewhere.ts'
import type { Context, State } from './exchange.ts'
import type { ApiPorts } from './ports.ts'

/** On a request that was handed on, which is not handed on again. */
export const HANDED_ON = 'x-callrec-handed-on'
/** Of the client's headers, those that say who asks, what, and how he wants it. */
const ASKED = ['accept', 'authorization', 'content-type', 'user-agent', 'x-pretty-print'] as const
/** Of the answer's; the others are of the connection, or ours. */
const ANSWERED = ['allow', 'content-type', 'cross-origin-resource-policy', 'etag', 'location', 'retry-after'] as const

export function handOn({ peers, log }: Pick<ApiPorts, 'peers' | 'log'>): Koa.Middleware<State> {
  async function ask(ctx: Context, origin: string, node: unknown): Promise<PeerAnswer> {
    const { method, url: path, state } = ctx
    try {
      return await peers.ask(origin, { method: method === 'HEAD' ? 'GET' : method, path, headers: headersOf(ctx), body: state.body })
    } catch (cause) {
      const reason = reasonOf(cause)
      log.warn('request_not_handed_on', { request_id: state.requestId, node, engine: origin, reason })
      throw new AppError('switch_down', `the engine that drives ${String(node)} cannot be asked: ${reason}`, { node, reason }, { cause })
    }
  }

  return async (ctx, next) => {
    try {
      await next()
    } catch (thrown) {
      if (!(thrown instanceof Elsewhere) || thrown.askAt === undefined || ctx.get(HANDED_ON) !== '') throw thrown
      const { node } = thrown.data
      const { status, headers, body } = await ask(ctx, thrown.askAt, node)
      log.debug('request_handed_on', { request_id: ctx.state.requestId, node, engine: thrown.askAt, status })
      ctx.body = { status, headers: only(ANSWERED, headers), relayed: body, [ANSWER]: true }
    }
  }
}

function headersOf(ctx: Context): Record<string, string> {
  const { requestId, token } = ctx.state
  const via = [ctx.get('x-forwarded-for'), ctx.ip].filter(one => one !== '')
  return {
    ...only(ASKED, ctx.headers),
    ...(token === undefined ? {} : { 'x-auth-token': token }),
    'x-request-id': requestId,
    'x-forwarded-for': via.join(', '),
    [HANDED_ON]: 'true',
  }
}

const only = (names: readonly string[], headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> =>
  Object.fromEntries(
    names.flatMap(name => {
      const value = headers[name]
      return value === undefined ? [] : [[name, String(value)]]
    }),
  )
