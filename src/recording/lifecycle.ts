// What a recording may do next, as one table. A command that is not in the table is refused with
// the state's name; a fact from the switch that is not in it has been told before and changes nothing.

import { AppError } from '../errors.ts'

export const STATES = ['waiting', 'starting', 'recording', 'stopping', 'stopped', 'discarded', 'failed'] as const
export type State = (typeof STATES)[number]

/** Commands come from policy, callflows and the API; facts from the switch or the clock. */
export type Command = 'begin' | 'stop'
export type Fact = 'RECORD_START' | 'start_refused' | 'no_media' | 'limit_reached' | 'RECORD_STOP' | 'leg_gone' | 'switch_lost'
export type Input = Command | Fact

/** What is to be done on the way: `save` writes both documents, `finish` reads the file and decides what becomes of it. */
export type Effect = 'send_start' | 'send_stop' | 'start_timers' | 'await_stop' | 'save' | 'finish' | 'drop'

type Row = readonly [State, ...Effect[]]

export interface Step {
  state: State
  effects: readonly Effect[]
}

// `starting` knows every end: RECORD_STOP can overtake the +OK that caused it, and a leg can go in between.
export const TABLE: Readonly<Record<State, Readonly<Partial<Record<Input, Row>>>>> = {
  waiting: {
    begin: ['starting', 'send_start'],
    stop: ['discarded', 'drop'],
    leg_gone: ['discarded', 'drop'],
    switch_lost: ['failed', 'drop'],
  },
  starting: {
    RECORD_START: ['recording', 'start_timers', 'save'],
    start_refused: ['failed', 'drop'],
    stop: ['stopping', 'send_stop', 'await_stop', 'save'],
    limit_reached: ['stopping', 'send_stop', 'await_stop', 'save'],
    RECORD_STOP: ['stopped', 'finish'],
    leg_gone: ['stopping', 'await_stop'],
    switch_lost: ['stopped', 'finish'],
  },
  recording: {
    stop: ['stopping', 'send_stop', 'await_stop', 'save'],
    limit_reached: ['stopping', 'send_stop', 'await_stop', 'save'],
    no_media: ['stopping', 'send_stop', 'await_stop', 'save'],
    RECORD_STOP: ['stopped', 'finish'],
    leg_gone: ['stopping', 'await_stop'],
    switch_lost: ['stopped', 'finish'],
  },
  stopping: {
    RECORD_START: ['stopping', 'send_stop'],
    start_refused: ['failed', 'drop'],
    RECORD_STOP: ['stopped', 'finish'],
    switch_lost: ['stopped', 'finish'],
  },
  stopped: {},
  discarded: {},
  failed: {},
}

export const isEnd = (state: State): boolean => Object.keys(TABLE[state]).length === 0

/** Undefined for a fact that changes nothing now. */
export function step(state: State, input: Fact): Step | undefined {
  const found = TABLE[state][input]
  if (found === undefined) return undefined
  const [next, ...effects] = found
  return { state: next, effects }
}

/** As `step`; a command that is not possible now throws `wrong_state`. */
export function command(state: State, input: Command): Step {
  const found = TABLE[state][input]
  if (found === undefined) throw new AppError('wrong_state', `a recording that is ${state} cannot ${input}`, { state })
  const [next, ...effects] = found
  return { state: next, effects }
}
