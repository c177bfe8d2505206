// A call walked through its flow without being made: each action as far as it decides about recordings, by the
// functions the actions themselves use. Who is rung answers, and who is asked presses nothing that is known.

import type { Log } from '../log.ts'
import type { By, Side } from '../recording/document.ts'
import { type Decision, decideAction, decideCallee, decideCallerLeg, decideMessage, type Way } from '../recording/policy.ts'
import { type Effective, sameFile } from '../recording/settings.ts'
import { accountDb, isId } from '../store/modb.ts'
import type { Doc, Store } from '../store/store.ts'
import { modules } from './actions/index.ts'
import { SWITCHED } from './actions/temporal_route.ts'
import { callerDocuments, documentsOf } from './call.ts'
import { live, text } from './documents.ts'
import { deviceAlone, devicesOfUser } from './endpoint.ts'
import { branch, type End, type Fields, type FlowNode, follow, isEnd, next, type Outcome, type Position, replace, stop } from './flow.ts'
import { isTelephoneNumber, waysFor } from './leaving.ts'
import { callflowOf } from './lookup.ts'
import { membersIn, phonesOf } from './members.ts'
import { type Party, planOf, type Wanted } from './plan.ts'
import { labelOf } from './recording.ts'
import { activeRule } from './temporal-rules.ts'

export interface Foreseen extends Decision {
  leg: Side
  by: By
  device: Doc | undefined
  user: Doc | undefined
  when: string
  /** The callflow whose node asks for it. */
  callflow_id?: string
  /** The first origin of the recording that runs already and would be this one, too. */
  joins?: string
  /** A node of the flow stops it. */
  stopped?: true
}

/** `why`: what it depends on, in words. */
export interface Open {
  module: string
  why: string
}

/** The part of a call that decides; the executor's has more. */
export interface Situation {
  account: Doc
  device: Doc | undefined
  user: Doc | undefined
  dialled: Doc
  callflow: Doc
  way: Way
  number: string
}

interface Around {
  store: Store
  log: Log
  /** Unix milliseconds: when the call would happen. */
  at: number
}

/** Actions after which the call goes on as before: no file comes of them. */
const PASSING = new Set(['answer', 'language', 'noop', 'play', 'set_variables', 'siprec_recording', 'sleep', 'tts', 'webhook'])
const ENDING = new Set(['dead_air', 'hangup', 'response', 'wait_for_hangup'])
const RECORDING = new Set(['record_call', 'record_caller'])
/** Nobody can tell what they come to. */
const OPEN: Readonly<Record<string, string>> = {
  menu: 'it depends on what the caller presses',
  ncco: 'it depends on what the application answers',
  pivot: 'it depends on what the server answers',
}

/** As the recorder keeps what runs on the caller's leg. */
interface Running {
  settings: Effective
  /** The latest is the last. */
  made: Foreseen[]
}

export class Rehearsal {
  readonly decisions: Foreseen[] = []
  open: Open | undefined
  readonly #around: Around
  readonly #call: Situation
  readonly #running: Running[] = []
  readonly #branched = new Map<string, Doc>()

  constructor(around: Around, call: Situation) {
    this.#around = around
    this.#call = call
    this.#policy()
  }

  async through(start: Position | End): Promise<void> {
    let at = start
    while (!isEnd(at)) {
      this.#call.callflow = at.callflow
      const outcome = await this.#after(at.node)
      if (outcome === undefined) return
      at = follow(at, outcome)
    }
  }

  get #db(): string {
    return accountDb(this.#call.account._id)
  }

