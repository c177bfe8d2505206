// Each callflow module by itself, on the scripted switch.

import test, { type ExecutionContext } from 'ava'
import type { Doc } from '../../src/store/store.ts'
import { shuffled } from '../../src/callflow/members.ts'
import { AppError } from '../../src/errors.ts'
import type { TenantClient } from '../../src/net/client.ts'
import { ACCOUNT, ALICE, ALICE_PHONE, answering, BOB, BOB_PHONE, device, documents, type Node, nowhere, world } from './world.ts'

export const TONE = 'tone_stream://%(500,0,440)'
const play = (hz: number): Node => ({ module: 'play', data: { id: `tone_stream://%(500,0,${hz})` } })
const then = (node: Node, child: Node): Node => ({ ...node, children: { _: child } })
const heard = (executed: string[]): string[] => executed.filter(line => line.startsWith('playback')).map(line => /,(\d+)\)$/.exec(line)?.[1] ?? line)

/** A call through the flow, to its end. */
async function run(t: ExecutionContext, flow: Node, change: (docs: Record<string, Doc>) => Record<string, Doc> = docs => docs) {
  const made = world(t, change(documents(flow)))
  made.dial()
  const cause = await made.over()
  return { ...made, cause, heard: heard(made.fake.executed()) }
}

test('a text is said where the switch can speak, without what could mean anything to it', async t => {
  const { fake, dial, over } = world(t, documents(then({ module: 'tts', data: { text: 'You are ${system(x)}, "{{call.caller_id_name}}".' } }, play(440))))
  fake.modules['mod_flite'] = true
  dial('1000', { callerIdName: "Al|ice' <b>" })
  await over()
  t.deepEqual(fake.executed(), ['answer', 'speak flite|slt|You are system x , Al ice .', 'playback tone_stream://%(500,0,440)'])
})

test('a switch without a speech engine, another engine and a text without words go to error, and say why', async t => {
  const said = async (data: object, modules: Record<string, boolean>): Promise<unknown> => {
    const { fake, dial, over, events } = world(t, documents({ module: 'tts', data: { ...data }, children: { error: play(300), _: play(440) } }))
    Object.assign(fake.modules, modules)
    dial()
    await over()
    t.deepEqual(heard(fake.executed()), ['300'])
    return events('speech_not_possible')[0]?.['why']
  }
  t.is(await said({ text: 'Hello' }, {}), 'the switch has no speech engine: load mod_flite')
  t.is(await said({ text: '☎' }, { mod_flite: true }), 'data.text has nothing that can be said')
  t.is(await said({ text: 'Hello', engine: 'google' }, { mod_flite: true }), 'flite is the only speech engine that is driven')
})

test('noop goes on', async t => {
  t.deepEqual((await run(t, then({ module: 'noop' }, play(440)))).heard, ['440'])
})

test('dead air is silence that is played, until the caller hangs up', async t => {
  const { fake, dial, idle, events } = world(t, documents(then({ module: 'dead_air' }, play(440))))
  const leg = dial()
  await fake.until('playback')
  t.deepEqual(fake.executed(), ['answer', 'playback silence_stream://-1'])
  fake.hangup(leg)
  await idle()
  t.deepEqual(heard(fake.executed()), ['playback silence_stream://-1'])
  t.like(events('call_ended')[0], { by: 'caller' })
})

test('wait_for_hangup does nothing to the call and ends with it', async t => {
  const { fake, executor, dial, idle, events } = world(t, documents(then({ module: 'wait_for_hangup' }, play(440))))
  const leg = dial()
  await fake.until('setVariables')
  for (let turn = 0; turn < 20; turn += 1) await new Promise(resolve => setImmediate(resolve))
  t.is(executor.calls(), 1)
  t.deepEqual(fake.executed(), [])
  fake.hangup(leg)
  await idle()
  t.like(events('call_ended')[0], { by: 'caller' })
})

// Expressions and what they ask for

const set = (vars: Record<string, unknown>): Node => ({ module: 'set_variables', data: { custom_application_vars: vars } })
const say = (message: string): Node => ({ module: 'response', data: { code: 480, message } })
const message = (lines: readonly { event: string; [fact: string]: unknown }[]): unknown =>
  lines.find(({ event }) => event === 'call_refused_by_callflow')?.['message']

test('a variable that is set is there for the actions after it, and on the leg under a name of ours', async t => {
  const { fake, lines } = await run(t, then(set({ team: 'Sales', api_on_answer: 'system x', n: 7, on: true }), say('{{vars.team}} {{vars.n}} {{vars.on}}')))
  t.is(message(lines), 'Sales 7 true')
  const written = fake.sent.find(({ what, detail }) => what === 'setVariables' && JSON.stringify(detail).includes('Sales'))?.detail
  t.deepEqual(written, { callrec_var_team: 'Sales', callrec_var_api_on_answer: 'system x', callrec_var_n: '7', callrec_var_on: 'true' })
})

