// Legs that others bring together: two that a phone has connected (attended transfer), and those of somebody else's
// dialplan, which callrec never saw parked. Policy is decided for both, what was recorded of who has left goes on, and
// the call itself is not touched.

import { isCode, reasonOf } from '../errors.ts'
import { decideCallee, decideCallerLeg } from '../recording/policy.ts'
import type { Network } from '../recording/settings.ts'
import type { Leg } from '../switch/switch.ts'
import { callerDocuments, documentsOf, type LegEvent, type Ports } from './call.ts'
import type { Lives } from './lives.ts'
import { calleeFacts, recordCallee, recordNewCaller, recordOn, type Talk } from './recording.ts'
import { idsOf, talkOf } from './talk.ts'

export interface Pairs {
  heard(event: LegEvent): void
  /** All legs of a switch, after a gap in what it told; `ours`: those in a flow or on their way into one. */
  found(node: string, legs: readonly Leg[], ours: ReadonlySet<Leg>): void
  /** The leg it talked with last. */
  partnerOf(uuid: string): string | undefined
  /** Resolves when nothing is decided any more. */
  close(): Promise<void>
}

interface PairPorts extends Pick<Ports, 'switches' | 'store' | 'recorder' | 'siprec' | 'log' | 'config'> {
  lives: Lives
  /** A flow runs here for the leg. */
  isRun: (uuid: string) => boolean
  /** The flow of the caller's leg has rung the other one, and decided before it did. */
  isOwnBridge: (caller: string, callee: string) => boolean
}

const serves = ({ variables }: Leg): boolean => variables['callrec_recording_leg'] === 'true'

/** Not of callrec's making and not in its hands: nobody has parked it for us. */
const isForeign = (leg: Leg): boolean =>
  leg.variables['callrec_account_id'] !== undefined &&
  !serves(leg) &&
  ['callrec_node', 'callrec_call_id', 'callrec_destination'].every(name => leg.variables[name] === undefined)

export function watchPairs({ switches, store, recorder, siprec, log, config, lives, isRun, isOwnBridge }: PairPorts): Pairs {
  const partners = new Map<string, { node: string; other: string }>()
  const pair = (node: string, one: string, other: string): void => void partners.set(one, { node, other }).set(other, { node, other: one })
  const working = new Set<Promise<void>>()

  function work(leg: Leg, run: () => Promise<void>): void {
    const one = run()
      .catch((error: unknown) => {
        if (!isCode(error, 'leg_gone'))
          log.error('policy_not_decided', { account_id: leg.variables['callrec_account_id'], ...idsOf(leg), reason: reasonOf(error) })
      })
      .finally(() => working.delete(one))
    working.add(one)
  }

  const learn = (leg: Leg, to: Network): Promise<Talk | undefined> =>
    talkOf({ store, recorder, siprec, config, log }, leg, to, isForeign(leg) ? lives.came(leg) : lives.cameAt(leg))

  async function decideCallerOf(talk: Talk): Promise<void> {
    const decisions = decideCallerLeg(callerDocuments(talk), talk.way)
    const { from, to } = talk.way
    talk.log.info('policy_decided', { from, to, record: decisions.some(one => one.record), why: decisions.map(one => one.why).join('; ') })
    for (const decision of decisions) if (decision.record) await recordNewCaller(talk, decision, false)
  }

  async function alone(leg: Leg): Promise<void> {
    const talk = await learn(leg, leg.variables['callrec_to'] === 'offnet' ? 'offnet' : 'onnet')
    if (talk === undefined) return
    lives.known(leg.uuid, { ...talk, dialled: undefined }, talk.log)
    await decideCallerOf(talk)
  }

  /** `left`: whom each of the two talked with before. */
  async function together(a: Leg, b: Leg, left: readonly [string | undefined, string | undefined]): Promise<void> {
    const swapped = a.direction === 'outbound' && b.direction === 'inbound'
    const [from, to, leftFrom, leftTo] = swapped ? [b, a, left[1], left[0]] : [a, b, left[0], left[1]]
    const other = to.variables['callrec_account_id'] === undefined ? from.variables['callrec_to'] : to.variables['callrec_inception']
    const talk = await learn(from, other === 'offnet' ? 'offnet' : 'onnet')
    if (talk === undefined) return
    if (isForeign(from)) lives.known(from.uuid, { ...talk, dialled: undefined }, talk.log)
    if (leftFrom !== undefined) await recordOn(talk, leftFrom)
    const callee = await learn(to, talk.way.from)
    const sameAccount = callee?.accountId === talk.accountId
    if (leftTo !== undefined && sameAccount) {
      const facts = callee.device === undefined ? undefined : calleeFacts(talk, { uuid: to.uuid, device: callee.device, user: callee.user })
      await recordOn(talk, leftTo, facts, { leg: to, side: 'callee' })
    }
    await decideCallerOf(talk)
    // A dialplan that exports the caller's variables says nothing of who is called.
    if (!sameAccount || callee.device === undefined || callee.device._id === talk.device?._id) return
    const { device, user } = callee
    const running = recorder.running(from.uuid).map(({ settings }) => settings)
    const decision = decideCallee(documentsOf(talk, device, user), talk.way, running)
    if (decision.record) await recordCallee(talk, { uuid: to.uuid, device, user }, decision, to)
  }

  function bridged(leg: Leg, otherUuid: string): void {
    const left = [leg.uuid, otherUuid].map(uuid => partners.get(uuid)?.other)
    pair(leg.node, leg.uuid, otherUuid)
    if (isOwnBridge(leg.uuid, otherUuid)) return
    const before = left.map((uuid, at) => (uuid === [otherUuid, leg.uuid][at] ? undefined : uuid))
    work(leg, async () => {
      const other = await switches.node(leg.node).leg(otherUuid)
      // A leg that serves a recording is no party to anything.
      if (other === undefined || serves(leg) || serves(other)) return
      // The bridge of a flow that ran in an engine which is gone.
      if (other.variables['callrec_call_id'] === leg.uuid && before[0] === undefined) return
      await together(leg, other, [before[0], before[1]])
    })
  }

  const answered = (leg: Leg): void => {
    // In the middle of a bridge it is decided when both sides are known.
    if (leg.direction === 'inbound' && leg.answered && isForeign(leg) && leg.variables['current_application'] !== 'bridge') work(leg, () => alone(leg))
  }

  return {
    heard(event) {
      const { name, leg } = event
      if (name === 'CHANNEL_BRIDGE') bridged(leg, event.otherLeg)
      else if (name === 'CHANNEL_ANSWER' && !isRun(leg.uuid)) answered(leg)
      else if (name === 'CHANNEL_DESTROY') {
        // Whoever it talked with may be on the way elsewhere, and asks then.
        partners.delete(leg.uuid)
      }
    },
    found(node, legs, ours) {
      for (const [uuid, one] of partners) if (one.node === node) partners.delete(uuid)
      const byId = new Map(legs.map(leg => [leg.uuid, leg]))
      for (const leg of legs) {
        const other = byId.get(leg.otherLeg ?? '')
        if (other !== undefined) pair(node, leg.uuid, other.uuid)
        if (ours.has(leg)) continue
        if (other === undefined) answered(leg)
        else if (leg.direction === 'inbound' && isForeign(leg)) work(leg, () => together(leg, other, [undefined, undefined]))
      }
    },
    partnerOf: uuid => partners.get(uuid)?.other,
    async close() {
      await Promise.all(working)
    },
  }
}
