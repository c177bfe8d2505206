import test from 'ava'
import { AppError, isCode } from '../../src/errors.ts'
import { silent } from '../../src/log.ts'
import { BEAT, LOOK, TAKEOVER } from '../../src/switch/lease.ts'
import { COMMANDS, type OwnedOptions, type OwnedSwitches, ownSwitches } from '../../src/switch/owned.ts'
import type { NodeState, SwitchEvent, Switches, SwitchNode, Table } from '../../src/switch/switch.ts'
import { manualClock, type ManualClock } from '../helpers/clock.ts'
import { aLeg } from '../helpers/legs.ts'
import { aTable } from '../helpers/table.ts'

const LEG = '00000000-0000-4000-8000-000000000001'

/** One switch, as several engines see it. */
function aSwitch({ fenced = true } = {}) {
  const values = new Map<string, string>()
  /** What reached it, by engine. */
  const sent: string[] = []
  return { values, sent, fenced, table: aTable(values) }
}

interface Seen {
  clock: ManualClock
  owned: OwnedSwitches
  node: SwitchNode
  /** What its rooms were told. */
  told: string[]
  tell(event: SwitchEvent): void
  becomes(state: NodeState): void
  /** Its clock moves, and what it asks the switch is answered; the process lives meanwhile. */
  lives(ms: number): Promise<void>
}

/** Answers of the table come in their own time. */
const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 40; turn++) await Promise.resolve()
}

function anEngine(
  name: string,
  at: ReturnType<typeof aSwitch>,
  {
    epoch = '1',
    table = at.table,
    up = true,
    sees = async () => true,
    api,
  }: { epoch?: string; table?: Table; up?: boolean; sees?: OwnedOptions['sees']; api?: string } = {},
): Seen {
  const clock = manualClock()
  const listeners = new Set<(event: SwitchEvent) => void>()
  let state: NodeState = up ? 'up' : 'connecting'
  const command = async (what: string): Promise<void> => void at.sent.push(`${name} ${what}`)
  const raw = {
    name: 'fs1',
    table,
    status: () => ({ name: 'fs1', state, address: '', modules: { mod_hash: at.fenced } }),
    ...Object.fromEntries(COMMANDS.map(name => [name, () => command(name)])),
    recordings: () => command('recordings'),
  } as unknown as SwitchNode
  const switches: Switches = {
    nodes: [raw],
    node(wanted) {
      if (wanted !== 'fs1') throw new AppError('switch_down', 'no such switch')
      return raw
    },
    on(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: async () => {},
  }
  const owned = ownSwitches({ switches, sees, engine: name, epoch, api, clock, log: silent })
  const told: string[] = []
  owned.on(event => told.push(event.name))
  const [node] = owned.nodes as [SwitchNode]
  const tell = (event: SwitchEvent): void => {
    for (const listener of listeners) listener(event)
  }
  return {
    clock,
    owned,
    node,
    told,
    tell,
    becomes(now) {
      state = now
      tell(now === 'up' ? { name: 'node_up', node: 'fs1' } : { name: 'node_down', node: 'fs1', reason: 'the socket went' })
    },
    async lives(ms) {
      for (let passed = 0; passed < ms; passed += 500) {
        clock.advance(500)
        await settled()
      }
    },
  }
}

/** Time goes on for all of them. */
async function together(engines: readonly Seen[], ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 500) for (const one of engines) await one.lives(500)
}

const park = { name: 'CHANNEL_PARK' as const, leg: aLeg(LEG), at: 0 }

test('the first engine drives a switch, and the second one hears and may do nothing', async t => {
  const at = aSwitch()
  const a = anEngine('a', at)
  await settled()
  const b = anEngine('b', at)
  await together([a, b], 3 * TAKEOVER)
  a.tell(park)
  b.tell(park)
  t.deepEqual(a.told, ['node_up', 'CHANNEL_PARK'])
  t.deepEqual(b.told, [])
  t.is(a.node.status().state, 'up')
  t.like(b.node.status(), { state: 'standby', reason: 'driven by a:1' })
  await a.node.hangup(LEG, 'NORMAL_CLEARING')
  await t.throwsAsync(b.node.hangup(LEG, 'NORMAL_CLEARING'), { message: /another engine drives this switch: a:1/ })
  t.deepEqual(at.sent, ['a hangup'])
  t.deepEqual(a.owned.inCharge(), ['fs1'])
  t.deepEqual(b.owned.inCharge(), [])
})

