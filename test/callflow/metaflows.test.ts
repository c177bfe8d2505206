import test, { type ExecutionContext } from 'ava'
import type { CallControl } from '../../src/callflow/control.ts'
import { ON_LEG, startKeys } from '../../src/callflow/metaflows.ts'
import { AppError } from '../../src/errors.ts'
import { manualClock } from '../helpers/clock.ts'
import { notedLog } from '../helpers/log.ts'
import { fakeSwitch } from '../helpers/switches.ts'
import { until } from '../helpers/wait.ts'
import { ACCOUNT, ALICE_PHONE, BOB_PHONE, documents, memoryStore } from './world.ts'

const record = (action: string, children: object = {}) => ({ module: 'record_call', data: { action }, children })

function setup(t: ExecutionContext, phones: { alice?: object; bob?: object; account?: object; callflow?: object }) {
  const fake = fakeSwitch()
  const docs = documents({ module: 'hangup' })
  const say = (name: string, metaflows: object | undefined): void =>
    void (docs[name] = { ...docs[name], _id: docs[name]?._id ?? '', ...(metaflows && { metaflows }) })
  say('alicePhone', phones.alice)
  say('bobPhone', phones.bob)
  say('account', phones.account)
  say('callflow', phones.callflow)
  const { store } = memoryStore(docs)
  const clock = manualClock()
  const { log, lines } = notedLog()
  const done: string[] = []
  const masked = new Set<string>()
  const failing: { with?: Error } = {}
  const held: { until: Promise<unknown> } = { until: Promise.resolve() }
  const control: CallControl = {
    async record({ leg, action, by }) {
      if (failing.with !== undefined) throw failing.with
      done.push(`${action} ${leg.uuid} ${by}`)
      if (action === 'mask') masked.add('i1')
      if (action === 'unmask') masked.delete('i1')
      return { action: 'start', recordings: [] }
    },
    async siprec({ leg, data, by }) {
      done.push(`${String(data['activity'])} at ${String(data['server'])} ${leg.uuid} ${by}`)
      return { action: 'start', recordings: [] }
    },
    recordings: () => [],
    recorded: () => undefined,
    hangup: async ({ uuid }) => void done.push(`hangup ${uuid}`),
    async play({ uuid }, media, to) {
      done.push(`play ${String(media)} ${uuid} ${to}`)
      await held.until
    },
    transfer: async ({ uuid }, target) => void done.push(`transfer ${uuid} ${target}`),
  }
  const recorder = { wishOf: (id: string) => (masked.has(id) ? { mask: { at: '', by: 'x' } } : {}) }
  const keys = startKeys({ switches: fake.switches, store, recorder, control, clock, log })
  t.teardown(() => keys.close())
  const variables = { callrec_account_id: ACCOUNT, callrec_interaction_id: 'i1' }
  const caller = fake.waiting({ variables: { ...variables, callrec_device_id: ALICE_PHONE, callrec_callflow_id: 'f'.repeat(32) } })
  const callee = fake.waiting({ direction: 'outbound', otherLeg: caller, variables: { ...variables, callrec_device_id: BOB_PHONE, callrec_call_id: caller } })
  const change = (uuid: string, fields: object, more: Record<string, string> = {}): void =>
    void fake.legs.set(uuid, { ...fake.leg(uuid), ...fields, variables: { ...fake.leg(uuid).variables, ...more } })
  change(caller, { otherLeg: callee }, { callrec_call_id: caller })
  const presses = (uuid: string, digits: string): void => {
    for (const digit of digits) fake.emit({ name: 'DTMF', leg: fake.leg(uuid), at: 0, digit })
  }
  const idle = async (): Promise<void> => {
    for (let turn = 0; turn < 100; turn += 1) await new Promise(resolve => setImmediate(resolve))
  }
  const comes = (count: number): Promise<unknown> => until(`${count} steps; there are ${done.join()}`, () => done.length >= count)
  return { caller, callee, presses, done, clock, lines, idle, comes, change, fake, failing, held }
}

const MASKING = { numbers: { '1': record('mask'), '2': record('unmask'), '3': record('stop') } }

