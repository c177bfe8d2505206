// The Voice API's own paths: no accounts in them, no envelopes, and applications in place of users.

import type Koa from 'koa'
import { AppError } from '../errors.ts'
import { ANSWER } from './answers.ts'
import type { State } from './exchange.ts'
import { clientAddress } from './proxies.ts'
import type { Room } from './route.ts'
import { applicantOf } from './voice-auth.ts'
import { fileOf } from './voice-files.ts'

const FILES = /^\/v[13]\/files\/([^/]+)$/

export function voiceApi(room: Room): Koa.Middleware<State> {
  return async (ctx, next) => {
    const [, file] = FILES.exec(ctx.path) ?? []
    if (file === undefined) return next()
    ctx.state.route = '/v1/files/:file'
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') throw new AppError('invalid_method', `not ${ctx.method}`, { allow: 'GET, HEAD' })
    const address = clientAddress(ctx.ip, ctx.get('x-forwarded-for'), room.trustedProxies)
    const applicant = await applicantOf(room, ctx.headers)
    await room.limits.request(applicant.application._id)
    const query = new URLSearchParams(ctx.querystring)
    ctx.body = { ...(await fileOf(room, applicant, file, { headers: ctx.headers, query, address })), [ANSWER]: true }
  }
}
