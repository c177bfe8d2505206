// How calls go on the embedded switch: phones, bridges and their causes, what a leg is busy with, and what outside text
// can do. Rules of bridges and of nested applications were seen on a FreeSWITCH 1.11.2, state by state.

import test, { type ExecutionContext } from 'ava'

import { parseDialString } from '../../src/simulator/dialing.ts'
import { type Client, type EventHeaders, type Harness, simulate } from './harness.ts'

const A = 'aaaaaaaa-0000-4000-8000-00000000000a'
const CALL_EVENTS =
  'CHANNEL_CREATE CHANNEL_PROGRESS CHANNEL_PROGRESS_MEDIA CHANNEL_ANSWER CHANNEL_PARK CHANNEL_UNPARK CHANNEL_EXECUTE_COMPLETE CHANNEL_BRIDGE CHANNEL_UNBRIDGE CHANNEL_HANGUP CHANNEL_HANGUP_COMPLETE CHANNEL_DESTROY DTMF'

interface Call {
  harness: Harness
  client: Client
  /** Runs an application on the caller's leg; the answer is its CHANNEL_EXECUTE_COMPLETE once `ms` passed. */
  execute: (app: string, arg: string, ms?: number, lock?: boolean) => Promise<EventHeaders>
  send: (app: string, arg: string, id: string, lock?: boolean) => Promise<void>
}

/** A caller, parked. */
async function parked(t: ExecutionContext, variables = ''): Promise<Call> {
  const harness = await simulate(t, { start: 60_300 })
  const client = await harness.client(CALL_EVENTS)
  t.is(await client.api(`callrec_simulator_call {origination_uuid=${A}${variables}}1001 2000`), `+OK ${A}\n`)
  harness.clock.advance(1)
  await client.until(event => event['Event-Name'] === 'CHANNEL_PARK')
  let count = 0
  const send = async (app: string, arg: string, id: string, lock = true): Promise<void> => {
    const reply = await client.command(
      `sendmsg ${A}\ncall-command: execute\nexecute-app-name: ${app}\nexecute-app-arg: ${arg}\nevent-lock: ${lock}\nEvent-UUID: ${id}`,
    )
    t.is(reply.headers.get('Reply-Text'), '+OK')
  }
  return {
    harness,
    client,
    send,
    async execute(app, arg, ms = 0, lock = true) {
      const id = `e${++count}`
      await send(app, arg, id, lock)
      harness.clock.advance(ms)
      return client.until(event => event['Event-Name'] === 'CHANNEL_EXECUTE_COMPLETE' && event['Application-UUID'] === id)
    },
  }
}

const names = (client: Client, uuid: string): string[] => client.events.filter(event => event['Unique-ID'] === uuid).map(event => event['Event-Name'] ?? '')
const ended = (client: Client, uuid = A): Promise<EventHeaders> =>
  client.until(event => event['Event-Name'] === 'CHANNEL_DESTROY' && event['Unique-ID'] === uuid)
const legTo = (client: Client, user: string): EventHeaders | undefined => client.events.find(event => event['Caller-Destination-Number'] === user)

test('a call from outside parks with its variables and is hung up when no engine takes it within 30 s', async t => {
  const { harness, client } = await parked(t, ',callrec_account_id=acc,callrec_inception=offnet,callrec_node=stale')
  const park = client.events.find(event => event['Event-Name'] === 'CHANNEL_PARK')
  t.like(park, { 'Call-Direction': 'inbound', 'Answer-State': 'ringing', 'Caller-Caller-ID-Number': '1001', 'Caller-Destination-Number': '2000' })
  t.like(park, { variable_callrec_account_id: 'acc', variable_callrec_inception: 'offnet', variable_sip_from_uri: '1001@simulator' })
  t.false('variable_callrec_node' in (park ?? {}))
  harness.clock.advance(30_000)
  t.is((await ended(client))['Hangup-Cause'], 'NORMAL_TEMPORARY_FAILURE')
})

test('sched_del takes the scheduled hangup back; a caller nobody talks to gives up after 30 s all the same', async t => {
  const { harness, client } = await parked(t)
  t.is(await client.api(`sched_del ${A}`), '+OK Deleted: 1\n')
  t.is(await client.api(`sched_del ${A}`), '+OK Deleted: 0\n')
  harness.clock.advance(30_000)
  t.is((await ended(client))['Hangup-Cause'], 'NORMAL_CLEARING')
})

