// A small server that takes what callrec delivers, for trying things out and for the demo. A file
// appears under its name only once it is whole, and never in place of another.

import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { link, mkdir, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, parse } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { AppError, reasonOf, systemCode } from './errors.ts'

export interface ReceivedFile {
  name: string
  path: string
  size: number
  contentType: string
  /** What the query of the upload says: from, to, caller_id_name, … */
  query: Readonly<Record<string, string>>
}

export interface Receiver {
  port: number
  url: string
  close(): Promise<void>
}

export interface ReceiverOptions {
  host: string
  /** 0 takes a free one. */
  port: number
  /** Takes a free one where that one is taken. */
  spare?: boolean
  dir: string
  onFile?: (file: ReceivedFile) => void
  /** Why an upload was refused or broke off. */
  onRefused?: (reason: string) => void
}

/** Rejects with `bad_configuration` where it cannot listen. */
export async function startReceiver({ host, port, spare = false, dir, onFile, onRefused }: ReceiverOptions): Promise<Receiver> {
  await mkdir(dir, { recursive: true })
  const server = createServer((request, response) => {
    receive(request, dir).then(
      file => {
        response.writeHead(201, { 'content-type': 'text/plain' }).end(`${file.name}\n`)
        onFile?.(file)
      },
      error => {
        const status = error instanceof AppError ? error.status : 500
        // The rest of a body that is not wanted is not waited for.
        response.writeHead(status, { 'content-type': 'text/plain', connection: 'close', ...(status === 405 ? { allow: 'PUT, POST' } : {}) })
        response.end(`${reasonOf(error)}\n`)
        onRefused?.(reasonOf(error))
      },
    )
  })
  await listen(server, host, port).catch(async (cause: unknown) => {
    if (spare && systemCode(cause) === 'EADDRINUSE') return listen(server, host, 0)
    throw new AppError('bad_configuration', `cannot receive on ${host}:${port}: ${reasonOf(cause)}; choose another port`, {}, { cause })
  })
  const bound = (server.address() as AddressInfo).port
  return {
    port: bound,
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host)
  await once(server, 'listening')
}

async function receive(request: IncomingMessage, dir: string): Promise<ReceivedFile> {
  if (request.method !== 'PUT' && request.method !== 'POST') throw new AppError('invalid_method', 'only PUT and POST leave a file here')
  const [path = '', search = ''] = (request.url ?? '').split(/\?(.*)/s)
  const query = Object.fromEntries(new URLSearchParams(search))
  const wanted = nameOf(path, query)
  const draft = join(dir, `.${randomUUID()}.part`)
  try {
    const hash = createHash('sha256')
    let size = 0
    await pipeline(
      request,
      async function* (pieces: AsyncIterable<Buffer>) {
        for await (const piece of pieces) {
          hash.update(piece)
          size += piece.length
          yield piece
        }
      },
      createWriteStream(draft, { flags: 'wx' }),
    )
    const said = /sha-256=:([A-Za-z0-9+/=]+):/.exec(String(request.headers['content-digest'] ?? ''))?.[1]
    if (said !== undefined && said !== hash.digest('base64')) throw new AppError('parse_error', `${wanted} is not what its Content-Digest says`)
    const name = await settle(draft, dir, wanted)
    return { name, path: join(dir, name), size, contentType: request.headers['content-type'] ?? '', query }
  } finally {
    await rm(draft, { force: true })
  }
}

/** The last part of the path; where the name travels in the query (as Kazoo does for a URL that has one), that. */
function nameOf(path: string, query: Readonly<Record<string, string>>): string {
  const parts = path.split('/').map(decoded)
  if (parts.some(part => part === '..' || part === undefined || /[/\\\0]/.test(part))) throw new AppError('parse_error', 'a path that leads elsewhere')
  const named = Object.values(query).find(value => /^call_recording_[^/\\\0]+$/.test(value))
  const name = named ?? parts.at(-1) ?? ''
  return name === '' || name.startsWith('.') ? 'upload' : name
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

/** A link fails where a name is taken, a rename would not; then the next number is tried. */
async function settle(draft: string, dir: string, wanted: string): Promise<string> {
  const { name, ext } = parse(wanted)
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? wanted : `${name}-${number}${ext}`
    try {
      await link(draft, join(dir, candidate))
      return candidate
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error
    }
  }
}
