// What the parties of a call know of one recording, as its documents keep it: what was said to whom, who beeps, who said no.

import type { Clock } from '../clock.ts'
import { reasonOf } from '../errors.ts'
import type { Facts, Log } from '../log.ts'
import type { SwitchNode } from '../switch/switch.ts'
import type { Consent, Notice } from './announce.ts'
import type { Announcer } from './announcer.ts'
import { Beeping, type Beeps } from './beeping.ts'
import type { InFlight } from './document.ts'
import type { Fact } from './lifecycle.ts'
import { runs } from './lifecycle.ts'
import { announceOf, Telling, UNTOLD } from './telling.ts'

export interface ConsentingPorts {
  node: (name: string) => SwitchNode
  clock: Clock
  log: Log
  announcer: Announcer
  beeps: Beeps
}

/** The documents of what is recorded, as far as they are about consent. */
export interface Consented {
  readonly inFlight: Pick<InFlight, '_id' | 'node' | 'leg' | 'side' | 'state' | 'settings' | 'message' | 'consent'>
  /** It is not yet what `state` will say, and may be at any moment. */
  readonly begins?: boolean
  readonly ids: Facts
  consentBecomes(consent: Consent): void
}

export interface Consentable {
  /** All who are there were told, and it is written in the papers. */
  told(): Promise<void>
  tell(fact: Fact, told: { reason: string }): Promise<void>
  save(): Promise<void>
  /** A party said no while it was being told, which ends other recordings of the call as well. */
  refused(notice: Notice): void
  newcomer(): void
}

export class Consenting {
  readonly #log: Log
  readonly #papers: Consented
  readonly #one: Consentable
  readonly #telling: Telling | undefined
  readonly #beeping: Beeping | undefined

  constructor(ports: ConsentingPorts, papers: Consented, one: Consentable) {
    this.#log = ports.log
    this.#papers = papers
    this.#one = one
    const { inFlight, ids } = papers
    const announce = announceOf(inFlight)
    if (announce !== undefined)
      this.#telling = new Telling(ports, inFlight, announce, {
        ids,
        runs: () => runs(papers.inFlight.state) || (papers.begins === true && !announce.keep),
        noted: notices => this.#become({ announced: [...(this.#consent.announced ?? []), ...notices] }),
        told: () => one.told(),
        untold: () => one.tell('untold', { reason: UNTOLD }),
        refused: async (notice, reason) => {
          if (reason === 'opted_out') one.refused(notice)
          else await one.tell('refused', { reason })
        },
        // A message ends with whatever brings its caller together with somebody.
        newcomer: () => (inFlight.message ? undefined : one.newcomer()),
      })
    const beep = inFlight.settings.beep?.value
    if (beep !== undefined && beep !== false && !inFlight.message)
      this.#beeping = new Beeping(ports, ports.beeps, inFlight, beep, {
        ids,
        state: () => papers.inFlight.state,
        beeped: what => {
          this.#become({ beeps: [...(this.#consent.beeps ?? []), what] })
          void one.save()
        },
      })
  }

  /** It is not to begin before everybody was told. */
  get waits(): boolean {
    return this.#telling?.waits === true
  }

  /** Somebody is being told, or is to be once that is possible. */
  get tells(): boolean {
    return this.#telling?.wanted === true
  }

  /** Tells whoever was not told; resolves when the switch was asked to. */
  async begin(): Promise<void> {
    await this.#telling?.begin()
  }

  /** It became another state. */
  changed(): void {
    void this.#beeping?.follow()
  }

  /** Who talks with whom has changed. */
  async met(): Promise<void> {
    try {
      await this.#telling?.met()
    } catch (error) {
      // Asked again at the next change, and after the next connection.
      this.#log.warn('recording_parties_unknown', { ...this.#papers.ids, reason: reasonOf(error) })
    }
    await this.#beeping?.follow()
  }

  /** Does that key say no to it, pressed by who was told? */
  isNo(leg: string, key: string): boolean {
    if (!this.mayBeRefused || announceOf(this.#papers.inFlight)?.optout_key !== key) return false
    return this.#consent.announced?.some(notice => notice.leg === leg && notice.outcome !== 'failed') === true
  }

  get mayBeRefused(): boolean {
    return announceOf(this.#papers.inFlight)?.optout_key !== undefined
  }

  refuse(by: NonNullable<Consent['refused']>): Promise<void> {
    this.#become({ refused: by })
    return this.#one.tell('refused', { reason: 'opted_out' })
  }

  close(): void {
    this.#telling?.close()
  }

  get #consent(): Consent {
    return this.#papers.inFlight.consent ?? {}
  }

  #become(more: Consent): void {
    this.#papers.consentBecomes({ ...this.#consent, ...more })
  }
}
