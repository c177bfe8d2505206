// The file of one recording on its switch: what the switch is asked to do with it, and what it and
// the disk say of it. Nothing here knows the state a recording is in.

import { AppError } from '../errors.ts'
import type { SwitchNode } from '../switch/switch.ts'
import { hides } from './covers.ts'
import type { InFlight } from './document.ts'
import type { Cover } from './lifecycle.ts'
import type { Spool } from './spool.ts'
import { announceOf } from './telling.ts'

export interface Limit {
  seconds: number
  /** Nobody set it: only the length of a file has one, and the recording goes on in a next part. */
  goesOn: boolean
}

/** Seconds. */
const MESSAGE_GRACE = 10

/** `maxTimeLimit` is in seconds. */
export function limitOf(
  { settings: { time_limit }, message, earlier_ms = 0 }: Pick<InFlight, 'settings' | 'message' | 'earlier_ms'>,
  maxTimeLimit: number,
): Limit {
  const seconds = time_limit === undefined ? maxTimeLimit : Math.max(0, Math.min(time_limit.value - earlier_ms / 1000, maxTimeLimit))
  // A message ends itself in time; this is for one that does not.
  return message ? { seconds: seconds + MESSAGE_GRACE, goesOn: false } : { seconds, goesOn: time_limit === undefined }
}

/** Seconds below which it is discarded. */
export const leastOf = ({ settings, earlier_ms = 0, goes_on }: Pick<InFlight, 'settings' | 'earlier_ms' | 'goes_on'>): number =>
  goes_on === true ? 0 : Math.max(0, (settings.record_min_sec?.value ?? 0) - earlier_ms / 1000)

/** What of a recording never changes. */
export interface Label extends Pick<InFlight, '_id' | 'account_id' | 'node' | 'leg' | 'side' | 'file' | 'settings' | 'message' | 'channels' | 'earlier_ms'> {
  /** Of another party than the one whose leg is recorded. */
  track?: true
}

export interface TapePorts {
  spool: Spool
  node: (name: string) => SwitchNode
}

/** Bytes of a WAV header with no audio behind it. */
export const EMPTY_FILE = 44

export class Tape {
  readonly #ports: TapePorts
  readonly #label: Label
  readonly #limit: Limit

  constructor(ports: TapePorts, label: Label, limit: Limit) {
    this.#ports = ports
    this.#label = label
    this.#limit = limit
  }

  /** As the switch sees it. */
  get path(): string {
    return this.#ports.spool.onSwitch(this.#label.file)
  }

  /** Throws what the spool and the switch throw. A message is begun by whoever waits for its end. */
  async start(): Promise<void> {
    const { _id, account_id, leg, side, file, settings, message, channels, track } = this.#label
    const stereo = settings.stereo?.value === true
    // One that may have to give way to its next part is judged when it is known why it ended.
    const minimum = announceOf({ settings })?.keep === false ? 0 : Math.floor(leastOf(this.#label))
    const rate = settings.record_sample_rate?.value
    await this.#ports.spool.check(account_id)
    await this.#ports.spool.makeReady(file)
    if (message) return
    await this.#node.record(leg, this.path, {
      // FreeSWITCH's own limit counts whole seconds of the clock and is up to one short; ours is the exact one. A recording that goes
      // on in a next part has none there, so that nothing is cut while nobody is here to begin that part.
      limit: this.#limit.goesOn ? 0 : Math.ceil(this.#limit.seconds) + 1,
      variables: {
        // What is told of a track is not told of its recording.
        ...(track === true ? {} : { rec_id: _id }),
        ...(channels === undefined ? {} : { RECORD_READ_ONLY: 'true' }),
        RECORD_STEREO: String(stereo),
        ...(stereo && side === 'callee' ? { RECORD_STEREO_SWAP: 'true' } : {}),
        ...(minimum > 0 ? { RECORD_MIN_SEC: String(minimum) } : {}),
        ...(rate === undefined ? {} : { record_sample_rate: String(rate) }),
      },
    })
  }

  stop(): Promise<void> {
    const { leg, message } = this.#label
    return message ? this.#node.interrupt(leg) : this.#node.stopRecording(leg, this.path)
  }

  /**
   * After a transfer the leg that was recorded answers +OK to a mask and does nothing (reference: seen on 1.11), so what hides something
   * is done only when the leg shows the recording. Asked together, all answers are there after one round, and in this order. Answers when
   * it is hidden for certain, or was to the last: unix milliseconds by the switch's clock, which the audio runs by.
   */
  async cover(what: Cover): Promise<number> {
    if (this.#label.message) throw new AppError('switch_refused', `${this.#label.node}: a message on leg ${this.#label.leg} cannot be covered`)
    const node = this.#node
    const ask = (): Promise<void> => node[what](this.#label.leg, this.path)
    if (!hides(what)) return (await Promise.all([node.clock(), ask()]))[0]
    const [, shown, at] = await Promise.all([ask(), this.runs(), node.clock()])
    if (!shown) throw new AppError('switch_refused', `${this.#label.node}: +OK to ${what}, but leg ${this.#label.leg} has no such recording`)
    return at
  }

  /** Unix milliseconds by the switch's clock. */
  now(): Promise<number> {
    return this.#node.clock()
  }

  /** Does the switch write it now? */
  async runs(): Promise<boolean> {
    const { leg, message } = this.#label
    // The blocking `record` is no media bug that uuid_buglist would show.
    if (message) return (await this.#node.leg(leg))?.variables['current_application'] === 'record'
    return (await this.#node.recordings(leg)).includes(this.path)
  }

  /** The switch makes the file when it begins, whether or not a byte of audio is on the disk yet. */
  async hasBegun(): Promise<boolean> {
    return (await this.#ports.spool.size(this.#label.file)) !== undefined
  }

  /** Bytes; 0 where there is no file. */
  async size(): Promise<number> {
    return (await this.#ports.spool.size(this.#label.file)) ?? 0
  }

  /** Throws `spool_unwritable` where the disk is full. */
  room(): Promise<void> {
    return this.#ports.spool.check()
  }

  get #node(): SwitchNode {
    return this.#ports.node(this.#label.node)
  }
}
