// How long to wait before the next attempt to reach a switch: exponential with full jitter, so that many
// engines do not come back all at once.

export interface Backoff {
  leastMs: number
  mostMs: number
}

export const BACKOFF: Backoff = { leastMs: 200, mostMs: 30_000 }

/** `attempt` counts failures in a row from 0; `random` is from 0 to below 1. */
export function backoff(attempt: number, random: number, { leastMs, mostMs }: Backoff = BACKOFF): number {
  const ceiling = Math.min(mostMs, leastMs * 2 ** Math.min(attempt + 1, 30))
  return Math.round(leastMs + random * (ceiling - leastMs))
}
