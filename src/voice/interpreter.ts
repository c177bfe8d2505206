// Runs the actions of an NCCO one after the other. What an action cannot do is told to the application and the call
// goes on with the next; the answer of an `input` or a `notify` takes the place of what is left.

import { pause } from '../clock.ts'
import { AppError, isCode, reasonOf } from '../errors.ts'
import { digitsArgument, speechArgument, VOICES } from '../switch/commands.ts'
import { speakable } from '../switch/media.ts'
import { type Address, ask, jsonIn } from './ask.ts'
import { aborted, conversationOf, type VoiceCall, type VoicePorts } from './call.ts'
import type { Conversations } from './conversations.ts'
import type { Abilities, ConnectAction, InputAction, NccoAction, NotifyAction, StreamAction, TalkAction } from './ncco.ts'
import { isPlayed, staysUp } from './ncco.ts'
import type { Fields } from './options.ts'
import type { Place } from './places.ts'
import type { About, Parts, Recordings } from './recording.ts'
import type { Report } from './report.ts'
import { actionsIn } from './script.ts'
import { withSound } from './sound.ts'

export interface Run {
  call: VoiceCall
  can: Abilities
  report: Report
  about: About
  /** Aborted when other actions take the place of these, and when the caller is gone. */
  turn: AbortController
  /** What takes their place. */
  replacement?: readonly NccoAction[]
  /** The key that broke a message off, for the `input` behind it. */
  pressed?: string
  /** Told before an action is done, and of a recording in it that it has begun. */
  reached: (where: Pick<Place, 'turn' | 'at' | 'recording'>) => Promise<void>
  /** Resolves when it is kept that other actions are to be done. */
  replaced: (by: Pick<Place, 'actions' | 'turn'>) => Promise<void>
}

/** An application that answers its own notify for ever ends here. */
const MOST_PERFORMED = 10_000
const SILENCE = 'silence_stream://1'
/** FreeSWITCH knows so many steps up, and as many down. */
const LEVELS = 4

