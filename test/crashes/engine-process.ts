// An engine as a process of its own, on a store that the test has; see engines.test.ts. Its one argument is JSON.

import { systemClock } from '../../src/clock.ts'
import { silent } from '../../src/log.ts'
import { tenantClient } from '../../src/net/client.ts'
import { openJournal } from '../../src/recording/journal.ts'
import { sightOf } from '../../src/recording/sight.ts'
import { openSpool } from '../../src/recording/spool.ts'
import { connectSwitches } from '../../src/switch/pool.ts'
import { randomBytes } from 'node:crypto'
import { borrowStore } from './remote-store.ts'
import { openRooms } from './rooms.ts'

export interface EngineSettings {
  engine: string
  node: string
  port: number
  password: string
  spool: string
}

/** What the process tells of itself. */
export interface EngineNews {
  heard: string
}

const { engine, node, port, password, spool: here } = JSON.parse(process.argv[2] ?? '') as EngineSettings
const wall = systemClock()
const spool = openSpool({ here, onSwitch: here, minFree: 0 })
const pool = connectSwitches({ nodes: [{ name: node, host: '127.0.0.1', port, password }], clock: wall, log: silent })
const rooms = openRooms({
  store: borrowStore(),
  switches: pool,
  spool,
  journal: openJournal(spool),
  http: tenantClient({ allow: ['127.0.0.0/8'], clock: wall }),
  clock: wall,
  wall,
  engine,
  epoch: randomBytes(4).toString('hex'),
  sees: sightOf(spool, bytes => randomBytes(bytes).toString('hex')),
})
rooms.switches.on(({ name: heard }) => void process.send?.({ heard } satisfies EngineNews))
process.once('disconnect', () => process.exit())
