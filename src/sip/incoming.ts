// A call to us, until it is answered, refused or given up.

import { ALLOW, type Core, SUPPORTED } from './core.ts'
import { calleesDialog } from './dialog.ts'
import { type Header, headersOf, type Request } from './message.ts'
import { createSession, type Session, type SessionEvents } from './session.ts'
import { granted, SHORTEST } from './session-timer.ts'
import type { Exchange } from './transactions.ts'

export interface IncomingCall {
  readonly request: Request
  /** Who calls gave up, or was answered or refused. */
  readonly over: boolean
  onCancel(run: () => void): void
  /** Undefined when it is too late. */
  answer(headers: readonly Header[], body: Buffer, events: SessionEvents): Session | undefined
  refuse(status: number, reason?: string): void
}

export interface Ringing {
  call: IncomingCall
  cancelled(): void
}

/** Undefined when it was refused at once: it wants something we do not do. */
export function ring(core: Core, exchange: Exchange): Ringing | undefined {
  const { request, source } = exchange
  const refuse = (status: number, headers: readonly Header[], reason?: string): undefined => {
    exchange.respond(status, headers, undefined, reason)
    return undefined
  }
  const unsupported = headersOf(request, 'require').filter(one => one.toLowerCase() !== 'timer')
  if (unsupported.length > 0) return refuse(420, [['Unsupported', unsupported.join(', ')]])
  const terms = granted(request)
  if (terms === 'too_short') return refuse(422, [['Min-SE', String(SHORTEST)]], 'Session Interval Too Small')
  const dialog = calleesDialog(request, exchange.toTag)
  if (dialog === undefined) return refuse(400, [], 'no Contact or no tag')
  exchange.respond(100)
  let gaveUp = (): void => {}
  return {
    call: {
      request,
      get over() {
        return !exchange.open
      },
      onCancel(run) {
        gaveUp = run
      },
      answer(headers, body, events) {
        if (!exchange.open) return undefined
        const session = createSession(core, {
          dialog,
          target: { protocol: source.protocol, address: source.address, port: source.port, name: source.address },
          first: request,
          answered: exchange,
          timer: terms.timer,
          contactParams: '',
          credentials: undefined,
          events,
        })
        exchange.respond(200, [core.contact(source), ALLOW, SUPPORTED, ['User-Agent', core.name], ...terms.headers, ...headers], body)
        return session
      },
      refuse: (status, reason) => exchange.respond(status, [], undefined, reason),
    },
    cancelled() {
      if (!exchange.open) return
      exchange.respond(487)
      gaveUp()
    },
  }
}