test('variables that are exported are named to the switch for the legs it rings, beside those it was told of before, and others are not', async t => {
  const exported = (vars: object): Node => ({ module: 'set_variables', data: { custom_application_vars: vars, export: true } })
  const { fake, dial, over, events } = world(
    t,
    documents(then(exported({ team: 'Sales' }), then(set({ own: 'x' }), then(exported({ '${x}': 1, n: '${n}' }), say('no'))))),
  )
  dial('1000', { variables: { export_vars: 'nolocal:theirs,${bad}' } })
  await over()
  const written = fake.sent.filter(({ what }) => what === 'setVariables').map(({ detail }) => detail as Record<string, string>)
  t.deepEqual(
    written.filter(one => Object.keys(one).some(name => name.startsWith('callrec_var_'))),
    [
      { callrec_var_team: 'Sales', export_vars: 'nolocal:theirs,callrec_var_team' },
      { callrec_var_own: 'x' },
      { callrec_var_n: '${n}', export_vars: 'nolocal:theirs,callrec_var_team,callrec_var_n' },
    ],
  )
  t.deepEqual(
    events('variable_not_exported').map(({ variable }) => variable),
    ['n'],
  )
})

test('a call that comes back from a transfer still has its variables', async t => {
  const { fake, dial, over, lines } = world(t, documents(say('{{vars.team}}')))
  dial('1000', { variables: { callrec_var_team: 'Sales' } })
  await over()
  t.is(message(lines), 'Sales')
  t.deepEqual(fake.executed(), [])
})

test('a call is asked for what is known of it', async t => {
  const { dial, over, lines } = world(
    t,
    documents(
      say(
        '{{call.caller_id_name}} <{{call.caller_id_number}}> to {{call.destination}} ({{call.to_network}}) {{user.first_name}} {{account.realm}} {{callflow.name}}',
      ),
    ),
  )
  dial('1000', { callerIdName: 'Al ${x}' })
  await over()
  t.is(message(lines), 'Al ${x} <2001> to 1000 (onnet) Alice acme.example Main')
})

test('an action whose expression yields nothing is left, told with its path, and the call goes on at _', async t => {
  const flow = then({ module: 'play', data: { id: '{{vars.media}}' } }, { module: 'play', data: { id: '{{vars.media|tone_stream://%(500,0,440)}}' } })
  const { heard, events } = await run(t, flow)
  t.deepEqual(heard, ['440'])
  t.like(events('expression_failed')[0], { level: 'error', module: 'play', path: 'data.id', expression: '{{vars.media}}', why: 'it yields nothing' })
  t.is(events('expression_failed').length, 1)
})

test('a recording whose expression yields nothing is told of by a document of its own, and another one is not started', async t => {
  const start: Node = { module: 'record_call', data: { action: 'start', url: 'https://{{vars.host}}/', label: 'Sales', format: 'wav' } }
  const stop: Node = { module: 'record_call', data: { action: 'stop', label: '{{vars.x}}' } }
  const { recording } = await run(t, then(start, then(stop, then({ module: 'record_caller', data: { label: '{{vars.y}}' } }, play(440)))))
  t.deepEqual(recording.refused, [
    { origin: 'callflow : Sales', reason: 'expression_failed', warnings: ['data.url: {{vars.host}} – it yields nothing'] },
    { origin: 'callflow : Main', reason: 'expression_failed', warnings: ['data.label: {{vars.y}} – it yields nothing'] },
  ])
  t.deepEqual([recording.started.length, recording.spoken.length, recording.stopped.length], [0, 0, 0])
  const failing = world(t, documents(then(start, play(440))))
  failing.recording.failing.with = new AppError('datastore_unreachable', 'away')
  failing.dial()
  await failing.over()
  t.deepEqual(heard(failing.fake.executed()), ['440'])
  t.like(failing.events('recording_not_started')[0], { reason: 'away' })
})

test('a variable that is no text, has no name or would grow for ever is told and not set', async t => {
  const long = 'x'.repeat(4000)
  const twice = then(set({ a: long }), then(set({ a: '{{vars.a}}{{vars.a}}' }), say('{{vars.a}}')))
  const { lines, events } = await run(t, then(set({ 'a-b': 1, list: [1], nothing: null }), then(set({}), twice)))
  t.is(message(lines), long.slice(0, 200))
  t.deepEqual(
    events('variable_not_set').map(({ variable }) => variable),
    ['a-b', 'list', 'nothing', 'a'],
  )
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`v${at}`, at]))
  t.is((await run(t, set(many))).events('variable_not_set').length, 1)
  t.is((await run(t, { module: 'set_variables' })).events('variable_not_set').length, 1)
})

test('the number’s pattern gives what it caught of it', async t => {
  const { dial, over, lines } = world(t, {
    ...documents(play(1)),
    callflow: { _id: 'e'.repeat(32), pvt_type: 'callflow', patterns: ['^\\*3(\\d+)$'], flow: say('{{call.capture_group}}') },
  })
  dial('*3123')
  await over()
  t.is(message(lines), '123')
})

