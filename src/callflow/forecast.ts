// A call that has not happened: what would be recorded of it, and why. It is looked up and decided by
// the very functions the executor uses, and walked through its flow as a call that everybody answers.

import type { Log } from '../log.ts'
import type { By, Side } from '../recording/document.ts'
import { type Decision, decideAction, decideCallee, decideCallerLeg, decideMessage, type Way } from '../recording/policy.ts'
import { type Effective, sameFile } from '../recording/settings.ts'
import { accountDb, isId } from '../store/modb.ts'
import type { Doc, Store } from '../store/store.ts'
import { modules } from './actions/index.ts'
import { callerDocuments, documentsOf } from './call.ts'
import { live, text } from './documents.ts'
import { deviceAlone, devicesOfUser, type Endpoint, unfit } from './endpoint.ts'
import { begin, branch, type End, type FlowNode, follow, isEnd, next, type Outcome, type Position, stop } from './flow.ts'
import { type Found, lookup, type Refused } from './lookup.ts'
import { labelOf } from './recording.ts'

/** Who calls: a phone of the account, or a number outside. */
export type From = { device: Doc; user: Doc | undefined } | { number: string }
/** What is called: a number, or an endpoint without any callflow. */
export type To = { number: string } | { endpoint: Doc }

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

export interface Forecast {
  /** Why there would be no call at all. */
  refused?: string
  way?: Pick<Way, 'from' | 'to'>
  callflow_id?: string
  decisions: Foreseen[]
  /** The action from which on nobody can tell without the call. */
  open?: string
}

interface Asked {
  store: Store
  log: Log
  account: Doc
  maxTimeLimit: number
}

/** The part of a call that decides; the executor's has more. */
interface Situation {
  account: Doc
  device: Doc | undefined
  user: Doc | undefined
  dialled: Doc
  callflow: Doc
  way: Way
  number: string
}

export async function forecast(asked: Asked, from: From, to: To): Promise<Forecast> {
  const found = await find(asked, from, to)
  if ('refused' in found) return { refused: found.refused, decisions: [] }
  const { account, callflow, device, preflow, user, number } = found
  const situation: Situation = {
    account,
    device,
    user,
    number,
    dialled: callflow,
    callflow,
    way: { from: found.from, to: found.to, maxTimeLimit: asked.maxTimeLimit },
  }
  const walk = new Walk(asked.store, situation)
  await walk.through(begin(callflow, preflow))
  return {
    way: { from: found.from, to: found.to },
    ...(callflow._id === '' ? {} : { callflow_id: callflow._id }),
    decisions: walk.decisions,
    ...(walk.open === undefined ? {} : { open: walk.open }),
  }
}

async function find({ store, log, account }: Asked, from: From, to: To): Promise<Found | Refused> {
  const outside = 'number' in from
  const party = outside ? { callrec_inception: 'offnet' } : { callrec_account_id: account._id, callrec_device_id: from.device._id }
  if ('number' in to) {
    const found = await lookup(store, { variables: party, destination: to.number }, log)
    // Whose number it is instead is none of this account's business.
    if ('refused' in found || found.accountId === account._id) return found
    return { refused: 'the account has not claimed this number', cause: 'UNALLOCATED_NUMBER' }
  }
  const { endpoint } = to
  const flow = { module: endpoint['pvt_type'] === 'user' ? 'user' : 'device', data: { id: endpoint._id } }
  const [device, user] = outside ? [undefined, undefined] : [from.device, from.user]
  const network = outside ? 'offnet' : 'onnet'
  return {
    accountId: account._id,
    number: endpoint._id,
    captures: [],
    account,
    device,
    user,
    preflow: undefined,
    callflow: { _id: '', flow },
    from: network,
    to: 'onnet',
  }
}

/** Actions that only take time. */
const PASSING = new Set(['answer', 'language', 'noop', 'play', 'set_variables', 'sleep', 'tts', 'webhook'])
const RECORDING = new Set(['record_call', 'record_caller'])
const ENDING = new Set(['dead_air', 'hangup', 'response', 'wait_for_hangup'])

