// What `callrec doctor` says of one thing it looked at, and what its examinations are given.

import type { Clock } from './clock.ts'

export interface Finding {
  /** `fail`: recordings are or will be lost, or somebody gets in; `warn`: something callrec can do, it cannot do here. */
  is: 'ok' | 'warn' | 'fail'
  what: string
  todo?: string
}

export const ok = (what: string): Finding => ({ is: 'ok', what })
export const warn = (what: string, todo: string): Finding => ({ is: 'warn', what, todo })
export const fail = (what: string, todo: string): Finding => ({ is: 'fail', what, todo })

export interface Tools {
  clock: Clock
  /** Hex of so many bytes, for names nobody else has. */
  random: (bytes: number) => string
}
