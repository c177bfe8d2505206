// Where a SIP URI leads (RFC 3263): an address is itself; a name with a port is looked up; a name without one is asked for SRV
// first, then looked up. NAPTR is left out: who names no transport gets the one that fits the message (RFC 3261 section 18.1.1).

import { isIP } from 'node:net'
import { promises as system } from 'node:dns'
import { systemCode } from '../errors.ts'
import type { Protocol, Target } from './transport.ts'
import type { SipUri } from './uri.ts'

export interface SrvRecord {
  name: string
  port: number
  priority: number
  weight: number
}

export interface Dns {
  /** Empty when there is none. */
  srv(name: string): Promise<readonly SrvRecord[]>
  addresses(name: string): Promise<readonly string[]>
}

export interface Way {
  /** The request does not fit a datagram: TCP first, UDP where nobody listens there. */
  large: boolean
  dns: Dns
  /** From 0 to 1, for the weights of SRV. */
  random: () => number
}

export const DEFAULT_PORT: Readonly<Record<Protocol, number>> = { udp: 5060, tcp: 5060, tls: 5061 }

/** In the order they are to be tried; empty when the name leads nowhere. */
export async function resolve(uri: SipUri, { large, dns, random }: Way): Promise<Target[]> {
  const { host } = uri
  const protocols = protocolsOf(uri, large)
  if (protocols.length === 0) return []
  const at = (protocol: Protocol, addresses: readonly string[], port: number): Target[] =>
    addresses.map(address => ({ protocol, address, port, name: host, ...(uri.secure ? { secure: true } : {}) }))
  const maddr = uri.params.get('maddr') ?? host
  if (isIP(maddr) !== 0) return protocols.flatMap(protocol => at(protocol, [maddr], uri.port ?? DEFAULT_PORT[protocol]))
  if (uri.port === undefined) {
    // A server that is only there for one protocol says so in its SRV.
    const asked = large || protocols.length > 1 || uri.params.has('transport') || uri.secure ? protocols : [...protocols, 'tcp' as const]
    const found = (await Promise.all(asked.map(protocol => byService(protocol)))).flat()
    if (found.length > 0) return found
  }
  const addresses = await dns.addresses(maddr)
  return protocols.flatMap(protocol => at(protocol, addresses, uri.port ?? DEFAULT_PORT[protocol]))

  async function byService(protocol: Protocol): Promise<Target[]> {
    const service = protocol === 'tls' ? '_sips._tcp' : `_sip._${protocol}`
    const records = inOrder(await dns.srv(`${service}.${maddr}`), random)
    const targets = await Promise.all(records.map(async ({ name, port }) => at(protocol, isIP(name) === 0 ? await dns.addresses(name) : [name], port)))
    return targets.flat()
  }
}

/** Empty for a transport that is not spoken here. */
function protocolsOf({ secure, params }: SipUri, large: boolean): Protocol[] {
  const wish = params.get('transport')
  if (wish !== undefined && wish !== 'udp' && wish !== 'tcp' && wish !== 'tls') return []
  if (secure) return wish === 'udp' ? [] : ['tls']
  if (wish !== undefined) return [wish]
  return large ? ['tcp', 'udp'] : ['udp']
}

/** Lowest priority first, and among equals by chance according to weight (RFC 2782). */
export function inOrder(records: readonly SrvRecord[], random: () => number): SrvRecord[] {
  const ordered: SrvRecord[] = []
  // A single record of `.` means that there is no such service.
  const left = records.filter(({ name }) => name !== '.' && name !== '').sort((a, b) => a.priority - b.priority || a.weight - b.weight)
  while (left.length > 0) {
    const same = left.filter(({ priority }) => priority === left[0]?.priority)
    let at = random() * same.reduce((sum, { weight }) => sum + weight, 0)
    const chosen = same.find(({ weight }) => (at -= weight) < 0) ?? same.at(-1)
    if (chosen === undefined) break
    ordered.push(chosen)
    left.splice(left.indexOf(chosen), 1)
  }
  return ordered
}

/** A name that cannot be found out leads nowhere, whyever; the next way is tried. */
export const systemDns: Dns = {
  srv: name => system.resolveSrv(name).catch(nothingThere),
  async addresses(name) {
    const found = await system.lookup(name, { all: true }).catch(nothingThere)
    return found.map(({ address }) => address)
  },
}

function nothingThere(error: unknown): [] {
  if (['ENOTFOUND', 'ENODATA', 'ESERVFAIL', 'EREFUSED', 'ETIMEOUT', 'EAI_AGAIN', 'ECONNREFUSED', 'EBADNAME'].includes(systemCode(error) ?? '')) return []
  throw error
}
