// Which recording settings hold, and which layer said so. The merge law: normalise each layer,
// expand `any` under every direction and network, merge weakest first, and only then is a leaf
// without `enabled` off. The layer each value came from is part of the answer, not a debug feature.

import { type Announce, type Beep, readAnnounce, readBeep } from './announce.ts'

/** Weakest first. */
export const LAYERS = ['system', 'account', 'user', 'device', 'callflow', 'action'] as const
export type Layer = (typeof LAYERS)[number]

export const DIRECTIONS = ['inbound', 'outbound'] as const
export const NETWORKS = ['onnet', 'offnet'] as const
export type Direction = (typeof DIRECTIONS)[number]
export type Network = (typeof NETWORKS)[number]

export const FORMATS = ['mp3', 'ogg', 'wav'] as const
export type Format = (typeof FORMATS)[number]
/** Hz. FreeSWITCH silently records at the leg's rate when asked for any other (switch_ivr_async.c, record_sample_rate). */
export const SAMPLE_RATES = [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000] as const
/** Seconds; the upper end is MAX_TIME_LIMIT's default and the schema's (Kazoo: callflows.record_call.json). */
export const TIME_LIMIT = { min: 5, max: 10_800 } as const
/** A hundred years; the schema's. */
export const RETENTION_DAYS = { min: 0, max: 36_500 } as const

/** What a document or an action may say. `record_min_sec` and `time_limit` are seconds, `record_sample_rate` Hz, `url` the tenant's base URL. */
export interface Settings {
  enabled?: boolean
  format?: (typeof FORMATS)[number]
  record_min_sec?: number
  record_on_answer?: boolean
  record_on_bridge?: boolean
  record_sample_rate?: number
  time_limit?: number
  url?: string
  method?: 'put' | 'post'
  stereo?: boolean
  /** After its start; 0 is for ever. */
  retention_days?: number
  should_follow_transfer?: boolean
  /** What is said to whom before anything is kept; false takes away what a weaker layer says. */
  announce?: Announce | false
  /** A tone while it is recorded. */
  beep?: Beep | false
  /** SIP URIs of recording servers that hear the call beside, separated by commas. */
  siprec_server?: string
}
export type Setting = keyof Settings

/** Each setting that somebody set, with the layer that won. */
export type Effective = { readonly [S in Setting]?: { readonly value: NonNullable<Settings[S]>; readonly from: Layer } }

/** The four leaves there are; no other exists. */
export type Leaves<T> = Readonly<Record<Direction, Readonly<Record<Network, T>>>>

/** What one document says, in the two generations of settings. On an account `call_recording` is its `endpoint` part. */
export interface Flags {
  record_call?: unknown
  call_recording?: unknown
}

type Fields = Readonly<Record<string, unknown>>
type Reader<T> = (value: unknown) => T | undefined

const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)
const object = (value: unknown): Fields => (isObject(value) ? value : {})

const boolean: Reader<boolean> = value => (value === true || value === 'true' ? true : value === false || value === 'false' ? false : undefined)
const integer =
  (min: number, max = Number.MAX_SAFE_INTEGER): Reader<number> =>
  value =>
    typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max ? value : undefined
const oneOf =
  <T extends string | number>(allowed: readonly T[]): Reader<T> =>
  value =>
    allowed.find(one => one === value)

// A document may have come to the store without passing a schema: what is not a value of the setting says nothing.
const READERS: { readonly [S in Setting]-?: Reader<NonNullable<Settings[S]>> } = {
  enabled: boolean,
  format: oneOf(FORMATS),
  record_min_sec: integer(0),
  record_on_answer: boolean,
  record_on_bridge: boolean,
  record_sample_rate: oneOf(SAMPLE_RATES),
  time_limit: integer(TIME_LIMIT.min, TIME_LIMIT.max),
  url: value => (typeof value === 'string' && value !== '' ? value : undefined),
  method: oneOf(['put', 'post']),
  stereo: boolean,
  retention_days: integer(RETENTION_DAYS.min, RETENTION_DAYS.max),
  should_follow_transfer: boolean,
  announce: readAnnounce,
  beep: readBeep,
  siprec_server: value => (typeof value === 'string' && value !== '' ? value : undefined),
}
export const SETTINGS = Object.keys(READERS) as readonly Setting[]

const isSetting = (name: string): name is Setting => Object.hasOwn(READERS, name)

