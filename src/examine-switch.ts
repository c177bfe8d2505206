// Each switch as the engine needs it: reachable, closed to strangers, with the modules and the clock
// that recordings depend on, and above all: does what it records arrive here? So one second of it is
// recorded and read, on a leg that leads nowhere.

import type { Config, SwitchAddress } from './config.ts'
import { fail, type Finding, ok, type Tools, warn } from './finding.ts'
import { reasonOf } from './errors.ts'
import { silent } from './log.ts'
import { type Finished, openSpool, type Spool } from './recording/spool.ts'
import { monthOf } from './store/modb.ts'
import { embeddedSwitch, SIMULATOR } from './simulator/launch.ts'
import { connectSwitches, whenUp } from './switch/pool.ts'
import type { NodeStatus, SwitchNode } from './switch/switch.ts'

/** Milliseconds. */
const PATIENCE = 10_000
/** A recording begins with half a second that FreeSWITCH holds back, so this makes a second of audio. */
const RECORDED = 1_500
const LEAST_AUDIO = 500
/** Starts and ends of recordings are told by the switch's clock, all else by ours. */
const CLOCKS_APART = 1_000

export async function examineSwitches(config: Config, tools: Tools): Promise<Finding[]> {
  const embedded = config.switches.length === 0
  let addresses: readonly SwitchAddress[]
  try {
    addresses = embedded
      ? [{ name: SIMULATOR, ...(await embeddedSwitch({ dataDir: config.dataDir, recordingDir: config.spool.onSwitch, speed: config.simulatorSpeed })) }]
      : config.switches
  } catch (error) {
    return [fail(`switch: ${reasonOf(error)}`, `look into ${config.dataDir}/simulator.log`)]
  }
  const switches = connectSwitches({ nodes: addresses, clock: tools.clock, log: silent })
  try {
    const found = addresses.map(async address => {
      await whenUp(switches, PATIENCE, address.name, tools.clock).catch(() => {})
      const node = switches.node(address.name)
      const findings = node.status().state === 'up' ? await examineNode(node, openSpool(config.spool), config, tools) : [unreachable(node.status())]
      return embedded ? findings : [...passwordOf(address), ...findings]
    })
    return (await Promise.all(found)).flat()
  } finally {
    await switches.close()
  }
}

function passwordOf({ name, host, password }: SwitchAddress): Finding[] {
  if (password !== 'ClueCon') return []
  const todo = 'set another password in event_socket.conf.xml, and give it in FREESWITCH_PASSWORD or FREESWITCH_ESL'
  const what = `switch ${name}: FreeSWITCH's default password; whoever reaches its event socket controls the switch`
  return [/^(localhost|::1|127\..*)$/.test(host) ? warn(what, todo) : fail(what, todo)]
}

function unreachable({ name, state, address, reason }: NodeStatus): Finding {
  if (state !== 'auth_failed') {
    return fail(
      `switch ${name} (${address}): ${reason ?? 'does not answer'}`,
      'start FreeSWITCH with mod_event_socket, and let it listen where FREESWITCH_ESL says',
    )
  }
  const todo = /password/.test(reason ?? '')
    ? 'FREESWITCH_PASSWORD, or the password in FREESWITCH_ESL, must be that of event_socket.conf.xml'
    : 'let apply-inbound-acl of event_socket.conf.xml admit this host'
  return fail(`switch ${name} (${address}): ${reason ?? 'it refuses the password'}`, todo)
}

async function examineNode(node: SwitchNode, spool: Spool, config: Config, tools: Tools): Promise<Finding[]> {
  const { name, address, version } = node.status()
  const checks = [modules(node, config), expansion(node), clocks(node, tools), recording(node, spool, config, tools)].map(async check => {
    try {
      return await check
    } catch (error) {
      return [fail(`switch ${name}: ${reasonOf(error)}`, 'look into the log of FreeSWITCH')]
    }
  })
  return [ok(`switch ${name} (${address}): ${version ?? 'unknown version'}`), ...(await Promise.all(checks)).flat()]
}

