// What the embedded switch says about itself: `status`, `show channels|calls`, HEARTBEAT.

import type { Header } from './event.ts'
import { type Exchange, VERSION } from './exchange.ts'
import { hasMedia, type Leg, variable } from './leg.ts'

/** Sessions a real one is configured for; there is no limit here. */
const MOST = 5000

export function upTime(exchange: Exchange): string {
  const ms = Math.max(0, exchange.clock.now() - exchange.startedAt)
  const parts: [number, string][] = [
    [0, 'year'],
    [Math.floor(ms / 86_400_000), 'day'],
    [Math.floor(ms / 3_600_000) % 24, 'hour'],
    [Math.floor(ms / 60_000) % 60, 'minute'],
    [Math.floor(ms / 1000) % 60, 'second'],
    [Math.floor(ms) % 1000, 'millisecond'],
    [0, 'microsecond'],
  ]
  return parts.map(([n, unit]) => `${n} ${unit}${n === 1 ? '' : 's'}`).join(', ')
}

export function statusText(exchange: Exchange): string {
  const now = exchange.legs.size
  return [
    `UP ${upTime(exchange)}`,
    `FreeSWITCH (Version ${VERSION}  64bit) is ready`,
    `${exchange.sessions} session(s) since startup`,
    `${now} session(s) - peak ${now}, last 5min ${now} `,
    `0 session(s) per Sec out of max 2000, peak 0, last 5min 0 `,
    `${MOST} session(s) max`,
    'min idle cpu 0.00/100.00',
    'Current Stack Size/Max 240K/8192K',
    '',
  ].join('\n')
}

export const heartbeatHeaders = (exchange: Exchange): Header[] => [
  ['Event-Info', 'System Ready'],
  ['Up-Time', upTime(exchange)],
  ['FreeSWITCH-Version', `${VERSION}~64bit`],
  ['Uptime-msec', String(Math.round(exchange.clock.now() - exchange.startedAt))],
  ['Session-Count', String(exchange.legs.size)],
  ['Max-Sessions', String(MOST)],
  ['Session-Since-Startup', String(exchange.sessions)],
  ['Idle-CPU', '100.000000'],
]

const FORMATS = 'type,name,ikey\nfile,silence_stream,mod_tone_stream\nfile,tone_stream,mod_tone_stream\nfile,wav,mod_sndfile\n\n3 total.\n'

const SHOW_USAGE =
  '-USAGE: codec|endpoint|application|api|dialplan|file|timer|calls [count]|channels [count|like <match string>]|calls|detailed_calls|bridged_calls|detailed_bridged_calls|aliases|complete|chat|management|modules|nat_map|say|interfaces|interface_types|tasks|limits|status\n'

/** `channels|calls [as json|count]`. A call is a bridged pair or a leg on its own. */
export function showCommand(exchange: Exchange, args: string): string {
  const [what = '', ...how] = args.split(' ')
  if (what === 'file') return FORMATS
  if (what !== 'channels' && what !== 'calls') return SHOW_USAGE
  const legs = [...exchange.legs.values()]
  const rows = (what === 'calls' ? legs.filter(leg => !(leg.partner && leg.other?.type === 'originator')) : legs).map(row)
  const [first] = rows
  if (how.join(' ') === 'as json') return first ? JSON.stringify({ row_count: rows.length, rows }) : '{"row_count": 0}\n'
  const table = first && how[0] !== 'count' ? [Object.keys(first), ...rows.map(Object.values)].map(line => `${line.join(',')}\n`).join('') : ''
  return `${table}\n${rows.length} total.\n`
}

/** Columns and their order as in transcript 07. */
function row(leg: Leg): Record<string, string> {
  const codec = (way: string): [string, string, string] => [
    variable(leg, `${way}_codec`) ?? '',
    variable(leg, `${way}_rate`) ?? '',
    hasMedia(leg) ? '64000' : '',
  ]
  const [[readCodec, readRate, readBits], [writeCodec, writeRate, writeBits]] = [codec('read'), codec('write')]
  const { profile } = leg
  return {
    uuid: leg.uuid,
    direction: leg.direction,
    created: new Date(profile.created / 1000).toISOString().slice(0, 19).replace('T', ' '),
    created_epoch: String(Math.floor(profile.created / 1e6)),
    name: leg.name,
    state: leg.state,
    cid_name: profile.callerIdName,
    cid_num: profile.callerIdNumber,
    ip_addr: '127.0.0.1',
    dest: profile.destination,
    application: variable(leg, 'current_application') ?? '',
    application_data: variable(leg, 'current_application_data') ?? '',
    dialplan: profile.dialplan,
    context: 'default',
    read_codec: readCodec,
    read_rate: readRate,
    read_bit_rate: readBits,
    write_codec: writeCodec,
    write_rate: writeRate,
    write_bit_rate: writeBits,
    secure: '',
    hostname: 'simulator',
    presence_id: '',
    presence_data: '',
    accountcode: '',
    callstate: leg.callState,
    callee_name: profile.calleeIdName,
    callee_num: profile.calleeIdNumber,
    callee_direction: '',
    call_uuid: leg.callUuid,
    sent_callee_name: '',
    sent_callee_num: '',
    initial_cid_name: profile.origCallerIdName,
    initial_cid_num: profile.origCallerIdNumber,
    initial_ip_addr: '127.0.0.1',
    initial_dest: profile.destination,
    initial_dialplan: profile.dialplan,
    initial_context: 'default',
  }
}
