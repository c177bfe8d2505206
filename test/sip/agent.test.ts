import test from 'ava'
import type { Answer, IncomingCall, Outcome, Session, SessionEvents } from '../../src/sip/agent.ts'
import { format, header, headersOf, isRequest, type Message, type Request, type Response } from '../../src/sip/message.ts'
import { events, invitation, type Network, network } from './network.ts'

const [A, B] = ['10.0.0.1', '10.0.0.2']
const TO_B = `sip:srs@${B}`

const said = ({ sent }: Network, from: string): string[] =>
  sent.filter(one => one.from === from).map(({ message }) => (isRequest(message) ? message.method : String(message.status)))

const lastOf = ({ sent }: Network, method: string): Request | undefined =>
  sent
    .map(({ message }) => message)
    .filter(isRequest)
    .findLast(one => one.method === method)

/** The other side as a machine of its own words: answers each request with what it is told to. */
function scripted(
  net: Network,
  address: string,
  answer: (request: Request, count: number) => { status: number; headers?: [string, string][]; body?: string }[],
): void {
  const counts = new Map<string, number>()
  const transport = net.transport(address)
  transport.onMessage((bytes, from) => {
    const text = bytes.toString()
    const method = text.slice(0, text.indexOf(' '))
    if (method === 'SIP/2.0' || method === 'ACK') return
    const request = net.sent.findLast(one => one.to === address && isRequest(one.message))?.message as Request
    const count = counts.get(method) ?? 0
    counts.set(method, count + 1)
    for (const { status, headers = [], body = '' } of answer(request, count)) {
      const copied = request.headers.filter(([name]) => ['via', 'from', 'call-id', 'cseq'].includes(name.toLowerCase()))
      const to = header(request, 'to') ?? ''
      from.reply(
        format({
          status,
          reason: 'x',
          headers: [...copied, ['To', to.includes('tag=') || status === 100 ? to : `${to};tag=them`], ...headers],
          body: Buffer.from(body),
        }),
      )
    }
  })
}
const CONTACT: [string, string] = ['Contact', `<sip:srs@${B}>`]

async function called(net: Network, uri = TO_B, own: Parameters<typeof invitation>[1] = {}): Promise<Outcome> {
  const caller = net.agent(A)
  let outcome: Outcome | undefined
  void caller.invite(invitation(uri, own)).outcome.then(one => (outcome = one))
  await net.until('an outcome', () => outcome)
  return outcome as Outcome
}

async function established(
  net: Network,
  answered: Parameters<typeof events>[0] = {},
  calling: Parameters<typeof events>[0] = {},
): Promise<{ caller: Session; callee: Session }> {
  let callee: Session | undefined
  net.agent(B, { onCall: call => (callee = call.answer([], Buffer.from('answer'), events(answered))) })
  const outcome = await called(net, TO_B, { events: events(calling) })
  if (!outcome.taken || callee === undefined) throw new Error('not taken')
  await net.run(200)
  return { caller: outcome.session, callee }
}

test('a call is taken, acknowledged, changed by either side and ended', async t => {
  const net = network()
  const ends: string[] = []
  const { caller, callee } = await established(net, {
    asked: ({ body }) => ({ status: 200, body: Buffer.from(`to ${body.toString()}`) }),
    ended: by => ends.push(by),
  })
  t.deepEqual(said(net, A), ['INVITE', 'ACK'])
  const first = caller.ask('INVITE', { body: Buffer.from('change') })
  await net.run(500)
  t.is((await first).body.toString(), 'to change')
  const second = callee.ask('INVITE', { body: Buffer.from('back') })
  await net.run(500)
  t.is((await second).status, 200)
  void caller.bye()
  await net.run(500)
  t.deepEqual(ends, ['bye'])
  t.true(callee.over)
})

