// What a switch answered → a value or the error of the port. The texts are mod_commands' and
// mod_event_socket's own (transcripts 11, 41, 60).

import { AppError } from '../errors.ts'

const GONE = /^-ERR (No such channel!|Cannot locate session!|invalid session id)/
/** What an API says by writing nothing, as uuid_buglist does for a channel that is not there. */
export const WROTE_NOTHING = '-ERR no reply'

export const isRefusal = (reply: string): boolean => reply.startsWith('-')

export function refusal(node: string, what: string, reply: string, data: Record<string, unknown> = {}): AppError {
  const said = reply.trim().split('\n', 1)[0] ?? ''
  const code = GONE.test(said) ? 'leg_gone' : 'switch_refused'
  return new AppError(code, `${node}: ${what} was refused: ${said}`, { node, reply: said, ...data })
}

/** The answer, unless it is a refusal. */
export function accepted(node: string, what: string, reply: string): string {
  if (isRefusal(reply)) throw refusal(node, what, reply)
  return reply
}

/** `-ERR USER_BUSY` → USER_BUSY; undefined when it names no hangup cause. */
export const causeOf = (reply: string): string | undefined => /^-ERR ([A-Z][A-Z0-9_]+)\s*$/.exec(reply)?.[1]

/** Paths of uuid_buglist's recordings; other bugs (eavesdrop, tone detection) are not ours. */
export const recordingsOf = (buglist: string): string[] =>
  [...buglist.matchAll(/<function>session_record<\/function>\s*<target>([^<]*)<\/target>/g)].map(([, path]) => path ?? '')

/** Channel ids of `show channels as json`. */
export function channelsOf(json: string): string[] {
  const { rows } = JSON.parse(json) as { rows?: readonly { uuid?: unknown }[] }
  return (rows ?? []).map(({ uuid }) => uuid).filter(uuid => typeof uuid === 'string')
}
