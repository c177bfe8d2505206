// Calls that applications have made, until they are answered or over: by the engine that rings, or by the one that has the
// switch later. An answered call is the callflow's, which finds it parked.

import { type Clock, pause } from '../clock.ts'
import { isCode, reasonOf } from '../errors.ts'
import { toGregorian } from '../store/modb.ts'
import type { Store } from '../store/store.ts'
import type { Originate, SwitchEvent, SwitchNode, Switches } from '../switch/switch.ts'
import { eventUrlOf } from './application.ts'
import { conversationOf } from './call.ts'
import { STATUSES } from './interpreter.ts'
import { type OpenCall, openCall, openCalls, type Outcome } from './open-calls.ts'
import { placedId, type PlacedCall } from './outgoing.ts'
import { PLACE } from './places.ts'
import { type Report, type ReportPorts, reporter } from './report.ts'

/** A call that is to be made. */
export interface Placed {
  node: SwitchNode
  leg: Originate
  call: PlacedCall
}

export interface PlacingPorts extends Omit<ReportPorts, 'now'> {
  store: Store
  switches: Switches
  wall: Clock
  /** Call time. */
  clock: Pick<Clock, 'speed'>
  random: (bytes: number) => string
  /** Whether the end of a call is told where its actions run. */
  begun: (leg: string) => boolean
}

export interface Placing {
  /** Resolves when it is written down and about to ring; rejects where it cannot be written. */
  place(placed: Placed): Promise<void>
  /** Resolves when what was told of a call so far is told; of one that is not known here nothing was. */
  told(leg: string): Promise<void>
  /** Resolves when what is being told is told; calls that ring, ring on. */
  close(): Promise<void>
}

interface Known {
  open: OpenCall
  /** Of the engine that rings. */
  report?: Report
  /** `here`: the switch answers us; `watched`: it tells of the leg; `over`: it is being written and told. */
  stage: 'here' | 'watched' | 'over'
}

/** Milliseconds until a store that failed is asked again. */
const AGAIN = 5_000
const LOST: Outcome = { status: 'failed', detail: 'it ended while no engine watched it' }

const endedBy = (cause: string): Outcome => ({ status: STATUSES[cause] ?? 'failed', detail: cause })

type Hangup = Extract<SwitchEvent, { name: 'CHANNEL_HANGUP_COMPLETE' }>

