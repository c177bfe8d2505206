// One recorded call on an embedded switch of its own, and engines that come and go meanwhile. All scenes share one
// store: a scene is known there by its account and by the name of its switch.

import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DATABASES } from '../../src/api/rights/databases.ts'
import { systemClock } from '../../src/clock.ts'
import { silent } from '../../src/log.ts'
import { tenantClient } from '../../src/net/client.ts'
import { IN_FLIGHT, type InFlight, type Recording } from '../../src/recording/document.ts'
import { openJournal } from '../../src/recording/journal.ts'
import { openSpool } from '../../src/recording/spool.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { embeddedStore } from '../../src/store/embedded.ts'
import { accountDb, monthDb, monthOf } from '../../src/store/modb.ts'
import type { Doc, Store } from '../../src/store/store.ts'
import { connectSwitches, whenUp } from '../../src/switch/pool.ts'
import type { SwitchEvent } from '../../src/switch/switch.ts'
import { eslApi } from '../helpers/esl-client.ts'
import { PATIENCE, until } from '../helpers/wait.ts'
import { type Mortal, mortal } from './mortal.ts'
import { openRooms } from './rooms.ts'

/** Call time, to the wall's: a caller's patience of a minute must outlast a restart on a busy machine. */
export const SPEED = 10
/** A call that nobody served so long, in milliseconds of the wall, was not dropped: the machine is too busy for its caller. */
const TOO_LATE = 2_500

const PASSWORD = 'ClueCon'
const hex = (bytes: number): string => randomBytes(bytes).toString('hex')

export interface Upload {
  path: string
  key: string
  whole: boolean
  bytes: number
}

export interface Ground {
  store: Store
  /** What was sent for the account, as the receiver saw it. */
  uploads: (account: string) => Upload[]
  url: string
  close(): Promise<void>
}

