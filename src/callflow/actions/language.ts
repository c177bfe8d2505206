// language: what is said to the caller from here on is in this language, where there is a choice; also
// `{{call.language}}`.

import type { Action } from '../call.ts'
import { next } from '../flow.ts'

/** The switch takes `de`, `de-at` and `de_AT`. */
const LANGUAGE = /^[a-z]{2}([-_][A-Za-z]{2})?$/

export const language: Action = async ({ language: wanted }, call) => {
  if (typeof wanted !== 'string' || !LANGUAGE.test(wanted)) {
    call.log.warn('language_unusable', { language: String(wanted).slice(0, 100), why: 'not of the form de or de-at' })
    return next()
  }
  call.language = wanted
  await call.node.setVariables(call.leg.uuid, { default_language: wanted })
  return next()
}
