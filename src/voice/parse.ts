// JSON → the actions of an NCCO: pure. All that can be refused is refused here, before the first action runs: types,
// ranges and defaults are those of Vonage's NCCO reference, some words those of its Node SDK, and an option that would
// do nothing is a fault, not a silence.

import { speaks } from '../recording/transcript.ts'
import { VOICES } from '../switch/commands.ts'
import {
  type Abilities,
  type ConversationAction,
  type Endpoint,
  FORMATS,
  type InputAction,
  isPlayed,
  MOST_ACTIONS,
  type NccoAction,
  type NotifyAction,
  type RecordAction,
  type StreamAction,
  type TalkAction,
  type TranscriptionOptions,
} from './ncco.ts'
import {
  absent,
  clamped,
  empty,
  type Fault,
  type Fields,
  flag,
  isObject,
  method,
  number,
  oneOf,
  oneUrl,
  only,
  read,
  type Reader,
  type Readers,
  text,
  whole,
  Wrong,
} from './options.ts'

type Method = 'GET' | 'POST'

/** No actions where there is any fault. With no `can`: what any switch could do. */
export function parseNcco(value: unknown, can?: Abilities): { actions: NccoAction[]; faults: Fault[] } {
  const whole = (message: string) => ({ actions: [], faults: [{ path: 'ncco', message }] })
  if (!Array.isArray(value)) return whole('must be an array of actions')
  if (value.length === 0) return whole('must have at least one action')
  if (value.length > MOST_ACTIONS) return whole(`must have at most ${MOST_ACTIONS} actions`)
  const parsed = (value as unknown[]).map((one, at) => action(one, `[${at}]`, can))
  const faults = [...parsed.flatMap(({ faults }) => faults), ...bargeInFaults(parsed.map(({ made }) => made))]
  return { actions: faults.length > 0 ? [] : parsed.flatMap(({ made }) => (made === undefined ? [] : [made])), faults }
}

/** The key that ends a message is the answer to a question. */
function bargeInFaults(actions: readonly (NccoAction | undefined)[]): Fault[] {
  return actions.flatMap((one, at) => {
    if (one === undefined || !isPlayed(one) || !one.bargeIn) return []
    const next = actions.slice(at + 1).findIndex(other => other === undefined || !isPlayed(other))
    const after = next < 0 ? undefined : actions[at + 1 + next]
    // What could not be read has its own fault.
    if (after?.action === 'input' || (next >= 0 && after === undefined)) return []
    return [{ path: `[${at}].bargeIn`, message: 'needs an input action after it, with nothing but talk and stream between them' }]
  })
}

type Parsed = { made?: NccoAction; faults: Fault[] }

function action(value: unknown, at: string, can?: Abilities): Parsed {
  if (!isObject(value)) return { faults: [{ path: at, message: 'must be an object' }] }
  const name = value['action']
  const parse = typeof name === 'string' && Object.hasOwn(ACTIONS, name) ? ACTIONS[name as keyof typeof ACTIONS] : undefined
  if (parse === undefined) return { faults: [{ path: `${at}.action`, message: `must be one of ${Object.keys(ACTIONS).join(', ')}` }] }
  return parse(value, at, can)
}

const made = (one: NccoAction, faults: Fault[]): Parsed => (faults.length === 0 ? { made: one, faults } : { faults })

const RECORD: Readers<Omit<RecordAction, 'action' | 'transcription'> & { transcription: Fields }> = {
  format: oneOf(FORMATS),
  split: oneOf(['conversation'], "Recording can only be split to 'conversation'"),
  channels: whole(1, 32, 'Channels must be between 1 and 32, inclusive'),
  endOnSilence: whole(3, 10, 'End on Silence must be between 3 and 10 seconds, inclusive'),
  endOnKey: value => {
    const key = typeof value === 'number' ? String(value) : value
    return typeof key === 'string' && /^[0-9*#]$/.test(key) ? key : new Wrong('Valid characters are 0-9, *, and # only')
  },
  timeOut: whole(3, 7200, 'Recording timeout must be between 3 and 7200 seconds, inclusive'),
  beepStart: flag,
  eventUrl: oneUrl,
  eventMethod: method,
  transcription: value => (isObject(value) ? value : new Wrong('must be an object')),
}

/** BCP 47, in the case it is written in. */
const language: Reader<string> = value => {
  const tag = typeof value === 'string' && /^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,5}$/.test(value) ? canonical(value) : undefined
  return tag ?? new Wrong('must be a language tag (BCP 47) such as en-US')
}

function canonical(tag: string): string | undefined {
  try {
    return Intl.getCanonicalLocales(tag)[0]
  } catch {
    return undefined
  }
}

const TRANSCRIPTION: Readers<TranscriptionOptions> = { language, sentimentAnalysis: flag, eventUrl: oneUrl, eventMethod: method }

