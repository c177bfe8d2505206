// How parties are told that they are recorded, and what they may answer: the settings `announce` and `beep` as they are
// read from documents, and what is said of it in a recording.

import { AppError } from '../errors.ts'
import { speechArgument } from '../switch/commands.ts'
import { playable, speakable } from '../switch/media.ts'

export const AUDIENCES = ['both', 'caller', 'callee'] as const
export type Audience = (typeof AUDIENCES)[number]
type Side = Exclude<Audience, 'both'>

export interface Announce {
  /** As the action `play` takes it. */
  media?: string
  /** … or as the action `tts` does. */
  text?: string
  to: Audience
  /** Without it nothing is recorded. */
  required: boolean
  /** The recording begins first, and has the announcement in it. */
  keep: boolean
  /** Who was told and presses it is not recorded. */
  optout_key?: string
  /** Nothing is recorded before it was pressed by all who were asked. */
  consent_key?: string
}

export interface Beep {
  /** Seconds. */
  every: number
  to: Audience
}

type Fields = Readonly<Record<string, unknown>>
const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)
const isOff = (value: unknown): boolean => value === false || value === 'false'
const audience = (value: unknown): Audience => AUDIENCES.find(one => one === value) ?? 'both'
const key = (value: unknown): string | undefined => (typeof value === 'string' && /^[0-9*#]$/.test(value) ? value : undefined)

/** False takes away what a weaker layer says. What is wrong in one is found when it is to be played: rather no recording than one nobody is told of. */
export function readAnnounce(value: unknown): Announce | false | undefined {
  if (isOff(value)) return false
  if (!isObject(value)) return undefined
  const { media, text, to, required, keep, optout_key, consent_key } = value
  const [optout, consent] = [key(optout_key), key(consent_key)]
  return {
    ...(typeof media === 'string' ? { media } : typeof text === 'string' ? { text } : {}),
    to: audience(to),
    required: required !== false,
    keep: keep === true,
    ...(optout === undefined ? {} : { optout_key: optout }),
    ...(consent === undefined ? {} : { consent_key: consent }),
  }
}

/** Seconds, as in the rules of the states that ask for one. */
const USUAL_BEEP = 15
export const BEEP_SECONDS = { min: 1, max: 3600 } as const

export function readBeep(value: unknown): Beep | false | undefined {
  if (isOff(value)) return false
  if (value === true || value === 'true') return { every: USUAL_BEEP, to: 'both' }
  if (!isObject(value)) return undefined
  const { every, to } = value
  const whole = typeof every === 'number' && Number.isInteger(every) && every >= BEEP_SECONDS.min && every <= BEEP_SECONDS.max
  return { every: whole ? every : USUAL_BEEP, to: audience(to) }
}

export const hears = (to: Audience, side: Side): boolean => to === 'both' || to === side

/** The application that says it, and its argument. Throws what kept it from being said. */
export function saying({ media, text }: Announce, modules: Readonly<Record<string, boolean>>): readonly [app: 'playback' | 'speak', argument: string] {
  if (media !== undefined) {
    const source = playable(media)
    if (source === undefined) throw new AppError('validation error', 'its media is no tone or silence that can be played')
    return ['playback', source]
  }
  const words = speakable(text ?? '')
  if (words === '') throw new AppError('validation error', 'it has nothing that can be said')
  if (modules['mod_flite'] !== true) throw new AppError('validation error', 'the switch has no speech engine: load mod_flite')
  return ['speak', speechArgument(words)]
}

/** One party was told, or was to be. Times are ISO 8601. */
export interface Notice {
  leg: string
  party: Side
  media?: string
  text?: string
  at: string
  ended_at?: string
  /** `left`: he was gone before its end. */
  outcome: 'played' | 'broken_off' | 'failed' | 'left'
  reason?: string
  /** What he pressed of the keys he was offered. */
  key?: string
  key_at?: string
}

export interface Beeped {
  leg: string
  party: Side
  every: number
  at: string
  /** Why he does not hear it. */
  reason?: string
}

/** As it is kept in the documents of a recording. */
export interface Consent {
  announced?: readonly Notice[]
  beeps?: readonly Beeped[]
  /** Who did not want it, whichever recording he was told of. */
  refused?: { leg: string; key: string; at: string }
}