test('language tells the switch and the expressions, and refuses what is none', async t => {
  const { fake, lines } = await run(t, then({ module: 'language', data: { language: 'de' } }, say('{{call.language}}')))
  t.deepEqual(fake.sent.filter(({ what }) => what === 'setVariables').at(-1)?.detail, { default_language: 'de' })
  t.is(message(lines), 'de')
  for (const language of ['german', '${x}', undefined]) t.is((await run(t, { module: 'language', data: { language } })).events('language_unusable').length, 1)
})

// Ring groups

const CAROL_PHONE = '7'.repeat(32)
const GROUP = '8'.repeat(32)
const member = (endpoint_type: string, id: string, more: object = {}): object => ({ endpoint_type, id, ...more })
const group = (endpoints: object[], data: object = {}): Node => ({ module: 'ring_group', data: { endpoints, ...data } })
const withCarol = (docs: Record<string, Doc>): Record<string, Doc> => ({ ...docs, carol: device(CAROL_PHONE, '', 'carol') })
const rings = (line: string): string[] => [...line.matchAll(/(?:\[([^\]]*)\])?user\/([\w-]+)@/g)].map(([, , name = '']) => name)
const option = (line: string, name: string): string[] => [...line.matchAll(new RegExp(`${name}=(\\w+)`, 'g'))].map(([, value = '']) => value)

test('a group rings its members together, each with its delay and its time, and nobody twice', async t => {
  const endpoints = [member('user', BOB, { delay: 2, timeout: 5 }), member('device', CAROL_PHONE), member('device', BOB_PHONE), member('device', ALICE_PHONE)]
  const { fake } = await run(t, group(endpoints, { timeout: 30 }), withCarol)
  const [line = '', ...others] = fake.executed()
  t.deepEqual(others, [])
  t.deepEqual(rings(line), ['bob', 'carol'])
  t.deepEqual(option(line, 'originate_timeout'), ['30'])
  t.deepEqual([option(line, 'leg_delay_start'), option(line, 'leg_timeout')], [['2'], ['5', '20']])
})

test('members in turn ring for their own time, until one answers, as often as it is repeated', async t => {
  const { fake, dial, over } = world(
    t,
    withCarol(documents(group([member('device', BOB_PHONE, { timeout: 5, delay: 9 }), member('device', CAROL_PHONE)], { strategy: 'single', repeats: 3 }))),
  )
  fake.bridges.push({ cause: 'NO_ANSWER' }, { cause: 'USER_BUSY' }, { cause: 'NO_ANSWER' }, { answered: true })
  dial()
  t.is(await over(), 'NORMAL_CLEARING')
  t.deepEqual(fake.executed().flatMap(rings), ['bob', 'carol', 'bob', 'carol'])
  t.deepEqual(
    fake.executed().flatMap(line => option(line, 'originate_timeout')),
    ['5', '20', '5', '20'],
  )
  t.deepEqual(
    fake.executed().flatMap(line => option(line, 'leg_')),
    [],
  )
})

test('a group document stands for its members, and groups inside of each other come to an end', async t => {
  const inner = { [CAROL_PHONE]: { type: 'device', delay: 1 }, [BOB]: { type: 'user' }, [GROUP]: { type: 'group' }, x: 7 }
  const { fake, events } = await run(t, group([member('group', GROUP, { delay: 3, timeout: 6 })]), docs => ({
    ...withCarol(docs),
    group: { _id: GROUP, pvt_type: 'group', name: 'Team', endpoints: inner },
  }))
  const [line = ''] = fake.executed()
  t.deepEqual(rings(line), ['carol', 'bob'])
  t.deepEqual(
    [option(line, 'leg_delay_start'), option(line, 'leg_timeout')],
    [
      ['4', '3'],
      ['6', '6'],
    ],
  )
  t.like(events('member_not_found')[0], { endpoint_type: 'group', why: 'groups are inside of each other more than 5 times' })
})

test('the order of a weighted group is drawn, and the heavy come early', t => {
  const members = [
    { id: 'light', weight: 1 },
    { id: 'heavy', weight: 100 },
  ]
  let seed = 7
  const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
  const first = Array.from({ length: 500 }, () => shuffled(members, random)[0]?.id)
  const heavy = first.filter(id => id === 'heavy').length
  t.true(heavy > 480 && heavy < 500, `${heavy} of 500`)
})

test('a weighted group rings one after the other', async t => {
  const { fake } = await run(
    t,
    group([member('device', BOB_PHONE), member('device', CAROL_PHONE, { weight: 100 })], { strategy: 'weighted_random' }),
    withCarol,
  )
  t.is(fake.executed().flatMap(rings).length, 1)
})

