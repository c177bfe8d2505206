// What is asked for when a leg is to be recorded by servers, and what of it a next part goes on with. Pure.

import type { ErrorCode } from '../errors.ts'
import { type By, type CallFacts, factsOf, type Side } from '../recording/document.ts'
import type { State } from '../recording/lifecycle.ts'
import type { Effective } from '../recording/settings.ts'
import type { Leg } from '../switch/switch.ts'
import { type Mode, type NewSession, RECORDING_ID } from './document.ts'
import type { Live } from './live.ts'

export interface SiprecRequest {
  accountId: string
  leg: Pick<Leg, 'node' | 'uuid' | 'answered'>
  side: Side
  facts: CallFacts
  /** As the document has it, or an expression made it. */
  servers: unknown
  /** What the servers are to know it by; its own id without one. */
  recordingId?: string
  headers?: Readonly<Record<string, string>>
  mode?: Mode
  /** The call ends when no server takes it. */
  required?: boolean
  /** Where its leg leaves the conversation, it goes on with who is left; true unless said. */
  follows?: boolean
  /** Of the part it goes on from. */
  groupId?: string
  /** What of them is about its parties: what is said to them first, and whether they may refuse. */
  settings?: Effective
  origin: string
  by: By
}

export interface SiprecStarted {
  id: string
  state: State
  reason?: string
  /** Of what has failed at once. */
  code?: ErrorCode
  /** How it stands once a server took it, or each was called once: `starting` where some are called again, `failed` where none is. */
  begun: Promise<State>
}

/** What a recording hands on to its next part: whose it is stays, what it is of becomes the other leg. */
export interface Part {
  follows: boolean
  request: Omit<SiprecRequest, 'accountId' | 'leg' | 'side' | 'facts'>
  facts: Pick<CallFacts, 'interaction_id' | 'owner_id' | 'endpoint_id' | 'label'>
}

export function partOf({ inFlight, document }: Live): Part {
  const { servers, headers, mode, required, by_policy, ends_with_leg, settings = {} } = inFlight
  const { _id, group_id: groupId, siprec_recording_id: recordingId, origin, interaction_id, owner_id, endpoint_id, label } = document
  return {
    follows: ends_with_leg !== true,
    request: {
      servers: servers.join(','),
      headers,
      mode,
      required,
      groupId,
      settings,
      origin,
      by: by_policy === true ? 'policy' : 'action',
      ...(recordingId === _id ? {} : { recordingId }),
    },
    facts: {
      interaction_id,
      ...(owner_id === undefined ? {} : { owner_id }),
      ...(endpoint_id === undefined ? {} : { endpoint_id }),
      ...(label === undefined ? {} : { label }),
    },
  }
}

/** What would have it begin again. */
export const requestOf = (one: Live): SiprecRequest => ({
  accountId: one.inFlight.account_id,
  leg: { node: one.inFlight.siprec_node, uuid: one.leg, answered: true },
  side: one.inFlight.side,
  ...partOf(one).request,
  follows: partOf(one).follows,
  facts: factsOf(one.document),
})

/** Values may come of expressions: a line end in one would begin another header. */
const oneLine = (text: string): string => text.replaceAll(/\p{Cc}+/gu, ' ').trim()

/** What the recording is known by has a field of its own. */
const headersOf = (headers: Readonly<Record<string, string>> = {}): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => name.toLowerCase() !== RECORDING_ID.toLowerCase())
      .map(([name, value]) => [name, oneLine(value)]),
  )

/** `id` and `now`, in unix milliseconds, are its own; `servers` are what those asked for were read as. */
export function sessionOf(
  request: SiprecRequest,
  { id, now, servers, groupId }: { id: string; now: number; servers: readonly string[]; groupId: string | undefined },
): NewSession {
  const { accountId, leg, side, facts, origin, by, mode = 'separate', required = false, follows = true, settings = {} } = request
  const recordingId = oneLine(request.recordingId ?? '')
  return {
    ...(groupId === undefined ? {} : { groupId }),
    id,
    accountId,
    node: leg.node,
    leg: leg.uuid,
    side,
    facts,
    origin,
    by,
    servers,
    headers: headersOf(request.headers),
    mode,
    required,
    follows,
    settings,
    recordingId: recordingId === '' ? id : recordingId,
    now,
  }
}
