import { Socket } from 'node:net'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { systemClock } from '../../src/clock.ts'
import { isCode } from '../../src/errors.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { silent } from '../../src/log.ts'
import { backoff } from '../../src/switch/backoff.ts'
import { connectSwitches, whenUp } from '../../src/switch/pool.ts'
import type { SwitchOptions } from '../../src/switch/pool.ts'
import type { Message, SwitchEvent, SwitchNode, Switches } from '../../src/switch/switch.ts'
import { RUDE, eslServer, eventFrame, jobEvent } from '../helpers/esl-server.ts'
import type { EslServer, Script } from '../helpers/esl-server.ts'
import { PATIENCE, until } from '../helpers/wait.ts'

const LEG = 'cccccccc-0000-4000-8000-000000000060'
const FILE = '/rec/a.wav'
const QUICK = { leastMs: 5, mostMs: 50 }

interface Pool {
  switches: Switches
  events: SwitchEvent[]
}

function pool(t: ExecutionContext, ports: Record<string, number>, options: Partial<SwitchOptions> = {}): Pool {
  const nodes = Object.entries(ports).map(([name, port]) => ({ name, host: '127.0.0.1', port, password: 'ClueCon' }))
  const switches = connectSwitches({ nodes, clock: systemClock(), log: silent, retry: QUICK, ...options })
  t.teardown(() => switches.close())
  const events: SwitchEvent[] = []
  switches.on(event => events.push(event))
  return { switches, events }
}

interface Up extends Pool {
  server: EslServer
  node: SwitchNode
}

/** One fake switch, connected. */
async function up(t: ExecutionContext, options: Partial<SwitchOptions> = {}, script?: Script): Promise<Up> {
  const server = await eslServer(t, script ? { script } : {})
  const made = pool(t, { fs1: server.port }, options)
  await whenUp(made.switches, PATIENCE)
  return { ...made, server, node: made.switches.node('fs1') }
}

async function rejects(t: ExecutionContext, promise: Promise<unknown>, code: ErrorCode, message?: RegExp): Promise<void> {
  const error = await t.throwsAsync(promise)
  t.true(isCode(error, code), `${code} expected, got ${String(error)}`)
  if (message !== undefined) t.regex(error?.message ?? '', message)
}

const channelEvent = (name: string, more: Record<string, string> = {}): Record<string, string> => ({
  'Event-Name': name,
  'Unique-ID': LEG,
  'Answer-State': 'answered',
  ...more,
})

const isOf = (events: SwitchEvent[], name: string): SwitchEvent[] => events.filter(event => event.name === name)

test('a switch is asked for its version and modules, subscribed, and then it is up', async t => {
  const { server, node, events } = await up(t)
  t.like(node.status(), {
    name: 'fs1',
    state: 'up',
    version: 'FreeSWITCH Version 1.11.2-release~64bit ( 64bit)',
    modules: { mod_shout: true, mod_hash: false },
  })
  t.deepEqual(events, [{ name: 'node_up', node: 'fs1' }])
  const sent = server.commands.map(({ line }) => line)
  t.regex(sent.at(-1) ?? '', /^event json CHANNEL_PARK .*BACKGROUND_JOB HEARTBEAT$/)
})

test('node_up comes before the first event, though both be in one packet', async t => {
  const { events } = await up(t, {}, ({ line }, peer) => {
    if (!line.includes('CHANNEL_PARK')) return false
    peer.write(`Content-Type: command/reply\nReply-Text: +OK event listener enabled json\n\n${eventFrame(channelEvent('CHANNEL_PARK'))}`)
    return true
  })
  await until('the event', () => events.length === 2)
  t.deepEqual(
    events.map(event => event.name),
    ['node_up', 'CHANNEL_PARK'],
  )
})