test('each member of a group is recorded as he himself wants it', async t => {
  const { recording } = await run(t, group([member('user', BOB), member('device', CAROL_PHONE)]), docs => {
    const more = withCarol(docs)
    return { ...more, carol: { ...device(CAROL_PHONE, '', 'carol'), record_call: { format: 'wav' } } }
  })
  t.deepEqual(
    recording.started.map(({ facts, settings }) => [facts.endpoint_id, settings.format?.value]),
    [[CAROL_PHONE, 'wav']],
  )
  t.deepEqual(recording.neverCame, [])
})

test('a phone that stopped ringing before the others counts as one that did not answer', async t => {
  const { fake, dial, over } = world(t, documents({ ...group([member('device', BOB_PHONE)]), children: { NO_ANSWER: play(440), _: play(880) } }))
  fake.bridges.push({ cause: 'ALLOTTED_TIMEOUT' })
  dial()
  await over()
  t.deepEqual(heard(fake.executed()), ['440'])
})

test('members who are not there are told, and a group of nobody goes on', async t => {
  const endpoints = [member('device', '9'.repeat(32)), member('user', '../x'), member('group', BOB), member('robot', BOB)]
  const { heard, events } = await run(t, { ...group(endpoints), children: { USER_NOT_REGISTERED: play(440) } })
  t.deepEqual(heard, ['440'])
  t.is(events('member_not_found').length, 4)
  t.is((await run(t, group([]))).events('nobody_to_ring').length, 1)
  t.is((await run(t, { module: 'ring_group', data: { endpoints: 'bob' } })).events('nobody_to_ring').length, 1)
})

// Trunks

const trunk = (_id: string, gateway: string, more: object = {}): Doc => ({
  _id: _id.repeat(32),
  pvt_type: 'resource',
  name: gateway,
  gateways: [{ gateway }],
  ...more,
})
const leave = (
  data: object = {},
  children: Record<string, Node> = { USER_BUSY: play(1), NORMAL_TEMPORARY_FAILURE: play(2), NO_ROUTE_DESTINATION: play(3) },
): Node => ({
  module: 'resources',
  data: { ...data },
  children,
})
const dialled = (executed: string[]): string[] => executed.flatMap(line => /sofia\/gateway\/(\S+)$/.exec(line)?.[1] ?? [])
const numbered = (docs: Record<string, Doc>, number: string): Record<string, Doc> => ({
  ...docs,
  callflow: { ...docs['callflow'], _id: 'f'.repeat(32), numbers: [number] },
})

test('a number leaves by the cheapest trunk that takes it, as the carrier wants to see it', async t => {
  const docs = {
    ...numbered(documents(leave()), '+49891234'),
    dear: trunk('8', 'dear', { weight_cost: 90 }),
    cheap: trunk('9', 'cheap', {
      weight_cost: 10,
      rules: ['^\\+49(\\d+)$'],
      gateways: [
        { gateway: 'off', enabled: false },
        { gateway: 'cheap', prefix: '0', suffix: '#' },
      ],
    }),
    foreign: trunk('7', 'foreign', { weight_cost: 1, rules: ['^\\+1'] }),
    off: trunk('6', 'off', { weight_cost: 0, enabled: false }),
  }
  const { fake, dial, over } = world(t, docs)
  const leg = dial('+49891234')
  t.is(await over(), 'NORMAL_CLEARING')
  t.deepEqual(dialled(fake.executed()), ['cheap/0891234#'])
  for (const part of [`callrec_account_id=${ACCOUNT}`, `callrec_call_id=${leg}`, 'callrec_inception=offnet', 'originate_timeout=60'])
    t.true(fake.executed()[0]?.includes(part), part)
})

test('a trunk that fails is followed by the next, a called party that does not want is not', async t => {
  const failing = async (...causes: string[]): Promise<[string[], string[]]> => {
    const { fake, dial, over } = world(t, { ...documents(leave({ to_did: '0123' })), a: trunk('8', 'a'), b: trunk('9', 'b') })
    fake.bridges.push(...causes.map(cause => ({ cause })))
    dial()
    await over()
    return [dialled(fake.executed()), heard(fake.executed())]
  }
  t.deepEqual(await failing('NORMAL_TEMPORARY_FAILURE', 'USER_BUSY'), [['a/0123', 'b/0123'], ['1']])
  t.deepEqual(await failing('USER_BUSY'), [['a/0123'], ['1']])
  t.deepEqual(await failing('GATEWAY_DOWN', 'NORMAL_TEMPORARY_FAILURE'), [['a/0123', 'b/0123'], ['2']])
})

