// A party has said no to being recorded, where the account lets it: that ends every recording of the call which may be refused,
// and none begins again as long as the call lasts.

import type { Clock } from '../clock.ts'
import { AppError, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Leg } from '../switch/switch.ts'
import type { Consent } from './announce.ts'
import type { AlsoRecords } from './cover-call.ts'
import type { CoveredCall, Covers } from './covers.ts'
import type { Live } from './live.ts'
import type { Roster } from './roster.ts'
import type { StartRequest } from './starting.ts'
import { announceOf } from './telling.ts'

type Asked = Pick<StartRequest, 'settings' | 'facts'> & { leg: Pick<Leg, 'uuid'> }

export class Refusals {
  readonly #ports: { clock: Clock; log: Log }
  readonly #roster: Roster
  readonly #covers: Covers
  readonly #also: ReadonlySet<AlsoRecords>

  /** `also` may grow and shrink. */
  constructor(ports: { clock: Clock; log: Log }, roster: Roster, covers: Covers, also: ReadonlySet<AlsoRecords>) {
    this.#ports = ports
    this.#roster = roster
    this.#covers = covers
    this.#also = also
  }

  /** Of those who talk: with nobody on the other side a key is an answer to what a callflow asks. */
  async pressed({ uuid, otherLeg }: Leg, key: string, at: number): Promise<void> {
    if (otherLeg === undefined) return
    const file = [...this.#roster.ofLeg(uuid), ...this.#roster.ofLeg(otherLeg)].find(one => one.isNo(uuid, key))
    const refused = file === undefined ? [...this.#also].map(other => other.saysNo([uuid, otherLeg], uuid, key)).find(call => call !== undefined) : callOf(file)
    if (refused !== undefined) await this.refuse(refused, { leg: uuid, key, at: new Date(at).toISOString() })
  }

  async refuse(call: CoveredCall, by: NonNullable<Consent['refused']>): Promise<void> {
    const { accountId, interactionId } = call
    // Nothing more is kept while it is being written down.
    const all = this.#roster.running().filter(other => other.mayBeRefused && other.recording.interaction_id === interactionId)
    this.#ports.log.info('recording_refused_by_party', { account_id: accountId, leg: by.leg, recordings: all.map(({ id }) => id) })
    const written = this.#covers.refuse(call, { at: by.at, by: `key ${by.key}` })
    await Promise.all([...all.map(other => other.refuse(by)), ...[...this.#also].map(other => other.refuse(interactionId, by))])
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

export const callOf = ({ inFlight, recording }: Live): CoveredCall => ({
  accountId: inFlight.account_id,
  node: inFlight.node,
  interactionId: recording.interaction_id,
})
