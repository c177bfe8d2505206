// What servers do to an upload, and what becomes of the file then.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { tenantClient } from '../../../src/net/client.ts'
import type { Cargo, Outcome } from '../../../src/recording/delivery/cargo.ts'
import { destinationOf } from '../../../src/recording/storage.ts'
import { sendTo } from '../../../src/recording/delivery/to-http.ts'
import { type ManualClock, manualClock } from '../../helpers/clock.ts'
import { answer, answerEarly, hang, httpSink, ignore, reset, slowly, type Step } from '../../helpers/http-sink.ts'
import { until } from '../../helpers/wait.ts'

const BODY = Buffer.alloc(3_000_000, 'callrec')
/** More than fits between two sockets of one machine. */
const LARGE = 60_000_000

const cargoOf = (size: number): Cargo => ({
  id: 'id',
  name: 'x.wav',
  contentType: 'audio/x-wav',
  size,
  sha256: createHash('sha256').update(BODY).digest('hex'),
  pieces: async function* (length, from) {
    for (let at = from; at < from + length; at += 100_000) yield BODY.subarray(at % BODY.length, (at % BODY.length) + 100_000)
  },
})

function sending(
  t: ExecutionContext,
  url: string,
  { clock = manualClock(), size = BODY.length }: { clock?: ManualClock; size?: number } = {},
): Promise<Outcome | Error> {
  const http = tenantClient({ allow: ['127.0.0.0/8'], clock })
  t.teardown(() => http.close())
  return sendTo(url, 'PUT', cargoOf(size), { http, now: () => clock.now() }, new AbortController().signal).catch((error: unknown) => error as Error)
}

/** What a file's fate is, and what is said of it. */
const fate = (outcome: Outcome | Error): string =>
  outcome instanceof Error
    ? `throws ${outcome.message.replace(/127\.0\.0\.1:\d+/, 'host')}`
    : `${outcome.is} ${'reason' in outcome ? outcome.reason.replace(/127\.0\.0\.1:\d+/, 'host') : ''}${'askedMs' in outcome ? ` in ${outcome.askedMs} ms` : ''}`.trim()

const SOON = { 'retry-after': '120' }

for (const [what, step, expected] of [
  ['takes all and says 201', answer(201), 'stored'],
  ['takes all and says 204', answer(204), 'stored'],
  ['breaks off in the middle', reset, 'throws PUT host: broke the connection off'],
  ['reads slowly', slowly(1), 'stored'],
  ['says 401', answer(401), 'never PUT host answered 401'],
  ['says 403', answer(403), 'never PUT host answered 403'],
  ['says 404', answer(404), 'never PUT host answered 404'],
  ['says 413 before it has read all', answerEarly(413), 'never PUT host answered 413'],
  ['says 408', answer(408), 'later PUT host answered 408'],
  ['says 429 and when', answer(429, SOON), 'later PUT host answered 429 in 120000 ms'],
  ['says 500', answer(500), 'later PUT host answered 500'],
  ['says 503 and when', answer(503, SOON), 'later PUT host answered 503 in 120000 ms'],
  ['says 303', answer(303, { location: '/result' }), 'never PUT host answered 303'],
] as readonly (readonly [string, Step, string])[]) {
  test(`a server that ${what}: ${expected}`, async t => {
    const sink = await httpSink(t, [step])
    t.is(fate(await sending(t, `${sink.url}/in`)), expected)
  })
}

for (const status of [301, 302, 307, 308]) {
  test(`a ${status} is followed with method and whole body, through a chain, and a loop of them is refused`, async t => {
    const end = await httpSink(t)
    const two = await httpSink(t, [answer(status, { location: `${end.url}/end` })])
    const one = await httpSink(t, [answer(status, { location: `${two.url}/two` })])
    const outcome = await sending(t, `${one.url}/one`)
    t.deepEqual(outcome, { is: 'stored', location: destinationOf(`${end.url}/end`) })
    t.like(end.received[0], { method: 'PUT', url: '/end', whole: true })
    t.is(Buffer.compare(end.received[0]?.body ?? Buffer.alloc(0), BODY), 0)
    const loop = await httpSink(t, [answer(status, { location: '/again' })])
    t.is(fate(await sending(t, `${loop.url}/in`)), 'throws host redirects more than 5 times')
    t.is(loop.received.length, 6)
  })
}

test('a server that says 200 and never reads on has not got the file', async t => {
  const sink = await httpSink(t, [answerEarly(200)])
  t.is(fate(await sending(t, sink.url, { size: LARGE })), 'later PUT host answered 200 before it had the whole file')
})

test('a server that refuses the connection', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  t.is(fate(await sending(t, `http://127.0.0.1:${port}/`)), 'throws PUT host: refused the connection')
})

for (const [what, step, expected] of [
  ['hangs after it has all', hang, 'throws PUT host: no answer within 120 s'],
  ['hangs and reads nothing', ignore, 'throws PUT host: took no more of the file within 60 s'],
] as readonly (readonly [string, Step, string])[]) {
  test(`a server that ${what} is given up`, async t => {
    const sink = await httpSink(t, [step])
    const clock = manualClock()
    const sent = sending(t, `${sink.url}/in`, { clock, size: expected.includes('120') ? BODY.length : LARGE })
    await sink.arrived(1)
    const wait = expected.includes('120') ? 120_000 : 60_000
    await until('its deadline', () => clock.waits()[0] === wait)
    clock.advance(wait)
    t.is(fate(await sent), expected)
  })
}

/** A server that says what it is told to, byte for byte, when it has the whole request. */
async function raw(t: ExecutionContext, begin: string, end: string): Promise<string> {
  const server = createServer((socket: Socket) => {
    let got = 0
    let said = false
    socket.on('error', () => {})
    socket.on('data', piece => {
      if (!said) socket.write(begin)
      said = true
      got += piece.length
      if (got >= BODY.length) socket.end(end)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/in`
}

test('a server that says 100 Continue before its answer has the file', async t => {
  const url = await raw(t, 'HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 201 Created\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
  t.is(fate(await sending(t, url)), 'stored')
})

test('a server that talks nonsense, or hangs up after its headers', async t => {
  t.regex(fate(await sending(t, await raw(t, '', 'what?\r\n\r\n'))), /^throws PUT host: /)
  t.is(fate(await sending(t, await raw(t, '', 'HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\nhalf'))), 'stored')
})
