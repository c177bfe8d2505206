import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { systemClock } from '../../src/clock.ts'
import { silent } from '../../src/log.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { connectSwitches, whenUp } from '../../src/switch/pool.ts'
import { switchContract } from '../contract/switch.ts'
import type { SwitchUnderTest } from '../contract/switch.ts'
import { eslApi } from '../helpers/esl-client.ts'
import { REALM, startFreeSwitch } from '../helpers/freeswitch.ts'
import type { FreeSwitch } from '../helpers/freeswitch.ts'
import { proxy } from '../helpers/proxy.ts'
import { onPath, realRun } from '../helpers/real.ts'
import { PATIENCE } from '../helpers/wait.ts'

const QUICK = { leastMs: 10, mostMs: 200 }

const phone = (name: string): { endpoint: string } => ({ endpoint: `user/${name}@${REALM}` })

// One instance serves all promises: it takes seconds to start.
let real: Promise<FreeSwitch> | undefined
test.after.always(async () => {
  const started = await real
  started?.stop()
})

async function openReal(t: ExecutionContext): Promise<SwitchUnderTest> {
  real ??= startFreeSwitch()
  const { port, password, directory } = await real
  const hop = await proxy(port)
  const switches = connectSwitches({ nodes: [{ name: 'real', host: '127.0.0.1', port: hop.port, password }], clock: systemClock(), log: silent, retry: QUICK })
  t.teardown(async () => {
    await switches.close()
    hop.close()
  })
  await whenUp(switches, PATIENCE)
  return {
    switches,
    directory,
    press: async (uuid, keys) => void (await eslApi(port, password, `uuid_recv_dtmf ${uuid} ${keys}`)),
    phones: { speaking: phone('tone440'), hushed: phone('hush1000'), short: phone('short700'), busy: phone('busy'), never: phone('never') },
    // It is parked before it is answered, so the originate only ends with the call.
    async arrive() {
      void switches
        .node('real')
        .originate({ uuid: randomUUID(), ...phone('incoming'), variables: {}, timeoutSeconds: 10 })
        .catch(() => {})
    },
    cut: () => hop.cut(),
  }
}

/** Call time runs so many times as fast on the embedded switch. */
const SPEED = 10

async function openEmbedded(t: ExecutionContext): Promise<SwitchUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), 'callrec-sim-'))
  const simulator = await startSimulator({
    host: '127.0.0.1',
    port: 0,
    password: 'ClueCon',
    recordingDir: directory,
    speed: SPEED,
    log: silent,
    idleExitMs: 1000,
  })
  const hop = await proxy(simulator.port)
  const switches = connectSwitches({
    nodes: [{ name: 'sim', host: '127.0.0.1', port: hop.port, password: 'ClueCon' }],
    clock: systemClock(SPEED),
    log: silent,
    retry: QUICK,
  })
  t.teardown(async () => {
    await switches.close()
    hop.close()
    await simulator.close()
    await rm(directory, { recursive: true, force: true })
  })
  await whenUp(switches, PATIENCE)
  const does = (variables: Record<string, string>): { endpoint: string; variables: Record<string, string> } => ({ endpoint: 'user/phone@simulator', variables })
  return {
    switches,
    directory,
    press: async (uuid, keys) => void (await eslApi(simulator.port, 'ClueCon', `uuid_recv_dtmf ${uuid} ${keys}`)),
    phones: {
      speaking: does({ callrec_simulator_seconds: '3600' }),
      hushed: does({ callrec_simulator_seconds: '3600', callrec_simulator_speaks: '1' }),
      short: does({ callrec_simulator_seconds: '0.7' }),
      busy: does({ callrec_simulator_answer: 'busy' }),
      never: does({ callrec_simulator_answer: 'never' }),
    },
    async arrive() {
      await eslApi(simulator.port, 'ClueCon', 'callrec_simulator_call {callrec_account_id=acc1,callrec_inception=offnet}1001 incoming')
    },
    cut: () => hop.cut(),
  }
}

switchContract({
  name: 'the embedded switch',
  open: openEmbedded,
})
if (realRun('the switch’s contract', { FreeSWITCH: onPath('freeswitch') })) switchContract({ name: 'FreeSWITCH', open: openReal })
