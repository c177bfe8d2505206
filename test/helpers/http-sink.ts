// An HTTP server on loopback that follows a script, one step per request (the last step repeats),
// and remembers what it was sent. It ends with the test.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { PATIENCE } from './wait.ts'

export interface Received {
  method: string
  /** Path and query. */
  url: string
  headers: Readonly<Record<string, string>>
  body: Buffer
  /** False while the body was not wanted or broke off. */
  whole: boolean
}

type Request = IncomingMessage
type Response = ServerResponse
/** A bare number is a status after the whole body was read. */
export type Step = number | ((request: Request, response: Response, read: () => Promise<Buffer>) => unknown)

export interface Sink {
  url: string
  host: string
  port: number
  /** In the order the requests came. */
  received: Received[]
  /** Resolves once so many requests have come, read or not. */
  arrived(count: number): Promise<void>
  /** How many were being answered at the same time, at most. */
  busiest(): number
}

export interface Teardown {
  teardown(run: () => unknown): void
}

export async function httpSink(t: Teardown, script: readonly Step[] = [201]): Promise<Sink> {
  const received: Received[] = []
  const waiting = new Set<() => void>()
  let running = 0
  let busiest = 0
  const server = createServer((request, response) => {
    const step = script[Math.min(received.length, script.length - 1)] ?? 201
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
    const entry: Received = { method: request.method ?? '', url: request.url ?? '', headers, body: Buffer.alloc(0), whole: false }
    received.push(entry)
    running++
    busiest = Math.max(busiest, running)
    response.on('close', () => running--)
    request.on('error', () => {})
    const read = async (): Promise<Buffer> => {
      entry.body = Buffer.concat(await request.toArray())
      entry.whole = true
      return entry.body
    }
    for (const check of waiting) check()
    const doing = typeof step === 'number' ? read().then(() => response.writeHead(step).end()) : Promise.resolve(step(request, response, read))
    // A client that leaves in the middle is part of many scripts.
    doing.catch(() => request.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const arrived = (count: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const late = AbortSignal.timeout(PATIENCE)
      const check = (): void => {
        if (received.length < count) return
        waiting.delete(check)
        resolve()
      }
      late.addEventListener('abort', () => reject(new Error(`only ${received.length} of ${count} requests came`)))
      waiting.add(check)
      check()
    })
  return { url: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}`, port, received, arrived, busiest: () => busiest }
}

/** Reads everything, then answers. */
export const answer =
  (status: number, headers: Readonly<Record<string, string>> = {}, body = ''): Step =>
  async (_request, response, read) => {
    await read()
    response.writeHead(status, headers).end(body)
  }

/** Answers at once and never reads on. */
export const answerEarly =
  (status: number, headers: Readonly<Record<string, string>> = {}): Step =>
  (_request, response) =>
    response.writeHead(status, headers).end()

/** Takes a first piece and breaks the connection (RST). */
export const reset: Step = request => request.once('data', () => request.socket.resetAndDestroy())

/** Takes the whole body and never says a word. */
export const hang: Step = (_request, _response, read) => read()

/** Takes nothing and says nothing. */
export const ignore: Step = () => {}

/** Takes a piece every `ms`, then answers. */
export const slowly =
  (ms: number, status = 201): Step =>
  async (request, response) => {
    for await (const _piece of request) await delay(ms)
    response.writeHead(status).end()
  }

/** Waits for a promise before it answers. */
export const when =
  (gate: Promise<unknown>, status = 201): Step =>
  async (_request, response, read) => {
    await read()
    await gate
    response.writeHead(status).end()
  }
