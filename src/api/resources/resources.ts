// Resources: the trunks an account may leave by. They name the operator's gateways and spend his money, so an
// account reads its own, but only one above it – or the master account – changes them.

import { accountResource } from '../documents/account-resource.ts'
import { problem, type Problems } from '../validation/problems.ts'
import { whyNoExpression } from '../validation/flow.ts'
import type { Fields } from '../validation/fields.ts'
import type { Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

export const resourceRoutes = (room: Room): Route[] =>
  accountResource(room, { name: 'resources', type: 'resource', param: 'resource', right: 'operator', check })

function check(fields: Fields): { fields: Fields; problems: Problems } {
  const rules = Array.isArray(fields['rules']) ? fields['rules'] : []
  const wrong = rules.map((rule, at) => {
    const message = typeof rule === 'string' ? whyNoExpression(rule) : undefined
    return message === undefined ? {} : problem(`rules.${at}`, 'error', { message, value: rule })
  })
  return { fields, problems: Object.assign({}, ...wrong) as Problems }
}