for (const command of COMMANDS) {
  test(`${command} does not reach a switch that another engine drives`, async t => {
    const at = aSwitch()
    const a = anEngine('a', at)
    await settled()
    const b = anEngine('b', at)
    await together([a, b], 9_000)
    const send = b.node[command] as () => Promise<unknown>
    await t.throwsAsync(send(), { message: /another engine drives this switch: a:1/ })
    t.deepEqual(at.sent, [])
  })
}

test('what is asked of a switch that is ours and what it is told to do leave in the order in which they were given', async t => {
  const at = aSwitch()
  const one = anEngine('one', at)
  await settled()
  const all = [one.node.mask(LEG, '/a.wav'), one.node.recordings(LEG), one.node.unmask(LEG, '/a.wav')]
  t.deepEqual(at.sent, ['one mask', 'one recordings', 'one unmask'])
  await Promise.all(all)
})

test('a switch whose recordings are not seen here is left to an engine that sees them, with the reason', async t => {
  const at = aSwitch()
  let seen = false
  const a = anEngine('a', at, { sees: async () => seen })
  await a.lives(2 * TAKEOVER)
  t.deepEqual(a.told, [])
  t.deepEqual(a.owned.inCharge(), [])
  t.like(a.node.status(), { state: 'standby', reason: 'what it records is not seen here: RECORDING_DIR and SWITCH_RECORDING_DIR must be one directory' })
  await t.throwsAsync(a.node.hangup(LEG, 'NORMAL_CLEARING'), { message: /fs1 is not ours: what it records is not seen here/ })
  t.is(at.values.get('owner'), undefined)
  const b = anEngine('b', at)
  await settled()
  t.deepEqual(b.told, ['node_up'])
  await b.owned.close()
  seen = true
  await a.lives(LOOK)
  t.deepEqual(a.told, ['node_up'])
})

test('without a fence, too, a switch whose recordings are not seen here is not driven', async t => {
  const at = aSwitch({ fenced: false })
  const a = anEngine('a', at, { sees: async () => false })
  await a.lives(TAKEOVER)
  t.deepEqual(a.told, [])
  await t.throwsAsync(a.node.hangup(LEG, 'NORMAL_CLEARING'), { message: /is not seen here/ })
})

test('a disk that stands still keeps nobody from waiting for a switch, and takes it from nobody who has it', async t => {
  const at = aSwitch()
  let still = true
  const a = anEngine('a', at, { sees: () => (still ? new Promise(() => {}) : Promise.resolve(true)) })
  await a.lives(9_000)
  t.deepEqual(a.told, [])
  t.like(a.node.status(), { state: 'standby', reason: 'not yet ours' })
  still = false
  await a.lives(5_000)
  t.deepEqual(a.told, ['node_up'])
  still = true
  await a.lives(2 * TAKEOVER)
  t.deepEqual(a.told, ['node_up'])
  t.deepEqual(a.owned.inCharge(), ['fs1'])
})

test('who stands by knows where the engine is asked that drives the switch, also one that cannot take it, and after a takeover', async t => {
  const at = aSwitch()
  const a = anEngine('a', at, { api: 'http://[::1]:8000' })
  await settled()
  const b = anEngine('b', at, { api: 'https://b.example' })
  const blind = anEngine('blind', at, { sees: async () => false })
  const still = anEngine('still', at, { sees: () => new Promise(() => {}) })
  const others = [blind, still]
  await together([a, b, ...others], 9_000)
  t.is(a.node.status().askAt, undefined)
  for (const one of [b, ...others]) t.is(one.node.status().askAt, 'http://[::1]:8000')
  await a.owned.close()
  await together([b, ...others], 9_000)
  t.deepEqual(b.told, ['node_up'])
  for (const one of others) t.is(one.node.status().askAt, 'https://b.example')
  await b.owned.close()
  await together(others, 9_000)
  for (const one of others) t.is(one.node.status().askAt, undefined, 'nobody has it')
})

