// What the switch tells of a leg, brought to the session it is about.

import type { Untold } from '../recording/untold.ts'
import type { SwitchEvent } from '../switch/switch.ts'
import { adopt } from './adopting.ts'
import type { Live } from './live.ts'
import type { SiprecRequest, SiprecStarted } from './request.ts'
import type { Roster, SiprecPorts } from './roster.ts'

/** Why a session that waits has nothing. */
export const whyNot = ({ tells }: Live): string => (tells ? 'announcement_unfinished' : 'never_answered')

/** `leaving`: its leg is about to leave the conversation. */
export function hearing(
  ports: Pick<SiprecPorts, 'switches' | 'store' | 'log'>,
  roster: Roster,
  untold: Untold<SiprecRequest, SiprecStarted>,
  leaving: (one: Live) => void,
): (event: SwitchEvent) => void {
  function met(...pair: readonly [string, string]): void {
    for (const uuid of pair) roster.quietly(roster.at(uuid)?.met() ?? Promise.resolve(), uuid)
    roster.quietly(untold.met(...pair), pair[0])
  }

  async function talksTo(one: Live, node: string, other: string): Promise<void> {
    const leg = await ports.switches.node(node).leg(other)
    if (leg !== undefined) await one.talksTo(leg)
  }

  return event => {
    if (event.name === 'node_up') return roster.quietly(adopt(ports, roster, event.node), event.node)
    if (event.name === 'node_down' || event.name === 'node_lost') untold.leave(event.node)
    if (event.name === 'node_lost') return roster.leaveTo(event.node)
    if (!('leg' in event)) return
    if (event.name === 'CHANNEL_HOLD' || event.name === 'CHANNEL_UNHOLD') {
      for (const uuid of [event.leg.uuid, event.leg.otherLeg ?? '']) {
        const held = roster.at(uuid)
        if (held !== undefined) roster.quietly(held.held(event.name === 'CHANNEL_HOLD'), uuid)
      }
      return
    }
    if (event.name === 'CHANNEL_DESTROY') untold.gone(event.leg.uuid)
    if (event.name === 'CHANNEL_BRIDGE') met(event.leg.uuid, event.otherLeg)
    if (event.name === 'CHANNEL_ANSWER' && event.leg.otherLeg !== undefined) met(event.leg.uuid, event.leg.otherLeg)
    const one = roster.at(event.leg.uuid)
    if (one === undefined) return
    switch (event.name) {
      case 'CHANNEL_ANSWER':
        return one.state === 'waiting' ? roster.quietly(roster.begin(one), one.leg) : undefined
      case 'CHANNEL_BRIDGE':
        return roster.quietly(talksTo(one, event.leg.node, event.otherLeg), one.leg)
      case 'CHANNEL_UNBRIDGE':
        return roster.quietly(one.talksTo(undefined), one.leg)
      case 'CHANNEL_HANGUP_COMPLETE':
      case 'CHANNEL_DESTROY':
        leaving(one)
        return roster.quietly(one.state === 'waiting' ? one.end('discarded', whyNot(one)) : one.end('stopped'), one.leg)
      case 'CHANNEL_PARK':
      case 'DTMF':
      case 'RECORD_START':
      case 'RECORD_STOP':
    }
  }
}
