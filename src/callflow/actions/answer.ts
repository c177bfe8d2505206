// answer: takes the call, unless it is taken already.

import { type Action, execute } from '../call.ts'
import { next } from '../flow.ts'

export const answer: Action = async (_data, call) => {
  if (!call.leg.answered) await execute(call, 'answer')
  return next()
}
