// The event socket at its edges: bytes that arrive in any pieces, what may not be asked, who gets which event and when,
// the life of the process, and many calls at once.

import { randomUUID } from 'node:crypto'
import test from 'ava'

import { silent } from '../../src/log.ts'
import { createEvent, urlDecode, urlEncode } from '../../src/simulator/event.ts'
import { createExchange } from '../../src/simulator/exchange.ts'
import { createSipLegs } from '../../src/simulator/sip-leg.ts'
import { createCommandReader } from '../../src/simulator/framing.ts'
import { createTimeline } from '../../src/simulator/timeline.ts'
import { readWav, tone } from '../helpers/audio.ts'
import { until } from '../helpers/wait.ts'
import { manualClock, simulate } from './harness.ts'

test('a stream of commands reads the same whatever pieces it comes in', t => {
  const stream = Buffer.from(
    '\n\r\napi echo é☎\n\nsendmsg x\r\nCall-Command:  execute\r\ncontent-length: 4\r\n\r\né\n\nbgapi a\nJob-UUID: 1:2\nnocolon\n\n\n\nexit\n\n',
  )
  const whole = createCommandReader()(stream)
  t.deepEqual(
    whole.map(command => [command.line, [...command.headers], command.body]),
    [
      ['api echo é☎', [], ''],
      [
        'sendmsg x',
        [
          ['call-command', 'execute'],
          ['content-length', '4'],
        ],
        'é\n\n',
      ],
      ['bgapi a', [['job-uuid', '1:2']], ''],
      ['exit', [], ''],
    ],
  )
  for (let size = 1; size < stream.length; size++) {
    const read = createCommandReader()
    const parts = []
    for (let at = 0; at < stream.length; at += size) parts.push(...read(stream.subarray(at, at + size)))
    t.deepEqual(parts, whole, `pieces of ${size}`)
  }
})

test('a command that does not end, or promises too much, is cut off with its connection', async t => {
  const harness = await simulate(t)
  const endless = await harness.client()
  endless.send(`api echo ${'x'.repeat(10 * 1024 * 1024)}`)
  await endless.closed
  const liar = await harness.client()
  liar.send('sendmsg x\ncontent-length: 99999999\n\n')
  await liar.closed
  t.deepEqual(
    harness.warnings.map(one => one.event),
    ['simulator_client_dropped', 'simulator_client_dropped'],
  )
  await (await harness.client()).barrier()
})

test('before auth only auth and exit are known', async t => {
  const harness = await simulate(t)
  const client = await harness.raw()
  await client.reply()
  for (const command of ['event json ALL', 'sendmsg x', 'userauth a@b:c', 'AUTH']) {
    const text = (await client.command(command)).headers.get('Reply-Text')
    t.is(text, command === 'AUTH' ? '-ERR invalid' : '-ERR command not found', command)
  }
  await client.closed
  const leaver = await harness.raw()
  await leaver.reply()
  t.is((await leaver.command('exit')).headers.get('Reply-Text'), '+OK bye')
  await leaver.closed
  t.true(leaver.received().endsWith('Content-Length: 67\n\nDisconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n'))
})

test('commands sent in one go are answered in order, and one that takes long holds the next and all events back', async t => {
  const harness = await simulate(t)
  const client = await harness.client('CHANNEL_CREATE CHANNEL_ANSWER')
  const other = await harness.client('CHANNEL_CREATE')
  client.send('api echo 1\n\napi originate user/a@r &park()\n\napi echo 2\n\n')
  await other.until(event => event['Event-Name'] === 'CHANNEL_CREATE')
  t.is((await client.reply()).body, '1')
  t.deepEqual(client.events, [])
  harness.clock.advance(600)
  t.true((await client.reply()).body.startsWith('+OK '))
  t.is((await client.reply()).body, '2')
  await client.barrier()
  const order = client.frames.map(frame => frame.headers.get('Content-Type')).slice(-5)
  t.deepEqual(order, ['api/response', 'text/event-json', 'text/event-json', 'api/response', 'api/response'])
})

