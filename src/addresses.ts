// Which addresses a tenant's URL may reach: the public internet, and what the operator exempted. The
// API refuses a URL that spells another one, src/net judges the address it connects to. Names are for
// src/net alone: a name means whatever its owner's DNS says at that moment.

import ipaddr from 'ipaddr.js'
import { AppError } from './errors.ts'

type Address = ipaddr.IPv4 | ipaddr.IPv6
export type Networks = readonly (readonly [Address, number])[]

/** The only block of IPv6 that is handed out for public use (RFC 4291 section 2.4); ipaddr.js calls anything unknown `unicast`, `::127.0.0.1` too. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3')

/** CIDRs such as `10.0.0.0/8` or `::1/128`; throws `bad_configuration` naming the one that is none. */
export const parseNetworks = (cidrs: readonly string[]): Networks =>
  cidrs.map(cidr => {
    try {
      return ipaddr.parseCIDR(cidr)
    } catch (cause) {
      throw new AppError('bad_configuration', `${JSON.stringify(cidr)} is not a network such as 10.0.0.0/8`, {}, { cause })
    }
  })

/** What is not an address at all is not allowed either. An IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) is judged as what it is. */
export function isAllowed(address: string, exempt: Networks): boolean {
  if (!ipaddr.isValid(address)) return false
  const found = ipaddr.process(address)
  return isPublic(found) || isWithin(found, exempt)
}

export const isWithin = (address: Address, networks: Networks): boolean =>
  networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits))

const isPublic = (address: Address): boolean => address.range() === 'unicast' && (address.kind() === 'ipv4' || address.match(GLOBAL_UNICAST))

/** By RFC 6761 section 6.3 these mean the machine itself, whatever a resolver says. */
const LOCALHOST = /^(.+\.)?localhost\.?$/

/** As far as its text tells. The URL parser has already made one of the spellings of an IPv4 address: 127.1, 0x7f000001, 2130706433. */
export function mayLeadTo({ hostname }: URL, exempt: Networks): boolean {
  if (LOCALHOST.test(hostname)) return isAllowed('127.0.0.1', exempt) || isAllowed('::1', exempt)
  const address = hostname.replace(/^\[|\]$/g, '')
  return !ipaddr.isValid(address) || isAllowed(address, exempt)
}
