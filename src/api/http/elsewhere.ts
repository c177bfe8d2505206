// What another engine has to do, because it drives the switch. Thrown once it is known who asks and that he may.

import { AppError } from '../../errors.ts'
import type { SwitchNode } from '../../switch/switch.ts'

const HINT = ': ask the engine that drives it (engines that have API_ADVERTISE are asked by the others)'

export class Elsewhere extends AppError {
  /** Where that engine is asked, as far as it says so. */
  readonly askAt: string | undefined

  constructor(what: string, node: SwitchNode) {
    const { state, reason = 'not ours', askAt } = node.status()
    const isReached = state === 'standby'
    // Why a switch is away names its address.
    const why = isReached ? `not this engine’s (${reason})${askAt === undefined ? HINT : ''}` : 'away'
    super('switch_down', `${what}, which is ${why}`, { node: node.name, ...(isReached ? { reason } : {}) })
    this.askAt = askAt
  }
}