test('a bridge answers the caller when the callee answers, and the caller hangs up five seconds after the bridge', async t => {
  const { harness, client, send } = await parked(t)
  await client.api(`sched_del ${A}`)
  await send('bridge', 'user/2000@realm', 'e')
  harness.clock.advance(20 + 500 + 4999)
  await client.barrier()
  t.deepEqual(names(client, A), [
    'CHANNEL_CREATE',
    'CHANNEL_EXECUTE_COMPLETE',
    'CHANNEL_EXECUTE_COMPLETE',
    'CHANNEL_PARK',
    'CHANNEL_PROGRESS',
    'CHANNEL_ANSWER',
    'CHANNEL_BRIDGE',
  ])
  const b = legTo(client, '2000')?.['Unique-ID'] === A ? client.events.find(event => event['Other-Type'] === 'originator')?.['Unique-ID'] : ''
  harness.clock.advance(1)
  await ended(client)
  t.deepEqual(names(client, b ?? ''), ['CHANNEL_CREATE', 'CHANNEL_PROGRESS', 'CHANNEL_ANSWER', 'CHANNEL_HANGUP', 'CHANNEL_HANGUP_COMPLETE', 'CHANNEL_DESTROY'])
  t.deepEqual(names(client, A).slice(7), [
    'CHANNEL_HANGUP',
    'CHANNEL_UNBRIDGE',
    'CHANNEL_EXECUTE_COMPLETE',
    'CHANNEL_UNPARK',
    'CHANNEL_EXECUTE_COMPLETE',
    'CHANNEL_HANGUP_COMPLETE',
    'CHANNEL_DESTROY',
  ])
  t.like(
    client.events.find(event => event['Event-Name'] === 'CHANNEL_ANSWER' && event['Other-Type'] === 'originator'),
    {
      'Caller-Callee-ID-Number': '2000',
      'Caller-Caller-ID-Number': '1001',
      'Channel-Call-UUID': A,
      variable_dialed_user: '2000',
      variable_dialed_domain: 'realm',
    },
  )
})

test('callrec_simulator_seconds is how long the caller talks, and a flow that only plays has its time, too', async t => {
  const { harness, client, send } = await parked(t, ',callrec_simulator_seconds=2')
  await client.api(`sched_del ${A}`)
  harness.clock.advance(10_000)
  await send('playback', 'silence_stream://-1', 'e')
  harness.clock.advance(1999)
  t.is(await client.api(`uuid_exists ${A}`), 'true')
  harness.clock.advance(1)
  await ended(client)
  t.is(client.events.find(event => event['Application-UUID'] === 'e')?.['Application-Response'], 'PLAYBACK ERROR')
})

test('a caller waits while somebody is rung for it, and has its five seconds with who answers', async t => {
  const { harness, client, send } = await parked(t, ',callrec_simulator_answer=8')
  await client.api(`sched_del ${A}`)
  await send('answer', '', 'a')
  await send('bridge', 'user/2000@realm', 'e')
  harness.clock.advance(8020 + 4999)
  t.is(await client.api(`uuid_exists ${A}`), 'true')
  harness.clock.advance(1)
  await ended(client)
})

test('keys are pressed at their second, on the caller’s leg', async t => {
  const { harness, client, send } = await parked(t, ',callrec_simulator_seconds=9,callrec_simulator_dtmf=1:12 3:#')
  await send('answer', '', 'a')
  harness.clock.advance(1200)
  await client.barrier()
  const digits = (): string => client.events.flatMap(event => (event['Event-Name'] === 'DTMF' ? [event['DTMF-Digit']] : [])).join('')
  t.is(digits(), '12')
  harness.clock.advance(1800)
  await client.barrier()
  t.is(digits(), '12#')
})

test('the star ends a playback, another key does not', async t => {
  const { client, execute } = await parked(t, ',callrec_simulator_seconds=60,callrec_simulator_dtmf=1:1 2:*')
  const done = await execute('playback', 'tone_stream://%(1000,0,300);loops=-1', 2000)
  t.like(done, { 'Application-Response': 'FILE PLAYED', variable_playback_ms: '2000', variable_playback_terminator_used: '*' })
  t.is(client.events.filter(event => event['Event-Name'] === 'DTMF').length, 2)
})

for (const [wish, cause, status] of [
  ['busy', 'USER_BUSY', '486'],
  ['never', 'NO_ANSWER', '480'],
  ['CALL_REJECTED', 'CALL_REJECTED', '603'],
] as const) {
  test(`a callee that is "${wish}" ends the bridge with ${cause}: the call goes on where continue_on_fail says so`, async t => {
    const { client, execute } = await parked(t, `,callrec_simulator_answer=${wish},continue_on_fail=NO_ROUTE_DESTINATION;x`)
    await client.api(`sched_del ${A}`)
    await client.api(`uuid_setvar ${A} continue_on_fail ${cause},NO_ROUTE_DESTINATION`)
    const done = await execute('bridge', '{leg_timeout=5}user/2000@realm', 5000)
    t.like(done, {
      'Answer-State': 'ringing',
      variable_originate_disposition: cause,
      variable_originate_failed_cause: cause,
      variable_last_bridge_hangup_cause: cause,
      variable_sip_invite_failure_status: status,
    })
    const gone = client.events.find(event => event['Event-Name'] === 'CHANNEL_HANGUP_COMPLETE')
    t.like(gone, { 'Hangup-Cause': cause, variable_sip_term_status: status })
    t.is(await client.api(`uuid_exists ${A}`), 'true')
    // Without it the caller's leg ends with the same cause.
    await client.api(`uuid_setvar ${A} continue_on_fail`)
    await execute('bridge', '{leg_timeout=5}user/2000@realm', 6000)
    t.is((await ended(client))['Hangup-Cause'], cause)
  })
}