test('with three of ten datagrams lost each way, every call is set up, acknowledged, changed and ended, and nothing is left behind', async t => {
  const net = network()
  let seed = 7
  const chance = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647
  net.lose = () => chance() < 0.3
  let answeredCalls = 0
  const ended: string[] = []
  const callee = net.agent(B, {
    onCall: call => {
      answeredCalls++
      call.answer([], Buffer.from('answer'), events({ ended: by => ended.push(by) }))
    },
  })
  const caller = net.agent(A)
  const MANY = 60
  const outcomes = await (async () => {
    const running = Array.from({ length: MANY }, () => caller.invite(invitation(TO_B)).outcome)
    let all: Outcome[] | undefined
    void Promise.all(running).then(one => (all = one))
    await net.until('all outcomes', () => all)
    return all ?? []
  })()
  t.is(outcomes.filter(one => one.taken).length, MANY)
  t.is(answeredCalls, MANY)
  const changed = Promise.all(outcomes.flatMap(one => (one.taken ? [one.session.ask('INVITE', { body: Buffer.from('again') })] : [])))
  let statuses: number[] = []
  void changed.then(all => (statuses = all.map(one => one.status)))
  await net.until('all changes', () => statuses.length === MANY)
  t.deepEqual(new Set(statuses), new Set([200]))
  for (const one of outcomes) if (one.taken) void one.session.bye()
  await net.until('all ends', () => ended.length === MANY)
  await net.run(80_000)
  t.deepEqual(caller.counts, { transactions: 0, sessions: 0 })
  t.deepEqual(callee.counts, { transactions: 0, sessions: 0 })
})

test('an ACK that is lost is sent again with each copy of the answer', async t => {
  const net = network()
  let lost = 0
  net.lose = message => isRequest(message) && message.method === 'ACK' && lost++ < 2
  const { callee } = await established(net)
  await net.run(5000)
  t.is(said(net, A).filter(one => one === 'ACK').length, 3)
  t.false(callee.over)
})

test('an answer that is never acknowledged ends in a BYE', async t => {
  const net = network()
  net.lose = message => isRequest(message) && message.method === 'ACK'
  const reasons: string[] = []
  await established(net, { ended: (by, reason) => reasons.push(`${by}: ${reason}`) })
  await net.run(40_000)
  t.deepEqual(reasons, ['lost: our answer was never acknowledged'])
  t.true(said(net, B).includes('BYE'))
})

test('noise on the socket is harmless: the next call is taken', async t => {
  const net = network()
  let calls = 0
  const agent = net.agent(B, {
    onCall: call => {
      calls++
      call.refuse(486)
    },
  })
  const real = (await (async () => {
    await called(net)
    return net.sent.find(({ message }) => isRequest(message))?.message
  })()) as Message
  const bytes = format(real)
  let seed = 11
  const chance = (below: number): number => (seed = (seed * 16_807) % 2_147_483_647) % below
  for (let i = 0; i < 20_000; i++) {
    const noisy = Buffer.from(bytes)
    for (let changes = 1 + chance(12); changes > 0; changes--) noisy[chance(noisy.length)] = chance(256)
    net.inject(chance(3) === 0 ? noisy.subarray(0, chance(noisy.length)) : noisy, '10.9.9.9', B)
  }
  await net.run(100_000)
  t.is(agent.counts.transactions, 0)
  const before = calls
  const again = await called(net)
  t.deepEqual([again.taken, calls], [false, before + 1])
})

test('nobody answers: the call is given up with 408, and what was begun is over', async t => {
  const net = network()
  const outcome = await called(net)
  t.deepEqual(outcome, { taken: false, status: 408, reason: 'no answer' })
  t.is(said(net, A).filter(one => one === 'INVITE').length, 7)
})

test('who says 100 and nothing more, or rings for ever, is cancelled when the patience ends', async t => {
  for (const status of [100, 180]) {
    const net = network()
    scripted(net, B, ({ method }) => (method === 'INVITE' ? [{ status }] : [{ status: 200 }]))
    const outcome = await called(net, TO_B, { patience: 5000 })
    t.deepEqual(outcome, { taken: false, status: 408, reason: 'no final answer within 5 s' })
    await net.run(1000)
    t.true(said(net, A).includes('CANCEL'))
  }
})

