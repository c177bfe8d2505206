// What a leg is busy with: the applications of its dialplan, and those that `sendmsg` asks for. A message waits for the
// application that runs, unless that is `park` or runs without event-lock on a leg that has media: then it runs inside of
// it, and the outer one is not complete before the inner one is (seen on FreeSWITCH 1.11.2).

import { randomUUID } from 'node:crypto'

import type { Cause } from './causes.ts'
import type { Header } from './event.ts'
import type { Application, Exchange, Run } from './exchange.ts'
import { type Action, hasMedia, isUp, type Leg, type Message, type Runner, setVariable, variable } from './leg.ts'
import { expand } from './variables.ts'

interface Running extends Run {
  application: Application
  lock: boolean
  over: boolean
  /** Tells of its end and goes on. */
  complete: () => void
}

export interface LegActions {
  hangup: (cause: Cause) => void
  preAnswer: () => void
}

export function createRunner(exchange: Exchange, leg: Leg, { hangup, preAnswer }: LegActions): Runner {
  const stack: Running[] = []
  const queue: Message[] = []
  /** Pressed, and for the next application that listens. */
  const digits: string[] = []
  let inBridge = false
  /** Dialplans it has been given; only the latest goes on. */
  let dialplans = 0

  function execute(action: Action, options: { uuid?: string | undefined; lock?: boolean }, then: () => void): void {
    const application = exchange.applications[action.app]
    if (!application || !Object.hasOwn(exchange.applications, action.app)) {
      exchange.log.warn('simulator_unknown_application', { leg: leg.uuid, app: action.app })
      // The real one hangs up, too (transcript 20).
      hangup('DESTINATION_OUT_OF_ORDER')
      return
    }
    if (application.needsMedia && !hasMedia(leg)) preAnswer()
    const arg = expand(exchange, leg, action.arg)
    const about: Header[] = [['Application', action.app], ...(arg === '' ? [] : [['Application-Data', arg] as const])]
    const id: Header = ['Application-UUID', options.uuid ?? randomUUID()]
    setVariable(leg, 'current_application_response', undefined)
    setVariable(leg, 'current_application_data', arg)
    setVariable(leg, 'current_application', action.app)
    exchange.fireLeg('CHANNEL_EXECUTE', leg, [...about, id])
    const run: Running = {
      exchange,
      leg,
      arg,
      application,
      lock: options.lock ?? false,
      over: false,
      done(response) {
        if (run.over) return
        run.over = true
        if (response !== undefined) setVariable(leg, 'current_application_response', response)
        completeWhatIsOver()
      },
      complete() {
        // The response of an application inside is still there, and told again (park … FILE PLAYED).
        const response = variable(leg, 'current_application_response') ?? '_none_'
        if (application.untold !== true) exchange.fireLeg('CHANNEL_EXECUTE_COMPLETE', leg, [...about, ['Application-Response', response], id])
        completeWhatIsOver()
        then()
      },
    }
    stack.push(run)
    application.start(run)
    while (run.onDigit && !run.over && digits.length > 0) hear(run, digits.shift() ?? '')
  }

  function hear(run: Running, digit: string): void {
    const terminators = run.application.everyDigit === true ? 'any' : (variable(leg, 'playback_terminators') ?? '*')
    if (terminators === 'any' || (terminators !== 'none' && terminators.includes(digit))) run.onDigit?.(digit)
  }

  function completeWhatIsOver(): void {
    if (stack.at(-1)?.over) stack.pop()?.complete()
  }

  function take(message: Message): void {
    if ('hangup' in message) return hangup(message.hangup)
    let left = message.loops ?? 1
    const once = (): void => {
      setVariable(leg, 'current_loop', '1')
      setVariable(leg, 'total_loops', String(message.loops ?? 1))
      execute(message, message, () => {
        setVariable(leg, 'current_loop', undefined)
        setVariable(leg, 'total_loops', undefined)
        if (--left > 0 && isUp(leg)) once()
        else drain()
      })
    }
    once()
  }

  const ready = (): boolean => {
    const top = stack.at(-1)
    return top ? top.application.waits === true || (!top.lock && hasMedia(leg)) : inBridge
  }

  function drain(): void {
    while (isUp(leg) && ready()) {
      const next = queue.shift()
      if (!next) return
      take(next)
    }
  }

  function end(why: 'hangup' | 'moved'): void {
    // What is queued has its turn where the leg goes on (seen on FreeSWITCH 1.11.2).
    const kept = why === 'moved' ? queue.splice(0) : []
    queue.length = 0
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      top.onStop?.(why)
      top.done()
    }
    queue.push(...kept)
  }

  return {
    dialplan(actions) {
      const left = [...actions]
      const mine = ++dialplans
      leg.state = 'CS_EXECUTE'
      leg.next = undefined
      leg.hitDialplan = true
      if (leg.answerState === 'answered') leg.callState = 'ACTIVE'
      const next = (): void => {
        if (!isUp(leg) || mine !== dialplans) return
        const action = left.shift()
        if (action) execute(action, {}, next)
        else hangup('NORMAL_CLEARING')
        drain()
      }
      next()
    },
    message(message) {
      queue.push(message)
      drain()
    },
    bridged() {
      inBridge = true
      drain()
    },
    interrupt(all) {
      if (all) queue.length = 0
      stack.at(-1)?.onStop?.('break')
    },
    digit(digit) {
      const top = stack.at(-1)
      if (top && top.application.endsByDigit !== true) return hear(top, digit)
      digits.push(digit)
      top?.onStop?.('break')
      if (stack.at(-1)?.application.waits === true) digits.length = 0
    },
    abort() {
      end('hangup')
    },
    leave() {
      dialplans++
      inBridge = false
      end('moved')
    },
  }
}
