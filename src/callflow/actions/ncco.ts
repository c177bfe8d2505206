// ncco: the call does what a Voice API application says, in the callflow itself or on the application's server. When
// there is nothing left to do the call goes on at `_`; where there was nothing that can be done, at `error`.

import type { Action } from '../call.ts'
import { text } from '../documents.ts'
import { next } from '../flow.ts'
import { voiceCall } from '../voice-call.ts'

const address = (url: unknown, method: unknown, otherwise: 'GET' | 'POST') =>
  text(url) === '' ? undefined : { url: text(url), method: method === 'GET' || method === 'POST' ? method : otherwise }

export const ncco: Action = async (data, call) => {
  const answer = address(data['answer_url'], data['answer_method'], 'GET')
  const fallback = address(data['fallback_answer_url'], data['fallback_method'], 'GET')
  const eventUrl = address(data['event_url'], data['event_method'], 'POST')
  const outcome = await call.ports.voice.run(voiceCall(call), {
    ...(data['ncco'] === undefined ? {} : { ncco: data['ncco'] }),
    ...(answer === undefined ? {} : { answer }),
    ...(fallback === undefined ? {} : { fallback }),
    ...(eventUrl === undefined ? {} : { eventUrl }),
  })
  return outcome === 'failed' ? next('error') : next()
}
