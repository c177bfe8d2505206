// `play_and_get_digits min max tries timeout terminators file invalid_file variable regexp digit_timeout`: as
// callrec asks for it, with one try. The sound stops at the first digit; times count from its end.

import { play } from './call.ts'
import { setVariable } from './leg.ts'
import { parseSound } from './playback.ts'
import type { Run } from './exchange.ts'
import { splitWords } from './words.ts'

export function playAndGetDigits(run: Run): void {
  const { exchange, leg } = run
  const [least = '1', most = '1', , timeout = '0', terminators = '#', file = '', , name = '', , between] = splitWords(run.arg, 10)
  const sound = parseSound(file, exchange.recordingDir)
  let digits = ''
  let cancel: (() => void) | undefined
  leg.phone.media()

  function wait(ms: number): void {
    cancel?.()
    cancel = exchange.timeline.after(ms, end)
  }

  function end(): void {
    cancel?.()
    play(leg, undefined)
    const enough = digits.length >= Number(least)
    setVariable(leg, name, enough ? digits : undefined)
    setVariable(leg, `${name}_invalid`, enough ? undefined : digits)
    run.done()
  }

  const stretches = Array.from({ length: Math.min(sound?.loops ?? 0, 1000) }, () => sound?.stretches ?? []).flat()
  function next(): void {
    const stretch = stretches.shift()
    play(leg, stretch?.source(exchange.timeline.now()))
    if (stretch === undefined) return wait(Number(timeout))
    if (stretch.ms < Number.POSITIVE_INFINITY) cancel = exchange.timeline.after(stretch.ms, next)
  }

  run.onStop = end
  run.onDigit = digit => {
    if (digits === '') play(leg, undefined)
    if (terminators.includes(digit)) {
      setVariable(leg, 'read_terminator_used', digit)
      return end()
    }
    digits += digit
    if (digits.length >= Number(most)) end()
    else wait(Number(between ?? timeout))
  }
  next()
}
