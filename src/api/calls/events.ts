// What happens to an account's recordings, as it happens: server-sent events for whoever asks for them, the latest ones
// as a list for everybody else. It begins with what the reader has not seen, as far back as this engine remembers.

import { PassThrough } from 'node:stream'
import type { Clock } from '../../clock.ts'
import { AppError } from '../../errors.ts'
import type { RecordingEvent } from '../../events.ts'
import { tokenOf } from '../rights/auth.ts'
import type { Fields } from '../validation/fields.ts'
import type { Answer, Request, Route } from '../http/route.ts'
import type { Room } from '../http/room.ts'

export const EVENT_STREAM = 'text/event-stream'

/** Events that are remembered of one account, and accounts of which any are. */
const REMEMBERED = 100
const MOST_ACCOUNTS = 1_000
/** Streams that one account may have open at once. */
const MOST_STREAMS = 100
/** Bytes a slow reader may be behind before he is cut off; he comes back and says what he saw last. */
const MOST_BEHIND = 1_000_000
/** Milliseconds: a proxy ends what is silent for a minute, and a token does not live for ever. */
const HEARTBEAT = 15_000
const LONGEST = 3_600_000
/** Between two looks at whether the token is still what it was: a stream hears no more than a request would be told. */
const LOOK = 2_500

interface Kept {
  /** Grows by one; a restart begins anew. */
  id: number
  event: RecordingEvent
}

interface Account {
  kept: Kept[]
  streams: Set<(one: Kept) => void>
}

export function eventRoutes({ events, clock, sessions }: Room): Route[] {
  const accounts = new Map<string, Account>()
  let last = 0

  function accountOf(id: string): Account {
    const found = accounts.get(id) ?? { kept: [], streams: new Set() }
    // The one that was quiet longest makes room.
    accounts.delete(id)
    accounts.set(id, found)
    for (const [oldest, { streams }] of accounts) {
      if (accounts.size <= MOST_ACCOUNTS) break
      if (streams.size === 0) accounts.delete(oldest)
    }
    return found
  }

  events.on(event => {
    const account = accountOf(event.accountId)
    const one = { id: (last += 1), event }
    account.kept.push(one)
    if (account.kept.length > REMEMBERED) account.kept.shift()
    for (const tell of account.streams) tell(one)
  })

  async function read(request: Request): Promise<Answer> {
    const account = accountOf(request.account._id)
    const mine = ({ event }: Kept): boolean => request.who.level === 'admin' || event.recording['owner_id'] === request.who.ownerId
    if (!request.accept.includes(EVENT_STREAM)) return { data: account.kept.filter(mine).map(shown) }
    if (account.streams.size >= MOST_STREAMS) throw new AppError('too_many_requests', `the account has ${MOST_STREAMS} streams open`, { retry_after: 60 })
    const seen = Number(request.headers['last-event-id'] ?? 0)
    const token = tokenOf(request.headers, request.query)
    const holds = async (): Promise<boolean> => {
      try {
        return (await sessions.of(token)).who.level === request.who.level
      } catch {
        return false
      }
    }
    return { stream: { type: EVENT_STREAM, body: open(account, clock, mine, holds, Number.isFinite(seen) && seen <= last ? seen : 0) } }
  }

  return [{ method: 'GET', path: '/v2/accounts/:account/events', access: 'user', streams: EVENT_STREAM, run: read }]
}

function open(account: Account, clock: Clock, mine: (one: Kept) => boolean, holds: () => Promise<boolean>, seen: number): PassThrough {
  const body = new PassThrough()
  const write = (text: string): void => {
    if (body.writableLength > MOST_BEHIND) body.destroy()
    else if (!body.destroyed) body.write(text)
  }
  const tell = (one: Kept): void => {
    if (mine(one)) write(`id: ${one.id}\nevent: ${one.event.event}\ndata: ${JSON.stringify(shown(one))}\n\n`)
  }
  let cancel = (): void => {}
  const beat = (): void => {
    cancel = clock.after(HEARTBEAT, () => {
      write(': still here\n\n')
      beat()
    })
  }
  let unlook = (): void => {}
  const look = (): void => {
    const then = (still: boolean): void => {
      if (!still) body.end()
      else if (!body.destroyed) look()
    }
    unlook = clock.after(LOOK, () => void holds().then(then))
  }
  const end = clock.after(LONGEST, () => body.end())
  body.on('close', () => {
    account.streams.delete(tell)
    cancel()
    unlook()
    end()
  })
  account.streams.add(tell)
  write(': events of recordings\n\n')
  for (const one of account.kept) if (one.id > seen) tell(one)
  beat()
  look()
  return body
}

const shown = ({ id, event: { event, accountId, recordingId, at, recording } }: Kept): Fields => ({
  id: String(id),
  event,
  at: new Date(at).toISOString(),
  account_id: accountId,
  recording_id: recordingId,
  recording,
})