test('one switch down, one with another password, one that refuses the host and one that says nothing are in nobody’s way', async t => {
  const good = await eslServer(t)
  const wrong = await eslServer(t, { password: 'other' })
  const rude = await eslServer(t, { greeting: RUDE })
  const mute = await eslServer(t, { greeting: null })
  const gone = await eslServer(t)
  await gone.stop()
  const { switches, events } = pool(
    t,
    { good: good.port, wrong: wrong.port, rude: rude.port, mute: mute.port, gone: gone.port },
    { limits: { handshakeMs: 1500 }, retry: { leastMs: 5, mostMs: 60_000 }, random: () => 0 },
  )
  await whenUp(switches, PATIENCE, 'good')
  const state = (name: string): string => switches.node(name).status().state
  await until(
    'every state',
    () => state('wrong') === 'auth_failed' && state('rude') === 'auth_failed' && mute.accepted() > 1 && switches.node('gone').status().reason !== undefined,
  )
  t.is(state('good'), 'up')
  t.is(switches.node('wrong').status().reason, 'wrong password')
  t.regex(switches.node('rude').status().reason ?? '', /ACL/)
  t.regex(switches.node('mute').status().reason ?? '', /not connected within 1500 ms/)
  t.regex(switches.node('gone').status().reason ?? '', /ECONNREFUSED/)
  // A wrong password does not get better by asking again soon.
  t.is(wrong.accepted(), 1)
  t.is(rude.accepted(), 1)
  await rejects(t, switches.node('wrong').exists(LEG), 'switch_down', /wrong password/)
  t.deepEqual(events, [{ name: 'node_up', node: 'good' }])
  await rejects(t, whenUp(switches, 20, 'wrong'), 'switch_down', /wrong \(127\.0\.0\.1:\d+\): wrong password/)
})

test('a name that no switch has is switch_down, two of a name and a port that is none are a bad configuration', t => {
  const node = { name: 'a', host: '127.0.0.1', port: 1, password: 'x' }
  const open = (...nodes: (typeof node)[]): Switches => connectSwitches({ nodes, clock: systemClock(), log: silent })
  t.true(
    isCode(
      t.throws(() => open().node('x')),
      'switch_down',
    ),
  )
  t.true(
    isCode(
      t.throws(() => open(node, node)),
      'bad_configuration',
    ),
  )
  t.true(
    isCode(
      t.throws(() => open({ ...node, port: 0 })),
      'bad_configuration',
    ),
  )
  t.true(
    isCode(
      t.throws(() => open({ ...node, password: 'a\nb' })),
      'unsafe_argument',
    ),
  )
})

test('a switch that starts late is found', async t => {
  const first = await eslServer(t)
  await first.stop()
  const { switches } = pool(t, { fs1: first.port })
  await until('a failure', () => switches.node('fs1').status().state === 'down')
  await eslServer(t, { port: first.port })
  await whenUp(switches, PATIENCE, 'fs1')
  t.is(switches.node('fs1').status().reason, undefined)
})

test('the wait between attempts doubles from 0.2 s to 30 s, spread over its whole length', t => {
  t.is(backoff(0, 0), 200)
  t.is(backoff(0, 0.999), 400)
  t.is(backoff(3, 1), 3200)
  t.is(backoff(50, 1), 30_000)
  t.is(backoff(50, 0), 200)
})

for (const [how, cut] of [
  ['reset', (server: EslServer) => server.peers[0]?.socket.resetAndDestroy()],
  ['closed', (server: EslServer) => server.peers[0]?.socket.end()],
] as const) {
  test(`when the socket is ${how}, nothing is left waiting and the switch is found again`, async t => {
    const { server, node, events } = await up(t)
    server.script(({ line }) => /uuid_|sendmsg|originate/.test(line))
    const waiting = [
      node.exists(LEG),
      node.record(LEG, FILE, { limit: 0, variables: {} }),
      node.execute(LEG, 'answer'),
      node.originate({ uuid: LEG, endpoint: 'user/a@b', variables: {}, timeoutSeconds: 60 }),
      node.setVariables(LEG, { callrec_x: 'a b', callrec_y: 'c' }),
    ]
    const outcomes = Promise.allSettled(waiting)
    await until('all sent', () => server.commands.filter(({ line }) => /uuid_|sendmsg|originate/.test(line)).length === 6)
    cut(server)
    for (const outcome of await outcomes) t.true(outcome.status === 'rejected' && isCode(outcome.reason, 'switch_down'))
    await until('both events', () => isOf(events, 'node_up').length === 2)
    t.deepEqual(
      events.map(event => event.name),
      ['node_up', 'node_down', 'node_up'],
    )
    t.is(node.status().counters?.pending, 0)
    server.script(() => false)
    t.is(await node.exists(LEG), false)
  })
}