test('a phone that is not registered is no leg but a CHANNEL_DESTROY, a user nobody knows not even that, and either only counts where nobody rang', async t => {
  const { client, execute } = await parked(t, ',continue_on_fail=true')
  const never = (uuid: string): string => `[origination_uuid=${uuid},callrec_simulator_answer=USER_NOT_REGISTERED]user/never@r`
  t.like(await execute('bridge', never('n1'), 0), { variable_originate_disposition: 'USER_NOT_REGISTERED', 'Answer-State': 'ringing' })
  t.deepEqual(names(client, 'n1'), ['CHANNEL_DESTROY'])
  t.like(
    client.events.find(event => event['Unique-ID'] === 'n1'),
    { 'Channel-State': 'CS_NONE', 'Channel-State-Number': '0', 'Call-Direction': 'outbound', 'Answer-State': 'ringing', variable_uuid: 'n1' },
  )
  const unknown = await execute('bridge', '[origination_uuid=u1,callrec_simulator_answer=SUBSCRIBER_ABSENT]user/nobody@r', 0)
  t.like(unknown, { variable_originate_disposition: 'SUBSCRIBER_ABSENT', variable_originate_failed_cause: 'SUBSCRIBER_ABSENT' })
  t.false('variable_last_bridge_hangup_cause' in unknown)
  t.deepEqual(names(client, 'u1'), [])
  for (const [n, order] of [
    `${never('n2')},[callrec_simulator_answer=busy]user/busy@r`,
    `[callrec_simulator_answer=busy]user/busy@r,${never('n3')}`,
  ].entries()) {
    t.is((await execute('bridge', order, 100))['variable_originate_disposition'], 'USER_BUSY')
    t.deepEqual(names(client, `n${n + 2}`), ['CHANNEL_DESTROY'])
  }
})

test('early media bridges two who have not answered; the answer comes later, and both orders are a real switch’s', async t => {
  const { harness, client, send } = await parked(t, ',callrec_simulator_seconds=3')
  await send('bridge', '[origination_uuid=b1,callrec_simulator_answer=early:2]user/bob@r', 'e')
  harness.clock.advance(1000)
  const bridge = await client.until(event => event['Event-Name'] === 'CHANNEL_BRIDGE')
  t.like(bridge, { 'Unique-ID': A, 'Answer-State': 'early', 'Other-Leg-Unique-ID': 'b1', variable_originate_disposition: 'SUCCESS' })
  const order = (): string[] =>
    client.events
      .filter(event => /CHANNEL_(PROGRESS|PROGRESS_MEDIA|BRIDGE|ANSWER)$/.test(event['Event-Name'] ?? ''))
      .map(event => `${event['Event-Name']} ${event['Unique-ID']}`)
  const early = ['CHANNEL_PROGRESS_MEDIA b1', `CHANNEL_PROGRESS_MEDIA ${A}`, `CHANNEL_BRIDGE ${A}`]
  t.deepEqual(order(), early)
  harness.clock.advance(1500)
  const answer = await client.until(event => event['Event-Name'] === 'CHANNEL_ANSWER' && event['Unique-ID'] === A)
  t.is(answer['variable_bridge_to'], 'b1')
  t.deepEqual(order(), [...early, 'CHANNEL_ANSWER b1', `CHANNEL_ANSWER ${A}`])
  // The caller talks from the answer on.
  harness.clock.advance(2900)
  await ended(client)
  t.is(Number(answer['Event-Date-Timestamp']) - Number(bridge['Event-Date-Timestamp']), 2_000_000)
})

test('early media that is to be ignored is no bridge', async t => {
  const { harness, client, send } = await parked(t)
  await send('bridge', '{ignore_early_media=true}[origination_uuid=b1,callrec_simulator_answer=early:2]user/bob@r', 'e')
  harness.clock.advance(1000)
  await client.barrier()
  t.is(await client.api(`uuid_getvar ${A} originate_disposition`), '_undef_')
  harness.clock.advance(1500)
  t.is((await client.until(event => event['Event-Name'] === 'CHANNEL_BRIDGE'))['Answer-State'], 'answered')
})

test('a callee hangs up when his caller said he would', async t => {
  const { harness, client, send } = await parked(t, ',callrec_simulator_callee_seconds=2')
  await send('bridge', '[origination_uuid=b1]user/bob@r', 'e')
  harness.clock.advance(2500)
  await client.barrier()
  t.true(names(client, A).includes('CHANNEL_BRIDGE'))
  harness.clock.advance(100)
  t.is((await ended(client, 'b1'))['Hangup-Cause'], 'NORMAL_CLEARING')
  t.is(await client.api(`uuid_exists ${A}`), 'true')
})

