// Dial strings and the arguments of dialplan applications. FreeSWITCH expands `${…}` in both, API calls
// included (`${system(…)}` ran a command), so nothing that comes from outside ever stands here.

import { variable } from './variables.ts'
import { path, refuse, simple, uuid, whole } from './words.ts'

/** One leg that a bridge rings. */
export interface Target {
  /** `user/name@realm`, `sofia/profile/user@host`, `sofia/gateway/name/number`, `loopback/number/context`, `error/CAUSE` or `null/name` (nobody, who answers at once). */
  endpoint: string
  /** The leg's id, so that it is known before it exists. */
  uuid?: string
  variables?: Readonly<Record<string, string>>
  /** Seconds before it rings. */
  delay?: number
  /** Seconds it rings. */
  timeout?: number
}

const NAME = String.raw`[A-Za-z0-9._+*#~-]+`
const HOST = String.raw`[A-Za-z0-9.-]+(?::\d{1,5})?`
const ENDPOINT = `(?:user/${NAME}@${HOST}|sofia/gateway/${NAME}/${NAME}|sofia/${NAME}/${NAME}@${HOST}|loopback/${NAME}(?:/${NAME}){0,2}|error/[A-Z_]+|null/${NAME})`
const SETTING = String.raw`[A-Za-z0-9_]+=[A-Za-z0-9._:@/+*#~-]+`
const SETTINGS = `${SETTING}(?:,${SETTING})*`
const LEG = String.raw`(?:\[${SETTINGS}\])?${ENDPOINT}`
const DIAL = new RegExp(String.raw`^(?:\{${SETTINGS}\})?${LEG}(?:,${LEG})*$`)
const ONE_ENDPOINT = new RegExp(`^${ENDPOINT}$`)

/** FreeSWITCH rings up to 128 legs at once (switch_ivr_originate.c, MAX_PEERS). */
const MOST_TARGETS = 128

export const endpoint = (text: string): string => (ONE_ENDPOINT.test(text) ? text : refuse('endpoint', 'not an address callrec dials'))

