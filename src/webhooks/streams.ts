// Which events wait, by webhook and recording, without reading past those of a webhook that is blocked.

import type { Store } from '../store/store.ts'
import { PENDING, QUEUE } from './document.ts'

/** The events of one recording for one webhook. */
export interface Stream {
  webhookId: string
  recordingId: string
}

export const streamKey = ({ webhookId, recordingId }: Stream): string => `${webhookId}:${recordingId}`

/** Events of one webhook that are read at once; more are found when those are told. */
const MOST = 500

export async function readStreams(store: Store, isBlocked: (webhookId: string) => boolean): Promise<{ streams: Stream[]; more: boolean }> {
  const found = new Map<string, Stream>()
  let more = false
  for (let webhookId = await webhookAfter(store, []); webhookId !== undefined; webhookId = await webhookAfter(store, [webhookId, {}])) {
    if (isBlocked(webhookId)) continue
    const rows = await store.query(QUEUE, PENDING, { startKey: [webhookId], endKey: [webhookId, {}], limit: MOST })
    more ||= rows.length === MOST
    for (const { key } of rows) {
      const [, recordingId] = key as readonly [string, string]
      const stream = { webhookId, recordingId }
      found.set(streamKey(stream), stream)
    }
  }
  return { streams: [...found.values()], more }
}

async function webhookAfter(store: Store, startKey: readonly (string | object)[]): Promise<string | undefined> {
  const [row] = await store.query(QUEUE, PENDING, { startKey: startKey as readonly string[], limit: 1 })
  return (row?.key as readonly [string] | undefined)?.[0]
}
