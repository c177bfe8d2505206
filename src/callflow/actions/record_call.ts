// record_call: starts or stops recording the caller's leg and goes on at once. Anything but `stop` starts, as in Kazoo.

import { reasonOf } from '../../errors.ts'
import { decideAction } from '../../recording/policy.ts'
import { type Action, callerDocuments } from '../call.ts'
import { next } from '../flow.ts'
import { labelOf, recordCaller } from '../recording.ts'

export const record_call: Action = async (data, call) => {
  if (data['action'] === 'stop') {
    try {
      const stopped = await call.ports.recorder.stopLatest(call.leg.uuid)
      if (stopped === undefined) call.log.info('recording_not_stopped', { why: 'no action started one on this call that still runs' })
    } catch (error) {
      call.log.error('recording_not_stopped', { why: reasonOf(error) })
    }
    return next()
  }
  const label = labelOf(call, data)
  await recordCaller(call, decideAction(callerDocuments(call), call.way, data, label), label)
  return next()
}
