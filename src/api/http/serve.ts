// A request finds its route: who asks, what for, whether he may, and then what the route needs of it.

import { AppError } from '../../errors.ts'
import { requireJson } from './accept.ts'
import { ANSWER } from './answers.ts'
import { accountOf, type Session, tokenOf } from '../rights/auth.ts'
import { dataOf, type Envelope, LARGEST_BODY, LARGEST_OF_STRANGERS, readEnvelope, textOf } from './body.ts'
import { asCsv, CSV, wantsCsv } from './csv.ts'
import { isList } from './described.ts'
import type { Context } from './exchange.ts'
import { checkedParams } from '../validation/params.ts'
import { clientAddress } from '../rights/proxies.ts'
import { obstacle, type Right } from '../rights/rights.ts'
import type { Answer, Enveloped, Guarded, OpenRequest, Request, Route } from './route.ts'
import { asReadBy } from '../validation/secrets.ts'
import { allowed, isAnyones, type Methods, notAllowed, routeOf } from './verb.ts'
import type { Room } from './room.ts'

export type Routed = Context & { params: Record<string, string> }

export async function serve(room: Room, methods: Methods<Enveloped>, ctx: Routed): Promise<void> {
  if (ctx.method === 'OPTIONS') return tellMethods(ctx, methods)
  const query = new URLSearchParams(ctx.querystring)
  const verb = query.get('verb')
  // A POST may say in its envelope what it is, which is read only for whoever has a token where one is needed.
  const isOpen = verb === null && ctx.method === 'POST'
  const named = routeOf(methods, verb ?? ctx.method)
  if (named === undefined && !isOpen) throw notAllowed(methods)
  const param = checkedParams(ctx.params)
  const address = clientAddress(ctx.ip, ctx.get('x-forwarded-for'), room.trustedProxies)
  const unread = { id: ctx.state.requestId, address, headers: ctx.headers, query, param }
  let reading: Promise<Envelope | undefined> | undefined
  const most = isAnyones(methods) ? LARGEST_OF_STRANGERS : LARGEST_BODY
  const read: ReadEnvelope = () => (reading ??= readEnvelope(ctx.req, most, bytes => void (ctx.state.body = bytes)))
  const session = isAnyones(methods) ? undefined : await identify(room, ctx, query, read)
  const enter = (route: Enveloped): Promise<Entered> => admit(room, route, ctx, unread, session ?? (() => identify(room, ctx, query, read)))
  const entered = isOpen || named === undefined ? undefined : await enter(named)
  const envelope = entered === undefined || takesBody(entered.route) ? await read() : undefined
  const route = entered?.route ?? routeOf(methods, textOf(envelope, 'verb') ?? ctx.method)
  if (route === undefined) throw notAllowed(methods)
  if (ctx.method !== 'HEAD') ctx.method = route.method

  const { run } = entered ?? (await enter(route))
  const accept = typeOf(query.get('accept') ?? textOf(envelope, 'accept') ?? (ctx.get('accept') || '*/*'))
  const inRows = isList(route) && wantsCsv(accept)
  const inEvents = route.streams !== undefined && accept.includes(route.streams)
  if (route.produces === undefined && !inRows && !inEvents) requireJson(accept)
  const data = takesBody(route) ? dataOf(envelope, route.body === 'optional') : {}
  const action = textOf(envelope, 'action')
  const answer = await run({ ...unread, accept, data, ...(action === undefined ? {} : { action }) })
  ctx.body = { ...(inRows ? asCsv(answer, ctx.path, unread) : answer), [ANSWER]: true }
}

/** Crossbar knows this one by its short name too (api_resource.erl to_json/3). */
const typeOf = (accept: string): string => (accept === 'csv' ? CSV : accept)

/** Reads the body at most once, whoever asks for it first. */
type ReadEnvelope = () => Promise<Envelope | undefined>

async function identify({ sessions, limits }: Room, ctx: Routed, query: URLSearchParams, read: ReadEnvelope): Promise<Session> {
  const token = tokenOf(ctx.headers, query) ?? (await tokenWithin(ctx, read))
  const session = await sessions.of(token)
  if (token !== undefined) ctx.state.token = token
  ctx.state.tokens = await limits.request(session.who.token)
  return session
}

/** For clients that can set neither header nor query; a body that is long or cannot be read holds none. */
async function tokenWithin({ method, request }: Routed, read: ReadEnvelope): Promise<string | undefined> {
  if (!BODIES.has(method) || !(request.length <= LARGEST_OF_STRANGERS)) return undefined
  try {
    return textOf(await read(), 'auth_token')
  } catch {
    return undefined
  }
}

type Unread = Omit<OpenRequest, 'accept' | 'data'>

/** A route, and what runs it for who asks. */
interface Entered {
  route: Enveloped
  run: (request: OpenRequest) => Promise<Answer>
}

async function admit(room: Room, route: Enveloped, ctx: Routed, unread: Unread, known: Session | (() => Promise<Session>)): Promise<Entered> {
  if (route.access === 'anyone') return { route, run: route.run }
  const session = typeof known === 'function' ? await known() : known
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

const BODIES: ReadonlySet<string> = new Set(['PUT', 'POST', 'PATCH'])
export const takesBody = ({ method }: Route): boolean => BODIES.has(method)

export function tellMethods(ctx: Context, methods: Methods): void {
  ctx.set('allow', allowed(methods))
  ctx.status = 200
  ctx.body = ''
}
