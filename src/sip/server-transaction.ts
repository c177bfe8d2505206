// The server's half of a transaction (RFC 3261 section 17.2, RFC 6026): answers copies of a request with what was said
// last, and says the final answer to an INVITE again until it is acknowledged.

import type { Clock } from '../clock.ts'
import type { Request, Response } from './message.ts'
import { createTimers, GIVE_UP, T1, T2, T4 } from './timers.ts'

export interface ServerOptions {
  request: Request
  reliable: boolean
  clock: Clock
  send: (response: Response) => void
  /** A final answer to an INVITE that nobody acknowledged. */
  unacknowledged: () => void
  ended: () => void
}

export interface ServerTransaction {
  readonly request: Request
  /** No final answer was given yet. */
  readonly open: boolean
  respond(response: Response): void
  /** A copy of the request, or the ACK of a refusal. */
  receive(request: Request): void
  /** The ACK of a 2xx came, which is a transaction of its own. */
  acknowledged(): void
  stop(): void
}

export function serverTransaction({ request, reliable, clock, send, unacknowledged, ended }: ServerOptions): ServerTransaction {
  const timers = createTimers(clock)
  const isInvite = request.method === 'INVITE'
  let state: 'proceeding' | 'accepted' | 'completed' | 'confirmed' | 'terminated' = 'proceeding'
  let last: Response | undefined

  function end(): void {
    if (state === 'terminated') return
    state = 'terminated'
    timers.clear()
    ended()
  }

  function repeat(response: Response, wait: number): void {
    timers.set('G', wait, () => {
      send(response)
      repeat(response, Math.min(T2, 2 * wait))
    })
  }

  return {
    request,
    get open() {
      return state === 'proceeding'
    },
    respond(response) {
      if (state !== 'proceeding') return
      last = response
      send(response)
      if (response.status < 200) return
      if (!isInvite) {
        state = 'completed'
        if (reliable) end()
        else timers.set('J', GIVE_UP, end)
        return
      }
      // A 2xx is said again over streams too: a proxy between may have lost it (section 13.3.1.4).
      state = response.status < 300 ? 'accepted' : 'completed'
      if (state === 'accepted' || !reliable) repeat(response, T1)
      timers.set('H', GIVE_UP, () => {
        end()
        unacknowledged()
      })
    },
    receive(again) {
      if (again.method === 'ACK') {
        if (state !== 'completed') return
        state = 'confirmed'
        timers.clear()
        if (reliable) end()
        else timers.set('I', T4, end)
      } else if (last !== undefined && (state === 'proceeding' || state === 'completed')) send(last)
    },
    acknowledged() {
      if (state !== 'accepted') return
      timers.clear()
      // Late copies of the INVITE still belong here.
      timers.set('L', GIVE_UP, end)
    },
    stop: end,
  }
}
