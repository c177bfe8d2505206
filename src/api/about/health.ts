// For whoever watches the process, without a token: /healthz says that it serves, /readyz whether it
// can do its work (which takes the store and a switch), /metrics in figures how it does. Anybody may
// ask, so states are told; reasons name addresses, and are told only to who brings the master's API key.

import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { within } from '../../clock.ts'
import { reasonOf } from '../../errors.ts'
import { tokenOf } from '../rights/auth.ts'
import type { ApiPorts } from '../http/ports.ts'

export interface Report {
  status: number
  body: object | string
  type?: string
}

type Ports = Pick<ApiPorts, 'store' | 'switches' | 'clock' | 'metrics' | 'standing'>

export const WATCHED = ['/healthz', '/readyz', '/metrics'] as const
export type Watched = (typeof WATCHED)[number]

export async function report(ports: Ports, path: Watched, headers: IncomingHttpHeaders): Promise<Report> {
  switch (path) {
    case '/healthz':
      return { status: 200, body: { status: 'ok' } }
    case '/readyz': {
      const found = await readiness(ports)
      return { status: found.ready ? 200 : 503, body: isOperator(ports, headers) ? found : withoutReasons(found) }
    }
    case '/metrics': {
      const { type, body } = await ports.metrics.text()
      return { status: 200, body, type }
    }
  }
}

interface Ready {
  ready: boolean
  store: { kind: string; up: boolean; reason?: string }
  switches: { name: string; state: string; reason?: string }[]
}

/** Milliseconds: a probe gives up soon, and a store that takes longer is not ready. */
const PATIENCE = 3_000

async function readiness({ store, switches, clock, standing }: Ports): Promise<Ready> {
  const away = await within(clock, PATIENCE, store.ping()).then(() => undefined, reasonOf)
  const unprepared = standing().prepared ? undefined : 'its databases are not there yet; the engine goes on trying'
  const reason = away ?? unprepared
  const nodes = switches.nodes.map(node => {
    const { name, state, reason } = node.status()
    return { name, state, ...(reason === undefined ? {} : { reason }) }
  })
  const up = reason === undefined
  return { ready: up && nodes.some(({ state }) => state === 'up'), store: { kind: store.kind, up, ...(up ? {} : { reason }) }, switches: nodes }
}

const withoutReasons = ({ ready, store, switches }: Ready): Ready => ({
  ready,
  store: { kind: store.kind, up: store.up },
  switches: switches.map(({ name, state }) => ({ name, state })),
})

/** Known without the store, which may be what is asked about. */
function isOperator({ standing }: Ports, headers: IncomingHttpHeaders): boolean {
  const { operatorKey } = standing()
  const given = tokenOf(headers, new URLSearchParams())
  if (operatorKey === undefined || given === undefined) return false
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(operatorKey))
}
