// Groups: users and devices that a callflow rings by one name.

import { accountResource } from './account-resource.ts'
import type { Route } from './route.ts'
import type { Room } from './room.ts'

export const groupRoutes = (room: Room): Route[] => accountResource(room, { name: 'groups', type: 'group', param: 'group' })