function transcription(fields: Fields, at: string, can?: Abilities): { made: TranscriptionOptions; faults: Fault[] } {
  const { said, faults } = read(fields, TRANSCRIPTION, at)
  const made: TranscriptionOptions = { language: 'en-US', sentimentAnalysis: false, eventMethod: 'POST', ...said }
  if (can === undefined) return { made, faults }
  const { languages, sentiment } = can.transcribes
  if (languages.length === 0) return { made, faults: [...faults, { path: at, message: 'is not available: there is no transcriber' }] }
  if (!speaks(languages, made.language))
    faults.push({ path: `${at}.language`, message: `${made.language} is not available: the transcriber understands ${languages.join(', ')}` })
  if (made.sentimentAnalysis && !sentiment) faults.push({ path: `${at}.sentimentAnalysis`, message: 'is not available: the transcriber tells no sentiment' })
  return { made, faults }
}

function record(fields: Fields, at: string, can?: Abilities): Parsed {
  const { said, faults } = read(fields, RECORD, at)
  if ((said.channels ?? 1) > 1 && said.split === undefined)
    faults.push({ path: `${at}.channels`, message: "Channels must have split set to 'conversation' before changing channel numbers" })
  if (said.format !== undefined && can !== undefined && !can.formats.includes(said.format))
    faults.push({ path: `${at}.format`, message: `${said.format} is not available: neither the switch of this call nor ffmpeg makes it` })
  const channels = said.channels ?? (said.split === undefined ? 1 : 2)
  if (channels > 2 && said.format !== undefined && said.format !== 'wav')
    faults.push({ path: `${at}.format`, message: 'must be wav where there are more than 2 channels' })
  const { transcription: asked, ...rest } = said
  const wanted = asked === undefined ? undefined : transcription(asked, `${at}.transcription`, can)
  if (wanted !== undefined) {
    faults.push(...wanted.faults)
    if (said.format !== undefined && can !== undefined && can.transcribes.languages.length > 0 && !can.transcribes.formats.includes(said.format))
      faults.push({ path: `${at}.transcription`, message: `is not available for ${said.format}: there is no ffmpeg that reads it` })
  }
  const spoken = wanted === undefined ? {} : { transcription: wanted.made }
  return made({ action: 'record', beepStart: false, eventMethod: 'POST', ...rest, ...spoken, channels }, faults)
}

const PLAYED = {
  level: number(-1, 1, 'must be between -1 and 1'),
  loop: whole(0, 1000, 'must be a whole number from 0 (again and again) to 1000'),
  bargeIn: flag,
}
const AS_IT_IS = { level: 0, loop: 1, bargeIn: false }

const TALK: Readers<Omit<TalkAction, 'action'> & { language: string; premium: boolean }> = {
  ...PLAYED,
  text: text(1500),
  language: value => (typeof value === 'string' && /^en(-[A-Za-z]{2})?$/.test(value) ? value : new Wrong('only English is spoken here: en-US')),
  style: whole(0, VOICES.length - 1, `must be a whole number from 0 to ${VOICES.length - 1}: which of the voices`),
  premium: only(flag, false, 'is not available'),
}

function talk(fields: Fields, at: string, can?: Abilities): Parsed {
  const { said, faults } = read(fields, TALK, at, ['text'])
  if (can?.speech === false) faults.push({ path: `${at}.action`, message: 'talk is not available: the switch of this call has no speech (mod_flite)' })
  const { language: _, premium: __, ...how } = said
  return made({ action: 'talk', text: '', style: 0, ...AS_IT_IS, ...how }, faults)
}

const STREAM: Readers<Omit<StreamAction, 'action'>> = { ...PLAYED, streamUrl: oneUrl }

function stream(fields: Fields, at: string): Parsed {
  const { said, faults } = read(fields, STREAM, at, ['streamUrl'])
  return made({ action: 'stream', streamUrl: '', ...AS_IT_IS, ...said }, faults)
}

const DTMF: Readers<InputAction['dtmf']> = {
  timeOut: whole(0, 10, 'must be between 0 and 10 seconds'),
  maxDigits: whole(1, 20, 'must be between 1 and 20'),
  submitOnHash: flag,
}

const INPUT: Readers<{ type: string[]; dtmf: Fields; speech: never; mode: string; eventUrl: string; eventMethod: Method }> = {
  type: value => (Array.isArray(value) && value.length === 1 && value[0] === 'dtmf' ? ['dtmf'] : new Wrong('must be ["dtmf"]: speech is not available')),
  dtmf: value => (isObject(value) ? value : new Wrong('must be an object')),
  speech: absent(),
  mode: oneOf(['synchronous'], 'only synchronous is available'),
  eventUrl: oneUrl,
  eventMethod: method,
}

function input(fields: Fields, at: string): Parsed {
  const { said, faults } = read(fields, INPUT, at, ['type'])
  const dtmf = read(said.dtmf ?? {}, DTMF, `${at}.dtmf`)
  const { type: _, dtmf: __, mode: ___, ...events } = said
  return made({ action: 'input', eventMethod: 'POST', ...events, dtmf: { timeOut: 3, maxDigits: 4, submitOnHash: false, ...dtmf.said } }, [
    ...faults,
    ...dtmf.faults,
  ])
}