async function modules(node: SwitchNode, { switches }: Config): Promise<Finding[]> {
  // The embedded one has what it has.
  if (switches.length === 0) return []
  const { name, modules } = node.status()
  const found: Finding[] = []
  if (modules.mod_sndfile !== true)
    found.push(fail(`switch ${name}: mod_sndfile is not loaded, so it cannot write WAV`, 'load mod_sndfile in modules.conf.xml'))
  if (modules.mod_shout !== true)
    found.push(
      warn(`switch ${name}: mod_shout is not loaded, so recordings are wav, and those that ask for mp3 need ffmpeg`, 'load mod_shout if mp3 is wanted'),
    )
  if (modules.mod_hash !== true) found.push(warn(`switch ${name}: mod_hash is not loaded, so only one engine may use it`, 'load mod_hash in modules.conf.xml'))
  return found
}

async function expansion(node: SwitchNode): Promise<Finding[]> {
  if (!(await node.expandsCommands())) return [ok(`switch ${node.name}: text that comes from outside cannot run commands`)]
  const todo = 'set <param name="api-expansion" value="false"/> in switch.conf.xml (see freeswitch/) and restart FreeSWITCH'
  return [fail(`switch ${node.name}: it runs commands that stand in what it expands, so a caller's name may run some`, todo)]
}

async function clocks(node: SwitchNode, { clock }: Tools): Promise<Finding[]> {
  const before = clock.now()
  const there = await node.clock()
  const apart = Math.round(there - (before + clock.now()) / 2)
  if (Math.abs(apart) <= CLOCKS_APART) return [ok(`switch ${node.name}: its clock is ${Math.abs(apart)} ms from ours`)]
  const what = `switch ${node.name}: its clock is ${(Math.abs(apart) / 1000).toFixed(1)} s ${apart > 0 ? 'ahead of' : 'behind'} ours`
  return [fail(what, 'let NTP set the clocks of both machines: starts of recordings would be wrong by as much')]
}

async function recording(node: SwitchNode, spool: Spool, { spool: where }: Config, { clock, random }: Tools): Promise<Finding[]> {
  const about = `switch ${node.name}: a second recorded`
  const same = `RECORDING_DIR (${where.here}) and SWITCH_RECORDING_DIR (${where.onSwitch}) must be one directory, seen from here and from the switch`
  const file = `${node.name}/${monthOf(clock.now())}/doctor-${random(8)}.wav`
  const leg = `doctor-${random(8)}`
  try {
    await spool.makeReady(file)
  } catch {
    // The spool's own finding says it.
    return []
  }
  try {
    await node.originate({ uuid: leg, endpoint: 'null/doctor', variables: {}, timeoutSeconds: 5 })
  } catch (error) {
    return [
      warn(
        `switch ${node.name}: nothing could be recorded to try it (${reasonOf(error)})`,
        'load mod_loopback, which has the null endpoint that doctor records',
      ),
    ]
  }
  try {
    await node.record(leg, spool.onSwitch(file), { limit: 0, variables: { rec_id: leg } })
    await new Promise<void>(resolve => clock.after(RECORDED, resolve))
    await node.stopRecording(leg, spool.onSwitch(file))
  } catch (error) {
    return [fail(`${about} was refused (${reasonOf(error)})`, `let FreeSWITCH's user write in ${where.onSwitch} (a shared group, mode 2770); ${same}`)]
  } finally {
    await node.hangup(leg, 'NORMAL_CLEARING').catch(() => {})
  }
  return [await arrived(about, same, spool, file)]
}

async function arrived(about: string, same: string, spool: Spool, file: string): Promise<Finding> {
  let found: Finished | undefined
  try {
    found = await spool.finish(file)
    await spool.remove(file)
  } catch (error) {
    return fail(
      `${about} cannot be read or removed here: ${reasonOf(error)}`,
      "put this user and FreeSWITCH's into one group, and give the spool to it (chgrp, mode 2770)",
    )
  }
  if (found === undefined) return fail(`${about} did not arrive: there is no ${spool.here(file)}`, same)
  const { durationMs = 0 } = found
  if (durationMs < LEAST_AUDIO) return fail(`${about} holds ${durationMs} ms of audio`, 'look into the log of FreeSWITCH: is its disk full?')
  return ok(`${about} arrived in the spool and could be read and removed`)
}
