// One recording server over all calls to it, on a clock that stands still: which of its refusals are asked again, and when.

import { setImmediate as turn } from 'node:timers/promises'
import test from 'ava'
import type { Agent, IncomingCall, Invitation, Outcome, Session } from '../../src/sip/agent.ts'
import type { Header, Response } from '../../src/sip/message.ts'
import type { Door } from '../../src/siprec/door.ts'
import { createServer } from '../../src/siprec/server.ts'
import type { SwitchNode, Tap } from '../../src/switch/switch.ts'
import { manualClock } from '../helpers/clock.ts'
import { notedLog } from '../helpers/log.ts'

const SDP = 'v=0\r\no=x 1 1 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n'
const TYPE: Header = ['Content-Type', 'application/sdp']
const answer = (status: number, sdp = SDP): Response => ({ status, reason: 'x', headers: [TYPE], body: Buffer.from(sdp) })

type Said = 'takes' | { status: number; retryAfterMs?: number }

/** A server that says these one after the other, and takes the call after that. */
function world(...script: Said[]) {
  const clock = manualClock()
  const { log, lines } = notedLog()
  const [invitations, offers, taps]: [Invitation[], string[], Tap[]] = [[], [], []]
  const seen = { changed: 0, taken: 0, lost: 0 }
  const now = { hidden: false, legsCome: true, legs: 1, answered: (): void => {} }
  const session = (): Session => {
    const one = {
      id: 'x',
      over: false,
      ask: async (_method: string, { body }: { body?: Buffer } = {}) => {
        offers.push(String(body))
        return answer(200, String(body).includes('inactive') ? `${SDP}a=inactive\r\n` : SDP)
      },
      bye: async () => void (one.over = true),
      drop() {},
      acknowledgeAgain() {},
      receive() {},
    }
    return one
  }
  const agent: Agent = {
    counts: { transactions: 0, sessions: 0 },
    close: async () => {},
    invite(invitation) {
      invitations.push(invitation)
      offers.push(String(invitation.body))
      const said = script.shift() ?? 'takes'
      now.answered()
      const outcome: Outcome =
        said === 'takes'
          ? { taken: true, session: session(), response: answer(200), target: { protocol: 'udp', address: '127.0.0.1', port: 5060, name: 'srs' } }
          : { taken: false, reason: 'x', ...said }
      return { outcome: Promise.resolve(outcome), cancel() {} }
    },
  }
  const leg = (): IncomingCall => ({
    request: { method: 'INVITE', uri: 'sip:tap', headers: [TYPE], body: Buffer.from(SDP) },
    over: false,
    onCancel() {},
    answer: () => (now.legs-- > 0 ? session() : undefined),
    refuse() {},
  })
  const door: Door = {
    agent: async () => agent,
    permits: () => true,
    close: async () => {},
    expect(ms) {
      let forget = (): void => {}
      const call = new Promise<IncomingCall | undefined>(resolve => {
        const cancel = clock.after(ms, () => resolve(undefined))
        forget = () => {
          cancel()
          resolve(undefined)
        }
        if (!now.legsCome) return
        cancel()
        resolve(leg())
      })
      return { address: 'tap@127.0.0.1:5060', call, forget: () => forget() }
    },
  }
  const node = { tap: (what: Tap) => (taps.push(what), new Promise(() => {})), hangup: async () => {} } as Partial<SwitchNode> as SwitchNode
  const server = createServer(
    { door, node, clock, log, random: bytes => 'ab'.repeat(bytes) },
    {
      uri: 'sip:srs.test',
      target: '00000000-0000-4000-8000-000000000001',
      streams: [{ listens: 'both', label: '1' }],
      from: 'sip:callrec@callrec.invalid',
      headers: [],
      credentials: async () => undefined,
    },
    {
      metadata: () => '<recording/>',
      hidden: () => now.hidden,
      changed: () => void seen.changed++,
      taken: () => void seen.taken++,
      lost: () => void seen.lost++,
    },
  )
  return {
    clock,
    lines,
    server,
    invitations,
    offers,
    taps,
    seen,
    now,
    after: async (ms: number): Promise<void> => {
      clock.advance(ms)
      for (let i = 0; i < 3; i++) await turn()
    },
  }
}