test('phones rung together: the first answer wins, the others lose the race', async t => {
  const { harness, client, send } = await parked(t)
  await send('bridge', '[callrec_simulator_answer=3]user/slow@r,[callrec_simulator_answer=1]user/quick@r,[callrec_simulator_answer=busy]user/busy@r', 'e')
  harness.clock.advance(1020)
  await client.until(event => event['Event-Name'] === 'CHANNEL_BRIDGE')
  const causes = Object.fromEntries(
    client.events.filter(event => event['Event-Name'] === 'CHANNEL_HANGUP').map(event => [event['Caller-Destination-Number'], event['Hangup-Cause']]),
  )
  t.deepEqual(causes, { slow: 'LOSE_RACE', busy: 'USER_BUSY' })
  t.is(client.events.find(event => event['Event-Name'] === 'CHANNEL_BRIDGE')?.['Other-Leg-Destination-Number'], 'quick')
})

test('phones rung in turn: the next is tried when nobody came, and the last cause is told', async t => {
  const { harness, client, send, execute } = await parked(t, ',continue_on_fail=true')
  await send('bridge', '[callrec_simulator_answer=busy]user/one@r|[callrec_simulator_answer=0.1]user/two@r', 'e')
  harness.clock.advance(200)
  t.is((await client.until(event => event['Event-Name'] === 'CHANNEL_BRIDGE'))['Other-Leg-Destination-Number'], 'two')
  await client.api(`uuid_kill ${client.events.find(event => event['Event-Name'] === 'CHANNEL_BRIDGE')?.['Bridge-B-Unique-ID']} CALL_REJECTED`)
  t.is((await client.until(event => event['Application-UUID'] === 'e'))['variable_bridge_hangup_cause'], 'CALL_REJECTED')
  const done = await execute('bridge', '[callrec_simulator_answer=busy]user/one@r|[callrec_simulator_answer=CALL_REJECTED]user/two@r', 100)
  t.is(done['variable_originate_disposition'], 'CALL_REJECTED')
  t.is((await execute('bridge', 'sofia/gateway/nowhere/123', 1))['variable_originate_disposition'], 'INVALID_GATEWAY')
  t.is((await execute('bridge', '', 1))['Application-Response'], '_none_')
})

test('a caller that goes while phones ring cancels them', async t => {
  const { harness, client, send } = await parked(t)
  await send('bridge', 'user/2000@r', 'e')
  harness.clock.advance(100)
  await client.api(`uuid_kill ${A} ORIGINATOR_CANCEL`)
  await ended(client)
  const b = client.events.find(event => event['Other-Type'] === 'originator' && event['Event-Name'] === 'CHANNEL_HANGUP')
  t.is(b?.['Hangup-Cause'], 'ORIGINATOR_CANCEL')
})

test('hangup_after_bridge ends the caller with the callee; without it the caller is parked still', async t => {
  const { harness, client, send } = await parked(t, ',hangup_after_bridge=true,callrec_simulator_seconds=60')
  await client.api(`sched_del ${A}`)
  await send('bridge', '{callrec_simulator_seconds=1}user/2000@r', 'e')
  harness.clock.advance(1520)
  t.is((await ended(client))['Hangup-Cause'], 'NORMAL_CLEARING')
})

test('exported variables reach the callee’s leg, set ones do not', async t => {
  const { harness, client, execute, send } = await parked(t)
  await execute('set', 'mine=1')
  await execute('export', 'ours=2')
  await execute('unset', 'callrec_node')
  await send('bridge', "{quoted='a b',escaped=c\\,d}[own=3]user/2000@r", 'e')
  harness.clock.advance(600)
  const b = await client.until(event => event['Event-Name'] === 'CHANNEL_ANSWER' && event['Other-Type'] === 'originator')
  t.like(b, { variable_ours: '2', variable_own: '3', variable_quoted: 'a b', variable_escaped: 'c,d' })
  t.false('variable_mine' in b)
})

test('an unknown application hangs the leg up; an unknown session is refused', async t => {
  const { client, send } = await parked(t)
  await send('nosuchapp', 'x', 'e')
  t.is((await ended(client))['Hangup-Cause'], 'DESTINATION_OUT_OF_ORDER')
  const reply = await client.command(`sendmsg ${A}\ncall-command: execute\nexecute-app-name: answer`)
  t.is(reply.headers.get('Reply-Text'), `-ERR invalid session id [${A}]`)
})

test('applications wait for each other while one is locked, or the leg has no media', async t => {
  const { harness, client, send } = await parked(t, ',callrec_simulator_seconds=60')
  const completed = (): string[] =>
    client.events.filter(event => event['Event-Name'] === 'CHANNEL_EXECUTE_COMPLETE').map(event => event['Application-UUID'] ?? '')
  await send('sleep', '1000', 'open', false)
  await send('set', 'a=1', 'set1')
  harness.clock.advance(1000)
  await client.until(event => event['Application-UUID'] === 'set1')
  await client.api(`uuid_answer ${A}`)
  await send('sleep', '1000', 'locked')
  await send('set', 'b=1', 'set2')
  await client.command(`sendmsg ${A}\ncall-command: hangup\nhangup-cause: 17`)
  harness.clock.advance(999)
  await client.barrier()
  t.deepEqual(completed().slice(-2), ['open', 'set1'])
  harness.clock.advance(1)
  t.is((await ended(client))['Hangup-Cause'], 'USER_BUSY')
  t.deepEqual(completed().slice(-5, -1), ['open', 'set1', 'locked', 'set2'])
})

