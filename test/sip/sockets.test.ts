// The user agent over real sockets on loopback.

import { randomBytes } from 'node:crypto'
import { connect, createServer } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import { systemClock } from '../../src/clock.ts'
import { silent } from '../../src/log.ts'
import { type Agent, createAgent, type IncomingCall, type Session } from '../../src/sip/agent.ts'
import { createFraming } from '../../src/sip/framing.ts'
import { header } from '../../src/sip/message.ts'
import { type Identity, openSockets, type Sockets } from '../../src/sip/sockets.ts'
import { pem, tlsFront } from '../helpers/tls-front.ts'
import { until } from '../helpers/wait.ts'
import { events, invitation, NO_DNS } from './network.ts'

async function agent(
  t: ExecutionContext,
  onCall: (call: IncomingCall) => void = call => call.refuse(404),
  identity?: Identity,
): Promise<Agent & { sockets: Sockets }> {
  const clock = systemClock()
  const sockets = await openSockets({
    host: '127.0.0.1',
    port: 0,
    clock,
    log: silent,
    authorities: pem('cert'),
    ...(identity === undefined ? {} : { identity }),
  })
  const { port, tlsPort } = sockets
  const made = createAgent({
    transport: sockets,
    clock,
    log: silent,
    random: bytes => randomBytes(bytes).toString('hex'),
    dns: { ...NO_DNS, addresses: async () => ['127.0.0.1'] },
    advertised: { host: '127.0.0.1', port, ...(tlsPort === undefined ? {} : { tlsPort }) },
    name: 'test',
    onCall,
  })
  t.teardown(async () => {
    await made.close()
    await sockets.close()
  })
  return { ...made, sockets }
}

const answering = (ends: string[]) => (call: IncomingCall) => void call.answer([], Buffer.from('answer'), events({ ended: by => ends.push(by) }))

for (const [what, size, protocol] of [
  ['a small call goes by UDP', 10, 'udp'],
  ['a large one by TCP', 5000, 'tcp'],
] as const) {
  test(`${what}, is answered, changed and ended`, async t => {
    const ends: string[] = []
    const callee = await agent(t, answering(ends))
    const caller = await agent(t)
    const outcome = await caller.invite(invitation(`sip:x@127.0.0.1:${callee.sockets.port}`, { body: Buffer.alloc(size, 'x') })).outcome
    if (!outcome.taken) return t.fail(outcome.reason)
    t.is(outcome.target.protocol, protocol)
    t.is((await outcome.session.ask('INVITE', { body: Buffer.alloc(size, 'y') })).status, 200)
    await outcome.session.bye()
    await until('the end', () => ends.length === 1)
    t.deepEqual(ends, ['bye'])
  })
}

test('a large call reaches a server that only listens for datagrams', async t => {
  const callee = await agent(t, answering([]))
  // A port nobody has for TCP: the datagram socket of a plain one.
  const { createSocket } = await import('node:dgram')
  const plain = createSocket('udp4')
  await new Promise<void>(resolve => plain.bind(0, '127.0.0.1', resolve))
  t.teardown(() => plain.close())
  const relay = plain.address().port
  let back: number | undefined
  plain.on('message', (bytes, from) => {
    if (from.port !== callee.sockets.port) back = from.port
    plain.send(bytes, from.port === callee.sockets.port ? (back ?? 0) : callee.sockets.port, '127.0.0.1')
  })
  const caller = await agent(t)
  const outcome = await caller.invite(invitation(`sip:x@127.0.0.1:${relay}`, { body: Buffer.alloc(5000, 'x') })).outcome
  t.like(outcome, { taken: true, target: { protocol: 'udp' } })
})

test('sips goes by TLS, to a certificate of that name and to no other', async t => {
  const callee = await agent(t, answering([]))
  const port = await tlsFront(t, callee.sockets.port)
  const caller = await agent(t)
  const good = await caller.invite(invitation(`sips:x@localhost:${port}`)).outcome
  t.like(good, { taken: true, target: { protocol: 'tls' } })
  const bad = await caller.invite(invitation(`sips:x@other.test:${port}`)).outcome
  t.like(bad, { taken: false, status: 503 })
  t.regex(bad.taken ? '' : bad.reason, /altnames|Hostname/i)
})

test('a port that is taken is told at the start', async t => {
  const { sockets } = await agent(t)
  await t.throwsAsync(openSockets({ host: '127.0.0.1', port: sockets.port, clock: systemClock(), log: silent }), { message: /EADDRINUSE/ })
})

test('where nobody listens the call fails at once with the reason', async t => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  await new Promise(resolve => server.close(resolve))
  const outcome = await (await agent(t)).invite(invitation(`sip:x@127.0.0.1:${port};transport=tcp`)).outcome
  t.like(outcome, { taken: false, status: 503 })
  t.regex(outcome.taken ? '' : outcome.reason, /ECONNREFUSED/)
})

test('a stream that is no SIP is closed, and the next one is served', async t => {
  const { sockets } = await agent(t)
  const noisy = connect(sockets.port, '127.0.0.1')
  let closed = false
  noisy.on('close', () => (closed = true)).on('error', () => {})
  noisy.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  await until('it is closed', () => closed)
  const asking = connect(sockets.port, '127.0.0.1')
  t.teardown(() => asking.destroy())
  let answer = ''
  asking.on('data', bytes => (answer += bytes.toString()))
  asking.write(
    '\r\n\r\nOPTIONS sip:x@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n',
  )
  await until('an answer', () => answer.includes('SIP/2.0 200 OK'))
  t.true(answer.startsWith('\r\n'))
})

