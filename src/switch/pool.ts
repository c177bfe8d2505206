// All switches of this engine. It returns at once and connects in the background: a switch that is down,
// slow or has another password is a state of that switch and never in the way of the others.

import { systemClock } from '../clock.ts'
import type { Clock } from '../clock.ts'
import { AppError, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Backoff } from './backoff.ts'
import { password } from './commands.ts'
import { LIMITS } from './connection.ts'
import type { Limits } from './connection.ts'
import { switchNode } from './node.ts'
import type { Address } from './node.ts'
import type { SwitchEvent, Switches } from './switch.ts'

export interface SwitchOptions {
  nodes: readonly Address[]
  /** Call time. */
  clock: Clock
  log: Log
  /** Time of sockets and replies, which no simulator speeds up. */
  wall?: Clock
  random?: () => number
  limits?: Partial<Limits>
  retry?: Backoff
}

export function connectSwitches({ nodes: addresses, clock, log, wall = systemClock(), random = Math.random, limits, retry }: SwitchOptions): Switches {
  for (const { name, port, password: secret } of addresses) {
    password(secret)
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new AppError('bad_configuration', `switch ${name}: ${port} is no port`, { node: name })
    if (addresses.filter(other => other.name === name).length > 1) {
      throw new AppError('bad_configuration', `two switches are named ${name}`, { node: name })
    }
  }

  const listeners = new Set<(event: SwitchEvent) => void>()
  function emit(event: SwitchEvent): void {
    for (const listener of listeners) {
      try {
        listener(event)
      } catch (error) {
        log.error('switch_listener_failed', { event: event.name, node: 'leg' in event ? event.leg.node : event.node, reason: reasonOf(error) })
      }
    }
  }

  const all = addresses.map(address =>
    switchNode({ address, clock, wall, log, random, limits: { ...LIMITS, ...limits }, ...(retry === undefined ? {} : { retry }), emit }),
  )
  const byName = new Map(all.map(({ node }) => [node.name, node]))

  return {
    nodes: all.map(({ node }) => node),
    node(name) {
      const node = byName.get(name)
      if (node === undefined) throw new AppError('switch_down', `there is no switch named ${name}`, { node: name })
      return node
    },
    on(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async close() {
      await Promise.all(all.map(({ close }) => close()))
      listeners.clear()
    },
  }
}

/** Resolves when a switch (the one named, else any) is up; `switch_down` with its reason after `timeoutMs`. */
export function whenUp(switches: Switches, timeoutMs: number, name?: string, clock: Clock = systemClock()): Promise<void> {
  const nodes = name === undefined ? switches.nodes : [switches.node(name)]
  if (nodes.some(node => node.status().state === 'up')) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const off = switches.on(event => {
      if (event.name !== 'node_up' || (name !== undefined && event.node !== name)) return
      off()
      stop()
      resolve()
    })
    const stop = clock.after(timeoutMs, () => {
      off()
      const why = nodes.map(node => `${node.name} (${node.status().address}): ${node.status().reason ?? node.status().state}`).join('; ')
      reject(new AppError('switch_down', `no switch within ${timeoutMs} ms: ${why}`, { nodes: nodes.map(node => node.name) }))
    })
  })
}
