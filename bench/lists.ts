// A page of 50 out of 100 000 recordings: what the API adds to the view query it stands on, and whether the
// number of recordings matters. Embedded store; the client is in the same process, on a connection that stays.

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, createServer, get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApi } from '../src/api/app.ts'
import { firstStart } from '../src/api/resources/first-start.ts'
import { listen } from '../src/api/listen.ts'
import { systemClock } from '../src/clock.ts'
import { createEvents } from '../src/events.ts'
import { audioFields } from '../src/recording/document.ts'
import { recordingOf } from '../src/recording/new-recording.ts'
import { type Effective, layer, merge } from '../src/recording/settings.ts'
import { embeddedStore } from '../src/store/embedded.ts'
import { monthDb, monthOf, recordingDb, recordingId, toGregorian } from '../src/store/modb.ts'
import type { Doc, Store } from '../src/store/store.ts'
import type { Row } from './row.ts'
import type { ApiPorts } from '../src/api/http/ports.ts'

const FEW = 1000
const MANY = 100_000
const PAGE = 50
const TIMES = 300
/** Seconds between two recordings, so that all lie in one range. */
const APART = 25

const hex = (bytes: number): string => randomBytes(bytes).toString('hex')

export async function listRows(): Promise<Row[]> {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-bench-lists-'))
  const store = await embeddedStore({ dir })
  try {
    return await measured(store)
  } finally {
    await store.close()
    await rm(dir, { recursive: true, force: true })
  }
}

async function measured(store: Store): Promise<Row[]> {
  const now = Date.now()
  const random = (bytes: number): Buffer => randomBytes(bytes)
  const { accountId: busy, apiKey } = await firstStart(store, { apiKey: undefined, now, random })
  const listening = await listen(createApi(portsOf(store)), { host: '127.0.0.1', port: 0 })
  const query = { startKey: [toGregorian(now), {}], endKey: [0], descending: true, includeDocs: true, limit: PAGE + 1 }
  const bareView = await serving(async () => JSON.stringify(await store.query(monthDb(busy, monthOf(now)), 'recordings/crossbar_listing', query)))
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  try {
    const token = await login(listening.port, apiKey)
    const quiet = await child(listening.port, token)
    const page = (account: string, asked = `page_size=${PAGE}`): Promise<Buffer> =>
      fetched(agent, listening.port, `/v2/accounts/${account}/recordings?${asked}`, token)
    await fill(store, quiet, now, FEW)
    await fill(store, busy, now, MANY)
    const deepest = await keyAfter(MANY / 5, asked => page(busy, asked))

    const [bare = 0, many = 0, few = 0, deep = 0] = await medians([
      () => fetched(agent, bareView.port, '/', ''),
      () => page(busy),
      () => page(quiet),
      () => page(busy, `page_size=${PAGE}&start_key=${deepest}`),
    ])
    const ratio = (ms: number, by: number): string => `${ms.toFixed(2)} ms, ${(ms / by).toFixed(2)}×`
    return [
      { what: `list page of ${PAGE} of ${MANY} recordings / the bare view query as JSON, both over HTTP`, measured: ratio(many, bare), budget: '≤ 1.5×' },
      { what: `the same page of ${MANY} / of ${FEW} recordings`, measured: ratio(many, few), budget: 'flat' },
      { what: 'a page far down the list / the first one', measured: ratio(deep, many), budget: 'flat' },
    ]
  } finally {
    agent.destroy()
    bareView.close()
    await listening.close()
  }
}

function portsOf(store: Store): ApiPorts {
  const quiet = (): void => {}
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet }
  const config = {
    version: '',
    publicUrl: '',
    tokenTtl: 3600,
    maxTimeLimit: 10_800,
    embedded: { store: true, switch: true },
    xmlCurl: { secret: '', networks: [] },
  }
  const random = (bytes: number): Buffer => randomBytes(bytes)
  const ports = {
    store,
    clock: systemClock(),
    log,
    random,
    modules: [],
    metrics: { count: quiet },
    phones: { forget: async () => {} },
    events: createEvents(log),
  }
  return { ...ports, config } as unknown as ApiPorts
}

