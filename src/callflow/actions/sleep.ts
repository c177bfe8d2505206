// sleep: waits, while the caller hears nothing.

import type { Action } from '../call.ts'
import { next } from '../flow.ts'

const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const LONGEST = 24 * UNITS.h

const isUnit = (unit: unknown): unit is keyof typeof UNITS => typeof unit === 'string' && Object.hasOwn(UNITS, unit)

export const sleep: Action = async ({ duration = 0, unit = 's' }, call) => {
  const ms = Number(duration) * (isUnit(unit) ? UNITS[unit] : UNITS.s)
  if (!isUnit(unit) || !Number.isFinite(ms) || ms < 0) {
    call.log.warn('sleep_unusable', { duration, unit })
    return next()
  }
  await new Promise<void>(resolve => {
    const wake = (): void => {
      cancel()
      call.signal.removeEventListener('abort', wake)
      resolve()
    }
    const cancel = call.ports.clock.after(Math.min(ms, LONGEST), wake)
    call.signal.addEventListener('abort', wake)
    if (call.signal.aborted) wake()
  })
  return next()
}
