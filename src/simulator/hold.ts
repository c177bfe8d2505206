// `uuid_hold`: a phone's party is put aside. It is told (CHANNEL_HOLD), and what it says goes nowhere until that ends; no music is
// played to it here.

import type { Exchange } from './exchange.ts'
import { hasMedia } from './leg.ts'
import { SILENCE } from './media.ts'
import { splitWords } from './words.ts'

const USAGE = '-USAGE: [off|toggle] <uuid> [<display>]\n'

export function uuidHold(exchange: Exchange, args: string): string {
  const [first = '', second = ''] = splitWords(args, 3)
  const [action, uuid] = first === 'off' || first === 'toggle' ? [first, second] : ['on', first]
  if (uuid === '') return USAGE
  const leg = exchange.legs.get(uuid)
  if (leg === undefined || !hasMedia(leg)) return '-ERR Operation Failed\n'
  const held = action === 'toggle' ? !leg.held : action === 'on'
  if (held !== leg.held) {
    leg.held = held
    leg.says = held ? SILENCE : leg.phone.voice
    exchange.fireLeg(held ? 'CHANNEL_HOLD' : 'CHANNEL_UNHOLD', leg)
  }
  return '+OK Success\n'
}
