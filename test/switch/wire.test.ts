import { readFileSync } from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import { packagePath } from '../../src/root.ts'
import { eventOf, header, legOf, parseEvent } from '../../src/switch/event.ts'
import type { EventHeaders } from '../../src/switch/event.ts'
import { FrameError, frameReader } from '../../src/switch/frames.ts'
import type { Frame } from '../../src/switch/frames.ts'
import { causeOf, channelsOf, recordingsOf, refusal } from '../../src/switch/reply.ts'
import { eventFrame } from '../helpers/esl-server.ts'

const LIMITS = { headerBytes: 1000, bodyBytes: 100_000 }

function read(chunks: readonly Buffer[], limits = LIMITS): Frame[] {
  const frames: Frame[] = []
  const push = frameReader(limits, frame => frames.push(frame))
  for (const chunk of chunks) push(chunk)
  return frames
}

const bytes = (text: string): Buffer => Buffer.from(text)

/** What FreeSWITCH sent in a transcript, without the notes of who recorded it. */
function received(name: string): Buffer {
  const blocks = readFileSync(packagePath(`test/fixtures/esl/${name}`), 'utf8').split(/^##/m)
  return bytes(
    blocks
      .filter(block => block.startsWith('<<<'))
      .map(block => block.slice(block.indexOf('\n') + 1))
      .join(''),
  )
}

const eventsOf60 = (): EventHeaders[] =>
  read([received('60-parked-call.txt')])
    .filter(frame => frame.headers['content-type'] === 'text/event-json')
    .map(frame => parseEvent(frame.body))
    .filter(headers => headers !== undefined)

test('the frames of a real call are read whole, in order', t => {
  const frames = read([received('60-parked-call.txt')])
  const types = frames.map(frame => frame.headers['content-type'])
  t.is(types[0], 'auth/request')
  t.is(frames[1]?.headers['reply-text'], '+OK accepted')
  t.is(types.filter(type => type === 'text/event-json').length, eventsOf60().length)
  t.true(types.every(type => ['auth/request', 'command/reply', 'api/response', 'text/event-json'].includes(type ?? '')))
})

test('wherever TCP cuts the bytes, the frames are the same', t => {
  const frames = `${eventFrame({ 'Event-Name': 'X', name: 'Zoë 😀\n\n' })}Content-Type: command/reply\nReply-Text: +OK 50% off: now\n\nContent-Type: api/response\nContent-Length: 4\n\ntrue\n\nContent-Length: 0\nContent-Type: api/response\n\n${eventFrame({})}`
  const whole = bytes(frames)
  const expected = read([whole])
  t.is(expected.length, 5)
  t.is(expected[1]?.headers['reply-text'], '+OK 50% off: now')
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: whole.length })), cuts => {
      const at = [0, ...cuts.sort((a, b) => a - b), whole.length]
      const chunks = at.slice(1).map((end, n) => whole.subarray(at[n], end))
      return JSON.stringify(read(chunks)) === JSON.stringify(expected)
    }),
  )
  t.deepEqual(read([...whole].map(byte => Buffer.from([byte]))), expected)
})

test('a burst of short frames needs no stack, a long body no more than its own length', t => {
  t.is(read([bytes('Content-Type: command/reply\nReply-Text: +OK\n\n'.repeat(50_000))]).length, 50_000)
  const body = 'x'.repeat(30_000_000)
  const frame = bytes(`Content-Type: api/response\nContent-Length: ${body.length}\n\n${body}`)
  const chunks = Array.from({ length: Math.ceil(frame.length / 65_536) }, (_, n) => frame.subarray(n * 65_536, (n + 1) * 65_536))
  const began = performance.now()
  t.is(read(chunks, { headerBytes: 1000, bodyBytes: 40_000_000 })[0]?.body.length, body.length)
  t.true(performance.now() - began < 2000)
})

