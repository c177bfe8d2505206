// How the documents of a recording that runs get into a store that may be away: what could not be written is written
// later, and the journal has a recording until then.

import { reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Journal } from './journal.ts'
import type { Papers } from './papers.ts'
import type { Watchdog } from './watchdog.ts'

export interface SavingPorts {
  journal: Journal
  log: Log
}

export class Saving {
  readonly #ports: SavingPorts
  readonly #papers: Papers
  readonly #watchdog: Pick<Watchdog, 'saveAgain' | 'over'>
  /** Runs it when nothing else of the recording runs. */
  readonly #inTurn: (run: () => Promise<void>) => Promise<void>
  #journaled = false

  constructor(ports: SavingPorts, papers: Papers, watchdog: Pick<Watchdog, 'saveAgain' | 'over'>, inTurn: (run: () => Promise<void>) => Promise<void>) {
    this.#ports = ports
    this.#papers = papers
    this.#watchdog = watchdog
    this.#inTurn = inTurn
  }

  /** The store was away for its first documents, and the journal has them. */
  later(error: unknown): void {
    this.#journaled = true
    this.#again(error)
  }

  async save(): Promise<void> {
    try {
      await this.#papers.save()
      await this.#unjournal()
    } catch (error) {
      this.#again(error)
    }
  }

  /** The end of a recording is not given up because the store is away. */
  async untilSaved(run: () => Promise<void>, then: () => void): Promise<void> {
    this.#watchdog.over()
    try {
      await run()
    } catch (error) {
      const again = this.#watchdog.saveAgain(() => this.#inTurn(() => this.untilSaved(run, then)))
      return this.#ports.log.error('recording_end_not_saved', { ...this.#papers.ids, reason: reasonOf(error), again_in_ms: again })
    }
    await this.#unjournal()
    then()
  }

  #again(error: unknown): void {
    const again = this.#watchdog.saveAgain(() => this.#inTurn(() => this.save()))
    const { state } = this.#papers.inFlight
    this.#ports.log.warn('recording_state_not_saved', { ...this.#papers.ids, state, reason: reasonOf(error), again_in_ms: again })
  }

  /** What stays there is found to be done at the next start. */
  async #unjournal(): Promise<void> {
    if (!this.#journaled) return
    this.#journaled = false
    const { node, _id: id } = this.#papers.inFlight
    await this.#ports.journal
      .remove({ node, id })
      .catch((error: unknown) => this.#ports.log.warn('journal_not_removed', { ...this.#papers.ids, reason: reasonOf(error) }))
  }
}
