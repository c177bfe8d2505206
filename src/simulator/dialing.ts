// Rings phones: `{vars}[vars]user/a@r,user/b@r|user/c@r`. A comma rings together and the first answer wins, a bar tries
// the next when nobody came. `user/`, `null/`, `error/` and `sofia/gateway/` exist here; of gateways there is one, `trunk`, and
// behind it a phone for every number. Any other endpoint fails as in a FreeSWITCH without its module. Timeouts and causes are
// those of FreeSWITCH 1.11.2, odd as they are: of several legs the first one *written*
// gives its cause, and `leg_timeout` ends a leg that rings alone with NO_ANSWER, one among others with ALLOTTED_TIMEOUT.

import { randomUUID } from 'node:crypto'

import { type LegSpec, answer, createLeg, hangup, preAnswer, ring } from './call.ts'
import { type Cause, causeOf } from './causes.ts'
import type { Header } from './event.ts'
import type { Exchange } from './exchange.ts'
import { isUp, type Leg, pushVariable, setVariable, variable } from './leg.ts'
import { type Absence, absence, NETWORK } from './phone.ts'
import { isTrue, splitOutside, takeVariables } from './words.ts'

export interface Dialing {
  /** Nobody is waiting any more. */
  cancel(): void
}

export interface DialOptions {
  dialString: string
  /** Whole seconds for each try, up to one less (FreeSWITCH counts the clock's seconds). */
  timeout: number
  /** The leg that wants to be connected; none for `originate`. */
  originator?: Leg
  callerIdName: string
  callerIdNumber: string
  answered(leg: Leg): void
  failed(cause: Cause): void
}

interface Target {
  user: string
  realm: string
  /** FreeSWITCH's `null/`: answers at once and says nothing. */
  nobody: boolean
  variables: ReadonlyMap<string, string>
}

/** Milliseconds until a phone that is asked to press a key does. */
const CONFIRMS = 1000

/** As in freeswitch/conf. */
const GATEWAY = 'trunk'