test('bgapi answers at once with the job’s own id and its event has the body', async t => {
  const harness = await simulate(t)
  const client = await harness.client('BACKGROUND_JOB')
  const reply = await client.command('bgapi originate {callrec_simulator_answer=busy}user/a@r &park()\nJob-UUID: mine')
  t.is(reply.head, 'Content-Type: command/reply\nReply-Text: +OK Job-UUID: mine\nJob-UUID: mine\n\n')
  await client.barrier()
  harness.clock.advance(30)
  t.like(await client.until(() => true), { 'Job-UUID': 'mine', 'Job-Command': 'originate', _body: '-ERR USER_BUSY\n', 'Content-Length': '15' })
  t.is((await client.command('bgapi ')).headers.get('Reply-Text'), '-ERR command not found')
})

test('each client gets the events it asked for in its own format, filtered by its own filters', async t => {
  const harness = await simulate(t)
  const json = await harness.client('CHANNEL_CREATE CHANNEL_PARK')
  const plain = await harness.client()
  t.is((await plain.command('event all')).headers.get('Reply-Text'), '+OK event listener enabled plain')
  const text = async (command: string): Promise<string | undefined> => (await plain.command(command)).headers.get('Reply-Text')
  t.is(await text('filter'), '-ERR command not found')
  t.is(await text('filter Event-Name'), '-ERR invalid syntax')
  t.is(await text('filter add Caller-Caller-ID-Number 1001'), '+OK filter added. [Caller-Caller-ID-Number]=[1001]')
  t.is(await text('filter Event-Name -CHANNEL_EXECUTE'), '+OK filter added. [Event-Name]=[-CHANNEL_EXECUTE]')
  t.is(await text('nixevent CHANNEL_EXECUTE_COMPLETE API'), '+OK events nixed')
  t.is(await text('nixevent NOSUCH'), '-ERR no keywords supplied')
  t.is(await text('linger'), '-ERR not controlling a session')
  t.is(await text('myevents'), '-ERR command not found')
  for (const from of ['1001', '1002']) await json.api(`callrec_simulator_call {x='a;b %41'}${from} 2000`)
  harness.clock.advance(1)
  await json.barrier()
  await plain.barrier()
  t.deepEqual(
    ['1001', '1002'].map(from => json.events.filter(event => event['Caller-Caller-ID-Number'] === from).map(event => event['Event-Name'])),
    [
      ['CHANNEL_CREATE', 'CHANNEL_PARK'],
      ['CHANNEL_CREATE', 'CHANNEL_PARK'],
    ],
  )
  t.deepEqual(
    plain.events.map(event => [event['Event-Name'], event['Caller-Caller-ID-Number']]),
    [
      ['CHANNEL_CREATE', '1001'],
      ['CHANNEL_PARK', '1001'],
    ],
  )
  // json is exact; in plain a %41 of the value itself cannot be told from an encoded A.
  t.is(json.events[0]?.['variable_x'], 'a;b %41')
  t.is(plain.events[0]?.['variable_x'], 'a;b A')
  t.is(await text('filter delete Event-Name -CHANNEL_EXECUTE'), '+OK filter deleted. [Event-Name][-CHANNEL_EXECUTE]')
  t.is(await text('noevents'), '+OK no longer listening for events')
  await json.api('callrec_simulator_call 1001 2000')
  await plain.barrier()
  t.is(plain.events.length, 2)
  const mine = await harness.client()
  const uuid = json.events[0]?.['Unique-ID'] ?? ''
  t.is((await mine.command(`myevents ${uuid} json`)).headers.get('Reply-Text'), '+OK Events Enabled')
  await json.api(`uuid_kill ${uuid}`)
  await mine.until(event => event['Event-Name'] === 'CHANNEL_DESTROY')
  t.deepEqual([...new Set(mine.events.map(event => event['Unique-ID']))], [uuid])
})

