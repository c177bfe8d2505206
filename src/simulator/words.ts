// FreeSWITCH's way to take a line apart: single quotes group, backslashes are interpreted, braces hold variables. Pure.
// Its rules (switch_utils.c, switch_separate_string) are kept with their oddities: a lone quote is text, `\s` is a space.

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', s: ' ' }

/** At most `limit` words; the last takes the rest of the line, spaces and all. */
export function splitWords(line: string, limit: number): string[] {
  const words: string[] = []
  let i = 0
  while (i < line.length && words.length < limit) {
    const start = i
    while (line[i] === ' ') i++
    let quoted = false
    for (; i < line.length; i++) {
      if (line[i] === '\\') i++
      else if (line[i] === "'") quoted = !quoted
      else if (line[i] === ' ' && !quoted && words.length < limit - 1) break
    }
    words.push(clean(line.slice(start, i)))
    while (line[i] === ' ') i++
  }
  return words
}

/** Parts between `delimiter`, which a quote or a backslash protects; `^^:` in front makes `:` the delimiter. */
export function splitList(text: string, delimiter: string, limit = 1024): string[] {
  if (text.startsWith('^^') && text.length > 2) return splitList(text.slice(3), text.charAt(2), limit)
  const parts: string[] = []
  let start = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === "'" && (quoted || text.includes("'", i + 1))) quoted = !quoted
    else if (text[i] === delimiter && !quoted && parts.length < limit - 1) {
      parts.push(clean(text.slice(start, i), delimiter))
      start = i + 1
    }
  }
  if (start < text.length) parts.push(clean(text.slice(start), delimiter))
  return parts
}

/** Quotes and outer spaces away, escapes done. */
function clean(text: string, delimiter = ''): string {
  let out = ''
  let end = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i)
    const next = text.charAt(i + 1)
    if (c === '\\' && (next === "'" || next === '"' || next === '\\' || next in ESCAPES || (next !== '' && next === delimiter))) {
      out += ESCAPES[next] ?? next
      end = out.length
      i++
    } else if (c === "'" && (quoted || text.includes("'", i + 1))) {
      quoted = !quoted
      if (quoted) end = out.length
    } else if (c !== ' ' || quoted || out !== '') {
      out += c
      if (c !== ' ' || quoted) end = out.length
    }
  }
  return out.slice(0, end)
}

/** `{a=1,b=2}rest` or `[…]rest` → the variables and the rest; several groups in a row add up. */
export function takeVariables(text: string, open: '{' | '['): { variables: Map<string, string>; rest: string } {
  const variables = new Map<string, string>()
  let rest = text.trimStart()
  for (let end = closing(rest, open); end > 0; end = closing(rest, open)) {
    for (const pair of splitList(rest.slice(1, end), ',')) {
      const at = pair.indexOf('=')
      if (at > 0) variables.set(pair.slice(0, at), clean(pair.slice(at + 1)))
    }
    rest = rest.slice(end + 1).trimStart()
  }
  return { variables, rest }
}

/** Where the bracket at the start closes; -1 when there is none. */
function closing(text: string, open: '{' | '['): number {
  const close = open === '{' ? '}' : ']'
  if (text[0] !== open) return -1
  for (let i = 0, depth = 0; i < text.length; i++) {
    if (text[i] === '\\') i++
    else if (text[i] === open) depth++
    else if (text[i] === close && --depth === 0) return i
  }
  return -1
}

/** Parts between `delimiter` that stand outside of brackets and quotes, as they are. */
export function splitOutside(text: string, delimiter: string): string[] {
  const parts: string[] = []
  let start = 0
  let depth = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i)
    if (c === '\\') i++
    else if (c === "'") quoted = !quoted
    else if ('[{'.includes(c)) depth++
    else if (']}'.includes(c)) depth--
    else if (c === delimiter && depth === 0 && !quoted) {
      parts.push(text.slice(start, i))
      start = i + 1
    }
  }
  parts.push(text.slice(start))
  return parts
}

export const isTrue = (text: string | undefined): boolean => /^(yes|on|true|t|enabled|active|allow|[1-9]\d*)$/i.test(text ?? '')