test('the commands of one turn go to the system in one write', async t => {
  const { server, node } = await up(t)
  const proto: { _writev: NonNullable<Socket['_writev']> } = Socket.prototype as never
  const original = Object.getOwnPropertyDescriptor(proto, '_writev') ?? {}
  t.teardown(() => Object.defineProperty(proto, '_writev', original))
  const writes: string[] = []
  proto._writev = function (this: Socket, chunks, done) {
    if (this.remotePort === server.port) writes.push(chunks.map(({ chunk }) => String(chunk)).join(''))
    original.value.call(this, chunks, done)
  }
  await Promise.all(['a', 'b', 'c'].map(leg => node.exists(leg)))
  t.deepEqual(writes, ['api uuid_exists a\n\napi uuid_exists b\n\napi uuid_exists c\n\n'])
})

test('a reply that never comes is switch_timeout for its command, switch_down for those behind it, and a new connection', async t => {
  const { server, node, events } = await up(t, { limits: { commandMs: 250 } })
  server.script(({ line }) => line.startsWith('api uuid_'))
  const [first, second] = await Promise.allSettled([node.exists(LEG), node.interrupt(LEG)])
  t.true(first.status === 'rejected' && isCode(first.reason, 'switch_timeout'))
  t.true(second.status === 'rejected' && isCode(second.reason, 'switch_down'))
  await until('the next connection', () => isOf(events, 'node_up').length === 2)
})

test('a job whose result never comes is switch_timeout, and the connection stays', async t => {
  const { server, node, events } = await up(t, { limits: { jobMs: 50 } })
  server.script(({ line, headers }, peer) => {
    if (!line.startsWith('bgapi')) return false
    peer.reply(`+OK Job-UUID: ${headers['Job-UUID']}`)
    return true
  })
  await rejects(t, node.stopRecording(LEG, FILE), 'switch_timeout')
  t.is(await node.exists(LEG), false)
  t.is(isOf(events, 'node_down').length, 0)
})

test('a job that is refused, or whose result overtakes its reply, is settled', async t => {
  const { server, node } = await up(t)
  server.script(({ line }, peer) => {
    if (line.startsWith('bgapi')) peer.reply('-ERR permission denied')
    return line.startsWith('bgapi')
  })
  await rejects(t, node.stopRecording(LEG, FILE), 'switch_refused', /permission denied/)
  server.script(({ line, headers }, peer) => {
    if (!line.startsWith('bgapi')) return false
    peer.event(jobEvent(headers['Job-UUID'] ?? '', '+OK Success\n'))
    peer.reply('+OK')
    return true
  })
  await node.stopRecording(LEG, FILE)
  t.is(await node.exists(LEG), false)
})

test('replies belong to commands in the order these were sent, whatever kind they are', async t => {
  const { server, node } = await up(t)
  server.script(({ line }, peer) => {
    const leg = line.split(' ')[2] ?? ''
    if (line.startsWith('api uuid_exists even')) peer.answer('true')
    // As FreeSWITCH answers an api that is none.
    else if (line.startsWith('api uuid_exists odd')) peer.reply('-ERR command not found')
    else return false
    t.truthy(leg)
    return true
  })
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => node.exists(n % 2 === 0 ? `even${n}` : `odd${n}`)))
  t.true(answers.every((answer, n) => answer === (n % 2 === 0)))
})

for (const [what, bytes, reason] of [
  ['a frame of 50 MB', 'Content-Type: api/response\nContent-Length: 52428800\n\n', /52428800 bytes/],
  ['nonsense', '\u0001\u0002\u0003 nonsense\n\n', /not an event socket/],
  ['a reply to nothing', 'Content-Type: command/reply\nReply-Text: +OK\n\n', /nothing asked for/],
  ['a goodbye', 'Content-Type: text/disconnect-notice\nContent-Length: 3\n\nbye', /ended the connection/],
] as const) {
  test(`${what} ends the connection with a reason, and the next one works`, async t => {
    const { server, node, events } = await up(t)
    const [peer] = server.peers
    peer?.write(bytes)
    if (what === 'a goodbye') peer?.socket.end()
    const down = await until('the end', () => isOf(events, 'node_down')[0])
    t.regex('reason' in down ? down.reason : '', reason)
    await until('the next connection', () => isOf(events, 'node_up').length === 2)
    t.is(await node.exists(LEG), false)
  })
}

