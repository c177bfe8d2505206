// Waiting for a condition with a deadline, for what has no event of its own.

import { setTimeout as after } from 'node:timers/promises'

export async function until<Found>(what: string, look: () => Found | undefined | false | Promise<Found | undefined | false>, ms = 5000): Promise<Found> {
  const deadline = performance.now() + ms
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${what}`)
    await after(5)
  }
}
