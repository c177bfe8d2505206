// menu: plays a greeting, takes digits, and goes to the child they name – or, where the menu lets the caller
// hunt, to the callflow that has them as its number. No digits: `timeout`; never any good: `max_retries`.

import { accountDb, isId } from '../../store/modb.ts'
import type { Doc } from '../../store/store.ts'
import { digitsArgument } from '../../switch/commands.ts'
import { type Action, type Call, execute } from '../call.ts'
import { isObject, live, text } from '../documents.ts'
import { branch, next } from '../flow.ts'
import { callflowsAt } from '../lookup.ts'
import { playable } from '../../switch/media.ts'
import { bestMatch } from '../patterns.ts'
import { answer } from './answer.ts'
import { playTo } from './play.ts'

/** FreeSWITCH keeps up to 128 digits (mod_dptools.c, play_and_get_digits). */
const MOST_DIGITS = 36
const SILENCE = 'silence_stream://1'

export const menu: Action = async ({ id, interdigit_timeout }, call) => {
  const doc = typeof id === 'string' && isId(id) ? live(await call.ports.store.get(accountDb(call.accountId), id), 'menu') : undefined
  if (doc === undefined) {
    call.log.warn('menu_not_found', { menu_id: String(id).slice(0, 100) })
    return next()
  }
  const media = isObject(doc['media']) ? doc['media'] : {}
  await answer({}, call)
  for (let left = between(doc['retries'], 1, 10, 3); left > 0; left -= 1) {
    const digits = await collect(call, doc, media['greeting'], interdigit_timeout)
    // Not which: it may be a card's number, or a code.
    call.log.info('menu_answered', { menu_id: doc._id, keys: digits.length })
    if (digits === '') {
      if (call.children.includes('timeout')) return next('timeout')
      continue
    }
    if (call.children.includes(digits) && digits !== '_') return next(digits)
    const found = await hunted(call, doc, digits)
    if (found !== undefined) {
      call.branched.set(found._id, found)
      return branch(found)
    }
    if (typeof media['invalid_media'] === 'string') await playTo(call, media['invalid_media'])
  }
  return next('max_retries')
}

const between = (value: unknown, least: number, most: number, otherwise: number): number => {
  const number = Math.trunc(Number(value ?? otherwise))
  return Number.isFinite(number) ? Math.min(most, Math.max(least, number)) : otherwise
}

/** Empty when the caller pressed nothing in time. */
async function collect(call: Call, doc: Doc, greeting: unknown, between_: unknown): Promise<string> {
  const longest = Math.max(1, ...call.children.filter(key => /^[0-9*]+$/.test(key)).map(key => key.length))
  const most = doc['hunt'] === false ? longest : Math.max(longest, between(doc['max_extension_length'], 1, MOST_DIGITS, 4))
  const sound = typeof greeting === 'string' ? playable(greeting) : SILENCE
  if (sound === undefined) call.log.warn('media_refused', { media: String(greeting).slice(0, 200), why: 'the menu is played without it' })
  call.digits = undefined
  await call.node.setVariables(call.leg.uuid, { callrec_digits: null })
  await execute(
    call,
    'play_and_get_digits',
    digitsArgument({
      most,
      timeoutMs: between(doc['timeout'], 100, 60_000, 10_000),
      betweenMs: between(between_ ?? doc['interdigit_timeout'], 100, 60_000, 2000),
      sound: sound ?? SILENCE,
    }),
  )
  const digits = call.leg.variables['callrec_digits'] ?? ''
  if (digits !== '') call.digits = digits
  return digits
}

async function hunted(call: Call, doc: Doc, digits: string): Promise<Doc | undefined> {
  if (doc['hunt'] === false) return undefined
  const matches = (key: string): boolean => {
    const { found, faults } = bestMatch([{ pattern: text(doc[key]), of: doc }], digits)
    for (const { why } of faults) call.log.warn('pattern_unusable', { menu_id: doc._id, why })
    return found !== undefined
  }
  if (text(doc['hunt_allow']) !== '' && !matches('hunt_allow')) return undefined
  if (text(doc['hunt_deny']) !== '' && matches('hunt_deny')) return undefined
  return (await callflowsAt(call.ports.store, accountDb(call.accountId), [digits])).get(digits)
}
