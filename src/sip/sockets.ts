// The transport over real sockets: one for UDP, one that listens for TCP, and a connection to each place messages go to by TCP
// or TLS. A connection that breaks is made again by the next message; what it was to carry is told as not sent.

import { createSocket } from 'node:dgram'
import { connect, createServer, isIPv6, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer, type Server as TlsServer } from 'node:tls'
import type { Clock } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import { createFraming } from './framing.ts'
import type { Source, Target, Transport } from './transport.ts'

export interface SocketOptions {
  host: string
  /** For UDP and TCP; 0 takes one that is free for both. */
  port: number
  clock: Clock
  log: Log
  /** What we show to whom we call by TLS and who calls us by it; nobody can where it is left out. */
  identity?: Identity
  /** Certificates of authorities in place of those Node knows; PEM. */
  authorities?: string
}

/** PEM. */
export interface Identity {
  cert: string
  key: string
  /** Where calls by TLS are taken; 0 takes one that is free. */
  port: number
}

export interface Sockets extends Transport {
  readonly port: number
  readonly tlsPort: number | undefined
}

// Milliseconds.
const CONNECT_PATIENCE = 5000
/** Of a connection on which nothing is said. */
const IDLE = 3600_000
const MOST_CONNECTIONS = 2000
/** Bytes of ours that the other side has not read. */
const MOST_UNREAD = 1024 * 1024
const TRIES_FOR_A_PORT = 20

export async function openSockets(options: SocketOptions): Promise<Sockets> {
  for (let tries = 1; ; tries++) {
    try {
      return await open(options)
    } catch (error) {
      // The port that UDP found free may be somebody's for TCP.
      if (options.port !== 0 || tries >= TRIES_FOR_A_PORT) throw error
    }
  }
}

