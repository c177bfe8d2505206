// Kazoo's published matrix (user guide "call recording", "which settings start a recording"): for each
// kind of call and each single flag, the origin of the recording it starts and on whose leg.

import type { Direction, Network } from '../../src/recording/settings.ts'

export interface Kind {
  from: Network
  to: Network
}

export interface Flag {
  /** `account`: `call_recording.account` of the account; `endpoint`: what holds for a phone. */
  of: 'account' | 'endpoint'
  direction: Direction
  network: Network
}

export interface Cell {
  kind: Kind
  flag: Flag
  /** Undefined: nothing is recorded. */
  recorded: { leg: 'caller' | 'callee'; origin: string } | undefined
}

export const KINDS: readonly Kind[] = [
  { from: 'onnet', to: 'onnet' },
  { from: 'onnet', to: 'offnet' },
  { from: 'offnet', to: 'onnet' },
]

const flag = (of: Flag['of'], direction: Direction, network: Network): Flag => ({ of, direction, network })

export const FLAGS: readonly Flag[] = [
  flag('account', 'inbound', 'onnet'),
  flag('account', 'inbound', 'offnet'),
  flag('account', 'outbound', 'onnet'),
  flag('account', 'outbound', 'offnet'),
  flag('endpoint', 'inbound', 'onnet'),
  flag('endpoint', 'inbound', 'offnet'),
  flag('endpoint', 'outbound', 'onnet'),
  flag('endpoint', 'outbound', 'offnet'),
]

/** One line for each kind, in the order of FLAGS; the legs as Kazoo has them when the flag stands on the phones' users. */
const ROWS = ['caller - caller - callee - caller -', 'caller - - caller - - - caller', '- caller caller - - callee - -']

const originOf = ({ of, direction, network }: Flag): string => `${direction} ${direction === 'inbound' ? 'from' : 'to'} ${network} ${OF[direction]} ${of}`
const OF = { inbound: 'to', outbound: 'from' }

export const MATRIX: readonly Cell[] = KINDS.flatMap((kind, row) =>
  FLAGS.map((flag, column): Cell => {
    const leg = ROWS[row]?.split(' ')[column]
    return { kind, flag, recorded: leg === 'caller' || leg === 'callee' ? { leg, origin: originOf(flag) } : undefined }
  }),
)

export const nameOf = ({ kind, flag }: Cell): string => `${kind.from}→${kind.to}, ${flag.of}.${flag.direction}.${flag.network}`