test('half a frame and then the end is only a lost connection', async t => {
  const { server, events } = await up(t)
  server.peers[0]?.write('Content-Length: 1000\nContent-Type: text/event-json\n\n{"Event-Na')
  server.peers[0]?.socket.end()
  await until('the next connection', () => isOf(events, 'node_up').length === 2)
  t.pass()
})

test('a burst of 20 000 events is told in order, one of 20 000 frames without body does no harm', async t => {
  const { server, events, node } = await up(t)
  const [peer] = server.peers
  peer?.write('Content-Type: log/data\n\n'.repeat(20_000))
  peer?.write(Array.from({ length: 20_000 }, (_, n) => eventFrame(channelEvent('CHANNEL_PARK', { 'Event-Date-Timestamp': String((n + 1) * 1000) }))).join(''))
  await until('all events', () => events.length === 20_001)
  t.true(events.slice(1).every((event, n) => 'at' in event && event.at === n + 1))
  t.is(await node.exists(LEG), false)
  t.is(node.status().counters?.dropped, 20_000)
})

test('an event without Unique-ID, one that is no JSON and broken percent signs are counted and passed over', async t => {
  const { server, node, events } = await up(t)
  const [peer] = server.peers
  peer?.event({ 'Event-Name': 'CHANNEL_PARK' })
  peer?.event({ 'Event-Name': 'CHANNEL_EXECUTE_COMPLETE' })
  peer?.event({ 'Event-Name': 'HEARTBEAT' })
  peer?.event({ 'Event-Name': 'BACKGROUND_JOB', 'Job-UUID': 'somebody else’s' })
  peer?.write('Content-Length: 5\nContent-Type: text/event-json\n\n{"a":')
  peer?.event(channelEvent('CHANNEL_PARK', { variable_callrec_x: '%zz%41 ☎' }))
  server.script(({ line }, to) => {
    if (line.startsWith('sendmsg')) to.reply('-ERR 50% off, 100%')
    return line.startsWith('sendmsg')
  })
  await rejects(t, node.execute(LEG, 'answer'), 'switch_refused', /-ERR 50% off, 100%/)
  t.deepEqual(
    events.map(event => event.name),
    ['node_up', 'CHANNEL_PARK'],
  )
  t.like(events[1], { leg: { variables: { callrec_x: '%zz%41 ☎' } } })
  t.is(node.status().counters?.dropped, 2)
})

test('a listener that throws is logged, and the others hear all the same', async t => {
  const server = await eslServer(t)
  const logged: string[] = []
  const { switches, events } = pool(t, { fs1: server.port }, { log: { ...silent, error: event => logged.push(event) } })
  const off = switches.on(() => {
    throw new Error('listener')
  })
  const later: string[] = []
  switches.on(event => later.push(event.name))
  await whenUp(switches, PATIENCE)
  server.peers[0]?.event(channelEvent('CHANNEL_PARK'))
  await until('the event', () => later.length === 2)
  t.deepEqual(logged, ['switch_listener_failed', 'switch_listener_failed'])
  off()
  server.peers[0]?.event(channelEvent('CHANNEL_ANSWER'))
  await until('the event', () => events.length === 3)
  t.is(logged.length, 2)
})

/** Answers every sendmsg with +OK and gives the id under which it runs. */
function executing(server: EslServer): { id: () => Promise<string> } {
  const ids: string[] = []
  server.script(({ line, headers }, peer) => {
    if (line.startsWith('api uuid_')) peer.answer('+OK\n')
    if (line.startsWith('sendmsg')) {
      ids.push(headers['Event-UUID'] ?? '')
      peer.reply('+OK')
    }
    return line.startsWith('sendmsg') || line.startsWith('api uuid_')
  })
  return { id: () => until('an execute', () => ids.shift()) }
}

test('an execute resolves when its own application ended, with what that answered', async t => {
  const { server, node } = await up(t)
  const run = executing(server)
  const result = node.execute(LEG, 'playback', 'tone_stream://%(300,0,300)')
  const id = await run.id()
  server.peers[0]?.event(channelEvent('CHANNEL_EXECUTE_COMPLETE', { 'Application-UUID': 'another' }))
  server.peers[0]?.event(channelEvent('CHANNEL_EXECUTE_COMPLETE', { 'Application-UUID': id, 'Application-Response': 'FILE PLAYED', variable_callrec_x: '1' }))
  t.like(await result, { response: 'FILE PLAYED', leg: { uuid: LEG, variables: { callrec_x: '1' } } })
})

