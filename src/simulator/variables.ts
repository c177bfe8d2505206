// `${name}`, `${name:offset:length}` and `${api(args)}` in what an application is given. FreeSWITCH expands the value it
// finds once more, so text of a stranger that reaches a variable *and* is referred to runs as an API command. The same
// happens here, so that a test can show it does not happen; a shell command is only counted (exchange.systemCall).

import { arrayText } from './event.ts'
import type { Exchange } from './exchange.ts'
import type { Leg } from './leg.ts'

const DEEPEST = 100

export function expand(exchange: Exchange, leg: Leg, text: string, depth = 0): string {
  if (depth > DEEPEST || !/[$\\]/.test(text)) return text
  let out = ''
  for (let i = 0; i < text.length; i++) {
    const two = text.slice(i, i + 2)
    if (two === '\\$') {
      out += '$'
      i++
    } else if (two === "\\'") i++
    else if (two === '\\\\') {
      out += '\\'
      i++
    } else if (two === '${') {
      const end = closing(text, i + 1)
      out += valueOf(exchange, leg, text.slice(i + 2, end), depth)
      i = end
    } else out += text.charAt(i)
  }
  return out
}

/** Index of the brace that closes the one at `open`, or the end of the text. */
function closing(text: string, open: number): number {
  for (let i = open, depth = 0; i < text.length; i++) {
    if (text[i] === '{') depth++
    else if (text[i] === '}' && --depth === 0) return i
  }
  return text.length
}

function valueOf(exchange: Exchange, leg: Leg, expression: string, depth: number): string {
  const call = /^([^ (]+)[ (](.*?)\)?$/s.exec(expression)
  if (call) {
    const line = `${expand(exchange, leg, call[1] ?? '', depth + 1)} ${expand(exchange, leg, call[2] ?? '', depth + 1)}`
    const answer = exchange.api(line.trimEnd(), leg)
    // What takes time (originate) runs all the same; nobody waits for it here.
    return typeof answer === 'string' ? answer : ''
  }
  const [name = '', offset = '0', length = '0'] = expand(exchange, leg, expression, depth + 1).split(':')
  const value = lookup(exchange, leg, name)
  if (value === undefined) return ''
  const expanded = expand(exchange, leg, value, depth + 1)
  const [from, count] = [Number.parseInt(offset, 10) || 0, Number.parseInt(length, 10) || 0]
  return count > 0 ? expanded.slice(from).slice(0, count) : expanded.slice(from)
}

/** A channel variable, a field of the caller's profile under its variable name, or a global variable. */
export function lookup(exchange: Exchange, leg: Leg, name: string): string | undefined {
  const value = leg.variables.get(name)
  if (value !== undefined) return typeof value === 'string' ? value : arrayText(value)
  const profile: Readonly<Record<string, string>> = {
    caller_id_name: leg.profile.callerIdName,
    caller_id_number: leg.profile.callerIdNumber,
    callee_id_name: leg.profile.calleeIdName,
    callee_id_number: leg.profile.calleeIdNumber,
    destination_number: leg.profile.destination,
    ani: leg.profile.ani,
    username: leg.profile.username,
    channel_name: leg.name,
    uuid: leg.uuid,
  }
  return (Object.hasOwn(profile, name) ? profile[name] : undefined) || exchange.globals.get(name)
}
