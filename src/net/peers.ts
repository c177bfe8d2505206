// The way to another engine. It is the operator's own network and the operator's own address, so nothing is guarded; a
// connection is made for each request, for one that was kept may be dead by the time a call has to be masked.

import { Agent } from 'undici'
import type { Clock } from '../clock.ts'
import { failureOf } from './client.ts'

export interface PeerRequest {
  method: string
  /** With its query. */
  path: string
  headers: Readonly<Record<string, string>>
  body?: Buffer | undefined
  /** Milliseconds; as long as a command may take, unless said. */
  withinMs?: number
}

export interface PeerAnswer {
  status: number
  /** Lower-case names. */
  headers: Readonly<Record<string, string | string[] | undefined>>
  body: Buffer
}

/** Rejects with the reason in words. */
export interface Peers {
  ask(origin: string, request: PeerRequest): Promise<PeerAnswer>
  /** Breaks off what runs. */
  close(): Promise<void>
}

/** Milliseconds. `answer`: the other engine waits for its switch up to 10 s. */
export const PATIENCE = { connect: 3_000, answer: 13_000 }

export function peerClient({ clock, patience = PATIENCE }: { clock: Clock; patience?: typeof PATIENCE }): Peers {
  const agent = new Agent({ pipelining: 0, connect: { timeout: patience.connect }, headersTimeout: 0, bodyTimeout: 0 })
  return {
    async ask(origin, { method, path, headers, body, withinMs = patience.answer }) {
      const late = new Error(`no answer within ${withinMs / 1000} s; what was asked may have been done`)
      const stop = new AbortController()
      const off = clock.after(withinMs, () => stop.abort(late))
      try {
        const answer = await agent.request({ origin, path, method, headers, body: body ?? null, signal: stop.signal })
        return { status: answer.statusCode, headers: answer.headers, body: Buffer.from(await answer.body.arrayBuffer()) }
      } catch (cause) {
        throw stop.signal.aborted ? late : new Error(failureOf(cause), { cause })
      } finally {
        off()
      }
    },
    close: () => agent.destroy(),
  }
}
