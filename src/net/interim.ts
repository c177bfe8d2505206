// `100 Continue` from a server that was not asked for it. A client has to take it (RFC 9110 section 15.2); undici 7
// breaks the connection off (lib/dispatcher/client-h1.js, onHeadersComplete), so it is taken out before undici reads it.

import type { Socket } from 'node:net'

const CONTINUE = /^HTTP\/1\.1 100 [^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n/
/** Longer ones are no `100 Continue` that anybody sends. */
const LONGEST = 1024

/** The same socket; what it reads at the beginning of an answer has none. */
export function withoutContinue<S extends Socket>(socket: S): S {
  const read = socket.read.bind(socket)
  socket.read = (size?: number): unknown => {
    const piece: unknown = read(size)
    if (!Buffer.isBuffer(piece) || !piece.subarray(0, 13).equals(START)) return piece
    const interim = CONTINUE.exec(piece.subarray(0, LONGEST).toString('latin1'))?.[0].length ?? 0
    // Nothing behind it yet: undici asks again when more has come.
    return interim === piece.length ? null : piece.subarray(interim)
  }
  return socket
}

const START = Buffer.from('HTTP/1.1 100 ')