test('inside an application without event-lock another one runs, and the outer is complete after it', async t => {
  const { harness, client, send } = await parked(t, ',callrec_simulator_seconds=60')
  await client.api(`uuid_answer ${A}`)
  await send('sleep', '1000', 'outer', false)
  await send('set', 'a=1', 'set')
  await send('playback', 'tone_stream://%(2000,0,300)', 'inner')
  harness.clock.advance(2000)
  const outer = await client.until(event => event['Application-UUID'] === 'outer' && event['Event-Name'] === 'CHANNEL_EXECUTE_COMPLETE')
  // What the inner one answered is told again.
  t.is(outer['Application-Response'], 'FILE PLAYED')
  const ids = client.events.filter(event => event['Event-Name'] === 'CHANNEL_EXECUTE_COMPLETE').map(event => event['Application-UUID'])
  t.deepEqual(ids.slice(-3), ['set', 'inner', 'outer'])
  await send('sleep', '1000', 'last', false)
  await client.command(`sendmsg ${A}\ncall-command: hangup`)
  await ended(client)
})

test('the far leg of a bridge takes applications, and so does the near one when the bridge is not locked', async t => {
  const { harness, client, send } = await parked(t, ',callrec_simulator_seconds=60')
  await send('bridge', '{origination_uuid=far}user/2000@r', 'bridge', false)
  harness.clock.advance(520)
  await client.command('sendmsg far\ncall-command: execute\nexecute-app-name: set\nexecute-app-arg: x=1\nEvent-UUID: far')
  await send('set', 'y=1', 'near')
  t.is((await client.until(event => event['Application-UUID'] === 'far'))['Channel-State'], 'CS_EXCHANGE_MEDIA')
  t.is((await client.until(event => event['Application-UUID'] === 'near'))['variable_y'], '1')
  // The caller's end has its own cause; the callee's is a normal one.
  await client.api(`uuid_kill ${A} USER_BUSY`)
  t.is((await ended(client, 'far'))['Hangup-Cause'], 'NORMAL_CLEARING')
  t.like(await ended(client), { 'Hangup-Cause': 'USER_BUSY', 'Channel-State': 'CS_REPORTING', 'Channel-State-Number': '12' })
})

test('playback pre-answers a call that is not answered, and a park that ends repeats its response', async t => {
  const { client, execute } = await parked(t)
  const missing = await execute('playback', '/nowhere/x.wav')
  t.like(missing, { 'Application-Response': 'FILE NOT FOUND', 'Answer-State': 'early', 'Channel-Call-State': 'EARLY' })
  await client.api(`uuid_kill ${A}`)
  await ended(client)
  t.is(client.events.findLast(event => event['Application'] === 'park')?.['Application-Response'], 'FILE NOT FOUND')
})

test('among several legs a timeout of their own is ALLOTTED_TIMEOUT, and the leg written first gives the cause', async t => {
  const { client, execute } = await parked(t, ',callrec_simulator_answer=never')
  await client.api(`sched_del ${A}`)
  await client.api(`uuid_setvar ${A} continue_on_fail true`)
  const causeOf = async (dialString: string, ms: number): Promise<string | undefined> =>
    (await execute('bridge', dialString, ms))['variable_originate_disposition']
  t.is(await causeOf('[leg_timeout=1]user/a@r', 1000), 'NO_ANSWER')
  t.is(await causeOf('[leg_timeout=1]user/a@r,[leg_timeout=1]user/b@r', 2000), 'ALLOTTED_TIMEOUT')
  t.is(await causeOf('{originate_timeout=1}user/a@r,user/b@r', 1000), 'NO_ANSWER')
  t.is(await causeOf('[callrec_simulator_answer=busy]user/a@r,[leg_timeout=1]user/b@r', 2000), 'USER_BUSY')
  t.is(await causeOf('[leg_timeout=1]user/a@r,[callrec_simulator_answer=busy]user/b@r', 2000), 'ALLOTTED_TIMEOUT')
  t.is(await causeOf('[callrec_simulator_answer=busy]user/a@r,error/CALL_REJECTED|error/NO_ANSWER', 100), 'NO_ANSWER')
})