/** Resolves when there is nothing left to do; rejects when the caller is gone. */
export async function interpret(
  ports: VoicePorts,
  { recordings, conversations }: { recordings: Recordings; conversations: Conversations },
  run: Run,
  place: Omit<Place, 'flow'>,
): Promise<void> {
  const { call } = run
  let { actions, at, turn, recording } = place
  for (let performed = 0; performed < MOST_PERFORMED; ) {
    const action = actions[at]
    if (action === undefined && !staysUp(actions)) return
    await run.reached({ turn, at, ...(recording === undefined ? {} : { recording }) })
    // A recording that nothing ends goes on until the caller, or somebody by the API, ends the call.
    if (action === undefined) await aborted(run.turn.signal)
    const instead = action === undefined ? undefined : await attempt(action)
    performed += 1
    at += 1
    recording = undefined
    call.signal.throwIfAborted()
    const next = run.replacement ?? instead
    if (next === undefined) continue
    ;[actions, at, turn] = [next, 0, turn + 1]
    await run.replaced({ actions, turn })
    if (run.replacement === undefined) continue
    delete run.replacement
    delete run.pressed
    run.turn = new AbortController()
  }
  call.log.error('ncco_loops', { why: `more than ${MOST_PERFORMED} actions in one call` })

  async function attempt(action: NccoAction): Promise<readonly NccoAction[] | undefined> {
    call.log.debug('ncco_action_started', { action: action.action })
    try {
      return await perform(action)
    } catch (error) {
      if (call.signal.aborted || isCode(error, 'leg_gone') || isCode(error, 'switch_down')) throw error
      if (run.turn.signal.aborted) return undefined
      call.log.warn('ncco_action_failed', { action: action.action, why: reasonOf(error) })
      void run.report.tell(failureOf(error, action.action))
      return undefined
    }
  }

  async function perform(action: NccoAction): Promise<readonly NccoAction[] | undefined> {
    if (action.action !== 'connect' && action.action !== 'notify' && !call.answered()) await call.execute('answer')
    if (action.action === 'input') return input(action)
    if (action.action === 'notify') return notify(action)
    await act(action)
    return undefined
  }

  function act(action: Exclude<NccoAction, InputAction | NotifyAction>): Promise<void> {
    // Who has pressed a key has heard enough.
    if (isPlayed(action) && action.bargeIn && run.pressed !== undefined) return Promise.resolve()
    switch (action.action) {
      case 'record':
        return recordings.record(call, action, run.report, run.about, run.turn.signal, parts())
      case 'talk':
        return talk(action)
      case 'stream':
        return stream(action)
      case 'wait':
        return pause(ports.clock, action.timeout * 1000, run.turn.signal)
      case 'connect':
        return connect(action)
      case 'conversation':
        return conversations.enter(
          { call, about: run.about, report: run.report, mp3: run.can.plays.includes('mp3'), signal: run.turn.signal, ...parts() },
          action,
        )
    }
  }

  function parts(): Parts {
    return { ...(recording === undefined ? {} : { goesOn: recording }), begun: id => run.reached({ turn, at, recording: id }) }
  }

  /** As often, as loud, and as patiently as the action wants it; `loop` 0 is for ever. */
  async function heard({ level, loop, bargeIn }: TalkAction | StreamAction, play: () => Promise<unknown>): Promise<void> {
    await call.set({ playback_terminators: bargeIn ? 'any' : 'none', playback_terminator_used: null })
    const steps = Math.round(level * LEVELS)
    if (steps !== 0) await call.execute('set_audio_level', `write ${steps}`)
    for (let left = loop === 0 ? Number.POSITIVE_INFINITY : loop; left > 0 && !run.turn.signal.aborted; left -= 1) {
      await play()
      const key = bargeIn ? call.variable('playback_terminator_used') : undefined
      if (key === undefined || key === '') continue
      run.pressed = key
      break
    }
    if (steps !== 0) await call.execute('set_audio_level', 'write 0')
  }

  async function talk(action: TalkAction): Promise<void> {
    const words = speakable(action.text)
    if (words === '') throw new AppError('unsafe_argument', 'its text has nothing that can be said')
    await heard(action, () => call.execute('speak', speechArgument(words, VOICES[action.style])))
  }

  function stream(action: StreamAction): Promise<void> {
    return withSound(ports, call.node.name, action.streamUrl, run.can.plays.includes('mp3'), path =>
      heard(action, async () => {
        const response = await call.execute('playback', path)
        if (/^(FILE NOT FOUND|PLAYBACK ERROR)/.test(response)) throw new AppError('switch_refused', `the switch cannot play it: ${response}`)
      }),
    )
  }

  async function input({ dtmf, eventUrl, eventMethod }: InputAction): Promise<readonly NccoAction[] | undefined> {
    const { timeOut, maxDigits, submitOnHash } = dtmf
    const ms = Math.max(1, timeOut * 1000)
    const first = run.pressed ?? ''
    delete run.pressed
    let digits = submitOnHash && first === '#' ? '' : first
    let ended = first !== digits || digits.length >= maxDigits
    if (!ended) {
      await call.set({ callrec_digits: null })
      const most = maxDigits - digits.length
      await call.execute('play_and_get_digits', digitsArgument({ most, timeoutMs: ms, betweenMs: ms, sound: SILENCE, hashEnds: submitOnHash }))
      digits += call.variable('callrec_digits') ?? ''
      ended = digits.length >= maxDigits || (submitOnHash && call.variable('read_terminator_used') === '#')
    }
    return answered({ dtmf: { digits, timed_out: !ended } }, eventUrl === undefined ? run.about.eventUrl : address(eventUrl, eventMethod))
  }

  function notify({ payload, eventUrl, eventMethod }: NotifyAction): Promise<readonly NccoAction[] | undefined> {
    return answered({ payload }, address(eventUrl, eventMethod))
  }

  function address(url: string, method: 'GET' | 'POST'): Address {
    const { sign } = run.about
    return { url, method, ...(sign === undefined ? {} : { sign }) }
  }

  /** What the application wants done instead of what is left; undefined where it does not say. */
  async function answered(fields: Fields, to: Address | undefined): Promise<readonly NccoAction[] | undefined> {
    if (to === undefined) return undefined
    // What happened before is told before.
    await run.report.idle()
    const about = {
      from: call.from,
      to: call.to,
      uuid: call.uuid,
      conversation_uuid: conversationOf(call.uuid),
      timestamp: new Date(ports.wall.now()).toISOString(),
    }
    const answer = jsonIn(await ask(ports, to, { ...about, ...fields }, { signal: run.turn.signal }))
    // An empty answer, and what web frameworks say when they have nothing to say.
    if (answer === undefined || (typeof answer === 'object' && answer !== null && Object.keys(answer).length === 0)) return undefined
    return actionsIn(answer, run.can)
  }

  async function connect({ endpoint, eventUrl, eventMethod, ...how }: ConnectAction): Promise<void> {
    const to = eventUrl === undefined ? undefined : address(eventUrl, eventMethod)
    const name = 'number' in endpoint ? endpoint.number : 'uri' in endpoint ? endpoint.uri : endpoint.id
    let since: number | undefined
    let leg: string | undefined
    const tell = (status: string, more: Fields = {}): void =>
      void run.report.tell({ direction: 'outbound', from: how.from ?? call.from, to: name, ...(leg === undefined ? {} : { uuid: leg }), status, ...more }, to)
    tell('started')
    tell('ringing')
    const over = (talked: boolean, cause: string): void => {
      if (!talked) return tell(STATUSES[cause] ?? 'failed', { detail: cause })
      tell('completed', { duration: String(Math.round((ports.clock.elapsed() - (since ?? ports.clock.elapsed())) / 1000)) })
    }
    try {
      const { answered: talked, cause } = await call.dial(endpoint, {
        ...how,
        talking(other) {
          leg = other
          recordings.meets(call.uuid, other)
          since = ports.clock.elapsed()
          tell('answered')
        },
      })
      over(talked, cause)
    } catch (error) {
      if (isCode(call.signal.reason ?? error, 'leg_gone')) over(leg !== undefined, 'ORIGINATOR_CANCEL')
      throw error
    }
  }
}

/** Hangup cause → what the Voice API calls such an end. */
export const STATUSES: Readonly<Record<string, string>> = {
  USER_BUSY: 'busy',
  NO_ANSWER: 'unanswered',
  ALLOTTED_TIMEOUT: 'timeout',
  CALL_REJECTED: 'rejected',
  ORIGINATOR_CANCEL: 'cancelled',
}

/** Of an action, or of a whole NCCO that cannot be run: the reason Vonage words, and what it is about. */
export const failureOf = (error: unknown, action?: string): Fields => ({
  reason: error instanceof AppError && error.code === 'validation error' ? error.message.split(' [')[0]?.split(' ncco ')[0] : reasonOf(error),
  ...(action === undefined ? {} : { action }),
  ...(error instanceof AppError && Array.isArray(error.data['detail']) ? { detail: error.data['detail'] } : {}),
})