test('several values of a variable are an array in json and ARRAY:: in plain', t => {
  const event = createEvent(
    'X',
    [
      ['a', ['1', '2']],
      ['b', 'x'],
    ],
    'é',
  )
  t.true(event.frame('json').toString().endsWith('{"a":["1","2"],"b":"x","Content-Length":"2","_body":"é"}'))
  t.true(event.frame('plain').toString().endsWith('a: ARRAY%3A%3A1%7C%3A2\nb: x\nContent-Length: 2\n\né'))
  t.deepEqual([event.header('A'), event.header('B'), event.header('c')], ['ARRAY::1|:2', 'x', undefined])
  t.is(urlEncode('a b%41%zz/é\n'), 'a%20b%41%25zz/%C3%A9%0A')
  t.is(urlDecode('a%20b%C3%A9%zz'), 'a bé%zz')
})

test('a heartbeat comes every 20 s', async t => {
  const harness = await simulate(t)
  const client = await harness.client('HEARTBEAT')
  harness.clock.advance(40_000)
  await client.barrier()
  t.is(client.events.length, 2)
  t.like(client.events[1], { 'Event-Info': 'System Ready', 'Session-Count': '0', 'Uptime-msec': '40000' })
})

test('it is idle when no client has been there for a minute, and not before', async t => {
  const harness = await simulate(t, { idleExitMs: 60_000 })
  const seen = { idle: false }
  void harness.idle.then(() => {
    seen.idle = true
  })
  harness.clock.advance(50_000)
  const client = await harness.client()
  harness.clock.advance(600_000)
  await client.barrier()
  t.false(seen.idle)
  client.socket.destroy()
  const other = await harness.raw()
  await other.reply()
  // Only an authenticated client counts; the goodbye of the first has to be noticed, too.
  await client.closed
  while (!seen.idle) {
    harness.clock.advance(60_000)
    await new Promise(setImmediate)
  }
  await harness.idle
  t.pass()
})

test('an event carries the time it was due at by the wall, however late it is sent', t => {
  // Ten times the speed, and nothing is looked at before a second of the wall is over.
  let elapsed = 0
  const exchange = createExchange({
    clock: { now: () => 5_000_000, elapsed: () => elapsed, after: () => () => {} },
    speed: 10,
    log: silent,
    recordingDir: '/tmp',
    sip: createSipLegs,
    applications: {},
    api: () => undefined,
  })
  const times: number[] = []
  for (const due of [0, 2500]) exchange.timeline.after(due, () => times.push(exchange.micros()))
  elapsed = 10_000
  exchange.timeline.catchUp()
  t.deepEqual(times, [4_999_000_000, 4_999_250_000])
  t.is(exchange.micros(), 5_000_000_000)
})

test('a command is carried out at one moment of the call, after all that was due before it, however long it takes', t => {
  let elapsed = 0
  const timeline = createTimeline({ now: () => 0, elapsed: () => elapsed, after: () => () => {} })
  const seen: [string, number][] = []
  timeline.after(40, () => seen.push(['due', timeline.now()]))
  elapsed = 100
  const answer = timeline.atOnce(() => {
    elapsed = 250
    timeline.atOnce(() => seen.push(['within', timeline.now()]))
    timeline.after(50, () => seen.push(['later', timeline.now()]))
    return timeline.now()
  })
  t.is(answer, 100)
  timeline.catchUp()
  t.throws(
    () =>
      timeline.atOnce(() => {
        throw new Error('broken')
      }),
    { message: 'broken' },
  )
  elapsed = 300
  t.is(timeline.now(), 300)
  t.deepEqual(seen, [
    ['due', 40],
    ['within', 100],
    ['later', 150],
  ])
})

test('a port in use is an error, not silence', async t => {
  const harness = await simulate(t)
  await t.throwsAsync(simulate(t, { port: harness.port }), { code: 'EADDRINUSE' })
})

