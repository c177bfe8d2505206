// What may stand in the text of a switch command, place by place. A line feed ends an ESL command, a
// space an argument, and `${…}` in an execute argument runs: whatever is not on a list is refused.

import { AppError } from '../errors.ts'

/** Longest command in bytes; FreeSWITCH reads its socket one byte at a time (mod_event_socket.c, read_packet). */
const LONGEST = 65_536

export function refuse(argument: string, why: string): never {
  throw new AppError('unsafe_argument', `${argument}: ${why}`, { argument, why })
}

const matching = (pattern: RegExp, why: string) => (argument: string, text: string) => (pattern.test(text) ? text : refuse(argument, why))

/** A channel's id; SIP profiles may be told to use the Call-ID, so more than hex. */
const UUID = /^[A-Za-z0-9][A-Za-z0-9._@:+~=-]{0,255}$/
export const uuid = matching(UUID, 'not a channel id')
export const isUuid = (value: unknown): value is string => typeof value === 'string' && UUID.test(value)
export const cause = matching(/^[A-Z][A-Z0-9_]{1,63}$/, 'not a hangup cause')
export const module = matching(/^[a-z0-9_]{1,64}$/, 'not the name of a module')
/** A value inside `{}` or `[]`: nothing that separates, quotes, expands or ends there. */
export const simple = matching(/^[A-Za-z0-9._:@/+*#~-]{0,255}$/, 'only letters, digits and . _ : @ / + * # ~ - may stand in a dial string')

/** One argument of a command, and not an empty one. */
export const word = matching(/^[A-Za-z0-9._+*#~-]{1,255}$/, 'only letters, digits and . _ + * # ~ -')

/** A value in a table of the switch. */
export const marker = matching(/^[A-Za-z0-9._:-]{1,255}$/, 'only letters, digits and . _ : -')

export function whole(argument: string, number: number, least: number, most: number): string {
  if (!Number.isInteger(number) || number < least || number > most) refuse(argument, `not a whole number from ${least} to ${most}`)
  return String(number)
}

/** An absolute path the switch can read back as it was written: a space or `://` ends it, and `..` is followed. */
export function path(argument: string, text: string): string {
  if (!/^\/[A-Za-z0-9._/-]{1,1023}$/.test(text)) refuse(argument, 'not an absolute path of letters, digits and . _ / -')
  const steps = text.slice(1).split('/')
  if (steps.some(step => step === '' || step === '.' || step === '..')) refuse(argument, 'a path with an empty step, . or ..')
  if (steps.some(step => step.length > 255)) refuse(argument, 'a name longer than 255 bytes')
  return text
}

const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}]/u

/** Outside text (a caller's name) made fit for a channel variable: control characters become spaces. */
export function text(outside: string): string {
  const printable = outside.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ')
  // FreeSWITCH splits a value that starts so into a list (switch_event.c, switch_event_base_add_header).
  return printable.replace(/^(ARRAY:):+/, '$1')
}

/**
 * Outside text made fit to be shown to a phone. mod_sofia puts a caller's name into From as it is: it takes a quote for the name's end, a
 * backslash before the last one makes no header at all (the call fails with DESTINATION_OUT_OF_ORDER), and `%0a` becomes a line feed with
 * which the phone never rings (all seen on 1.11.2).
 */
export const displayable = (outside: string): string =>
  text(outside)
    .replaceAll(/\\(["\\])/g, '$1')
    .replaceAll('"', "'")
    .replaceAll('\\', ' ')
    .replaceAll(/%(?=[0-9A-Fa-f]{2})/g, '%25')

export function printable(argument: string, value: string): string {
  if (UNPRINTABLE.test(value)) refuse(argument, 'a control character')
  return value
}

/** The last look at a line before it goes out, whoever built it. */
export function line(argument: string, built: string): string {
  printable(argument, built)
  if (Buffer.byteLength(built) > LONGEST) refuse(argument, `longer than ${LONGEST} bytes`)
  return built
}
