// play: the caller hears a tone or silence; the call is answered first unless `answer` is false.

import { type Action, type Call, execute } from '../call.ts'
import { next } from '../flow.ts'
import { playable } from '../../switch/media.ts'

export const play: Action = async ({ id, answer }, call) => {
  if (answer !== false && !call.leg.answered && playable(String(id)) !== undefined) await execute(call, 'answer')
  await playTo(call, id)
  return next()
}

/** What cannot be played is left out, with a line in the log. */
export async function playTo(call: Call, id: unknown): Promise<void> {
  const source = typeof id === 'string' ? playable(id) : undefined
  if (source === undefined) {
    call.log.warn('media_refused', { media: String(id).slice(0, 200), why: 'not tone_stream://%(ms,ms,hz[,hz]) nor silence_stream://ms' })
    return
  }
  const response = await execute(call, 'playback', source)
  if (response.startsWith('FILE NOT FOUND') || response.startsWith('PLAYBACK ERROR')) call.log.warn('media_not_played', { media: source, response })
}
