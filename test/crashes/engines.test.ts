// Two engines, each a process of its own, on one switch and one store: killed, frozen, or both alive while the store is
// away. The clock of the fence is the wall's, so these take their half minute.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { DATABASES } from '../../src/api/rights/databases.ts'
import { systemClock } from '../../src/clock.ts'
import { AppError } from '../../src/errors.ts'
import { silent } from '../../src/log.ts'
import type { Recording } from '../../src/recording/document.ts'
import { packagePath } from '../../src/root.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { accountDb, monthDb, monthOf } from '../../src/store/modb.ts'
import type { SwitchEvent } from '../../src/switch/switch.ts'
import { connectSwitches, whenUp } from '../../src/switch/pool.ts'
import { aStore } from '../helpers/api.ts'
import { eslApi } from '../helpers/esl-client.ts'
import { proxy } from '../helpers/proxy.ts'
import { PATIENCE, until } from '../helpers/wait.ts'
import type { EngineNews, EngineSettings } from './engine-process.ts'
import { lendStore } from './remote-store.ts'
import { documents } from './scene.ts'

const PASSWORD = 'ClueCon'
/** What moves something on a switch, as it stands on the wire. */
const MOVES = /sendmsg |uuid_record |uuid_kill |uuid_setvar|uuid_break |uuid_transfer |originate |sched_del /

interface Process {
  child: ChildProcess
  /** Names of what its rooms were told, in order. */
  heard: string[]
  /** What it sent to the switch since `from`. */
  sent: () => string
}

interface World {
  engine(name: string): Promise<Process>
  /** Bob is called and recorded; answers the caller's leg. */
  call(seconds: number): Promise<string>
  ended: (leg: string) => Promise<string>
  bridged: (leg: string) => Promise<unknown>
  recordings: () => Promise<Recording[]>
  uploads: { key: string }[]
  /** While set, uploads are not answered. */
  destination: { hangs: boolean }
  storeIs: { away: boolean }
}

