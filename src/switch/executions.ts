// Applications that run on legs now, by the id we gave each: where CHANNEL_EXECUTE_COMPLETE finds whom to
// tell. It comes also when the leg hangs up below the application, and then the leg is what ended.

import { AppError } from '../errors.ts'
import { header, legOf } from './event.ts'
import type { EventHeaders } from './event.ts'
import type { ExecuteResult } from './switch.ts'

interface Execution {
  uuid: string
  app: string
  resolve: (result: ExecuteResult) => void
  reject: (error: unknown) => void
}

export interface Executions {
  add(id: string, execution: Execution): void
  remove(id: string): void
  completed(headers: EventHeaders): void
  /** The leg hung up: whatever waits for it has nothing to wait for. */
  legGone(uuid: string, cause: string): void
  lost(error: AppError): void
  size(): number
}

/** A leg that goes on in its dialplan is in CS_EXECUTE; every transfer and every bridge by others has changed its state by then. */
const CS_EXECUTE = 4
const CS_HANGUP = 10
/** Ways out of whatever a leg was busy with: a transfer, and a bridge by others (CS_ROUTING, CS_HIBERNATE, CS_RESET). */
const LEAVING: ReadonlySet<number> = new Set([2, 8, 9])

const stateOf = (headers: EventHeaders): number => Number(header(headers, 'Channel-State-Number') || CS_EXECUTE)

function taken(headers: EventHeaders): boolean {
  const state = stateOf(headers)
  return state !== CS_EXECUTE && state < CS_HANGUP
}

export function executions(node: string): Executions {
  const running = new Map<string, Execution>()
  const ofLeg = new Map<string, Set<string>>()

  function remove(id: string): Execution | undefined {
    const execution = running.get(id)
    if (execution === undefined) return undefined
    running.delete(id)
    const ids = ofLeg.get(execution.uuid)
    ids?.delete(id)
    if (ids?.size === 0) ofLeg.delete(execution.uuid)
    return execution
  }

  const gone = ({ uuid, app }: Execution, cause: string): AppError =>
    new AppError('leg_gone', `${node}: leg ${uuid} hung up (${cause || 'no cause'}) during ${app}`, { node, leg: uuid, cause })

  return {
    add(id, execution) {
      running.set(id, execution)
      const ids = ofLeg.get(execution.uuid)
      if (ids === undefined) ofLeg.set(execution.uuid, new Set([id]))
      else ids.add(id)
    },
    remove(id) {
      remove(id)
    },
    completed(headers) {
      const execution = remove(header(headers, 'Application-UUID'))
      if (execution === undefined) return
      const leg = legOf(node, headers)
      const hungUp = header(headers, 'Answer-State') === 'hangup' && execution.app !== 'hangup'
      if (hungUp || leg === undefined) execution.reject(gone(execution, header(headers, 'Hangup-Cause')))
      else execution.resolve({ response: header(headers, 'Application-Response'), leg, taken: taken(headers), cutOff: LEAVING.has(stateOf(headers)) })
    },
    legGone(uuid, cause) {
      for (const id of ofLeg.get(uuid) ?? []) {
        const execution = remove(id)
        execution?.reject(gone(execution, cause))
      }
    },
    lost(error) {
      for (const { reject } of running.values()) reject(error)
      running.clear()
      ofLeg.clear()
    },
    size: () => running.size,
  }
}
