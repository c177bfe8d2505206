// The last line of defence. What nobody caught is a fault of callrec's own in the work of one call, and no reason to end the calls and
// recordings of all others with the process: it is told with its stack, and counted, so that somebody mends it.

import type { Closable } from './closing.ts'
import { reasonOf } from './errors.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

/** From now on, until it is closed. */
export function lastResort({ log, metrics }: { log: Log; metrics: Metrics }): Closable {
  const told = (kind: 'exception' | 'rejection', error: unknown): void => {
    metrics.count('callrec_unforeseen_total', { kind })
    log.error('unforeseen_failure', { kind, reason: reasonOf(error), stack: error instanceof Error ? error.stack : undefined })
  }
  const thrown = (error: unknown): void => told('exception', error)
  const rejected = (error: unknown): void => told('rejection', error)
  process.on('uncaughtException', thrown).on('unhandledRejection', rejected)
  return {
    async close() {
      process.off('uncaughtException', thrown).off('unhandledRejection', rejected)
    },
  }
}
