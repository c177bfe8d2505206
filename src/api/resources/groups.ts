// Groups: users and devices that a callflow rings by one name.

import { accountResource } from '../documents/account-resource.ts'
import type { Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

export const groupRoutes = (room: Room): Route[] => accountResource(room, { name: 'groups', type: 'group', param: 'group' })
