// A TCP hop that a test can cut while both ends live on, and listen to.

import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

export interface Proxy {
  port: number
  /** Resets every connection that goes through it now. */
  cut(): void
  /** Until the answer is called nobody gets through. */
  block(): () => void
  /** From now on nothing gets through, in either direction, and nobody is told. */
  freeze(): void
  close(): void
}

/** `sent` is told what comes from the near end, as it comes. */
export async function proxy(to: number, sent: (text: string) => void = () => {}): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let blocked = false
  let frozen = false
  const server = createServer(near => {
    if (blocked) return near.on('error', () => {}).resetAndDestroy()
    if (frozen) return void sockets.add(near.on('error', () => {}))
    const far = connect(to, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.on('data', (piece: Buffer) => sent(piece.toString('latin1')))
    near.pipe(far).pipe(near)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    block() {
      blocked = true
      cut()
      return () => {
        blocked = false
      }
    },
    freeze() {
      frozen = true
      for (const socket of sockets) socket.unpipe().pause()
    },
    close() {
      cut()
      server.close()
    },
  }
}
