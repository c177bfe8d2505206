// The blocking `record` (a voicemail's message). CHANNEL_EXECUTE_COMPLETE says that it is over; why, and how long it
// became, is in the RECORD_STOP of its path just before (switch_ivr_play_say.c, switch_ivr_record_file_event).

import type { Clock } from '../clock.ts'
import { AppError, isCode } from '../errors.ts'
import { recordArgument } from './commands.ts'
import type { Leg, Message, MessageOptions, SwitchEvent, SwitchNode } from './switch.ts'
import { refuse } from './words.ts'

export interface Messages {
  record: SwitchNode['recordMessage']
  /** Passed every event: what is no recording of a message is left alone. */
  told(event: SwitchEvent): void
}

interface Waiting {
  started: () => void
  /** The leg at RECORD_STOP. */
  stopped: Leg | undefined
}

/** The switch's own limit counts whole seconds and may take one more: it stands behind ours. */
const BEHIND_OURS = 1

export function messages(name: string, clock: Clock, switches: () => Pick<SwitchNode, 'execute' | 'setVariables'>): Messages {
  const waiting = new Map<string, Waiting>()
  const keyOf = (uuid: string, path: string): string => `${uuid} ${path}`

  async function record(uuid: string, path: string, options: MessageOptions): Promise<Message> {
    const { limit, silence, terminators, signal } = options
    if (!(limit >= 0)) refuse('limit', 'not a number of seconds')
    const argument = recordArgument(path, { limit: limit === 0 ? 0 : Math.ceil(limit) + BEHIND_OURS, ...(silence === undefined ? {} : { silence }) })
    signal?.throwIfAborted()
    const key = keyOf(uuid, path)
    if (waiting.has(key)) throw new AppError('wrong_state', `${name}: leg ${uuid} is being recorded to ${path}`, { node: name, leg: uuid, path })
    const over = new AbortController()
    let stopTimer = (): void => {}
    const message: Waiting = {
      started() {
        if (limit > 0) stopTimer = clock.after(limit * 1000, () => over.abort())
      },
      stopped: undefined,
    }
    waiting.set(key, message)
    const { execute, setVariables } = switches()
    let hungUp = false
    try {
      await setVariables(uuid, { playback_terminators: terminators === '' ? 'none' : terminators })
      await execute(uuid, 'record', argument, { signal: signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]) })
    } catch (error) {
      // The caller's end is an end like any other, once there is a file.
      if (!isCode(error, 'leg_gone') || message.stopped === undefined) throw error
      hungUp = true
    } finally {
      stopTimer()
      waiting.delete(key)
    }
    // Left behind, they would stop the next thing that is played.
    if (!hungUp) await setVariables(uuid, { playback_terminators: null }).catch(ignoreGone)
    if (message.stopped === undefined)
      throw new AppError('switch_refused', `${name}: nothing was recorded to ${path} on leg ${uuid}`, { node: name, leg: uuid, path })
    return endOf(message.stopped, { hungUp, limit, overdue: over.signal.aborted })
  }

  return {
    record,
    told(event) {
      if (event.name !== 'RECORD_START' && event.name !== 'RECORD_STOP') return
      const message = waiting.get(keyOf(event.leg.uuid, event.path))
      if (message === undefined) return
      if (event.name === 'RECORD_START') message.started()
      else message.stopped = event.leg
    },
  }
}

function ignoreGone(error: unknown): void {
  if (!isCode(error, 'leg_gone')) throw error
}

function endOf({ variables }: Leg, { hungUp, limit, overdue }: { hungUp: boolean; limit: number; overdue: boolean }): Message {
  const durationMs = Number(variables['record_ms']) || 0
  const key = variables['playback_terminator_used'] ?? ''
  if (key !== '') return { ended: 'key', key, durationMs }
  if (variables['silence_hits_exhausted'] === 'true') return { ended: 'silence', durationMs }
  if (hungUp) return { ended: 'hangup', durationMs }
  return { ended: overdue || (limit > 0 && durationMs >= limit * 1000) ? 'limit' : 'interrupted', durationMs }
}
