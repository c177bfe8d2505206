// A database of the embedded store as this process knows it, and who waits for its next change.

import type { MapFunction, Reduce } from './design.ts'

export interface IndexedView {
  number: number
  map: MapFunction
  reduce?: Reduce
}

/** A database as this process knows it. */
export interface Base {
  name: string
  number: number
  views: Map<string, IndexedView>
  /** Sequence of the latest change that was given one, and of the latest that is on disk. */
  lastSequence: number
  onDisk: number
  dropped: boolean
  arrived(sequence: number): void
  /** Resolves when more than `sequence` is on disk, the database is deleted or the signal comes. */
  next(sequence: number, signal: AbortSignal): Promise<void>
}

export function makeBase(name: string, number: number, views: Map<string, IndexedView>): Base {
  const waiting = new Set<() => void>()
  return {
    name,
    number,
    views,
    lastSequence: 0,
    onDisk: 0,
    dropped: false,
    arrived(sequence) {
      this.onDisk = Math.max(this.onDisk, sequence)
      for (const wake of waiting) wake()
    },
    next(sequence, signal) {
      if (this.onDisk > sequence || this.dropped || signal.aborted) return Promise.resolve()
      return new Promise(resolve => {
        const wake = (): void => {
          waiting.delete(wake)
          signal.removeEventListener('abort', wake)
          resolve()
        }
        waiting.add(wake)
        signal.addEventListener('abort', wake)
      })
    },
  }
}