test("a phone's keys do what its document says, and nobody else's do", async t => {
  const w = setup(t, { alice: MASKING })
  w.presses(w.callee, '*1')
  w.presses(w.caller, '*1')
  await w.comes(1)
  await w.idle()
  t.deepEqual(w.done, [`mask ${w.caller} key *1`])
})

test('a key sends the call to recording servers', async t => {
  const step = { module: 'siprec_recording', data: { activity: 'start', server: 'sip:srs.example.com' } }
  const w = setup(t, { alice: { numbers: { '4': step } } })
  w.presses(w.caller, '*4')
  await w.comes(1)
  t.deepEqual(w.done, [`start at sip:srs.example.com ${w.caller} key *4`])
})

test('a key plays a tone to who talks, both unless it says whom, and what is played holds no other key up', async t => {
  const tone = 'tone_stream://%(300,0,880)'
  const step = (data: object) => ({ module: 'play', data: { id: tone, ...data }, children: { _: { module: 'hangup' } } })
  const w = setup(t, { alice: { numbers: { '1': step({}), '2': step({ leg: 'peer' }), '3': record('mask') } } })
  let ended = (): void => {}
  w.held.until = new Promise<void>(resolve => (ended = resolve))
  w.presses(w.caller, '*1')
  await w.comes(1)
  w.presses(w.caller, '*2')
  await w.comes(2)
  w.presses(w.caller, '*3')
  await w.comes(3)
  ended()
  await w.comes(5)
  t.deepEqual(w.done, [`play ${tone} ${w.caller} both`, `play ${tone} ${w.caller} peer`, `mask ${w.caller} key *3`, `hangup ${w.caller}`, `hangup ${w.caller}`])
})

test('listen_on peer hears the other side, both hears either', async t => {
  const w = setup(t, { alice: { ...MASKING, listen_on: 'peer' }, bob: { numbers: { '3': record('stop') }, listen_on: 'both' } })
  w.presses(w.callee, '*1')
  await w.comes(1)
  w.presses(w.callee, '*2')
  await w.comes(2)
  w.presses(w.caller, '*3')
  await w.comes(3)
  t.deepEqual(w.done, [`mask ${w.caller} key *1`, `unmask ${w.caller} key *2`, `stop ${w.callee} key *3`])
})

test('what is pressed once is done once, as the document of who pressed says, also where both parties hear either', async t => {
  const w = setup(t, {
    account: { numbers: { '5': record('toggle'), '55': record('start') }, patterns: { '(7)': record('stop') }, listen_on: 'both', digit_timeout: 500 },
  })
  w.presses(w.callee, '*5')
  await w.idle()
  w.clock.advance(500)
  await w.comes(1)
  w.presses(w.caller, '*55')
  await w.idle()
  w.clock.advance(500)
  await w.comes(2)
  w.presses(w.caller, '*7')
  await w.idle()
  w.clock.advance(5000)
  await w.comes(3)
  await w.idle()
  t.deepEqual(w.done, [`toggle ${w.callee} key *5`, `start ${w.caller} key *55`, `stop ${w.caller} key * (7)`])
})

test('the document of the other party is listened to where that of who pressed does not know the number', async t => {
  const w = setup(t, { alice: { ...MASKING, listen_on: 'both' }, bob: { numbers: { '1': record('pause') }, listen_on: 'both' } })
  w.presses(w.callee, '*1')
  w.presses(w.callee, '*3')
  await w.comes(2)
  await w.idle()
  t.deepEqual(w.done, [`pause ${w.callee} key *1`, `stop ${w.caller} key *3`])
})

test('while the call is masked a card number is neither collected nor logged, and the key that unmasks is heard', async t => {
  const w = setup(t, { alice: { ...MASKING, patterns: { '(4.*)': { module: 'hangup' } } } })
  w.presses(w.caller, '*1')
  await w.idle()
  w.clock.advance(3000)
  await w.comes(1)
  w.presses(w.caller, '*4111222233334444')
  await w.idle()
  t.deepEqual(w.clock.waits(), [])
  w.clock.advance(10_000)
  w.presses(w.caller, '*3')
  w.presses(w.caller, '*2')
  await w.comes(2)
  t.deepEqual(w.done, [`mask ${w.caller} key *1`, `unmask ${w.caller} key *2`])
  t.notRegex(JSON.stringify(w.lines), /4111|2222/)
})