test('an execute on a leg that hangs up below it, before it or was never there is leg_gone', async t => {
  const { server, node } = await up(t)
  const run = executing(server)
  const peer = server.peers[0]
  const below = node.execute(LEG, 'playback', '/a.wav')
  peer?.event(channelEvent('CHANNEL_EXECUTE_COMPLETE', { 'Application-UUID': await run.id(), 'Answer-State': 'hangup', 'Hangup-Cause': 'ORIGINATOR_CANCEL' }))
  await rejects(t, below, 'leg_gone', /ORIGINATOR_CANCEL\) during playback/)
  for (const name of ['CHANNEL_HANGUP_COMPLETE', 'CHANNEL_DESTROY']) {
    const two = [node.execute(LEG, 'sleep', '100'), node.execute(LEG, 'answer')]
    const other = node.execute('other', 'answer')
    await run.id()
    await run.id()
    const otherId = await run.id()
    peer?.event(channelEvent(name, { 'Hangup-Cause': 'NORMAL_CLEARING' }))
    for (const one of two) await rejects(t, one, 'leg_gone')
    peer?.event({ ...channelEvent('CHANNEL_EXECUTE_COMPLETE', { 'Application-UUID': otherId }), 'Unique-ID': 'other' })
    t.is((await other).leg.uuid, 'other')
  }
  const hangup = node.execute(LEG, 'hangup', 'USER_BUSY')
  peer?.event(channelEvent('CHANNEL_EXECUTE_COMPLETE', { 'Application-UUID': await run.id(), 'Answer-State': 'hangup', 'Application-Response': '_none_' }))
  t.is((await hangup).response, '_none_')
  server.script(({ line }, to) => {
    if (line.startsWith('sendmsg')) to.reply('-ERR invalid session id [x]')
    return line.startsWith('sendmsg')
  })
  await rejects(t, node.execute(LEG, 'answer'), 'leg_gone')
})

/** A message under way: how it is told of, and its end. */
async function recordingMessage(t: ExecutionContext, options: Parameters<SwitchNode['recordMessage']>[2]) {
  const { server, node } = await up(t)
  const run = executing(server)
  const ended = node.recordMessage(LEG, FILE, options)
  const id = await run.id()
  const tell = (name: string, more: Record<string, string> = {}): void =>
    server.peers[0]?.event(channelEvent(name, { 'Application-UUID': id, 'Record-File-Path': FILE, ...more }))
  return { server, node, ended, tell }
}

test('a message is asked for with its keys, its silence and a limit that stands behind our own; afterwards the keys are taken away', async t => {
  const { server, ended, tell } = await recordingMessage(t, { limit: 60.5, silence: { threshold: 200, seconds: 3 }, terminators: '12#' })
  tell('RECORD_START')
  tell('RECORD_STOP', { variable_playback_terminator_used: '#', variable_record_ms: '1234' })
  tell('CHANNEL_EXECUTE_COMPLETE')
  t.deepEqual(await ended, { ended: 'key', key: '#', durationMs: 1234 })
  const lines = server.commands.map(({ line, headers }) => headers['execute-app-arg'] ?? line).filter(line => line.includes(FILE) || line.includes('setvar'))
  t.deepEqual(lines, [`api uuid_setvar ${LEG} playback_terminators 12#`, `${FILE} 62 200 3`, `api uuid_setvar ${LEG} playback_terminators`])
})