test('what cannot leave is told and never dialled', async t => {
  const flow = (data: object) => (docs: Record<string, Doc>) => ({ ...docs, ...documents(leave(data)), a: trunk('8', 'a'), b: trunk('9', 'x,y') })
  const dials = async (data: object, number = '1000', variables = {}): Promise<unknown> => {
    const { fake, dial, over, events } = world(t, numbered(flow(data)({}), number))
    dial(number, { variables })
    await over()
    return dialled(fake.executed())[0] ?? events('number_not_dialled')[0]?.['why']
  }
  t.is(await dials({ to_did: 'a,b${x}' }), 'not a telephone number')
  t.is(await dials({}, 'anna'), 'not a telephone number')
  t.regex(String(await dials({}, '1000', { callrec_inception: 'offnet', callrec_device_id: '' })), /only to a number the callflow names/)
  t.is(await dials({ to_did: '+49123' }, '1000', { callrec_inception: 'offnet', callrec_device_id: '' }), 'a/+49123')
  const { heard: told, events } = await run(t, leave({ to_did: '123' }), docs => ({ ...docs, b: trunk('9', 'x,y'), c: trunk('8', 'c', { rules: ['('] }) }))
  t.deepEqual(told, ['3'])
  t.is(events('trunk_skipped').length + events('pattern_unusable').length + events('no_trunk').length, 3)
})

test('leaving by a trunk starts what outbound offnet asks for, once', async t => {
  const outside = { outbound: { offnet: { enabled: true, format: 'wav' } } }
  const twice = leave({ to_did: '1' }, { _: leave({ to_did: '2' }, {}) })
  const { fake, dial, over, recording } = world(t, {
    ...documents(twice),
    alice: { _id: ALICE, pvt_type: 'user', call_recording: outside },
    a: trunk('8', 'a'),
  })
  fake.bridges.push({ cause: 'NORMAL_TEMPORARY_FAILURE' })
  const leg = dial()
  await over()
  t.deepEqual(
    recording.started.map(({ origin, side, by, leg }) => [origin, side, by, leg.uuid]),
    [['outbound to offnet from endpoint', 'caller', 'policy', leg]],
  )
})

test('the world is shown the external caller id, and a phone after it the internal one', async t => {
  const flow = leave({ to_did: '1' }, { _: { module: 'device', data: { id: BOB_PHONE } } })
  const made = world(t, {
    ...documents(flow),
    alice: { _id: ALICE, pvt_type: 'user', caller_id: { external: { name: 'Acme', number: '+4989100' }, internal: { number: '21' } } },
    a: trunk('8', 'a'),
  })
  made.fake.bridges.push({ cause: 'NORMAL_TEMPORARY_FAILURE' }, { answered: true })
  made.dial()
  await made.over()
  const shown = made.fake.sent
    .filter(({ what, detail }) => what === 'setVariables' && JSON.stringify(detail).includes('effective_'))
    .map(({ detail }) => detail)
  t.deepEqual(shown, [
    { effective_caller_id_name: 'Acme', effective_caller_id_number: '+4989100' },
    { effective_caller_id_name: null, effective_caller_id_number: '21' },
  ])
})

// Menus

const MENU = 'c'.repeat(32)
const ask = (children: Record<string, Node>, data: object = {}): Node => ({ module: 'menu', data: { id: MENU, ...data }, children })

async function menu(t: ExecutionContext, pressed: string[], children: Record<string, Node>, fields: object = {}, more: Record<string, Doc> = {}) {
  const made = world(t, { ...documents(ask(children)), menu: { _id: MENU, pvt_type: 'menu', name: 'Main', ...fields }, ...more })
  made.fake.pressed.push(...pressed)
  made.dial()
  await made.over()
  return { ...made, asked: made.fake.sent.filter(({ what }) => what === 'play_and_get_digits').map(({ detail }) => detail), heard: heard(made.fake.executed()) }
}

test('digits lead to the child of that name, and expressions know them', async t => {
  const { heard, asked, fake } = await menu(t, ['12'], { 1: play(1), 12: play(12), _: play(9) }, { media: { greeting: TONE }, hunt: false, timeout: 500 })
  t.deepEqual(heard, ['12'])
  t.deepEqual(asked, [`1 2 1 500 # ${TONE} silence_stream://1 callrec_digits [0-9*] 2000`])
  t.is(fake.executed()[0], 'answer')
  t.is(message((await menu(t, ['1'], { 1: say('{{call.digits}}') })).lines), '1')
})

test('who presses nothing goes to timeout, else is asked again and then goes to max_retries', async t => {
  t.deepEqual((await menu(t, [], { timeout: play(1), max_retries: play(2) })).heard, ['1'])
  const { heard, asked } = await menu(t, [], { max_retries: play(2), _: play(3) }, { retries: 2 })
  t.deepEqual([heard, asked.length], [['2'], 2])
  t.deepEqual((await menu(t, ['7', '8'], { _: play(3) }, { retries: 2, media: { invalid_media: 'tone_stream://%(100,0,200)' } })).heard, ['200', '200', '3'])
})

