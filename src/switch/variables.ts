// Which channel variables callrec sets, and what each may hold. A name is looked up here because some
// are commands in disguise: `api_on_record_start` runs an API when a recording starts.

import { printable, refuse } from './words.ts'

const FLAG = /^(true|false)$/
const NUMBER = /^\d{1,9}$/
const ANY = /^/

/** Settable on a channel that exists. Outside text may go only where ANY stands. */
const CHANNEL: Readonly<Record<string, RegExp>> = {
  bypass_media: FLAG,
  call_timeout: NUMBER,
  continue_on_fail: /^(true|false|[A-Z][A-Z_,]*)$/,
  default_language: /^[a-z]{2}([-_][A-Za-z]{2})?$/,
  effective_caller_id_name: ANY,
  effective_caller_id_number: ANY,
  export_vars: /^[A-Za-z0-9_.:-]+(,[A-Za-z0-9_.:-]+)*$/,
  hangup_after_bridge: FLAG,
  hangup_after_conference: FLAG,
  ignore_early_media: FLAG,
  instant_ringback: FLAG,
  park_after_bridge: FLAG,
  playback_terminators: /^([0-9*#]+|any|none)$/,
  playback_terminator_used: /^[0-9*#]*$/,
  record_sample_rate: NUMBER,
  RECORD_MIN_SEC: NUMBER,
  RECORD_STEREO: FLAG,
  RECORD_STEREO_SWAP: FLAG,
}

/** Settable on a leg that is about to be made, in `{}` or `[]` before its address. */
const LEG: Readonly<Record<string, RegExp>> = {
  ...CHANNEL,
  absolute_codec_string: ANY,
  eavesdrop_bridge_aleg: FLAG,
  eavesdrop_bridge_bleg: FLAG,
  eavesdrop_enable_dtmf: FLAG,
  group_confirm_file: /^tone_stream:\/\/[0-9]$/,
  group_confirm_key: /^[0-9*#]$/,
  leg_delay_start: NUMBER,
  leg_timeout: NUMBER,
  originate_timeout: NUMBER,
  origination_caller_id_name: ANY,
  origination_caller_id_number: ANY,
  origination_uuid: ANY,
  rtp_hold_timeout_sec: NUMBER,
  rtp_secure_media: /^mandatory$/,
  rtp_timeout_sec: NUMBER,
  send_silence_when_idle: /^-1$/,
  sip_invite_domain: ANY,
}

/** Settable on one recording (`Recording-Variable-*`); RECORD_APPEND is not, it takes the minimum length away. */
const RECORDING: Readonly<Record<string, RegExp>> = {
  rec_id: ANY,
  record_sample_rate: NUMBER,
  RECORD_ANSWER_REQ: FLAG,
  RECORD_BRIDGE_REQ: FLAG,
  RECORD_FINAL_TIMEOUT_MS: NUMBER,
  RECORD_INITIAL_TIMEOUT_MS: NUMBER,
  RECORD_MIN_SEC: NUMBER,
  RECORD_READ_ONLY: FLAG,
  RECORD_SILENCE_THRESHOLD: NUMBER,
  RECORD_STEREO: FLAG,
  RECORD_STEREO_SWAP: FLAG,
  RECORD_USE_THREAD: FLAG,
  RECORD_WRITE_ONLY: FLAG,
}

const TABLES = { channel: CHANNEL, leg: LEG, recording: RECORDING }

const ruleOf = (place: keyof typeof TABLES, name: string): RegExp | undefined => {
  if (place !== 'recording' && /^callrec_[A-Za-z0-9_]{1,64}$/.test(name)) return ANY
  return Object.hasOwn(TABLES[place], name) ? TABLES[place][name] : undefined
}

/** The name, once it is known to be one callrec sets there and the value to be one it may have (null: unset). */
export function variable(place: keyof typeof TABLES, name: string, value: string | null): string {
  const rule = ruleOf(place, name)
  if (rule === undefined) refuse(`variable ${JSON.stringify(name).slice(0, 80)}`, `callrec sets no such variable on a ${place}`)
  if (value !== null && !rule.test(printable(name, value))) refuse(name, 'not a value this variable may have')
  return name
}
