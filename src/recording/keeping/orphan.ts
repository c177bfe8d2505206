// What belongs to a file of the spool that nothing is queued for, and to a recording that nobody finishes. Documents
// come before files and go after them, so neither is there in the ordinary life of a recording.

import type { Finished } from '../spool.ts'
import type { InFlight, Recording } from '../document.ts'
import { fileOf } from '../new-recording.ts'
import type { Tombstone } from './erasure.ts'
import { destinationOf } from '../storage.ts'
import { isEnd } from '../lifecycle.ts'

export type Fate =
  /** Somebody wanted it to be gone, and it is not: it is destroyed. */
  | { is: 'unwanted'; why: 'erased' | 'discarded' }
  /** It is where it was to go, byte for byte: one copy too many. */
  | { is: 'delivered' }
  /** It is where it was to go, and this is not what was delivered. */
  | { is: 'different' }
  /** Its recording failed for want of it. */
  | { is: 'found' }
  /** It failed for another reason, and the file is kept with its document. */
  | { is: 'kept' }
  /** The queue has lost it. */
  | { is: 'unqueued' }

/** Reasons that say no more than that the audio was not there. */
const FOR_WANT_OF_IT: ReadonlySet<string> = new Set(['file_missing', 'leg_lost', 'switch_lost'])

/** Of a file that no document of the queue names; `file` is read where it matters. */
export async function fateOf(recording: Recording | Tombstone, read: () => Promise<Finished | undefined>): Promise<Fate> {
  if ('pvt_deleted' in recording && recording.pvt_deleted === true) return { is: 'unwanted', why: 'erased' }
  const { state, reason = '', delivery, sha256 } = recording as Recording
  if (state === 'discarded') return { is: 'unwanted', why: 'discarded' }
  if (delivery?.state === 'stored') return { is: (await read())?.sha256 === sha256 ? 'delivered' : 'different' }
  if (state !== 'failed') return { is: 'unqueued' }
  const found = FOR_WANT_OF_IT.has(reason) && ((await read())?.durationMs ?? 0) > 0
  return { is: found ? 'found' : 'kept' }
}

/** Of a file of the spool: `{node}/{YYYYMM}/{id}.{format}`. Undefined for one that is none of ours. */
export function idOf(file: string): string | undefined {
  const [, month = '', id] = /^[^/]+\/(\d{6})\/(\d{6}-[0-9a-f]{32})\.[a-z0-9]+$/.exec(file) ?? []
  return id?.startsWith(month) ? id : undefined
}

/**
 * The document that the queue should have of a recording. One that had not ended is asked of its switch again; one that had is due, or
 * failed as it was. Whose leg it is matters to a start alone, and is told by the origin that policy gave it.
 */
export function queued(recording: Recording, node: string, now: number): InFlight {
  const { _id, pvt_account_id: account_id, call_id: leg, state, policy: settings, origin, origins, size, delivery } = recording
  const over = isEnd(state)
  const by = (text: string): 'policy' | 'action' => (/^(inbound|outbound) /.test(text) ? 'policy' : 'action')
  const wanted = delivery?.state === 'failed' ? ('failed' as const) : ('due' as const)
  return {
    _id,
    account_id,
    node,
    leg,
    side: origin.endsWith(' to endpoint') ? 'callee' : 'caller',
    state: over ? 'stopped' : state,
    file: fileOf({ id: _id, node, format: recording.media_type }),
    settings,
    origins: origins.map(one => ({ origin: one, by: by(one), at: now })),
    ...(over
      ? {
          ...(size === undefined ? {} : { size }),
          delivery: { state: wanted, destination: destinationOf(settings.url?.value), attempts: 0, ...(wanted === 'due' ? { next_at: now } : {}) },
        }
      : {}),
  }
}
