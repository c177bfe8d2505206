// A required announcement was not heard, so what policy wants is not recorded: one document of a call says so, however often
// it is asked for again. It begins after all once somebody has joined and all who are there were told.

import { reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { SwitchNode } from '../switch/switch.ts'
import { hears } from './announce.ts'
import type { Announcer } from './announcer.ts'
import { factsOf } from './document.ts'
import type { Live } from './live.ts'
import { isCommon } from './policy.ts'
import { type Effective, sameFile } from './settings.ts'
import type { StartRequest } from './starting.ts'
import { announceOf, partiesOf } from './telling.ts'

export interface UntoldPorts {
  node: (name: string) => SwitchNode
  announcer: Pick<Announcer, 'tell'>
  log: Log
}

/** What asks for a recording, as far as it is about its parties. */
export interface Asking extends Pick<StartRequest, 'accountId' | 'side' | 'facts' | 'origin' | 'by' | 'groupId'> {
  leg: Pick<StartRequest['leg'], 'node' | 'uuid' | 'answered'>
  settings?: Effective
}

interface Wanted<Request, Standing> {
  /** As its document says. */
  failed: Standing
  /** From whoever asked; the first one's leg is recorded, if there is a choice. */
  requests: readonly [Request, ...Request[]]
  trying: boolean
}

export class Untold<Request extends Asking, Standing> {
  readonly #ports: UntoldPorts
  readonly #isSame: (one: Request, other: Request) => boolean
  readonly #start: (request: Request) => Promise<unknown>
  #all: Wanted<Request, Standing>[] = []

  /** `isSame` of two that are of one call. */
  constructor(ports: UntoldPorts, isSame: (one: Request, other: Request) => boolean, start: (request: Request) => Promise<unknown>) {
    this.#ports = ports
    this.#isSame = isSame
    this.#start = start
  }

  /** It has failed so; `requests` would have it begin again. */
  add(failed: Standing, requests: readonly Request[]): void {
    const [first, ...others] = requests.filter(({ by }) => by === 'policy')
    if (first !== undefined && this.#wanted(first) === undefined) this.#all.push({ failed, requests: [first, ...others], trying: false })
  }

  /** How it stands, where the same has failed so in this call. */
  standing(request: Request): Standing | undefined {
    const wanted = request.by === 'policy' ? this.#wanted(request) : undefined
    if (wanted === undefined) return undefined
    const isKnown = wanted.requests.some(({ leg, origin }) => leg.uuid === request.leg.uuid && origin === request.origin)
    if (!isKnown) wanted.requests = [...wanted.requests, request]
    return wanted.failed
  }

  /** Two legs came together, or one of such a pair was answered. */
  async met(...pair: readonly [string, string]): Promise<void> {
    await Promise.all(
      this.#all.map(async wanted => {
        const [request] = wanted.requests.filter(({ leg }) => pair.includes(leg.uuid))
        if (request === undefined || wanted.trying) return
        wanted.trying = true
        try {
          if (await this.#tell(request)) await this.#begin(wanted, request)
        } catch (error) {
          this.#ports.log.warn('recording_parties_unknown', { account_id: request.accountId, leg: request.leg.uuid, reason: reasonOf(error) })
        } finally {
          wanted.trying = false
        }
      }),
    )
  }

  /** A leg is gone, and with the caller's its call. */
  gone(leg: string): void {
    this.#all = this.#all.filter(({ requests: [{ facts }] }) => callerOf(facts) !== leg)
  }

  /** What goes on there is not told any more. */
  leave(node: string): void {
    this.#all = this.#all.filter(({ requests: [{ leg }] }) => leg.node !== node)
  }

  #wanted(request: Request): Wanted<Request, Standing> | undefined {
    return this.#all.find(({ requests: [first] }) => first.facts.cdr_id === request.facts.cdr_id && this.#isSame(first, request))
  }

  /** True when all who are there were told. */
  async #tell({ leg: { node: name, uuid }, side, settings = {} }: Request): Promise<boolean> {
    const announce = announceOf({ settings })
    if (announce === undefined) return false
    const node = this.#ports.node(name)
    const parties = (await partiesOf(node, uuid, side)) ?? []
    const tellings = parties.filter(({ party }) => hears(announce.to, party)).map(party => this.#ports.announcer.tell(party, announce))
    const notices = await Promise.all(tellings.map(({ notice }) => notice))
    return notices.length > 0 && notices.every(({ outcome }) => outcome !== 'failed') && (await node.exists(uuid))
  }

  async #begin(wanted: Wanted<Request, Standing>, { leg }: Request): Promise<void> {
    this.#all = this.#all.filter(other => other !== wanted)
    const [{ groupId }] = wanted.requests
    for (const request of wanted.requests.filter(one => one.leg.uuid === leg.uuid))
      await this.#start({ ...request, ...(groupId === undefined ? {} : { groupId }), leg: { ...leg, answered: true } })
  }
}

/** The leg whose call it is: its id stands behind the month of the detail record. */
const callerOf = ({ cdr_id }: StartRequest['facts']): string => cdr_id.slice('YYYYMM-'.length)

/** What a layer says of everybody is one wish for both parties, what a party's documents say is his own. */
const whose = ({ settings, facts }: StartRequest): string => (isCommon(settings) ? '' : `${facts.owner_id ?? ''} ${facts.endpoint_id ?? ''}`)

/** For the same file. */
export const sameWish = (one: StartRequest, other: StartRequest): boolean => whose(one) === whose(other) && sameFile(one.settings, other.settings)

/** What would have a file begin again that has failed. */
export const requestsOf = ({ node, leg, settings, origins, inFlight, recording, lengthMs }: Live): StartRequest[] =>
  origins.map(({ origin, by }) => ({
    accountId: inFlight.account_id,
    leg: { node, uuid: leg, answered: true, sampleRate: recording.sample_rate },
    fresh: false,
    side: inFlight.side,
    facts: factsOf(recording),
    settings,
    origin,
    by,
    groupId: recording.group_id,
    earlierMs: lengthMs,
  }))
