// Who of a call has to be told of one recording before it may keep what he says: at its beginning, and again whenever
// somebody joins who was not.

import { isCode, reasonOf } from '../errors.ts'
import type { Facts, Log } from '../log.ts'
import type { Leg, SwitchNode } from '../switch/switch.ts'
import { type Announce, hears, type Notice } from './announce.ts'
import type { Announcer, Party } from './announcer.ts'
import type { InFlight, Side } from './document.ts'

export interface TellingPorts {
  node: (name: string) => SwitchNode
  announcer: Announcer
  log: Log
}

/** The recording that is told of. */
export interface Tellable {
  readonly ids: Facts
  /** Something of it may be kept already. */
  runs(): boolean
  /** What was said is to be written down. */
  noted(notices: readonly Notice[]): void
  /** All who are there were told. */
  told(): Promise<void>
  /** A required announcement was not heard. */
  untold(): Promise<void>
  /** He pressed the key that says no, or did not press the one that says yes. */
  refused(notice: Notice, reason: 'opted_out' | 'no_consent'): Promise<void>
  /** Somebody joined who has to be told before anything more is kept. */
  newcomer(): void
}

type Recorded = Pick<InFlight, 'node' | 'leg' | 'side' | 'consent'>

/** What is said before, or while, a recording is made. A message is the one thing its leg does, so it cannot have its announcement in it. */
export function announceOf({ settings, message }: Pick<InFlight, 'settings' | 'message'>): Announce | undefined {
  const said = settings.announce?.value
  if (said === undefined || said === false) return undefined
  return message ? { ...said, keep: false } : said
}

/** Why what a required announcement was not heard of is `failed`. */
export const UNTOLD = 'announcement_failed'

export class Telling {
  readonly #ports: TellingPorts
  readonly #recorded: Recorded
  readonly #announce: Announce
  readonly #one: Tellable
  /** Legs of whom it is written what they were told. */
  readonly #settled: Set<string>
  #working = false
  /** It waits for its end. */
  #wanted = false
  #closed = false

  constructor(ports: TellingPorts, recorded: Recorded, announce: Announce, one: Tellable) {
    this.#ports = ports
    this.#recorded = recorded
    this.#announce = announce
    this.#one = one
    const known = recorded.consent?.announced ?? []
    for (const notice of known) ports.announcer.learn(notice, announce)
    this.#settled = new Set(known.filter(({ outcome }) => outcome !== 'failed').map(({ leg }) => leg))
  }

  /** It has begun to tell, and has not come to an end. */
  get works(): boolean {
    return this.#working
  }

  /** … or goes on when they have come together, or the switch is back. */
  get wanted(): boolean {
    return this.#wanted || this.#working
  }

  /** Is the recording to wait? Where it has the announcement in it, it is not. */
  get waits(): boolean {
    return !this.#announce.keep
  }

  /** Resolves when the switch was asked to say it. */
  begin(): Promise<void> {
    this.#wanted = true
    if (this.#working) return Promise.resolve()
    this.#working = true
    return new Promise(asked => {
      this.#tell(asked)
        .catch((error: unknown) => {
          // Who waits for this may be who is to hear of it.
          asked()
          return this.#unknown(error)
        })
        .finally(() => {
          this.#working = false
          asked()
        })
    })
  }

  /** Its leg, or the one it talks with, has come together with another one, or was answered. */
  async met(): Promise<void> {
    const { announcer } = this.#ports
    const untold = await this.#untold()
    if (untold === undefined || this.#closed) return
    if (untold.length === 0) return this.#wanted ? this.begin() : undefined
    // What is said to the one must not wait for its end to be said to the other.
    if (this.#working) for (const party of untold) announcer.tell(party, this.#announce).notice.catch(() => {})
    else if (!this.#one.runs()) {
      if (this.#wanted) await this.begin()
    } else if (this.#announce.keep || untold.every(({ leg }) => announcer.toldOf(leg, this.#announce) !== undefined)) await this.begin()
    else this.#one.newcomer()
  }

  close(): void {
    this.#closed = true
  }

  /** The switch does not say who is there. */
  async #unknown(error: unknown): Promise<void> {
    // Out of reach it is not known what they hear either; after the next connection they are told again.
    if (this.#closed || isCode(error, 'switch_down')) return
    this.#ports.log.error('recording_not_told', { ...this.#one.ids, reason: reasonOf(error) })
    await (this.#announce.required ? this.#one.untold() : this.#one.told())
  }

  async #tell(asked: () => void): Promise<void> {
    for (;;) {
      const parties = await this.#untold()
      if (this.#closed || parties === undefined) return
      if (parties.length === 0) {
        this.#wanted = false
        asked()
        return this.#one.told()
      }
      const tellings = parties.map(party => ({ ...this.#ports.announcer.tell(party, this.#announce), party: party.party }))
      void Promise.all(tellings.map(({ sent }) => sent)).then(asked)
      // Who was told in an earlier part may have been the other side there.
      const notices = await Promise.all(tellings.map(async ({ notice, party }) => ({ ...(await notice), party })))
      if (this.#closed) return
      for (const { leg } of notices) this.#settled.add(leg)
      this.#one.noted(notices)
      const no = notices.find(({ key }) => key !== undefined && key === this.#announce.optout_key)
      if (no !== undefined) return this.#one.refused(no, 'opted_out')
      if (this.#announce.required && notices.some(({ outcome }) => outcome === 'failed')) return this.#one.untold()
      const { consent_key } = this.#announce
      const silent = consent_key === undefined ? undefined : notices.find(({ outcome, key }) => outcome !== 'left' && key !== consent_key)
      if (silent !== undefined) return this.#one.refused(silent, 'no_consent')
    }
  }

  /** Who has to hear it and has not, of those who are there and can hear; undefined while they are on their way to each other. */
  async #untold(): Promise<Party[] | undefined> {
    const { node: name, leg: uuid, side } = this.#recorded
    const parties = await partiesOf(this.#ports.node(name), uuid, side)
    return parties?.filter(({ leg, party }) => hears(this.#announce.to, party) && !this.#settled.has(leg))
  }
}

/** Who answered is bridged in a moment: both are told at once then. */
const isBetween = ({ uuid, otherLeg, direction, variables }: Leg): boolean => {
  const { current_application: application, callrec_call_id: callId = uuid } = variables
  return otherLeg === undefined && (application === 'bridge' || (direction === 'outbound' && callId !== uuid && application === undefined))
}

/** The leg that is recorded and the one it talks with, once they have answered; undefined while it is on its way into a bridge. */
export async function partiesOf(node: SwitchNode, uuid: string, side: Side): Promise<Party[] | undefined> {
  const own = await node.leg(uuid)
  if (own !== undefined && isBetween(own)) return undefined
  const other = own?.otherLeg === undefined ? undefined : await node.leg(own.otherLeg)
  const legs = [
    { leg: own, party: side },
    { leg: other, party: side === 'caller' ? ('callee' as const) : ('caller' as const) },
  ]
  return legs.flatMap(({ leg, party }) =>
    leg === undefined || !leg.answered || leg.variables['callrec_recording_leg'] === 'true' ? [] : [{ node: node.name, leg: leg.uuid, party }],
  )
}
