// A network of datagrams on a clock that stands still until it is moved: it loses what it is told to lose, and agents on it
// need no sockets.

import { randomBytes } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { silent } from '../../src/log.ts'
import { type Agent, type AgentOptions, createAgent, type Invitation, type SessionEvents } from '../../src/sip/agent.ts'
import { type Message, parse } from '../../src/sip/message.ts'
import type { Dns } from '../../src/sip/resolve.ts'
import type { Protocol, Source, Target, Transport } from '../../src/sip/transport.ts'
import { type ManualClock, manualClock } from '../helpers/clock.ts'

export interface Network {
  clock: ManualClock
  /** Every message that was sent, in order. */
  sent: { from: string; to: string; protocol: Protocol; message: Message }[]
  /** Says which datagrams are lost. */
  lose: (message: Message, to: string) => boolean
  /** Who does not listen for streams. */
  noTcp: Set<string>
  transport(address: string): Transport
  agent(address: string, options?: Partial<AgentOptions>): Agent
  /** Puts bytes on the wire as they are. */
  inject(bytes: Buffer, from: string, to: string): void
  /** Moves the clock in steps, so that what waits for a promise has its turn. */
  run(ms: number): Promise<void>
  until(what: string, look: () => unknown, ms?: number): Promise<void>
}

const DELAY = 10
const STEP = 50

export const NO_DNS: Dns = { srv: async () => [], addresses: async () => [] }

export function network(): Network {
  const clock = manualClock()
  const listeners = new Map<string, (bytes: Buffer, from: Source) => void>()

  function carry(bytes: Buffer, protocol: Protocol, from: string, to: string): void {
    const message = parse(bytes) as Message
    net.sent.push({ from, to, protocol, message })
    if (protocol === 'udp' && net.lose(message, to)) return
    clock.after(DELAY, () => listeners.get(to)?.(bytes, { protocol, address: from, port: 5060, reply: answer => carry(answer, protocol, to, from) }))
  }

  const net: Network = {
    clock,
    sent: [],
    lose: () => false,
    noTcp: new Set(),
    transport: own => ({
      async send(bytes, { address, protocol }: Target) {
        if (protocol !== 'udp' && (net.noTcp.has(address) || !listeners.has(address))) throw new Error('connection refused')
        carry(bytes, protocol, own, address)
      },
      onMessage: listener => void listeners.set(own, listener),
      close: async () => void listeners.delete(own),
    }),
    agent: (address, options = {}) =>
      createAgent({
        transport: net.transport(address),
        clock,
        log: silent,
        random: bytes => randomBytes(bytes).toString('hex'),
        dns: NO_DNS,
        advertised: { host: address, port: 5060 },
        name: 'test',
        onCall: call => call.refuse(404),
        ...options,
      }),
    inject: (bytes, from, to) => listeners.get(to)?.(bytes, { protocol: 'udp', address: from, port: 5060, reply: () => {} }),
    async run(ms) {
      for (let left = ms; left > 0; left -= STEP) {
        clock.advance(Math.min(STEP, left))
        await turn()
        await turn()
      }
    },
    async until(what, look, ms = 120_000) {
      for (let left = ms; left > 0; left -= STEP) {
        if (look()) return
        await net.run(STEP)
      }
      throw new Error(`not within ${ms} ms of its clock: ${what}`)
    },
  }
  return net
}

export const events = (own: Partial<SessionEvents> = {}): SessionEvents => ({
  asked: () => ({ status: 200 }),
  refresh: () => ({}),
  ended: () => {},
  ...own,
})

export const invitation = (uri: string, own: Partial<Invitation> = {}): Invitation => ({
  uri,
  from: 'sip:caller@10.0.0.1',
  headers: [['Content-Type', 'application/sdp']],
  body: Buffer.from('offer'),
  patience: 32_000,
  events: events(),
  ...own,
})
