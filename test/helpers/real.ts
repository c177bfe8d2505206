// Real programs: whether they are here, and one line of each file that would use them, so that nobody takes
// what ran on the embedded neighbours alone for more.

import { accessSync, constants, realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The file itself, links followed. */
export function program(name: string): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const file = join(folder, name)
    try {
      accessSync(file, constants.X_OK)
      return realpathSync(file)
    } catch {
      // not there
    }
  }
  return undefined
}

export const onPath = (name: string): boolean => program(name) !== undefined

/** Whether all of them are here; the line says what that means for `what`. */
export function realRun(what: string, present: Readonly<Record<string, boolean>>): boolean {
  const names = Object.keys(present)
  const missing = names.filter(name => present[name] !== true)
  process.stdout.write(
    missing.length === 0
      ? `  # ${what}: run on a real ${names.join(' and ')}\n`
      : `  # ${what}: skipped on real ones, there is no ${missing.join(' and no ')}\n`,
  )
  return missing.length === 0
}
