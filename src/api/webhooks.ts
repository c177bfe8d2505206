// Webhooks: what an account wants to be told, and where. Here are their documents; telling is another room's.

import { accountResource } from './account-resource.ts'
import type { Room, Route } from './route.ts'

export const webhookRoutes = (room: Room): Route[] => accountResource(room, { name: 'webhooks', type: 'webhook', param: 'webhook' })