for (const status of [408, 480, 500, 503, 504]) {
  test(`a server that cannot take the call now (${status}) is called again within it after a second, and has the rest of it`, async t => {
    const { server, seen, invitations, after } = world({ status })
    t.false(await server.start())
    t.like(server.entry, { state: 'waiting', code: status, reason: 'x' })
    await after(999)
    t.is(invitations.length, 1)
    await after(1)
    t.is(invitations.length, 2)
    t.deepEqual([server.entry.state, server.entry.code, server.entry.reason], ['recording', undefined, undefined])
    t.like(seen, { taken: 1, lost: 0 })
    await server.stop()
  })
}

for (const status of [400, 401, 403, 404, 420, 486, 487, 488, 501, 502, 513, 600, 603]) {
  test(`a server that refuses for good (${status}) is not called again`, async t => {
    const { server, clock, seen } = world({ status })
    t.false(await server.start())
    t.like(server.entry, { state: 'failed', code: status })
    t.deepEqual(clock.waits(), [])
    // Whoever began it sees it for himself.
    t.like(seen, { taken: 0, lost: 0 })
  })
}

for (const status of [486, 503]) {
  test(`a server that says when it can be called again (${status} with Retry-After) is not called before`, async t => {
    const { server, invitations, after } = world({ status, retryAfterMs: 60_000 })
    await server.start()
    await after(59_000)
    t.is(invitations.length, 1)
    t.like(server.entry, { state: 'waiting', code: status })
    await after(1000)
    t.is(server.entry.state, 'recording')
    await server.stop()
  })
}

test('Retry-After: 0 is no leave to call without a pause', async t => {
  const { server, clock } = world({ status: 503, retryAfterMs: 0 })
  await server.start()
  t.deepEqual(clock.waits(), [1000])
  await server.stop()
})

test('a server that stays away is called five more times, with more and more time between, and has failed then with what it said last', async t => {
  const { server, clock, invitations, seen, after } = world(...Array.from({ length: 5 }, () => ({ status: 503 })), { status: 408 })
  await server.start()
  const waits: number[] = []
  for (let [wait] = clock.waits(); wait !== undefined; [wait] = clock.waits()) {
    waits.push(wait)
    await after(wait)
  }
  t.deepEqual(waits, [1000, 2000, 4000, 8000, 8000])
  t.is(invitations.length, 6)
  t.like(server.entry, { state: 'failed', code: 408 })
  t.like(seen, { taken: 0, lost: 1 })
})

test('a server that was lost, and then refuses for good, has failed at once', async t => {
  const { server, clock, invitations, seen, after } = world('takes', { status: 403 })
  t.true(await server.start())
  invitations[0]?.events.ended('bye', 'x')
  t.like(server.entry, { state: 'waiting', reason: 'the server ended it: x' })
  await after(1000)
  t.like(server.entry, { state: 'failed', code: 403 })
  t.like(seen, { taken: 0, lost: 1 })
  t.deepEqual(clock.waits(), [])
})

test('a server that is lost with the end of the call has all of it, and one that was lost before has not', async t => {
  for (const [ms, state] of [
    [999, 'stopped'],
    [1500, 'failed'],
  ] as const) {
    const { server, invitations, after } = world('takes', { status: 503 })
    await server.start()
    invitations[0]?.events.ended('lost', 'x')
    t.is(server.entry.state, 'waiting')
    await after(ms)
    await server.stop()
    t.is(server.entry.state, state)
  }
})

