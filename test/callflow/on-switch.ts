// Executors on a switch that is reached over the wire, embedded or real; documents are in memory and
// the recorder only notes.

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { type Executor, startExecutor } from '../../src/callflow/executor.ts'
import { systemClock, type Clock } from '../../src/clock.ts'
import { silent } from '../../src/log.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import type { Doc } from '../../src/store/store.ts'
import { connectSwitches, whenUp } from '../../src/switch/pool.ts'
import type { SwitchEvent } from '../../src/switch/switch.ts'
import { tenantClient } from '../../src/net/client.ts'
import { eslApi } from '../helpers/esl-client.ts'
import { notedLog } from '../helpers/log.ts'
import { PATIENCE } from '../helpers/wait.ts'
import { ACCOUNT, ALICE_PHONE, checkFlow, memoryStore, notingRecorder, notingSiprec, noVoice } from './world.ts'

interface Place {
  port: number
  password: string
  clock: Clock
  /** The phone that is called back and dials. */
  caller: string
}

export async function onSwitch(t: ExecutionContext, { port, password, clock, caller }: Place, docs: Record<string, Doc>) {
  const switches = connectSwitches({ nodes: [{ name: 'fs1', host: '127.0.0.1', port, password }], clock, log: silent })
  const http = tenantClient({ allow: ['127.0.0.0/8'], clock: systemClock() })
  const recording = notingRecorder()
  const { log, lines } = notedLog()
  const events: SwitchEvent[] = []
  const waiters = new Set<() => void>()
  const executors: Executor[] = []
  switches.on(event => {
    events.push(event)
    for (const waiter of waiters) waiter()
  })
  t.teardown(async () => {
    for (const executor of executors) await executor.close()
    await switches.close()
    await http.close()
  })
  await whenUp(switches, PATIENCE)

  function start(): Executor {
    const random = (bytes: number): string => randomBytes(bytes).toString('hex')
    const ports = { store: memoryStore(docs).store, recorder: recording.recorder, siprec: notingSiprec().siprec, clock, wall: systemClock(), http, log, random }
    const executor = startExecutor({ ...ports, switches, voice: noVoice, checkFlow, config: { maxTimeLimit: 10_800 } })
    executors.push(executor)
    return executor
  }

  function until(is: (event: SwitchEvent) => boolean): Promise<SwitchEvent> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`it never came; ${JSON.stringify(lines)}`)), PATIENCE)
      function look(): void {
        const found = events.find(is)
        if (found === undefined) return
        waiters.delete(look)
        clearTimeout(timer)
        resolve(found)
      }
      waiters.add(look)
      look()
    })
  }

  /** Alice's phone is called back and dials `number`; resolves with its leg once it waits in park. */
  async function dial(number: string, variables: Record<string, string> = {}): Promise<string> {
    const uuid = `11111111-0000-4000-8000-${randomBytes(6).toString('hex')}`
    const own = { callrec_account_id: ACCOUNT, callrec_device_id: ALICE_PHONE, callrec_destination: number, ...variables }
    await switches.node('fs1').originate({ uuid, endpoint: caller, variables: own, timeoutSeconds: 10 })
    await until(event => event.name === 'CHANNEL_PARK' && event.leg.uuid === uuid)
    return uuid
  }

  /** Until a leg is gone and no flow runs; answers its hangup. */
  async function over(uuid: string): Promise<SwitchEvent> {
    const end = await until(event => event.name === 'CHANNEL_HANGUP_COMPLETE' && event.leg.uuid === uuid)
    while (executors.some(executor => executor.calls() > 0)) await new Promise(resolve => setImmediate(resolve))
    return end
  }

  const of = (uuid: string): string[] => events.flatMap(event => ('leg' in event && event.leg.uuid === uuid ? [event.name] : []))
  const api = (command: string): Promise<string> => eslApi(port, password, command)
  return { start, dial, over, until, of, events, lines, recording, api }
}

/** Call time, to the wall's. */
export const SPEED = 20

/** … on an embedded switch of its own. */
export async function embedded(t: ExecutionContext, docs: Record<string, Doc>) {
  const recordingDir = await mkdtemp(join(tmpdir(), 'callrec-callflow-'))
  const password = 'ClueCon'
  const simulator = await startSimulator({ host: '127.0.0.1', port: 0, password, recordingDir, speed: SPEED, idleExitMs: 100, log: silent })
  t.teardown(async () => {
    await simulator.close()
    await rm(recordingDir, { recursive: true })
  })
  return onSwitch(t, { port: simulator.port, password, clock: systemClock(SPEED), caller: 'user/alice@acme.example' }, docs)
}