/** As the recorder keeps what runs on the caller's leg. */
interface Running {
  settings: Effective
  /** The latest is the last. */
  made: Foreseen[]
}

class Walk {
  readonly decisions: Foreseen[] = []
  open: string | undefined
  readonly #store: Store
  readonly #call: Situation
  readonly #running: Running[] = []
  readonly #branched = new Map<string, Doc>()

  constructor(store: Store, call: Situation) {
    this.#store = store
    this.#call = call
    for (const decision of decideCallerLeg(callerDocuments(call), call.way)) this.#ofCaller(decision, 'policy')
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

  /** Undefined: it depends on what happens in the call. */
  async #after({ module, data }: FlowNode): Promise<Outcome | undefined> {
    if (data['skip_module'] === true || PASSING.has(module)) return next()
    if (ENDING.has(module)) return stop()
    // What an expression yields, only the call knows. A recording is one whatever its url or label becomes.
    if (modules.includes(module) && !RECORDING.has(module) && JSON.stringify(data).includes('{{')) {
      this.open = module
      return undefined
    }
    switch (module) {
      case 'record_call':
        return this.#record(data)
      case 'record_caller':
        return this.#message(data)
      case 'callflow':
        return this.#branch(data['id'])
      case 'user':
      case 'device':
        return this.#ring(module, data)
    }
    if (!modules.includes(module)) return next()
    this.open = module
    return undefined
  }

  #record(data: FlowNode['data']): Outcome {
    if (data['action'] === 'stop') this.#stopLatest()
    else this.#ofCaller(decideAction(callerDocuments(this.#call), this.#call.way, data, labelOf(this.#call, data)), 'action')
    return next()
  }

  #message(data: FlowNode['data']): Outcome {
    const { device, user, callflow } = this.#call
    const decision = decideMessage(callerDocuments(this.#call), this.#call.way, data, labelOf(this.#call, data))
    this.decisions.push({ ...decision, leg: 'caller', by: 'action', device, user, when: 'when the caller speaks at this action', callflow_id: callflow._id })
    return next()
  }

  async #branch(id: unknown): Promise<Outcome> {
    if (typeof id !== 'string' || !isId(id)) return next()
    const { dialled, account } = this.#call
    const into = [dialled, this.#branched.get(id)].find(seen => seen?._id === id) ?? live(await this.#store.get(accountDb(account._id), id), 'callflow')
    if (into === undefined) return next()
    this.#branched.set(id, into)
    return branch(into)
  }

  async #ring(module: 'user' | 'device', { id, strategy, can_call_self }: FlowNode['data']): Promise<Outcome> {
    if (typeof id !== 'string' || !isId(id)) return next()
    const db = accountDb(this.#call.account._id)
    const endpoints = await (module === 'user' ? devicesOfUser(this.#store, db, id) : deviceAlone(this.#store, db, id))
    if (endpoints === undefined) return next()
    const fit = endpoints.filter(one => unfit(one, this.#call, can_call_self === true) === undefined)
    if (fit.length === 0) return next('USER_NOT_REGISTERED')
    // One after the other: the first one answers, and nobody else is rung.
    for (const endpoint of module === 'user' && strategy === 'single' ? fit.slice(0, 1) : fit) this.#ofCallee(endpoint)
    return stop()
  }

  #ofCallee({ device, user }: Endpoint): void {
    const settings = this.#running.map(one => one.settings)
    const decision = decideCallee(documentsOf(this.#call, device, user), this.#call.way, settings)
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

/** The phones a party may call from. */
export async function phonesOf(store: Store, db: string, doc: Doc): Promise<Endpoint[]> {
  if (doc['pvt_type'] === 'user') return (await devicesOfUser(store, db, doc._id)) ?? []
  const owner = text(doc['owner_id'])
  return [{ device: doc, user: isId(owner) ? live(await store.get(db, owner), 'user') : undefined }]
}
