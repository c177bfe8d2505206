// What was recorded of legs that are gone, for a while: a transfer is told of after the leg that asked for it has
// left, and then its recordings go on with who is left.

/** Milliseconds of call time from the end of a leg to its being asked for; what a transfer takes is far less. */
const KEPT = 30_000

/** `Part`: what its next part has to know of a recording. `now`: call time. */
export class Departed<Part> {
  /** Oldest first; parts by the recording. */
  readonly #left = new Map<string, { at: number; parts: Map<string, Part> }>()

  /** A recording ended because its leg was leaving, of which more than one event tells. */
  add(leg: string, recording: string, part: Part, now: number): void {
    const parts = new Map(this.#left.get(leg)?.parts).set(recording, part)
    this.#left.delete(leg)
    this.#left.set(leg, { at: now, parts })
    this.#forget(now)
  }

  /** Once. */
  take(leg: string, now: number): Part[] {
    this.#forget(now)
    const parts = this.#left.get(leg)?.parts ?? new Map<string, Part>()
    this.#left.delete(leg)
    return [...parts.values()]
  }

  #forget(now: number): void {
    for (const [leg, { at }] of this.#left) {
      if (now - at <= KEPT) return
      this.#left.delete(leg)
    }
  }

  /** Legs that are remembered. */
  get size(): number {
    return this.#left.size
  }
}
