// Checks the tree of a callflow or a metaflow: each action's module is one the executor has, each action's data what
// that module's schema says. Problems name the whole way to them, `flow.children._.data.time_limit`.

import { reasonOf } from '../../errors.ts'
import { expressionsIn } from '../../callflow/expressions.ts'
import { type Fields, isObject } from './fields.ts'
import { join, pathOf, problem, type Problems } from './problems.ts'
import type { Checked, Validator } from './validate.ts'

/** Whose actions they are: the schema of one is `{kind}s.{module}`. */
type Kind = 'callflow' | 'metaflow'

export interface Flow {
  /** With the defaults of every module's schema filled in. */
  flow: unknown
  problems: Problems
}

export function checkFlow(validator: Validator, modules: readonly string[], node: unknown, at: readonly string[] = ['flow'], kind: Kind = 'callflow'): Flow {
  // What is no action at all is refused by the schema callflows.action.
  if (!isObject(node) || typeof node['module'] !== 'string') return { flow: node, problems: {} }
  const data = checkData(validator, modules, node['module'], node['data'], at, kind)
  const children = Object.entries(isObject(node['children']) ? node['children'] : {}).map(
    ([key, child]) => [key, checkFlow(validator, modules, child, [...at, 'children', key], kind)] as const,
  )
  return {
    flow: {
      ...node,
      data: data.fields,
      ...(isObject(node['children']) ? { children: Object.fromEntries(children.map(([key, { flow }]) => [key, flow])) } : {}),
    },
    problems: join(data.problems, ...children.map(([, { problems }]) => problems)),
  }
}

function checkData(
  validator: Validator,
  modules: readonly string[],
  module: string,
  data: unknown,
  at: readonly string[],
  kind: Kind,
): { fields: unknown; problems: Problems } {
  const schema = `${kind}s.${module}`
  if (!modules.includes(module) || !validator.has(schema)) {
    const message = `unable to find ${kind} schema for module ${module}`
    return { fields: data, problems: problem(pathOf([...at, 'module']), 'error', { message, value: module }) }
  }
  if (!isObject(data)) return { fields: data, problems: {} }
  const checked = validator.check(schema, data, [...at, 'data'])
  return kind === 'callflow' ? withExpressions(checked, data, [...at, 'data']) : checked
}

/** What an expression will be is known when the call is there: the schema has no say in it, but it must be one that can be filled in. */
function withExpressions({ fields, problems }: Checked, data: Fields, at: readonly string[]): Checked {
  const { paths, faults } = expressionsIn(data)
  const open = new Set(paths.map(path => pathOf([...at, ...path])))
  const others = Object.fromEntries(Object.entries(problems).filter(([path]) => !open.has(path)))
  const wrong = faults.map(({ path, expression, why }) => problem(pathOf([...at, ...path]), 'error', { message: `${expression}: ${why}`, value: expression }))
  return { fields, problems: join(others, ...wrong) }
}

/** Every action of a flow, skipped ones left out. */
export function actionsOf(node: unknown): Fields[] {
  if (!isObject(node)) return []
  const children = isObject(node['children']) ? Object.values(node['children']) : []
  const skipped = isObject(node['data']) && node['data']['skip_module'] === true
  return [...(skipped ? [] : [node]), ...children.flatMap(actionsOf)]
}

/** One that compiles may still be slow; the executor gives up on such a one (callflow/patterns.ts). */
export function whyNoExpression(pattern: string): string | undefined {
  try {
    void new RegExp(pattern)
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

/** For a flow that comes by another way than the API: checked as strictly, told in lines. */
export const flowChecker =
  (validator: Validator, modules: readonly string[]) =>
  (node: unknown): { flow: unknown; faults: string[] } => {
    if (!isObject(node)) return { flow: node, faults: ['flow: not an object'] }
    const shape = validator.check('callflows.action', node, ['flow'])
    const { flow, problems } = checkFlow(validator, modules, shape.fields)
    const faults = Object.entries(join(shape.problems, problems)).flatMap(([path, codes]) => Object.values(codes).map(({ message }) => `${path}: ${message}`))
    return { flow, faults }
  }
