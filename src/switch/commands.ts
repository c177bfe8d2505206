// The only place where ESL command text is built. Every builder refuses (`unsafe_argument`) what could
// leave its place; a branded type keeps any other string from reaching the socket.

import { application, bridgeArgument, conferenceArgument, digitsArgument, endpoint, recordArgument, settings, speechArgument, VOICES } from './dial.ts'
import { variable } from './variables.ts'
import { cause, displayable, line, marker, module, path, printable, refuse, simple, text, uuid, whole, word } from './words.ts'
import type { Originate, Phone, RecordOptions, Tap } from './switch.ts'

export { bridgeArgument, conferenceArgument, digitsArgument, displayable, recordArgument, speechArgument, text, VOICES }
export type { Target } from './dial.ts'

declare const built: unique symbol
/** An API and its arguments, to be sent after `api` or `bgapi`. */
export type Api = string & { readonly [built]: 'api' }
/** A command of the event socket itself; headers follow on lines of their own. */
export type Message = string & { readonly [built]: 'message' }

const api = (what: string): Api => line('command', what) as Api
const message = (...lines: string[]): Message => lines.map(one => line('command', one)).join('\n') as Message

/** Password as FreeSWITCH reads it: the rest of the line. */
export const password = (secret: string): string => printable('password', secret)
export const subscribe = (events: readonly string[]): Message => message(`event json ${events.join(' ')}`)
export const asApi = (command: Api): Message => message(`api ${command}`)
/** The job's id is ours, so that its result is known however early it comes. */
export const asJob = (command: Api, id: string): Message => message(`bgapi ${command}`, `Job-UUID: ${uuid('job', id)}`)

export const version = (): Api => api('version')
export const showFormats = (): Api => api('show file')
export const moduleExists = (name: string): Api => api(`module_exists ${module('module', name)}`)
/** Unix microseconds. */
export const microseconds = (): Api => api('strmicroepoch')
/** Prints `yes` where FreeSWITCH runs API calls that stand in what it expands, a refusal where it does not (switch.conf: api-expansion). */
export const expansionProbe = (): Api => api('eval ${echo(yes)}')
/** Prints `true` or `false`. */
export const fileExists = (file: string): Api => api(`file_exists ${path('path', file)}`)
export const showChannels = (): Api => api('show channels as json')

export type HashVerb = 'select' | 'insert' | 'insert_ifempty' | 'delete_ifmatch'
/** mod_hash; a slash parts its arguments. */
export const hash = (verb: HashVerb, key: string, value?: string): Api =>
  api(`hash ${verb}/callrec/${word('key', key)}${value === undefined ? '' : `/${marker('value', value)}`}`)

export const exists = (leg: string): Api => api(`uuid_exists ${uuid('uuid', leg)}`)
export const dump = (leg: string): Api => api(`uuid_dump ${uuid('uuid', leg)} json`)
export const buglist = (leg: string): Api => api(`uuid_buglist ${uuid('uuid', leg)}`)
/** Without `all`, which would also throw away applications that still wait for their turn. */
export const interrupt = (leg: string): Api => api(`uuid_break ${uuid('uuid', leg)}`)
export const kill = (leg: string, why: string): Api => api(`uuid_kill ${uuid('uuid', leg)} ${cause('cause', why)}`)

/** Never the inline dialplan: `transfer system:… inline` is an execute of its own. */
export const transfer = (leg: string, number: string, context: string): Api =>
  api(`uuid_transfer ${uuid('uuid', leg)} ${word('number', number)} XML ${word('context', context)}`)

/** Deletes every task of the leg; a number would be a task's own id. */
export function schedDel(leg: string): Api {
  if (/^\d+$/.test(leg)) refuse('uuid', 'a number is the id of a task')
  return api(`sched_del ${uuid('uuid', leg)}`)
}

/** Without a phone, all: an argument alone would be taken for none (mod_commands.c, xml_flush_function). */
export const flushDirectory = (phone?: Phone): Api =>
  api(phone === undefined ? 'xml_flush_cache' : `xml_flush_cache id ${word('name', phone.name)} ${word('realm', phone.realm)}`)

export function recordStart(leg: string, file: string, { limit, variables }: RecordOptions): Api {
  const own = settings('{}', variables, 'recording')
  const start = `uuid_record ${uuid('uuid', leg)} start ${path('path', file)} ${whole('limit', limit, 0, 1_000_000)}`
  return api(own === '' ? start : `${start} ${own}`)
}

export type RecordAction = 'stop' | 'mask' | 'unmask' | 'pause' | 'resume'
export const record = (leg: string, action: RecordAction, file: string): Api => api(`uuid_record ${uuid('uuid', leg)} ${action} ${path('path', file)}`)

// switch_utils.c, cleanup_separated_string: a backslash escapes, quotes are taken away, leading and
// trailing spaces are trimmed, `\s` is a space. Nothing else is touched, `${…}` and `%41` included.
const escaped = (value: string): string => {
  const start = value.length - value.replace(/^ +/, '').length
  let end = value.length
  while (end > start && value[end - 1] === ' ') end -= 1
  const inside = value.slice(start, end).replaceAll('\\', '\\\\').replaceAll("'", "\\'")
  return `${'\\s'.repeat(start)}${inside}${'\\s'.repeat(value.length - end)}`
}

