// `{{call.caller_id_number}}` in the data of an action: pure. An expression is a path of two steps, with what to
// take instead after a `|`; there is no arithmetic and no call, so a flow can be checked when it is saved. One
// that yields nothing is an error, not an empty text: `https://example.com/?who=` helps nobody.

import type { Fields } from './flow.ts'

/** What is known of a call by these names; `vars.*` are set by set_variables and pivot. */
export const NAMES = {
  call: [
    'id',
    'interaction_id',
    'sip_call_id',
    'destination',
    'caller_id_name',
    'caller_id_number',
    'direction',
    'from_network',
    'to_network',
    'language',
    'capture_group',
    'digits',
    'last_cause',
    'last_sip_status',
  ],
  account: ['id', 'name', 'realm'],
  user: ['id', 'first_name', 'last_name', 'username'],
  device: ['id', 'name', 'username'],
  callflow: ['id', 'name'],
} as const satisfies Record<string, readonly string[]>

/** Undefined: the call has no such thing. */
export type Scope = (root: string, name: string) => string | undefined

interface Expression {
  root: string
  name: string
  otherwise?: string
}

export interface Fault {
  /** Steps from the data to the text. */
  path: readonly string[]
  expression: string
  why: string
}

export const VARIABLE_NAME = /^[A-Za-z0-9_]{1,50}$/

const isKnown = (root: string, name: string): boolean =>
  root === 'vars' ? VARIABLE_NAME.test(name) : Object.hasOwn(NAMES, root) && (NAMES as Record<string, readonly string[]>)[root]?.includes(name) === true

/** In words why it is none, else the expression. */
function expressionIn(inside: string): Expression | string {
  const [, root = '', name = '', otherwise] = /^\s*([a-z]+)\.(\w+)\s*(?:\|([^]*))?$/.exec(inside) ?? []
  if (root === '') return 'not of the form root.name or root.name|instead'
  if (!isKnown(root, name)) return `there is no ${root}.${name}`
  return { root, name, ...(otherwise === undefined ? {} : { otherwise: otherwise.trim() }) }
}

/** Texts and expressions in turn, or what is wrong with it. */
function parse(text: string): (string | Expression)[] | Omit<Fault, 'path'> {
  const parts: (string | Expression)[] = []
  for (let at = 0; ; ) {
    const open = text.indexOf('{{', at)
    if (open < 0) return [...parts, text.slice(at)]
    const close = text.indexOf('}}', open)
    const inside = text.slice(open + 2, close < 0 ? undefined : close)
    const expression = close < 0 ? 'it has no end }}' : expressionIn(inside)
    if (typeof expression === 'string') return { expression: text.slice(open, close < 0 ? undefined : close + 2).slice(0, 200), why: expression }
    parts.push(text.slice(at, open), expression)
    at = close + 2
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.includes('{{')

function* textsIn(value: unknown, path: readonly string[] = []): Generator<{ path: readonly string[]; text: string }> {
  if (isText(value)) yield { path, text: value }
  else if (typeof value === 'object' && value !== null) for (const [key, inner] of Object.entries(value)) yield* textsIn(inner, [...path, key])
}

/** Where expressions stand, and those that can never be filled in. */
export function expressionsIn(data: unknown): { paths: (readonly string[])[]; faults: Fault[] } {
  const paths: (readonly string[])[] = []
  const faults: Fault[] = []
  for (const { path, text } of textsIn(data)) {
    const parts = parse(text)
    paths.push(path)
    if ('why' in parts) faults.push({ path, ...parts })
  }
  return { paths, faults }
}

/** The data with every expression replaced; `faults` are those that yield nothing. */
export function fill(data: Fields, scope: Scope): { data: Fields; faults: Fault[] } {
  const faults: Fault[] = []

  function filled(text: string, path: readonly string[]): unknown {
    const parts = parse(text)
    if ('why' in parts) {
      faults.push({ path, ...parts })
      return text
    }
    const whole = parts.length === 3 && parts[0] === '' && parts[2] === ''
    const inUrl = !whole && /(^|_)url$/.test(path.at(-1) ?? '')
    const texts = parts.map(part => {
      if (typeof part === 'string') return part
      const value = scope(part.root, part.name) ?? part.otherwise
      if (value === undefined) faults.push({ path, expression: `{{${part.root}.${part.name}}}`, why: 'it yields nothing' })
      // A caller's name may hold slashes, and must not choose the path. Half a character would throw.
      return inUrl ? encodeURIComponent(Buffer.from(value ?? '').toString()) : (value ?? '')
    })
    const said = texts.join('')
    // Alone it may stand for a switch: `"answer": "{{vars.answer}}"`.
    return whole && (said === 'true' || said === 'false') ? said === 'true' : said
  }

  function walk(value: unknown, path: readonly string[]): unknown {
    if (isText(value)) return filled(value, path)
    if (Array.isArray(value)) return value.map((inner, at) => walk(inner, [...path, String(at)]))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, walk(inner, [...path, key])]))
  }

  return { data: walk(data, []) as Fields, faults }
}