test('an answer that crosses our CANCEL is acknowledged and ended', async t => {
  const net = network()
  let ringing: IncomingCall | undefined
  net.agent(B, { onCall: call => (ringing = call) })
  const caller = net.agent(A)
  const call = caller.invite(invitation(TO_B))
  await net.until('it rings', () => ringing)
  await net.run(100)
  ringing?.answer([], Buffer.from('late'), events())
  call.cancel()
  t.deepEqual(await call.outcome, { taken: false, status: 487, reason: 'cancelled' })
  await net.run(1000)
  t.deepEqual(said(net, A), ['INVITE', 'CANCEL', 'ACK', 'BYE'])
})

test('a CANCEL ends what rings with 487, and whoever was called knows', async t => {
  const net = network()
  let gaveUp = false
  let ringing: IncomingCall | undefined
  net.agent(B, {
    onCall: call => {
      ringing = call
      call.onCancel(() => (gaveUp = true))
    },
  })
  const call = net.agent(A).invite(invitation(TO_B))
  await net.until('it rings', () => ringing)
  await net.run(100)
  call.cancel()
  await net.run(1000)
  t.true(gaveUp)
  t.is(ringing?.answer([], Buffer.alloc(0), events()), undefined)
  t.deepEqual(said(net, B), ['100', '200', '487'])
})

test('a challenge is answered once; a second one is a refusal', async t => {
  const net = network()
  scripted(net, B, (request, count) => (count < 2 ? [{ status: 401, headers: [['WWW-Authenticate', 'Digest realm="r", nonce="n"']] }] : [{ status: 200 }]))
  const outcome = await called(net, TO_B, { credentials: async () => ({ username: 'u', password: 'p' }) })
  t.like(outcome, { taken: false, status: 401 })
  t.regex(header(lastOf(net, 'INVITE') as Request, 'authorization') ?? '', /^Digest username="u"/)
  t.is(header(lastOf(net, 'INVITE') as Request, 'cseq'), '2 INVITE')
})

test('the ACK says again who calls, as its INVITE did, in the dialog too', async t => {
  const net = network()
  scripted(net, B, (request, count) =>
    request.method === 'INVITE' && count % 2 === 0
      ? [{ status: 407, headers: [['Proxy-Authenticate', `Digest realm="r", nonce="n${count}"`]] }]
      : [{ status: 200, headers: [CONTACT] }],
  )
  const outcome = await called(net, TO_B, { credentials: async () => ({ username: 'u', password: 'p' }) })
  if (!outcome.taken) return t.fail()
  const again = outcome.session.ask('INVITE')
  await net.run(500)
  t.is((await again).status, 200)
  const nonces = net.sent
    .map(({ message }) => message)
    .filter((one): one is Request => isRequest(one) && one.method === 'ACK')
    .map(one => /nonce="(\w+)"/.exec(header(one, 'proxy-authorization') ?? '')?.[1])
  t.deepEqual(nonces, [undefined, 'n0', undefined, 'n2'])
})

test('a proxy and the server behind it are both told a password; who is forwarded to is asked for his own', async t => {
  const net = network()
  const asks = (name: string): { status: number; headers: [string, string][] }[] => [
    { status: name.startsWith('Proxy') ? 407 : 401, headers: [[name, 'Digest realm="r", nonce="n"']] },
  ]
  scripted(net, B, (_, count) =>
    count === 0 ? asks('Proxy-Authenticate') : count === 1 ? asks('WWW-Authenticate') : [{ status: 302, headers: [['Contact', '<sip:other@10.0.0.3>']] }],
  )
  const there: Request[] = []
  scripted(net, '10.0.0.3', (request, count) => {
    there.push(request)
    return count === 0 ? asks('WWW-Authenticate') : [{ status: 403 }]
  })
  const found: string[] = []
  const credentials = async (uri: string): Promise<{ username: string; password: string }> => {
    found.push(uri)
    return { username: `u${found.length}`, password: 'p' }
  }
  t.like(await called(net, TO_B, { credentials }), { taken: false, status: 403 })
  t.deepEqual(found, [TO_B, TO_B, 'sip:other@10.0.0.3'])
  t.is(header(there[0] as Request, 'authorization'), undefined)
  t.is(header(there[0] as Request, 'proxy-authorization'), undefined)
  t.regex(header(there[1] as Request, 'authorization') ?? '', /username="u3"/)
})