/** A value no longer than its own line; null or empty unsets. */
export function setVariable(leg: string, name: string, value: string | null): Api {
  const set = `uuid_setvar ${uuid('uuid', leg)} ${variable('channel', name, value)}`
  if (value === null || value === '') return api(set)
  if (value.startsWith('ARRAY::')) refuse(name, 'FreeSWITCH would split the value into a list; see text()')
  return api(`${set} ${escaped(value)}`)
}

/** FreeSWITCH splits into at most 64 (mod_commands.c, uuid_setvar_multi). */
const MOST_AT_ONCE = 60

/**
 * Variables of one leg in as few commands as can be. Only simple values go together: uuid_setvar_multi
 * answers +OK and yet drops a value with `${` in it (switch_channel_set_variable checks, uuid_setvar does not).
 */
export function setVariables(leg: string, variables: Readonly<Record<string, string | null>>): Api[] {
  const commands: Api[] = []
  const together: string[] = []
  for (const [name, value] of Object.entries(variables)) {
    if (value !== null && /^[A-Za-z0-9._:@/+-]+$/.test(value) && !value.startsWith('ARRAY::')) {
      together.push(`${variable('channel', name, value)}=${value}`)
    } else {
      commands.push(setVariable(leg, name, value))
    }
  }
  for (let at = 0; at < together.length; at += MOST_AT_ONCE) {
    commands.push(api(`uuid_setvar_multi ${uuid('uuid', leg)} ${together.slice(at, at + MOST_AT_ONCE).join(';')}`))
  }
  return commands
}

/** Seconds a leg that we made may stay parked when nobody takes it; the dialplan gives inbound legs the same. */
const UNSERVED = 30

/**
 * Rings, and parks what answers; early media is no answer. It is sent silence while it is parked, as by the dialplan: FreeSWITCH's recordings
 * wait for the rest of a frame that was sent, such as the last one of `speak`, and lose what is said meanwhile (switch_core_media_bug_read).
 */
export function originate({ uuid: leg, endpoint: address, variables, timeoutSeconds }: Originate): Api {
  const own = {
    ...variables,
    origination_uuid: uuid('uuid', leg),
    originate_timeout: whole('timeoutSeconds', timeoutSeconds, 1, 3600),
    ignore_early_media: 'true',
    send_silence_when_idle: '-1',
  }
  return api(`originate ${settings('{}', own)}${endpoint(address)} 'sched_hangup:+${UNSERVED} NORMAL_TEMPORARY_FAILURE,park' inline`)
}

/** The profile of freeswitch/conf that phones use. */
const PROFILE = 'callrec'

/**
 * G.711 alone: with G.722 FreeSWITCH's eavesdrop sent half of the packets. Who is recorded sends no audio back, which must not end the leg,
 * and keys that are pressed are not for recording servers.
 */
export function tap({ uuid: leg, target, listens, address, secure, timeoutSeconds }: Tap): Api {
  const own = {
    origination_uuid: uuid('uuid', leg),
    originate_timeout: whole('timeoutSeconds', timeoutSeconds, 1, 3600),
    ignore_early_media: 'true',
    eavesdrop_enable_dtmf: 'false',
    ...(listens === 'both' ? {} : { [listens === 'said' ? 'eavesdrop_bridge_aleg' : 'eavesdrop_bridge_bleg']: 'true' }),
    rtp_timeout_sec: '0',
    rtp_hold_timeout_sec: '0',
    ...(secure ? { rtp_secure_media: 'mandatory' } : {}),
    callrec_recording_leg: 'true',
  }
  // A comma parts settings, unless another delimiter is named.
  const codecs = '{^^:absolute_codec_string=PCMU,PCMA}'
  return api(`originate ${codecs}${settings('{}', own)}${endpoint(`sofia/${PROFILE}/${address}`)} &eavesdrop(${uuid('target', target)})`)
}

/** Brings the counters of a leg's audio into its variables. */
export const countMedia = (leg: string): Api => api(`uuid_set_media_stats ${uuid('uuid', leg)}`)
export const packetsSent = (leg: string): Api => api(`uuid_getvar ${uuid('uuid', leg)} rtp_audio_out_media_packet_count`)

/** Milliseconds and Hz: the tone that the telephone companies of North America were told to use (47 CFR 64.501). */
const BEEP = { ms: 200, hz: 1400 }

/**
 * A tone every so many seconds, heard by the leg's own party alone, whatever runs on the leg. It is written over what the leg is sent, after what
 * records it already: in those files it is not (seen on 1.11.2). To end it the same words are said.
 */
export function beep(leg: string, action: 'start' | 'stop', every: number): Api {
  const pause = Number(whole('every', every, 1, 3600)) * 1000 - BEEP.ms
  const source = `tone_stream://%(${BEEP.ms},${pause},${BEEP.hz});loops=-1`
  return api(`uuid_displace ${uuid('uuid', leg)} ${action} ${source}${action === 'start' ? ' 0 mux' : ''}`)
}

/** Runs a dialplan application; `id` comes back as Application-UUID in its events. */
export function execute(leg: string, id: string, app: string, argument: string): Message {
  application(app, argument)
  const lines = [`sendmsg ${uuid('uuid', leg)}`, 'call-command: execute', `execute-app-name: ${app}`]
  if (argument !== '') lines.push(`execute-app-arg: ${argument}`)
  // A leg that is locked by its bridge, or by a room, hears nothing that is played to it before that is over (seen on 1.11.2).
  if (app !== 'bridge' && app !== 'conference') lines.push('event-lock: true')
  return message(...lines, `Event-UUID: ${simple('id', id)}`)
}
