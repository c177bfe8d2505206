// From CHANNEL_PARK to hangup: takes calls, finds their documents, and walks them through their flow.
// A call's place is in memory while it runs here; the call itself lives on the switch, so closing the
// engine hangs nobody up.

import { AppError, isCode, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Leg, SwitchEvent, SwitchNode } from '../switch/switch.ts'
import { modules } from './actions/index.ts'
import { bound, type Call, type LegEvent, type Ports } from './call.ts'
import { goOn } from './go-on.ts'
import { watchLives } from './lives.ts'
import { dialledNumber, type Found, lookup, type Refused } from './lookup.ts'
import { watchOrphans } from './orphans.ts'
import { watchPairs } from './pairs.ts'
import { startRecords } from './records.ts'
import { exportedBy, variablesOn } from './scope.ts'
import { watchUnheard } from './unheard.ts'
import { walk } from './walk.ts'

export { modules }

export interface Executor {
  /** Calls whose flow runs here now. */
  calls(): number
  /** Calls that come from here on are another engine's; those there are go on. */
  takeNoMore(): void
  /** Leaves every call to the switch; resolves when nothing runs here any more. */
  close(): Promise<void>
}

/** A call that runs here: how to tell it what happens to its leg. */
interface Running {
  leg: Leg
  /** Unix milliseconds. */
  cameAt: number
  /** What the leg says of its last transfer. */
  transfer: string | undefined
  /** It was transferred and is parked anew. */
  again: Leg | undefined
  call: Call | undefined
  gone: AbortController
  done: Promise<void>
}

/** Milliseconds in which a hangup that was asked for is told of. */
const HANGUP_GRACE = 5_000

