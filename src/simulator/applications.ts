// The dialplan applications that exist here. A leg that is told to run another one is hung up, as FreeSWITCH does with a
// name it does not know.

import { answer, bridgeIds, hangup, join, play, preAnswer } from './call.ts'
import { type Cause, causeOf } from './causes.ts'
import { conference } from './conference.ts'
import { dial, type Dialing } from './dialing.ts'
import { playAndGetDigits } from './digits.ts'
import { isUp, type Leg, setVariable, variable } from './leg.ts'
import { recordMessage } from './message.ts'
import { tone } from './media.ts'
import { parseSound } from './playback.ts'
import type { Application, Applications, Run } from './exchange.ts'
import { expand } from './variables.ts'
import { isTrue, splitWords } from './words.ts'

/** Seconds a bridge rings when nobody said how long. */
const RINGS = 60
/** What speech sounds like here. */
const HUM_HZ = 250
const LETTER_MS = 60
/** switch_resample.c, switch_change_sln_volume. */
const VOLUMES: Readonly<Record<string, number>> = { '-4': 0.2, '-3': 0.4, '-2': 0.6, '-1': 0.8, '1': 1.3, '2': 2.3, '3': 3.3, '4': 4.3 }

export const APPLICATIONS: Applications = {
  answer: instant(run => answer(run.exchange, run.leg)),
  pre_answer: instant(run => preAnswer(run.exchange, run.leg)),
  hangup: instant(run => hangup(run.exchange, run.leg, causeOf(run.arg))),
  set: instant(run => assign(run)),
  export: instant(run => {
    const name = assign(run)
    const names = (variable(run.leg, 'export_vars') ?? '').split(',').filter(one => one !== '')
    if (name !== '' && !names.includes(name)) setVariable(run.leg, 'export_vars', [...names, name].join(','))
  }),
  unset: instant(run => setVariable(run.leg, run.arg.trim(), undefined)),
  sched_hangup: instant(({ exchange, leg, arg }) => {
    const [time = '', cause = 'ALLOTTED_TIMEOUT'] = splitWords(arg, 3)
    scheduleHangup(exchange, leg, time, cause)
  }),
  noop: instant(() => {}),
  info: instant(({ exchange, leg }) => exchange.log.debug('simulator_info', { leg: leg.uuid, variables: Object.fromEntries(leg.variables) })),
  system: instant(run => run.exchange.systemCall(run.arg)),
  bgsystem: instant(run => run.exchange.systemCall(run.arg)),
  sleep: { start: sleep, endsByDigit: true },
  echo: { start: echo, needsMedia: true },
  eavesdrop: { start: eavesdrop, needsMedia: true },
  playback: { start: playback, needsMedia: true },
  set_audio_level: instant(({ leg, arg }) => {
    const [direction, steps] = splitWords(arg, 2)
    if (direction === 'write') leg.volume = VOLUMES[steps ?? ''] ?? 1
  }),
  speak: { start: speak, needsMedia: true },
  record: { start: recordMessage, needsMedia: true },
  play_and_get_digits: { start: playAndGetDigits, needsMedia: true, everyDigit: true },
  park: { start: park, waits: true },
  bridge: { start: bridge },
  conference: { start: conference, needsMedia: true },
  // No application of FreeSWITCH: what the first leg of the api command of that name does. Its beginning is told as one, its end is not.
  uuid_bridge: { start: together, untold: true },
}

function instant(act: (run: Run) => void): Application {
  return {
    start(run) {
      act(run)
      run.done()
    },
  }
}

/** `+30`: whole seconds from now; without the plus an epoch time, which is not imitated and means now. */
export function scheduleHangup(exchange: Run['exchange'], leg: Leg, time: string, cause: string): void {
  const seconds = time.startsWith('+') ? Number.parseInt(time.slice(1), 10) || 0 : 0
  if (seconds <= 0) hangup(exchange, leg, causeOf(cause))
  else exchange.schedule(leg.uuid, exchange.timeline.wholeSeconds(seconds), () => hangup(exchange, leg, causeOf(cause)))
}

