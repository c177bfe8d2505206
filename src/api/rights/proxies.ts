// Whose address a request came from. Behind a proxy every socket is the proxy's, and what X-Forwarded-For says anybody
// can write: it is believed from the end on, for as long as it was a proxy the operator trusts that wrote it.

import ipaddr from 'ipaddr.js'
import { isWithin, type Networks } from '../../addresses.ts'

export function clientAddress(socket: string, forwardedFor: string | undefined, trusted: Networks): string {
  const via = forwardedFor?.split(',') ?? []
  let address = socket
  while (isTrusted(address, trusted)) {
    const before = withoutPort(via.pop()?.trim() ?? '')
    if (!ipaddr.isValid(before)) break
    address = before
  }
  return address
}

const isTrusted = (address: string, trusted: Networks): boolean => trusted.length > 0 && ipaddr.isValid(address) && isWithin(ipaddr.process(address), trusted)

/** Some proxies write `192.0.2.1:4711` and `[2001:db8::1]:4711`. */
const withoutPort = (text: string): string => text.replace(/^\[(.*)\](:\d+)?$/, '$1').replace(/^([\d.]+):\d+$/, '$1')
