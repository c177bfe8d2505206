// What expressions may know of a call, and the variables that live with it. They are kept on the leg as
// `callrec_var_*` as well, so that they are still there when it comes back from a transfer.

import { text as printable } from '../switch/commands.ts'
import type { Leg } from '../switch/switch.ts'
import type { Call } from './call.ts'
import { isObject, sipUsername, text } from './documents.ts'
import { type NAMES, type Scope, VARIABLE_NAME } from './expressions.ts'

const ON_LEG = 'callrec_var_'
/** Characters; a variable that is made of itself twice would double at every turn of a loop. */
const LONGEST = 4096
const MOST = 100

export const variablesOn = (leg: Leg): Map<string, string> =>
  new Map(Object.entries(leg.variables).flatMap(([name, value]) => (name.startsWith(ON_LEG) ? [[name.slice(ON_LEG.length), value]] : [])))

/** FreeSWITCH copies the variables that this one names to every leg that its leg rings (switch_channel.c, switch_channel_process_export). */
const EXPORTS = 'export_vars'
export const exportedBy = (leg: Leg): Set<string> => new Set((leg.variables[EXPORTS] ?? '').split(',').filter(name => /^[A-Za-z0-9_.:-]+$/.test(name)))

/** Sets what can be set, on the call and on its leg, and says in the log what cannot. `exported`: legs rung from now on get them as well. */
export async function setVariables(call: Call, wanted: Readonly<Record<string, unknown>>, exported: boolean): Promise<void> {
  const onLeg: Record<string, string | null> = {}
  for (const [name, value] of Object.entries(wanted)) {
    const why = whyNot(call, name, value)
    if (why !== undefined) {
      call.log.warn('variable_not_set', { variable: name.slice(0, 100), why })
      continue
    }
    const said = printable(String(value))
    call.vars.set(name, said)
    onLeg[`${ON_LEG}${name}`] = said === '' ? null : said
    if (!exported) continue
    call.exported.add(`${ON_LEG}${name}`)
    if (said.includes('${')) call.log.warn('variable_not_exported', { variable: name, why: 'FreeSWITCH gives no leg a value with ${ in it' })
  }
  if (exported && Object.keys(onLeg).length > 0) onLeg[EXPORTS] = [...call.exported].join(',')
  if (Object.keys(onLeg).length > 0) await call.node.setVariables(call.leg.uuid, onLeg)
}

function whyNot({ vars }: Call, name: string, value: unknown): string | undefined {
  if (!VARIABLE_NAME.test(name)) return 'a name is 1 to 50 letters, digits and _'
  if (!['string', 'number', 'boolean'].includes(typeof value)) return 'it is neither text nor number nor yes or no'
  if (String(value).length > LONGEST) return `it is longer than ${LONGEST} characters`
  return vars.size >= MOST && !vars.has(name) ? `the call has ${MOST} variables already` : undefined
}

type Names<Root extends keyof typeof NAMES> = Record<(typeof NAMES)[Root][number], string | undefined>

const ofCall = ({ leg, number, interactionId, way, language, captures, digits, last }: Call): Names<'call'> => ({
  id: leg.uuid,
  interaction_id: interactionId,
  sip_call_id: leg.sipCallId,
  destination: number,
  caller_id_name: leg.callerIdName,
  caller_id_number: leg.callerIdNumber,
  direction: leg.direction,
  from_network: way.from,
  to_network: way.to,
  language,
  capture_group: captures[0],
  digits,
  last_cause: last?.cause,
  last_sip_status: last?.sipStatus,
})

const ofAccount = ({ account }: Call): Names<'account'> => ({ id: account._id, name: text(account['name']), realm: text(account['realm']) })

const ofUser = ({ user }: Call): Names<'user'> => ({
  id: user?._id,
  first_name: text(user?.['first_name']),
  last_name: text(user?.['last_name']),
  username: text(user?.['username']),
})

const ofDevice = ({ device }: Call): Names<'device'> => ({
  id: device?._id,
  name: text(device?.['name']),
  username: device === undefined ? undefined : sipUsername(device),
})

const ofCallflow = ({ callflow }: Call): Names<'callflow'> => ({ id: callflow._id, name: text(callflow['name']) })

const ROOTS: Readonly<Record<keyof typeof NAMES, (call: Call) => Readonly<Record<string, string | undefined>>>> = {
  call: ofCall,
  account: ofAccount,
  user: ofUser,
  device: ofDevice,
  callflow: ofCallflow,
}

/** An empty text is nothing. */
export const scopeOf =
  (call: Call): Scope =>
  (root, name) => {
    if (root === 'vars') return call.vars.get(name) || undefined
    const known: unknown = Object.hasOwn(ROOTS, root) ? ROOTS[root as keyof typeof ROOTS](call) : undefined
    return isObject(known) && Object.hasOwn(known, name) ? text(known[name]) || undefined : undefined
  }
