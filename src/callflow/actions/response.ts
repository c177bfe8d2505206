// response: refuses the call with a SIP status, after a tone if one is named. On a call that was
// answered it is a hangup. `message` goes to the log: the switch words the status itself.

import type { Action } from '../call.ts'
import { causeOf } from '../causes.ts'
import { text } from '../documents.ts'
import { stop } from '../flow.ts'
import { playTo } from './play.ts'

const DEFAULT_CODE = 486

export const response: Action = async ({ code = DEFAULT_CODE, message, media }, call) => {
  const cause = causeOf(Number(code))
  if (cause === undefined) call.log.warn('response_code_unusable', { code, instead: DEFAULT_CODE })
  if (media !== undefined && media !== null) await playTo(call, media)
  call.log.info('call_refused_by_callflow', { code, message: text(message).slice(0, 200) })
  return stop(cause ?? causeOf(DEFAULT_CODE))
}
