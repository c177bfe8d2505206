// The embedded switch (DESIGN §2, §16): a server that speaks ESL, makes calls between simulated phones and writes real WAV
// files. It imitates what a FreeSWITCH was seen to do and refuses the rest in FreeSWITCH's words. For first steps and
// tests; it needs nothing installed. `callrec simulator` runs it in a process of its own.

import { type Clock, systemClock } from '../clock.ts'
import type { Log } from '../log.ts'
import { APPLICATIONS } from './applications.ts'
import { runCommand } from './commands.ts'
import { startEslServer } from './esl-server.ts'
import { createExchange, type Exchange } from './exchange.ts'
import { stopAll } from './recording.ts'
import { createSipLegs } from './sip-leg.ts'
import { heartbeatHeaders } from './status.ts'

export interface SimulatorOptions {
  host: string
  /** 0 takes any free port. */
  port: number
  password: string
  /** Where a relative recording path or sound is looked for. */
  recordingDir: string
  /** Call time runs this many times as fast as the wall. */
  speed: number
  /** Its `elapsed` and `after` are call time; without one, the system's at `speed`. */
  clock?: Clock
  log: Log
  /** Milliseconds of the wall without a client after which `idle` settles. */
  idleExitMs?: number
}

export interface Simulator {
  readonly port: number
  /** Settles when no client has been connected for `idleExitMs`; the process may leave then. */
  readonly idle: Promise<void>
  /** Ends all calls; their recordings are closed properly. */
  close(): Promise<void>
}

const IDLE_EXIT = 60_000
const HEARTBEAT = 20_000
/** Recordings are brought to disk once a second of call time, but not more often than four times a second of the wall. */
const WRITE_EVERY = 1000
const WRITES_PER_SECOND = 4

export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const { log, speed, idleExitMs = IDLE_EXIT } = options
  const clock = options.clock ?? systemClock(speed)
  const exchange = createExchange({ clock, speed, log, recordingDir: options.recordingDir, applications: APPLICATIONS, api: runCommand, sip: createSipLegs })

  let becomeIdle: () => void = () => {}
  const idle = new Promise<void>(resolve => {
    becomeIdle = resolve
  })
  let closed = false
  let cancelIdle = clock.after(idleExitMs * speed, becomeIdle)

  const server = await startEslServer({
    exchange,
    host: options.host,
    port: options.port,
    password: options.password,
    onClients(count) {
      cancelIdle()
      if (count === 0 && !closed) cancelIdle = clock.after(idleExitMs * speed, becomeIdle)
    },
  })
  every(exchange, HEARTBEAT, () => exchange.fire('HEARTBEAT', () => heartbeatHeaders(exchange)))
  every(exchange, WRITE_EVERY * Math.max(1, speed / WRITES_PER_SECOND), () => {
    for (const { recordings, message } of exchange.legs.values()) for (const recording of [...recordings, message]) recording?.flush()
  })
  log.info('simulator_listening', { host: options.host, port: server.port, speed, note: 'an imitation of FreeSWITCH for first steps and tests' })

  return {
    port: server.port,
    idle,
    async close() {
      closed = true
      cancelIdle()
      for (const leg of exchange.legs.values()) {
        leg.message?.stop()
        stopAll(leg)
      }
      exchange.timeline.close()
      await exchange.sip.close()
      await server.close()
    },
  }
}

function every(exchange: Exchange, ms: number, run: () => void): void {
  exchange.timeline.after(ms, () => {
    run()
    every(exchange, ms, run)
  })
}
