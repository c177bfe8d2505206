// Who did what with a recording, as a chain: each entry has the hash of the one before it, so none can be
// changed, taken out or put between without all that follow being wrong. What was cut off at the end is
// only seen by whoever kept a hash: each one is in the log, too.

import { createHash } from 'node:crypto'

export const ACTS = ['created', 'delivered', 'listened', 'downloaded', 'changed', 'deleted'] as const
export type Act = (typeof ACTS)[number]

/** A token's account and user, or the room of the engine that did it by itself. */
export type Actor = { account_id: string; user_id?: string } | { system: string }

export interface Fact {
  what: Act
  who: Actor
  /** Address of the client. */
  from?: string
  /** Whatever belongs to it, e.g. the fields that were changed or where a file was delivered. */
  details?: Readonly<Record<string, unknown>>
}

export interface AuditEntry extends Fact {
  /** From 1. */
  seq: number
  /** ISO 8601. */
  at: string
  /** Hash of the entry before; empty for the first. */
  previous: string
  /** sha256 in hex over everything else and the recording's id. */
  hash: string
}

/** `now` is unix milliseconds. */
export function chained(recordingId: string, previous: AuditEntry | undefined, { what, who, from, details }: Fact, now: number): AuditEntry {
  const entry = {
    seq: (previous?.seq ?? 0) + 1,
    at: new Date(now).toISOString(),
    what,
    who,
    ...(from === undefined ? {} : { from }),
    ...(details === undefined ? {} : { details }),
    previous: previous?.hash ?? '',
  }
  return { ...entry, hash: hashOf(recordingId, entry) }
}

/** The place at which a chain is broken, from 1: the first entry that is not what was written, or not where it was. Undefined: it is whole. */
export function brokenAt(recordingId: string, entries: readonly AuditEntry[]): number | undefined {
  const at = entries.findIndex(
    (entry, index) => entry.seq !== index + 1 || entry.previous !== (entries[index - 1]?.hash ?? '') || entry.hash !== hashOf(recordingId, entry),
  )
  return at < 0 ? undefined : at + 1
}

const hashOf = (recordingId: string, { seq, at, what, who, from, details, previous }: Omit<AuditEntry, 'hash'>): string =>
  createHash('sha256')
    .update(JSON.stringify(inOrder([recordingId, seq, at, what, who, from ?? null, details ?? null, previous])))
    .digest('hex')

/** A store need not keep the order of keys. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, one]) => [key, inOrder(one)]),
  )
}