test('a caller may dial a callflow’s number where the menu lets him', async t => {
  const other: Doc = { _id: 'e'.repeat(32), pvt_type: 'callflow', numbers: ['2345'], flow: play(5) }
  const hunting = async (fields: object): Promise<string[]> => (await menu(t, ['2345'], { _: play(9) }, { retries: 1, ...fields }, { other })).heard
  // The other callflow comes back to `_` when it has run out of nodes.
  t.deepEqual(await hunting({}), ['5', '9'])
  t.deepEqual(await hunting({ hunt: false }), ['9'])
  t.deepEqual(await hunting({ hunt_allow: '^1' }), ['9'])
  t.deepEqual(await hunting({ hunt_allow: '^2' }), ['5', '9'])
  t.deepEqual(await hunting({ hunt_deny: '45$' }), ['9'])
  t.deepEqual(await hunting({ hunt_deny: '(' }), ['5', '9'])
})

test('a menu that is not there is told and passed over, and so is a greeting that cannot be played', async t => {
  const { events } = await run(t, ask({ _: play(1) }))
  t.is(events('menu_not_found').length, 1)
  const told = await menu(t, [], {}, { retries: 1, media: { greeting: '/etc/passwd' } })
  t.is(told.events('media_refused').length, 1)
  t.true(String(told.asked[0]).includes('# silence_stream://1 silence_stream://1'))
})

// Times. The clock of these tests stands at 2027-01-15 08:00 UTC, a Friday.

const [RULE, NIGHT] = ['8'.repeat(32), '9'.repeat(32)]
const rule = (_id: string, more: object): Doc => ({ _id, pvt_type: 'temporal_rule', name: 'Rule', cycle: 'daily', ...more })
const office = rule(RULE, { time_window_start: 9 * 3600, time_window_stop: 17 * 3600 })
const night = rule(NIGHT, { time_window_start: 22 * 3600, time_window_stop: 8.5 * 3600 })
const route = (data: object = {}): Node => ({ module: 'temporal_route', data: { ...data }, children: { [RULE]: play(1), [NIGHT]: play(2), _: play(9) } })

async function timed(t: ExecutionContext, data: object, changes: Record<string, Partial<Doc>> = {}) {
  const docs = documents(route(data))
  return run(t, route(data), () => Object.fromEntries(Object.entries({ ...docs, office, night }).map(([name, doc]) => [name, { ...doc, ...changes[name] }])))
}

test('a call goes to the first rule that is active, by the clock of device, user, account or node', async t => {
  t.deepEqual((await timed(t, { rules: [RULE, NIGHT] })).heard, ['2'])
  t.deepEqual((await timed(t, {}, { account: { timezone: 'Europe/Berlin' } })).heard, ['1'])
  t.deepEqual((await timed(t, {}, { account: { timezone: 'Europe/Berlin' }, alice: { timezone: 'Europe/London' } })).heard, ['2'])
  t.deepEqual((await timed(t, {}, { alice: { timezone: 'Europe/London' }, alicePhone: { timezone: 'Asia/Tokyo' } })).heard, ['9'])
  t.deepEqual((await timed(t, { timezone: 'Europe/Berlin' }, { alicePhone: { timezone: 'Asia/Tokyo' } })).heard, ['1'])
})

test('a zone nobody knows and a rule that is not there are told and passed over', async t => {
  const { heard, events } = await timed(t, { timezone: 'Mars/Olympus', rules: ['7'.repeat(32), RULE] }, { night: { pvt_deleted: true } })
  t.deepEqual(heard, ['9'])
  t.is(events('timezone_unknown').length + events('temporal_rule_not_found').length, 2)
})

test('a node can switch rules on and off, and leave them to the clock again', async t => {
  for (const [action, enabled] of [
    ['enable', true],
    ['disable', false],
    ['reset', undefined],
  ] as const) {
    const docs: Record<string, Doc> = {
      ...documents({ module: 'temporal_route', data: { action, rules: [RULE] } }),
      office: { ...office, enabled: action !== 'enable' },
    }
    const { dial, over } = world(t, docs)
    dial()
    await over()
    t.is(docs['office']?.['enabled'], enabled, action)
    t.is(docs['office']?.['cycle'], 'daily')
  }
})

// Transfers and preflow

const at = (_id: string, numbers: string[], flow: Node, more: object = {}): Doc => ({ _id: _id.repeat(32), pvt_type: 'callflow', numbers, flow, ...more })

test('a transfer goes on at another number and never comes back, whoever branched to it', async t => {
  const transfer: Node = then({ module: 'transfer', data: { target: '2000' } }, play(9))
  const flow = then({ module: 'callflow', data: { id: 'd'.repeat(32) } }, play(8))
  const { fake, lines, heard } = await run(t, flow, docs => ({
    ...docs,
    inner: at('d', [], transfer),
    target: at('e', ['2000'], then(play(5), say('{{call.destination}} {{callflow.id}}'))),
  }))
  t.deepEqual(heard, ['5'])
  t.is(message(lines), `2000 ${'e'.repeat(32)}`)
  t.true(fake.sent.some(({ what, detail }) => what === 'setVariables' && JSON.stringify(detail) === `{"callrec_callflow_id":"${'e'.repeat(32)}"}`))
})

