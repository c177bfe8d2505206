// dead_air: answers and lets the caller hear silence until he hangs up. Silence is played, so that
// media flows both ways: a phone that hears no packets at all would give up.

import { type Action, execute } from '../call.ts'
import { next } from '../flow.ts'
import { answer } from './answer.ts'

export const dead_air: Action = async (data, call) => {
  await answer(data, call)
  await execute(call, 'playback', 'silence_stream://-1')
  return next()
}
