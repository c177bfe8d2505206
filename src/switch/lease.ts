// Who drives a switch. The fence lies on the switch itself, in mod_hash: `owner` names one process, which
// rewrites `beat` while it lives. Only this process's monotonic clock is believed, never another's.

import type { Clock } from '../clock.ts'
import { AppError } from '../errors.ts'
import type { Table } from './switch.ts'

// Milliseconds of the wall.
/** Between two beats of an owner. */
export const BEAT = 3_000
/** Between two looks of one who waits. */
export const LOOK = 1_000
/** A beat unchanged for so long is that of a process which is gone, or stands still. */
export const TAKEOVER = 10_000
/** After so long without a look an owner may have lost the switch, and asks before it does anything: well below TAKEOVER. */
export const TRUSTED = 6_000

export type Standing = 'ours' | 'theirs' | 'unknown'

export interface LeasePorts {
  table: Table
  clock: Clock
  /** This installation, of which only one process lives at a time; and this process of it. Both `[A-Za-z0-9._-]+`. */
  engine: string
  epoch: string
}

const OWNER = 'owner'
const HEARTBEAT = 'beat'

export class Lease {
  readonly #ports: LeasePorts
  readonly #me: string
  #standing: Standing = 'unknown'
  #owner = ''
  /** When the question was sent whose answer named us. */
  #confirmed = Number.NEGATIVE_INFINITY
  #seen: { beat: string; at: number } | undefined
  #beats = 0
  #looking: Promise<Standing> | undefined

  constructor(ports: LeasePorts) {
    this.#ports = ports
    this.#me = `${ports.engine}:${ports.epoch}`
  }

  get standing(): Standing {
    return this.#standing
  }

  /** Whose it is, as `{engine}:{epoch}`. */
  get owner(): string {
    return this.#owner
  }

  /** May a command leave without asking? */
  get trusted(): boolean {
    return this.#standing === 'ours' && this.#ports.clock.elapsed() - this.#confirmed < TRUSTED
  }

  /** Asks the switch, claims it where nobody lives who has it, and says with a beat that we do. Rejects when it cannot be asked. */
  look(): Promise<Standing> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  /** Throws `switch_down` when it is another's. */
  async assertOurs(): Promise<void> {
    if (this.trusted) return
    if ((await this.look()) !== 'ours') throw new AppError('switch_down', `another engine drives this switch: ${this.#owner}`, { owner: this.#owner })
  }

  /** For others to take at once. */
  async release(): Promise<void> {
    if (this.#standing === 'ours') await this.#ports.table.remove(OWNER, this.#me)
    this.#standing = 'unknown'
  }

  async #look(): Promise<Standing> {
    const { table, clock } = this.#ports
    const asked = clock.elapsed()
    const owner = await table.read(OWNER)
    if (owner === this.#me) return this.#ours(asked)
    if (owner !== undefined) {
      if (!(await this.#isDead(owner, asked))) return this.#theirs(owner)
      // Somebody else may be as quick, or it beat after all: what `add` says counts.
      await table.remove(OWNER, owner)
    }
    return (await table.add(OWNER, this.#me)) ? this.#ours(asked) : this.#theirs((await table.read(OWNER)) ?? '')
  }

  async #ours(asked: number): Promise<Standing> {
    this.#beats += 1
    await this.#ports.table.write(HEARTBEAT, `${this.#me}:${this.#beats}`)
    this.#confirmed = asked
    this.#seen = undefined
    this.#owner = this.#me
    this.#standing = 'ours'
    return 'ours'
  }

  #theirs(owner: string): Standing {
    this.#owner = owner
    this.#standing = 'theirs'
    return 'theirs'
  }

  async #isDead(owner: string, asked: number): Promise<boolean> {
    const { table, clock, engine } = this.#ports
    // Our own installation is locked to one process, so that one is gone.
    if (owner.slice(0, owner.indexOf(':')) === engine) return true
    const beat = `${owner} ${(await table.read(HEARTBEAT)) ?? ''}`
    if (this.#seen?.beat === beat) return asked - this.#seen.at >= TAKEOVER
    this.#seen = { beat, at: clock.elapsed() }
    return false
  }
}
