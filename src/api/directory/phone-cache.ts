// What switches keep of the directory. They keep an entry for good, so that a stopped engine costs no
// phone its registration; so whoever changes a phone makes them forget it, and whatever was changed while
// a switch was out of reach is forgotten when it is back.

import type { Clock } from '../../clock.ts'
import { reasonOf } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { Phone, SwitchNode, Switches } from '../../switch/switch.ts'
import type { PhoneCache } from '../http/ports.ts'

/** Milliseconds. A switch may have asked before the change and keep the answer after it was told to forget: longer than its patience (xml_curl.conf, timeout). */
const AGAIN = 5000

interface Ports {
  switches: Switches
  /** The wall's. */
  clock: Clock
  log: Log
}

export function startPhoneCache({ switches, clock, log }: Ports): PhoneCache & { close(): Promise<void> } {
  const again = new Map<string, () => void>()

  const flush = (node: SwitchNode, phone?: Phone): Promise<void> =>
    node.forgetPhones(phone).catch((error: unknown) => {
      log.warn('phones_not_forgotten', { node: node.name, reason: reasonOf(error), todo: 'say xml_flush_cache to that switch' })
    })

  const everywhere = async (phone?: Phone): Promise<void> => {
    await Promise.all(switches.nodes.filter(node => node.status().state === 'up').map(node => flush(node, phone)))
  }

  const unsubscribe = switches.on(event => {
    if (event.name === 'node_up') void flush(switches.node(event.node))
  })
  void everywhere()

  return {
    async forget(phone) {
      await everywhere(phone)
      const key = phone === undefined ? '' : `${phone.name}@${phone.realm}`
      again.get(key)?.()
      again.set(
        key,
        clock.after(AGAIN, () => {
          again.delete(key)
          void everywhere(phone)
        }),
      )
    },
    async close() {
      unsubscribe()
      for (const cancel of again.values()) cancel()
    },
  }
}