test('a leg that rings later is there at once, and rings early when nobody else does any more', async t => {
  const { harness, client, send } = await parked(t, ',callrec_simulator_seconds=60')
  await send('bridge', '[callrec_simulator_answer=5]user/a@r,[leg_delay_start=1]user/b@r', 'e')
  await client.until(event => event['Event-Name'] === 'CHANNEL_CREATE' && event['Caller-Destination-Number'] === 'b')
  harness.clock.advance(1600)
  await client.barrier()
  t.false(client.events.some(event => event['Event-Name'] === 'CHANNEL_PROGRESS' && event['Caller-Destination-Number'] === 'b'))
  harness.clock.advance(600)
  t.is((await client.until(event => event['Event-Name'] === 'CHANNEL_BRIDGE'))['Other-Leg-Destination-Number'], 'b')
  await client.api(`uuid_kill ${client.events.find(event => event['Event-Name'] === 'CHANNEL_BRIDGE')?.['Bridge-B-Unique-ID']}`)
  await send('bridge', '[callrec_simulator_answer=busy]user/c@r,[leg_delay_start=30]user/d@r', 'f')
  harness.clock.advance(600)
  await client.until(event => event['Event-Name'] === 'CHANNEL_BRIDGE' && event['Other-Leg-Destination-Number'] === 'd')
})

test('uuid_break ends what runs; with all it forgets what waits, too', async t => {
  const { harness, client, send } = await parked(t, ',callrec_simulator_seconds=60')
  await send('playback', 'silence_stream://-1', 'one')
  await send('echo', '', 'two')
  await send('sleep', '1', 'three')
  t.is(await client.api(`uuid_break ${A}`), '+OK\n')
  t.is((await client.until(event => event['Application-UUID'] === 'one'))['Application-Response'], 'FILE PLAYED')
  t.is(await client.api(`uuid_break ${A} all`), '+OK\n')
  await client.until(event => event['Application-UUID'] === 'two')
  harness.clock.advance(10)
  await client.barrier()
  t.false(client.events.some(event => event['Application-UUID'] === 'three'))
  t.is(await client.api('uuid_break nosuch'), '-ERR No such channel!\n')
})

test('sendmsg hangs up, runs an argument from its body, loops, and swallows a command nobody knows', async t => {
  const { client, execute } = await parked(t)
  await client.command(`sendmsg ${A}\ncall-command: bogus`)
  // The body follows its head without another empty line.
  client.send(`sendmsg\nsession-id: ${A}\ncall-command: execute\nexecute-app-name: set\ncontent-type: text/plain\ncontent-length: 14\n\nlong=two\nlines`)
  await client.reply()
  await client.barrier()
  t.is(await client.api(`uuid_getvar ${A} long`), 'two\nlines')
  t.is((await execute('noop', ''))['Application'], 'noop')
  await client.command(`sendmsg ${A}\ncall-command: execute\nexecute-app-name: info\nloops: 3`)
  await client.barrier()
  t.is(client.events.filter(event => event['Application'] === 'info').length, 3)
  await client.command(`sendmsg ${A}\ncall-command: hangup\nhangup-cause: 17`)
  t.is((await ended(client))['Hangup-Cause'], 'USER_BUSY')
})

test('a caller name that smuggles a shell command runs it where an argument refers to it, and only there', async t => {
  const { harness, client, execute } = await parked(t, ",origination_caller_id_name='${system(touch /tmp/pwned)}'")
  const calls = (): Promise<string> => client.api('global_getvar simulator_system_calls')
  t.is(await calls(), '0')
  await client.api(`uuid_setvar ${A} evil \${system(id)}`)
  t.is(await client.api(`uuid_getvar ${A} evil`), '${system(id)}')
  await execute('set', 'harmless=plain text')
  t.is(await calls(), '0')
  await execute('set', 'name=${caller_id_name}')
  t.is(await calls(), '1')
  await execute('set', 'copy=${evil}')
  // A backslash saves nothing: `set` expands what is left once more.
  await execute('set', 'copy=\\${system(id)}')
  t.is(await calls(), '3')
  await execute('system', 'id')
  t.is(await calls(), '4')
  t.deepEqual(
    harness.warnings.filter(one => one.event === 'simulator_system_call').map(one => one.facts['command']),
    ['touch /tmp/pwned', 'id', 'id', 'id'],
  )
})

test('variables are expanded with offset and length, nested, from the profile and by api', async t => {
  const { execute } = await parked(t)
  await execute('set', 'number=12345')
  const expanded = async (text: string): Promise<string | undefined> => (await execute('set', `out=${text}`))['variable_out']
  t.is(await expanded('${number:1:2}-${number:3}-${number:-2}'), '23-45-45')
  await execute('set', 'which=number')
  t.is(await expanded('${${which}}'), '12345')
  t.is(await expanded('${destination_number}/${nothing}x'), '2000/x')
  t.is(await expanded(`\${uuid_exists(${A})} \${echo a (b)}`), 'true a (b')
  t.is(await expanded('a\\\\b'), 'a\\b')
  t.is(await expanded("it\\'s ${unclosed"), 'its ')
  t.is(await expanded('${originate(user/x@y &park())}'), undefined)
})