test('a forwarding is followed once', async t => {
  const net = network()
  scripted(net, B, () => [{ status: 302, headers: [['Contact', '<sip:other@10.0.0.3>']] }])
  scripted(net, '10.0.0.3', () => [{ status: 302, headers: [['Contact', '<sip:third@10.0.0.4>']] }])
  t.like(await called(net), { taken: false, status: 302 })
  t.is(lastOf(net, 'INVITE')?.uri, 'sip:other@10.0.0.3')
})

test('who is called by TLS may not send the call to where it is not', async t => {
  const net = network()
  scripted(net, B, () => [{ status: 302, headers: [['Contact', '<sip:other@10.0.0.3>']] }])
  t.like(await called(net, `sips:srs@${B}`), { taken: false, status: 302, reason: 'it sends a call by TLS to where it is none: sip:other@10.0.0.3' })
  t.is(net.sent.filter(({ to }) => to === '10.0.0.3').length, 0)
})

test('a forwarding leads where its URI leads, and what else that says is left out of the request', async t => {
  const net = network()
  scripted(net, B, () => [{ status: 302, headers: [['Contact', '<sip:other@10.0.0.3;method=BYE?Subject=x>']] }])
  scripted(net, '10.0.0.3', () => [{ status: 486 }])
  t.like(await called(net), { taken: false, status: 486 })
  t.is(lastOf(net, 'INVITE')?.uri, 'sip:other@10.0.0.3')
})

test('a session timer that is too short is lengthened as the server asks', async t => {
  const net = network()
  scripted(net, B, ({ method }, count) =>
    method === 'INVITE' && count === 0 ? [{ status: 422, headers: [['Min-SE', '3600']] }] : [{ status: 200, headers: [CONTACT] }],
  )
  t.true((await called(net)).taken)
  t.is(header(lastOf(net, 'INVITE') as Request, 'session-expires'), '3600')
})

test('whoever calls is told when a server that refuses wants to be called again', async t => {
  const net = network()
  scripted(net, B, () => [{ status: 480, headers: [['Retry-After', '120 (in a meeting)']] }])
  const { outcome } = net.agent(A).invite(invitation(TO_B))
  await net.run(1000)
  t.deepEqual(await outcome, { taken: false, status: 480, reason: 'x', retryAfterMs: 120_000 })
})

test('a server that answers without a Contact is not taken', async t => {
  const net = network()
  scripted(net, B, () => [{ status: 200 }])
  t.like(await called(net), { taken: false, status: 502 })
})

test('a server whose Contact is no URI is not taken, and one that names such a place later is asked where it was', async t => {
  const net = network()
  scripted(net, B, () => [{ status: 200, headers: [['Contact', `<sip:a b@${B}>`]] }])
  t.like(await called(net), { taken: false, status: 502 })
  const later = network()
  scripted(later, B, (_, count) => [{ status: 200, headers: [count === 0 ? CONTACT : ['Contact', `<sip:a b@${B}>`]] }])
  const outcome = await called(later)
  if (!outcome.taken) return t.fail()
  void outcome.session.ask('INVITE')
  await later.run(500)
  void outcome.session.bye()
  await later.run(500)
  t.is(lastOf(later, 'BYE')?.uri, `sip:srs@${B}`)
})

test('a request of a call that cannot be made is refused, and its end is one all the same: no promise is left to reject', async t => {
  const net = network()
  scripted(net, B, (_, count) => [
    count === 0 ? { status: 200, headers: [CONTACT] } : { status: 401, headers: [['WWW-Authenticate', 'Digest realm="r", nonce="n"']] },
  ])
  const ends: string[] = []
  const outcome = await called(net, TO_B, { credentials: () => Promise.reject(new Error('away')), events: events({ ended: by => ends.push(by) }) })
  if (!outcome.taken) return t.fail()
  const asked = outcome.session.ask('INVITE')
  await net.run(500)
  t.is((await asked).status, 500)
  const bye = outcome.session.bye()
  await net.run(500)
  await bye
  t.deepEqual(ends, ['ours'])
})