test('call time is exact: tasks run in order at the time they were due, however late they are looked at', t => {
  const clock = manualClock(0)
  const timeline = createTimeline(clock)
  const seen: [string, number][] = []
  const note = (name: string) => () => {
    seen.push([name, timeline.now()])
  }
  timeline.after(30, note('c'))
  timeline.after(10, () => {
    note('a')()
    timeline.after(5, note('b'))
    timeline.after(-1, note('at once'))
  })
  const cancel = timeline.after(20, note('never'))
  for (let i = 100; i > 0; i--) timeline.after(50 + (i % 7), note(String(50 + (i % 7))))
  cancel()
  clock.advance(200)
  t.deepEqual(seen.slice(0, 4), [
    ['a', 10],
    ['at once', 10],
    ['b', 15],
    ['c', 30],
  ])
  t.deepEqual(
    seen.slice(4).map(([name]) => Number(name)),
    seen.slice(4).map(([, at]) => at),
  )
  t.is(seen.length, 104)
  t.is(timeline.wholeSeconds(2), 2000)
  timeline.close()
})

test('500 calls at once lose no event, and each file is as long as its RECORD_STOP says', async t => {
  const harness = await simulate(t)
  const client = await harness.client('CHANNEL_PARK CHANNEL_ANSWER CHANNEL_BRIDGE RECORD_START RECORD_STOP CHANNEL_HANGUP_COMPLETE CHANNEL_DESTROY')
  const uuids = Array.from({ length: 500 }, () => randomUUID())
  const counts = new Map<string, number>()
  const count = (name: string): number => counts.get(name) ?? 0
  const lengths = new Map<string, number>()
  let at = 0
  // All calls are up and recorded before the first one ends.
  const drive = (): void => {
    for (; at < client.events.length; at++) {
      const event = client.events[at] ?? {}
      const [name = '', uuid = ''] = [event['Event-Name'], event['Unique-ID']]
      counts.set(name, count(name) + 1)
      if (name === 'CHANNEL_PARK') client.send(`sendmsg ${uuid}\ncall-command: execute\nexecute-app-name: bridge\nexecute-app-arg: user/2000@r\n\n`)
      if (name === 'CHANNEL_BRIDGE') client.send(`api uuid_record ${uuid} start ${harness.dir}/${uuid}.wav 0 {RECORD_STEREO=true}\n\n`)
      if (name === 'RECORD_START' && count(name) === uuids.length) for (const one of uuids) client.send(`api uuid_kill ${one}\n\n`)
      if (name === 'RECORD_STOP') lengths.set(uuid, Number(event['variable_record_ms']))
    }
  }
  const variables = 'callrec_destination=2000,callrec_simulator_seconds=36000'
  for (const uuid of uuids) client.send(`bgapi originate {origination_uuid=${uuid},${variables}}user/1001@r &park()\n\n`)
  // Call time stands still until everything said so far was heard: a slow machine makes no longer calls.
  for (let step = 0; count('CHANNEL_DESTROY') < 2 * uuids.length && step < 100; step++) {
    client.send(`api echo ${step}\n\n`)
    await until(`step ${step}`, () => client.frames.findLast(frame => frame.body === String(step)))
    drive()
    harness.clock.advance(100)
  }
  t.deepEqual(Object.fromEntries(counts), {
    CHANNEL_PARK: 500,
    CHANNEL_ANSWER: 1000,
    CHANNEL_BRIDGE: 500,
    RECORD_START: 500,
    RECORD_STOP: 500,
    CHANNEL_HANGUP_COMPLETE: 1000,
    CHANNEL_DESTROY: 1000,
  })
  const wavs = uuids.map(uuid => readWav(`${harness.dir}/${uuid}.wav`))
  t.deepEqual(
    wavs.map(wav => Math.round(wav.seconds * 1000)),
    uuids.map(uuid => lengths.get(uuid)),
  )
  const longest = wavs.toSorted((a, b) => a.seconds - b.seconds).at(-1)
  t.true(tone(longest?.samples[0] ?? new Int16Array(), 8000, 440) > 0.99)
  t.true(tone(longest?.samples[1] ?? new Int16Array(), 8000, 1000) > 0.99)
})
