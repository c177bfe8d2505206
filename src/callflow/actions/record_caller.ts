// record_caller: the caller speaks and is recorded, as into a voicemail, and the flow waits: until he presses a key, is
// silent, has spoken long enough or hangs up. record_call overhears the call instead, and waits for nothing.

import { decideMessage } from '../../recording/policy.ts'
import { type Action, callerDocuments } from '../call.ts'
import { next } from '../flow.ts'
import { labelOf, recordSpoken } from '../recording.ts'
import { answer } from './answer.ts'

const KEYS = '0123456789*#'
/** Kazoo's (ecallmgr_util, record): mean level of the samples, and seconds below it. */
const THRESHOLD = 500
const SILENCE_SECONDS = 5
const MOST_SECONDS = 3600

export const record_caller: Action = async (data, call) => {
  await answer({}, call)
  const label = labelOf(call, data)
  const seconds = whole(data['silence_seconds'], MOST_SECONDS, SILENCE_SECONDS)
  const spoken = await recordSpoken(call, decideMessage(callerDocuments(call), call.way, data, label), label, {
    terminators: keysIn(data['terminators']),
    ...(seconds === 0 ? {} : { silence: { threshold: whole(data['silence_threshold'], 32_767, THRESHOLD), seconds } }),
  })
  const message = spoken?.message
  if (message !== undefined)
    call.log.info('message_recorded', { recording_id: spoken?.id, ended: message.ended, key: message.key, duration_ms: message.durationMs })
  return next()
}

const whole = (value: unknown, most: number, otherwise: number): number => {
  const number = Math.trunc(Number(value ?? otherwise))
  return Number.isFinite(number) && number >= 0 ? Math.min(number, most) : otherwise
}

const keysIn = (wanted: unknown): string =>
  Array.isArray(wanted)
    ? KEYS.split('')
        .filter(key => wanted.includes(key))
        .join('')
    : KEYS