test('a request that is not understood here is answered all the same', async t => {
  const net = network()
  net.agent(B, {
    onCall() {
      throw new Error('broken')
    },
  })
  t.like(await called(net), { taken: false, status: 500 })
})

test('the next address is tried when the first one is silent or busy with itself', async t => {
  for (const first of ['silent', 'unavailable']) {
    const net = network()
    if (first === 'unavailable') scripted(net, B, () => [{ status: 503 }])
    scripted(net, '10.0.0.3', () => [{ status: 200, headers: [['Contact', '<sip:srs@10.0.0.3>']] }])
    const dns = { srv: async () => [], addresses: async () => [B, '10.0.0.3'] }
    let outcome: Outcome | undefined
    void net
      .agent(A, { dns })
      .invite(invitation('sip:srs.test:5060'))
      .outcome.then(one => (outcome = one))
    await net.until('an outcome', () => outcome)
    t.like(outcome, { taken: true, target: { address: '10.0.0.3' } })
  }
})

test('what is too large for a datagram goes over a stream, and by datagram where nobody listens for streams', async t => {
  for (const refused of [false, true]) {
    const net = network()
    net.agent(B, { onCall: call => call.answer([], Buffer.alloc(0), events()) })
    if (refused) net.noTcp.add(B)
    const outcome = await called(net, TO_B, { body: Buffer.alloc(2000, 'x') })
    t.like(outcome, { taken: true, target: { protocol: refused ? 'udp' : 'tcp' } })
    const contact = header(lastOf(net, 'INVITE') as Request, 'contact') ?? ''
    t.is(contact.includes('transport=tcp'), !refused)
  }
})

test('who was reached by datagrams alone is not tried by stream with each large request of the call', async t => {
  const net = network()
  net.noTcp.add(B)
  net.agent(B, { onCall: call => call.answer([], Buffer.from('answer'), events()) })
  const wire = net.transport(A)
  const tried: string[] = []
  const send: typeof wire.send = (bytes, target) => {
    tried.push(`${bytes.toString().split(' ')[0] ?? ''} ${target.protocol}`)
    return wire.send(bytes, target)
  }
  const body = Buffer.alloc(2000, 'x')
  const { outcome } = net.agent(A, { transport: { ...wire, send } }).invite(invitation(TO_B, { body }))
  await net.run(1000)
  const called = await outcome
  if (!called.taken) return t.fail()
  const again = called.session.ask('INVITE', { body })
  await net.run(1000)
  t.is((await again).status, 200)
  t.deepEqual(tried, ['INVITE tcp', 'INVITE udp', 'ACK udp', 'INVITE udp', 'ACK udp'])
})

test('an address that is not permitted is not called', async t => {
  const net = network()
  let outcome: Outcome | undefined
  void net
    .agent(A, { permits: () => false })
    .invite(invitation(TO_B))
    .outcome.then(one => (outcome = one))
  await net.until('an outcome', () => outcome)
  t.deepEqual(outcome, { taken: false, status: 503, reason: 'its address is in a network that is not allowed' })
  t.is(net.sent.length, 0)
})

test('a name that would break out of its header is refused before anything is sent', async t => {
  const net = network()
  const outcome = await called(net, TO_B, { headers: [['X-Id', 'a\r\nEvil: 1']] })
  t.like(outcome, { taken: false })
  t.is(net.sent.length, 0)
})

test('two re-INVITEs that cross are refused with 491 and both succeed in the end', async t => {
  const net = network()
  const { caller, callee } = await established(net)
  const both = [caller.ask('INVITE', { body: Buffer.from('a') }), callee.ask('INVITE', { body: Buffer.from('b') })]
  let statuses: number[] = []
  void Promise.all(both).then(all => (statuses = all.map(one => one.status)))
  await net.until('both', () => statuses.length === 2)
  t.deepEqual(statuses, [200, 200])
  t.true([...said(net, A), ...said(net, B)].includes('491'))
})

