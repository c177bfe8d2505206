// What a caller says alone, until he presses a key, falls silent, has said enough or hangs up: the blocking `record` of
// FreeSWITCH, with documents and a delivery like any other recording.

import { AppError, type ErrorCode } from '../errors.ts'
import type { Message, MessageOptions } from '../switch/switch.ts'
import type { Roster } from './roster.ts'
import { entered, type Started, standing, type StartingPorts, type StartRequest } from './starting.ts'

export interface MessageRequest extends Omit<StartRequest, 'groupId'> {
  /** What ends it beside the time limit of the settings. */
  until: Pick<MessageOptions, 'silence' | 'terminators'>
}

/** Then the leg is gone, or it is not known what goes on there. */
const NOT_A_REFUSAL: readonly ErrorCode[] = ['leg_gone', 'leg_taken', 'switch_down', 'switch_timeout']

/** `message` where something was recorded. */
export interface Spoken extends Started {
  message?: Message
}

/** Resolves when it is over, its file finished; a refusal is a state with its reason. Throws where there is no call left, or no switch. */
export async function recordMessage(ports: StartingPorts & { maxTimeLimit: number }, roster: Roster, { until, ...request }: MessageRequest): Promise<Spoken> {
  const { leg, settings } = request
  const one = await entered(ports, roster, { ...request, message: true })
  if (!('ask' in one)) return one
  await one.begin()
  await one.due
  // The spool is full or cannot be written, its caller was not told, or did not want it.
  if (one.state !== 'starting') return standing(one, false)
  const limit = Math.min(settings.time_limit?.value ?? ports.maxTimeLimit, ports.maxTimeLimit)
  try {
    const message = await ports.switches.node(leg.node).recordMessage(leg.uuid, one.path, { ...until, limit })
    // It was told already, or was lost; what is said twice changes nothing.
    await one.tell('RECORD_STOP', { at: ports.clock.now() })
    return { ...standing(one, false), message }
  } catch (error) {
    if (!(error instanceof AppError) || NOT_A_REFUSAL.includes(error.code)) throw error
    await one.tell('start_refused', { reason: error.code })
    return standing(one, false)
  }
}
