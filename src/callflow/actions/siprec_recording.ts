// siprec_recording: sends the call to recording servers, beside whatever else records it, or ends, pauses or resumes that; then goes on
// at once. Only a required recording is waited for: without a server that takes it the call ends.

import { reasonOf } from '../../errors.ts'
import type { Action, Call } from '../call.ts'
import { text } from '../documents.ts'
import { type Fields, next } from '../flow.ts'
import { labelOf } from '../recording.ts'
import { recordByServers } from '../siprec.ts'

export const siprec_recording: Action = async (data, call) => {
  const activity = text(data['activity'])
  const { recorder, siprec } = call.ports
  const { uuid } = call.leg
  try {
    if (activity === 'start') await start(data, call)
    else if (activity === 'stop') await siprec.stop(uuid)
    else if (activity === 'pause' || activity === 'resume') {
      // What a caller is not to be heard with is in no file either.
      const leg = await call.node.leg(uuid)
      if (leg !== undefined) await recorder.cover({ accountId: call.accountId, leg, what: activity, by: `callflow : ${labelOf(call, data)}` })
    }
  } catch (error) {
    call.log.error('siprec_refused', { activity, reason: reasonOf(error) })
  }
  return next()
}

async function start(data: Fields, call: Call): Promise<void> {
  const started = await recordByServers(call, data, 'callflow')
  if (started.state === 'failed') call.log.error('siprec_refused', { activity: 'start', recording_id: started.id, reason: started.reason })
  if (data['required'] === true) await started.begun
}