test('a refusal for now with Retry-After is asked again, one for good is not', async t => {
  const net = network()
  let asked = 0
  const { caller } = await established(net, {
    asked: () => (asked++ === 0 ? { status: 500, headers: [['Retry-After', '2']] } : { status: 488 }),
  })
  const answer = caller.ask('INVITE')
  await net.run(5000)
  t.is((await answer).status, 488)
  t.is(asked, 2)
})

test('a request in a dialog that the other side forgot ends it', async t => {
  const net = network()
  scripted(net, B, ({ method }, count) => (method === 'INVITE' && count === 0 ? [{ status: 200, headers: [CONTACT] }] : [{ status: 481 }]))
  const ends: string[] = []
  const outcome = await called(net, TO_B, { events: events({ ended: (by, reason) => ends.push(`${by}: ${reason}`) }) })
  if (!outcome.taken) return t.fail()
  const answer = outcome.session.ask('INVITE')
  await net.run(1000)
  t.is((await answer).status, 481)
  t.deepEqual(ends, ['lost: the other side does not know the dialog'])
  t.is((await outcome.session.ask('INVITE')).status, 481)
})

test('who agreed to a session timer refreshes it, by UPDATE where that is taken and by re-INVITE where not', async t => {
  for (const allow of ['INVITE, UPDATE', 'INVITE']) {
    const net = network()
    scripted(net, B, () => [{ status: 200, headers: [CONTACT, ['Allow', allow], ['Session-Expires', '90;refresher=uac']] }])
    const outcome = await called(net, TO_B, { events: events({ refresh: () => ({ body: Buffer.from('same') }) }) })
    t.true(outcome.taken)
    await net.run(200_000)
    const method = allow.includes('UPDATE') ? 'UPDATE' : 'INVITE'
    t.true(said(net, A).filter(one => one === method).length >= 4)
    if (method === 'INVITE') t.is(lastOf(net, 'INVITE')?.body.toString(), 'same')
    t.false(said(net, A).includes('BYE'))
  }
})

test('who asks without an offer answers ours in his ACK, and what a refresh by re-INVITE is answered is heard as well', async t => {
  const net = network()
  const heard: string[] = []
  const refresh = (): ReturnType<SessionEvents['refresh']> => ({ answered: ({ body }) => void heard.push(`answer: ${body.toString()}`) })
  const asked = (): Answer => ({ status: 200, body: Buffer.from('offer'), acknowledged: ({ body }) => void heard.push(`ACK: ${body.toString()}`) })
  scripted(net, B, () => [{ status: 200, headers: [CONTACT, ['Session-Expires', '90;refresher=uac']], body: 'same' }])
  const outcome = await called(net, TO_B, { events: events({ refresh, asked }) })
  if (!outcome.taken) return t.fail()
  const [callId, ours] = outcome.session.id.split(' ')
  const say = (method: string): Promise<void> => {
    const headers: [string, string][] = [
      ['Via', `SIP/2.0/UDP ${B}:5060;branch=z9hG4bK${method}`],
      ['From', '<sip:b@h>;tag=them'],
      ['To', `<sip:a@h>;tag=${ours}`],
      ['Call-ID', callId ?? ''],
      ['CSeq', `7 ${method}`],
    ]
    const body = Buffer.from(method === 'ACK' ? 'elsewhere' : '')
    return net.transport(B).send(format({ method, uri: `sip:a@${A}`, headers, body }), { protocol: 'udp', address: A, port: 5060, name: A })
  }
  await net.run(60_000)
  t.deepEqual(heard, ['answer: same'])
  await say('INVITE')
  await net.run(200)
  await say('ACK')
  await net.run(200)
  t.deepEqual(heard, ['answer: same', 'ACK: elsewhere'])
})

