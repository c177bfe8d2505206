// The SIP socket of the recording client: calls to recording servers go out of it, and the switch's recording legs come in by it, each
// under a name that nobody else knows. A socket that cannot be had fails the recordings that need it, never the engine.

import type { Clock } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { type Agent, createAgent, type IncomingCall } from '../sip/agent.ts'
import { type Dns, systemDns } from '../sip/resolve.ts'
import { type Identity, openSockets, type Sockets } from '../sip/sockets.ts'
import type { Advertised } from '../sip/transport.ts'
import { hostText, parseUri } from '../sip/uri.ts'

export interface DoorOptions {
  bind: { host: string; port: number }
  /** What the switch and the servers reach us at; the bound address where it is left out. */
  advertise?: { host: string; port: number }
  /** The wall's. */
  clock: Clock
  log: Log
  /** Hex of so many bytes. */
  random: (bytes: number) => string
  /** Where calls and audio may go. */
  permits: (address: string) => boolean
  dns?: Dns
  /** As openSockets. */
  identity?: Identity
  /** Certificates of authorities in place of those Node knows; PEM. */
  authorities?: string
}

export interface Door {
  /** Opened already, or now; rejects with why it cannot be. */
  agent(): Promise<Agent>
  /** Waits for the leg that is sent to `address`; undefined when it did not come in time, or was no longer awaited. */
  expect(ms: number): { address: string; call: Promise<IncomingCall | undefined>; forget: () => void }
  permits(address: string): boolean
  close(): Promise<void>
}

export function openDoor({ bind, advertise, clock, log, random, permits, dns = systemDns, identity, authorities }: DoorOptions): Door {
  const expected = new Map<string, (call: IncomingCall | undefined) => void>()
  let at: Advertised = advertise ?? bind
  let opened: Promise<{ agent: Agent; sockets: Sockets }> | undefined
  let closed = false

  const open = (): Promise<{ agent: Agent; sockets: Sockets }> => {
    opened ??= openNow().catch((error: unknown) => {
      opened = undefined
      log.error('sip_socket_unusable', {
        host: bind.host,
        port: bind.port,
        reason: reasonOf(error),
        todo: 'give SIP_BIND an address and a port of its own and start again; until then recording servers cannot be called',
      })
      throw error
    })
    return opened
  }

  async function openNow(): Promise<{ agent: Agent; sockets: Sockets }> {
    const sockets = await openSockets({
      ...bind,
      clock,
      log,
      ...(identity === undefined ? {} : { identity }),
      ...(authorities === undefined ? {} : { authorities }),
    })
    at = { ...(advertise ?? { host: bind.host, port: sockets.port }), ...(sockets.tlsPort === undefined ? {} : { tlsPort: sockets.tlsPort }) }
    log.info('sip_listening', {
      host: bind.host,
      port: sockets.port,
      advertised: `${hostText(at.host)}:${at.port}`,
      ...(at.tlsPort === undefined ? {} : { tls_port: at.tlsPort }),
    })
    const agent = createAgent({ transport: sockets, clock, log, random, dns, advertised: at, name: 'callrec', permits, onCall: take })
    return { agent, sockets }
  }

  function take(call: IncomingCall): void {
    const name = parseUri(call.request.uri)?.user ?? ''
    const waiting = expected.get(name)
    expected.delete(name)
    if (waiting === undefined) call.refuse(404)
    else waiting(call)
  }

  open().catch(() => {})
  return {
    async agent() {
      if (closed) throw new Error('the engine is closing')
      return (await open()).agent
    },
    expect(ms) {
      const name = `tap-${random(16)}`
      let settle: (call: IncomingCall | undefined) => void = () => {}
      const call = new Promise<IncomingCall | undefined>(resolve => {
        settle = resolve
      })
      const forget = (): void => {
        cancel()
        expected.delete(name)
        settle(undefined)
      }
      const cancel = clock.after(ms, forget)
      expected.set(name, one => {
        cancel()
        settle(one)
      })
      return { address: `${name}@${hostText(at.host)}:${at.port}`, call, forget }
    },
    permits,
    async close() {
      closed = true
      for (const waiting of expected.values()) waiting(undefined)
      expected.clear()
      const last = await opened?.catch(() => undefined)
      await last?.agent.close()
      await last?.sockets.close()
    },
  }
}
