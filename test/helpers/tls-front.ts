// TLS in front of a port, with a certificate for localhost.

import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { createServer, type TlsOptions } from 'node:tls'
import { packagePath } from '../../src/root.ts'

export const pem = (name: 'cert' | 'key'): string => readFileSync(packagePath(`test/fixtures/tls/${name}.pem`), 'utf8')

/** Answers the port where TLS is spoken. */
export async function tlsFront(t: { teardown(run: () => unknown): void }, port: number, more: TlsOptions = {}): Promise<number> {
  const server = createServer({ key: pem('key'), cert: pem('cert'), ...more }, socket => {
    const inner = connect(port, '127.0.0.1')
    for (const one of [inner, socket]) one.on('error', () => {})
    socket.pipe(inner).pipe(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}
