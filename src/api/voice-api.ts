// The Voice API's own paths: no accounts in them, no envelopes around what goes well, and applications in place of
// users.

import type Koa from 'koa'
import { AppError } from '../errors.ts'
import { ANSWER } from './answers.ts'
import { readJson } from './body.ts'
import type { Context, State } from './exchange.ts'
import { clientAddress } from './proxies.ts'
import { type Applicant, applicantOf } from './voice-auth.ts'
import { changeCall, placeCall, readCall } from './voice-calls.ts'
import { fileOf } from './voice-files.ts'
import type { Room } from './room.ts'

interface VoiceRoute {
  /** As in the metrics. */
  name: string
  path: RegExp
  methods: Readonly<Record<string, (room: Room, who: Applicant, ctx: Context, id: string) => Promise<void>>>
}

const ROUTES: readonly VoiceRoute[] = [
  { name: '/v1/files/:file', path: /^\/v[13]\/files\/([^/]+)$/, methods: { GET: file, HEAD: file } },
  { name: '/v1/calls', path: /^\/v1\/calls()$/, methods: { POST: place } },
  { name: '/v1/calls/:call', path: /^\/v1\/calls\/([^/]+)$/, methods: { GET: show, PUT: change } },
]

export function voiceApi(room: Room): Koa.Middleware<State> {
  return async (ctx, next) => {
    const route = ROUTES.find(({ path }) => path.test(ctx.path))
    if (route === undefined) return next()
    const { name, path, methods } = route
    ctx.state.route = name
    const run = Object.hasOwn(methods, ctx.method) ? methods[ctx.method] : undefined
    if (run === undefined) throw new AppError('invalid_method', `not ${ctx.method}`, { allow: Object.keys(methods).join(', ') })
    const who = await applicantOf(room, ctx.headers)
    await room.limits.request(who.application._id)
    await run(room, who, ctx, path.exec(ctx.path)?.[1] ?? '')
  }
}

async function file(room: Room, who: Applicant, ctx: Context, uuid: string): Promise<void> {
  const address = clientAddress(ctx.ip, ctx.get('x-forwarded-for'), room.trustedProxies)
  const request = { headers: ctx.headers, query: new URLSearchParams(ctx.querystring), address }
  ctx.body = { ...(await fileOf(room, who, uuid, request)), [ANSWER]: true }
}

async function place(room: Room, who: Applicant, ctx: Context): Promise<void> {
  const answer = await placeCall(room, who, await readJson(ctx.req))
  ctx.status = 201
  ctx.body = answer
}

async function show(room: Room, who: Applicant, ctx: Context, uuid: string): Promise<void> {
  ctx.body = await readCall(room, who, uuid)
}

async function change(room: Room, who: Applicant, ctx: Context, uuid: string): Promise<void> {
  await changeCall(room, who, uuid, await readJson(ctx.req))
  ctx.status = 204
}
