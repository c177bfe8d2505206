// The client's half of a transaction (RFC 3261 section 17.1, RFC 6026): sends again over UDP until somebody answers,
// acknowledges what refuses an INVITE, and ends by itself.

import type { Clock } from '../clock.ts'
import { type Header, header, headersOf, type Request, type Response, without } from './message.ts'
import { createTimers, GIVE_UP, LATE_COPIES, T1, T2, T4 } from './timers.ts'

export interface ClientOptions {
  /** With its Via. */
  request: Request
  /** A stream: nothing is sent twice. */
  reliable: boolean
  clock: Clock
  send: (request: Request) => void
  /** Of an INVITE every copy of a 2xx comes here, so that each can be acknowledged. */
  answered: (response: Response) => void
  /** Nobody answered. */
  timedOut: () => void
  ended: () => void
}

export interface ClientTransaction {
  readonly request: Request
  receive(response: Response): void
  /** Without a word to anybody. */
  stop(): void
}

export const clientTransaction = (options: ClientOptions): ClientTransaction => (options.request.method === 'INVITE' ? invite(options) : other(options))

function invite({ request, reliable, clock, send, answered, timedOut, ended }: ClientOptions): ClientTransaction {
  const timers = createTimers(clock)
  let state: 'calling' | 'proceeding' | 'accepted' | 'completed' | 'terminated' = 'calling'
  let wait = T1

  function end(): void {
    if (state === 'terminated') return
    state = 'terminated'
    timers.clear()
    ended()
  }

  function again(): void {
    send(request)
    wait *= 2
    timers.set('A', wait, again)
  }

  function receive(response: Response): void {
    const { status } = response
    if (status < 200) {
      if (state === 'calling') {
        state = 'proceeding'
        timers.clear()
      }
      if (state === 'proceeding') answered(response)
    } else if (status < 300) {
      if (state === 'calling' || state === 'proceeding') {
        state = 'accepted'
        timers.clear()
        timers.set('M', GIVE_UP, end)
      }
      if (state === 'accepted') answered(response)
    } else if (state === 'completed') send(refusalAck(request, response))
    else if (state === 'calling' || state === 'proceeding') {
      state = 'completed'
      timers.clear()
      send(refusalAck(request, response))
      if (reliable) end()
      else timers.set('D', LATE_COPIES, end)
      answered(response)
    }
  }

  if (!reliable) timers.set('A', T1, again)
  timers.set('B', GIVE_UP, () => {
    end()
    timedOut()
  })
  send(request)
  return { request, receive, stop: end }
}

function other({ request, reliable, clock, send, answered, timedOut, ended }: ClientOptions): ClientTransaction {
  const timers = createTimers(clock)
  let state: 'trying' | 'proceeding' | 'completed' | 'terminated' = 'trying'
  let wait = T1

  function end(): void {
    if (state === 'terminated') return
    state = 'terminated'
    timers.clear()
    ended()
  }

  function again(): void {
    send(request)
    wait = state === 'proceeding' ? T2 : Math.min(T2, 2 * wait)
    timers.set('E', wait, again)
  }

  if (!reliable) timers.set('E', T1, again)
  timers.set('F', GIVE_UP, () => {
    end()
    timedOut()
  })
  send(request)
  return {
    request,
    receive(response) {
      if (state === 'completed' || state === 'terminated') return
      if (response.status < 200) {
        state = 'proceeding'
        return answered(response)
      }
      state = 'completed'
      timers.clear()
      if (reliable) end()
      else timers.set('K', T4, end)
      answered(response)
    },
    stop: end,
  }
}

/** ACK of a 3xx to 6xx: of the same transaction, so with the same Via (section 17.1.1.3). */
function refusalAck(request: Request, response: Response): Request {
  const via = headersOf(request, 'via')[0] ?? ''
  const cseq = (header(request, 'cseq') ?? '').replace('INVITE', 'ACK')
  const to: Header = ['To', header(response, 'to') ?? header(request, 'to') ?? '']
  return {
    method: 'ACK',
    uri: request.uri,
    headers: [
      ['Via', via],
      ...without(request.headers, 'via', 'to', 'cseq', 'content-type', 'content-length', 'require', 'contact', 'session-expires', 'supported'),
      to,
      ['CSeq', cseq],
    ],
    body: Buffer.alloc(0),
  }
}
