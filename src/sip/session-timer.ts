// Session timers (RFC 4028): who refreshes a dialog, and when it is taken for dead. Pure.

import { type Header, header, headersOf, type Message, parameters } from './message.ts'

/** Seconds. */
export const SHORTEST = 90
export const WANTED = 1800

export interface SessionTimer {
  seconds: number
  refresher: 'us' | 'them'
}

/** What a caller asks for. */
export const ASKED: readonly Header[] = [
  ['Session-Expires', String(WANTED)],
  ['Min-SE', String(SHORTEST)],
]

function told(message: Message): { seconds: number; refresher: string | undefined } | undefined {
  const [, seconds, params] = /^(\d{1,9})\s*(;.*)?$/.exec(header(message, 'session-expires') ?? '') ?? []
  return seconds === undefined ? undefined : { seconds: Number(seconds), refresher: parameters(params ?? '').get('refresher') }
}

/** From the 2xx to a request of ours; undefined when the other side wants none. */
export function agreed(response: Message): SessionTimer | undefined {
  const said = told(response)
  return said && { seconds: Math.max(said.seconds, SHORTEST), refresher: said.refresher === 'uas' ? 'them' : 'us' }
}

/** In whatever else of ours would end it otherwise (section 7.4). */
export const kept = (timer: SessionTimer | undefined): readonly Header[] =>
  timer === undefined ? [] : [['Session-Expires', `${timer.seconds};refresher=${timer.refresher === 'us' ? 'uac' : 'uas'}`]]

/** For a request of the other side: what our 2xx says, or that its time is too short (422). */
export function granted(request: Message): { timer?: SessionTimer; headers: readonly Header[] } | 'too_short' {
  const said = told(request)
  const knows = headersOf(request, 'supported').some(one => one.toLowerCase() === 'timer')
  if (said === undefined || !knows) return { headers: [] }
  if (said.seconds < SHORTEST) return 'too_short'
  const refresher = said.refresher === 'uas' ? 'uas' : 'uac'
  return {
    timer: { seconds: said.seconds, refresher: refresher === 'uas' ? 'us' : 'them' },
    headers: [
      ['Require', 'timer'],
      ['Session-Expires', `${said.seconds};refresher=${refresher}`],
    ],
  }
}

/** Milliseconds until we refresh, or until we take it for dead (section 10). */
export const waitOf = ({ seconds, refresher }: SessionTimer): number => (refresher === 'us' ? seconds / 2 : seconds - Math.min(32, seconds / 3)) * 1000
