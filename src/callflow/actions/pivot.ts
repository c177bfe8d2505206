// pivot: asks a tenant's server what to do with the call, and does that. The answer is a flow like those of
// documents and is checked as strictly; when there is none, the call goes to `error`.

import { AppError, reasonOf } from '../../errors.ts'
import type { TenantRequest } from '../../net/client.ts'
import type { Action, Call } from '../call.ts'
import { text } from '../documents.ts'
import { next, replace } from '../flow.ts'
import { parametersOf, withQuery } from '../pivot.ts'

const PATIENCE_MS = 5000
const MOST_BYTES = 256 * 1024

export const pivot: Action = async ({ voice_url, method, req_body_format, req_timeout_ms }, call) => {
  try {
    const flow = await fetched(call, requestFor(call, text(voice_url), String(method).toLowerCase() === 'post', req_body_format === 'json'), req_timeout_ms)
    call.log.info('pivot_answered', { host: hostOf(text(voice_url)) })
    return replace({ _id: call.callflow._id, name: 'pivot', flow })
  } catch (error) {
    if (call.signal.aborted) throw call.signal.reason
    call.log.error('pivot_failed', { host: hostOf(text(voice_url)), why: reasonOf(error) })
    return next('error')
  }
}

/** No query and no password in the log. */
const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : '')

function requestFor(call: Call, url: string, post: boolean, json: boolean): TenantRequest {
  const parameters = parametersOf(call)
  if (!post) return { method: 'GET', url: withQuery(url, parameters), headers: { accept: 'application/json' } }
  const body = Buffer.from(json ? JSON.stringify(Object.fromEntries(parameters)) : withQuery('', parameters).slice(1))
  return {
    method: 'POST',
    url,
    headers: { accept: 'application/json', 'content-type': json ? 'application/json' : 'application/x-www-form-urlencoded' },
    body: {
      length: body.length,
      async *open() {
        yield body
      },
    },
  }
}

/** A flow that could be saved; throws in words for anything else. */
async function fetched(call: Call, request: TenantRequest, patience: unknown): Promise<unknown> {
  const { http, wall, checkFlow } = call.ports
  const stop = new AbortController()
  const giveUp = (): void => stop.abort()
  const wanted = Number(patience ?? PATIENCE_MS)
  const cancel = wall.after(wanted >= 1 && wanted <= PATIENCE_MS ? wanted : PATIENCE_MS, giveUp)
  call.signal.addEventListener('abort', giveUp, { once: true })
  try {
    const { status, body, complete } = await http.request({ ...request, maxBytes: MOST_BYTES, signal: stop.signal })
    if (status < 200 || status > 299) throw unusable(`it answered ${status}`)
    if (!complete) throw unusable(`its answer broke off or is longer than ${MOST_BYTES} bytes`)
    const { flow, faults } = checkFlow(parsed(body))
    if (faults.length > 0) throw unusable(`its answer is no flow: ${faults.slice(0, 5).join('; ').slice(0, 500)}`)
    return flow
  } finally {
    cancel()
    call.signal.removeEventListener('abort', giveUp)
  }
}

const unusable = (why: string): AppError => new AppError('upload_rejected', why)

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch (cause) {
    throw new AppError('upload_rejected', 'its answer is not JSON', {}, { cause })
  }
}
