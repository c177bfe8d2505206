// A tone every some seconds for those who are recorded, as long as something of them is kept. Recordings of one leg share it.

import type { Clock } from '../clock.ts'
import { isCode, reasonOf } from '../errors.ts'
import type { Facts, Log } from '../log.ts'
import type { SwitchNode } from '../switch/switch.ts'
import { type Beep, type Beeped, hears } from './announce.ts'
import type { Party } from './announcer.ts'
import type { InFlight } from './document.ts'
import type { State } from './lifecycle.ts'
import { partiesOf } from './telling.ts'

export interface BeepPorts {
  node: (name: string) => SwitchNode
  clock: Clock
  log: Log
}

/** Which recordings want a leg to hear it. */
export class Beeps {
  readonly #node: BeepPorts['node']
  readonly #wanted = new Map<string, Set<string>>()

  constructor({ node }: Pick<BeepPorts, 'node'>) {
    this.#node = node
  }

  async start(recording: string, { node: name, leg }: Party, every: number): Promise<void> {
    const wanted = this.#of(leg, every)
    wanted.add(recording)
    if (wanted.size > 1) return
    const node = this.#node(name)
    try {
      await node.beep(leg, every)
    } catch (error) {
      if (!isCode(error, 'switch_refused')) throw error
      // An engine that is gone may have begun it: it is begun anew, so that it is certain that it is heard.
      await node.stopBeep(leg, every)
      await node.beep(leg, every)
    }
  }

  async stop(recording: string, { node, leg }: Party, every: number): Promise<void> {
    const wanted = this.#of(leg, every)
    if (!wanted.delete(recording) || wanted.size > 0) return
    this.#wanted.delete(`${leg} ${every}`)
    await this.#node(node).stopBeep(leg, every)
  }

  #of(leg: string, every: number): Set<string> {
    const key = `${leg} ${every}`
    const wanted = this.#wanted.get(key) ?? new Set()
    this.#wanted.set(key, wanted)
    return wanted
  }
}

/** The recording that is beeped of. */
export interface Beepable {
  readonly ids: Facts
  state(): State
  beeped(what: Beeped): void
}

export class Beeping {
  readonly #ports: BeepPorts
  readonly #beeps: Beeps
  readonly #recorded: Pick<InFlight, '_id' | 'node' | 'leg' | 'side'>
  readonly #beep: Beep
  readonly #one: Beepable
  readonly #heard = new Map<string, Party>()
  #last: Promise<void> = Promise.resolve()

  constructor(ports: BeepPorts, beeps: Beeps, recorded: Pick<InFlight, '_id' | 'node' | 'leg' | 'side'>, beep: Beep, one: Beepable) {
    this.#ports = ports
    this.#beeps = beeps
    this.#recorded = recorded
    this.#beep = beep
    this.#one = one
  }

  /** Who is to hear it now hears it, and nobody else: after every change of the recording, and of who talks. */
  follow(): Promise<void> {
    this.#last = this.#last.then(() => this.#follow())
    return this.#last
  }

  async #follow(): Promise<void> {
    const { node: name, leg, side, _id } = this.#recorded
    const { log, clock } = this.#ports
    const state = this.#one.state()
    try {
      // A pause leaves the time out, and what is not kept is not announced.
      const on = state === 'recording' || state === 'masked'
      const there = on ? await partiesOf(this.#ports.node(name), leg, side) : []
      if (there === undefined) return
      const parties = there.filter(({ party }) => hears(this.#beep.to, party))
      for (const one of [...this.#heard.values()].filter(heard => !parties.some(party => party.leg === heard.leg))) {
        this.#heard.delete(one.leg)
        await this.#beeps.stop(_id, one, this.#beep.every).catch(unlessGone)
      }
      for (const one of parties.filter(party => !this.#heard.has(party.leg))) {
        this.#heard.set(one.leg, one)
        const at = new Date(clock.now()).toISOString()
        const reason = await this.#beeps.start(_id, one, this.#beep.every).then(() => undefined, reasonOf)
        if (reason !== undefined) log.error('recording_beep_failed', { ...this.#one.ids, heard_by: one.leg, reason })
        this.#one.beeped({ leg: one.leg, party: one.party, every: this.#beep.every, at, ...(reason === undefined ? {} : { reason }) })
      }
    } catch (error) {
      // The next change, or the next connection, tries again.
      log.warn('recording_beep_unknown', { ...this.#one.ids, reason: reasonOf(error) })
    }
  }
}

function unlessGone(error: unknown): void {
  if (!isCode(error, 'leg_gone') && !isCode(error, 'switch_refused')) throw error
}