/** The name that was set. The value is expanded a second time, as `set` does (mod_dptools.c, base_set). */
function assign({ exchange, leg, arg }: Run): string {
  const [, name = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(arg) ?? []
  setVariable(leg, name.trim(), value === '_undef_' ? undefined : expand(exchange, leg, value))
  return name.trim()
}

function park(run: Run): void {
  run.exchange.fireLeg('CHANNEL_PARK', run.leg)
  run.onStop = why => {
    if (why === 'break') return
    run.exchange.fireLeg('CHANNEL_UNPARK', run.leg)
    run.done()
  }
}

function sleep(run: Run): void {
  run.leg.phone.media()
  const cancel = run.exchange.timeline.after(Number.parseInt(run.arg, 10) || 0, () => run.done())
  run.onStop = () => {
    cancel()
    run.done()
  }
}

function echo(run: Run): void {
  run.leg.phone.media()
  play(run.leg, run.leg.says)
  run.onStop = () => {
    play(run.leg, undefined)
    run.done()
  }
}

/** Without such a leg it ends at once (reference: originate says +OK, then BYE). It ends with the leg it listens to. */
function eavesdrop(run: Run): void {
  if (!run.exchange.sip.eavesdrop(run.leg, run.arg)) run.done()
}

function playback(run: Run): void {
  const { exchange, leg } = run
  const { timeline } = exchange
  const sound = parseSound(run.arg, exchange.recordingDir)
  if (!sound) return run.done('FILE NOT FOUND')
  leg.phone.media()
  const start = timeline.now()
  let cancel: (() => void) | undefined
  const about: [string, string][] = [['Playback-File-Path', run.arg]]
  exchange.fireLeg('PLAYBACK_START', leg, about)

  function end(response: string, status: 'done' | 'break' = 'break'): void {
    cancel?.()
    play(leg, undefined)
    const ms = Math.round(timeline.now() - start)
    setVariable(leg, 'playback_last_offset_pos', String(ms * 8))
    setVariable(leg, 'playback_seconds', String(Math.floor(ms / 1000)))
    setVariable(leg, 'playback_ms', String(ms))
    setVariable(leg, 'playback_samples', String(ms * 8))
    exchange.fireLeg('PLAYBACK_STOP', leg, [...about, ['Playback-Status', status]])
    run.done(response)
  }

  let [loop, index] = [0, 0]
  function next(): void {
    const stretch = sound?.stretches[index]
    if (!sound || !stretch) return end('FILE PLAYED', 'done')
    play(leg, stretch.source(timeline.now()))
    index++
    if (index >= sound.stretches.length && ++loop < sound.loops) index = 0
    if (stretch.ms < Number.POSITIVE_INFINITY) cancel = timeline.after(stretch.ms, next)
  }
  run.onStop = why => end(why === 'break' ? 'FILE PLAYED' : 'PLAYBACK ERROR')
  run.onDigit = digit => {
    setVariable(leg, 'playback_terminator_used', digit)
    end('FILE PLAYED')
  }
  next()
}

/** A hum, as long as it takes to say the text. */
function speak(run: Run): void {
  const { exchange, leg } = run
  const text = run.arg.split('|').slice(2).join('|')
  leg.phone.media()
  play(leg, tone(HUM_HZ))
  const end = (): void => {
    cancel()
    play(leg, undefined)
    run.done()
  }
  const cancel = exchange.timeline.after(text.length * LETTER_MS, end)
  run.onStop = end
  run.onDigit = digit => {
    setVariable(leg, 'playback_terminator_used', digit)
    end()
  }
}

function bridge(run: Run): void {
  const { exchange, leg, arg } = run
  if (arg.trim() === '') return run.done()
  leg.phone.dialing()
  const dialing: Dialing = dial(exchange, {
    dialString: arg,
    timeout: Number(variable(leg, 'call_timeout')) || RINGS,
    originator: leg,
    callerIdName: variable(leg, 'effective_caller_id_name') ?? leg.profile.callerIdName,
    callerIdNumber: variable(leg, 'effective_caller_id_number') ?? leg.profile.callerIdNumber,
    answered(b) {
      disposition(leg, 'SUCCESS')
      setVariable(leg, 'sip_invite_failure_status', undefined)
      untilEither(run, b)
      if (b.answerState === 'answered') answer(exchange, leg)
      else {
        b.onAnswer = () => answer(exchange, leg)
        preAnswer(exchange, leg)
      }
      join(exchange, leg, b)
    },
    failed(cause) {
      disposition(leg, cause)
      setVariable(leg, 'originate_failed_cause', cause)
      leg.phone.dialed()
      if (!goesOn(leg, cause)) hangup(exchange, leg, causeOf(cause))
      run.done()
    },
  })
  run.onStop = why => {
    if (why !== 'break') dialing.cancel()
  }
}

/** A bridge ends with either of its legs, or when one of them is taken away. */
function untilEither(run: Run, peer: Leg): void {
  const { exchange, leg } = run
  const ended = (cause?: Cause): void => {
    peer.onGone = peer.onTaken = run.onStop = undefined
    if (cause !== undefined) {
      setVariable(leg, 'last_bridge_hangup_cause', cause)
      setVariable(leg, 'bridge_hangup_cause', cause)
    }
    exchange.fireLeg('CHANNEL_UNBRIDGE', leg, [], bridgeIds(leg, peer))
    if (isUp(leg) && isTrue(variable(leg, 'hangup_after_bridge'))) hangup(exchange, leg, cause ?? 'NORMAL_CLEARING')
    run.done()
  }
  peer.onGone = ended
  peer.onTaken = ended
  run.onStop = why => {
    // `ended` follows from it. The cause of the caller's end is not the callee's.
    if (why !== 'break') hangup(exchange, peer, 'NORMAL_CLEARING')
  }
}

/** With a leg that is there already. */
function together(run: Run): void {
  const peer = run.exchange.legs.get(run.arg)
  if (!peer) return run.done()
  run.leg.state = 'CS_SOFT_EXECUTE'
  untilEither(run, peer)
  join(run.exchange, run.leg, peer)
}

const DIALSTATUS: Readonly<Record<string, string>> = {
  ORIGINATOR_CANCEL: 'CANCEL',
  USER_BUSY: 'BUSY',
  NO_ANSWER: 'NOANSWER',
  DESTINATION_OUT_OF_ORDER: 'INVALIDARGS',
  CALL_REJECTED: 'DONTCALL',
}

function disposition(leg: Leg, cause: string): void {
  setVariable(leg, 'originate_disposition', cause)
  setVariable(leg, 'DIALSTATUS', DIALSTATUS[cause] ?? cause)
}

/** `continue_on_fail` is a yes or a list of causes; without it a failed bridge ends the call. */
function goesOn(leg: Leg, cause: string): boolean {
  const wish = variable(leg, 'continue_on_fail')
  return isTrue(wish) || (wish ?? '').split(',').some(one => one.trim().toUpperCase() === cause)
}
