// One voice for the log: a past-tense event name and facts. Ids always have the same key
// (account_id, recording_id, leg, node); a number has its unit in the key.

import pino from 'pino'

export type Facts = Readonly<Record<string, unknown>>

export interface Log {
  debug(event: string, facts?: Facts): void
  info(event: string, facts?: Facts): void
  warn(event: string, facts?: Facts): void
  error(event: string, facts?: Facts): void
}

export const LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const
export type Level = (typeof LEVELS)[number]

/** Lines of JSON on standard error, so that standard output stays for what a command answers. */
export function createLog(level: Level): Log {
  const out = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, messageKey: 'event' }, pino.destination({ dest: 2, sync: true }))
  return {
    debug: (event, facts = {}) => out.debug(facts, event),
    info: (event, facts = {}) => out.info(facts, event),
    warn: (event, facts = {}) => out.warn(facts, event),
    error: (event, facts = {}) => out.error(facts, event),
  }
}

const nothing = (): void => {}
export const silent: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing }
