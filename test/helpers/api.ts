// The API on a free port, on a store of its own and a switch that notes what it is asked to originate.

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { ExecutionContext } from 'ava'
import { createApi } from '../../src/api/app.ts'
import { firstStart } from '../../src/api/resources/first-start.ts'
import { listen, type Patience } from '../../src/api/listen.ts'
import type { Route } from '../../src/api/http/route.ts'
import type { CallControl } from '../../src/callflow/control.ts'
import { type Clock, systemClock } from '../../src/clock.ts'
import { AppError } from '../../src/errors.ts'
import { createEvents, type Events } from '../../src/events.ts'
import { createMetrics } from '../../src/metrics.ts'
import type { TenantClient } from '../../src/net/client.ts'
import { peerClient } from '../../src/net/peers.ts'
import { createAudit } from '../../src/recording/keeping/audit.ts'
import { createCheck } from '../../src/recording/keeping/integrity.ts'
import { createErasure, type Erasure } from '../../src/recording/keeping/erasure.ts'
import type { Attachment } from '../../src/recording/storage.ts'
import { embeddedStore } from '../../src/store/embedded.ts'
import type { Store } from '../../src/store/store.ts'
import type { Leg, NodeState, Originate, Phone, SwitchNode, Switches } from '../../src/switch/switch.ts'
import type { Script } from '../../src/voice/script.ts'
import { STATUSES } from '../../src/voice/interpreter.ts'
import { type Placed, startPlacing } from '../../src/voice/placing.ts'
import { type Line, notedLog } from './log.ts'
import type { ApiConfig, ApiPorts } from '../../src/api/http/ports.ts'

export const MODULES = ['answer', 'callflow', 'device', 'hangup', 'play', 'record_call', 'response', 'sleep', 'user']

/** An embedded store in a folder of its own. */
export async function aStore(t: ExecutionContext): Promise<Store> {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-api-'))
  const store = await embeddedStore({ dir })
  t.teardown(async () => {
    await store.close()
    await rm(dir, { recursive: true, force: true })
  })
  return store
}

export interface FakeSwitch {
  switches: Switches
  originated: Originate[]
  /** What is up. */
  legs: Leg[]
  state: { now: NodeState; askAt?: string }
  /** What `originate` does; settles at once unless replaced. */
  outcome: { of: () => Promise<void> }
}

/** Several engines may have the same legs. */
export function fakeSwitch(legs: Leg[] = []): FakeSwitch {
  const originated: Originate[] = []
  const state: FakeSwitch['state'] = { now: 'up' }
  const outcome: FakeSwitch['outcome'] = { of: () => Promise.resolve() }
  const node: Pick<SwitchNode, 'name' | 'status' | 'originate' | 'legs' | 'leg' | 'hangup'> = {
    name: 'fs1',
    status: () => ({
      name: 'fs1',
      state: state.now,
      address: '127.0.0.1:8021',
      modules: {},
      formats: [],
      ...(state.now === 'standby' ? { reason: 'driven by another:1' } : {}),
      ...(state.askAt === undefined ? {} : { askAt: state.askAt }),
    }),
    legs: () => Promise.resolve(legs),
    leg: uuid => Promise.resolve(legs.find(leg => leg.uuid === uuid)),
    hangup: () => Promise.resolve(),
    originate: what => {
      originated.push(what)
      return outcome.of()
    },
  }
  const switches: Switches = {
    nodes: [node as SwitchNode],
    node: name => {
      if (name !== 'fs1') throw new AppError('switch_down', name)
      return node as SwitchNode
    },
    on: () => () => {},
    close: () => Promise.resolve(),
  }
  return { switches, originated, legs, state, outcome }
}

/** Names of the reads and writes since it was last emptied; `refuse` has what is done in place of the store. */
export function spied(store: Store): { store: Store; calls: string[]; refuse: Partial<Store> } {
  const calls: string[] = []
  const refuse: Partial<Store> = {}
  const handler: ProxyHandler<Store> = {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        calls.push([name, ...args.filter(arg => typeof arg === 'string')].join(' '))
        return ((refuse[name as keyof Store] ?? value) as (...given: unknown[]) => unknown).apply(target, args)
      }
    },
  }
  return { store: new Proxy(store, handler), calls, refuse }
}

export interface Answered<D = Record<string, unknown>> {
  status: number
  headers: Headers
  /** The envelope; empty where there is none. */
  body: {
    data: D
    status?: string
    message?: string
    error?: string
    revision?: string
    auth_token?: string
    next_start_key?: string
    page_size?: number
  } & Record<string, unknown>
}

export interface Asking {
  token?: string | undefined
  headers?: Record<string, string>
  /** Sent as it is instead of `{data}`. */
  raw?: string | Buffer
}