async function world(t: ExecutionContext): Promise<World> {
  const account = randomBytes(16).toString('hex')
  const node = `fs-${account.slice(0, 8)}`
  const spool = await mkdtemp(join(tmpdir(), 'callrec-engines-'))
  t.teardown(() => rm(spool, { recursive: true, force: true }))
  const store = await aStore(t)
  for (const [db, classification] of DATABASES) await store.createDatabase(db, classification)
  const uploads: World['uploads'] = []
  const destination = { hangs: false }
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      uploads.push({ key: String(request.headers['idempotency-key']) })
      if (!destination.hangs) response.writeHead(201).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { accounts, own } = documents(account, `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  await store.createDatabase(accountDb(account), 'account')
  for (const doc of accounts) await store.put('accounts', doc)
  for (const doc of own) await store.put(accountDb(account), doc)

  const simulator = await startSimulator({ host: '127.0.0.1', port: 0, password: PASSWORD, recordingDir: spool, speed: 1, log: silent })
  t.teardown(() => simulator.close())
  const observer = connectSwitches({ nodes: [{ name: node, host: '127.0.0.1', port: simulator.port, password: PASSWORD }], clock: systemClock(), log: silent })
  t.teardown(() => observer.close())
  const seen: SwitchEvent[] = []
  observer.on(event => seen.push(event))
  await whenUp(observer, PATIENCE)
  const of = <Name extends SwitchEvent['name']>(name: Name, leg: string): Extract<SwitchEvent, { name: Name }> | undefined =>
    seen.find((event): event is Extract<SwitchEvent, { name: Name }> => event.name === name && 'leg' in event && event.leg.uuid === leg)
  const storeIs = { away: false }

  return {
    uploads,
    destination,
    storeIs,
    async engine(name) {
      let text = ''
      const hop = await proxy(simulator.port, piece => {
        text += piece
      })
      const settings: EngineSettings = { engine: name, node, port: hop.port, password: PASSWORD, spool }
      const child = fork(packagePath('build/test/crashes/engine-process.js'), [JSON.stringify(settings)], { serialization: 'advanced', stdio: 'ignore' })
      lendStore(store, child, () => {
        if (storeIs.away) throw new AppError('datastore_unreachable', 'it is away')
      })
      const heard: string[] = []
      child.on('message', message => void (typeof message === 'object' && 'heard' in message && heard.push((message as EngineNews).heard)))
      t.teardown(() => {
        child.kill('SIGKILL')
        hop.close()
      })
      await until('its first look at who drives the switch', () => text.includes('hash select/callrec/owner'))
      return { child, heard, sent: () => text }
    },
    async call(seconds) {
      const before = new Set(seen.flatMap(event => ('leg' in event ? [event.leg.uuid] : [])))
      const variables = `callrec_account_id=${account},callrec_device_id=${'1'.repeat(32)},callrec_simulator_seconds=${seconds}`
      await eslApi(simulator.port, PASSWORD, `callrec_simulator_call {${variables}}2001 2002`)
      const parked = await until('the call', () => seen.find(event => event.name === 'CHANNEL_PARK' && !before.has(event.leg.uuid)))
      return 'leg' in parked ? parked.leg.uuid : ''
    },
    bridged: leg => until('a bridge', () => of('CHANNEL_BRIDGE', leg)),
    ended: leg => until('the end of the call', () => of('CHANNEL_HANGUP_COMPLETE', leg)?.cause),
    async recordings() {
      const rows = await store.query(monthDb(account, monthOf(Date.now())), 'recordings/crossbar_listing', { includeDocs: true }).catch(() => [])
      return rows.map(({ doc }) => doc as unknown as Recording)
    },
  }
}

/** Each call is recorded once for who calls and once for who is called. */
const stored = (one: World, calls: number): Promise<Recording[]> =>
  until(`the recordings of ${calls} calls stored`, async () => {
    const all = await one.recordings()
    return all.length === 2 * calls && all.every(({ delivery }) => delivery?.state === 'stored') && all
  })

test('an engine that is killed is followed by another process: calls and recordings live on, and what it was delivering arrives', async t => {
  const one = await world(t)
  const a = await one.engine('a')
  await until('a drives', () => a.heard.includes('node_up'))
  const b = await one.engine('b')
  one.destination.hangs = true
  const short = await one.call(1)
  await one.ended(short)
  await until('a file on its way', () => one.uploads.length > 0)
  const talking = await one.call(24)
  await one.bridged(talking)
  await until('it is recorded', async () => (await one.recordings()).some(({ call_id, state }) => call_id !== short && state === 'recording'))
  one.destination.hangs = false
  const at = performance.now()
  a.child.kill('SIGKILL')
  // Comes while nobody drives the switch.
  const waiting = await one.call(2)
  await until('b drives', () => b.heard.includes('node_up'))
  t.true(performance.now() - at < 15_000, `${Math.round(performance.now() - at)} ms`)
  t.is(await one.ended(waiting), 'NORMAL_CLEARING')
  t.is(await one.ended(talking), 'NORMAL_CLEARING')
  const recordings = await stored(one, 3)
  t.true(
    recordings.some(({ duration_ms }) => duration_ms > 20_000),
    'the recording went on',
  )
  t.deepEqual([...new Set(one.uploads.map(({ key }) => key))].sort(), recordings.map(({ _id }) => _id).sort())
})

test('an engine that was frozen and wakes after another took its switch moves nothing and delivers nothing', async t => {
  const one = await world(t)
  const a = await one.engine('a')
  await until('a drives', () => a.heard.includes('node_up'))
  const b = await one.engine('b')
  const talking = await one.call(22)
  await one.bridged(talking)
  await until('it is recorded', async () => (await one.recordings()).some(({ state }) => state === 'recording'))
  a.child.kill('SIGSTOP')
  await until('b drives', () => b.heard.includes('node_up'))
  const before = a.sent().length
  a.child.kill('SIGCONT')
  await until('a knows', () => a.heard.includes('node_lost'))
  t.is(await one.ended(talking), 'NORMAL_CLEARING')
  const recordings = await stored(one, 1)
  t.true(recordings.every(({ duration_ms }) => duration_ms > 20_000))
  t.notRegex(a.sent().slice(before), MOVES)
  t.deepEqual(one.uploads.map(({ key }) => key).sort(), recordings.map(({ _id }) => _id).sort())
  t.false(a.heard.slice(a.heard.indexOf('node_lost')).includes('RECORD_STOP'), 'and is told nothing more')
})

test('while both live only one acts, and a store that is away changes nothing about which', async t => {
  const one = await world(t)
  const a = await one.engine('a')
  await until('a drives', () => a.heard.includes('node_up'))
  const b = await one.engine('b')
  const first = await one.call(3)
  await one.bridged(first)
  one.storeIs.away = true
  // It looks once a second, and takes over after ten in which nothing moved.
  const looks = (): number => b.sent().split('hash select/callrec/owner').length
  const enough = looks() + 13
  await until('more looks than a takeover takes', () => looks() >= enough)
  one.storeIs.away = false
  t.is(await one.ended(first), 'NORMAL_CLEARING')
  const second = await one.call(1)
  t.is(await one.ended(second), 'NORMAL_CLEARING')
  const recordings = await stored(one, 2)
  t.deepEqual(b.heard, [])
  t.notRegex(b.sent(), MOVES)
  t.false(a.heard.includes('node_lost'))
  t.deepEqual(one.uploads.map(({ key }) => key).sort(), recordings.map(({ _id }) => _id).sort())
})