for (const [what, { stop, complete, options, ended }] of Object.entries({
  'silence where that was exhausted': { stop: { variable_silence_hits_exhausted: 'true' }, ended: 'silence' },
  'the hangup where the leg is gone': { stop: { 'Answer-State': 'hangup' }, complete: { 'Answer-State': 'hangup' }, ended: 'hangup' },
  'the key that ended it though the caller hung up then': {
    stop: { variable_playback_terminator_used: '1' },
    complete: { 'Answer-State': 'hangup' },
    ended: 'key',
  },
  'the switch’s own limit, however late we hear of it': { stop: { variable_record_ms: '61000' }, options: { limit: 60 }, ended: 'limit' },
  'somebody else’s uuid_break where nothing else did': { stop: { variable_record_ms: '1000' }, options: { limit: 60 }, ended: 'interrupted' },
}) as [string, { stop: Record<string, string>; complete?: Record<string, string>; options?: object; ended: Message['ended'] }][]) {
  test(`what ended a message is ${what}`, async t => {
    const message = await recordingMessage(t, { limit: 0, terminators: '', ...options })
    message.tell('RECORD_START')
    message.tell('RECORD_STOP', { variable_record_ms: '1000', ...stop })
    message.tell('CHANNEL_EXECUTE_COMPLETE', { ...stop, ...complete })
    t.is((await message.ended).ended, ended)
  })
}

test('a message of which nothing was written is refused, one that could not begin is leg_gone', async t => {
  const nothing = await recordingMessage(t, { limit: 0, terminators: '' })
  // Another recording of the leg is none of its business.
  nothing.tell('RECORD_STOP', { 'Record-File-Path': '/rec/other.wav' })
  nothing.tell('CHANNEL_EXECUTE_COMPLETE')
  await rejects(t, nothing.ended, 'switch_refused', /nothing was recorded to \/rec\/a\.wav/)
  const gone = await recordingMessage(t, { limit: 0, terminators: '' })
  gone.tell('CHANNEL_EXECUTE_COMPLETE', { 'Answer-State': 'hangup', 'Hangup-Cause': 'DESTINATION_OUT_OF_ORDER' })
  await rejects(t, gone.ended, 'leg_gone', /DESTINATION_OUT_OF_ORDER/)
})

test('a message ends with the connection, and one that is aborted before it began is not asked for', async t => {
  const { server, node, ended } = await recordingMessage(t, { limit: 0, terminators: '' })
  const sent = server.commands.length
  await t.throwsAsync(node.recordMessage(LEG, FILE, { limit: 0, terminators: '', signal: AbortSignal.abort() }), { any: true, name: 'AbortError' })
  for (const [limit, terminators] of [
    [-1, '#'],
    [Number.NaN, '#'],
    [0, 'a'],
  ] as const)
    await rejects(t, node.recordMessage(LEG, '/rec/b.wav', { limit, terminators }), 'unsafe_argument')
  t.is(server.commands.length, sent)
  server.peers[0]?.socket.destroy()
  await rejects(t, ended, 'switch_down')
})

test('an execute that takes too long is switch_timeout; one that is aborted is broken off', async t => {
  const { server, node } = await up(t, { limits: { commandMs: 3000 } })
  const run = executing(server)
  await rejects(t, node.execute(LEG, 'sleep', '100', { timeoutMs: 20 }), 'switch_timeout', /sleep on leg .* did not end within 20 ms/)
  await run.id()

  const abort = new AbortController()
  const broken = node.execute(LEG, 'playback', '/a.wav', { signal: abort.signal })
  const id = await run.id()
  abort.abort()
  await until('uuid_break', () => server.commands.at(-1)?.line === `api uuid_break ${LEG}`)
  server.peers[0]?.event(channelEvent('CHANNEL_EXECUTE_COMPLETE', { 'Application-UUID': id, 'Application-Response': 'FILE PLAYED' }))
  t.is((await broken).response, 'FILE PLAYED')

  const sent = server.commands.length
  await t.throwsAsync(node.execute(LEG, 'answer', '', { signal: abort.signal }), { any: true, name: 'AbortError' })
  t.is(server.commands.length, sent)
})

