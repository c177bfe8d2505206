// A dialog as data (RFC 3261 section 12): what the next request in it looks like. Pure.

import { address, cseqOf, type Header, header, headersOf, type Request, type Response, tagOf } from './message.ts'

export interface Dialog {
  callId: string
  localTag: string
  remoteTag: string
  /** From and To as they stand, with their tags. */
  local: string
  remote: string
  localSeq: number
  /** Undefined until the other side asks something. */
  remoteSeq: number | undefined
  remoteTarget: string
  /** In the order they are to be visited. */
  route: readonly string[]
}

export const dialogId = ({ callId, localTag, remoteTag }: Pick<Dialog, 'callId' | 'localTag' | 'remoteTag'>): string => `${callId} ${localTag} ${remoteTag}`

const contactOf = (message: Request | Response): string | undefined => address(headersOf(message, 'contact')[0] ?? '')?.uri

/** For who called, from the 2xx. Undefined when the answer says too little to go on. */
export function callersDialog(request: Request, response: Response): Dialog | undefined {
  const [localTag, remoteTag, remoteTarget] = [tagOf(request, 'from'), tagOf(response, 'to'), contactOf(response)]
  if (localTag === undefined || remoteTag === undefined || remoteTarget === undefined) return undefined
  return {
    callId: header(request, 'call-id') ?? '',
    localTag,
    remoteTag,
    local: header(request, 'from') ?? '',
    remote: header(response, 'to') ?? '',
    localSeq: cseqOf(request)?.number ?? 0,
    remoteSeq: undefined,
    remoteTarget,
    route: headersOf(response, 'record-route').toReversed(),
  }
}

/** For who was called; `localTag` is the tag of our 2xx. */
export function calleesDialog(request: Request, localTag: string): Dialog | undefined {
  const [remoteTag, remoteTarget] = [tagOf(request, 'from'), contactOf(request)]
  if (remoteTag === undefined || remoteTarget === undefined) return undefined
  return {
    callId: header(request, 'call-id') ?? '',
    localTag,
    remoteTag,
    local: `${header(request, 'to') ?? ''};tag=${localTag}`,
    remote: header(request, 'from') ?? '',
    localSeq: 0,
    remoteSeq: cseqOf(request)?.number,
    remoteTarget,
    route: headersOf(request, 'record-route'),
  }
}

/** The next request of ours, without its Via; of an ACK the number of its INVITE. */
export function nextRequest(
  dialog: Dialog,
  method: string,
  headers: readonly Header[] = [],
  body: Buffer = Buffer.alloc(0),
  ackOf?: number,
): { dialog: Dialog; request: Request } {
  const localSeq = ackOf === undefined ? dialog.localSeq + 1 : dialog.localSeq
  const [first] = dialog.route
  const firstUri = first === undefined ? undefined : address(first)?.uri
  const loose = firstUri === undefined || /;lr(?:[;=?]|$)/i.test(firstUri)
  // A strict router wants to find itself in the request line, and the target at the end of the route (section 12.2.1.1).
  const route = loose ? dialog.route : [...dialog.route.slice(1), `<${dialog.remoteTarget}>`]
  const request: Request = {
    method,
    uri: loose ? dialog.remoteTarget : firstUri,
    headers: [
      ['Max-Forwards', '70'],
      ...route.map((one): Header => ['Route', one]),
      ['From', dialog.local],
      ['To', dialog.remote],
      ['Call-ID', dialog.callId],
      ['CSeq', `${ackOf ?? localSeq} ${method}`],
      ...headers,
    ],
    body,
  }
  return { dialog: { ...dialog, localSeq }, request }
}

/** Where the next request goes to first. */
export function nextHop({ route, remoteTarget }: Dialog): string {
  const [first] = route
  return (first === undefined ? undefined : address(first)?.uri) ?? remoteTarget
}

/** What a request of the other side changes; undefined when it is older than one that came already (section 12.2.2). */
export function heard(dialog: Dialog, request: Request): Dialog | undefined {
  const number = cseqOf(request)?.number ?? 0
  if (dialog.remoteSeq !== undefined && number <= dialog.remoteSeq) return undefined
  const refreshes = request.method === 'INVITE' || request.method === 'UPDATE'
  return { ...dialog, remoteSeq: number, remoteTarget: (refreshes ? contactOf(request) : undefined) ?? dialog.remoteTarget }
}

/** A 2xx to our re-INVITE or UPDATE may name a new target. */
export const refreshed = (dialog: Dialog, response: Response): Dialog => ({ ...dialog, remoteTarget: contactOf(response) ?? dialog.remoteTarget })
