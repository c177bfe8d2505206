// The api commands: what each is given → what it prints. Their texts are FreeSWITCH's (transcripts 01, 07, 11, 41, 60;
// mod_commands.c). `system` is here so that a smuggled one is counted; it never runs anything.

import { existsSync } from 'node:fs'
import { scheduleHangup } from './applications.ts'
import { answer, hangup } from './call.ts'
import { causeOf } from './causes.ts'
import { uuidDisplace } from './displace.ts'
import { json, plain, arrayText } from './event.ts'
import { dumpHeaders, type Exchange, VERSION } from './exchange.ts'
import { hashCommand } from './hash.ts'
import { uuidHold } from './hold.ts'
import { hasMedia, type Leg, setVariable } from './leg.ts'
import { bridgeLegs, transfer } from './moves.ts'
import { originate, simulatorCall } from './originate.ts'
import { press } from './phone.ts'
import { uuidBuglist, uuidRecord } from './record-command.ts'
import { showCommand, statusText } from './status.ts'
import { expand, lookup } from './variables.ts'
import { splitList, splitWords } from './words.ts'

type Command = (exchange: Exchange, args: string, leg: Leg | undefined) => string | Promise<string>

const NO_CHANNEL = '-ERR No such channel!\n'
const OK = '+OK\n'

const MODULES: ReadonlySet<string> = new Set([
  'mod_commands',
  'mod_dptools',
  'mod_event_socket',
  'mod_hash',
  'mod_conference',
  'mod_flite',
  'mod_sndfile',
  'mod_tone_stream',
  'mod_dialplan_xml',
])

export const COMMANDS: Readonly<Record<string, Command>> = {
  version: () => `FreeSWITCH Version ${VERSION}~64bit ( 64bit)\n`,
  status: exchange => statusText(exchange),
  echo: (_, args) => args,
  // Without a leg as a FreeSWITCH with api-expansion=false answers: what it says of the call is all there is.
  eval: (exchange, args, leg) => (leg ? expand(exchange, leg, args) : args.replaceAll(/\$\{\w+\(.*?\)\}/g, '<API execute Permission Denied>')),
  strmicroepoch: exchange => String(exchange.micros()),
  module_exists: (_, args) => (args === '' ? '' : String(MODULES.has(args))),
  file_exists: (_, args) => String(args !== '' && existsSync(args)),
  show: (exchange, args) => showCommand(exchange, args),
  hash: (exchange, args) => hashCommand(exchange.hash, args),
  global_getvar: (exchange, args) => (args === '' ? [...exchange.globals].map(([k, v]) => `${k}=${v}\n`).join('') : (exchange.globals.get(args) ?? '')),
  global_setvar: setGlobal,
  originate,
  callrec_simulator_call: simulatorCall,
  uuid_exists: (exchange, args) => String(exchange.legs.has(args)),
  uuid_dump: dump,
  uuid_getvar: getVariable,
  uuid_setvar: setOne,
  uuid_setvar_multi: setMany,
  uuid_set_media_stats: (exchange, args) => {
    const leg = exchange.legs.get(args)
    if (leg) setVariable(leg, 'rtp_audio_out_media_packet_count', String(exchange.sip.packetsSent(leg)))
    return leg ? OK : NO_CHANNEL
  },
  uuid_record: uuidRecord,
  uuid_buglist: uuidBuglist,
  uuid_displace: uuidDisplace,
  uuid_hold: uuidHold,
  uuid_kill: kill,
  uuid_transfer: transfer,
  uuid_bridge: bridgeLegs,
  uuid_answer: (exchange, args) => {
    const leg = exchange.legs.get(args)
    if (leg) answer(exchange, leg)
    return leg && hasMedia(leg) ? OK : '-ERROR\n'
  },
  uuid_break: (exchange, args) => {
    const [uuid, flag = ''] = splitWords(args, 2)
    if (!uuid) return '-USAGE: <uuid> [all]\n'
    const leg = exchange.legs.get(uuid)
    leg?.runner.interrupt(flag.includes('all'))
    return leg ? OK : NO_CHANNEL
  },
  uuid_recv_dtmf: pressKeys,
  sched_hangup: (exchange, args) => {
    const [time, uuid, cause = 'ALLOTTED_TIMEOUT'] = splitWords(args, 4)
    if (!time) return '-USAGE: [+]<time> <uuid> [<cause>]\n'
    const leg = exchange.legs.get(uuid ?? '')
    if (leg) scheduleHangup(exchange, leg, time, cause)
    return leg ? OK : NO_CHANNEL
  },
  sched_del: (exchange, args) => `+OK Deleted: ${exchange.unschedule(args)}\n`,
  // No phone registers here, so there is no directory to keep.
  xml_flush_cache: () => '+OK cleared 0 entries\n',
  system: shell,
  bg_system: shell,
  spawn: shell,
}