async function open({ host, port: wanted, clock, log, identity, authorities }: SocketOptions): Promise<Sockets> {
  let listener: (bytes: Buffer, from: Source) => void = () => {}
  const udp = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
  await new Promise<void>((resolve, reject) => udp.once('error', reject).bind(wanted, host, resolve))
  const { port } = udp.address()
  udp.on('error', error => log.warn('sip_socket_failed', { protocol: 'udp', reason: error.message }))
  udp.on('message', (bytes, { address, port: from }) => {
    // Nothing can be sent back to port 0.
    if (from === 0) return
    listener(bytes, { protocol: 'udp', address, port: from, reply: answer => udp.send(answer, from, address, error => lost('udp', address, error)) })
  })

  let closed = false
  const sockets = new Set<Socket>()
  const strangers = new Set<Socket>()
  /** By protocol, address and port of where they go to. */
  const connections = new Map<string, Promise<Socket>>()

  const server = createServer(socket => {
    if (closed || sockets.size >= MOST_CONNECTIONS) return void socket.destroy()
    serve(socket, 'tcp')
  })
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
  } catch (error) {
    udp.close()
    throw error
  }
  server.on('error', error => log.warn('sip_socket_failed', { protocol: 'tcp', reason: error.message }))
  const tls = identity === undefined ? undefined : await listenTls(identity)

  async function listenTls({ cert, key, port: at }: Identity): Promise<TlsServer> {
    try {
      const listening = createTlsServer({ cert, key, minVersion: 'TLSv1.2', handshakeTimeout: CONNECT_PATIENCE }, socket => {
        if (closed || sockets.size >= MOST_CONNECTIONS) return void socket.destroy()
        serve(socket, 'tls')
      })
      // Until it has shaken hands a connection is nobody's.
      listening.on('connection', (socket: Socket) => (closed ? void socket.destroy() : strangers.add(socket.once('close', () => strangers.delete(socket)))))
      listening.on('tlsClientError', (error, socket) => {
        log.debug('sip_connection_failed', { protocol: 'tls', reason: error.message })
        socket.destroy()
      })
      await new Promise<void>((resolve, reject) => listening.once('error', reject).listen(at, host, resolve))
      listening.on('error', error => log.warn('sip_socket_failed', { protocol: 'tls', reason: error.message }))
      return listening
    } catch (error) {
      udp.close()
      server.close()
      throw error
    }
  }

  function lost(protocol: string, address: string, error: Error | null): void {
    if (error !== null) log.debug('sip_message_not_sent', { protocol, address, reason: error.message })
  }

  function serve(socket: Socket, protocol: 'tcp' | 'tls'): void {
    const framing = createFraming()
    sockets.add(socket)
    socket.setKeepAlive(true, 30_000).setNoDelay(true)
    let idle = (): void => {}
    const alive = (): void => {
      idle()
      idle = clock.after(IDLE, () => socket.destroy())
    }
    alive()
    const { remoteAddress: address = '', remotePort: from = 0 } = socket
    const reply = (bytes: Buffer | string): void => {
      socket.write(bytes, error => lost(protocol, address, error ?? null))
      if (socket.writableLength > MOST_UNREAD) socket.destroy(new Error(`the other side does not read: ${socket.writableLength} bytes wait to be sent`))
    }
    const source: Source = { protocol, address, port: from, reply }
    socket.on('data', bytes => {
      alive()
      try {
        const { messages, pings } = framing.push(bytes)
        if (pings > 0) reply('\r\n'.repeat(pings))
        for (const message of messages) listener(message, source)
      } catch (error) {
        log.debug('sip_stream_refused', { address, reason: reasonOf(error) })
        socket.destroy()
      }
    })
    socket.on('error', error => log.debug('sip_connection_failed', { protocol, address, reason: error.message }))
    socket.on('close', () => {
      idle()
      sockets.delete(socket)
    })
  }

  function connection({ protocol, address, port: to, name }: Target): Promise<Socket> {
    const key = `${protocol} ${address} ${to} ${protocol === 'tls' ? name : ''}`
    if (closed) return Promise.reject(new Error('the sockets are closed'))
    const known = connections.get(key)
    if (known !== undefined) return known
    const made = new Promise<Socket>((resolve, reject) => {
      const socket =
        protocol === 'tls'
          ? connectTls({
              host: address,
              port: to,
              minVersion: 'TLSv1.2',
              ...(/[A-Za-z]/.test(name) ? { servername: name } : {}),
              ...(identity === undefined ? {} : { cert: identity.cert, key: identity.key }),
              ...(authorities === undefined ? {} : { ca: authorities }),
            })
          : connect({ host: address, port: to })
      const cancel = clock.after(CONNECT_PATIENCE, () => socket.destroy(new Error(`no connection within ${CONNECT_PATIENCE} ms`)))
      const failed = (error: Error): void => {
        cancel()
        reject(error)
      }
      socket.once('error', failed)
      socket.once('close', () => {
        connections.delete(key)
        failed(new Error('the connection was closed'))
      })
      socket.once(protocol === 'tls' ? 'secureConnect' : 'connect', () => {
        cancel()
        serve(socket, protocol === 'tls' ? 'tls' : 'tcp')
        resolve(socket)
      })
    })
    made.catch(() => connections.delete(key))
    connections.set(key, made)
    return made
  }

  const tlsAddress = tls?.address()
  return {
    port,
    tlsPort: typeof tlsAddress === 'object' ? tlsAddress?.port : undefined,
    async send(bytes, target) {
      if (target.protocol === 'udp') {
        return new Promise((resolve, reject) => udp.send(bytes, target.port, target.address, error => (error === null ? resolve() : reject(error))))
      }
      const socket = await connection(target)
      await new Promise<void>((resolve, reject) => socket.write(bytes, error => (error === null || error === undefined ? resolve() : reject(error))))
    },
    onMessage(one) {
      listener = one
    },
    async close() {
      // Whoever comes from now on would be waited for.
      closed = true
      const silent = Promise.all([server, tls].map(one => new Promise<void>(resolve => (one === undefined ? resolve() : void one.close(() => resolve())))))
      for (const socket of [...sockets, ...strangers]) socket.destroy()
      for (const made of connections.values()) made.then(socket => socket.destroy()).catch(() => {})
      await new Promise<void>(resolve => udp.close(() => resolve()))
      await silent
    },
  }
}