export function startExecutor(ports: Ports): Executor {
  const { switches, log } = ports
  const running = new Map<string, Running>()
  /** Legs that flows ring. */
  const watched = new Map<string, { caller: string; listener: (event: LegEvent) => void }>()
  const records = startRecords(ports)
  const lives = watchLives({ ...ports, records })
  const listenNoMore = watchUnheard({ ...ports, lives, records })
  const pairs = watchPairs({
    ...ports,
    lives,
    isRun: uuid => running.has(uuid),
    isOwnBridge: (caller, callee) => watched.get(callee)?.caller === caller,
  })
  const orphans = watchOrphans({ ...ports, anew: leg => take(leg, true) })
  let closing = false

  /** `anew`: an engine that is gone had it, and it did not get far. */
  function take(leg: Leg, anew = false): void {
    if (closing) return
    const already = running.get(leg.uuid)
    if (already !== undefined) return back(already, leg)
    // A leg to a recording server or the like is part of a recording, not a call.
    if (leg.variables['callrec_recording_leg'] === 'true') return log.debug('park_ignored', { leg: leg.uuid, why: 'it serves another purpose' })
    // Somebody else's dialplan parks calls too. A trunk's call has an account only when its number is looked up.
    if (leg.variables['callrec_account_id'] === undefined && leg.variables['callrec_inception'] !== 'offnet')
      return log.debug('park_ignored', { leg: leg.uuid, why: 'it has no callrec_account_id and comes from no trunk' })
    // It is back from a bridge, or an engine that is gone had it.
    if (!anew && leg.variables['callrec_node'] !== undefined) return log.debug('park_ignored', { leg: leg.uuid, why: 'it is in a callflow already' })
    const gone = new AbortController()
    const transfer = leg.variables['transfer_source']
    const one: Running = { leg, cameAt: lives.came(leg), transfer, again: undefined, call: undefined, gone, done: Promise.resolve() }
    running.set(leg.uuid, one)
    one.done = serve(one, legLog(leg)).finally(() => {
      running.delete(leg.uuid)
      if (one.again !== undefined) take(one.again)
    })
  }

  /** It was transferred while its flow waits for something. A park that is told of twice is no transfer. */
  function back(one: Running, leg: Leg): void {
    const { callrec_node: node, transfer_source: transfer } = leg.variables
    if (node !== undefined || transfer === one.transfer) return
    one.again = leg
    one.gone.abort(new AppError('leg_taken', `leg ${leg.uuid} was transferred`))
  }

  const legLog = (leg: Leg) =>
    bound(log, { account_id: leg.variables['callrec_account_id'], leg: leg.uuid, call_id: leg.uuid, sip_call_id: leg.sipCallId, node: leg.node })

  /** Never rejects: whatever goes wrong is told in the log, and the call ends or is left, never forgotten half way. */
  async function serve(one: Running, legLog: Log): Promise<void> {
    const { leg, gone } = one
    const startedAt = ports.clock.elapsed()
    try {
      const node = switches.node(leg.node)
      await keep(node, leg.uuid, legLog)
      const looked = await lookup(ports.store, leg, legLog)
      const found = 'refused' in looked ? looked : unlessFull(looked)
      if ('refused' in found) {
        const { refused, cause, known } = found
        legLog.warn('call_refused', { number: dialledNumber(leg), why: refused, cause })
        if (known !== undefined)
          lives.known(leg.uuid, { ...known, interactionId: interactionOf(leg), dialled: undefined, way: { from: known.from, to: 'onnet' } }, legLog)
        return await hangup(node, leg.uuid, cause)
      }
      const call = callOf(one, node, found, legLog)
      await goOn(call)
      one.call = call
      lives.known(leg.uuid, call, call.log)
      const cause = await walk(call, pairs.partnerOf(leg.uuid))
      gone.signal.throwIfAborted()
      await hangup(node, leg.uuid, cause)
      await told(one)
      legLog.info('call_ended', { by: 'callflow', cause, call_ms: ms(startedAt) })
    } catch (error) {
      if (isCode(gone.signal.reason, 'switch_down')) return legLog.info('call_left', { call_ms: ms(startedAt) })
      if (isCode(gone.signal.reason ?? error, 'leg_taken')) {
        legLog.info('call_moved', { call_ms: ms(startedAt) })
        return one.again === undefined ? orphans.moved(one.leg) : undefined
      }
      if (gone.signal.aborted || isCode(error, 'leg_gone')) {
        // The application that ran tells of the end first, and the leg itself a moment later with its cause.
        await told(one)
        return legLog.info('call_ended', { by: 'caller', call_ms: ms(startedAt) })
      }
      legLog.error('call_failed', { reason: reasonOf(error) })
      if (isCode(error, 'switch_down')) return
      await hangup(switches.node(leg.node), leg.uuid, 'NORMAL_TEMPORARY_FAILURE').catch((failed: unknown) =>
        legLog.error('hangup_failed', { reason: reasonOf(failed) }),
      )
    }
  }

  /** Calls, not legs: what is rung, and what records, is part of one. */
  function unlessFull(found: Found): Found | Refused {
    const most = found.account['max_calls']
    const calls = [...running.values()].filter(({ call }) => call?.accountId === found.accountId).length
    if (typeof most !== 'number' || calls < most) return found
    return { refused: `the account has as many calls as it may: ${most}`, cause: 'NORMAL_CIRCUIT_CONGESTION', known: found }
  }

  /** Until the switch has told of the end that was asked of it, or has had the time to. */
  const told = ({ gone }: Running): Promise<void> =>
    new Promise(resolve => {
      const go = (): void => {
        cancel()
        resolve()
      }
      const cancel = ports.clock.after(HANGUP_GRACE, go)
      gone.signal.addEventListener('abort', go, { once: true })
      if (gone.signal.aborted) go()
    })

  const interactionOf = (leg: Leg): string => leg.variables['callrec_interaction_id'] ?? ports.random(16)

  const ms = (since: number): number => Math.round(ports.clock.elapsed() - since)

  function callOf({ leg, gone, cameAt }: Running, node: SwitchNode, found: Found, legLog: Log): Call {
    const { account, accountId, callflow, captures, device, from, number, preflow, to, user } = found
    return {
      ports,
      node,
      leg,
      accountId,
      number,
      interactionId: interactionOf(leg),
      cameAt,
      account,
      device,
      user,
      dialled: callflow,
      preflow,
      callflow,
      branched: new Map(),
      children: [],
      at: undefined,
      place: undefined,
      way: { from, to, maxTimeLimit: ports.config.maxTimeLimit },
      captures,
      vars: variablesOn(leg),
      exported: exportedBy(leg),
      language: undefined,
      digits: undefined,
      last: undefined,
      shown: undefined,
      showsNumber: undefined,
      signal: gone.signal,
      log: bound(legLog, { account_id: accountId, number, callflow_id: callflow._id }),
      watch(uuid, listener) {
        watched.set(uuid, { caller: leg.uuid, listener })
        return () => watched.delete(uuid)
      },
    }
  }

  const onLeg = (event: LegEvent): void => {
    const { leg } = event
    const one = running.get(leg.uuid)
    if (one !== undefined) {
      one.leg = leg
      if (one.call !== undefined) one.call.leg = leg
      if (event.name === 'CHANNEL_HANGUP_COMPLETE' || event.name === 'CHANNEL_DESTROY') one.gone.abort(new AppError('leg_gone', `leg ${leg.uuid} hung up`))
    }
    lives.heard(event)
    watched.get(leg.uuid)?.listener(event)
    pairs.heard(event)
    orphans.heard(event)
    if (event.name === 'CHANNEL_PARK') take(leg)
  }

  /** Another engine drives that switch now, and its calls with it. */
  function leave(name: string): void {
    for (const one of running.values()) {
      if (one.leg.node === name) one.gone.abort(new AppError('switch_down', `another engine drives ${name}`))
    }
    orphans.leave(name)
    lives.leave(name)
  }

  /** A call may have been parked while nobody listened, or its flow have been lost with the connection. */
  async function sweep(name: string): Promise<void> {
    try {
      const legs = await switches.node(name).legs()
      lives.found(name, legs)
      const ours = new Set<Leg>()
      for (const leg of legs) {
        const inFlow = leg.variables['callrec_node'] !== undefined && leg.variables['callrec_account_id'] !== undefined
        const parked = leg.variables['current_application'] === 'park'
        if (inFlow || parked) ours.add(leg)
        if (inFlow && !running.has(leg.uuid)) orphans.adopt(leg)
        else if (parked) take(leg)
      }
      pairs.found(name, legs, ours)
    } catch (error) {
      log.warn('sweep_failed', { node: name, reason: reasonOf(error) })
    }
  }

  const onEvent = (event: SwitchEvent): void => {
    if ('leg' in event) onLeg(event)
    else if (event.name === 'node_up') {
      lives.reconnected(event.node)
      startSweep(event.node)
    } else if (event.name === 'node_lost') leave(event.node)
  }

  const sweeps = new Set<Promise<void>>()
  const startSweep = (name: string): void => {
    const one = sweep(name).finally(() => sweeps.delete(one))
    sweeps.add(one)
  }
  const unsubscribe = switches.on(onEvent)
  for (const node of switches.nodes) if (node.status().state === 'up') startSweep(node.name)

  return {
    calls: () => running.size,
    takeNoMore() {
      closing = true
    },
    async close() {
      closing = true
      unsubscribe()
      listenNoMore()
      orphans.close()
      for (const { gone } of running.values()) gone.abort(new AppError('switch_down', 'the engine stops and leaves its calls to the switch'))
      await Promise.all([...sweeps, ...[...running.values()].map(one => one.done)])
      await pairs.close()
      await records.close()
    },
  }
}

/** The dialplan ends a call that nobody serves; without this it would end in the middle of its flow. */
async function keep(node: SwitchNode, uuid: string, log: Log): Promise<void> {
  try {
    await node.cancelScheduledHangup(uuid)
  } catch (error) {
    if (isCode(error, 'leg_gone') || isCode(error, 'switch_down')) throw error
    log.warn('scheduled_hangup_not_cancelled', { reason: reasonOf(error) })
  }
}

async function hangup(node: SwitchNode, uuid: string, cause: string): Promise<void> {
  try {
    await node.hangup(uuid, cause)
  } catch (error) {
    if (!isCode(error, 'leg_gone')) throw error
  }
}
