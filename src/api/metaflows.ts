// Metaflows: what keys do in mid-call. They have paths of their own, but are a field of the account, user,
// device or callflow they belong to (cb_metaflows.erl), so its revision is theirs.

import type { Place, Verbs } from './document.ts'
import { type Fields, isObject } from './fields.ts'
import { checkFlow, whyNoExpression } from './flow.ts'
import { join, pathOf, problem, type Problems, refuse } from './problems.ts'
import type { Answer, Changing, Request, Route } from './route.ts'
import type { Validator } from './validate.ts'

/** Steps a metaflow may have. */
export const METAFLOW_MODULES = ['hangup', 'record_call', 'siprec_recording', 'transfer']

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

/** Of the documents at `one`. */
export function metaflowRoutes(
  validator: Validator,
  does: Verbs,
  one: string,
  place: (request: Request) => Place,
  changing: Changing = { access: 'admin' },
): Route[] {
  const path = `${one}/metaflows`
  const only = ({ data, ...answer }: Answer): Answer => ({ ...answer, data: (data as Fields)['metaflows'] ?? {} })

  async function set(request: Request): Promise<Answer> {
    const { fields, problems } = validator.check('metaflows', request.data)
    refuse(join(problems, checkMetaflows(validator, fields, []).problems))
    return only(await does.change(place(request), request, before => ({ ...before, metaflows: request.data })))
  }

  const drop = async (request: Request): Promise<Answer> => only(await does.change(place(request), request, before => ({ ...before, metaflows: null })))

  return [
    { method: 'GET', path, access: 'user', run: async request => only(await does.read(place(request), request)) },
    { method: 'POST', path, ...changing, run: set },
    { method: 'DELETE', path, ...changing, run: drop },
  ]
}