test('a session timer lives on through what else is asked, whoever refreshes', async t => {
  for (const [refresher, ends] of [
    ['uac', []],
    ['uas', ['lost']],
  ] as const) {
    const net = network()
    scripted(net, B, request => {
      const asked = header(request, 'session-expires')
      const first = !header(request, 'to')?.includes('tag=')
      const agreed = first ? `90;refresher=${refresher}` : asked
      return [{ status: 200, headers: [CONTACT, ['Allow', 'UPDATE'], ...(agreed === undefined ? [] : [['Session-Expires', agreed] as [string, string]])] }]
    })
    const seen: string[] = []
    const outcome = await called(net, TO_B, { events: events({ ended: by => seen.push(by) }) })
    if (!outcome.taken) return t.fail()
    const paused = outcome.session.ask('INVITE')
    await net.run(500)
    t.is((await paused).status, 200)
    t.is(header(lastOf(net, 'INVITE') as Request, 'session-expires'), `90;refresher=${refresher}`)
    await net.run(200_000)
    t.is(said(net, A).filter(one => one === 'UPDATE').length >= 4, refresher === 'uac')
    t.deepEqual(seen, [...ends])
  }
})

test('a session whose refresh never comes is ended', async t => {
  const net = network()
  scripted(net, B, () => [{ status: 200, headers: [CONTACT, ['Session-Expires', '90;refresher=uas']] }])
  const ends: string[] = []
  await called(net, TO_B, { events: events({ ended: (by, reason) => ends.push(`${by}: ${reason}`) }) })
  await net.run(100_000)
  t.deepEqual(ends, ['lost: the session timer ran out'])
  t.true(said(net, A).includes('BYE'))
})

test('a refresh that is refused ends the session', async t => {
  const net = network()
  scripted(net, B, ({ method }, count) =>
    method === 'INVITE' && count > 0 ? [{ status: 488 }] : [{ status: 200, headers: [CONTACT, ['Session-Expires', '90;refresher=uac']] }],
  )
  const ends: string[] = []
  await called(net, TO_B, { events: events({ ended: by => ends.push(by) }) })
  await net.run(60_000)
  t.deepEqual(ends, ['lost'])
})

test('a session timer asked of us is granted when it is long enough', async t => {
  const net = network()
  net.agent(B, { onCall: call => call.answer([], Buffer.alloc(0), events()) })
  await called(net, TO_B)
  const answer = net.sent.map(({ message }) => message).find((one): one is Response => !isRequest(one) && one.status === 200)
  t.is(header(answer as Response, 'session-expires'), '1800;refresher=uac')
  const short = await called(net, TO_B, { headers: [['x', 'y']] })
  t.true(short.taken)
})

test('a storm of re-INVITEs is put off, and the session lives on', async t => {
  const net = network()
  const { caller, callee } = await established(net)
  const answers: number[] = []
  for (let i = 0; i < 40; i++) void caller.ask('UPDATE').then(one => answers.push(one.status))
  await net.run(9000)
  t.true(said(net, B).includes('500'))
  await net.run(60_000)
  t.false(callee.over)
  t.true(answers.filter(one => one === 200).length >= 30)
})

test('what we do not do is refused by name', async t => {
  const net = network()
  net.agent(B)
  const ask = (method: string, extra: [string, string][] = [], tag = ''): void => {
    const headers: [string, string][] = [
      ['Via', `SIP/2.0/UDP ${A}:5060;branch=z9hG4bK${method}${tag}${extra.length}`],
      ['From', '<sip:a@h>;tag=1'],
      ['To', `<sip:b@h>${tag}`],
      ['Call-ID', 'x'],
      ['CSeq', `1 ${method}`],
      ...extra,
    ]
    void net.transport(A).send(format({ method, uri: TO_B, headers, body: Buffer.alloc(0) }), { protocol: 'udp', address: B, port: 5060, name: B })
  }
  ask('OPTIONS')
  ask('REGISTER')
  ask('BYE', [], ';tag=unknown')
  ask('CANCEL')
  ask('INVITE', [['Require', '100rel, siprec']])
  ask('INVITE')
  ask('INVITE', [
    ['Supported', 'timer'],
    ['Session-Expires', '30'],
  ])
  ask('ACK')
  await net.run(200)
  t.deepEqual(said(net, B), ['200', '405', '481', '481', '420', '400', '422'])
  const refused = net.sent.map(({ message }) => message).find((one): one is Response => !isRequest(one) && one.status === 420)
  t.deepEqual(headersOf(refused as Response, 'unsupported'), ['100rel', 'siprec'])
})