export type Ask = <D = Record<string, unknown>>(method: string, path: string, data?: unknown, asking?: Asking) => Promise<Answered<D>>

export interface World extends FakeSwitch {
  url: string
  store: Store
  /** See `spied`. */
  calls: string[]
  refuse: Partial<Store>
  /** Without the spy. */
  base: Store
  lines: Line[]
  erasure: Erasure
  /** What the API hears of recordings. */
  events: Events
  /** What was asked of calls; `uncontrollable.with` is thrown instead. */
  controlled: object[]
  /** Legs of which something is recorded here, and whose. */
  recordedLegs: Map<string, string>
  uncontrollable: { with: AppError | undefined }
  /** Phones that switches were told to forget. */
  forgotten: (Phone | 'all')[]
  /** How often delivery was told that something is due. */
  woken: { times: number }
  /** What lies in the spool. */
  files: Map<string, Buffer>
  /** What was to be tried out as storage, and how that ends. */
  trials: { tried: { accountId: string; attachment: Attachment }[]; answer: string | undefined }
  /** What voice applications asked for, and what comes of it. */
  voice: {
    placed: Placed[]
    told: { url: string; method: string }[]
    transferred: [string, Script][]
    /** How a call ends that nobody answers, or when it is answered; it rings on unless told. */
    ends: string | Promise<undefined>
    runs: boolean
    refuses: AppError | undefined
  }
  /** Files that were taken out of the spool. */
  removed: string[]
  master: { accountId: string; apiKey: string }
  /** Of the master account. */
  token: string
  /** With the master's token unless another, or none (`undefined`), is given. */
  ask: Ask
  clock: Clock & { ahead: number }
  routes: readonly Route[]
}

export interface Wish {
  config?: Partial<ApiConfig>
  patience?: Patience
  modules?: readonly string[]
  /** Another engine, with the same store and switch. */
  beside?: World
  /** The way from here to others. */
  peers?: ApiPorts['peers']
}

