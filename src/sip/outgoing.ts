// A call of ours, until somebody takes it: the challenge for a password, one forwarding, a longer session timer, a wait that
// ends, and the CANCEL that may cross an answer.

import { ALLOW, authorizationOf, authorised, type Core, deliver, LARGEST_DATAGRAM, renumbered, retryAfterMs, sizeOf, SUPPORTED } from './core.ts'
import { callersDialog, dialogId } from './dialog.ts'
import type { Credentials } from './digest.ts'
import { address, type Header, header, headersOf, type Request, type Response, tagOf, without } from './message.ts'
import { createSession, type Session, type SessionEvents } from './session.ts'
import { agreed, ASKED } from './session-timer.ts'
import type { ClientTransaction } from './client-transaction.ts'
import type { Target } from './transport.ts'
import { isSecure, parseUri, requestUri } from './uri.ts'

export interface Invitation {
  uri: string
  /** A URI, without a tag. */
  from: string
  headers: readonly Header[]
  body: Buffer
  /** Of the Contact, outside its brackets: `;+sip.src`. */
  contactParams?: string
  /** Looked up when who has `uri` asks for them: that may be where a forwarding led. */
  credentials?: (uri: string) => Promise<Credentials | undefined>
  /** Milliseconds until a call that nobody answers is given up. */
  patience: number
  events: SessionEvents
}

export type Outcome = { taken: true; session: Session; response: Response; target: Target } | Refused

export interface Refused {
  taken: false
  status: number
  reason: string
  /** What its Retry-After says. */
  retryAfterMs?: number
}

export interface Outgoing {
  outcome: Promise<Outcome>
  /** Nobody waits for it any more: `outcome` says 487 at once, whatever still comes is ended. */
  cancel(): void
}

export function invite(core: Core, invitation: Invitation): Outgoing {
  const { from, patience, contactParams = '', credentials, events } = invitation
  const callId = core.random(16)
  const tag = core.random(8)
  let settle: (outcome: Outcome) => void = () => {}
  const outcome = new Promise<Outcome>(resolve => {
    settle = resolve
  })
  let over = false
  const silent = new AbortController()
  /** Somebody rings: only a CANCEL ends that. */
  let ringing: { transaction: ClientTransaction; target: Target } | undefined

  const done = (what: Outcome): void => {
    if (over) return
    over = true
    stopWaiting()
    core.calls.delete(call)
    settle(what)
  }
  const giveUp = (status: number, reason: string): void => {
    if (over) return
    done({ taken: false, status, reason })
    if (ringing === undefined) silent.abort()
    else core.transactions.cancel(ringing.transaction, ringing.target)
  }
  const stopWaiting = core.clock.after(patience, () =>
    giveUp(408, ringing === undefined ? 'no answer' : `no final answer within ${Math.round(patience / 1000)} s`),
  )

  function firstRequest(): Request {
    return {
      method: 'INVITE',
      uri: invitation.uri,
      headers: [
        ['Max-Forwards', '70'],
        ['From', `<${from}>;tag=${tag}`],
        ['To', `<${invitation.uri}>`],
        ['Call-ID', callId],
        ['CSeq', '1 INVITE'],
        ['User-Agent', core.name],
        ALLOW,
        SUPPORTED,
        ...ASKED,
        ...invitation.headers,
      ],
      body: invitation.body,
    }
  }

  /** By the tag of who answered: one is ours, any other is ended; a copy is acknowledged again. */
  const known = new Set<string>()

  async function run(): Promise<void> {
    let request = firstRequest()
    let [forwarded, prolonged] = [false, false]
    /** By their status: a proxy asks, and then the server behind it. */
    const challenges = new Set<number>()
    for (;;) {
      const targets = await core.targets(request.uri, sizeOf(request))
      const delivered = await deliver(core, request, targets, {
        headers: target => [core.contact(target, contactParams)],
        provisional(_, transaction, target) {
          ringing = { transaction, target }
        },
        again: (response, sent, target) => {
          if (response.status < 300) accept(sent, response, target)
        },
        signal: silent.signal,
      })
      if (delivered.answer === undefined) return done({ taken: false, status: delivered.status, reason: delivered.reason })
      const { answer } = delivered
      ringing = undefined
      if (answer.status < 300) return accept(delivered.request, answer, delivered.target)
      if (over) return
      const { uri } = request
      const find = credentials && (() => credentials(uri))
      const onward = answer.status < 400 && !forwarded ? forwardOf(answer) : undefined
      const next = challenges.has(answer.status) ? undefined : await authorised(core, request, answer, find)
      if (over) return
      if (next !== undefined) {
        challenges.add(answer.status)
        request = renumbered(next)
      } else if (answer.status === 422 && !prolonged && /^\d{1,6}$/.test(header(answer, 'min-se') ?? '')) {
        prolonged = true
        const seconds = header(answer, 'min-se') ?? ''
        request = renumbered({
          ...request,
          headers: [...without(request.headers, 'session-expires', 'min-se'), ['Session-Expires', seconds], ['Min-SE', seconds]],
        })
      } else if (onward !== undefined && isSecure(uri) && !isSecure(onward)) {
        return done({ taken: false, status: answer.status, reason: `it sends a call by TLS to where it is none: ${onward}` })
      } else if (onward !== undefined) {
        forwarded = true
        // What was said to the one who forwards is no business of the other.
        challenges.clear()
        request = renumbered({
          ...request,
          uri: onward,
          headers: without(request.headers, 'authorization', 'proxy-authorization'),
        })
      } else {
        const wait = retryAfterMs(answer)
        return done({ taken: false, status: answer.status, reason: answer.reason, ...(wait === undefined ? {} : { retryAfterMs: wait }) })
      }
    }
  }

  function accept(request: Request, response: Response, target: Target): void {
    const dialog = callersDialog(request, response)
    if (dialog === undefined) return done({ taken: false, status: 502, reason: 'its answer has no Contact or no tag' })
    const who = tagOf(response, 'to') ?? ''
    if (known.has(who)) return core.sessions.get(dialogId(dialog))?.acknowledgeAgain()
    known.add(who)
    const wanted = !over
    const session = createSession(core, {
      dialog,
      target,
      first: response,
      answered: undefined,
      timer: wanted ? agreed(response) : undefined,
      contactParams,
      credentials: credentials && (() => credentials(request.uri)),
      datagramsAlone: target.protocol === 'udp' && sizeOf(request) > LARGEST_DATAGRAM,
      authorization: authorizationOf(request),
      events: wanted ? events : { asked: () => undefined, refresh: () => ({}), ended: () => {} },
    })
    if (wanted) done({ taken: true, session, response, target })
    else void session.bye()
  }

  const call: Outgoing = { outcome, cancel: () => giveUp(487, 'cancelled') }
  core.calls.add(call)
  run().catch((error: unknown) => done({ taken: false, status: 503, reason: error instanceof Error ? error.message : String(error) }))
  return call
}

/** Where a 3xx sends us: to a SIP URI, or nowhere. */
function forwardOf(response: Response): string | undefined {
  const uri = address(headersOf(response, 'contact')[0] ?? '')?.uri
  return uri !== undefined && parseUri(uri) !== undefined ? requestUri(uri) : undefined
}
