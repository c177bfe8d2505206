import { createHash, randomBytes } from 'node:crypto'
import type { LookupFunction } from 'node:net'
import { Readable } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import { systemClock } from '../../src/clock.ts'
import { type AppError, isCode } from '../../src/errors.ts'
import { type Body, type ClientOptions, DEADLINES, type TenantClient, type TenantRequest, tenantClient } from '../../src/net/client.ts'
import { redirected, targetOf } from '../../src/net/target.ts'
import { manualClock } from '../helpers/clock.ts'
import { answer, answerEarly, hang, httpSink, ignore, reset, slowly } from '../helpers/http-sink.ts'
import { until } from '../helpers/wait.ts'

function client(t: ExecutionContext, options: Partial<ClientOptions> = {}): TenantClient {
  const made = tenantClient({ allow: ['127.0.0.0/8', '::1/128'], clock: systemClock(), ...options })
  t.teardown(() => made.close())
  return made
}

/** Pieces of 64 KiB, so that a body is as large in memory as one piece. */
const zeros = (length: number): Body => ({
  length,
  open: () =>
    Readable.from(
      (function* () {
        for (let left = length; left > 0; left -= 65_536) yield Buffer.alloc(Math.min(left, 65_536))
      })(),
    ),
})
const text = (content: string): Body => ({ length: Buffer.byteLength(content), open: () => Readable.from([Buffer.from(content)]) })
const HUGE = 64 * 1024 * 1024

const put = (url: string, body: Body = text('audio'), more: Partial<TenantRequest> = {}): TenantRequest => ({ method: 'PUT', url, body, ...more })

async function refusal(t: ExecutionContext, attempt: Promise<unknown>): Promise<AppError> {
  const error = await t.throwsAsync(attempt)
  return error as AppError
}

/** A name server for one test: each look-up of a name takes the next of its answers, the last one repeats. */
function names(table: Readonly<Record<string, readonly (readonly string[])[]>>): LookupFunction {
  const asked = new Map<string, number>()
  return (hostname, _options, callback) => {
    const answers = table[hostname] ?? []
    const turn = asked.get(hostname) ?? 0
    asked.set(hostname, turn + 1)
    const addresses = answers[Math.min(turn, answers.length - 1)] ?? []
    if (addresses.length === 0) callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND' }), [])
    else
      callback(
        null,
        addresses.map(address => ({ address, family: address.includes(':') ? 6 : 4 })),
      )
  }
}

test('a body arrives whole, with its length and the headers it was given', async t => {
  const sink = await httpSink(t, [answer(201, { 'x-id': '7' }, 'thanks')])
  const bytes = randomBytes(300_000)
  const response = await client(t).request(
    put(
      `${sink.url}/rec/a.wav?from=1`,
      { length: bytes.length, open: () => Readable.from([bytes.subarray(0, 100_000), bytes.subarray(100_000)]) },
      { headers: { 'content-type': 'audio/x-wav' } },
    ),
  )
  t.is(response.status, 201)
  t.is(response.headers['x-id'], '7')
  t.is(response.body.toString(), 'thanks')
  t.true(response.complete && response.bodySent)
  const [got] = sink.received
  t.is(got?.method, 'PUT')
  t.is(got?.url, '/rec/a.wav?from=1')
  t.is(got?.headers['content-length'], '300000')
  t.is(got?.headers['transfer-encoding'], undefined)
  t.is(got?.headers['content-type'], 'audio/x-wav')
  t.is(
    createHash('sha256')
      .update(got?.body ?? '')
      .digest('hex'),
    createHash('sha256').update(bytes).digest('hex'),
  )
})

test('a user part of the URL becomes a Basic header and is sent nowhere else', async t => {
  const sink = await httpSink(t)
  const { url } = await client(t).request(put(`http://al%40ice:p%3Aw%25@${sink.host}/x`))
  t.is(sink.received[0]?.headers['authorization'], `Basic ${Buffer.from('al@ice:p:w%').toString('base64')}`)
  t.is(sink.received[0]?.headers['host'], sink.host)
  t.is(url.href, `${sink.url}/x`)
})

test('a stray % in a password is meant as itself', async t => {
  const sink = await httpSink(t)
  await client(t).request(put(`http://a:100%@${sink.host}/x`))
  t.is(sink.received[0]?.headers['authorization'], `Basic ${Buffer.from('a:100%').toString('base64')}`)
})

test('only http and https URLs are destinations', async t => {
  for (const url of ['ftp://example.com/x', 'javascript:x', 'file:///etc/passwd', '//example.com/x', '', 'http://']) {
    t.true(isCode(await refusal(t, client(t).request(put(url))), 'destination_forbidden'), url)
  }
})