test('a leg that is gone, a refusal and an answer are told apart for every verb', async t => {
  const { server, node } = await up(t)
  const say = (api: RegExp, body: string): void =>
    server.script(({ line, headers }, peer) => {
      if (!api.test(line)) return false
      if (line.startsWith('api')) peer.answer(body)
      else {
        peer.reply('+OK')
        peer.event(jobEvent(headers['Job-UUID'] ?? '', body))
      }
      return true
    })
  say(/uuid_kill|uuid_setvar|uuid_break/, '-ERR No such channel!\n')
  await rejects(t, node.hangup(LEG, 'USER_BUSY'), 'leg_gone')
  await rejects(t, node.setVariables(LEG, { callrec_x: 'a' }), 'leg_gone')
  await rejects(t, node.interrupt(LEG), 'leg_gone')
  say(/uuid_record/, '-ERR Cannot locate session!\n')
  await rejects(t, node.record(LEG, FILE, { limit: 0, variables: {} }), 'leg_gone')
  await rejects(t, node.mask(LEG, FILE), 'leg_gone')
  say(/uuid_record/, '-ERR Cannot record session!\n')
  await rejects(t, node.record(LEG, FILE, { limit: 0, variables: {} }), 'switch_refused')
  await rejects(t, node.pause(LEG, FILE), 'switch_refused')
  say(/uuid_record/, '+OK Success\n')
  for (const verb of ['stopRecording', 'mask', 'unmask', 'pause', 'resume'] as const) await t.notThrowsAsync(node[verb](LEG, FILE))
  say(/sched_del/, '+OK Deleted: 1\n')
  await t.notThrowsAsync(node.cancelScheduledHangup(LEG))
  say(/xml_flush_cache/, '+OK cleared 1 entry\n')
  await t.notThrowsAsync(node.forgetPhones({ name: 'alice', realm: 'acme.example' }))
  say(/uuid_buglist/, '-ERR no reply\n')
  await rejects(t, node.recordings(LEG), 'leg_gone')
  say(
    /uuid_buglist/,
    '<media-bugs>\n <media-bug>\n  <function>session_record</function>\n  <target>/rec/a.wav</target>\n  <thread-locked>0</thread-locked>\n </media-bug>\n <media-bug>\n  <function>eavesdrop</function>\n  <target>x</target>\n </media-bug>\n</media-bugs>\n',
  )
  t.deepEqual(await node.recordings(LEG), ['/rec/a.wav'])
  say(/uuid_dump/, '-ERR No such channel!\n')
  t.is(await node.leg(LEG), undefined)
  say(/uuid_dump/, '-ERR permission denied\n')
  await rejects(t, node.leg(LEG), 'switch_refused')
  say(/originate/, '-ERR USER_BUSY\n')
  const busy = await t.throwsAsync(node.originate({ uuid: LEG, endpoint: 'user/a@b', variables: {}, timeoutSeconds: 5 }))
  t.true(isCode(busy, 'switch_refused') && busy.data['cause'] === 'USER_BUSY')
  say(/originate/, `+OK ${LEG}\n`)
  await t.notThrowsAsync(node.originate({ uuid: LEG, endpoint: 'user/a@b', variables: {}, timeoutSeconds: 5 }))
})

test('an unsafe argument rejects, whatever the verb, and nothing is sent', async t => {
  const { server, node } = await up(t)
  const sent = server.commands.length
  const evil = 'x\n\napi shutdown'
  for (const refused of [
    () => node.exists(evil),
    () => node.leg(evil),
    () => node.execute(LEG, 'playback', evil),
    () => node.interrupt(evil),
    () => node.setVariables(LEG, { callrec_good: '1', callrec_x: evil }),
    () => node.record(LEG, evil, { limit: 0, variables: {} }),
    () => node.stopRecording(LEG, evil),
    () => node.mask(LEG, evil),
    () => node.recordings(evil),
    () => node.originate({ uuid: LEG, endpoint: evil, variables: {}, timeoutSeconds: 5 }),
    () => node.hangup(LEG, evil),
    () => node.cancelScheduledHangup(evil),
    () => node.forgetPhones({ name: evil, realm: 'acme.example' }),
  ]) {
    await rejects(t, refused(), 'unsafe_argument')
  }
  t.is(server.commands.length, sent)
})

test('the legs are those of the list and those events told of, as uuid_dump has them now', async t => {
  const { server, node } = await up(t)
  server.peers[0]?.event({ ...channelEvent('CHANNEL_PARK'), 'Unique-ID': 'young' })
  server.peers[0]?.event({ ...channelEvent('CHANNEL_PARK'), 'Unique-ID': 'ended' })
  server.peers[0]?.event({ ...channelEvent('CHANNEL_HANGUP_COMPLETE'), 'Unique-ID': 'ended' })
  server.script(({ line, headers }, peer) => {
    if (line === 'bgapi show channels as json') {
      peer.reply('+OK')
      peer.event(jobEvent(headers['Job-UUID'] ?? '', '{"row_count":2,"rows":[{"uuid":"listed"},{"uuid":"stale"}]}'))
    } else if (line.startsWith('api uuid_dump stale')) peer.answer('-ERR No such channel!\n')
    else if (line.startsWith('api uuid_dump')) peer.answer(JSON.stringify({ 'Event-Name': 'CHANNEL_DATA', 'Unique-ID': line.split(' ')[2] }))
    else return false
    return true
  })
  await node.exists(LEG)
  const legs = await node.legs()
  t.deepEqual(
    legs.map(leg => leg.uuid),
    ['listed', 'young'],
  )
})

