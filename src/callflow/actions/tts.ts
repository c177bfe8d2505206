// tts: a text is said to the caller, where the switch can speak. Where it cannot, or there is nothing in the text that can be
// said, the call goes to `error`.

import { speechArgument } from '../../switch/commands.ts'
import { speakable } from '../../switch/media.ts'
import { type Action, execute } from '../call.ts'
import { text as textOf } from '../documents.ts'
import { next } from '../flow.ts'
import { answer } from './answer.ts'

export const tts: Action = async ({ text, engine = 'flite' }, call) => {
  const words = speakable(textOf(text))
  const why = whyNot(words, engine, call.node.status().modules)
  if (why !== undefined) {
    call.log.error('speech_not_possible', { why, engine: String(engine).slice(0, 50) })
    return next('error')
  }
  await answer({}, call)
  await execute(call, 'speak', speechArgument(words))
  return next()
}

function whyNot(words: string, engine: unknown, modules: Readonly<Record<string, boolean>>): string | undefined {
  if (engine !== 'flite') return 'flite is the only speech engine that is driven'
  if (modules['mod_flite'] !== true) return 'the switch has no speech engine: load mod_flite'
  return words === '' ? 'data.text has nothing that can be said' : undefined
}
