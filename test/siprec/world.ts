// SIPREC from end to end on the embedded switch: real calls between its phones, real recording legs, a real store, and recording servers
// that the tests make (test/helpers/recording-server.ts).

import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { systemClock } from '../../src/clock.ts'
import type { RecordingEvent } from '../../src/events.ts'
import { AppError } from '../../src/errors.ts'
import { Announcer } from '../../src/recording/announcer.ts'
import { Beeps } from '../../src/recording/beeping.ts'
import type { AlsoRecords } from '../../src/recording/cover-call.ts'
import type { Wish } from '../../src/recording/covers.ts'
import { type CallFacts, IN_FLIGHT } from '../../src/recording/document.ts'
import { packagePath } from '../../src/root.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import type { SiprecRecording } from '../../src/siprec/document.ts'
import { openDoor } from '../../src/siprec/door.ts'
import type { SiprecRequest } from '../../src/siprec/request.ts'
import { startSiprec } from '../../src/siprec/sessions.ts'
import { embeddedStore } from '../../src/store/embedded.ts'
import { recordingDb } from '../../src/store/modb.ts'
import { connectSwitches, whenUp } from '../../src/switch/pool.ts'
import type { Leg, SwitchEvent, SwitchNode } from '../../src/switch/switch.ts'
import { NO_DNS } from '../sip/network.ts'
import { eslApi } from '../helpers/esl-client.ts'
import { notedLog } from '../helpers/log.ts'
import { tally } from '../helpers/tally.ts'
import { PATIENCE, until } from '../helpers/wait.ts'

export const ACCOUNT = 'ab'.repeat(16)

/** Call time, to the wall's. */
const SPEED = 4

export const FACTS: CallFacts = {
  interaction_id: 'i1',
  cdr_id: '202605-call',
  direction: 'inbound',
  from: '1001@acme.example',
  to: '1002@acme.example',
  request: '1002@acme.example',
  caller_id_name: 'Alice & "Co"',
  caller_id_number: '1001',
  callee_id_name: 'Bob',
  callee_id_number: '1002',
  sip_call_id: 's1',
  custom_channel_vars: {},
}

export interface Place {
  host: string
  port: number
  password: string
  speed: number
  /** Of the caller, and who is rung by it. */
  caller: string
  callee: string
}

