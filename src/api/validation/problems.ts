// Crossbar's shape of a refused body: dotted path → code → what is wrong (crossbar: cb_context
// add_validation_error). Several paths and several codes of one path are told at once.

import { AppError } from '../../errors.ts'
import { withoutSecrets } from './secrets.ts'

export interface Problem {
  message: string
  target?: unknown
  value?: unknown
  cause?: unknown
  format?: string
}

export type Problems = Record<string, Record<string, Problem>>

/** A dot inside a key would look like the end of it, so it is written `%2E`. */
export const pathOf = (steps: readonly (string | number)[]): string => steps.map(step => String(step).replaceAll('.', '%2E')).join('.')

/** Repeats what was wrong, but no secret in it. */
export function problem(path: string, code: string, what: Problem): Problems {
  const repeat = (key: 'value' | 'cause'): object => (key in what ? { [key]: withoutSecrets(what[key], path) } : {})
  return { [path]: { [code]: { ...what, ...repeat('value'), ...repeat('cause') } } }
}

export function join(...all: readonly Problems[]): Problems {
  const joined: Problems = {}
  for (const problems of all) for (const [path, codes] of Object.entries(problems)) joined[path] = { ...joined[path], ...codes }
  return joined
}

/** Throws unless there is nothing to tell. */
export function refuse(problems: Problems): void {
  const paths = Object.keys(problems)
  if (paths.length > 0) throw new AppError('validation error', `refused because of ${paths.join(', ')}`, problems)
}
