// Closes what was opened, the last first. Whoever waits for a neighbour that says nothing is not waited for: the switches
// have to be handed over while there is time.

import { type Clock, within } from './clock.ts'
import { reasonOf } from './errors.ts'
import type { Log } from './log.ts'

export interface Closable {
  close(): Promise<unknown>
  /** Milliseconds for which it is waited for, however late it is. */
  atLeastMs?: number
}

export interface ClosingPorts {
  clock: Clock
  log: Log
  /** What may keep others waiting; closed before its turn when its time is over, which ends what is asked of it. */
  neighbours: () => readonly Closable[]
}

/** Milliseconds in which what runs may come to its end by itself: half of what a stop may take. */
export const LAST_WORDS = 5_000
/** … after which nobody is waited for: a long file that is being read must not keep a switch from the next engine. */
export const LATE = 6_000

export async function closeInTurn(opened: readonly Closable[], { clock, log, neighbours }: ClosingPorts): Promise<void> {
  const began = clock.elapsed()
  const quietly = async (one: Closable): Promise<void> => {
    try {
      await within(clock, Math.max(one.atLeastMs ?? 0, LATE - (clock.elapsed() - began)), one.close())
    } catch (error) {
      log.warn('not_closed', { reason: reasonOf(error) })
    }
  }
  const cancel = clock.after(LAST_WORDS, () => {
    log.warn('closing_late', { note: 'what still runs is broken off; the documents and the switch know where it stood' })
    for (const neighbour of neighbours()) void quietly(neighbour)
  })
  for (const one of opened.toReversed()) await quietly(one)
  cancel()
}
