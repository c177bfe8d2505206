// Waiting for a condition with a deadline, for what has no event of its own.

import { setTimeout as after } from 'node:timers/promises'

/** Milliseconds until a test gives up: far more than anything takes, because the machine may be busy with others. */
export const PATIENCE = 60_000

export async function until<Found>(what: string, look: () => Found | undefined | false | Promise<Found | undefined | false>): Promise<Found> {
  const deadline = performance.now() + PATIENCE
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > deadline) throw new Error(`not within ${PATIENCE} ms: ${what}`)
    await after(5)
  }
}
