// Legs that are moved about by others than their own dialplan: `uuid_transfer`, which is also what a phone's REFER comes
// to, and `uuid_bridge`, which is what its REFER with Replaces does with the far sides of its two calls (sofia.c,
// sofia_handle_sip_i_refer). Texts and order of events: mod_commands.c, switch_ivr.c, switch_ivr_bridge.c.

import { part } from './call.ts'
import type { Exchange } from './exchange.ts'
import { hasMedia, HIBERNATE, isUp, type Leg, ROUTING, setVariable, variable } from './leg.ts'
import { actionsOf, reroute } from './originate.ts'
import { splitWords } from './words.ts'

const NO_CHANNEL = '-ERR No such channel!\n'

/** Whoever was bridged with it is hung up if it was called, and goes on in its own dialplan if it called. */
function take(leg: Leg, next: number): void {
  leg.next = next
  if (leg.partner) part(leg, leg.partner)
  const { onTaken } = leg
  leg.onGone = leg.onTaken = undefined
  onTaken?.()
  leg.runner.leave()
}

export function transfer(exchange: Exchange, args: string): string {
  const words = splitWords(args, 5)
  if (words.length < 2) return '-USAGE: <uuid> [-bleg|-both] <dest-exten> [<dialplan>] [<context>]\n'
  const named = exchange.legs.get(words[0] ?? '')
  if (!named) return NO_CHANNEL
  const [which, destination = '', dialplan = 'XML'] = words[1]?.startsWith('-') ? words.slice(1) : ['', ...words.slice(1)]
  const other = exchange.legs.get(variable(named, 'bridge_to') ?? '')
  const legs = which === '-both' && other ? [other, named] : [which === '-bleg' ? (other ?? named) : named]
  for (const leg of legs) {
    take(leg, ROUTING)
    reroute(leg, destination, dialplan)
    leg.runner.dialplan(actionsOf(destination, dialplan))
  }
  return '+OK\n'
}

export function bridgeLegs(exchange: Exchange, args: string): string {
  const [first, second] = splitWords(args, 4)
  if (!first || !second) return '-USAGE: <uuid> <other_uuid>\n'
  const legs = [first, second].map(uuid => exchange.legs.get(uuid)).filter(leg => leg !== undefined)
  // Who has media bridges to the other one.
  const [a, b] = legs.toSorted((one, other) => Number(hasMedia(other)) - Number(hasMedia(one)))
  if (!a || !b || a === b || !hasMedia(a)) return '-ERR Invalid uuid\n'
  for (const leg of [a, b]) {
    take(leg, HIBERNATE)
    setVariable(leg, 'transfer_source', `${leg.uuid}:${exchange.micros()}:uuid_br:${(leg === a ? b : a).uuid}`)
  }
  if (isUp(a) && isUp(b)) a.runner.dialplan([{ app: 'uuid_bridge', arg: b.uuid }])
  return `+OK ${second}\n`
}