test('a request that is older than one that came already is refused, one in an unknown method too', async t => {
  const net = network()
  const { caller } = await established(net, { asked: ({ method }) => (method === 'INFO' ? { status: 415 } : undefined) })
  const answers = [caller.ask('INFO'), caller.ask('MESSAGE'), caller.ask('OPTIONS'), caller.ask('UPDATE')]
  await net.run(2000)
  t.deepEqual(
    (await Promise.all(answers)).map(one => one.status),
    [415, 405, 200, 405],
  )
  const info = lastOf(net, 'INFO') as Request
  const copy = {
    ...info,
    headers: info.headers.map(([name, value]) => [name, name === 'Via' ? value.replace(/branch=\w+/, 'branch=z9hG4bKolder') : value] as const),
  }
  await net.transport('10.0.0.8').send(format(copy), { protocol: 'udp', address: B, port: 5060, name: B })
  await net.run(200)
  t.is(said(net, B).at(-1), '500')
})

test('closing gives up what still rings, or says nothing: whoever waits for it is told at once, and no timer is left', async t => {
  const net = network()
  const caller = net.agent(A)
  const callee = net.agent(B, { onCall: () => {} })
  const [rings, silent] = [caller.invite(invitation(TO_B)), caller.invite(invitation('sip:nobody@10.0.0.9'))]
  await net.until('it rings', () => said(net, B).includes('100'))
  await caller.close()
  for (const { outcome } of [rings, silent]) t.like(await outcome, { taken: false, status: 487 })
  t.true(said(net, A).includes('CANCEL'))
  t.deepEqual(caller.counts, { transactions: 0, sessions: 0 })
  await net.run(1000)
  await callee.close()
  t.deepEqual(net.clock.waits(), [])
})

test('closing ends every session and leaves nothing', async t => {
  const net = network()
  const ends: string[] = []
  net.agent(B, { onCall: call => call.answer([], Buffer.alloc(0), events({ ended: by => ends.push(by) })) })
  const caller = net.agent(A)
  const calls = Array.from({ length: 3 }, () => caller.invite(invitation(TO_B)).outcome)
  await net.run(500)
  await Promise.all(calls)
  const closed = caller.close()
  await net.run(3000)
  await closed
  t.deepEqual(ends, ['bye', 'bye', 'bye'])
  t.deepEqual(caller.counts, { transactions: 0, sessions: 0 })
})

test('closing waits two seconds for who does not answer its BYE, or has not acknowledged what it answered; then no timer is left', async t => {
  const net = network()
  const ends: string[] = []
  const taken: (Session | undefined)[] = []
  const callee = net.agent(B, { onCall: call => taken.push(call.answer([], Buffer.alloc(0), events({ ended: by => ends.push(by) }))) })
  const caller = net.agent(A)
  const { outcome } = caller.invite(invitation(TO_B, { events: events({ ended: by => ends.push(by) }) }))
  net.lose = message => isRequest(message) && (message.method === 'ACK' || message.method === 'BYE')
  await net.run(500)
  await outcome
  t.is(taken.length, 1)
  const closed = Promise.all([caller.close(), callee.close()])
  await net.run(2000)
  await closed
  t.deepEqual(ends, ['ours', 'ours'])
  t.deepEqual(
    [caller.counts, callee.counts],
    [
      { transactions: 0, sessions: 0 },
      { transactions: 0, sessions: 0 },
    ],
  )
  t.deepEqual(net.clock.waits(), [])
})

test('who has closed takes nothing any more', async t => {
  const net = network()
  const callee = net.agent(B, { onCall: () => t.fail() })
  await callee.close()
  const { outcome } = net.agent(A).invite(invitation(TO_B, { patience: 1000 }))
  await net.run(1000)
  t.like(await outcome, { taken: false, status: 408 })
  t.deepEqual(callee.counts, { transactions: 0, sessions: 0 })
})
