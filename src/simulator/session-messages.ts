// `sendmsg <uuid>`: what a client tells a leg to do. It is queued and answered +OK at once; only CHANNEL_EXECUTE_COMPLETE
// tells how it went, and a command nobody knows is swallowed without a word (reference freeswitch.md §2).

import { causeOf } from './causes.ts'
import type { Exchange } from './exchange.ts'
import type { Command } from './framing.ts'
import { isTrue } from './words.ts'

/** The Reply-Text. */
export function sendMessage(exchange: Exchange, { line, headers, body }: Command): string {
  const uuid = line.slice('sendmsg'.length).trim() || (headers.get('session-id') ?? '')
  const leg = exchange.legs.get(uuid)
  if (!leg) return `-ERR invalid session id [${uuid}]`
  const verb = headers.get('call-command')
  if (verb === 'hangup') leg.runner.message({ hangup: causeOf(headers.get('hangup-cause')) })
  const app = headers.get('execute-app-name')
  if (verb === 'execute' && app) {
    const id = headers.get('event-uuid')
    leg.runner.message({
      app,
      arg: headers.get('execute-app-arg') ?? (headers.get('content-type') === 'text/plain' ? body : ''),
      lock: isTrue(headers.get('event-lock')),
      loops: Number.parseInt(headers.get('loops') ?? '1', 10) || 1,
      ...(id && { uuid: id }),
    })
  }
  return '+OK'
}