test('private addresses are refused in every spelling, and nothing is sent', async t => {
  const sink = await httpSink(t)
  const guarded = client(t, { allow: [] })
  const spellings = [
    '127.0.0.1',
    'localhost',
    '0x7f000001',
    '2130706433',
    '0177.0.0.1',
    '127.1',
    '127.0.0.1.',
    '[::ffff:127.0.0.1]',
    '[::1]',
    '0.0.0.0',
    '169.254.169.254',
  ]
  for (const host of spellings) {
    const error = await refusal(t, guarded.request(put(`http://u:secret@${host}:${sink.port}/x?key=hidden`)))
    t.true(isCode(error, 'destination_forbidden'), `${host}: ${error.message}`)
    t.notRegex(error.message, /secret|hidden/)
  }
  t.is(sink.received.length, 0)
})

test('a name with one private address among public ones is refused', async t => {
  const sink = await httpSink(t)
  const guarded = client(t, { allow: [], lookup: names({ 'both.example': [['93.184.216.34', '127.0.0.1']] }) })
  t.true(isCode(await refusal(t, guarded.request(put(`http://both.example:${sink.port}/`))), 'destination_forbidden'))
  t.is(sink.received.length, 0)
})

test('a name that points inside at its second look-up is refused then', async t => {
  const sink = await httpSink(t, [answer(200, { connection: 'close' })])
  const guarded = client(t, { lookup: names({ 'rebind.example': [['127.0.0.1'], ['10.0.0.1']] }) })
  t.is((await guarded.request(put(`http://rebind.example:${sink.port}/`))).status, 200)
  t.true(isCode(await refusal(t, guarded.request(put(`http://rebind.example:${sink.port}/`))), 'destination_forbidden'))
})

test('a proxy of the environment is not used', async t => {
  const sink = await httpSink(t)
  const before = process.env['http_proxy']
  process.env['http_proxy'] = 'http://127.0.0.1:9'
  t.teardown(() => (before === undefined ? delete process.env['http_proxy'] : (process.env['http_proxy'] = before)))
  t.is((await client(t).request(put(sink.url))).status, 201)
})

for (const status of [301, 302, 307, 308]) {
  test(`a ${status} is followed with the method and the body kept`, async t => {
    const sink = await httpSink(t, [answerEarly(status, { location: '/there?q=1' }), 201])
    const response = await client(t).request({ ...put(`${sink.url}/here`), method: 'POST' })
    t.is(response.status, 201)
    t.is(response.url.href, `${sink.url}/there?q=1`)
    t.deepEqual(
      sink.received.map(({ method, url }) => [method, url]),
      [
        ['POST', '/here'],
        ['POST', '/there?q=1'],
      ],
    )
    t.is(sink.received[1]?.body.toString(), 'audio')
  })
}

test('a 303 and a redirect without Location are answers like any other', async t => {
  const sink = await httpSink(t, [answer(303, { location: '/elsewhere' }), answer(302)])
  t.is((await client(t).request(put(sink.url))).status, 303)
  t.is((await client(t).request(put(sink.url))).status, 302)
})

test('a password goes along to the same origin and not to another', async t => {
  const other = await httpSink(t)
  const sink = await httpSink(t, [answer(307, { location: '/same' }), answer(307, { location: `${other.url}/other` })])
  await client(t).request(put(`http://u:p@${sink.host}/`))
  t.deepEqual(
    sink.received.map(({ headers }) => headers['authorization']),
    ['Basic dTpw', 'Basic dTpw'],
  )
  t.is(other.received[0]?.headers['authorization'], undefined)
})

test('five redirects are followed, a sixth is not', async t => {
  const once = answer(302, { location: '/again' })
  const enough = await httpSink(t, [once, once, once, once, once, 204])
  t.is((await client(t).request(put(enough.url))).status, 204)
  const loop = await httpSink(t, [once])
  const error = await refusal(t, client(t).request(put(loop.url)))
  t.true(isCode(error, 'upload_rejected'))
  t.is(loop.received.length, 6)
})

test('a redirect to a private address is refused, by name, by number and by scheme', async t => {
  const guarded = (lookup?: LookupFunction): TenantClient => client(t, lookup === undefined ? {} : { lookup })
  for (const location of ['http://10.0.0.1/', 'http://[fd00::1]/', 'file:///etc/passwd', 'http://inside.example/']) {
    const sink = await httpSink(t, [answer(307, { location })])
    const error = await refusal(t, guarded(location.includes('example') ? names({ 'inside.example': [['10.9.9.9']] }) : undefined).request(put(sink.url)))
    t.true(isCode(error, 'destination_forbidden'), `${location}: ${error.message}`)
  }
})

test('a 2xx before the whole body was taken says so', async t => {
  const sink = await httpSink(t, [answerEarly(201)])
  const response = await client(t).request(put(sink.url, zeros(HUGE)))
  t.is(response.status, 201)
  t.false(response.bodySent)
})

test('a connection that is refused, reset or not to be found names the host and no query', async t => {
  const sink = await httpSink(t, [reset])
  const cases: [string, Body, RegExp, LookupFunction?][] = [
    ['http://127.0.0.1:1/?token=hidden', text('x'), /^PUT 127\.0\.0\.1:1: refused the connection$/],
    [`${sink.url}/?token=hidden`, zeros(HUGE), /^PUT 127\.0\.0\.1:\d+: broke the connection off$/],
    ['http://nowhere.example/?token=hidden', text('x'), /^PUT nowhere\.example: no such host$/, names({})],
  ]
  for (const [url, body, message, lookup] of cases) {
    const error = await refusal(t, client(t, lookup === undefined ? {} : { lookup }).request(put(url, body)))
    t.true(isCode(error, 'upload_unreachable'), error.message)
    t.regex(error.message, message)
  }
})

