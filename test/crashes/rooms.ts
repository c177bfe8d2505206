// The rooms of an engine that a crash concerns, on ports that a test has in its hand.

import { randomBytes } from 'node:crypto'
import { startExecutor } from '../../src/callflow/executor.ts'
import type { Clock } from '../../src/clock.ts'
import { createEvents } from '../../src/events.ts'
import { type Log, silent } from '../../src/log.ts'
import { unmeasured } from '../../src/metrics.ts'
import type { TenantClient } from '../../src/net/client.ts'
import { NO_ENCODER } from '../../src/recording/audio/encoder.ts'
import { createAudit } from '../../src/recording/keeping/audit.ts'
import { startDelivery } from '../../src/recording/delivery/delivery.ts'
import type { Journal } from '../../src/recording/journal.ts'
import { startRecorder } from '../../src/recording/recorder.ts'
import type { Spool } from '../../src/recording/spool.ts'
import type { Store } from '../../src/store/store.ts'
import { type OwnedSwitches, ownSwitches } from '../../src/switch/owned.ts'
import type { SwitchNode, Switches } from '../../src/switch/switch.ts'
import { checkFlow, notingSiprec, noVoice } from '../callflow/world.ts'

export interface RoomPorts {
  store: Store
  switches: Switches
  spool: Spool
  journal: Journal
  http: TenantClient
  /** Call time. */
  clock: Clock
  wall: Clock
  engine: string
  epoch: string
  sees?: (node: SwitchNode) => Promise<boolean>
  log?: Log
}

export interface Rooms {
  switches: OwnedSwitches
  close(): Promise<void>
}

const hex = (bytes: number): string => randomBytes(bytes).toString('hex')

export function openRooms({ store, switches: raw, spool, journal, http, clock, wall, engine, epoch, sees = async () => true, log = silent }: RoomPorts): Rooms {
  const ports = { store, spool, journal, log, metrics: unmeasured, events: createEvents(log) }
  const switches = ownSwitches({ switches: raw, sees, engine, epoch, clock: wall, log })
  const audit = createAudit({ ...ports, clock: wall })
  const delivery = startDelivery({
    ...ports,
    directories: {},
    http,
    audit,
    clock: wall,
    random: Math.random,
    nodes: () => switches.inCharge(),
    transcribe: async () => {},
  })
  switches.on(event => void (event.name === 'node_up' && delivery.wake()))
  const recorder = startRecorder({ ...ports, switches, clock, random: hex, deliver: () => delivery.wake(), maxTimeLimit: 10_800, encoder: NO_ENCODER })
  const executor = startExecutor({
    ...ports,
    siprec: notingSiprec().siprec,
    voice: noVoice,
    switches,
    recorder,
    clock,
    wall,
    http,
    checkFlow,
    random: hex,
    config: { maxTimeLimit: 10_800 },
  })
  return {
    switches,
    async close() {
      for (const room of [executor, recorder, delivery, switches]) await room.close()
    },
  }
}