/** The settings among the fields of an object; null, a wrong type and every other field fall away. */
export function settingsIn(fields: unknown): Settings {
  const read: Record<string, unknown> = {}
  for (const [name, said] of Object.entries(object(fields))) {
    const value = isSetting(name) ? READERS[name](said) : undefined
    if (value !== undefined) read[name] = value
  }
  return read
}

/** `true` and `"true"` switch on, an object too unless it says otherwise, `false` switches off; anything else says nothing. */
function legacy(record_call: unknown): Settings {
  const flag = boolean(record_call)
  if (flag !== undefined) return { enabled: flag }
  return isObject(record_call) ? { enabled: true, ...settingsIn(record_call) } : {}
}

const leaves = <T>(leaf: (direction: Direction, network: Network) => T): Leaves<T> => ({
  inbound: { onnet: leaf('inbound', 'onnet'), offnet: leaf('inbound', 'offnet') },
  outbound: { onnet: leaf('outbound', 'onnet'), offnet: leaf('outbound', 'offnet') },
})

/**
 * One document's own word on each leaf, with its layer's name on every value. `call_recording` is more specific than `record_call`, a
 * direction than `any`, and a network than `any` of either (kz_endpoint_v4.erl merge_call_recording: `any.onnet` beats `inbound.any`).
 */
export function layer(from: Layer, { record_call, call_recording }: Flags): Leaves<Effective> {
  const flag = signed(from, legacy(record_call))
  const tree = object(call_recording)
  const any = sourceOf(from, tree.any)
  const sources = { inbound: sourceOf(from, tree.inbound), outbound: sourceOf(from, tree.outbound) }
  return leaves((direction, network) => ({ ...flag, ...any.any, ...sources[direction].any, ...any[network], ...sources[direction][network] }))
}

type Source = Readonly<Record<Network | 'any', Effective>>
const NOTHING: Effective = {}

function sourceOf(from: Layer, source: unknown): Source {
  const { any, onnet, offnet } = object(source)
  const read = (part: unknown): Effective => (part === undefined ? NOTHING : signed(from, settingsIn(part)))
  return { any: read(any), onnet: read(onnet), offnet: read(offnet) }
}

function signed(from: Layer, settings: Settings): Effective {
  const effective: Record<string, unknown> = {}
  for (const setting of Object.keys(settings) as Setting[]) effective[setting] = { value: settings[setting], from }
  return effective
}

/** Settings that hold on every leaf alike, as an action's data does. */
export function everywhere(from: Layer, settings: Settings): Leaves<Effective> {
  const same = signed(from, settings)
  return leaves(() => same)
}

/** Weakest first, key by key. Associative; a layer that says nothing changes nothing. */
export const merge = (...layers: readonly Leaves<Effective>[]): Leaves<Effective> =>
  leaves((direction, network) => Object.assign({}, ...layers.map(one => one[direction][network])) as Effective)

export const isEnabled = (settings: Effective): boolean => settings.enabled?.value === true

/** The values alone, for comparing two recordings of a leg. */
export const valuesOf = (settings: Effective): Settings =>
  Object.fromEntries(Object.entries(settings).map(([setting, { value }]) => [setting, value])) as Settings

/** What is in the file, and where it goes; whether it is continued elsewhere is neither, nor who else hears the call. */
const OF_A_FILE = SETTINGS.filter(setting => setting !== 'should_follow_transfer' && setting !== 'siprec_server')

/** Would they make the same file? Who said it is no part of that. */
export const sameFile = (one: Effective, other: Effective): boolean => OF_A_FILE.every(setting => same(one[setting]?.value, other[setting]?.value))

/** Objects were read key by key in one order. */
const same = (one: unknown, other: unknown): boolean => one === other || (isObject(one) && isObject(other) && JSON.stringify(one) === JSON.stringify(other))

const COMMON: Settings = { record_min_sec: 0, stereo: true, method: 'put', should_follow_transfer: true }

/** What holds when no document says otherwise, for recordings that policy starts: an unanswered leg would be pre-answered by uuid_record. */
export const POLICY_DEFAULTS: Settings = { ...COMMON, record_on_answer: true }
/** … and for those that a callflow's action starts (Kazoo: callflows.record_call.json). */
export const ACTION_DEFAULTS: Settings = { ...COMMON, record_on_answer: false, time_limit: 3600 }