/** A server that does one thing. */
async function serving(answer: () => Promise<string>): Promise<{ port: number; close(): void }> {
  const server = createServer((_, response) => void answer().then(text => response.setHeader('content-type', 'application/json').end(text)))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() }
}

/** Milliseconds. They take turns, so that whatever else the machine does happens to all of them. */
async function medians(runs: readonly (() => Promise<unknown>)[]): Promise<number[]> {
  const took = runs.map((): number[] => [])
  for (let n = 0; n < TIMES; n++) {
    for (const [which, run] of runs.entries()) {
      const began = performance.now()
      await run()
      if (n >= TIMES / 10) took[which]?.push(performance.now() - began)
    }
  }
  return took.map(times => times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0)
}

async function fill(store: Store, accountId: string, now: number, count: number): Promise<void> {
  const settings = merge(layer('system', {}), layer('user', { record_call: { format: 'wav', time_limit: 600, url: 'https://records.example/calls' } }))
  const databases = new Set<string>()
  for (let n = 0; n < count; ) {
    const batch: Promise<unknown>[] = []
    for (; n < count && batch.length < 500; n++) {
      const at = now - n * APART * 1000
      const id = recordingId(at, hex(16))
      const db = recordingDb(accountId, id)
      if (!databases.has(db)) await store.createDatabase(db, 'modb')
      databases.add(db)
      batch.push(store.put(db, aRecording(id, accountId, at, settings.outbound.offnet)))
    }
    await Promise.all(batch)
  }
}

/** As the recorder and the delivery leave one. */
function aRecording(id: string, accountId: string, at: number, settings: Effective): Doc {
  const leg = hex(16)
  const facts = {
    interaction_id: `${toGregorian(at)}-${hex(4)}`,
    cdr_id: `${monthOf(at)}-${leg}`,
    direction: 'inbound' as const,
    from: 'alice@acme.example',
    to: '2002@acme.example',
    request: '2002@acme.example',
    caller_id_name: 'Alice Caller',
    caller_id_number: '1001',
    callee_id_name: 'Bob Callee',
    callee_id_number: '2002',
    sip_call_id: hex(16),
    owner_id: hex(16),
    endpoint_id: hex(16),
    custom_channel_vars: {},
  }
  const origin = { origin: 'outbound to onnet from endpoint', by: 'policy' as const, at }
  const made = {
    id,
    accountId,
    node: 'fs1',
    leg,
    side: 'caller' as const,
    facts,
    settings,
    format: 'wav' as const,
    written: 'wav' as const,
    warnings: [],
    origins: [origin] as const,
  }
  const sound = audioFields({ durationMs: 61_234, size: 1_959_532, sha256: hex(32), sampleRate: 8000, channels: 2 })
  return { ...recordingOf({ ...made, state: 'stopped', sampleRate: 8000, before: 0, now: at }), ...sound }
}

const nextOf = (page: Buffer): string => (JSON.parse(page.toString()) as { next_start_key?: string }).next_start_key ?? ''

/** Where the page after so many recordings begins. */
async function keyAfter(count: number, page: (asked: string) => Promise<Buffer>): Promise<string> {
  let key = ''
  for (let seen = 0; seen < count; seen += 1000) key = nextOf(await page(`page_size=1000${key === '' ? '' : `&start_key=${key}`}`))
  return key
}

const fetched = (agent: Agent, port: number, path: string, token: string): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const headers = { 'x-auth-token': token }
    get({ agent, host: '127.0.0.1', port, path, headers }, response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => resolve(Buffer.concat(chunks)))
    }).on('error', reject)
  })

async function put(port: number, path: string, data: object, token = ''): Promise<{ auth_token: string; data: { id: string } }> {
  const headers = { 'content-type': 'application/json', 'x-auth-token': token }
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'PUT', headers, body: JSON.stringify({ data }) })
  return (await response.json()) as { auth_token: string; data: { id: string } }
}

const login = async (port: number, apiKey: string): Promise<string> => (await put(port, '/v2/api_auth', { api_key: apiKey })).auth_token
const child = async (port: number, token: string): Promise<string> => (await put(port, '/v2/accounts', { name: 'quiet' }, token)).data.id