test('https means a server that can prove who it is', async t => {
  const sink = await httpSink(t)
  const error = await refusal(t, client(t).request(put(`https://${sink.host}/`)))
  t.true(isCode(error, 'upload_unreachable'))
  t.regex(error.message, /no trusted https there/)
  t.is(sink.received.length, 0)
})

test('what was to travel encrypted is not sent on in the clear', t => {
  const from = targetOf('https://u:p@rec.example/in')
  t.true(
    isCode(
      t.throws(() => redirected(from, 'http://rec.example/in')),
      'upload_rejected',
    ),
  )
  t.deepEqual(redirected(from, '//rec.example/there#part'), { url: new URL('https://rec.example/there'), authorization: 'Basic dTpw' })
  t.deepEqual(redirected(from, 'https://x:y@other.example/'), { url: new URL('https://other.example/'), authorization: 'Basic eDp5' })
})

test('a server that never answers is given up after its deadline', async t => {
  const clock = manualClock()
  const sink = await httpSink(t, [hang])
  const refused = refusal(t, client(t, { clock }).request(put(sink.url)))
  await sink.arrived(1)
  await until('the whole body', () => sink.received[0]?.whole === true)
  clock.advance(DEADLINES.answer - 1)
  clock.advance(1)
  const error = await refused
  t.true(isCode(error, 'upload_unreachable'))
  t.regex(error.message, /no answer within 120 s/)
})

test('a server that stops reading is given up after its deadline', async t => {
  const clock = manualClock()
  const sink = await httpSink(t, [ignore])
  const refused = refusal(t, client(t, { clock }).request(put(sink.url, zeros(HUGE))))
  await sink.arrived(1)
  await until('the watch for a stall', () => clock.waits()[0] === DEADLINES.stall)
  clock.advance(DEADLINES.stall)
  t.regex((await refused).message, /took no more of the file within 60 s/)
})

test('a slow reader is no stalled one: progress keeps the request alive', async t => {
  const sink = await httpSink(t, [slowly(2)])
  const response = await client(t, { deadlines: { stall: 2000 } }).request(put(sink.url, zeros(8 * 1024 * 1024)))
  t.is(response.status, 201)
  t.true(response.bodySent)
})

test('an answer whose body breaks off or never ends keeps its status', async t => {
  const clock = manualClock()
  const sink = await httpSink(t, [
    async (_request, response, read) => {
      await read()
      response.writeHead(200, { 'content-length': '10' }).write('half')
      response.on('drain', () => {})
      setImmediate(() => response.destroy())
    },
    async (_request, response, read) => {
      await read()
      response.writeHead(200, { 'content-length': '10' }).write('half')
    },
  ])
  const tenant = client(t, { clock })
  const broken = await tenant.request(put(sink.url))
  t.like(broken, { status: 200, complete: false, bodySent: true })
  const endless = tenant.request(put(sink.url))
  await until('the watch for the rest', () => clock.waits()[0] === DEADLINES.rest)
  clock.advance(DEADLINES.rest)
  t.like(await endless, { status: 200, complete: false })
})

test('of a long answer only so much is kept', async t => {
  const sink = await httpSink(t, [answer(200, {}, 'x'.repeat(200_000))])
  const response = await client(t).request({ method: 'GET', url: sink.url, maxBytes: 1000 })
  t.is(response.body.length, 1000)
  t.false(response.complete)
})

test('a body that fails fails the request with its own error', async t => {
  const sink = await httpSink(t)
  const broken: Body = {
    length: 10,
    open: () =>
      Readable.from(
        (function* () {
          yield Buffer.from('half')
          throw new Error('the disk is gone')
        })(),
      ),
  }
  t.is((await refusal(t, client(t).request(put(sink.url, broken)))).message, 'the disk is gone')
})

test('a body that is shorter or longer than it said is never an answer', async t => {
  const sink = await httpSink(t)
  for (const length of [3, 30]) await t.throwsAsync(client(t).request(put(sink.url, { ...text('audio'), length })))
})

test('the caller can give up, and so does close', async t => {
  const sink = await httpSink(t, [hang])
  const tenant = client(t)
  const stop = new AbortController()
  const stopped = refusal(t, tenant.request(put(sink.url, text('x'), { signal: stop.signal })))
  const closed = refusal(t, tenant.request(put(sink.url)))
  await sink.arrived(2)
  stop.abort()
  t.regex((await stopped).message, /broken off here/)
  t.regex((await refusal(t, tenant.request(put(sink.url, text('x'), { signal: stop.signal })))).message, /broken off here/)
  t.is(sink.received.length, 2)
  await tenant.close()
  t.true(isCode(await closed, 'upload_unreachable'))
})
