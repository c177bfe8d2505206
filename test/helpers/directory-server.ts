// The other half of mod_xml_curl: answers like /freeswitch/xml, from freeswitch/directory-example.xml and
// directory-not-found.xml, and remembers what it was asked.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { packagePath } from '../../src/root.ts'

export interface DirectoryUser {
  name: string
  realm: string
  password: string
  accountId: string
  deviceId: string
}

export interface DirectoryServer {
  url: string
  secret: string
  /** The form fields of every request with the right secret, oldest first. */
  readonly asked: readonly Readonly<Record<string, string>>[]
  /** Requests that were answered 401. */
  readonly refused: () => number
  /** As if the engine were stopped: nothing listens. */
  stop(): Promise<void>
  /** Back on the same port. */
  start(): Promise<void>
}

const example = (): string => readFileSync(packagePath('freeswitch/directory-example.xml'), 'utf8')
const notFound = (): string => readFileSync(packagePath('freeswitch/directory-not-found.xml'), 'utf8')

export const a1Hash = ({ name, realm, password }: Pick<DirectoryUser, 'name' | 'realm' | 'password'>): string =>
  createHash('md5').update(`${name}:${realm}:${password}`).digest('hex')

/** The example's own user, whose values are what gets replaced. */
export const EXAMPLE: DirectoryUser = {
  name: 'alice',
  realm: 'acme.example.com',
  password: 'wonderland',
  accountId: '0123456789abcdef0123456789abcdef',
  deviceId: '5d6e7f8091a2b3c4d5e6f708192a3b4c',
}

export const directoryXml = (user: DirectoryUser): string =>
  example()
    .replaceAll(a1Hash(EXAMPLE), a1Hash(user))
    .replaceAll(EXAMPLE.accountId, user.accountId)
    .replaceAll(EXAMPLE.deviceId, user.deviceId)
    .replaceAll(EXAMPLE.realm, user.realm)
    .replaceAll(`id="${EXAMPLE.name}"`, `id="${user.name}"`)

export async function directoryServer(t: { teardown(run: () => unknown): void }, users: readonly DirectoryUser[]): Promise<DirectoryServer> {
  const secret = 'directory-secret'
  const asked: Record<string, string>[] = []
  let refused = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (request.headers.authorization !== `Basic ${Buffer.from(`freeswitch:${secret}`).toString('base64')}`) {
        refused += 1
        response.writeHead(401).end()
        return
      }
      const form = Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString()))
      asked.push(form)
      const user = users.find(({ name, realm }) => name === form['user'] && realm === form['domain'])
      response.writeHead(200, { 'content-type': 'text/xml' }).end(user ? directoryXml(user) : notFound())
    })
  })
  let port = 0
  const start = async (): Promise<void> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  }
  const stop = (): Promise<void> =>
    new Promise(resolve => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  await start()
  t.teardown(stop)
  return { url: `http://127.0.0.1:${port}/freeswitch/xml`, secret, asked, refused: () => refused, stop, start }
}
