// What a tenant's server is told of a call, and what it may answer: pure. Names are Kazoo's (kzt_util.erl,
// base_req_params), so that a server written for it needs no change.

import type { Call } from './call.ts'
import { text } from './documents.ts'

const [user, host] = [(address: string): string => address.split('@')[0] ?? '', (address: string): string => address.split('@')[1] ?? '']

/** Only what is known; a leg without SIP has the number and the account's realm instead. */
export function parametersOf({ leg, account, accountId, device, number, user: owner, language, digits }: Call): [string, string][] {
  const realm = text(account['realm'])
  const parameters: [string, string][] = [
    ['Call-ID', leg.uuid],
    ['Account-ID', accountId],
    ['From', user(leg.sipFrom) || leg.callerIdNumber],
    ['From-Realm', host(leg.sipFrom) || realm],
    ['To', number],
    ['To-Realm', host(leg.sipTo) || realm],
    ['Request', number],
    ['Request-Realm', host(leg.sipRequest) || realm],
    ['Caller-ID-Name', leg.callerIdName],
    ['Caller-ID-Number', leg.callerIdNumber],
    ['Direction', 'inbound'],
    ['Call-Status', leg.answered ? 'in-progress' : 'ringing'],
    ['Api-Version', '2015-03-01'],
    ['Language', language ?? ''],
    ['User-ID', owner?._id ?? ''],
    ['Device-ID', device?._id ?? ''],
    ['Digits', digits ?? ''],
  ]
  return parameters.filter(([, value]) => value !== '')
}

/** The URL with the parameters added to those it has. */
export function withQuery(url: string, parameters: readonly [string, string][]): string {
  const [before = '', fragment] = url.split('#')
  const query = parameters.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(Buffer.from(value).toString())}`).join('&')
  return `${before}${before.includes('?') ? '&' : '?'}${query}${fragment === undefined ? '' : `#${fragment}`}`
}
