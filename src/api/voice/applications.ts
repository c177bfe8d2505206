// Voice applications. `application_id` is what one calls itself in its JWTs; its secret is for admins.

import { applicationId, type ApplicationDoc, keyProblem } from '../../voice/application.ts'
import { accountResource } from '../documents/account-resource.ts'
import { shown } from '../validation/fields.ts'
import { problem } from '../validation/problems.ts'
import type { Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

export const applicationRoutes = (room: Room): Route[] =>
  accountResource(room, {
    name: 'applications',
    type: 'application',
    param: 'application',
    computed: ['application_id'],
    check: fields => {
      const key = fields['public_key']
      const message = typeof key === 'string' ? keyProblem(key) : undefined
      return { fields, problems: message === undefined ? {} : problem('public_key', 'error', { message, value: key }) }
    },
    shown: (doc, { who }) => {
      const { signature_secret, ...rest } = shown(doc)
      const fields = { ...rest, application_id: applicationId(doc as unknown as ApplicationDoc) }
      return who.level === 'admin' && signature_secret !== undefined ? { ...fields, signature_secret } : fields
    },
  })