test('a transfer to nobody’s number is told; a phone’s may leave where the node lets it', async t => {
  const flow = (data: object): Node => ({ module: 'transfer', data: { ...data }, children: { UNALLOCATED_NUMBER: play(4) } })
  const fallback = at('e', ['no_match'], play(7))
  const to = async (data: object, variables = {}): Promise<string[]> => {
    const { fake, dial, over } = world(t, { ...documents(flow(data)), fallback })
    dial('1000', { variables })
    await over()
    return heard(fake.executed())
  }
  t.deepEqual(await to({ target: '4711' }), ['4'])
  t.deepEqual(await to({}), ['4'])
  t.deepEqual(await to({ target: '4711', captures: ['no_match'] }), ['7'])
  t.deepEqual(await to({ target: 'anna', captures: ['no_match'] }), ['4'])
  t.deepEqual(await to({ target: '4711', captures: ['no_match'] }, { callrec_inception: 'offnet', callrec_device_id: '' }), ['4'])
})

test('a transfer asks policy again, and starts what the other callflow wants', async t => {
  const { recording } = await run(t, { module: 'transfer', data: { target: '*6123' } }, docs => ({
    ...docs,
    target: at('e', [], play(5), { patterns: ['^\\*6(\\d+)$'], record_call: { format: 'wav' } }),
  }))
  t.deepEqual(
    recording.started.map(({ origin, by, settings }) => [origin, by, settings.format]),
    [['outbound to onnet from endpoint', 'policy', { value: 'wav', from: 'callflow' }]],
  )
})

test('callflows that transfer to each other end', async t => {
  const { events, cause } = await run(t, { module: 'transfer', data: { target: '1000' } })
  t.is(cause, 'NORMAL_CLEARING')
  t.is(events('callflow_loops').length, 1)
})

test('the account’s preflow runs before every callflow, which goes on where it ends', async t => {
  const preflow =
    (flow: Node, id = 'e') =>
    (docs: Record<string, Doc>) => ({
      ...docs,
      account: { ...docs['account'], _id: ACCOUNT, preflow: { always: id.repeat(32) } },
      pre: at('e', [], flow),
    })
  t.deepEqual((await run(t, play(2), preflow(play(1)))).heard, ['1', '2'])
  const stopped = await run(t, play(2), preflow(then(play(1), { module: 'response', data: { code: 603 } })))
  t.deepEqual([stopped.heard, stopped.cause], [['1'], 'CALL_REJECTED'])
  const missing = await run(t, play(2), preflow(play(1), 'd'))
  t.deepEqual([missing.heard, missing.events('preflow_not_found').length], [['2'], 1])
  t.deepEqual((await run(t, play(2), preflow(play(1), 'f'))).heard, ['2'])
  const { dial, fake, over, steps } = world(t, preflow(play(1))(documents(play(2))))
  dial()
  await fake.until('answer')
  t.is(steps(), 2)
  await over()
})

// Pivot

const URL_ = 'https://pbx.example/flow?v=1'
const pivot = (data: object = {}): Node => ({ module: 'pivot', data: { voice_url: URL_, ...data }, children: { error: play(4), _: play(9) } })

async function asked(t: ExecutionContext, server: ReturnType<typeof answering>, data: object = {}) {
  const made = world(t, documents(pivot(data)), { http: server })
  made.dial('1000', { sipFrom: 'alice@acme.example', callerIdName: 'Ä & ${x}' })
  await made.over()
  return { ...made, heard: heard(made.fake.executed()), why: String(made.events('pivot_failed')[0]?.['why']) }
}

test('a server is asked with what Kazoo tells, its flow runs, and the call does not come back', async t => {
  const server = answering(play(7))
  t.deepEqual((await asked(t, server)).heard, ['7'])
  const [request] = server.asked
  const url = new URL(request?.url ?? '')
  t.is(request?.method, 'GET')
  t.is(url.searchParams.get('v'), '1')
  t.like(Object.fromEntries(url.searchParams), {
    'Account-ID': ACCOUNT,
    From: 'alice',
    'From-Realm': 'acme.example',
    To: '1000',
    'To-Realm': 'acme.example',
    'Caller-ID-Name': 'Ä & ${x}',
    'Caller-ID-Number': '2001',
    'Call-Status': 'ringing',
    Direction: 'inbound',
    'User-ID': ALICE,
  })
  t.false(url.searchParams.has('Digits'))
})

test('a POST carries the same as a form or as JSON', async t => {
  for (const format of ['form', 'json']) {
    const server = answering(play(7))
    await asked(t, server, { method: 'POST', req_body_format: format })
    const pieces: Buffer[] = []
    for await (const piece of server.asked[0]?.body?.open() ?? []) pieces.push(piece)
    const text = Buffer.concat(pieces).toString()
    t.is(server.asked[0]?.body?.length, Buffer.byteLength(text))
    const told = format === 'json' ? (JSON.parse(text) as Record<string, string>) : Object.fromEntries(new URLSearchParams(text))
    t.like(told, { To: '1000', 'Caller-ID-Number': '2001' })
    t.is(server.asked[0]?.url, URL_)
  }
})