test('after a silence the switch is asked for a sign of life, and dropped when it gives none', async t => {
  const { server, events } = await up(t, { limits: { idleMs: 40, commandMs: 2000 } })
  const probes = (): number => server.commands.filter(({ line }) => line === 'api version').length
  await until('two signs of life', () => probes() >= 3)
  t.is(isOf(events, 'node_down').length, 0)
  server.script(({ line }) => line === 'api version')
  const down = await until('the end', () => isOf(events, 'node_down')[0])
  t.regex('reason' in down ? down.reason : '', /no answer within 2000 ms/)
})

test('commands beyond the cap are refused at once, and so are jobs', async t => {
  const { server, node } = await up(t, { limits: { pending: 10 } })
  server.script(({ line }) => line.includes('uuid_'))
  const waiting = Array.from({ length: 10 }, () => node.exists(LEG))
  await rejects(t, node.exists(LEG), 'switch_down', /10 commands wait/)
  void Promise.allSettled(waiting)
  t.is(node.status().counters?.pending, 10)

  const other = await up(t, { limits: { pending: 10 } }, ({ line, headers }, peer) => {
    if (line.startsWith('bgapi')) peer.reply(`+OK Job-UUID: ${headers['Job-UUID']}`)
    return line.startsWith('bgapi')
  })
  void Promise.allSettled(Array.from({ length: 10 }, () => other.node.stopRecording(LEG, FILE)))
  await rejects(t, other.node.stopRecording(LEG, FILE), 'switch_down', /10 jobs wait/)
})

test('an application that does not stop when told to is switch_timeout, after it was told several times', async t => {
  const { server, node } = await up(t, { wall: systemClock(20), limits: { commandMs: 60_000, handshakeMs: 60_000 } })
  const run = executing(server)
  const abort = new AbortController()
  const running = node.execute(LEG, 'bridge', 'user/a@b', { signal: abort.signal })
  await run.id()
  abort.abort()
  await rejects(t, running, 'switch_timeout', /bridge on leg .* did not stop when told to/)
  t.true(server.commands.filter(({ line }) => line === `api uuid_break ${LEG}`).length > 5)
})

test('a switch that does not read is dropped before what we write fills the memory', async t => {
  const { server, node, events } = await up(t, { limits: { unreadBytes: 200_000 } })
  server.peers[0]?.socket.pause()
  const value = ` ${'x'.repeat(60_000)}`
  const sent = Array.from({ length: 200 }, () => node.setVariables(LEG, { callrec_x: value }))
  t.true((await Promise.allSettled(sent)).every(({ status }) => status === 'rejected'))
  const down = await until('the end', () => isOf(events, 'node_down')[0])
  t.regex('reason' in down ? down.reason : '', /does not read/)
})

test('a switch that refuses the subscription is not up', async t => {
  const server = await eslServer(t, {
    script: ({ line }, peer) => {
      if (line.includes('CHANNEL_PARK')) peer.reply('-ERR permission denied')
      return line.includes('CHANNEL_PARK')
    },
  })
  const { switches } = pool(t, { fs1: server.port })
  const reason = await until('a reason', () => switches.node('fs1').status().reason)
  t.regex(reason, /refused the subscription: -ERR permission denied/)
})

test('closing settles what waits, cuts the sockets and asks for nothing more', async t => {
  const { server, node, switches } = await up(t)
  server.script(({ line }) => line.includes('uuid_'))
  const waiting = node.exists(LEG)
  const [outcome] = await Promise.all([t.throwsAsync(waiting), switches.close()])
  t.true(isCode(outcome, 'switch_down'))
  await rejects(t, node.exists(LEG), 'switch_down')
  await until('no connection', () => server.peers.length === 0)
  t.is(server.accepted(), 1)
})