/** Undefined when there is no such command. */
export function runCommand(exchange: Exchange, line: string, leg?: Leg): string | undefined | Promise<string | undefined> {
  const [, name = '', args = ''] = /^(\S+) ?(.*)$/s.exec(line) ?? []
  exchange.fire('API', () => [['API-Command', name], ...(args === '' ? [] : [['API-Command-Argument', args] as const])])
  return Object.hasOwn(COMMANDS, name) ? COMMANDS[name]?.(exchange, args, leg) : undefined
}

function shell(exchange: Exchange, args: string): string {
  if (args === '') return '-USAGE: <command>\n'
  exchange.systemCall(args)
  return ''
}

function setGlobal(exchange: Exchange, args: string): string {
  const [name, value = ''] = splitList(args, '=', 2)
  if (!name) return '-USAGE: <var>=<value> [=<value2>]\n'
  if (value === '') exchange.globals.delete(name)
  else exchange.globals.set(name, value)
  return '+OK'
}

function dump(exchange: Exchange, args: string): string {
  const [uuid, format = 'txt'] = splitWords(args, 2)
  if (!uuid) return '-USAGE: <uuid> [format]\n'
  const leg = exchange.legs.get(uuid)
  if (!leg) return NO_CHANNEL
  return format.toLowerCase() === 'json' ? json(dumpHeaders(exchange, leg)) : plain(dumpHeaders(exchange, leg))
}

function getVariable(exchange: Exchange, args: string): string {
  const [uuid, name] = splitWords(args, 4)
  if (!uuid || !name) return '-USAGE: <uuid> <var>\n'
  const leg = exchange.legs.get(uuid)
  if (!leg) return NO_CHANNEL
  const value = leg.variables.get(name)
  return Array.isArray(value) ? arrayText(value) : (lookup(exchange, leg, name) ?? '_undef_')
}

function setOne(exchange: Exchange, args: string): string {
  const [uuid, name, value] = splitWords(args, 3)
  if (!uuid || !name) return '-USAGE: <uuid> <var> [value]\n'
  const leg = exchange.legs.get(uuid)
  if (!leg) return NO_CHANNEL
  setVariable(leg, name, value)
  return OK
}

function setMany(exchange: Exchange, args: string): string {
  const usage = '-USAGE: <uuid> <var>=<value>;<var>=<value>...\n'
  const at = args.indexOf(' ')
  // Without a list FreeSWITCH says nothing at all.
  if (at < 0) return args === '' ? usage : ''
  const leg = exchange.legs.get(args.slice(0, at))
  // Both lines, as in transcript 41.
  if (!leg) return NO_CHANNEL + usage
  let out = ''
  let done = 0
  for (const pair of splitList(args.slice(at + 1), ';', 64)) {
    const [, name = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(pair) ?? []
    if (name === '') out += '-ERR No variable specified\n'
    // A reference to a variable is dropped here, and answered +OK (switch_channel_set_variable's check).
    else if (!value.includes('${')) setVariable(leg, name, value)
    if (name !== '') done++
  }
  return done > 0 ? out + OK : out + usage
}

/** The leg's phone presses keys now. */
function pressKeys(exchange: Exchange, args: string): string {
  const [uuid, digits] = splitWords(args, 2)
  if (!uuid || !digits) return '-USAGE: <uuid> <dtmf_data>\n'
  const leg = exchange.legs.get(uuid)
  if (!leg) return '-ERR Cannot locate session!\n'
  for (const digit of digits) press(exchange, leg, digit)
  return `+OK ${uuid} received DTMF ${digits}.\n`
}

function kill(exchange: Exchange, args: string): string {
  const [uuid, cause] = splitWords(args, 2)
  if (!uuid) return '-USAGE: <uuid> [cause]\n'
  const leg = exchange.legs.get(uuid)
  if (!leg) return NO_CHANNEL
  hangup(exchange, leg, causeOf(cause))
  return OK
}
