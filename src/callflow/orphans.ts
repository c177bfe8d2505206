// Calls that are in a flow which nobody runs: the engine that ran it was restarted, or lost sight of the switch. The
// switch goes on with what it was told last, and then the caller would wait in silence for ever. What a voice application
// runs goes on where it was (voice/places.ts). Where in its flow any other call is is not known. One that never came to a
// bridge begins its flow anew: better a greeting twice than silence. Any other is only seen to its end: after a good bridge
// nothing is left of a flow but the hangup.

import type { Clock } from '../clock.ts'
import { isCode, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Leg, Switches } from '../switch/switch.ts'
import { PLACE } from '../voice/places.ts'
import { bound, type LegEvent } from './call.ts'

export interface Orphans {
  /** A leg with callrec_node that no flow here knows, as the switch tells of it now. */
  adopt(leg: Leg): void
  /** Others took the leg out of its flow: it will be parked anew or bridged again, or is gone. */
  moved(leg: Leg): void
  heard(event: LegEvent): void
  /** Another engine sees to the calls of that switch. */
  leave(node: string): void
  close(): void
}

/** Milliseconds of call time a call may stay that neither talks nor rings: what it is hearing may have an end. */
const PATIENCE = 60_000
/** … until one that talks no more is where it goes: with somebody else, or nowhere. */
const APART = 1_000

export type Standing = 'talks' | 'rings' | 'over' | 'waits' | 'unknown'

/** `originate_disposition` is `failure` while a bridge rings, SUCCESS from its answer on, else the cause it failed with (seen on 1.11). */
export function standingOf({ otherLeg, variables: { current_application, originate_disposition } }: Pick<Leg, 'otherLeg' | 'variables'>): Standing {
  if (otherLeg !== undefined) return 'talks'
  if (current_application === 'park' && originate_disposition === undefined) return 'waits'
  if (current_application !== 'bridge') return 'unknown'
  return (originate_disposition ?? 'failure') === 'failure' ? 'rings' : 'over'
}

/** A voice application runs it, and its place there is kept. */
const isRun = ({ variables }: Pick<Leg, 'variables'>): boolean => variables[PLACE] !== undefined

/** `anew` lets a call begin its flow from the start. */
export function watchOrphans({ switches, clock, log, anew }: { switches: Switches; clock: Clock; log: Log; anew: (leg: Leg) => void }): Orphans {
  /** By leg; where it is and how to stop its patience. */
  const known = new Map<string, { node: string; stop: () => void }>()

  function adopt(leg: Leg): void {
    const standing = standingOf(leg)
    if (!known.has(leg.uuid)) about(leg).warn('call_without_flow', { standing })
    forget(leg.uuid)
    if (standing === 'waits' || (isRun(leg) && (standing === 'over' || standing === 'unknown'))) return anew(leg)
    if (standing === 'over') return hangup(leg)
    if (standing === 'talks') known.set(leg.uuid, { node: leg.node, stop: () => {} })
    else wait(leg, standing)
  }

  function wait(leg: Leg, standing: Standing, ms = PATIENCE): void {
    forget(leg.uuid)
    known.set(leg.uuid, { node: leg.node, stop: clock.after(ms, () => void again(leg, standing)) })
  }

  /** Still the same after its time: over, unless somebody is being rung, who may yet answer. */
  async function again(before: Leg, was: Standing): Promise<void> {
    try {
      const leg = await switches.node(before.node).leg(before.uuid)
      if (leg === undefined) return forget(before.uuid)
      const is = standingOf(leg)
      if (is === 'unknown' && was === 'unknown' && !isRun(leg)) hangup(leg)
      else adopt(leg)
    } catch (error) {
      // The next connection to the switch brings it back.
      about(before).info('call_without_flow_not_seen', { reason: reasonOf(error) })
    }
  }

  function hangup(leg: Leg): void {
    forget(leg.uuid)
    const cause = leg.variables['originate_disposition'] === 'SUCCESS' ? 'NORMAL_CLEARING' : 'NORMAL_TEMPORARY_FAILURE'
    switches
      .node(leg.node)
      .hangup(leg.uuid, cause)
      .then(
        () => about(leg).info('call_ended', { by: 'nobody left to run its flow', cause }),
        (error: unknown) => {
          if (!isCode(error, 'leg_gone')) about(leg).error('hangup_failed', { reason: reasonOf(error) })
        },
      )
  }

  const about = (leg: Leg): Log =>
    bound(log, { account_id: leg.variables['callrec_account_id'], call_id: leg.uuid, leg: leg.uuid, sip_call_id: leg.sipCallId, node: leg.node })

  function forget(uuid: string): void {
    known.get(uuid)?.stop()
    known.delete(uuid)
  }

  return {
    adopt,
    moved: leg => wait(leg, 'unknown'),
    heard({ name, leg }) {
      if (!known.has(leg.uuid)) return
      if (name === 'CHANNEL_BRIDGE') adopt(leg)
      else if (name === 'CHANNEL_UNBRIDGE' && isRun(leg)) wait(leg, 'talks', APART)
      else if (name === 'CHANNEL_UNBRIDGE') hangup(leg)
      else if (name === 'CHANNEL_PARK' && leg.variables['callrec_node'] !== undefined && isRun(leg)) {
        forget(leg.uuid)
        anew(leg)
      }
      // A new call (REFER). With its place still on it, it only waits: a bridge has failed, or a phone has put it aside.
      else if (name === 'CHANNEL_PARK' && leg.variables['callrec_node'] === undefined) forget(leg.uuid)
      else if (name === 'CHANNEL_HANGUP_COMPLETE' || name === 'CHANNEL_DESTROY') forget(leg.uuid)
    },
    leave(name) {
      for (const [uuid, { node }] of known) if (node === name) forget(uuid)
    },
    close() {
      for (const uuid of known.keys()) forget(uuid)
    },
  }
}
