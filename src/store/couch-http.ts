// How requests reach CouchDB. Answers are held back until their body is complete, because nano
// resolves with '' (or never) when a body breaks off; a whole request has one deadline; sockets are
// few. Attachments and the changes feed stream, so they have a way of their own past all that.

import { Agent, type Dispatcher, request } from 'undici'
import { AppError } from '../errors.ts'
import { TOO_LONG } from './couch-errors.ts'

export interface CouchTimes {
  /** Milliseconds for a whole request, its answer's body included. */
  deadline: number
  /** Milliseconds without a byte of a stream. */
  stalled: number
  /** Milliseconds for which a password that was wrong is not tried again. */
  refused: number
}

export const TIMES: CouchTimes = { deadline: 15_000, stalled: 30_000, refused: 100_000 }

/** An answer that is held whole is at most this long, in bytes. */
const LARGEST_ANSWER = 64 * 1024 * 1024
const CONNECTIONS = 16

/** For nano: sockets in a bounded pool, answers only when they are complete. */
export function wholeAnswers({ deadline }: CouchTimes): Dispatcher {
  const agent = new Agent({
    connections: CONNECTIONS,
    pipelining: 1,
    keepAliveTimeout: 4000,
    headersTimeout: deadline + 1000,
    bodyTimeout: deadline + 1000,
    connect: { timeout: Math.min(deadline, 5000) },
  })
  return agent.compose(dispatch => (options, handler) => dispatch(options, holding(handler)))
}

function holding(handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler {
  let head: [number, Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2], string | undefined] | undefined
  let body: Buffer[] = []
  let size = 0
  return {
    onRequestStart: (controller, context) => handler.onRequestStart?.(controller, context),
    onResponseStart(_controller, status, headers, message) {
      head = [status, headers, message]
    },
    onResponseData(controller, chunk) {
      size += chunk.length
      if (size > LARGEST_ANSWER) controller.abort(new Error(`${TOO_LONG} ${LARGEST_ANSWER} bytes`))
      else body.push(chunk)
    },
    onResponseEnd(controller, trailers) {
      if (!head) return
      const [status, headers, message] = head
      // Whoever reads it may ask for a pause; there is nothing left to pause, and the socket is for the next request.
      const done: Dispatcher.DispatchController = {
        aborted: false,
        paused: false,
        reason: null,
        abort: reason => controller.abort(reason),
        pause: () => {},
        resume: () => {},
      }
      handler.onResponseStart?.(done, status, headers, message)
      if (size > 0) handler.onResponseData?.(done, Buffer.concat(body))
      body = []
      handler.onResponseEnd?.(done, trailers)
    },
    onResponseError(controller, error) {
      body = []
      handler.onResponseError?.(controller, error)
    },
  }
}

export interface Streams {
  /** Path and query below the server's URL, encoded already. */
  open(path: string, options: StreamRequest): Promise<Dispatcher.ResponseData>
  close(): Promise<void>
}

export interface StreamRequest {
  method?: Dispatcher.HttpMethod
  headers?: Record<string, string>
  body?: AsyncIterable<Buffer>
  signal?: AbortSignal
}

/** Undici without nano: each answer's body is a stream, whose silence ends it. */
export function streams(origin: string, headers: Record<string, string>, { deadline, stalled }: CouchTimes): Streams {
  const agent = new Agent({
    pipelining: 1,
    keepAliveTimeout: 4000,
    headersTimeout: deadline,
    bodyTimeout: stalled,
    connect: { timeout: Math.min(deadline, 5000) },
  })
  return {
    open: (path, { method = 'GET', headers: own = {}, body, signal }) =>
      request(`${origin}${path}`, {
        dispatcher: agent,
        method,
        headers: { ...headers, ...own },
        ...(body ? { body: body as unknown as Dispatcher.DispatchOptions['body'] & object } : {}),
        ...(signal ? { signal } : {}),
      }),
    close: () => agent.destroy(),
  }
}

/** Takes user and password out of a URL, so that nothing that prints it can show them. */
export function splitUrl(text: string): { origin: string; host: string; headers: Record<string, string> } {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new AppError('bad_configuration', 'COUCHDB_URL is no URL; it looks like http://user:password@host:5984')
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new AppError('bad_configuration', `COUCHDB_URL must begin with http:// or https://, not ${url.protocol}`)
  }
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  return {
    origin: `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`,
    host: url.host,
    headers: url.username === '' ? {} : { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
  }
}
