// What a recording may do next, as one table. A command that is not in the table is refused with
// the state's name; a fact from the switch that is not in it has been told before and changes nothing.

import { AppError } from '../errors.ts'

export const STATES = ['waiting', 'starting', 'recording', 'masked', 'paused', 'masked_paused', 'stopping', 'stopped', 'discarded', 'failed'] as const
export type State = (typeof STATES)[number]

/** Commands come from policy, callflows and the API; facts from the switch or the clock. */
export type Command = 'begin' | 'stop' | Cover
/** What hides a stretch of the call: `mask` writes silence and keeps the time, `pause` leaves the time out. */
export type Cover = 'mask' | 'unmask' | 'pause' | 'resume'
/**
 * `unconfirmed`: the switch did not show that it covers what it was to cover. `untold`: a required announcement was not heard. `refused`: who was
 * told did not want it.
 */
export type Fact =
  | 'RECORD_START'
  | 'unconfirmed'
  | 'untold'
  | 'refused'
  | 'start_refused'
  | 'no_media'
  | 'limit_reached'
  | 'RECORD_STOP'
  | 'leg_gone'
  | 'switch_lost'
export type Input = Command | Fact

/** What is to be done on the way: `save` writes both documents, `finish` reads the file and decides what becomes of it. */
export type Effect = 'send_start' | 'send_stop' | SendCover | 'start_timers' | 'await_stop' | 'save' | 'finish' | 'drop'
export type SendCover = `send_${Cover}`

type Row = readonly [State, ...Effect[]]

export interface Step {
  state: State
  effects: readonly Effect[]
}

/** However much of the call is covered, a recording that runs ends in the same ways. */
const ENDS: Readonly<Partial<Record<Input, Row>>> = {
  stop: ['stopping', 'send_stop', 'await_stop', 'save'],
  limit_reached: ['stopping', 'send_stop', 'await_stop', 'save'],
  unconfirmed: ['stopping', 'send_stop', 'await_stop', 'save'],
  untold: ['stopping', 'send_stop', 'await_stop', 'save'],
  refused: ['stopping', 'send_stop', 'await_stop', 'save'],
  RECORD_STOP: ['stopped', 'finish'],
  leg_gone: ['stopping', 'await_stop'],
  switch_lost: ['stopped', 'finish'],
}
const NO_MEDIA: Row = ['stopping', 'send_stop', 'await_stop', 'save']

// What covers may be asked for again, and is then sent and confirmed again; what uncovers may not. Asked of a recording that has not
// begun, either is kept for its beginning. A file that is paused need not grow, so `no_media` says nothing of it. `starting` knows every end: RECORD_STOP can overtake the +OK that caused it, and a leg can go in between.
export const TABLE: Readonly<Record<State, Readonly<Partial<Record<Input, Row>>>>> = {
  waiting: {
    begin: ['starting', 'send_start'],
    mask: ['waiting'],
    unmask: ['waiting'],
    pause: ['waiting'],
    resume: ['waiting'],
    stop: ['discarded', 'drop'],
    untold: ['failed', 'drop'],
    refused: ['discarded', 'drop'],
    start_refused: ['failed', 'drop'],
    leg_gone: ['discarded', 'drop'],
    switch_lost: ['failed', 'drop'],
  },
  starting: {
    RECORD_START: ['recording', 'start_timers', 'save'],
    mask: ['starting'],
    unmask: ['starting'],
    pause: ['starting'],
    resume: ['starting'],
    start_refused: ['failed', 'drop'],
    untold: ['stopping', 'send_stop', 'await_stop', 'save'],
    refused: ['stopping', 'send_stop', 'await_stop', 'save'],
    stop: ['stopping', 'send_stop', 'await_stop', 'save'],
    limit_reached: ['stopping', 'send_stop', 'await_stop', 'save'],
    RECORD_STOP: ['stopped', 'finish'],
    leg_gone: ['stopping', 'await_stop'],
    switch_lost: ['stopped', 'finish'],
  },
  recording: {
    ...ENDS,
    no_media: NO_MEDIA,
    mask: ['masked', 'send_mask', 'save'],
    pause: ['paused', 'send_pause', 'save'],
  },
  masked: {
    ...ENDS,
    no_media: NO_MEDIA,
    mask: ['masked', 'send_mask'],
    unmask: ['recording', 'send_unmask', 'save'],
    pause: ['masked_paused', 'send_pause', 'save'],
  },
  paused: {
    ...ENDS,
    mask: ['masked_paused', 'send_mask', 'save'],
    pause: ['paused', 'send_pause'],
    resume: ['recording', 'send_resume', 'save'],
  },
  masked_paused: {
    ...ENDS,
    mask: ['masked_paused', 'send_mask'],
    unmask: ['paused', 'send_unmask', 'save'],
    pause: ['masked_paused', 'send_pause'],
    resume: ['masked', 'send_resume', 'save'],
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

/** The switch records now, whatever of it is covered. */
export const runs = (state: State): boolean => state === 'recording' || state === 'masked' || state === 'paused' || state === 'masked_paused'

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
