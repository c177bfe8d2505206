// The Voice API's own paths: no accounts in them, applications in place of users, and no envelopes, except around what
// is refused.

import { ANSWER } from '../http/answers.ts'
import { readAll, readJson } from '../http/body.ts'
import { checkedParams } from '../validation/params.ts'
import { clientAddress } from '../rights/proxies.ts'
import type { Answer, ApplicationRequest, Applications } from '../http/route.ts'
import { type Routed, takesBody, tellMethods } from '../http/serve.ts'
import { type Methods, notAllowed, routeOf } from '../http/verb.ts'
import { applicantOf } from '../rights/voice-auth.ts'
import { changeCall, placeCall, readCall } from './voice-calls.ts'
import { fileOf } from './voice-files.ts'
import type { Room } from '../http/room.ts'

/** What the audio of a recording may be. */
const SOUND = ['audio/mpeg', 'audio/x-wav'] as const

export function voiceRoutes(room: Room): Applications[] {
  const file = (request: ApplicationRequest): Promise<Answer> => fileOf(room, request.who, request.param('file'), request)
  return [
    { method: 'GET', path: '/v1/files/:file', access: 'application', produces: SOUND, run: file },
    { method: 'GET', path: '/v3/files/:file', access: 'application', produces: SOUND, run: file },
    { method: 'POST', path: '/v1/calls', access: 'application', run: async ({ who, body }) => ({ status: 201, bare: await placeCall(room, who, body) }) },
    { method: 'GET', path: '/v1/calls/:call', access: 'application', run: async ({ who, param }) => ({ bare: await readCall(room, who, param('call')) }) },
    {
      method: 'PUT',
      path: '/v1/calls/:call',
      access: 'application',
      async run({ who, param, body }) {
        await changeCall(room, who, param('call'), body)
        return { status: 204, bare: null }
      },
    },
  ]
}

/** Whatever is asked for, nobody but an application is told whether it is there. */
export async function serveApplication(room: Room, methods: Methods<Applications>, ctx: Routed): Promise<void> {
  if (ctx.method === 'OPTIONS') return tellMethods(ctx, methods)
  const route = routeOf(methods, ctx.method)
  if (route === undefined) throw notAllowed(methods)
  const who = await applicantOf(room, ctx.headers)
  await room.limits.request(who.application._id)
  const param = checkedParams(ctx.params)
  const address = clientAddress(ctx.ip, ctx.get('x-forwarded-for'), room.trustedProxies)
  if (takesBody(route)) ctx.state.body = await readAll(ctx.req)
  const body = ctx.state.body === undefined ? {} : readJson(ctx.state.body)
  const answer = await route.run({ who, address, headers: ctx.headers, query: new URLSearchParams(ctx.querystring), param, body })
  ctx.body = { ...answer, [ANSWER]: true }
}
