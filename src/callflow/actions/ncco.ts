// ncco: the call does what a Voice API application says, in the callflow itself or on the application's server. When
// there is nothing left to do the call goes on at `_`; where there was nothing that can be done, at `error`.

import { answerOf, type ApplicationDoc, eventOf, fallbackOf, readApplication, signerOf } from '../../voice/application.ts'
import type { Address } from '../../voice/ask.ts'
import type { Application } from '../../voice/voice.ts'
import type { Action, Call } from '../call.ts'
import { text } from '../documents.ts'
import { type Fields, next } from '../flow.ts'
import { voiceCall } from '../voice-call.ts'

export const ncco: Action = async (data, call) => {
  const id = text(data['application_id'])
  const document = id === '' ? undefined : await readApplication(call.ports.store, call.accountId, id)
  if (id !== '' && document === undefined) {
    call.log.error('application_not_found', { application_id: id.slice(0, 100) })
    return next('error')
  }
  const asCall = voiceCall(call)
  // The application finds the call by its name on the leg; a placed call that a phone sends on is another call.
  if (document !== undefined) await call.node.setVariables(call.leg.uuid, { callrec_application_id: document._id, callrec_voice_call: null })
  const { place } = call
  call.place = undefined
  const outcome = await call.ports.voice.run(asCall, applicationOf(data, document, call), call.at, place)
  return outcome === 'failed' ? next('error') : next()
}

const address = (url: unknown, method: unknown, otherwise: 'GET' | 'POST'): Address | undefined =>
  text(url) === '' ? undefined : { url: text(url), method: method === 'GET' || method === 'POST' ? method : otherwise }

/** What the action says comes before what the application's document says. */
function applicationOf(data: Fields, document: ApplicationDoc | undefined, { ports }: Call): Application {
  const { ncco: actions } = data
  const sign = signerOf(
    document,
    () => ports.wall.now(),
    bytes => ports.random(bytes),
  )
  const signed = (to: Address | undefined): Address | undefined => (to === undefined || sign === undefined ? to : { ...to, sign })
  const ofDocument = document !== undefined && actions === undefined && text(data['answer_url']) === ''
  const answer = signed(address(data['answer_url'], data['answer_method'], 'GET') ?? (ofDocument ? answerOf(document) : undefined))
  const fallback = signed(address(data['fallback_answer_url'], data['fallback_method'], 'GET') ?? (ofDocument ? fallbackOf(document) : undefined))
  const eventUrl = signed(address(data['event_url'], data['event_method'], 'POST') ?? (document === undefined ? undefined : eventOf(document)))
  return {
    ...(actions === undefined ? {} : { ncco: actions }),
    ...(answer === undefined ? {} : { answer }),
    ...(fallback === undefined ? {} : { fallback }),
    ...(eventUrl === undefined ? {} : { eventUrl }),
    ...(document === undefined ? {} : { applicationId: document._id }),
    ...(sign === undefined ? {} : { sign }),
  }
}
