// One event and its three spellings on the wire. Pure. Values are percent-encoded in `plain` and raw in `json`; a `%41`
// that stands in a value is *not* encoded again, as in FreeSWITCH (switch_url_encode), so only json is exact.

/** Several values under one name, as `originated_legs` has them after two bridges. */
export type Value = string | readonly string[]
export type Header = readonly [name: string, value: Value]

export type Format = 'plain' | 'json' | 'xml'

export interface SwitchEvent {
  readonly name: string
  header(name: string): string | undefined
  /** The whole frame, made once per format however many clients take it. */
  frame(format: Format): Buffer
}

export function createEvent(name: string, headers: readonly Header[], body?: string): SwitchEvent {
  const frames: Partial<Record<Format, Buffer>> = {}
  const spellings = { plain, json, xml }
  return {
    name,
    header(wanted) {
      const key = wanted.toLowerCase()
      const value = headers.find(([name]) => name.toLowerCase() === key)?.[1]
      return value === undefined || typeof value === 'string' ? value : arrayText(value)
    },
    frame(format) {
      const known = frames[format]
      if (known) return known
      const content = Buffer.from(spellings[format](headers, body))
      // Event frames carry Content-Length first, replies carry Content-Type first (transcripts 03, 04).
      return (frames[format] = Buffer.concat([Buffer.from(`Content-Length: ${content.length}\nContent-Type: text/event-${format}\n\n`), content]))
    },
  }
}

/** Header lines, a blank line, then the body; also what `uuid_dump` prints. */
export function plain(headers: readonly Header[], body?: string): string {
  const lines = headers.map(([name, value]) => `${name}: ${urlEncode(flat(value))}\n`).join('')
  return body === undefined ? `${lines}\n` : `${lines}Content-Length: ${Buffer.byteLength(body)}\n\n${body}`
}

export function json(headers: readonly Header[], body?: string): string {
  // A name may come twice (Hangup-Cause does), so this is not one object turned into JSON.
  const pairs = headers.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
  if (body !== undefined) pairs.push(`"Content-Length":"${Buffer.byteLength(body)}"`, `"_body":${JSON.stringify(body)}`)
  return `{${pairs.join(',')}}`
}

function xml(headers: readonly Header[], body?: string): string {
  const lines = headers.map(([name, value]) => `    <${name}>${escapeXml(urlEncode(flat(value)))}</${name}>\n`).join('')
  const tail = body === undefined ? '' : `  <Content-Length>${Buffer.byteLength(body)}</Content-Length>\n  <body>${escapeXml(body)}  </body>\n`
  return `<event>\n  <headers>\n${lines}  </headers>\n${tail}</event>\n`
}

const flat = (value: Value): string => (typeof value === 'string' ? value : arrayText(value))

export const arrayText = (values: readonly string[]): string => `ARRAY::${values.join('|:')}`

const escapeXml = (text: string): string => text.replace(/[<>&]/g, c => (c === '<' ? '&lt;' : c === '>' ? '&gt;' : '&amp;'))

const UNSAFE = /%(?![0-9A-F]{2})|[^ -~]|[ #&+:;<=>?@[\\\]^`{|}"]/gu

export const urlEncode = (text: string): string =>
  text.replace(UNSAFE, found => {
    let out = ''
    for (const byte of Buffer.from(found)) out += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    return out
  })

export const urlDecode = (text: string): string => {
  if (!text.includes('%')) return text
  // Encoded bytes may only together make a character.
  const latin = Buffer.from(text).toString('latin1')
  return Buffer.from(
    latin.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString()
}

/** Every name `event` accepts (switch_event.c); another word is no keyword. */
export const EVENT_NAMES: ReadonlySet<string> = new Set(
  `CUSTOM CLONE CHANNEL_CREATE CHANNEL_DESTROY CHANNEL_STATE CHANNEL_CALLSTATE CHANNEL_ANSWER CHANNEL_HANGUP CHANNEL_HANGUP_COMPLETE
  CHANNEL_EXECUTE CHANNEL_EXECUTE_COMPLETE CHANNEL_HOLD CHANNEL_UNHOLD CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_PROGRESS CHANNEL_PROGRESS_MEDIA
  CHANNEL_OUTGOING CHANNEL_PARK CHANNEL_UNPARK CHANNEL_APPLICATION CHANNEL_ORIGINATE CHANNEL_UUID API LOG INBOUND_CHAN OUTBOUND_CHAN STARTUP
  SHUTDOWN PUBLISH UNPUBLISH TALK NOTALK SESSION_CRASH MODULE_LOAD MODULE_UNLOAD DTMF MESSAGE PRESENCE_IN NOTIFY_IN PRESENCE_OUT PRESENCE_PROBE
  MESSAGE_WAITING MESSAGE_QUERY ROSTER CODEC BACKGROUND_JOB DETECTED_SPEECH DETECTED_TONE PRIVATE_COMMAND HEARTBEAT TRAP ADD_SCHEDULE
  DEL_SCHEDULE EXE_SCHEDULE RE_SCHEDULE RELOADXML NOTIFY PHONE_FEATURE PHONE_FEATURE_SUBSCRIBE SEND_MESSAGE RECV_MESSAGE REQUEST_PARAMS
  CHANNEL_DATA GENERAL COMMAND SESSION_HEARTBEAT CLIENT_DISCONNECTED SERVER_DISCONNECTED SEND_INFO RECV_INFO RECV_RTCP_MESSAGE
  SEND_RTCP_MESSAGE CALL_SECURE NAT RECORD_START RECORD_STOP PLAYBACK_START PLAYBACK_STOP CALL_UPDATE FAILURE SOCKET_DATA MEDIA_BUG_START
  MEDIA_BUG_STOP CONFERENCE_DATA_QUERY CONFERENCE_DATA CALL_SETUP_REQ CALL_SETUP_RESULT CALL_DETAIL DEVICE_STATE TEXT SHUTDOWN_REQUESTED
  CERT_RELOAD ALL`.split(/\s+/),
)