/** What cannot be rung has a cause instead. */
export function parseDialString(text: string): { variables: Map<string, string>; tries: (Target | Cause)[][] } {
  const { variables, rest } = takeVariables(text, '{')
  const tries = splitOutside(rest, '|').map(part =>
    splitOutside(part, ',').map((one): Target | Cause => {
      const own = takeVariables(one, '[')
      const [, kind, user = '', realm = ''] = /^(user|null|error)\/([^@/\s]+)(?:@([^@/\s]+))?$/.exec(own.rest.trim()) ?? []
      if (kind === 'error') return causeOf(user)
      const [, gateway, number] = /^sofia\/gateway\/([\w.-]+)\/([\w.+*#-]+)$/.exec(own.rest.trim()) ?? []
      if (gateway && gateway !== GATEWAY) return 'INVALID_GATEWAY'
      if (gateway && number) return { user: number, realm: gateway, nobody: false, variables: new Map([...variables, ...own.variables]) }
      if (kind === undefined || (kind === 'null') !== (realm === '')) return 'CHAN_NOT_IMPLEMENTED'
      return { user, realm: realm || kind, nobody: kind === 'null', variables: new Map([...variables, ...own.variables]) }
    }),
  )
  return { variables, tries }
}

export function dial(exchange: Exchange, options: DialOptions): Dialing {
  const { originator } = options
  const { timeline } = exchange
  const { variables, tries } = parseDialString(options.dialString)
  let ringing: Leg[] = []
  let timers: (() => void)[] = []
  let over = false

  function attempt(targets: readonly (Target | Cause)[]): void {
    const rung = targets.map(target => (typeof target === 'string' ? target : (absent(target) ?? call(target))))
    const legs = rung.filter(one => typeof one !== 'string')
    const impossible = rung.find(one => typeof one === 'string') ?? 'CHAN_NOT_IMPLEMENTED'
    const delayed = new Map<Leg, () => void>()
    let timedOut = false
    ringing = [...legs]

    function lost(leg: Leg, cause: Cause): void {
      ringing = ringing.filter(one => one !== leg)
      delayed.delete(leg)
      if (originator) {
        setVariable(originator, 'sip_invite_failure_status', variable(leg, 'sip_invite_failure_status'))
        setVariable(originator, 'last_bridge_hangup_cause', cause)
      }
      if (ringing.length > 0) {
        // Nobody rings any more: who was to ring later rings now.
        const [next] = delayed.values()
        if (ringing.every(one => delayed.has(one))) next?.()
        return
      }
      for (const one of originator ? legs : []) pushCause(one, one.cause ?? cause)
      nobody(timedOut ? 'NO_ANSWER' : (legs[0]?.cause ?? cause))
    }

    for (const leg of legs) {
      leg.onGone = cause => lost(leg, cause)
      leg.onAnswer = () => (variable(leg, 'group_confirm_key') === undefined ? won(leg) : confirm(leg))
      const delay = secondsOf(leg, 'leg_delay_start')
      const timeout = secondsOf(leg, 'leg_timeout')
      if (timeout > 0 && legs.length > 1) {
        // Checked once a second, and only when more than that has passed.
        at(timeline.wholeSeconds(timeout + delay + 1), () => hangup(exchange, leg, 'ALLOTTED_TIMEOUT'))
      }
      const ringNow = (): void => {
        delayed.delete(leg)
        invite(leg)
      }
      if (delay > 0 && legs.length > 1) {
        delayed.set(leg, ringNow)
        at(timeline.wholeSeconds(delay + 1), () => delayed.get(leg)?.())
      } else at(timeline.now() + NETWORK, ringNow)
    }
    if (legs.length === 0) at(timeline.now(), () => nobody(impossible))
    const [only] = legs
    const alone = legs.length === 1 && only ? secondsOf(only, 'leg_timeout') : 0
    at(timeline.wholeSeconds(alone || Number(variables.get('originate_timeout')) || options.timeout), () => {
      timedOut = true
      delayed.clear()
      for (const leg of ringing) hangup(exchange, leg, 'NO_ANSWER')
    })
  }

  function at(time: number, run: () => void): void {
    timers.push(timeline.at(time, run))
  }

  /** Asked to press a key, a phone does; until then it is answered and not connected (switch_ivr_originate.c, check_channel_status). */
  function confirm(leg: Leg): void {
    const wish = variable(leg, 'callrec_simulator_confirm') ?? (originator && variable(originator, 'callrec_simulator_confirm'))
    if (wish !== 'never') at(timeline.now() + CONFIRMS, () => isUp(leg) && won(leg))
  }

  /** No leg is made for it; of a phone that is known a CHANNEL_DESTROY tells all the same (seen on FreeSWITCH 1.11.2). */
  function absent({ variables }: Target): Absence | undefined {
    const why = absence(variables, originator)
    const uuid = variables.get('origination_uuid') ?? randomUUID()
    if (why === 'USER_NOT_REGISTERED') exchange.fire('CHANNEL_DESTROY', () => unborn(uuid))
    return why
  }

  function call(target: Target): Leg {
    const spec: LegSpec = {
      direction: 'outbound',
      user: target.user,
      realm: target.realm,
      nobody: target.nobody,
      destination: target.user,
      callerIdName: options.callerIdName,
      callerIdNumber: options.callerIdNumber,
      variables: new Map([...exported(originator), ['dialed_user', target.user], ['dialed_domain', target.realm], ...target.variables]),
      ...(originator && { originator }),
    }
    const leg = createLeg(exchange, spec)
    if (originator) pushVariable(originator, 'originated_legs', `${leg.uuid};${leg.profile.calleeIdName};${leg.profile.calleeIdNumber}`)
    return leg
  }

  function invite(leg: Leg): void {
    if (!isUp(leg)) return
    const reaction = leg.phone.reaction(originator)
    if (reaction !== 'never' && 'refuse' in reaction) return hangup(exchange, leg, reaction.refuse)
    if (reaction === 'never' || reaction.early !== true) {
      ring(exchange, leg)
      if (originator) ring(exchange, originator)
    }
    if (reaction === 'never') return
    // Past a bridge by early media, which ends the waiting here, the phone answers all the same.
    if (reaction.early === true) timeline.after(reaction.answerAfter, () => answer(exchange, leg))
    else at(timeline.now() + reaction.answerAfter, () => answer(exchange, leg))
    if (reaction.early !== true) return
    preAnswer(exchange, leg)
    if (!isTrue(variables.get('ignore_early_media'))) won(leg)
  }

  function pushCause(leg: Leg, cause: Cause | 'NONE'): void {
    if (originator) pushVariable(originator, 'originate_causes', `${leg.uuid};${cause}`)
  }

  function stop(): void {
    for (const cancel of timers) cancel()
    timers = []
  }

  function won(leg: Leg): void {
    if (over) return
    over = true
    stop()
    leg.onAnswer = leg.onGone = undefined
    for (const other of ringing) {
      if (other === leg) continue
      other.onGone = undefined
      pushCause(other, 'LOSE_RACE')
      hangup(exchange, other, 'LOSE_RACE')
    }
    pushCause(leg, 'NONE')
    options.answered(leg)
  }

  function nobody(cause: Cause): void {
    if (over) return
    stop()
    const next = tries.shift()
    if (next) return attempt(next)
    over = true
    options.failed(cause)
  }

  attempt(tries.shift() ?? [])
  return {
    cancel() {
      if (over) return
      over = true
      stop()
      for (const leg of ringing) {
        leg.onGone = undefined
        hangup(exchange, leg, 'ORIGINATOR_CANCEL')
      }
    },
  }
}

const unborn = (uuid: string): Header[] => [
  ['Channel-State', 'CS_NONE'],
  ['Channel-Call-State', 'DOWN'],
  ['Channel-State-Number', '0'],
  ['Channel-Name', 'N/A'],
  ['Unique-ID', uuid],
  ['Call-Direction', 'outbound'],
  ['Presence-Call-Direction', 'outbound'],
  ['Channel-HIT-Dialplan', 'false'],
  ['Channel-Call-UUID', uuid],
  ['Answer-State', 'ringing'],
  ['variable_direction', 'outbound'],
  ['variable_is_outbound', 'true'],
  ['variable_uuid', uuid],
  ['variable_call_uuid', uuid],
]

const secondsOf = (leg: Leg, name: string): number => Math.max(0, Number.parseInt(variable(leg, name) ?? '0', 10) || 0)

/** Variables the originator `export`ed; a reference to a variable is dropped (switch_channel_set_variable's check). */
function exported(originator: Leg | undefined): [string, string][] {
  if (!originator) return []
  return (variable(originator, 'export_vars') ?? '').split(',').flatMap(name => {
    const value = variable(originator, name)
    return value === undefined || value.includes('${') ? [] : [[name, value] as [string, string]]
  })
}