test('who asks and never reads what he is answered is cut off', async t => {
  const { sockets } = await agent(t)
  const asking = connect(sockets.port, '127.0.0.1')
  let closed = false
  asking.on('close', () => (closed = true)).on('error', () => {})
  asking.pause()
  const many = Buffer.alloc(1 << 20, '\r\n\r\n')
  await until('it is closed', async () => {
    if (!asking.destroyed) await new Promise<void>(resolve => asking.write(many, () => resolve()))
    return closed
  })
  t.true(closed)
})

test('messages come out of a stream whole, however it is cut', t => {
  const message = 'BYE sip:x SIP/2.0\r\nl: 3\r\n\r\nabc'
  const bytes = Buffer.from(message + message)
  for (let cut = 1; cut < bytes.length; cut++) {
    const framing = createFraming()
    const found = [...framing.push(bytes.subarray(0, cut)).messages, ...framing.push(bytes.subarray(cut)).messages]
    t.deepEqual(found.map(String), [message, message])
  }
})

test('a long body that comes byte by byte is whole, and soon', t => {
  const framing = createFraming()
  const [head, length] = ['INFO sip:x SIP/2.0\r\nContent-Length: 500000\r\n\r\n', 500_000]
  const bytes = Buffer.concat([Buffer.from(head), Buffer.alloc(length, 'x'), Buffer.from('\r\n\r\nA')])
  const messages = Array.from(bytes, byte => framing.push(Buffer.of(byte))).flatMap(found => found.messages)
  t.deepEqual(
    messages.map(one => one.length),
    [head.length + length],
  )
})

test('a stream that never ends its header, or says no length, or too much, is refused', t => {
  t.throws(() => createFraming().push(Buffer.alloc(70_000, 'x')), { message: /without an end/ })
  t.throws(() => createFraming().push(Buffer.from('BYE x SIP/2.0\r\nA: b\r\n\r\n')), { message: /without Content-Length/ })
  t.throws(() => createFraming().push(Buffer.from('BYE x SIP/2.0\r\nl: 99999999\r\n\r\n')), { message: /too long/ })
})

test('who connects while the sockets close, and what is sent after that, keeps nothing open', async t => {
  for (let i = 0; i < 20; i++) {
    const sockets = await openSockets({ host: '127.0.0.1', port: 0, clock: systemClock(), log: silent })
    const client = connect({ host: '127.0.0.1', port: sockets.port })
    client.on('error', () => {})
    const gone = new Promise<void>(resolve => client.once('close', () => resolve()))
    if (i % 2 === 0) await new Promise<void>(resolve => client.once('connect', () => resolve()))
    await sockets.close()
    await gone
  }
  const [sockets, other] = [await openSockets({ host: '127.0.0.1', port: 0, clock: systemClock(), log: silent }), await agent(t)]
  await sockets.close()
  const there = { protocol: 'tcp' as const, address: '127.0.0.1', port: other.sockets.port, name: '127.0.0.1' }
  await t.throwsAsync(sockets.send(Buffer.from('x'), there), { message: 'the sockets are closed' })
})

const IDENTITY: Identity = { cert: pem('cert'), key: pem('key'), port: 0 }

test('a server that wants to see a certificate is shown ours; without one it takes no call', async t => {
  const callee = await agent(t, answering([]))
  const front = await tlsFront(t, callee.sockets.port, { requestCert: true, ca: pem('cert') })
  const [known, unknown] = [await agent(t, undefined, IDENTITY), await agent(t)]
  t.true((await known.invite(invitation(`sips:x@localhost:${front}`)).outcome).taken)
  t.like(await unknown.invite(invitation(`sips:x@localhost:${front}`, { patience: 3000 })).outcome, { taken: false })
})

test('who was called by TLS reaches us by TLS, on a connection of its own', async t => {
  const calls: IncomingCall[] = []
  const sessions: (Session | undefined)[] = []
  const callee = await agent(
    t,
    call => {
      calls.push(call)
      sessions.push(call.answer([], Buffer.from('answer'), events()))
    },
    IDENTITY,
  )
  const ends: string[] = []
  const caller = await agent(t, undefined, IDENTITY)
  for (const [uri, contact] of [
    [`sips:x@localhost:${callee.sockets.tlsPort}`, `<sips:callrec@127.0.0.1:${caller.sockets.tlsPort}>`],
    [`sip:x@localhost:${callee.sockets.tlsPort};transport=tls`, `<sip:callrec@127.0.0.1:${caller.sockets.tlsPort};transport=tls>`],
  ] as const) {
    const outcome = await caller.invite(invitation(uri, { events: events({ asked: () => ({ status: 200 }), ended: by => ends.push(by) }) })).outcome
    t.true(outcome.taken)
    t.is(header(calls.at(-1)?.request ?? { headers: [] }, 'contact'), contact)
    t.is((await sessions.at(-1)?.ask('INVITE', { body: Buffer.from('again') }))?.status, 200)
    await sessions.at(-1)?.bye()
  }
  t.deepEqual(ends, ['bye', 'bye'])
})

test('noise on the port for TLS is nobody, and keeps nothing open', async t => {
  const sockets = await openSockets({ host: '127.0.0.1', port: 0, clock: systemClock(), log: silent, identity: IDENTITY })
  const noisy = connect(sockets.tlsPort ?? 0, '127.0.0.1')
  let closed = false
  noisy.on('close', () => (closed = true)).on('error', () => {})
  noisy.write('OPTIONS sip:x SIP/2.0\r\n\r\n')
  await until('it is closed', () => closed)
  const idle = connect(sockets.tlsPort ?? 0, '127.0.0.1')
  idle.on('error', () => {})
  await new Promise<void>(resolve => idle.once('connect', () => resolve()))
  await sockets.close()
  await t.throwsAsync(openSockets({ host: '127.0.0.1', port: 0, clock: systemClock(), log: silent, identity: { ...IDENTITY, cert: 'none' } }))
})
