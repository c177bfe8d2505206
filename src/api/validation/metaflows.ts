// Metaflows, what keys do in mid-call, as they may be saved.

import { type Fields, isObject } from './fields.ts'
import { checkFlow, whyNoExpression } from './flow.ts'
import { join, pathOf, problem, type Problems } from './problems.ts'
import type { Validator } from './validate.ts'

/** Steps a metaflow may have. */
export const METAFLOW_MODULES = ['hangup', 'play', 'record_call', 'siprec_recording', 'transfer']

/** Beyond the schema `metaflows`: every step's data, and that patterns are expressions. */
export function checkMetaflows(validator: Validator, metaflows: Fields, at: readonly string[]): { fields: Fields; problems: Problems } {
  const checked: Fields = { ...metaflows }
  const problems: Problems[] = []
  for (const by of ['numbers', 'patterns']) {
    const flows = metaflows[by]
    if (!isObject(flows)) continue
    const entries = Object.entries(flows).map(([key, node]) => [key, checkFlow(validator, METAFLOW_MODULES, node, [...at, by, key], 'metaflow')] as const)
    checked[by] = Object.fromEntries(entries.map(([key, { flow }]) => [key, flow]))
    problems.push(...entries.map(one => one[1].problems))
    if (by === 'patterns') problems.push(...Object.keys(flows).map(pattern => patternProblem(pattern, [...at, by, pattern])))
  }
  return { fields: checked, problems: join(...problems) }
}

function patternProblem(pattern: string, at: readonly string[]): Problems {
  const message = whyNoExpression(pattern)
  return message === undefined ? {} : problem(pathOf(at), 'error', { message, value: pattern })
}