for (const [what, sent, reason] of [
  ['a frame of 50 MB', 'Content-Type: api/response\nContent-Length: 52428800\n\n', /52428800 bytes, more than 100000/],
  ['a length that is no number', 'Content-Type: api/response\nContent-Length: -5\n\n', /Content-Length is "-5"/],
  ['a web server', 'HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n', /not an event socket: "HTTP/],
  ['nonsense', '\u0001\u0002nonsense\n\nmore', /not an event socket/],
  ['headers without end', `Content-Type: ${'x'.repeat(2000)}`, /do not end within 1000 bytes/],
] as const) {
  test(`${what} is refused with a reason`, t => {
    const error = t.throws(() => read([bytes(sent)]), { instanceOf: FrameError })
    t.regex(error?.message ?? '', reason)
  })
}

test('any bytes at all are frames or a FrameError, never anything else', t => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.uint8Array({ maxLength: 50 }), fc.constantFrom(bytes('\n\n'), bytes('Content-Length: 3\n'), bytes('A: b\n')))), chunks => {
      try {
        read(chunks.map(chunk => Buffer.from(chunk)))
      } catch (error) {
        return error instanceof FrameError
      }
      return true
    }),
  )
  t.pass()
})

test('the events of a real call become the port’s, in the order they came', t => {
  const told = eventsOf60().flatMap(headers => eventOf('fs1', headers, 0) ?? [])
  const ofLeg = told.filter(event => 'leg' in event && event.leg.uuid.endsWith('60')).map(event => event.name)
  t.deepEqual(ofLeg, [
    'CHANNEL_ANSWER',
    'CHANNEL_PARK',
    'RECORD_START',
    'RECORD_START',
    'CHANNEL_BRIDGE',
    'CHANNEL_UNBRIDGE',
    'RECORD_STOP',
    'RECORD_STOP',
    'CHANNEL_HANGUP_COMPLETE',
  ])
  const stop = told.findLast(event => event.name === 'RECORD_STOP')
  t.like(stop, { path: '/var/lib/freeswitch/recordings/p60b.wav', variables: { rec_id: '202611-b' }, cause: 'success-silence', at: 1_795_223_612_466 })
  const bridge = told.find(event => event.name === 'CHANNEL_BRIDGE')
  t.like(bridge, { otherLeg: 'cccccccc-0000-4000-8000-0000000000b1' })
  t.like(told.at(-1), { name: 'CHANNEL_HANGUP_COMPLETE', cause: 'NORMAL_CLEARING' })
})

test('a leg says how it was dialled, what it hears at, and after the hangup still that it was answered', t => {
  const [answer] = eventsOf60()
  t.deepEqual(legOf('fs1', answer ?? {}), {
    node: 'fs1',
    uuid: 'dbccef22-2073-41d2-aa87-59c54c3888cc',
    direction: 'inbound',
    createdAt: 1_795_223_603_386,
    answeredAt: 1_795_223_603_386,
    answered: true,
    destination: 'tone440',
    callerIdName: '0000000000',
    callerIdNumber: '0000000000',
    calleeIdName: '',
    calleeIdNumber: '',
    sipFrom: '0000000000@127.0.0.1',
    sipTo: 'tone440@127.0.0.1:5080',
    sipRequest: 'tone440@127.0.0.1:5080',
    sipCallId: '969a3fc6-5feb-1240-f9ad-1a1e01e7d3ea',
    sampleRate: 8000,
    variables: { current_application: 'answer' },
  })
  const ended = eventsOf60().findLast(headers => headers['Event-Name'] === 'CHANNEL_HANGUP_COMPLETE')
  t.true(legOf('fs1', ended ?? {})?.answered)
})

test('the other leg is there while the bridge is, not after it', t => {
  const of60 = eventsOf60().filter(headers => String(headers['Unique-ID']).endsWith('60'))
  const otherOf = (name: string): string | undefined => legOf('fs1', of60.findLast(headers => headers['Event-Name'] === name) ?? {})?.otherLeg
  t.is(otherOf('CHANNEL_BRIDGE'), 'cccccccc-0000-4000-8000-0000000000b1')
  t.is(otherOf('CHANNEL_HANGUP_COMPLETE'), undefined)
  const dumped = read([received('07-show-channels-json.txt')], { ...LIMITS, bodyBytes: 1_000_000 }).find(frame => frame.body.includes('"CHANNEL_DATA"'))
  t.is(legOf('fs1', parseEvent(dumped?.body ?? '') ?? {})?.otherLeg, '259f1ae4-816b-4149-b8c8-dd90c27a6f6d')
  const b = { 'Event-Name': 'CHANNEL_BRIDGE', 'Unique-ID': 'b', 'Bridge-A-Unique-ID': 'a', 'Bridge-B-Unique-ID': 'b' }
  t.is(legOf('fs1', b)?.otherLeg, 'a')
  t.is(legOf('fs1', { 'Event-Name': 'CHANNEL_BRIDGE', 'Unique-ID': 'a', 'Other-Leg-Unique-ID': 'c' })?.otherLeg, 'c')
})

