// Is the folder that a switch records into the one that is seen here? A file with a name nobody else has is made in it,
// and the switch is asked for that. Two folders of one path on two machines, or a mount that is gone, show so.

import { isCode } from '../errors.ts'
import type { SwitchNode } from '../switch/switch.ts'
import type { Spool } from './spool.ts'

/** `random`: hex of so many bytes. */
export function sightOf(spool: Spool, random: (bytes: number) => string): (node: SwitchNode) => Promise<boolean> {
  return async node => {
    const file = `${node.name}/seen-${random(8)}`
    try {
      await spool.mark(file)
    } catch (error) {
      // A disk that takes nothing refuses each recording by itself, and its calls are to go on.
      if (isCode(error, 'spool_unwritable')) return true
      throw error
    }
    try {
      return await node.hasFile(spool.onSwitch(file))
    } finally {
      await spool.remove(file)
    }
  }
}
