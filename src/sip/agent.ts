// A small SIP user agent (RFC 3261, 3263, 3581, 4028, 6026): calls, takes calls, and knows nothing of what they are for.

import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import { ALLOW, contactOf, type Core, type Standing, SUPPORTED, targetsOf } from './core.ts'
import { dialogId } from './dialog.ts'
import { type IncomingCall, ring, type Ringing } from './incoming.ts'
import { header, tagOf } from './message.ts'
import { type Invitation, invite, type Outgoing } from './outgoing.ts'
import type { Dns } from './resolve.ts'
import { type Exchange, startTransactions } from './transactions.ts'
import type { Advertised, Transport } from './transport.ts'

export type { IncomingCall } from './incoming.ts'
export type { Invitation, Outcome, Outgoing } from './outgoing.ts'
export type { Answer, Offer, Session, SessionEvents } from './session.ts'

export interface AgentOptions {
  transport: Transport
  clock: Clock
  log: Log
  /** Hex of so many bytes. */
  random: (bytes: number) => string
  dns: Dns
  advertised: Advertised
  /** As User-Agent says it. */
  name: string
  /** Which addresses calls of ours may go to; all where it is left out. */
  permits?: (address: string) => boolean
  onCall: (call: IncomingCall) => void
}

export interface Agent {
  invite(invitation: Invitation): Outgoing
  readonly counts: { transactions: number; sessions: number }
  /** Ends what stands, and what is being called, and waits for that no longer than the answers take. */
  close(): Promise<void>
}

/** Milliseconds that the other sides have to answer our BYE. */
const CLOSE_PATIENCE = 2000

export function createAgent({ transport, clock, log, random, dns, advertised, name, permits = () => true, onCall }: AgentOptions): Agent {
  const sessions = new Map<string, Standing>()
  const ringing = new WeakMap<Exchange, Ringing>()
  const chance = (): number => Number.parseInt(random(4), 16) / 2 ** 32
  const core: Core = {
    clock,
    log,
    random,
    chance,
    sessions,
    calls: new Set(),
    name,
    transactions: startTransactions({ transport, clock, log, random, advertised }, heard),
    targets: (uri, bytes) => targetsOf(uri, bytes, { dns, permits, chance }),
    contact: (target, params) => contactOf(advertised, target, params),
  }

  function heard(exchange: Exchange): void {
    const { request } = exchange
    if (request.method === 'CANCEL') return cancel(exchange)
    const [localTag, remoteTag] = [tagOf(request, 'to'), tagOf(request, 'from')]
    if (localTag !== undefined) {
      const session = sessions.get(dialogId({ callId: header(request, 'call-id') ?? '', localTag, remoteTag: remoteTag ?? '' }))
      if (session !== undefined) session.receive(exchange)
      else if (request.method !== 'ACK') exchange.respond(481)
      return
    }
    if (request.method === 'OPTIONS') return exchange.respond(200, [ALLOW, SUPPORTED, ['Accept', 'application/sdp'], core.contact(exchange.source)])
    if (request.method !== 'INVITE') return request.method === 'ACK' ? undefined : exchange.respond(405, [ALLOW])
    const one = ring(core, exchange)
    if (one === undefined) return
    ringing.set(exchange, one)
    onCall(one.call)
  }

  function cancel(exchange: Exchange): void {
    const meant = core.transactions.meant(exchange.request)
    if (meant === undefined) return exchange.respond(481)
    exchange.respond(200)
    ringing.get(meant)?.cancelled()
  }

  return {
    invite: invitation => invite(core, invitation),
    get counts() {
      return { transactions: core.transactions.size, sessions: sessions.size }
    },
    async close() {
      for (const call of core.calls) call.cancel()
      const byes = Promise.all([...sessions.values()].map(session => session.bye()))
      let cancelWait = (): void => {}
      await Promise.race([byes, new Promise<void>(resolve => (cancelWait = clock.after(CLOSE_PATIENCE, resolve)))])
      cancelWait()
      for (const session of sessions.values()) session.drop()
      core.transactions.close()
    },
  }
}
