// A log that can be read back.

import type { Facts, Log } from '../../src/log.ts'

export interface Line extends Facts {
  level: string
  event: string
}

export function notedLog(): { log: Log; lines: Line[] } {
  const lines: Line[] = []
  const at =
    (level: string) =>
    (event: string, facts: Facts = {}): void =>
      void lines.push({ level, event, ...facts })
  return { lines, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } }
}
