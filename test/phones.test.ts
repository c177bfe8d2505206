// Phones of device documents on a real FreeSWITCH with the configuration of freeswitch/, where there is one on PATH: they
// register with what the API was told, call each other through callrec, and are recorded as the documents say.

import { readdirSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { startReceiver } from '../src/receiver.ts'
import { readWav, tone } from './helpers/audio.ts'
import { type Baresip, haveBaresip, startBaresip } from './helpers/baresip.ts'
import { eslClient } from './helpers/esl-events.ts'
import { type Engine, startEngine } from './helpers/engine.ts'
import { onPath, realRun } from './helpers/real.ts'
import { type FreeSwitch, startFreeSwitch } from './helpers/operator-freeswitch.ts'
import { freePorts } from './helpers/ports.ts'
import { type SipCall, sipPhone } from './helpers/sip-phone.ts'
import { until } from './helpers/wait.ts'

const SECRET = 'a-secret-between-two-programs'
const REALM = 'acme.example'
/** Milliseconds. */

interface Id {
  id: string
}

interface Listed extends Id {
  state: string
  origin: string
  name: string
  from: string
  duration_ms: number
  delivery?: { state: string }
}

interface Part extends Listed {
  call_id: string
  cdr_id: string
  group_id: string
  interaction_id: string
}

interface Running {
  freeswitch: FreeSwitch
  engine: Engine
}

/** One of each for the whole file. Each needs the other's address, so the engine's port is chosen first. */
async function start(): Promise<Running> {
  const t = { teardown: (run: () => unknown): void => void ends.push(run) }
  const [port = 0] = await freePorts(1)
  const freeswitch = await startFreeSwitch(t, { directory: { url: `http://127.0.0.1:${port}/freeswitch/xml`, secret: SECRET } })
  if (freeswitch === undefined) throw new Error('freeswitch left PATH')
  const { host, port: esl, password } = freeswitch.esl
  const engine = await startEngine(t, {
    API_PORT: String(port),
    XML_CURL_SECRET: SECRET,
    FREESWITCH_ESL: `fs1=${host}:${esl}`,
    FREESWITCH_PASSWORD: password,
    RECORDING_DIR: freeswitch.recordingDir,
    UPLOAD_ALLOW_NETWORKS: '127.0.0.0/8',
  })
  // A switch that is not connected yet is told to forget phones when it is, which is later than the tests want it.
  await until('a connected switch', async () => (await fetch(`${engine.url}/readyz`)).ok)
  return { freeswitch, engine }
}

const ends: (() => unknown)[] = []
test.after.always(async () => {
  for (const end of ends.toReversed()) await end()
})

const running = realRun('phones that register', { FreeSWITCH: onPath('freeswitch'), baresip: haveBaresip() }) ? start() : undefined
running?.catch(() => undefined)
if (!running) test('without a FreeSWITCH and a baresip no phone registers', t => t.pass())
const real = (title: string, run: (t: ExecutionContext, setup: Running) => Promise<void>): void => {
  if (running === undefined) return
  // In turn: one of them counts what appears in the spool.
  test.serial(title, async t => {
    t.timeout(120_000)
    await run(t, await running)
  })
}

real(
  'phones register with what the API was told, call each other and are called from outside, and are recorded as documents say',
  async (t, { freeswitch, engine }) => {
    const { client, dataDir } = engine
    const receiver = await startReceiver({ host: '127.0.0.1', port: 0, dir: join(dataDir, 'received') })
    t.teardown(() => receiver.close())

    const { id: account } = await client.put<Id>(`accounts/${client.accountId}`, { name: 'phones', realm: REALM })
    const at = `accounts/${account}`
    const { id: bob } = await client.put<Id>(`${at}/users`, { first_name: 'Bob', last_name: 'B', record_call: { url: receiver.url, format: 'wav' } })
    const sip = (username: string): object => ({ name: `${username}-phone`, sip: { username, password: `${username}-secret` } })
    await client.put(`${at}/devices`, sip('alice'))
    await client.put(`${at}/devices`, { ...sip('bob'), owner_id: bob })
    await client.put(`${at}/callflows`, { numbers: ['2002', '+4930123456'], flow: { module: 'user', data: { id: bob } } })
    await client.put(`${at}/phone_numbers/+4930123456`, {})

    const phone = { realm: REALM, server: freeswitch.sip }
    const [alice, other] = await Promise.all([
      startBaresip(t, { ...phone, name: 'alice', password: 'alice-secret', hz: 440 }),
      startBaresip(t, { ...phone, name: 'bob', password: 'bob-secret', hz: 1000, answers: true }),
    ])
    for (const one of [alice, other]) t.is((await one.event(['REGISTER_OK', 'REGISTER_FAIL'])).type, 'REGISTER_OK')

    const stored = (origin: string): Promise<Listed> =>
      until(`a delivered recording ${origin}`, async () =>
        (await client.get<Listed[]>(`${at}/users/${bob}/recordings`)).find(one => one.origin === origin && one.delivery?.state === 'stored'),
      )
    const spool = (): string[] => readdirSync(freeswitch.recordingDir, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.wav'))
    /** Two seconds of both of them in a new file: 8 kHz, 16 bit. */
    const enough = async (dial: () => void): Promise<void> => {
      const before = new Set(spool())
      dial()
      await until('two seconds on disk', () => spool().some(name => !before.has(name) && bytes(join(freeswitch.recordingDir, name)) > 2 * 8000 * 2 * 2))
    }

    await enough(() => alice.dial('2002'))
    alice.hangup()
    t.like(await stored('inbound from onnet to endpoint'), { state: 'stopped', from: `alice@${REALM}` })
    const [name = ''] = await readdir(join(dataDir, 'received'))
    const { samples, sampleRate, seconds } = readWav(join(dataDir, 'received', name))
    t.true(seconds > 1.9, `${seconds} s`)
    const [left = new Int16Array(), right = new Int16Array()] = samples
    t.deepEqual([heard(left, sampleRate), heard(right, sampleRate)], [440, 1000])

    const carrier = await sipPhone(t, freeswitch.trunk)
    const from = { name: '+491701234567', realm: 'carrier.example.net' }
    let call: SipCall | undefined
    await enough(() => {
      call = carrier.call('4930123456', { from })
    })
    t.is((await call?.answered)?.status, 200)
    call?.bye()
    t.like(await stored('inbound from offnet to endpoint'), { state: 'stopped', from: '+491701234567@carrier.example.net' })
    t.is((await carrier.call('4930999999', { from }).answered).status, 404, 'a number nobody has claimed')
  },
)

real('a phone that sends its call on by REFER is recorded to the end of that call, each part under the leg it is of', async (t, { freeswitch, engine }) => {
  const { client } = engine
  const realm = 'refer.example'
  const { id: account } = await client.put<Id>(`accounts/${client.accountId}`, { name: 'refer', realm })
  const at = `accounts/${account}`
  // Bob is recorded; who calls him and whom he sends his caller to are not.
  const phone = async (name: string, number: string, hz: number, settings: object = {}): Promise<Baresip> => {
    const { id: user } = await client.put<Id>(`${at}/users`, { first_name: name, last_name: 'R', ...settings })
    await client.put(`${at}/devices`, { name, owner_id: user, sip: { username: name, password: `${name}-secret` } })
    const rings = { module: 'user', data: { id: user } }
    const variables = { custom_application_vars: { sent_to: `${name} & co` }, export: true }
    await client.put(`${at}/callflows`, { numbers: [number], flow: { module: 'set_variables', data: variables, children: { _: rings } } })
    return startBaresip(t, { name, realm, password: `${name}-secret`, server: freeswitch.sip, hz, answers: name !== 'alice' })
  }
  const alice = await phone('alice', '2001', 440)
  const bob = await phone('bob', '2002', 1000, { record_call: { format: 'wav' } })
  const carol = await phone('carol', '2003', 700)
  for (const one of [alice, bob, carol]) t.is((await one.event(['REGISTER_OK', 'REGISTER_FAIL'])).type, 'REGISTER_OK')
  const recordings = (): Promise<Part[]> => client.get<Part[]>(`${at}/recordings`)
  const running = (not?: Part): Promise<Part> =>
    until('a recording that runs', async () => (await recordings()).find(one => one.state === 'recording' && one.id !== not?.id))
  /** Half a second and more. */
  const heardOf = ({ id }: Part): Promise<boolean> =>
    until(`audio of ${id}`, () =>
      readdirSync(freeswitch.recordingDir, { recursive: true, encoding: 'utf8' }).some(
        name => name.includes(id) && bytes(join(freeswitch.recordingDir, name)) > 16_000,
      ),
    )

  alice.dial('2002')
  await bob.event(['CALL_ESTABLISHED'])
  const first = await running()
  await heardOf(first)
  bob.transfer('2003')
  await Promise.all([bob.event(['CALL_CLOSED']), carol.event(['CALL_ESTABLISHED'])])
  const second = await running(first)
  await heardOf(second)
  const esl = await eslClient(freeswitch.esl, '')
  t.teardown(() => esl.close())
  const carols = await esl.api(`uuid_getvar ${second.call_id} bridge_to`)
  t.is(await esl.api(`uuid_getvar ${carols} callrec_var_sent_to`), 'carol & co', 'a leg that is rung gets what is exported')
  alice.hangup()
  const parts = await until('both parts at their end', async () => {
    const all = await recordings()
    return all.every(({ state }) => state === 'stopped') && all
  })

  t.deepEqual(parts.map(({ id }) => id).toSorted(), [first.id, second.id].toSorted(), 'nothing else was recorded')
  t.is(new Set(parts.map(one => one.group_id)).size, 1)
  t.is(new Set(parts.map(one => one.interaction_id)).size, 1)
  const [before, after] = [first, second].map(({ id }) => parts.find(one => one.id === id))
  t.not(before?.call_id, after?.call_id)
  t.is(after?.call_id, after?.cdr_id.slice(7), 'Alice’s leg is left')
  t.is(before?.cdr_id, after?.cdr_id, 'it is her call all the way')
})

real('a phone that may not register is refused once the API says so', async (t, { freeswitch, engine }) => {
  const { client } = engine
  const realm = 'refusals.example'
  const { id: account } = await client.put<Id>(`accounts/${client.accountId}`, { name: 'refusals', realm })
  const at = `accounts/${account}`
  const { id: device } = await client.put<Id>(`${at}/devices`, { name: 'phone', sip: { username: 'alice', password: 'alice-secret' } })
  const phone = await sipPhone(t, freeswitch.sip)
  const alice = { name: 'alice', realm, password: 'alice-secret' }
  const status = async (as = alice): Promise<number> => (await phone.register(as)).status
  const inTurn = async (of: readonly (readonly [string, object, typeof alice, number])[]): Promise<void> => {
    for (const [path, change, as, wanted] of of) {
      await client.patch(path, change)
      // At once on a quiet machine; a switch that asked while the change was made is told again some seconds later.
      await until(`${wanted} after ${JSON.stringify(change)}`, async () => (await status(as)) === wanted)
    }
  }

  t.is(await status(), 200)
  t.is(await status({ ...alice, name: 'Alice' }), 200, 'other capitals are the same phone')
  t.is(await status({ ...alice, password: 'guess-it' }), 403)
  t.is(await status({ ...alice, name: 'bob' }), 403)
  t.is(await status({ ...alice, realm: 'else.example' }), 403)
  t.is(await status({ ...alice, realm: 'x&user=alice&domain=refusals.example' }), 403)
  const one = `${at}/devices/${device}`
  await inTurn([
    [one, { enabled: false }, alice, 403],
    [one, { enabled: true }, alice, 200],
    [at, { enabled: false }, alice, 403],
    [at, { enabled: true }, alice, 200],
    [one, { sip: { password: 'new-secret' } }, alice, 403],
    [one, {}, { ...alice, password: 'new-secret' }, 200],
  ])
  t.is((await phone.call('2002', { as: alice, from: alice }).answered).status, 403, 'nor may it call with its old password')
})

/** What is said most of the time, in parts so short that a late packet spoils only its own; 0: not one thing. */
function heard(side: Int16Array, rate: number): number {
  const parts = Array.from({ length: Math.floor(side.length / rate / PART) }, (_, at) => at * PART)
  const share = (hz: number): number => parts.filter(at => tone(side, rate, hz, at, at + PART) > 0.9).length / parts.length
  return [440, 1000].find(hz => share(hz) > 0.5 && share(1440 - hz) === 0) ?? 0
}
/** Seconds. */
const PART = 0.1

const bytes = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0
