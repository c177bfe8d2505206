// Temporal rules: days and times that a callflow asks for.

import { accountResource } from '../documents/account-resource.ts'
import type { Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

export const temporalRuleRoutes = (room: Room): Route[] => accountResource(room, { name: 'temporal_rules', type: 'temporal_rule', param: 'temporal_rule' })