  /** Undefined: it depends on what happens in the call. */
  async #after({ module, data, children }: FlowNode): Promise<Outcome | undefined> {
    if (data['skip_module'] === true || PASSING.has(module)) return next()
    if (ENDING.has(module)) return stop()
    if (!modules.includes(module)) return next()
    // A recording is one whatever its url or label becomes.
    if (!RECORDING.has(module) && JSON.stringify(data).includes('{{')) return this.#leave(module, 'what its expressions yield only the call knows')
    switch (module) {
      case 'record_call':
        return this.#record(data)
      case 'record_caller':
        return this.#message(data)
      case 'callflow':
        return this.#branch(data['id'])
      case 'user':
      case 'device':
        return this.#phones(module, data)
      case 'ring_group':
        return this.#group(data)
      case 'resources':
        return this.#out(data)
      case 'temporal_route':
        return this.#byTime(data, Object.keys(children))
      case 'transfer':
        return this.#transfer(data)
    }
    return this.#leave(module, OPEN[module] ?? 'what it comes to only the call knows')
  }

  #leave(module: string, why: string): undefined {
    this.open = { module, why }
  }

  #record(data: Fields): Outcome {
    if (data['action'] === 'stop') this.#stopLatest()
    else this.#ofCaller(decideAction(callerDocuments(this.#call), this.#call.way, data, labelOf(this.#call, data)), 'action')
    return next()
  }

  #message(data: Fields): Outcome {
    const { device, user, callflow } = this.#call
    const decision = decideMessage(callerDocuments(this.#call), this.#call.way, data, labelOf(this.#call, data))
    this.decisions.push({ ...decision, leg: 'caller', by: 'action', device, user, when: 'when the caller speaks at this action', callflow_id: callflow._id })
    return next()
  }

  async #branch(id: unknown): Promise<Outcome> {
    if (typeof id !== 'string' || !isId(id)) return next()
    const into = [this.#call.dialled, this.#branched.get(id)].find(seen => seen?._id === id) ?? live(await this.#around.store.get(this.#db, id), 'callflow')
    if (into === undefined) return next()
    this.#branched.set(id, into)
    return branch(into)
  }

  async #phones(module: 'user' | 'device', { id, strategy, can_call_self }: Fields): Promise<Outcome> {
    if (typeof id !== 'string' || !isId(id)) return next()
    const { store } = this.#around
    const endpoints = await (module === 'user' ? devicesOfUser(store, this.#db, id) : deviceAlone(store, this.#db, id))
    if (endpoints === undefined) return next()
    const owner = module === 'user' && endpoints.length === 0 ? live(await store.get(this.#db, id), 'user') : undefined
    return this.#ring({ endpoints, owner, canCallSelf: can_call_self === true, forwards: 'direct' }, module === 'user' && strategy === 'single')
  }

  async #group({ endpoints, strategy, ignore_forward }: Fields): Promise<Outcome | undefined> {
    if (strategy === 'weighted_random') return this.#leave('ring_group', 'who is rung first is drawn by lot')
    const members = membersIn(endpoints)
    if (members.length === 0) return next()
    const { store, log } = this.#around
    const phones = await phonesOf({ store, log, accountId: this.#call.account._id }, members)
    return this.#ring({ endpoints: phones, canCallSelf: false, forwards: ignore_forward === false ? 'group' : 'ignored' }, strategy === 'single')
  }

  /** `inTurn`: one after the other, so the first one answers and nobody else is rung. */
  async #ring(wanted: Wanted, inTurn: boolean): Promise<Outcome> {
    const { ring, otherwise, into } = await planOf({ ...this.#around, ...this.#call }, wanted)
    if (into !== undefined) {
      this.#branched.set(into._id, into)
      return branch(into)
    }
    const planned = ring.length > 0 ? ring : otherwise
    if (planned.length === 0) return next('USER_NOT_REGISTERED')
    if (planned.some(({ outside }) => outside !== undefined)) this.#leaving()
    for (const { parties, keypress } of inTurn ? planned.slice(0, 1) : planned) for (const party of parties) this.#ofCallee(party, keypress)
    return stop()
  }

  async #out({ to_did }: Fields): Promise<Outcome> {
    const number = text(to_did) || this.#call.number
    if (!isTelephoneNumber(number) || (this.#call.way.from === 'offnet' && text(to_did) === '')) return next('INVALID_NUMBER_FORMAT')
    const { store, log } = this.#around
    if ((await waysFor(store, log, this.#call.account._id, number)).length === 0) return next('NO_ROUTE_DESTINATION')
    this.#leaving()
    return stop()
  }

  async #byTime({ rules, timezone, action }: Fields, children: readonly string[]): Promise<Outcome> {
    if (typeof action === 'string' && Object.hasOwn(SWITCHED, action)) return next()
    const { store, log, at } = this.#around
    const { account, device, user } = this.#call
    const active = await activeRule(
      { store, log, db: this.#db, at },
      { rules, children, zones: [timezone, device?.['timezone'], user?.['timezone'], account['timezone']] },
    )
    return active === undefined ? next() : next(active._id)
  }

  async #transfer({ target, captures = [] }: Fields): Promise<Outcome> {
    const { store, log } = this.#around
    const mayLeave = Array.isArray(captures) && captures.includes('no_match') && this.#call.way.from === 'onnet'
    const found = text(target) === '' ? undefined : await callflowOf(store, this.#db, text(target), mayLeave, log)
    if (found === undefined) return next('UNALLOCATED_NUMBER')
    const { callflow, to } = found
    this.#call.number = text(target)
    this.#call.dialled = callflow
    this.#call.callflow = callflow
    this.#call.way = { ...this.#call.way, to }
    this.#policy()
    return replace(callflow)
  }

  #leaving(): void {
    this.#call.way = { ...this.#call.way, to: 'offnet' }
    this.#policy()
  }

  /** What policy wants of the caller's leg, unless it runs already. */
  #policy(): void {
    const before = [...this.#running]
    for (const decision of decideCallerLeg(callerDocuments(this.#call), this.#call.way)) {
      const runs = before.some(({ settings, made }) => made.some(({ origin }) => origin === decision.origin) && sameFile(settings, decision.settings))
      const told = this.decisions.some(one => !one.record && one.origin === decision.origin && one.why === decision.why)
      if (!(decision.record ? runs : told)) this.#ofCaller(decision, 'policy')
    }
  }

  #ofCallee({ device, user }: Party, keypress: boolean): void {
    const settings = this.#running.map(one => one.settings)
    const decision = decideCallee(documentsOf(this.#call, device, user), this.#call.way, settings, keypress)
    this.decisions.push({ ...decision, leg: 'callee', by: 'policy', device, user, when: when(decision, CALLEE) })
  }

  #ofCaller(decision: Decision, by: By): void {
    const { device, user, callflow } = this.#call
    const twin = decision.record ? this.#running.find(one => sameFile(one.settings, decision.settings)) : undefined
    const first = twin?.made[0]
    const foreseen: Foreseen = {
      ...decision,
      leg: 'caller',
      by,
      device,
      user,
      when: when(decision, by === 'policy' ? CALLER : ACTION),
      ...(by === 'action' ? { callflow_id: callflow._id } : {}),
      ...(first === undefined ? {} : { joins: first.origin }),
    }
    this.decisions.push(foreseen)
    if (twin !== undefined) twin.made.push(foreseen)
    else if (decision.record) this.#running.push({ settings: decision.settings, made: [foreseen] })
  }

  #stopLatest(): void {
    const latest = this.decisions.findLast(one => one.by === 'action' && one.stopped === undefined && this.#running.some(({ made }) => made.includes(one)))
    if (latest === undefined) return
    latest.stopped = true
    const at = this.#running.findIndex(({ made }) => made.includes(latest))
    const left = this.#running[at]?.made.filter(one => one !== latest) ?? []
    if (left.length === 0) this.#running.splice(at, 1)
    else this.#running.splice(at, 1, { settings: latest.settings, made: left })
  }
}

const CALLER = { answer: 'when the call is answered', bridge: 'when the call is bridged', nothing: 'when the call comes' }
const CALLEE = { answer: 'when this phone answers', bridge: 'when this phone is bridged', nothing: 'when this phone is rung' }
const ACTION = {
  answer: 'when the call is answered, once it has come to this action',
  bridge: 'when the call is bridged, once it has come to this action',
  nothing: 'when the call comes to this action',
}

function when({ record, settings }: Decision, words: typeof CALLER): string {
  if (!record) return 'never'
  if (settings.record_on_answer?.value === true) return words.answer
  return settings.record_on_bridge?.value === true ? words.bridge : words.nothing
}