/** An embedded switch of its own, unless told another one. */
export async function siprecWorld(t: Pick<ExecutionContext, 'teardown'>, given?: Place, embeddedSpeed = SPEED) {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-siprec-'))
  const { log, lines } = notedLog()
  const speed = given?.speed ?? embeddedSpeed
  const place = given ?? (await embeddedPlace())
  const [clock, wall] = [systemClock(speed), systemClock()]
  const switches = connectSwitches({ nodes: [{ name: 'fs1', ...place }], clock, log })
  const store = await embeddedStore({ dir: join(dir, 'store') })
  await store.createDatabase(IN_FLIGHT, 'recordings_in_flight')
  const events: RecordingEvent[] = []
  const random = (bytes: number): string => randomBytes(bytes).toString('hex')
  const recorder: { wish: Wish; refused: boolean; others: Set<AlsoRecords>; group?: string } = { wish: {}, refused: false, others: new Set() }

  async function embeddedPlace(): Promise<Place> {
    const simulator = await startSimulator({ host: '127.0.0.1', port: 0, password: 'ClueCon', recordingDir: dir, speed, idleExitMs: 60_000, log })
    t.teardown(() => simulator.close())
    return { host: '127.0.0.1', port: simulator.port, password: 'ClueCon', speed, caller: 'user/alice@acme.example', callee: 'user/bob@acme.example' }
  }

  const door = openDoor({
    bind: { host: '127.0.0.1', port: 0 },
    clock: wall,
    log,
    random,
    authorities: readFileSync(packagePath('test/fixtures/tls/cert.pem'), 'utf8'),
    permits: address => address.startsWith('127.'),
    dns: { ...NO_DNS, addresses: async name => (/^(srs\.test\.?|localhost)$/i.test(name) ? ['127.0.0.1'] : []) },
  })
  const listeners = new Set<(event: SwitchEvent) => void>()
  /** Another switch, with no call on it. */
  const elsewhere = { name: 'fs2', exists: async () => false, leg: async () => undefined, legs: async () => [] } as Partial<SwitchNode> as SwitchNode
  const siprec = startSiprec({
    switches: {
      ...switches,
      node: name => (name === 'fs2' ? elsewhere : switches.node(name)),
      on(listener) {
        listeners.add(listener)
        return switches.on(listener)
      },
    },
    store,
    door,
    clock,
    wall,
    log,
    metrics: tally().metrics,
    random,
    events: { tell: async event => void events.push(event) },
    recorder: {
      telling: { announcer: new Announcer({ node: name => switches.node(name), clock, log }), beeps: new Beeps({ node: name => switches.node(name) }) },
      refusals: {
        holds: () => recorder.refused,
        check() {
          if (recorder.refused) throw new AppError('wrong_state', 'a party of this call has refused to be recorded')
        },
        async refuse({ interactionId }, by) {
          recorder.refused = true
          await Promise.all([...recorder.others].map(other => other.refuse(interactionId, by)))
        },
      },
      wishOf: () => recorder.wish,
      groupOf: () => recorder.group,
      alsoRecords(other) {
        recorder.others.add(other)
        return () => void recorder.others.delete(other)
      },
    },
  })
  t.teardown(async () => {
    await siprec.close()
    await door.close()
    await switches.close()
    await store.close()
    await rm(dir, { recursive: true, force: true })
  })
  await whenUp(switches, PATIENCE)
  const node = switches.node('fs1')

  return {
    node,
    store,
    lines,
    events,
    recorder,
    siprec,
    /** One party is put on hold, or taken back, at the switch. */
    hold: (uuid: string, on: boolean): Promise<string> => eslApi(place.port, place.password, `uuid_hold ${on ? '' : 'off '}${uuid}`),
    /** What the switch might tell. */
    tell: (event: SwitchEvent): void => {
      for (const listener of listeners) listener(event)
    },
    /** Alice, who waits in park and says 440 Hz; and talks to Bob, who says 1000 Hz. */
    call: async ({ talks = true } = {}): Promise<Leg> => {
      const uuid = randomUUID()
      const variables = given === undefined ? { callrec_destination: '1002', callrec_simulator_seconds: '3000' } : {}
      await node.originate({ uuid, endpoint: place.caller, variables, timeoutSeconds: 20 })
      // A parked leg that nobody serves is ended after half a minute.
      await node.cancelScheduledHangup(uuid)
      if (talks) node.execute(uuid, 'bridge', place.callee).catch(() => {})
      return until('it talks', async () => {
        const leg = await node.leg(uuid)
        return leg?.answered === true && (!talks || leg.otherLeg !== undefined) && leg
      })
    },
    request: (leg: Leg, servers: unknown, more: Partial<SiprecRequest> = {}): SiprecRequest => ({
      accountId: ACCOUNT,
      leg,
      side: 'caller',
      facts: FACTS,
      servers,
      origin: 'callflow : test',
      by: 'action',
      ...more,
    }),
    document: (id: string): Promise<SiprecRecording | undefined> => store.get<SiprecRecording>(recordingDb(ACCOUNT, id), id),
    /** What a successor would find. */
    queued: (id: string) => store.get(IN_FLIGHT, id),
    /** Legs that record. */
    taps: async (): Promise<Leg[]> => (await node.legs()).filter(one => one.variables['callrec_recording_leg'] === 'true'),
    cover: (what: 'pause' | 'resume' | 'mask' | 'unmask') => Promise.all([...recorder.others].map(other => other.cover('i1', what, 'api'))),
  }
}
