// `originate`: rings a phone and gives its leg a dialplan when it answers. And the one command FreeSWITCH does not have,
// `callrec_simulator_call`: a phone or trunk calls *in* and meets the static dialplan of DESIGN §9.

import { createLeg } from './call.ts'
import { dial } from './dialing.ts'
import type { Exchange } from './exchange.ts'
import type { Action, Leg } from './leg.ts'
import { isSipAddress } from './sip-leg.ts'
import { splitList, splitWords, takeVariables } from './words.ts'

const USAGE = '-USAGE: <call url> <exten>|&<application_name>(<app_args>) [<dialplan>] [<context>] [<cid_name>] [<cid_num>] [<timeout_sec>]\n'
const RINGS = 60
const REALM = 'simulator'
/** Who calls when nobody said so; as in the transcripts. */
const NOBODY = '0000000000'

/** What freeswitch/ installs: a call that no engine takes within 30 s ends. */
const STATIC_DIALPLAN: readonly Action[] = [
  { app: 'unset', arg: 'callrec_node' },
  { app: 'sched_hangup', arg: '+30 NORMAL_TEMPORARY_FAILURE' },
  { app: 'park', arg: '' },
]

export function originate(exchange: Exchange, args: string): string | Promise<string> {
  // A brace at the start holds spaces together only where they are quoted; the words are FreeSWITCH's.
  const words = splitWords(args, 10).map(word => (word === 'undef' ? '' : word))
  const [dialString = '', extension = '', dialplan = 'XML', , name = '', number = '', timeout] = words
  if (words.length < 2 || words.length > 7) return USAGE
  if (isSipAddress(dialString)) return toSip(exchange, dialString, extension, dialplan, Number(timeout) || RINGS)
  return new Promise(resolve => {
    dial(exchange, {
      dialString,
      timeout: Number(timeout) || RINGS,
      callerIdName: name,
      callerIdNumber: number || NOBODY,
      failed: cause => resolve(`-ERR ${cause}\n`),
      answered(leg) {
        resolve(`+OK ${leg.uuid}\n`)
        enter(leg, extension, dialplan)
      },
    })
  })
}

async function toSip(exchange: Exchange, dialString: string, extension: string, dialplan: string, otherwise: number): Promise<string> {
  const seconds = Number(takeVariables(dialString, '{').variables.get('originate_timeout')) || otherwise
  const leg = await exchange.sip.dial(dialString, seconds)
  if (typeof leg === 'string') return `-ERR ${leg}\n`
  enter(leg, extension, dialplan)
  return `+OK ${leg.uuid}\n`
}

function enter(leg: Leg, extension: string, dialplan: string): void {
  const app = /^&([^(]+)(?:\(([^)]*)\)?)?/.exec(extension)
  if (!app) reroute(leg, extension, dialplan)
  leg.runner.dialplan(app ? [{ app: app[1] ?? '', arg: app[2] ?? '' }] : actionsOf(extension, dialplan))
}

export function actionsOf(extension: string, dialplan: string): readonly Action[] {
  if (dialplan !== 'inline') return STATIC_DIALPLAN
  return splitList(extension, ',').map(one => {
    const [, app = '', arg = ''] = /^([^:]*):?(.*)$/s.exec(one) ?? []
    return { app, arg }
  })
}

/** Where a leg goes from now on. One that was called is its own caller from there: its ids change places (transcript 60). */
export function reroute({ uuid, direction, hitDialplan, profile, variables }: Leg, extension: string, dialplan: string): void {
  if (direction === 'outbound' && !hitDialplan) {
    const [calleeName, calleeNumber] = [profile.calleeIdName, profile.calleeIdNumber]
    variables.set('pre_transfer_caller_id_number', profile.callerIdNumber)
    variables.set('channel_cid_flipped', 'yes')
    profile.calleeIdName = profile.callerIdName
    profile.calleeIdNumber = profile.callerIdNumber
    profile.callerIdName = calleeName
    profile.callerIdNumber = calleeNumber
  }
  profile.dialplan = dialplan
  profile.index += 1
  if (dialplan !== 'inline') profile.destination = extension
  // Not the time: two transfers within a second are two.
  variables.set('transfer_source', `${uuid}:${profile.index}:bl_xfer:${extension}/default/${dialplan}`)
}

/** `{vars}<from-number> <to-number> [<actions> inline]`: with actions it meets a dialplan that is not callrec's. */
export function simulatorCall(exchange: Exchange, args: string): string {
  const { variables, rest } = takeVariables(args, '{')
  const [from = '', to = '', actions = '', dialplan = 'XML'] = splitWords(rest, 5)
  if (from === '' || to === '') return '-USAGE: {<var>=<value>,...}<from-number> <to-number> [<actions> inline]\n'
  const leg = createLeg(exchange, {
    direction: 'inbound',
    user: from,
    realm: variables.get('callrec_simulator_realm') ?? REALM,
    destination: to,
    callerIdName: from,
    callerIdNumber: from,
    dialplan: 'XML',
    variables,
  })
  // On the next turn of call time, so that the uuid is known before its first events.
  exchange.timeline.after(0, () => leg.runner.dialplan(actionsOf(actions, dialplan)))
  return `+OK ${leg.uuid}\n`
}
