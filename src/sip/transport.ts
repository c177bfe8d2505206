// What carries messages: the port that transactions use. sockets.ts is the real one; tests lose datagrams in theirs.

export type Protocol = 'udp' | 'tcp' | 'tls'

/** Where a request goes. */
export interface Target {
  protocol: Protocol
  /** An IP address. */
  address: string
  port: number
  /** What the certificate must be for (tls). */
  name: string
  /** By a sips: URI, so what we say of ourselves is one, too. */
  secure?: true
}

/** What others reach us at. */
export interface Advertised {
  host: string
  /** For UDP and TCP. */
  port: number
  /** Without one nobody can reach us by TLS but on a connection that we made. */
  tlsPort?: number
}

/** Where a message came from. */
export interface Source {
  protocol: Protocol
  address: string
  port: number
  /** Back the way it came: for UDP to where it came from, for a stream on its connection. */
  reply(bytes: Buffer): void
}

export interface Transport {
  /** Rejects when it certainly did not go out. Of a datagram that is lost nobody tells. */
  send(bytes: Buffer, target: Target): Promise<void>
  /** One listener; a message each. */
  onMessage(listener: (bytes: Buffer, from: Source) => void): void
  close(): Promise<void>
}