test('of a switch that is out of reach it is still known where the engine was asked that drove it, as long as that was another one', async t => {
  const at = aSwitch()
  const a = anEngine('a', at, { api: 'http://a.example' })
  await settled()
  const b = anEngine('b', at)
  await together([a, b], 9_000)
  a.becomes('down')
  b.becomes('down')
  t.like(b.node.status(), { state: 'down', askAt: 'http://a.example' })
  t.is(a.node.status().askAt, undefined)
})

test('an engine that does not say where it is asked is not asked, and one that followed another is not taken for it', async t => {
  const at = aSwitch()
  const a = anEngine('a', at)
  await settled()
  const b = anEngine('b', at)
  await together([a, b], 9_000)
  t.like(b.node.status(), { reason: 'driven by a:1', askAt: undefined })
  at.values.set('beat', `gone:1:7:${Buffer.from('http://gone.example').toString('base64url')}`)
  await b.lives(LOOK)
  t.is(b.node.status().askAt, undefined, 'the beat is of one before')
  for (const [text, askAt] of Object.entries({ 'http://a.example:8000': 'http://a.example:8000', 'file:///etc/passwd': undefined, '': undefined })) {
    at.values.set('beat', `a:1:8:${Buffer.from(text).toString('base64url')}`)
    await b.lives(LOOK)
    t.is(b.node.status().askAt, askAt, text)
  }
})

test('an engine that was killed is followed within fifteen seconds, and not before its beat stood still for ten', async t => {
  const at = aSwitch()
  const a = anEngine('a', at)
  await settled()
  const b = anEngine('b', at)
  await together([a, b], 20_000)
  // From here on a does nothing.
  await b.lives(TAKEOVER - BEAT - LOOK)
  t.deepEqual(b.told, [])
  await b.lives(15_000 - TAKEOVER + BEAT + LOOK)
  t.deepEqual(b.told, ['node_up'])
  t.deepEqual(b.owned.inCharge(), ['fs1'])
  await b.node.record(LEG, '/spool/x.wav', { limit: 0, variables: {} })
  t.deepEqual(at.sent, ['b record'])
})

test('an engine that stood still and wakes after it lost the switch sends no command and hears no event', async t => {
  const at = aSwitch()
  const a = anEngine('a', at)
  await settled()
  const b = anEngine('b', at)
  await together([a, b], 9_000)
  await b.lives(15_000)
  t.deepEqual(b.told, ['node_up'])
  // What the switch told meanwhile lies in its socket.
  a.clock.advance(15_000)
  a.tell(park)
  const command = a.node.hangup(LEG, 'NORMAL_CLEARING')
  t.true(isCode(await t.throwsAsync(command), 'switch_down'))
  await settled()
  t.deepEqual(a.told, ['node_up', 'node_lost'])
  t.deepEqual(at.sent, [])
  t.like(a.node.status(), { state: 'standby', reason: 'driven by b:1' })
})

test('an engine that stood still and was not replaced goes on where it was, with nothing lost that came meanwhile', async t => {
  const at = aSwitch()
  const a = anEngine('a', at)
  await a.lives(9_000)
  a.clock.advance(60_000)
  a.tell(park)
  a.tell({ name: 'CHANNEL_ANSWER', leg: aLeg(LEG), at: 0 })
  await a.node.hangup(LEG, 'NORMAL_CLEARING')
  await settled()
  t.deepEqual(a.told, ['node_up', 'CHANNEL_PARK', 'CHANNEL_ANSWER'])
  t.deepEqual(at.sent, ['a hangup'])
})

test('two engines that take over in the same moment do not both have it', async t => {
  const at = aSwitch()
  at.values.set('owner', 'gone:1')
  at.values.set('beat', 'gone:1:7')
  const [b, c] = [anEngine('b', at), anEngine('c', at)]
  for (let passed = 0; passed < 15_000; passed += 500) {
    b.clock.advance(500)
    c.clock.advance(500)
    await settled()
  }
  t.is([...b.told, ...c.told].join(), 'node_up')
  t.is([...b.owned.inCharge(), ...c.owned.inCharge()].length, 1)
})

