// Who drives a switch. The fence lies on the switch itself, in mod_hash: `owner` names one process, which
// rewrites `beat` while it lives, and says in it where others ask it. Only this process's monotonic clock is
// believed, never another's.

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
  /** Where other engines reach this one's API; undefined: they do not. */
  api?: string | undefined
}

const OWNER = 'owner'
const HEARTBEAT = 'beat'

export class Lease {
  readonly #ports: LeasePorts
  readonly #me: string
  /** Behind the count of a beat. */
  readonly #address: string
  #standing: Standing = 'unknown'
  #owner = ''
  #askAt: string | undefined
  /** When the question was sent whose answer named us. */
  #confirmed = Number.NEGATIVE_INFINITY
  #seen: { beat: string; at: number } | undefined
  #beats = 0
  #looking: Promise<Standing> | undefined

  constructor(ports: LeasePorts) {
    this.#ports = ports
    this.#me = `${ports.engine}:${ports.epoch}`
    this.#address = ports.api === undefined ? '' : `:${Buffer.from(ports.api).toString('base64url')}`
  }

  get standing(): Standing {
    return this.#standing
  }

  /** Whose it is, as `{engine}:{epoch}`. */
  get owner(): string {
    return this.#owner
  }

  /** Where another one is asked that has it, as far as it says so. */
  get askAt(): string | undefined {
    return this.#askAt
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

  /** Asks whose it is and takes it from nobody: for who cannot drive it. Rejects when the switch cannot be asked. */
  async peek(): Promise<void> {
    const { table } = this.#ports
    const owner = (await table.read(OWNER)) ?? ''
    this.#isOf(owner, owner === '' ? '' : await this.#beat())
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
      const beat = await this.#beat()
      if (!this.#isDead(owner, beat, asked)) return this.#theirs(owner, beat)
      // Somebody else may be as quick, or it beat after all: what `add` says counts.
      await table.remove(OWNER, owner)
    }
    if (await table.add(OWNER, this.#me)) return this.#ours(asked)
    return this.#theirs((await table.read(OWNER)) ?? '', await this.#beat())
  }

  async #ours(asked: number): Promise<Standing> {
    this.#beats += 1
    await this.#ports.table.write(HEARTBEAT, `${this.#me}:${this.#beats}${this.#address}`)
    this.#confirmed = asked
    this.#seen = undefined
    this.#owner = this.#me
    this.#askAt = undefined
    this.#standing = 'ours'
    return 'ours'
  }

  #theirs(owner: string, beat: string): Standing {
    this.#isOf(owner, beat)
    this.#standing = 'theirs'
    return 'theirs'
  }

  #isOf(owner: string, beat: string): void {
    this.#owner = owner
    this.#askAt = addressIn(owner, beat)
  }

  /** The last of whoever has it, or had it before. */
  async #beat(): Promise<string> {
    return (await this.#ports.table.read(HEARTBEAT)) ?? ''
  }

  #isDead(owner: string, beat: string, asked: number): boolean {
    const { clock, engine } = this.#ports
    // Our own installation is locked to one process, so that one is gone.
    if (owner.slice(0, owner.indexOf(':')) === engine) return true
    const sign = `${owner} ${beat}`
    if (this.#seen?.beat === sign) return asked - this.#seen.at >= TAKEOVER
    this.#seen = { beat: sign, at: clock.elapsed() }
    return false
  }
}

/** `{owner}:{count}:{URL in base64url}`: a slash would part the arguments of mod_hash. */
function addressIn(owner: string, beat: string): string | undefined {
  if (owner === '' || !beat.startsWith(`${owner}:`)) return undefined
  const [, code = ''] = beat.slice(owner.length + 1).split(':')
  const url = URL.parse(Buffer.from(code, 'base64url').toString())
  return url !== null && /^https?:$/.test(url.protocol) ? url.origin : undefined
}