test('originate rings a phone, sets its variables and parks it; its failures have their names', async t => {
  const harness = await simulate(t)
  const client = await harness.client(CALL_EVENTS)
  const originate = async (args: string, ms: number): Promise<string> => {
    client.send(`api originate ${args}\n\n`)
    const other = await harness.client()
    await other.barrier()
    harness.clock.advance(ms)
    return (await client.reply()).body
  }
  const vars = `{origination_uuid=${A},origination_caller_id_name='Desk Phone',origination_caller_id_number=77,callrec_destination=2000,callrec_simulator_answer=busy}`
  t.is(await originate(`${vars}user/1001@r &park()`, 600), `+OK ${A}\n`)
  const park = await client.until(event => event['Event-Name'] === 'CHANNEL_PARK')
  t.like(park, {
    'Unique-ID': A,
    'Call-Direction': 'outbound',
    'Answer-State': 'answered',
    'Caller-Caller-ID-Name': 'Desk Phone',
    variable_callrec_destination: '2000',
  })
  // A click-to-call's phone is a caller: it is not through yet, and gives up after 30 s.
  harness.clock.advance(29_500)
  await ended(client)
  t.is(await originate('{callrec_simulator_answer=busy}user/1001@r &park()', 30), '-ERR USER_BUSY\n')
  t.is(await originate('{originate_timeout=4,callrec_simulator_answer=never}user/1001@r &park()', 4000), '-ERR NO_ANSWER\n')
  t.is(await originate('{callrec_simulator_answer=USER_NOT_REGISTERED}user/1001@r &park()', 30), '-ERR USER_NOT_REGISTERED\n')
  t.is(await originate('sofia/gateway/x/1 &park()', 1), '-ERR INVALID_GATEWAY\n')
  t.true((await originate('user/1001@r', 1)).startsWith('-USAGE'))
  t.true((await client.api('callrec_simulator_call 1001')).startsWith('-USAGE'))
  // An extension meets the static dialplan; a leg with nothing left to do is hung up.
  t.true((await originate(`{origination_uuid=${A}}user/1001@r 2000 XML default`, 600)).startsWith('+OK'))
  t.is((await client.until(event => event['Event-Name'] === 'CHANNEL_PARK' && event['Caller-Dialplan'] === 'XML'))['Caller-Destination-Number'], '2000')
  t.true((await originate(`user/last@r 'set:a=b,answer' inline`, 600)).startsWith('+OK'))
  t.is(
    (await client.until(event => event['Caller-Destination-Number'] === 'last' && event['Event-Name'] === 'CHANNEL_DESTROY'))['Hangup-Cause'],
    'NORMAL_CLEARING',
  )
})

test('a transfer ends what runs, and what is queued behind it has its turn where the leg goes on', async t => {
  const { harness, client, send } = await parked(t)
  await send('playback', 'silence_stream://-1', 'runs')
  await send('playback', 'tone_stream://%(1000,0,300)', 'queued')
  const done = (id: string): Promise<EventHeaders> =>
    client.until(event => event['Event-Name'] === 'CHANNEL_EXECUTE_COMPLETE' && event['Application-UUID'] === id)
  t.is(await client.api(`uuid_transfer ${A} 2001`), '+OK\n')
  t.like(await done('runs'), { 'Channel-State-Number': '2' })
  await client.until(event => event['Event-Name'] === 'CHANNEL_PARK' && event['Caller-Destination-Number'] === '2001')
  harness.clock.advance(1000)
  t.like(await done('queued'), { 'Application-Response': 'FILE PLAYED', 'Channel-State-Number': '4', variable_playback_ms: '1000' })
})

