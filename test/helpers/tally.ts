// A `Metrics` whose counts a test can read: `callrec_recordings_total started` → 2. Labels stand in
// their order, empty ones left out.

import type { Metrics } from '../../src/metrics.ts'

export interface Tally {
  metrics: Metrics
  /** Everything that was counted. */
  counts: Record<string, number>
}

export function tally(): Tally {
  const counts: Record<string, number> = {}
  const metrics: Metrics = {
    count(name, labels) {
      const key = [name, ...Object.values(labels).filter(value => value !== '')].join(' ')
      counts[key] = (counts[key] ?? 0) + 1
    },
  }
  return { metrics, counts }
}