const CONNECT: Readers<{ endpoint: Fields; from: string; timeout: number; limit: number; eventType: never; eventUrl: string; eventMethod: Method }> = {
  endpoint: value => (Array.isArray(value) && value.length === 1 && isObject(value[0]) ? value[0] : new Wrong('must be an array with one endpoint')),
  from: value => (typeof value === 'string' && /^\+?\d{1,20}$/.test(value) ? value : new Wrong('must be a telephone number')),
  timeout: whole(1, 120, 'must be between 1 and 120 seconds'),
  limit: whole(1, 7200, 'must be between 1 and 7200 seconds'),
  eventType: absent('is not available: events do not change the call'),
  eventUrl: oneUrl,
  eventMethod: method,
}

const ID: Reader<string> = value => (typeof value === 'string' && /^[0-9a-f]{32}$/.test(value) ? value : new Wrong('must be the id of a document'))
const PHONE: Readers<{ type: string; number: string }> = {
  type: text(20),
  number: value => (typeof value === 'string' && /^\+?\d{1,20}$/.test(value) ? value : new Wrong('must be a telephone number')),
}
const NO_HEADERS = empty('is not available: no headers are sent along')
/** The Node SDK writes the headers that nobody gave as an empty object. */
const SIP: Readers<{ type: string; uri: string; headers: Fields; standard_headers: Fields; standardHeaders: Fields }> = {
  type: text(20),
  uri: value =>
    typeof value === 'string' && /^sip:[A-Za-z0-9._+*~-]{1,64}@[A-Za-z0-9.-]{1,255}$/.test(value) ? value : new Wrong('must be of the form sip:user@realm'),
  headers: NO_HEADERS,
  standard_headers: NO_HEADERS,
  standardHeaders: NO_HEADERS,
}
const DOCUMENT: Readers<{ type: string; id: string }> = { type: text(20), id: ID }

export function endpointOf(fields: Fields, at: string): { made: Endpoint; faults: Fault[] } | { faults: Fault[] } {
  const one = <T extends Endpoint>(readers: Readers<Omit<T, 'type'> & { type: string }>, needs: Exclude<keyof T, 'type'> & string) => {
    const { said, faults } = read(fields, readers, at, [needs])
    return { made: { type: said.type, [needs]: said[needs] } as unknown as T, faults }
  }
  switch (fields['type']) {
    case 'phone':
      return one<Endpoint & { type: 'phone' }>(PHONE, 'number')
    case 'sip':
      return one<Endpoint & { type: 'sip' }>(SIP, 'uri')
    case 'device':
    case 'user':
      return one<Endpoint & { type: 'device' | 'user' }>(DOCUMENT, 'id')
    default:
      return { faults: [{ path: `${at}.type`, message: 'must be one of phone, sip, device, user' }] }
  }
}

function connect(fields: Fields, at: string): Parsed {
  const { said, faults } = read(fields, CONNECT, at, ['endpoint'])
  if (said.endpoint === undefined) return { faults }
  const endpoint = endpointOf(said.endpoint, `${at}.endpoint[0]`)
  faults.push(...endpoint.faults)
  if (!('made' in endpoint)) return { faults }
  const { endpoint: _, eventType: __, ...rest } = said
  return made({ action: 'connect', timeout: 60, limit: 7200, eventMethod: 'POST', ...rest, endpoint: endpoint.made }, faults)
}

const CONVERSATION: Readers<Omit<ConversationAction, 'action'> & { canSpeak: never; canHear: never }> = {
  name: text(50),
  musicOnHoldUrl: oneUrl,
  startOnEnter: flag,
  endOnExit: flag,
  record: flag,
  mute: flag,
  canSpeak: absent('is not available: everybody hears everybody who is not muted'),
  canHear: absent('is not available: everybody hears everybody who is not muted'),
  eventUrl: oneUrl,
  eventMethod: method,
}

function conversation(fields: Fields, at: string, can?: Abilities): Parsed {
  const { said, faults } = read(fields, CONVERSATION, at, ['name'])
  if (can?.rooms === false)
    faults.push({ path: `${at}.action`, message: 'conversation is not available: the switch of this call has no rooms (mod_conference)' })
  const usual = { name: '', startOnEnter: true, endOnExit: false, record: false, mute: false, eventMethod: 'POST' as const }
  return made({ action: 'conversation', ...usual, ...said }, faults)
}

const NOTIFY: Readers<Omit<NotifyAction, 'action'>> = {
  payload: value => (isObject(value) ? value : new Wrong('must be an object')),
  eventUrl: oneUrl,
  eventMethod: method,
}

function notify(fields: Fields, at: string): Parsed {
  const { said, faults } = read(fields, NOTIFY, at, ['payload', 'eventUrl'])
  return made({ action: 'notify', payload: {}, eventUrl: '', eventMethod: 'POST', ...said }, faults)
}

const WAIT: Readers<{ timeout: number }> = { timeout: clamped(0.1, 7200) }

function wait(fields: Fields, at: string): Parsed {
  const { said, faults } = read(fields, WAIT, at)
  return made({ action: 'wait', timeout: said.timeout ?? 10 }, faults)
}

const ACTIONS = { record, talk, stream, input, connect, conversation, notify, wait }
