// Ports for programs that are told one and open it a moment later. Below those that the system gives out by itself
// (32768 and up), or a client connection of another test could sit on it by then.

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** Above the audio of the tests' switches. */
const LOWEST = 31_000
const MANY = 32_768 - LOWEST

/** Nobody listens there, and no program is told to. */
export const NOBODY = 1

/** Free for TCP and UDP on loopback, and no two the same. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = LOWEST + Math.floor(Math.random() * MANY)
    if (!ports.has(port) && (await isFree(port))) ports.add(port)
  }
  return [...ports]
}

async function isFree(port: number): Promise<boolean> {
  const tcp = createServer().listen(port, '127.0.0.1')
  const udp = createSocket('udp4').bind(port, '127.0.0.1')
  const opened = await Promise.all(
    [tcp, udp].map(one =>
      once(one, 'listening').then(
        () => true,
        () => false,
      ),
    ),
  )
  tcp.close()
  udp.close()
  return opened.every(open => open)
}