/** What all scenes share. */
export async function ground(): Promise<Ground> {
  const dir = await mkdtemp(join(tmpdir(), 'callrec-crashes-'))
  const store = await embeddedStore({ dir })
  for (const [db, classification] of DATABASES) await store.createDatabase(db, classification)
  const uploads = new Map<string, Upload[]>()
  const server = createServer((request, response) => {
    const [, account = '', ...rest] = (request.url ?? '').split('/')
    const upload: Upload = { path: `/${rest.join('/')}`, key: String(request.headers['idempotency-key']), whole: false, bytes: 0 }
    uploads.set(account, [...(uploads.get(account) ?? []), upload])
    request.on('data', (piece: Buffer) => {
      upload.bytes += piece.length
    })
    request.on('error', () => {})
    request.on('end', () => {
      upload.whole = upload.bytes === Number(request.headers['content-length'])
      response.writeHead(201).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    store,
    uploads: account => uploads.get(account) ?? [],
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      server.close()
      await store.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

export interface Scene {
  /** An engine comes; `diesAt` as in `mortal`; `reach` is asked before each request to the store, and may refuse it. */
  life(diesAt?: (boundary: string) => boolean, reach?: () => void): Promise<Mortal>
  /** Somebody calls Bob, who is recorded; resolves when the switch has the call. */
  call(seconds?: number): Promise<void>
  /** Detail records of its calls. */
  cdrs(): Promise<Doc[]>
  /** How many recordings have begun. */
  records(): number
  /** A call is over. */
  over(): boolean
  /** Somebody is connected. */
  talks(): boolean
  /** All calls are over, and the queue has nothing left that could still change. */
  settled(calls?: number): Promise<void>
  /** What is wrong with how it ended; empty when nothing was lost. */
  complaints(calls: number): Promise<string[]>
  /** Calls that ended for want of speed alone. */
  late(): number
  close(): Promise<void>
}

/** Without anything of the call in it that could end. */
export const documents = (account: string, url: string): { accounts: Doc[]; own: Doc[] } => {
  const id = (digit: string): string => digit.repeat(32)
  const recorded = { record_call: { url, format: 'wav' } }
  const phone = (digit: string, owner: string, name: string): Doc => ({
    _id: id(digit),
    pvt_type: 'device',
    pvt_account_id: account,
    name,
    owner_id: owner,
    sip: { username: name, password: 'secret' },
  })
  return {
    accounts: [{ _id: account, pvt_type: 'account', name: 'crash', realm: `${account}.example` }],
    own: [
      { _id: account, pvt_type: 'account', name: 'crash', realm: `${account}.example` },
      { _id: id('a'), pvt_type: 'user', pvt_account_id: account, first_name: 'Alice', last_name: 'A', ...recorded },
      { _id: id('b'), pvt_type: 'user', pvt_account_id: account, first_name: 'Bob', last_name: 'B', ...recorded },
      phone('1', id('a'), 'alice'),
      phone('2', id('b'), 'bob'),
      {
        _id: id('f'),
        pvt_type: 'callflow',
        pvt_account_id: account,
        numbers: ['2002'],
        flow: { module: 'user', data: { id: id('b') }, children: {} },
      },
    ],
  }
}

const reached = (store: Store, reach: () => void): Store =>
  new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function' || name === 'changes') return value
      return async (...args: unknown[]) => {
        reach()
        return (value as (...given: unknown[]) => unknown).apply(target, args)
      }
    },
  })

export async function scene({ store, url, uploads }: Ground): Promise<Scene> {
  const account = hex(16)
  const name = `fs-${account.slice(0, 8)}`
  const dir = await mkdtemp(join(tmpdir(), 'callrec-crash-'))
  const spool = openSpool({ here: dir, onSwitch: dir, minFree: 0 })
  const simulator = await startSimulator({ host: '127.0.0.1', port: 0, password: PASSWORD, recordingDir: dir, speed: SPEED, log: silent })
  const { accounts, own } = documents(account, `${url}/${account}`)
  await store.createDatabase(accountDb(account), 'account')
  for (const doc of accounts) await store.put('accounts', doc)
  for (const doc of own) await store.put(accountDb(account), doc)

  const address = { name, host: '127.0.0.1', port: simulator.port, password: PASSWORD }
  const seen: SwitchEvent[] = []
  const observer = connectSwitches({ nodes: [address], clock: systemClock(SPEED), log: silent })
  observer.on(event => seen.push(event))
  await whenUp(observer, PATIENCE)
  const lives: { mortal: Mortal; close: () => Promise<void> }[] = []
  let epochs = 0

  async function life(diesAt: (boundary: string) => boolean = () => false, reach: () => void = () => {}): Promise<Mortal> {
    const wall = systemClock()
    const pool = connectSwitches({ nodes: [address], clock: systemClock(SPEED), log: silent, retry: { leastMs: 10, mostMs: 100 } })
    const client = tenantClient({ allow: ['127.0.0.0/8'], clock: wall })
    const sockets = (): void => void Promise.all([pool.close(), client.close()])
    const it = mortal(diesAt, sockets)
    const rooms = openRooms({
      store: it.store(reached(store, reach)),
      switches: it.switches(pool),
      spool: it.spool(spool),
      journal: openJournal(spool),
      http: it.http(client),
      clock: it.clock(systemClock(SPEED)),
      wall: it.clock(wall),
      engine: name,
      epoch: String(epochs++),
    })
    lives.push({
      mortal: it,
      // One that is dead has nobody left who could close.
      close: async () => {
        if (it.dead()) return
        await rooms.close()
        await pool.close()
        await client.close()
      },
    })
    return it
  }

  const rows = async (): Promise<InFlight[]> =>
    (await store.query(IN_FLIGHT, 'in_flight/by_node', { startKey: [name], endKey: [name, {}], includeDocs: true })).map(({ doc }) => doc as InFlight)
  const legs = async (): Promise<number> => (await observer.node(name).legs()).length

  async function recordings(): Promise<Recording[]> {
    const months = [monthOf(Date.now()), monthOf(Date.now() - 86_400_000)]
    const found = await Promise.all(
      [...new Set(months)].map(month =>
        store.query(monthDb(account, month), 'recordings/listing_by_call', { reduce: false, includeDocs: true } as never).catch(() => []),
      ),
    )
    return found.flat().map(({ doc }) => doc as unknown as Recording)
  }

  const bridges = (): Set<string> => new Set(seen.flatMap(event => (event.name === 'CHANNEL_BRIDGE' ? [event.leg.uuid] : [])))
  const ends = () => seen.flatMap(event => (event.name === 'CHANNEL_HANGUP_COMPLETE' && event.leg.direction === 'inbound' ? [event] : []))
  const isLate = (uuid: string): boolean => !bridges().has(uuid) && ends().some(({ leg, at }) => leg.uuid === uuid && at - (leg.createdAt ?? at) >= TOO_LATE)

  return {
    life,
    cdrs: async () =>
      (await store.query(monthDb(account, monthOf(Date.now())), 'cdrs/crossbar_listing', { includeDocs: true }).catch(() => [])).map(({ doc }) => doc as Doc),
    records: () => seen.filter(event => event.name === 'RECORD_START').length,
    over: () => ends().length > 0,
    talks: () => bridges().size > 0,
    late: () => ends().filter(({ leg }) => isLate(leg.uuid)).length,
    async call(seconds = 2) {
      const variables = `callrec_account_id=${account},callrec_device_id=${'1'.repeat(32)},callrec_simulator_seconds=${seconds}`
      await eslApi(simulator.port, PASSWORD, `callrec_simulator_call {${variables}}2001 2002`)
    },
    async settled(calls = 1) {
      await until('all calls are over', async () => (await legs()) === 0 && ends().length >= calls)
      const left = async (): Promise<InFlight[]> => (await rows()).filter(({ delivery }) => delivery?.state !== 'failed')
      await until('nothing is in flight', async () => (await left()).length === 0).catch(async (error: Error) => {
        throw new Error(`${error.message}: ${JSON.stringify(await left())}`)
      })
    },
    async complaints(calls) {
      const found: string[] = []
      const begun = new Set(seen.flatMap(event => (event.name === 'RECORD_START' ? [event.variables['rec_id'] ?? 'without an id'] : [])))
      const causes = new Map(seen.flatMap(event => (event.name === 'RECORD_STOP' ? [[event.variables['rec_id'] ?? 'without an id', event.cause]] : [])))
      const all = await recordings()
      const sent = uploads(account)
      for (const id of begun) if (!all.some(one => one._id === id)) found.push(`recording ${id} began and has no document`)
      for (const { _id: id, state, reason, delivery } of all) {
        const mine = sent.filter(({ key }) => key === id)
        if (state === 'failed' || state === 'discarded') {
          if ((reason ?? '') === '') found.push(`${id} is ${state} without a reason`)
          // Of one that has no frame yet the switch removes the file, and says so to who listens: that one had nothing to lose.
          if (begun.has(id) && state === 'failed' && causes.get(id) !== 'empty-file')
            found.push(`${id} began, ended as ${causes.get(id)} and is failed: ${reason}`)
        } else if (state !== 'stopped' || delivery?.state !== 'stored')
          found.push(`${id} is left ${state}, ${delivery?.state ?? 'with nothing about its delivery'}`)
        else if (!mine.some(({ whole }) => whole)) found.push(`${id} says stored and never arrived`)
        if (new Set(mine.map(({ path }) => path)).size > 1) found.push(`${id} was sent to several places`)
      }
      for (const key of new Set(sent.map(upload => upload.key)))
        if (!all.some(({ _id }) => _id === key)) found.push(`a file came for ${key}, of which there is no document`)
      const bridged = bridges()
      const ended = ends()
      if (ended.length !== calls) found.push(`${ended.length} of ${calls} calls came to an end`)
      for (const { leg, cause } of ended) {
        if (isLate(leg.uuid)) continue
        if (!bridged.has(leg.uuid)) found.push(`call ${leg.uuid} never talked: ${cause}`)
        else if (cause !== 'NORMAL_CLEARING') found.push(`call ${leg.uuid} was cut off: ${cause}`)
      }
      return found
    },
    async close() {
      for (const one of lives) await one.close()
      await observer.close()
      await simulator.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
