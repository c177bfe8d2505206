// A party has said no to being recorded, where the account lets it: that ends every recording of the call which may be refused,
// and none begins again as long as the call lasts.

import type { Clock } from '../clock.ts'
import { AppError, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Leg } from '../switch/switch.ts'
import type { Consent } from './announce.ts'
import type { Covers } from './covers.ts'
import type { Live } from './live.ts'
import type { Roster } from './roster.ts'
import type { StartRequest } from './starting.ts'
import { announceOf } from './telling.ts'

type Asked = Pick<StartRequest, 'settings' | 'facts' | 'leg'>

export class Refusals {
  readonly #ports: { clock: Clock; log: Log }
  readonly #roster: Roster
  readonly #covers: Covers

  constructor(ports: { clock: Clock; log: Log }, roster: Roster, covers: Covers) {
    this.#ports = ports
    this.#roster = roster
    this.#covers = covers
  }

  /** Of those who talk: with nobody on the other side a key is an answer to what a callflow asks. */
  async pressed({ uuid, otherLeg }: Leg, key: string, at: number): Promise<void> {
    if (otherLeg === undefined) return
    const refused = [...this.#roster.ofLeg(uuid), ...this.#roster.ofLeg(otherLeg)].find(one => one.isNo(uuid, key))
    if (refused !== undefined) await this.refuse(refused, { leg: uuid, key, at: new Date(at).toISOString() })
  }

  async refuse(one: Live, by: NonNullable<Consent['refused']>): Promise<void> {
    const { account_id: accountId, node } = one.inFlight
    const interactionId = one.recording.interaction_id
    // Nothing more is kept while it is being written down.
    const all = this.#roster.running().filter(other => other.mayBeRefused && other.recording.interaction_id === interactionId)
    this.#ports.log.info('recording_refused_by_party', { account_id: accountId, leg: by.leg, recordings: all.map(({ id }) => id) })
    const written = this.#covers.refuse({ accountId, node, interactionId }, { at: by.at, by: `key ${by.key}` })
    await Promise.all(all.map(other => other.refuse(by)))
    await written.catch((error: unknown) => this.#ports.log.error('refusal_not_written', { account_id: accountId, leg: by.leg, reason: reasonOf(error) }))
  }

  holds({ settings, facts }: Pick<Asked, 'settings' | 'facts'>): boolean {
    return announceOf({ settings })?.optout_key !== undefined && this.#covers.refused(facts.interaction_id)
  }

  /** Throws `wrong_state`. */
  check(request: Asked): void {
    if (this.holds(request))
      throw new AppError('wrong_state', 'a party of this call has refused to be recorded', { state: 'discarded', reason: 'opted_out', leg: request.leg.uuid })
  }
}