/** `{a=b,c=d}`; FreeSWITCH drops a setting that has no value, so an empty one is left out. */
export function settings(brackets: '{}' | '[]', variables: Readonly<Record<string, string>>, place: 'leg' | 'recording' = 'leg'): string {
  const pairs = Object.entries(variables)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${variable(place, name, value)}=${simple(name, value)}`)
  return pairs.length === 0 ? '' : `${brackets.slice(0, 1)}${pairs.join(',')}${brackets.slice(1)}`
}

function leg(target: Target): string {
  const own: Record<string, string> = { ...target.variables }
  if (target.uuid !== undefined) own['origination_uuid'] = uuid('uuid', target.uuid)
  if (target.timeout !== undefined) own['leg_timeout'] = whole('timeout', target.timeout, 1, 3600)
  if (target.delay !== undefined && target.delay !== 0) own['leg_delay_start'] = whole('delay', target.delay, 0, 3600)
  return `${settings('[]', own)}${endpoint(target.endpoint)}`
}

/** The argument of `bridge` that rings all targets at once; the first to answer wins. */
export function bridgeArgument(targets: readonly Target[], variables: Readonly<Record<string, string>> = {}): string {
  if (targets.length === 0 || targets.length > MOST_TARGETS) refuse('targets', `not 1 to ${MOST_TARGETS} legs to ring`)
  return `${settings('{}', variables)}${targets.map(leg).join(',')}`
}

const isPath = (text: string): boolean => {
  path('path', text.startsWith('/') ? text : `/${text}`)
  return true
}
const TONE = /^(tone|silence)_stream:\/\/[A-Za-z0-9%(),.+=;-]+$/

/** A question a caller answers by pressing keys; `#` ends it. */
export interface Digits {
  most: number
  /** Until the first digit, from the end of the sound; and between digits. */
  timeoutMs: number
  betweenMs: number
  /** `tone_stream://` or `silence_stream://`. */
  sound: string
  /** Whether `#` ends them, which it does unless said; else it is one of them. */
  hashEnds?: boolean
}

const DIGITS = /^1 \d{1,3} 1 \d{1,6} (?:# \S+ silence_stream:\/\/1 callrec_digits \[0-9\*\]|none \S+ silence_stream:\/\/1 callrec_digits \[0-9\*#\]) \d{1,6}$/

/** The argument of play_and_get_digits. The answer is in the variable callrec_digits, which stays away when there is none. */
export function digitsArgument({ most, timeoutMs, betweenMs, sound, hashEnds = true }: Digits): string {
  if (!TONE.test(sound)) refuse('sound', 'only a tone or silence may be played')
  const ms = (argument: string, value: number): string => whole(argument, value, 1, 999_999)
  return `1 ${whole('most', most, 1, 128)} 1 ${ms('timeoutMs', timeoutMs)} ${hashEnds ? '#' : 'none'} ${sound} silence_stream://1 callrec_digits ${hashEnds ? '[0-9*]' : '[0-9*#]'} ${ms('betweenMs', betweenMs)}`
}

/** The argument of `record`; FreeSWITCH takes a 0 for none. */
export function recordArgument(file: string, { limit, silence }: { limit: number; silence?: { threshold: number; seconds: number } }): string {
  const words = [path('path', file), whole('limit', limit, 0, 1_000_000)]
  if (silence !== undefined) words.push(whole('threshold', silence.threshold, 1, 32_767), whole('seconds', silence.seconds, 1, 3600))
  return words.join(' ')
}

/** The argument of `conference`: a room of the profile `callrec` (freeswitch/conf). When one who `ends` it leaves, it is over for all. */
export const conferenceArgument = (room: string, { muted, ends }: { muted: boolean; ends: boolean }): string => {
  if (!/^[a-z0-9-]{1,64}$/.test(room)) refuse('room', 'only small letters, digits and hyphens')
  const flags = [...(muted ? ['mute'] : []), ...(ends ? ['endconf'] : [])].join('|')
  return `${room}@callrec${flags === '' ? '' : `+flags{${flags}}`}`
}

const SPEECH = /^[A-Za-z0-9 .,!?:;-]{1,1500}$/

/** Those of mod_flite: an American woman, two American men, a Scotsman. */
export const VOICES = ['slt', 'kal', 'rms', 'awb'] as const
const SPEAK = /^flite\|(?:slt|kal|rms|awb)\|/

/** The argument of `speak`. */
export const speechArgument = (text: string, voice: (typeof VOICES)[number] = VOICES[0]): string =>
  SPEECH.test(text) ? `flite|${voice}|${text}` : refuse('text', 'only letters, digits, spaces and . , ! ? : ; - are spoken')

const nothing = (text: string): boolean => text === ''

// An application that FreeSWITCH does not know hangs the channel up, and some (system, lua, set) do
// whatever their argument says: only those callrec uses, each with what its argument may be.
const APPLICATIONS: Readonly<Record<string, (argument: string) => boolean>> = {
  answer: nothing,
  break: nothing,
  bridge: argument => DIAL.test(argument),
  conference: argument => /^[a-z0-9-]{1,64}@callrec(\+flags\{(mute|endconf)(\|endconf)?\})?$/.test(argument),
  eavesdrop: argument => /^[A-Za-z0-9-]+$/.test(argument),
  hangup: argument => /^[A-Z_]*$/.test(argument),
  park: nothing,
  playback: argument => TONE.test(argument) || isPath(argument),
  play_and_get_digits: argument => DIGITS.test(argument) && TONE.test(argument.split(' ')[5] ?? ''),
  pre_answer: nothing,
  record: argument => isPath(argument.replace(/( \d+){0,3}$/, '')),
  respond: argument => /^\d{3}( [A-Za-z ]+)?$/.test(argument),
  ring_ready: nothing,
  sleep: argument => /^\d{1,9}$/.test(argument),
  // What the leg is sent: 0 as it is, else quieter or louder.
  set_audio_level: argument => /^write (?:-?[1-4]|0)$/.test(argument),
  speak: argument => SPEAK.test(argument) && SPEECH.test(argument.replace(SPEAK, '')),
  start_dtmf: nothing,
  stop_dtmf: nothing,
  // Never the inline dialplan: `transfer system:… inline` is an execute of its own.
  transfer: argument => /^(-(bleg|both) )?[A-Za-z0-9._+*#-]+( XML( [A-Za-z0-9._-]+)?)?$/.test(argument),
  wait_for_silence: argument => /^\d+( \d+){2,3}$/.test(argument),
}

export function application(app: string, argument: string): void {
  const allowed = Object.hasOwn(APPLICATIONS, app) ? APPLICATIONS[app] : undefined
  if (allowed === undefined) refuse(`application ${JSON.stringify(app).slice(0, 80)}`, 'callrec executes no such application')
  if (!allowed(argument)) refuse(`argument of ${app}`, 'not what this application may be given')
}
