// wait_for_hangup: keeps the call as it is until the caller hangs up. It ends itself when he does not: a
// caller that is answered and sends nothing is hung up by the switch (rtp_timeout).

import { type Action, untilGone } from '../call.ts'
import { next } from '../flow.ts'

export const wait_for_hangup: Action = async (_data, call) => {
  await untilGone(call)
  return next()
}