test('steps follow each other, and what fails ends them with a line in the log', async t => {
  const w = setup(t, { alice: { numbers: { '1': record('mask', { _: { module: 'hangup' } }), '4': record('start', { _: { module: 'hangup' } }) } } })
  w.presses(w.caller, '*1')
  await w.comes(2)
  t.deepEqual(w.done, [`mask ${w.caller} key *1`, `hangup ${w.caller}`])
  w.done.length = 0
})

test('a key for what is not possible changes nothing and is told of in the log', async t => {
  const w = setup(t, { alice: { numbers: { '4': record('start', { _: { module: 'hangup' } }), '5': { module: 'dance' } } } })
  w.failing.with = new AppError('wrong_state', 'Cannot start recording when recording is already started')
  w.presses(w.caller, '*4')
  await until('a line', () => w.lines.some(({ event }) => event === 'metaflow_failed'))
  w.presses(w.caller, '*5')
  await until('another', () => w.lines.filter(({ event }) => event === 'metaflow_failed').length === 2)
  t.deepEqual(w.done, [])
})

test('whom one talks with is sent to the number, or to what the pattern caught', async t => {
  const w = setup(t, { bob: { numbers: { '8': { module: 'transfer', data: { target: '2002' } } }, patterns: { '^9(\\d+)$': { module: 'transfer' } } } })
  w.presses(w.callee, '*93001')
  await w.idle()
  w.clock.advance(3000)
  await w.comes(1)
  w.presses(w.callee, '*8')
  await w.idle()
  w.clock.advance(3000)
  await w.comes(2)
  t.deepEqual(w.done, [`transfer ${w.caller} 3001`, `transfer ${w.caller} 2002`])
  w.change(w.callee, { otherLeg: undefined })
  w.presses(w.callee, '*8')
  await w.idle()
  w.clock.advance(3000)
  await until('a line', () => w.lines.some(({ event }) => event === 'metaflow_failed'))
})

test('a stranger from a trunk presses no keys of the account, but those of the callflow he called', async t => {
  const w = setup(t, { account: MASKING, callflow: { numbers: { '7': { module: 'hangup' } } } })
  w.change(w.caller, {}, { callrec_device_id: '' })
  w.presses(w.caller, '*1')
  w.presses(w.caller, '*7')
  await w.comes(1)
  t.deepEqual(w.done, [`hangup ${w.caller}`])
})

test('what a metaflow action put on the leg counts at once and above the documents', async t => {
  const w = setup(t, { alice: MASKING })
  w.presses(w.caller, '*1')
  await w.comes(1)
  w.change(w.caller, {}, { [ON_LEG]: JSON.stringify({ binding_digit: '#', numbers: { '2': record('unmask'), '6': { module: 'hangup' } } }) })
  w.presses(w.caller, '#2')
  await w.comes(2)
  w.presses(w.caller, '#6')
  await w.comes(3)
  w.change(w.caller, {}, { [ON_LEG]: '{' })
  w.presses(w.caller, '*1')
  await w.comes(4)
  t.deepEqual(w.done, [`mask ${w.caller} key *1`, `unmask ${w.caller} key #2`, `hangup ${w.caller}`, `mask ${w.caller} key *1`])
})

test('with the leg its half-pressed number is gone, and a switch that cannot be asked is a line in the log', async t => {
  const w = setup(t, { alice: { ...MASKING, patterns: { '1': { module: 'hangup' } } } })
  w.presses(w.caller, '*1')
  await w.idle()
  w.fake.emit({ name: 'CHANNEL_DESTROY', leg: w.fake.leg(w.caller), at: 0 })
  t.deepEqual(w.clock.waits(), [])
  w.fake.fail.set('leg', new AppError('switch_down', 'away'))
  w.presses(w.caller, '*')
  await until('a line', () => w.lines.some(({ event }) => event === 'keys_not_served'))
  t.deepEqual(w.done, [])
})
