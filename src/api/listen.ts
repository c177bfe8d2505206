// The API's socket. A client that sends slowly is cut off, and closing lets what is being answered end.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { AppError, reasonOf } from '../errors.ts'
import type { Api } from './app.ts'

export interface Listening {
  port: number
  close(): Promise<void>
}

/** Milliseconds. */
export interface Patience {
  /** For a whole request, its body included. */
  request: number
  /** For its headers. */
  headers: number
  /** Between two looks at who is too slow; Node's own 30 s would more than double the others. */
  look: number
}
const PATIENCE: Patience = { request: 60_000, headers: 15_000, look: 5_000 }
/** Less than a stop has: what the recorder still writes must not wait for who reads slowly. */
export const LAST_ANSWERS = 3_000

export interface Address {
  host: string
  port: number
  /** For tests. */
  patience?: Patience
}

export async function listen(api: Pick<Api, 'callback'>, { host, port, patience = PATIENCE }: Address): Promise<Listening> {
  const deadlines = { requestTimeout: patience.request, headersTimeout: patience.headers, connectionsCheckingInterval: patience.look }
  const server = createServer(deadlines, (request, response) => void api.callback(request, response))
  await new Promise<void>((resolve, reject) => {
    server.once('error', cause =>
      reject(new AppError('bad_configuration', `cannot listen on ${host}:${port}: ${reasonOf(cause)}; API_PORT chooses another`, {}, { cause })),
    )
    server.listen(port, host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise(resolve => {
        const impatience = setTimeout(() => server.closeAllConnections(), LAST_ANSWERS)
        server.close(() => {
          clearTimeout(impatience)
          resolve()
        })
        server.closeIdleConnections()
      }),
  }
}