export async function world(t: ExecutionContext, { config = {}, patience, modules = MODULES, beside, peers }: Wish = {}): Promise<World> {
  const base = beside?.base ?? (await aStore(t))
  const { store, calls, refuse } = spied(base)
  const { log, lines } = notedLog()
  const real = systemClock()
  const clock = { ...real, ahead: 0, now: () => real.now() + clock.ahead }
  const random = (bytes: number): Buffer => randomBytes(bytes)
  const master = beside?.master ?? (await firstStart(store, { apiKey: undefined, now: clock.now(), random }))
  const fake = fakeSwitch(beside?.legs)
  const standard: ApiConfig = {
    version: '0.1.0',
    publicUrl: 'http://127.0.0.1:8000',
    tokenTtl: 3600,
    maxTimeLimit: 10_800,
    embedded: { store: true, switch: true },
    xmlCurl: { secret: 'a-secret-of-tests', networks: ['127.0.0.0/8', '::1/128'] },
  }
  const metrics = createMetrics(clock)
  const standing = { prepared: true, operatorKey: master.apiKey }
  const forgotten: (Phone | 'all')[] = []
  const phones = { forget: async (phone?: Phone) => void forgotten.push(phone ?? 'all') }
  const audit = createAudit({ store, clock, log })
  const removed: string[] = []
  const spool = { remove: async (file: string) => void removed.push(file) }
  const erasure = createErasure({ store, spool, audit, clock, metrics, nodes: () => ['fs1'], deliver: () => {}, forget: async () => {} })
  const voice: World['voice'] = { placed: [], told: [], transferred: [], ends: new Promise(() => {}), runs: true, refuses: undefined }
  const applications: ApiPorts['voice'] = {
    async transfer(uuid, script) {
      if (voice.refuses !== undefined) throw voice.refuses
      voice.transferred.push([uuid, script])
      return voice.runs
    },
  }
  async function answered(): Promise<void> {
    const how = await voice.ends
    if (how === undefined) return
    const [cause = ''] = Object.entries(STATUSES).find(([, status]) => status === how) ?? []
    throw new AppError('switch_refused', how, { cause })
  }
  const http: TenantClient = {
    async request({ url, method }) {
      voice.told.push({ url, method })
      return { status: 204, headers: {}, body: Buffer.alloc(0), complete: true, bodySent: true, url: new URL(url) }
    },
    close: () => Promise.resolve(),
  }
  const rings = startPlacing({
    store,
    switches: fake.switches,
    http,
    wall: clock,
    clock,
    log,
    random: bytes => randomBytes(bytes).toString('hex'),
    begun: () => true,
  })
  t.teardown(() => rings.close())
  const placing: ApiPorts['placing'] = {
    async place(placed) {
      voice.placed.push(placed)
      await rings.place({ ...placed, node: { ...placed.node, originate: answered } })
    },
  }
  const trials: World['trials'] = { tried: [], answer: undefined }
  const tryStorage: ApiPorts['tryStorage'] = async (accountId, attachment) => {
    trials.tried.push({ accountId, attachment })
    return trials.answer
  }
  const controlled: World['controlled'] = []
  const recordedLegs: World['recordedLegs'] = new Map()
  const uncontrollable = { with: undefined as AppError | undefined }
  const note = async (what: object): Promise<void> => {
    if (uncontrollable.with !== undefined) throw uncontrollable.with
    controlled.push(what)
  }
  const control: CallControl = {
    async record(request) {
      const { leg, ...asked } = request
      await note({ ...asked, leg: leg.uuid })
      const action = request.action === 'toggle' ? 'start' : request.action
      return { action, recordings: [{ id: 'r1', kind: 'file', leg: leg.uuid, state: 'recording' }] }
    },
    async siprec({ leg, ...asked }) {
      await note({ siprec: leg.uuid, ...asked })
      return { action: 'start', recordings: [{ id: 'r2', kind: 'siprec', leg: leg.uuid, state: 'starting' }] }
    },
    recorded: (accountId, uuid) => (recordedLegs.get(uuid) === accountId ? { node: 'fs1', uuid } : undefined),
    recordings: uuid => (uuid === '11111111-aaaa' ? [{ id: 'r1', state: 'masked', origins: ['api : x'] }] : []),
    hangup: ({ uuid }) => note({ hangup: uuid }),
    play: ({ uuid }, media, to) => note({ play: uuid, media, to }),
    transfer: ({ uuid }, target) => note({ transfer: uuid, target }),
  }
  const woken = { times: 0 }
  const deliver = (): void => void woken.times++
  const files = new Map<string, Buffer>()
  const inSpool = { size: async (file: string) => files.get(file)?.length, read: (file: string) => Readable.from([files.get(file) ?? Buffer.alloc(0)]) }
  const check = createCheck({ store, spool: inSpool, audit, nodes: () => ['fs1'] })
  const events = createEvents(log)
  const directly = peerClient({ clock })
  t.teardown(() => directly.close())
  const ports = {
    events,
    voice: applications,
    placing,
    check,
    deliver,
    audit,
    erasure,
    tryStorage,
    control,
    store,
    switches: fake.switches,
    peers: peers ?? directly,
    phones,
    modules,
    clock,
    log,
    random,
    metrics,
    standing: () => standing,
  }
  const api = createApi({ ...ports, config: { ...standard, ...config } })
  const listening = await listen(api, { host: '127.0.0.1', port: 0, ...(patience === undefined ? {} : { patience }) })
  t.teardown(() => listening.close())
  const url = `http://127.0.0.1:${listening.port}`
  const open = asker(url)
  const { body } = await open('PUT', '/v2/api_auth', { api_key: master.apiKey })
  const token = body.auth_token ?? ''
  const ask: Ask = (method, path, data, asking = {}) => open(method, path, data, { token, ...asking })
  return {
    ...fake,
    events,
    voice,
    woken,
    erasure,
    files,
    trials,
    controlled,
    recordedLegs,
    uncontrollable,
    base,
    refuse,
    removed,
    url,
    store,
    calls,
    lines,
    forgotten,
    master,
    token,
    ask,
    clock,
    routes: api.routes,
  }
}

export function asker(url: string): Ask {
  const ask = async (method: string, path: string, data?: unknown, { token, headers = {}, raw }: Asking = {}): Promise<Answered<unknown>> => {
    const body = raw ?? (data === undefined ? undefined : JSON.stringify({ data }))
    const own = { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...(token === undefined ? {} : { 'x-auth-token': token }) }
    const response = await fetch(url + path, { method, headers: { ...own, ...headers }, ...(body === undefined ? {} : { body }) })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text.startsWith('{') ? (JSON.parse(text) as Answered<unknown>['body']) : { data: text } }
  }
  return ask as Ask
}

/** A child of the master account. */
export async function anAccount({ ask }: World, fields: Record<string, unknown> = {}): Promise<string> {
  const { body } = await ask<{ id: string }>('PUT', '/v2/accounts', { name: `tenant ${randomBytes(6).toString('hex')}`, ...fields })
  return body.data.id
}

export interface TenantWorld extends World {
  account: string
  /** Path of the account. */
  at: string
}

/** A world with the account of realm acme.example in it. */
export async function tenantWorld(t: ExecutionContext, wish: Wish = {}): Promise<TenantWorld> {
  const made = await world(t, wish)
  const account = await anAccount(made, { name: 'acme', realm: 'acme.example' })
  return { ...made, account, at: `/v2/accounts/${account}` }
}
