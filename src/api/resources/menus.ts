// Menus: what a caller hears before he presses a key, and how long he has for it.

import { accountResource } from '../documents/account-resource.ts'
import { whyNoExpression } from '../validation/flow.ts'
import { join, problem } from '../validation/problems.ts'
import type { Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

export const menuRoutes = (room: Room): Route[] =>
  accountResource(room, {
    name: 'menus',
    type: 'menu',
    param: 'menu',
    check: fields => {
      const wrong = ['hunt_allow', 'hunt_deny'].map(key => {
        const pattern = fields[key]
        const message = typeof pattern === 'string' ? whyNoExpression(pattern) : undefined
        return message === undefined ? {} : problem(key, 'error', { message, value: pattern })
      })
      return { fields, problems: join(...wrong) }
    },
  })