test('only callrec’s variables and those of the list leave the room, and a list reads as uuid_getvar prints it', t => {
  const leg = legOf('fs1', {
    'Unique-ID': 'u',
    variable_callrec_node: 'flow',
    variable_callrec_list: ['a', 'b'],
    variable_callrec_one: ['a'],
    variable_originate_disposition: 'USER_BUSY',
    variable_sip_auth_password: 'secret',
  })
  t.deepEqual(leg?.variables, { callrec_node: 'flow', callrec_list: 'ARRAY::a|:b', callrec_one: 'a', originate_disposition: 'USER_BUSY' })
})

test('a time that no date can have is none, and what is told came when it was received', t => {
  for (const time of ['1e300', '9'.repeat(40), 'x', '-5', '253402300800000000']) {
    const told = {
      'Unique-ID': 'a',
      'Event-Name': 'CHANNEL_ANSWER',
      'Event-Date-Timestamp': time,
      'Caller-Channel-Created-Time': time,
      'Caller-Channel-Answered-Time': time,
    }
    const event = eventOf('fs1', told, 5)
    if (event === undefined || !('leg' in event)) return t.fail()
    t.deepEqual([event.at, event.leg.createdAt, event.leg.answeredAt, event.leg.answered], [5, undefined, undefined, false], time)
  }
})

test('an event without a channel, of another name or of no shape is no event', t => {
  t.is(eventOf('fs1', { 'Event-Name': 'CHANNEL_PARK' }, 0), undefined)
  t.is(eventOf('fs1', { 'Event-Name': 'CHANNEL_PARK', 'Unique-ID': 7 }, 0)?.name, 'CHANNEL_PARK')
  t.is(eventOf('fs1', { 'Event-Name': 'CHANNEL_CREATE', 'Unique-ID': 'u' }, 0), undefined)
  t.like(eventOf('fs1', { 'Event-Name': 'DTMF', 'Unique-ID': 'u', 'DTMF-Digit': '5' }, 0), { name: 'DTMF', digit: '5' })
  for (const json of ['', '{', 'null', '[]', '"x"', '7']) t.is(parseEvent(json), undefined)
  t.is(header({ a: { b: 1 } }, 'a'), '')
  t.is(header({}, 'constructor'), '')
  const bare = eventOf('fs1', { 'Event-Name': 'RECORD_STOP', 'Unique-ID': 'u' }, 77)
  t.like(bare, { at: 77, path: '', variables: {} })
  t.false(bare !== undefined && 'cause' in bare)
})

test('what a switch answered is told apart: no such channel, a cause, a refusal', t => {
  const code = (reply: string): string => refusal('fs1', 'x', reply).code
  for (const gone of [
    '-ERR No such channel!\n',
    '-ERR Cannot locate session!\n',
    '-ERR invalid session id [u]',
    '-ERR No such channel!\n-USAGE: <uuid> <var>=<value>;<var>=<value>...\n',
  ])
    t.is(code(gone), 'leg_gone')
  t.is(code('-ERR Cannot record session!\n'), 'switch_refused')
  t.is(refusal('fs1', 'uuid_record', '-ERR Cannot record session!\n').data['reply'], '-ERR Cannot record session!')
  t.is(causeOf('-ERR USER_BUSY\n'), 'USER_BUSY')
  t.is(causeOf('-ERR Cannot record session!'), undefined)
  t.deepEqual(recordingsOf('<media-bugs>\n</media-bugs>\n'), [])
  t.deepEqual(channelsOf('{"row_count": 0}'), [])
  t.deepEqual(channelsOf('{"row_count":1,"rows":[{"uuid":"a"},{}]}'), ['a'])
})
