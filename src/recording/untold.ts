// A required announcement was not heard, so what policy wants is not recorded: one document of a call says so, however often
// it is asked for again. It begins after all once somebody has joined and all who are there were told.

import type { Log } from '../log.ts'
import { reasonOf } from '../errors.ts'
import type { SwitchNode } from '../switch/switch.ts'
import { hears } from './announce.ts'
import type { Announcer } from './announcer.ts'
import { factsOf } from './document.ts'
import type { Live } from './live.ts'
import { isCommon } from './policy.ts'
import { sameFile } from './settings.ts'
import { type Started, type StartRequest, standing } from './starting.ts'
import { announceOf, partiesOf } from './telling.ts'

export interface UntoldPorts {
  node: (name: string) => SwitchNode
  announcer: Announcer
  log: Log
}

interface Wanted {
  /** As its document says. */
  failed: Started
  /** From whoever asked; the first one's leg is recorded, if there is a choice. */
  requests: readonly [StartRequest, ...StartRequest[]]
  trying: boolean
}

export class Untold {
  readonly #ports: UntoldPorts
  readonly #start: (request: StartRequest) => Promise<unknown>
  #all: Wanted[] = []

  constructor(ports: UntoldPorts, start: (request: StartRequest) => Promise<unknown>) {
    this.#ports = ports
    this.#start = start
  }

  /** It has failed so. */
  add(one: Live): void {
    const [first, ...others] = requestsOf(one)
    if (first === undefined || this.#wanted(first) !== undefined) return
    this.#all.push({ failed: { ...standing(one, true), state: 'failed', reason: 'announcement_failed' }, requests: [first, ...others], trying: false })
  }

  /** How it stands, where the same has failed so in this call. */
  standing(request: StartRequest): Started | undefined {
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

  #wanted(request: StartRequest): Wanted | undefined {
    return this.#all.find(({ requests: [first] }) => isSame(first, request))
  }

  /** True when all who are there were told. */
  async #tell({ leg: { node: name, uuid }, side, settings }: StartRequest): Promise<boolean> {
    const announce = announceOf({ settings })
    if (announce === undefined) return false
    const node = this.#ports.node(name)
    const parties = (await partiesOf(node, uuid, side)) ?? []
    const tellings = parties.filter(({ party }) => hears(announce.to, party)).map(party => this.#ports.announcer.tell(party, announce))
    const notices = await Promise.all(tellings.map(({ notice }) => notice))
    return notices.length > 0 && notices.every(({ outcome }) => outcome !== 'failed') && (await node.exists(uuid))
  }

  async #begin(wanted: Wanted, { leg }: StartRequest): Promise<void> {
    this.#all = this.#all.filter(other => other !== wanted)
    for (const request of wanted.requests.filter(one => one.leg.uuid === leg.uuid)) await this.#start({ ...request, leg: { ...leg, answered: true } })
  }
}

/** The leg whose call it is: its id stands behind the month of the detail record. */
const callerOf = ({ cdr_id }: StartRequest['facts']): string => cdr_id.slice('YYYYMM-'.length)

/** What a layer says of everybody is one wish for both parties, what a party's documents say is his own. */
const whose = ({ settings, facts }: StartRequest): string => (isCommon(settings) ? '' : `${facts.owner_id ?? ''} ${facts.endpoint_id ?? ''}`)

const isSame = (one: StartRequest, other: StartRequest): boolean =>
  one.facts.cdr_id === other.facts.cdr_id && whose(one) === whose(other) && sameFile(one.settings, other.settings)

const requestsOf = ({ node, leg, settings, origins, inFlight, recording, lengthMs }: Live): StartRequest[] =>
  origins
    .filter(({ by }) => by === 'policy')
    .map(({ origin, by }) => ({
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