export function startPlacing({ begun, clock, http, log, random, store, switches, wall }: PlacingPorts): Placing {
  const documents = openCalls(store)
  const known = new Map<string, Known>()
  const working = new Set<Promise<void>>()
  const closing = new AbortController()
  const { signal: closed } = closing

  async function place({ node, leg, call }: Placed): Promise<void> {
    const open = openCall(call, node.name, leg.uuid)
    const one: Known = { open, stage: 'here' }
    known.set(leg.uuid, one)
    try {
      const report = await reportOf(call, leg.uuid)
      one.report = report
      await documents.write(open, call)
      for (const status of ['started', 'ringing']) void report.tell({ status })
      keep(report.idle())
    } catch (error) {
      known.delete(leg.uuid)
      throw error
    }
    void ring(node, leg)
  }

  async function ring(node: SwitchNode, leg: Originate): Promise<void> {
    try {
      await node.originate(leg)
      over(leg.uuid, { answered_at: toGregorian(wall.now()) })
    } catch (error) {
      if (closed.aborted) return
      const cause = isCode(error, 'switch_refused') && typeof error.data['cause'] === 'string' ? error.data['cause'] : ''
      log.info('voice_call_not_answered', { leg: leg.uuid, cause, reason: reasonOf(error) })
      // It may ring all the same.
      if (isCode(error, 'switch_down') || isCode(error, 'switch_timeout')) return await watch(leg.uuid)
      over(leg.uuid, cause === '' ? { status: 'failed', detail: reasonOf(error) } : endedBy(cause))
    }
  }

  async function watch(uuid: string): Promise<void> {
    const one = known.get(uuid)
    if (one === undefined) return
    one.stage = 'watched'
    try {
      const leg = await switches.node(one.open.node).leg(uuid)
      if (known.get(uuid) !== one) return
      if (leg === undefined) over(uuid, LOST)
      else if (leg.answered) over(uuid, { answered_at: toGregorian(leg.answeredAt ?? wall.now()) })
    } catch (error) {
      // Its switch is asked when it is there again.
      if (known.get(uuid) === one) known.delete(uuid)
      log.info('voice_call_not_seen', { leg: uuid, node: one.open.node, reason: reasonOf(error) })
    }
  }

  function over(uuid: string, outcome: Outcome): void {
    const one = known.get(uuid)
    if (one === undefined || one.stage === 'over' || closed.aborted) return
    one.stage = 'over'
    const told = settle(one, outcome).then(() => one.report?.idle())
    keep(told.finally(() => known.delete(uuid)))
  }

  /** First written, then told, then forgotten: who finds it later tells what is written. */
  async function settle({ open, report }: Known, outcome: Outcome): Promise<void> {
    while (!closed.aborted) {
      try {
        const call = await documents.end(open, outcome)
        if (call?.status !== undefined) await (report ?? (await reportOf(call, open.leg))).tell({ status: call.status, detail: call.detail })
        return await documents.forget(open)
      } catch (error) {
        // Another engine has written it this moment, and tells.
        if (isCode(error, 'datastore_conflict')) return
        log.warn('voice_call_outcome_not_saved', { account_id: open.account_id, leg: open.leg, reason: reasonOf(error), again_in_ms: AGAIN })
        await pause(wall, AGAIN, closed)
      }
    }
  }

  /** It was answered, and gone before its actions began. */
  async function goneEarly({ leg: { answeredAt, uuid, variables }, at }: Hangup, report: Report | undefined): Promise<void> {
    const { callrec_account_id: account = '', callrec_voice_call: id = '' } = variables
    if (answeredAt === undefined || id !== placedId(uuid) || variables[PLACE] !== undefined || begun(uuid)) return
    try {
      const call = await documents.call(account, id)
      if (call === undefined) return
      const told = report ?? (await reportOf(call, uuid))
      const start_time = new Date(answeredAt).toISOString()
      const duration = String(Math.round(((at - answeredAt) * (clock.speed ?? 1)) / 1000))
      void told.tell({ status: 'answered', start_time })
      await told.tell({ status: 'completed', duration, start_time, end_time: new Date(at).toISOString() })
    } catch (error) {
      log.warn('voice_call_end_untold', { account_id: account, leg: uuid, reason: reasonOf(error) })
    }
  }

  async function reportOf(call: PlacedCall, uuid: string): Promise<Report> {
    const about = { from: call.from, to: call.to, uuid, conversation_uuid: conversationOf(uuid), direction: 'outbound' }
    const to = await eventUrlOf({ store, now: () => wall.now(), random }, call)
    return reporter({ http, log, wall, now: () => wall.now() }, to, about)
  }

  /** What rang on a switch before it was ours, or while it was out of sight. */
  async function resume(node: string): Promise<void> {
    while (!closed.aborted && switches.node(node).status().state === 'up') {
      try {
        for (const open of await documents.on(node)) {
          if (known.has(open.leg)) continue
          known.set(open.leg, { open, stage: 'watched' })
          await watch(open.leg)
        }
        return
      } catch (error) {
        log.warn('voice_calls_not_resumed', { node, reason: reasonOf(error), again_in_ms: AGAIN })
        await pause(wall, AGAIN, closed)
      }
    }
  }

  /** Whoever has the switch next asks for them. */
  function leave(node: string): void {
    for (const [uuid, { open, stage }] of known) if (open.node === node && stage === 'watched') known.delete(uuid)
  }

  function heard(event: SwitchEvent): void {
    if (event.name === 'node_up') return void resume(event.node)
    if (event.name === 'node_down' || event.name === 'node_lost') return leave(event.node)
    const one = known.get(event.leg.uuid)
    if (event.name === 'CHANNEL_HANGUP_COMPLETE') keep(goneEarly(event, one?.report))
    if (one?.stage !== 'watched') return
    if (event.name === 'CHANNEL_ANSWER') over(event.leg.uuid, { answered_at: toGregorian(wall.now()) })
    else if (event.name === 'CHANNEL_HANGUP_COMPLETE') over(event.leg.uuid, endedBy(event.cause))
  }

  function keep(work: Promise<void>): void {
    const one = work.finally(() => working.delete(one))
    working.add(one)
  }

  const unsubscribe = switches.on(heard)
  for (const node of switches.nodes) if (node.status().state === 'up') void resume(node.name)

  return {
    place,
    told: leg => known.get(leg)?.report?.idle() ?? Promise.resolve(),
    async close() {
      closing.abort()
      unsubscribe()
      await Promise.all(working)
    },
  }
}
