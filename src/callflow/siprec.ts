// What a `siprec_recording` node and the API say of recording servers, made into what the recording client is asked.

import { decideAction } from '../recording/policy.ts'
import type { SiprecStarted } from '../siprec/request.ts'
import { callerDocuments } from './call.ts'
import { isObject, text } from './documents.ts'
import type { Fields } from './flow.ts'
import { callerFacts, labelOf, type Talk } from './recording.ts'

/** Throws `wrong_state` where the leg is recorded by servers already. `by`: `callflow`, `api`. */
export function recordByServers(call: Talk, data: Fields, by: string): Promise<SiprecStarted> {
  const label = labelOf(call, data)
  const { settings } = decideAction(callerDocuments(call), call.way, {}, label)
  return call.ports.siprec.start({
    accountId: call.accountId,
    leg: call.leg,
    side: 'caller',
    facts: callerFacts(call, label),
    // A server that came out empty is told as missing; one that is left out is the device's, user's or account's.
    servers: data['server'] ?? settings.siprec_server?.value,
    recordingId: text(data['recording_id']),
    headers: headersOf(data['headers']),
    mode: data['mode'] === 'mixed' ? 'mixed' : 'separate',
    required: data['required'] === true,
    settings,
    follows: settings.should_follow_transfer?.value !== false,
    origin: `${by} : ${label}`,
    by: 'action',
  })
}

const headersOf = (value: unknown): Record<string, string> =>
  isObject(value) ? Object.fromEntries(Object.entries(value).map(([name, one]) => [name, String(one)])) : {}