test('what is no flow is told in words and never runs', async t => {
  const of = async (server: ReturnType<typeof answering>): Promise<unknown[]> => {
    const { heard, why } = await asked(t, server)
    return [...heard, why]
  }
  t.deepEqual(await of(answering('<xml/>')), ['4', 'its answer is not JSON'])
  t.deepEqual(await of(answering(play(7), 500)), ['4', 'it answered 500'])
  t.regex(String((await of(answering({ module: 'system', data: {} })))[1]), /no flow: flow.module: unable to find callflow schema for module system/)
  t.regex(String((await of(answering({ module: 'play', data: { id: '/etc/passwd' } })))[1]), /flow.data.id: Failed to match/)
  t.regex(String((await of(answering([])))[1]), /flow: not an object/)
  t.regex(String((await of(answering({ module: 'noop', data: { x: 'y'.repeat(300_000) } })))[1]), /longer than 262144 bytes/)
  t.regex(String((await of(answering(`${'{"module":"noop","children":{"_":'.repeat(7000)}{}${'}}'.repeat(7000)}`)))[1]), /./)
  t.deepEqual(await of({ ...answering(''), ...nowhere }), ['4', 'nobody there'])
})

test('a server that says nothing is given up after its time, and at once when the caller hangs up', async t => {
  const silent: TenantClient = {
    request: ({ signal }) =>
      new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(new AppError('upload_unreachable', 'broken off here')))),
    close: () => Promise.resolve(),
  }
  const late = world(t, documents(pivot({ req_timeout_ms: 800 })), { http: silent })
  late.dial()
  while (late.clock.waits().length === 0) await new Promise(resolve => setImmediate(resolve))
  late.clock.advance(800)
  await late.over()
  t.deepEqual(heard(late.fake.executed()), ['4'])
  const left = world(t, documents(pivot()), { http: silent })
  const leg = left.dial()
  while (left.clock.waits().length === 0) await new Promise(resolve => setImmediate(resolve))
  left.fake.hangup(leg)
  await left.idle()
  t.deepEqual([left.clock.waits().length, left.events('pivot_failed').length], [0, 0])
})

test('servers that send each other’s flows come to an end', async t => {
  const server = answering(pivot())
  const { events } = await asked(t, server)
  t.is(events('callflow_loops').length, 1)
  t.is(server.asked.length, 51)
})

test('metaflow puts what keys mean on the leg and goes on', async t => {
  const numbers = { '1': { module: 'hangup' } }
  const { fake, heard } = await run(t, then({ module: 'metaflow', data: { binding_digit: '#', numbers, skip_module: false } }, play(440)))
  t.deepEqual(heard, ['440'])
  const set = fake.sent.find(({ what, detail }) => what === 'setVariables' && JSON.stringify(detail).includes('callrec_metaflows'))?.detail
  t.deepEqual(JSON.parse((set as { callrec_metaflows: string }).callrec_metaflows), { binding_digit: '#', numbers })
})

test('webhook tells a server of the call and goes on whatever it answers', async t => {
  for (const [http_verb, status] of [
    ['post', 200],
    ['get', 503],
  ] as const) {
    const server = answering({}, status)
    const made = world(
      t,
      documents(then({ module: 'webhook', data: { uri: 'https://crm.example/in?x=1', http_verb, retries: 1, custom_data: { desk: 7 } } }, play(440))),
      {
        http: server,
      },
    )
    made.dial()
    await made.over()
    t.deepEqual(heard(made.fake.executed()), ['440'])
    const [asked] = server.asked
    const pieces: Buffer[] = []
    for await (const piece of asked?.body?.open() ?? []) pieces.push(piece)
    const body = Buffer.concat(pieces).toString()
    if (http_verb === 'post') t.like(JSON.parse(body), { account_id: ACCOUNT, caller_id_number: '2001', to: '1000', custom_data: { desk: 7 } })
    else t.is(new URL(asked?.url ?? '').searchParams.get('custom_data'), '{"desk":7}')
    made.clock.advance(60_000)
    await new Promise(resolve => setImmediate(resolve))
    t.is(server.asked.length, status === 200 ? 1 : 2)
    made.clock.advance(60_000)
    await new Promise(resolve => setImmediate(resolve))
    t.is(server.asked.length, status === 200 ? 1 : 2, 'and no more')
  }
})

test('a webhook whose server cannot be reached is a line in the log', async t => {
  const { lines, cause } = await run(t, { module: 'webhook', data: { uri: 'https://nobody.example/', retries: 0 } })
  t.is(cause, 'NORMAL_CLEARING')
  t.true(lines.some(({ event }) => event === 'callflow_webhook_failed'))
})
