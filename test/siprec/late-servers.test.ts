// Recording servers that are away at the moment a call begins, and come while it goes on.

import test from 'ava'
import { everywhere } from '../../src/recording/settings.ts'
import { DUPLICATE } from '../../src/siprec/sessions.ts'
import { recordingServer } from '../helpers/recording-server.ts'
import { until } from '../helpers/wait.ts'
import { siprecWorld } from './world.ts'

const AWAY = { refuse: (count: number): number | undefined => (count === 0 ? 480 : undefined) }

test('a server that is away as the call begins has the rest of it: the recording begins with it, and no start waits for it', async t => {
  const { siprec, call, request, document, events } = await siprecWorld(t)
  const server = await recordingServer(t, AWAY)
  const leg = await call()
  const started = await siprec.start(request(leg, server.uri))
  t.is(started.state, 'starting')
  t.is(await started.begun, 'starting')
  t.like((await document(started.id))?.servers[0], { state: 'waiting', code: 480 })
  t.deepEqual(events, [])
  await t.throwsAsync(siprec.start(request(leg, server.uri)), { message: DUPLICATE })
  await until('both are heard', () => server.calls[1]?.heard.length === 2 && server.calls[1].heard.every(({ packets }) => packets > 10))
  await until('it is told', () => events.length === 1)
  const recording = await document(started.id)
  t.like(recording, { state: 'recording', servers: [{ state: 'recording' }] })
  t.false(recording?.servers.some(({ code, reason }) => code !== undefined || reason !== undefined))
  await siprec.stop(leg.uuid)
  t.like(await document(started.id), { state: 'stopped', servers: [{ state: 'stopped' }] })
  t.deepEqual(
    events.map(({ event }) => event),
    ['recording.started', 'recording.stopped'],
  )
  t.deepEqual(await server.check(), [])
})

test('a server that is away holds up neither another one nor the start, and is there in the end', async t => {
  const { siprec, call, request, document } = await siprecWorld(t)
  const [away, good] = [await recordingServer(t, AWAY), await recordingServer(t)]
  const started = await siprec.start(request(await call({ talks: false }), `${away.uri},${good.uri}`))
  t.is(await started.begun, 'recording')
  await until('both record', async () => (await document(started.id))?.servers.every(({ state }) => state === 'recording'))
  t.deepEqual([away.calls.length, good.calls.length], [2, 1])
})

test('a server that comes back while another one still says nothing makes it a recording, for whoever waits as well', async t => {
  const { siprec, call, request, document } = await siprecWorld(t)
  const [away, silent] = [await recordingServer(t, AWAY), await recordingServer(t, { refuse: () => 0 })]
  const started = await siprec.start(request(await call({ talks: false }), `${away.uri},${silent.uri}`, { required: true }))
  t.is(await started.begun, 'recording')
  t.deepEqual(
    (await document(started.id))?.servers.map(({ state }) => state),
    ['recording', 'starting'],
  )
})

for (const [how, over] of [
  ['hangs up', 'hangup'],
  ['is told to stop', 'stop'],
] as const) {
  test(`a call that ${how} before any server came is a failed recording that says why, and nobody is called for it any more`, async t => {
    const { siprec, node, call, request, document, events, taps } = await siprecWorld(t)
    const server = await recordingServer(t, { refuse: () => 480 })
    const leg = await call({ talks: false })
    const started = await siprec.start(request(leg, server.uri))
    await started.begun
    const count = server.calls.length
    if (over === 'hangup') await node.hangup(leg.uuid, 'NORMAL_CLEARING')
    else t.is((await siprec.stop(leg.uuid)).state, 'failed')
    await until('its end is told', () => events.length === 1)
    const recording = await document(started.id)
    t.like(recording, { state: 'failed', duration_ms: 0, servers: [{ state: 'failed', code: 480 }] })
    t.regex(recording?.reason ?? '', /^sip:127.*: 480 /)
    t.is(events[0]?.event, 'recording.failed')
    t.deepEqual(siprec.running(leg.uuid), [])
    await until('no recording leg is left', async () => (await taps()).length === 0)
    t.is(server.calls.length, count)
  })
}

test('a recording that is required waits for no second call of its servers: who may not go on unrecorded does not', async t => {
  const { siprec, node, call, request, document } = await siprecWorld(t)
  const server = await recordingServer(t, AWAY)
  const leg = await call({ talks: false })
  const started = await siprec.start(request(leg, server.uri, { required: true }))
  t.is(await started.begun, 'failed')
  await until('the call is over', async () => !(await node.exists(leg.uuid)))
  t.like(await document(started.id), { state: 'failed', servers: [{ state: 'failed', code: 480 }] })
  t.is(server.calls.length, 1)
})

test('a server that policy adds, and that comes before those the action named, makes it a recording', async t => {
  const { siprec, call, request, document } = await siprecWorld(t)
  const [away, good] = [await recordingServer(t, { refuse: () => 480 }), await recordingServer(t)]
  const leg = await call({ talks: false })
  const started = await siprec.start(request(leg, away.uri))
  t.is(await started.begun, 'starting')
  await siprec.start(request(leg, good.uri, { by: 'policy', origin: 'account' }))
  await until('it records', async () => (await document(started.id))?.state === 'recording')
  t.is((await document(started.id))?.servers[1]?.state, 'recording')
})

test('what is masked while a server is waited for begins silent, and what was unmasked meanwhile does not', async t => {
  const { siprec, call, request, document, recorder } = await siprecWorld(t)
  const [masked, open] = [await recordingServer(t, AWAY), await recordingServer(t, AWAY)]
  const [first, second] = [await call({ talks: false }), await call({ talks: false })]
  const silent = await siprec.start(request(first, masked.uri))
  await silent.begun
  recorder.wish = { mask: { at: '2026-05-16T10:00:00.000Z', by: 'key *2' } }
  await until('it is masked', async () => (await document(silent.id))?.state === 'masked')
  t.deepEqual(masked.calls[1]?.directions, [['inactive', 'inactive']])
  t.like((await document(silent.id))?.segments, [{ kind: 'mask', by: 'key *2' }])

  const heard = await siprec.start(request(second, open.uri))
  await heard.begun
  t.deepEqual(open.calls[0]?.directions, [['inactive', 'inactive']])
  recorder.wish = {}
  await until('it is recorded', async () => (await document(heard.id))?.state === 'recording')
  t.deepEqual(open.calls[1]?.directions, [['sendonly', 'sendonly']])
})

test('who joins while a server is waited for, and is to be told first, is not heard by it before', async t => {
  const { siprec, node, call, request, document } = await siprecWorld(t)
  let isAway = true
  const server = await recordingServer(t, { refuse: () => (isAway ? 480 : undefined) })
  const leg = await call({ talks: false })
  const settings = everywhere('account', { announce: { media: 'tone_stream://%(3000000,0,2000)', to: 'callee', required: true, keep: false } }).inbound.onnet
  const started = await siprec.start(request(leg, server.uri, { settings }))
  t.is(await started.begun, 'starting')
  const told: string[] = []
  const execute = node.execute.bind(node)
  Object.assign(node, { execute: (...what: Parameters<typeof execute>) => (told.push(what[1]), execute(...what)) })
  execute(leg.uuid, 'bridge', 'user/bob@acme.example').catch(() => {})
  await until('Bob is being told', () => told.length > 0)
  isAway = false
  await until('it is paused', async () => (await document(started.id))?.state === 'paused')
  t.deepEqual(server.calls.at(-1)?.directions, [['inactive', 'inactive']])
  t.like((await document(started.id))?.segments, [{ kind: 'pause', by: 'announcement' }])
})