test('who has recorded for half a minute is called after a second again, however often it was lost before', async t => {
  const { server, clock, invitations, after } = world({ status: 503 }, { status: 503 })
  await server.start()
  await after(1000)
  await after(2000)
  t.is(server.entry.state, 'recording')
  await after(30_000)
  invitations.at(-1)?.events.ended('bye', 'x')
  t.deepEqual(clock.waits(), [1000])
  await server.stop()
})

test('a leg of the switch is waited for as long as the switch itself tries, and asked for once more when it did not come', async t => {
  const { server, clock, taps, now, after } = world()
  now.legsCome = false
  const started = server.start()
  await after(0)
  t.deepEqual(clock.waits(), [1000 * (taps[0]?.timeoutSeconds ?? 0)])
  await after(clock.waits()[0] ?? 0)
  t.false(await started)
  t.like(server.entry, { state: 'waiting', code: 500, reason: 'the recording leg of the switch did not come' })
  now.legsCome = true
  await after(1000)
  t.is(server.entry.state, 'recording')
  await server.stop()
})

test('legs that the switch gave up while the server was ringing are made anew', async t => {
  const { server, now, after } = world()
  now.legs = 0
  t.false(await server.start())
  t.like(server.entry, { state: 'waiting', reason: 'a recording leg of the switch was gone' })
  now.legs = 1
  await after(1000)
  t.is(server.entry.state, 'recording')
  await server.stop()
})

test('a call that ends while a server is waited for calls it no more, and its entry says why it has nothing', async t => {
  const { server, clock } = world({ status: 503 })
  await server.start()
  await server.stop()
  t.like(server.entry, { state: 'failed', code: 503, reason: 'x' })
  t.deepEqual(clock.waits(), [])
})

test('a pause that comes while a server is called is told to it as soon as it has taken the call, and so is its end', async t => {
  const { server, now, offers, after } = world()
  now.answered = () => (now.hidden = true)
  await server.start()
  await after(0)
  t.regex(offers[0] ?? '', /a=sendonly/)
  t.regex(offers[1] ?? '', /a=inactive/)
  t.is(server.entry.state, 'paused')
  await server.stop()

  const other = world()
  other.now.hidden = true
  other.now.answered = () => (other.now.hidden = false)
  await other.server.start()
  await other.after(0)
  t.regex(other.offers[0] ?? '', /a=inactive/)
  t.regex(other.offers.at(-1) ?? '', /a=(sendonly|recvonly)/)
  t.is(other.server.entry.state, 'recording')
  await other.server.stop()
})

const moved = (port: number): Response => answer(200, SDP.replace('5004', String(port)))

test('a server that asks what is offered, and answers that in its ACK, has its audio where the ACK says', async t => {
  const { server, invitations, offers, after } = world()
  t.true(await server.start())
  const asked = invitations[0]?.events.asked({ method: 'INVITE', uri: 'sip:callrec', headers: [], body: Buffer.alloc(0) })
  t.is(asked?.status, 200)
  t.regex(String(asked?.body), /a=sendonly/)
  asked?.acknowledged?.({ method: 'ACK', uri: 'sip:callrec', headers: [TYPE], body: moved(6000).body })
  await after(0)
  t.regex(offers.at(-1) ?? '', /m=audio 6000/)
})

test('a server that has its audio elsewhere, as it answers the refresh of its session, gets it there', async t => {
  const { server, invitations, offers, after } = world()
  t.true(await server.start())
  invitations[0]?.events.refresh().answered?.(moved(6002))
  await after(0)
  t.regex(offers.at(-1) ?? '', /m=audio 6002/)
})

test('an answer to new metadata that comes after the end is no fault of the server', async t => {
  const { server, lines } = world()
  t.true(await server.start())
  const told = server.update()
  await server.stop()
  await told
  t.deepEqual(
    lines.filter(({ level }) => level === 'warn'),
    [],
  )
  t.is(server.entry.state, 'stopped')
})
