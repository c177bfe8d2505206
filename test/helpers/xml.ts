// Reads FreeSWITCH's configuration the way FreeSWITCH does, for tests without one: X-PRE-PROCESS lines are followed, `$${…}`
// is replaced, and what comes out must be well-formed.

import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export interface Element {
  name: string
  attributes: Readonly<Record<string, string>>
  children: Element[]
}

const ENTITIES: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

/** The root element; throws with the place when the text is not well-formed. Text between elements is not kept. */
export function parseXml(text: string): Element {
  const root: Element = { name: '', attributes: {}, children: [] }
  const open = [root]
  const token = /<!--([\s\S]*?)-->|<\?[\s\S]*?\?>|<(\/?)([A-Za-z][\w.-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/y
  while (token.lastIndex < text.length) {
    const at = token.lastIndex
    const match = token.exec(text)
    const refuse = (why: string): never => {
      throw new Error(`${why} at ${JSON.stringify(text.slice(at, at + 60))}`)
    }
    if (!match) return refuse('not well-formed')
    const [, comment, closing, name, attributes = '', empty, plain] = match
    if (comment?.includes('--')) refuse('-- inside a comment')
    if (plain !== undefined && /&(?!\w+;|#)/.test(plain)) refuse('a bare &')
    if (name === undefined) continue
    const parent = open.at(-1) ?? root
    if (closing) {
      if (parent.name !== name || open.length === 1) refuse(`</${name}> closes <${parent.name}>`)
      open.pop()
      continue
    }
    const element: Element = { name, attributes: attributesOf(attributes), children: [] }
    parent.children.push(element)
    if (!empty) open.push(element)
  }
  if (open.length > 1) throw new Error(`<${open.at(-1)?.name}> is never closed`)
  const [first, second] = root.children
  if (!first || second) throw new Error('not one root element')
  return first
}

const attributesOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    [...text.matchAll(/([\w:-]+)="([^"]*)"/g)].map(([, name = '', value = '']) => [
      name,
      value.replace(/&(\w+);/g, (all, word: string) => ENTITIES[word] ?? all),
    ]),
  )

export interface Preprocessed {
  text: string
  /** Set by X-PRE-PROCESS cmd="set". */
  variables: Readonly<Record<string, string>>
  /** `$${…}` that were used, set or not. */
  used: ReadonlySet<string>
}

/** switch_xml.c preprocess(): line by line, one instruction a line, `<include>` and `<?xml` lines dropped. */
export function preprocess(file: string): Preprocessed {
  const variables: Record<string, string> = {}
  const used = new Set<string>()
  const expand = (line: string): string =>
    line.replace(/\$\$\{(\w+)\}/g, (_, name: string) => {
      used.add(name)
      return variables[name] ?? ''
    })
  const read = (path: string): string =>
    readFileSync(path, 'utf8')
      .split('\n')
      .map(line => {
        if (/<include>|<\/include>|<\?/.test(line)) return ''
        const instruction = /<X-PRE-PROCESS cmd="(\w+)" data="([^"]*)"\/>/.exec(line)
        if (!instruction) return expand(line)
        const [, command, data = ''] = instruction
        if (command === 'set') variables[data.slice(0, data.indexOf('='))] = expand(data.slice(data.indexOf('=') + 1))
        if (command === 'include')
          return matching(join(dirname(path), data))
            .map(read)
            .join('\n')
        return ''
      })
      .join('\n')
  const text = read(file)
  return { text, variables, used }
}

function matching(pattern: string): string[] {
  const [start = '', end = ''] = basename(pattern).split('*')
  if (!pattern.includes('*')) return [pattern]
  return readdirSync(dirname(pattern))
    .filter(name => name.startsWith(start) && name.endsWith(end))
    .sort()
    .map(name => join(dirname(pattern), name))
}

/** All elements of that name below, in document order. */
export const all = (root: Element, name: string): Element[] => root.children.flatMap(child => [...(child.name === name ? [child] : []), ...all(child, name)])

/** `<param name value>` children (or deeper) as an object. */
export const params = (root: Element, name = 'param'): Record<string, string> =>
  Object.fromEntries(all(root, name).map(({ attributes }) => [attributes['name'] ?? '', attributes['value'] ?? '']))

export const named = (root: Element, element: string, name: string): Element => {
  const found = all(root, element).find(({ attributes }) => attributes['name'] === name)
  if (!found) throw new Error(`no <${element} name="${name}">`)
  return found
}