test('the same installation started again has its switches at once: the process before it is dead', async t => {
  const at = aSwitch()
  const a = anEngine('a', at)
  await a.lives(9_000)
  const again = anEngine('a', at, { epoch: '2' })
  await settled()
  t.deepEqual(again.told, ['node_up'])
  t.is(at.values.get('owner'), 'a:2')
})

test('an engine that stops hands its switch over: the next one has it after one look', async t => {
  const at = aSwitch()
  const a = anEngine('a', at)
  await settled()
  const b = anEngine('b', at)
  await together([a, b], 9_000)
  await a.owned.close()
  await b.lives(LOOK)
  t.deepEqual(b.told, ['node_up'])
  a.tell(park)
  t.deepEqual(a.told, ['node_up'], 'and what comes after that is not told to the one that stopped')
})

test('a switch that was started anew has no owner, and the first to come back to it drives it', async t => {
  const at = aSwitch()
  const a = anEngine('a', at)
  await settled()
  const b = anEngine('b', at)
  await together([a, b], 9_000)
  a.becomes('down')
  b.becomes('down')
  t.deepEqual(a.owned.inCharge(), ['fs1'], 'its files are still delivered while the switch is down')
  t.deepEqual(b.owned.inCharge(), [])
  at.values.clear()
  b.becomes('up')
  await settled()
  a.becomes('up')
  await settled()
  t.deepEqual(b.told, ['node_up'])
  t.deepEqual(a.told, ['node_up', 'node_down', 'node_lost'])
})

test('a connection that flaps changes nothing about who drives', async t => {
  const at = aSwitch()
  const a = anEngine('a', at)
  await settled()
  const b = anEngine('b', at)
  for (let time = 0; time < 5; time++) {
    await together([a, b], 3_000)
    a.becomes('down')
    a.becomes('up')
    await settled()
  }
  t.deepEqual(b.told, [])
  t.deepEqual(a.told.slice(-2), ['node_down', 'node_up'])
})

test('who could never ask a switch delivers its files after a while: nobody else can ask it either', async t => {
  const a = anEngine('a', aSwitch(), { up: false })
  await a.lives(TAKEOVER)
  t.deepEqual(a.owned.inCharge(), [])
  await a.lives(LOOK)
  t.deepEqual(a.owned.inCharge(), ['fs1'])
  await a.owned.close()
})

test('a switch without mod_hash is driven without a fence', async t => {
  const at = aSwitch({ fenced: false })
  const a = anEngine('a', at)
  await settled()
  t.deepEqual(a.told, ['node_up'])
  await a.node.hangup(LEG, 'NORMAL_CLEARING')
  t.deepEqual(at.sent, ['a hangup'])
  t.is(at.values.size, 0)
})

test('a switch that does not answer who drives it gets no command, and is asked again', async t => {
  const at = aSwitch()
  let fails = true
  const table: Table = { ...at.table, read: key => (fails ? Promise.reject(new AppError('switch_timeout', 'no answer')) : at.table.read(key)) }
  const a = anEngine('a', at, { table })
  await settled()
  await t.throwsAsync(a.node.hangup(LEG, 'NORMAL_CLEARING'), { message: 'no answer' })
  a.tell(park)
  t.deepEqual(a.told, [])
  fails = false
  await a.lives(LOOK)
  t.deepEqual(a.told, ['node_up'])
  fails = true
  await a.lives(BEAT * 3)
  a.tell(park)
  await settled()
  fails = false
  await a.lives(LOOK)
  t.deepEqual(a.told, ['node_up', 'CHANNEL_PARK'], 'what came while it could not be asked is told once it is known')
  t.deepEqual(at.sent, [])
})

test('a switch that cannot be asked when the engine stops does not keep it', async t => {
  const at = aSwitch()
  const table: Table = { ...at.table, remove: () => new Promise(() => {}) }
  const a = anEngine('a', at, { table })
  await settled()
  const closed = a.owned.close()
  await settled()
  a.clock.advance(5_000)
  await t.notThrowsAsync(closed)
})
