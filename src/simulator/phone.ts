// How a simulated phone behaves (DESIGN §16). Every `user/name@realm` is one: it answers half a second after it rings,
// says 440 Hz as caller and 1000 Hz as callee, and as caller hangs up five seconds after it got through. Channel
// variables of its own leg change that; `callrec_simulator_answer` and `callrec_simulator_callee_seconds` of the caller's
// leg speak for whom it calls.
//
// "Got through" is the natural moment: the first bridge; before that the answer or the first thing it hears, so a
// callflow that only plays something gets its five seconds, too. While the switch rings somebody the caller waits. Who
// never gets through gives up after 30 s, or after the time it would have talked where that is longer.

import { type Cause, isCause } from './causes.ts'
import type { Exchange } from './exchange.ts'
import type { Value } from './event.ts'
import { isUp, type Leg, type Phone, variable } from './leg.ts'
import { bareHeaders } from './leg-headers.ts'
import { settle } from './recording.ts'
import { SILENCE, tone } from './media.ts'

const CALLER = tone(440)
const CALLEE = tone(1000)
const EARLY = tone(300)
/** Milliseconds of call time, as all here. */
const ANSWERS_AFTER = 500
const TALKS = 5000
const GIVES_UP = 30_000
const BETWEEN_DIGITS = 200
/** An INVITE and its answer on the way. */
export const NETWORK = 20

/** A phone that cannot be rung at all: FreeSWITCH makes no leg for it. */
export type Absence = 'USER_NOT_REGISTERED' | 'SUBSCRIBER_ABSENT'

const wishOf = (variables: ReadonlyMap<string, Value>, originator: Leg | undefined): string | undefined => {
  const own = variables.get('callrec_simulator_answer')
  return typeof own === 'string' ? own : originator && variable(originator, 'callrec_simulator_answer')
}

export function absence(variables: ReadonlyMap<string, Value>, originator: Leg | undefined): Absence | undefined {
  const wish = wishOf(variables, originator)
  return wish === 'USER_NOT_REGISTERED' || wish === 'SUBSCRIBER_ABSENT' ? wish : undefined
}

/** `caller`: it called, or was called back to call. It is told what happens to its leg and hangs up by itself. */
export function createPhone(exchange: Exchange, leg: Leg, caller: boolean, hangup: (cause: Cause) => void): Phone {
  const { timeline } = exchange
  let through: 'not' | 'heard' | 'bridged' = 'not'
  let hangingUp: (() => void) | undefined
  let acting = false
  /** What the caller said of this callee. */
  let calleeStays: number | undefined

  const seconds = (name: string): number | undefined => {
    const value = Number(variable(leg, name) ?? Number.NaN)
    return Number.isFinite(value) && value >= 0 ? value * 1000 : undefined
  }
  /** A callee stays as long as the caller, unless its own leg says otherwise. */
  const stays = (): number | undefined => seconds('callrec_simulator_seconds') ?? (caller ? TALKS : calleeStays)

  const patience = (): number => Math.max(GIVES_UP, stays() ?? 0)

  function hangUpAfter(ms: number | undefined): void {
    hangingUp?.()
    hangingUp = ms === undefined ? undefined : timeline.after(ms, () => hangup('NORMAL_CLEARING'))
  }

  /** What it was told to do after a while, once it is through. */
  function act(): void {
    if (acting) return
    acting = true
    const speaks = seconds('callrec_simulator_speaks')
    if (speaks !== undefined) timeline.after(speaks, fallSilent)
    for (const plan of (variable(leg, 'callrec_simulator_dtmf') ?? '').split(' ')) {
      const [at = '', digits = ''] = plan.split(':')
      for (let i = 0; i < digits.length; i++) timeline.after(Number(at) * 1000 + i * BETWEEN_DIGITS, () => press(exchange, leg, digits.charAt(i)))
    }
  }

  function fallSilent(): void {
    settle(leg)
    leg.says = SILENCE
  }

  function heardSomething(): void {
    if (through !== 'not') return
    through = 'heard'
    act()
    hangUpAfter(stays())
  }

  function talk(): void {
    if (through === 'bridged') return
    through = 'bridged'
    act()
    hangUpAfter(stays())
  }

  return {
    caller,
    get voice() {
      if (leg.answerState === 'early') return EARLY
      const hz = Number(variable(leg, 'callrec_simulator_hz'))
      return hz > 0 ? tone(hz) : caller ? CALLER : CALLEE
    },
    reaction(originator) {
      const wish = wishOf(leg.variables, originator)
      const wished = Number((originator && variable(originator, 'callrec_simulator_callee_seconds')) ?? Number.NaN)
      if (!caller && wished >= 0) calleeStays = wished * 1000
      // The phone of a click-to-call answers itself; the wish is for whom it calls.
      if (caller || wish === undefined) return { answerAfter: ANSWERS_AFTER }
      if (wish === 'never') return 'never'
      if (wish === 'busy') return { refuse: 'USER_BUSY' }
      if (isCause(wish)) return { refuse: wish }
      if (wish.startsWith('early:')) return { answerAfter: Number(wish.slice('early:'.length)) * 1000, early: true }
      return { answerAfter: Number(wish) >= 0 ? Number(wish) * 1000 : ANSWERS_AFTER }
    },
    start() {
      if (caller) hangUpAfter(patience())
    },
    answered() {
      if (leg.partner !== undefined) talk()
      // A caller that was called back first is not through yet: it still has to reach somebody.
      else if (!caller || leg.direction === 'inbound') heardSomething()
    },
    media: heardSomething,
    bridged() {
      // With early media alone it is not through yet.
      if (leg.answerState === 'answered') talk()
    },
    dialing() {
      if (caller && through !== 'bridged') hangUpAfter(patience() - (timeline.now() - leg.since))
    },
    dialed() {
      if (caller && through === 'heard') hangUpAfter(stays())
    },
    gone() {
      hangingUp?.()
      leg.says = SILENCE
    },
  }
}

export function press(exchange: Exchange, leg: Leg, digit: string): void {
  if (!isUp(leg) || !/^[0-9A-D*#]$/.test(digit)) return
  exchange.fire('DTMF', () => [...bareHeaders(leg), ['DTMF-Digit', digit], ['DTMF-Duration', '2000'], ['DTMF-Source', 'RTP']])
  leg.runner.digit(digit)
}

/** Nobody sits there: FreeSWITCH's null endpoint, which answers at once and is silent. */
export function nobody(): Phone {
  const nothing = (): void => {}
  return {
    caller: false,
    voice: SILENCE,
    reaction: () => ({ answerAfter: 0 }),
    start: nothing,
    answered: nothing,
    media: nothing,
    bridged: nothing,
    dialing: nothing,
    dialed: nothing,
    gone: nothing,
  }
}
