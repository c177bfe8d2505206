// What this engine is and what it stands on, for whoever is logged in.

import type { Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

export const aboutRoutes = ({ config, store, switches, modules }: Room): Route[] => [
  {
    method: 'GET',
    path: '/v2/about',
    access: 'user',
    run: async () => ({
      data: {
        version: config.version,
        embedded: config.embedded,
        store: store.kind,
        switches: switches.nodes.map(node => {
          const { name, state, version } = node.status()
          return { name, state, ...(version === undefined ? {} : { version }) }
        }),
        modules,
      },
    }),
  },
]