test('api commands say what FreeSWITCH says of what is not there', async t => {
  const { client } = await parked(t)
  const answers: Record<string, string> = {
    'uuid_kill nosuch': '-ERR No such channel!\n',
    uuid_kill: '-USAGE: <uuid> [cause]\n',
    'uuid_transfer nosuch 1': '-ERR No such channel!\n',
    uuid_transfer: '-USAGE: <uuid> [-bleg|-both] <dest-exten> [<dialplan>] [<context>]\n',
    [`uuid_bridge ${A} nosuch`]: '-ERR Invalid uuid\n',
    uuid_bridge: '-USAGE: <uuid> <other_uuid>\n',
    'uuid_dump nosuch json': '-ERR No such channel!\n',
    uuid_dump: '-USAGE: <uuid> [format]\n',
    'uuid_getvar x': '-USAGE: <uuid> <var>\n',
    uuid_break: '-USAGE: <uuid> [all]\n',
    'uuid_buglist nosuch': '-ERR no reply\n',
    uuid_buglist: '-USAGE: <uuid>\n',
    'uuid_answer nosuch': '-ERROR\n',
    uuid_setvar_multi: '-USAGE: <uuid> <var>=<value>;<var>=<value>...\n',
    [`uuid_setvar_multi ${A} =1`]: '-ERR No variable specified\n-USAGE: <uuid> <var>=<value>;<var>=<value>...\n',
    [`uuid_setvar_multi ${A} dropped=\${uuid};unset`]: '+OK\n',
    [`uuid_getvar ${A} dropped`]: '_undef_',
    'uuid_setvar_multi nosuch': '-ERR no reply\n',
    module_exists: '-ERR no reply\n',
    system: '-USAGE: <command>\n',
    'sched_hangup +5 nosuch': '-ERR No such channel!\n',
    sched_hangup: '-USAGE: [+]<time> <uuid> [<cause>]\n',
    'hash select/a/b': '-ERR no reply\n',
    'hash select/a': '-ERR Usage: hash insert|insert_ifempty|select|delete|delete_ifmatch/realm/key[/value]\n',
    'hash insert/a/b': '-ERR Usage: hash insert|insert_ifempty|select|delete|delete_ifmatch/realm/key[/value]\n',
    'hash bogus/a/b/c': '-ERR Usage: hash insert|insert_ifempty|select|delete|delete_ifmatch/realm/key[/value]\n',
    'hash delete/a/b': '-ERR Not found\n',
    'hash delete_ifmatch/a/b/c': '-ERR Not found\n',
    'hash delete_ifmatch/a/b': '-ERR Usage: hash insert|insert_ifempty|select|delete|delete_ifmatch/realm/key[/value]\n',
    'hash insert/a/b/engine one:7': '+OK\n',
    'hash insert/a/b/engine/two': '+OK\n',
    ' hash': '-ERR  Command not found!\n',
    'global_setvar =x': '-USAGE: <var>=<value> [=<value2>]\n',
    'show calls count': '\n1 total.\n',
    'show channels count': '\n1 total.\n',
    'module_exists mod_hash': 'true',
    'module_exists mod_sofia': 'false',
    toString: '-ERR toString Command not found!\n',
  }
  for (const [command, answer] of Object.entries(answers)) t.is(await client.api(command), answer, command)
  t.true((await client.api('show nothing')).startsWith('-USAGE: codec|'))
  t.is(await client.api('hash select/a/b'), 'engine/two')
  t.is(await client.api('hash delete/a/b'), '+OK\n')
  await client.api('global_setvar mine=1')
  t.true((await client.api('global_getvar')).includes('mine=1\n'))
  await client.api('global_setvar mine=')
  t.is(await client.api('global_getvar mine'), '-ERR no reply\n')
  t.is(await client.api(`sched_hangup +0 ${A} CALL_REJECTED`), '+OK\n')
  t.is((await ended(client))['Hangup-Cause'], 'CALL_REJECTED')
  t.is(await client.api('show channels'), '\n0 total.\n')
})

test('a leg is listed and dumped with what is known of it', async t => {
  const { client } = await parked(t, ',name=é')
  const { rows } = JSON.parse(await client.api('show channels as json')) as { rows: Record<string, string>[] }
  t.like(rows[0], { uuid: A, direction: 'inbound', cid_num: '1001', dest: '2000', application: 'park', callstate: 'RINGING' })
  t.true((await client.api('show channels')).startsWith('uuid,direction,'))
  const dump = JSON.parse(await client.api(`uuid_dump ${A} json`)) as EventHeaders
  t.like(dump, { 'Event-Name': 'CHANNEL_DATA', 'Unique-ID': A, variable_name: 'é' })
  t.true((await client.api(`uuid_dump ${A}`)).includes('\nvariable_name: %C3%A9\n'))
  t.is(await client.api(`uuid_getvar ${A} channel_name`), 'sofia/simulator/1001@simulator')
  t.is(await client.api(`eval x`), 'x')
})

test('a dial string is taken apart at bars and commas that stand outside of brackets and quotes', t => {
  const { variables, tries } = parseDialString("{a='x,y',b=1|2}{c=^^}[d=1,e=2]user/a@r,user/b@r|user/c@r,error/USER_BUSY")
  t.deepEqual(
    [...variables],
    [
      ['a', 'x,y'],
      ['b', '1|2'],
      ['c', '^^'],
    ],
  )
  t.deepEqual(
    tries.map(group => group.map(target => (typeof target === 'string' ? target : [target.user, target.variables.get('d'), target.variables.get('a')]))),
    [
      [
        ['a', '1', 'x,y'],
        ['b', undefined, 'x,y'],
      ],
      [['c', undefined, 'x,y'], 'USER_BUSY'],
    ],
  )
  t.deepEqual(
    parseDialString('{^^:a=1,2:b=3}user/a@r').variables,
    new Map([
      ['a', '1,2'],
      ['b', '3'],
    ]),
  )
  t.deepEqual(parseDialString('{a=1 user/a@r').tries, [['CHAN_NOT_IMPLEMENTED']])
  t.deepEqual(parseDialString('sofia/gateway/x/1,sofia/gateway/trunk/+491,sofia/x/1@h').tries, [
    ['INVALID_GATEWAY', { user: '+491', realm: 'trunk', nobody: false, variables: new Map() }, 'CHAN_NOT_IMPLEMENTED'],
  ])
})
