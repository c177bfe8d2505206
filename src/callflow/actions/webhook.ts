// webhook: tells a server of the tenant that the call is here, and goes on at once (cf_webhook.erl). It is of this moment:
// what fails is tried again while the engine runs, and then a line in the log.

import { reasonOf } from '../../errors.ts'
import type { TenantRequest } from '../../net/client.ts'
import type { Action, Call } from '../call.ts'
import { isObject, text } from '../documents.ts'
import { next } from '../flow.ts'

/** Milliseconds before the first repetition; Kazoo's. */
const AGAIN = 2_000
const MOST_RETRIES = 4

export const webhook: Action = ({ uri, http_verb, retries, custom_data }, call) => {
  const fields = { ...aboutCall(call), ...(isObject(custom_data) ? { custom_data } : {}) }
  const left = typeof retries === 'number' ? Math.min(Math.max(0, retries), MOST_RETRIES) : 2
  void send(call, requestOf(text(uri), http_verb === 'get' ? 'GET' : 'POST', fields), left)
  return next()
}

const aboutCall = ({ leg, accountId, number, interactionId, callflow }: Call): Record<string, unknown> => ({
  account_id: accountId,
  call_id: leg.uuid,
  interaction_id: interactionId,
  callflow_id: callflow._id,
  caller_id_name: leg.callerIdName,
  caller_id_number: leg.callerIdNumber,
  to: number,
})

function requestOf(uri: string, method: 'GET' | 'POST', fields: Record<string, unknown>): TenantRequest {
  if (method === 'POST') {
    const body = Buffer.from(JSON.stringify(fields))
    return {
      method,
      url: uri,
      headers: { 'content-type': 'application/json' },
      body: {
        length: body.length,
        async *open() {
          yield body
        },
      },
    }
  }
  const url = new URL(uri)
  for (const [name, value] of Object.entries(fields)) url.searchParams.append(name, typeof value === 'string' ? value : JSON.stringify(value))
  return { method, url: url.href }
}

/** Never rejects. */
async function send(call: Call, request: TenantRequest, left: number): Promise<void> {
  const { http, wall } = call.ports
  let why: string
  try {
    const { status } = await http.request(request)
    if (status >= 200 && status < 300) return call.log.debug('callflow_webhook_told', { status })
    why = `answered ${status}`
  } catch (error) {
    why = reasonOf(error)
  }
  call.log.warn('callflow_webhook_failed', { reason: why, left })
  if (left > 0) wall.after(AGAIN * 2 ** (MOST_RETRIES - left), () => void send(call, request, left - 1))
}
