// Webhooks: what an account wants to be told, and where; what became of telling is listed below each.

import { HOOKS } from '../../webhooks/document.ts'
import { accountDb } from '../../store/modb.ts'
import { accountResource } from '../documents/account-resource.ts'
import { type Draft, existing, type Settled } from '../documents/document.ts'
import { type Fields, shown } from '../validation/fields.ts'
import { listMonths } from '../documents/months.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

export function webhookRoutes(room: Room): Route[] {
  const { store, random } = room

  /** Messages are signed whether or not the account thought of a secret. One that is switched on again begins anew. */
  async function settle({ fields, before }: Draft): Promise<Settled> {
    const secret = fields['secret'] ?? before?.['secret'] ?? random(32).toString('hex')
    const on = fields['enabled'] !== false
    const { disable_message, ...rest } = fields
    return { fields: { ...rest, secret, ...(on || disable_message === undefined ? {} : { disable_message }) }, pvt: on ? { pvt_failing: undefined } : {} }
  }

  const attempts = async (request: Request): Promise<Answer> => {
    const id = request.param('webhook')
    await existing(store, accountDb(request.account._id), 'webhook', id)
    return listMonths(room, request, { view: 'webhook_attempts/by_webhook', of: id }, shown)
  }

  return [
    { method: 'GET', path: '/v2/webhooks', access: 'user', run: async () => ({ data: HOOKS.map(id => ({ id })) }) },
    ...accountResource(room, { name: 'webhooks', type: 'webhook', param: 'webhook', settle, shown: visible }),
    { method: 'GET', path: '/v2/accounts/:account/webhooks/:webhook/attempts', access: 'admin', run: attempts },
  ]
}

/** Who has the secret can speak in our name. */
function visible(doc: Readonly<Fields>, { who }: Request): Fields {
  const { secret, ...rest } = shown(doc)
  return who.level === 'admin' ? { ...rest, secret } : rest
}
