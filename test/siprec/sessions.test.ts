import { createSocket } from 'node:dgram'
import test from 'ava'
import { isCode } from '../../src/errors.ts'
import { everywhere } from '../../src/recording/settings.ts'
import { header, headersOf } from '../../src/sip/message.ts'
import { ALREADY, DUPLICATE, STAYS } from '../../src/siprec/sessions.ts'
import { tones } from '../helpers/audio.ts'
import { recordingServer } from '../helpers/recording-server.ts'
import { until } from '../helpers/wait.ts'
import { ACCOUNT, FACTS, siprecWorld } from './world.ts'

const SECOND = 8000

test('a call is recorded by two servers at once: each hears the caller on label 1 and the callee on label 2, and breaks no rule', async t => {
  const { siprec, node, call, request, document, events, taps } = await siprecWorld(t)
  const [first, second] = [await recordingServer(t), await recordingServer(t)]
  const leg = await call()
  const started = await siprec.start(request(leg, `${first.uri}, ${second.uri},${first.uri}`, { recordingId: 'case-7', headers: { 'X-Case': '7' } }))
  t.is(await started.begun, 'recording')
  for (const server of [first, second]) {
    const call = await until('five seconds of both', () => {
      const [one] = server.calls
      return one?.heard.length === 2 && one.heard.every(({ pcm }) => pcm.length >= 5 * SECOND) && one
    })
    const wavs = await server.wavs(call)
    for (const [label, hz, other] of [
      ['1', 440, 1000],
      ['2', 1000, 440],
    ] as const) {
      const { samples: [samples = new Int16Array(0)] = [] } = wavs[label] ?? {}
      t.true(tones(samples, SECOND, hz, 1, 4) > 0.8, `label ${label} has ${hz} Hz`)
      t.true(tones(samples, SECOND, other, 1, 4) < 0.1, `label ${label} has no ${other} Hz`)
    }
  }
  // A list names a server once, so each has one dialog; a session never counts its legs as calls of anybody.
  t.deepEqual([first.calls.length, second.calls.length], [1, 1])
  const [invite] = first.calls
  t.is(header(invite?.request ?? { headers: [] }, 'x-srs-recording-id'), 'case-7')
  t.is(header(invite?.request ?? { headers: [] }, 'x-case'), '7')
  t.regex(invite?.metadata[0] ?? '', />case-7<\/recordingid>/)
  t.is((await taps()).length, 4)
  t.true((await taps()).every(one => one.variables['callrec_account_id'] === undefined))

  await node.hangup(leg.uuid, 'NORMAL_CLEARING')
  await until('it is over', async () => (await document(started.id))?.state === 'stopped')
  const recording = await document(started.id)
  t.like(recording, { kind: 'siprec', group_id: started.id, call_id: leg.uuid, channel_labels: ['caller', 'callee'], siprec_recording_id: 'case-7' })
  t.true((recording?.duration_ms ?? 0) >= 1000)
  t.deepEqual(
    recording?.servers.map(({ uri, state, media }) => ({ uri, state, media })),
    [first, second].map(({ uri }) => ({ uri, state: 'stopped', media: 'clear' })),
  )
  await until('both servers were told', () => [first, second].every(one => one.calls[0]?.ended !== undefined))
  t.deepEqual([...(await first.check()), ...(await second.check())], [])
  await until('its end was told', () => events.length > 1)
  t.deepEqual(
    events.map(({ event }) => event),
    ['recording.started', 'recording.stopped'],
  )
  await until('no recording leg is left', async () => (await taps()).length === 0)
})

test('a pause lets nothing leave the switch, then tells the server; the gap map has it, and the resume is heard', async t => {
  const { siprec, call, request, document, cover, events } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call()
  const started = await siprec.start(request(leg, server.uri))
  await started.begun
  const [one] = server.calls
  const packets = (): number => (one?.heard ?? []).reduce((sum, { packets }) => sum + packets, 0)
  await until('it is heard', () => packets() > 100)
  t.like((await cover('pause'))[0]?.[0], { id: started.id, kind: 'siprec', state: 'paused' })
  t.deepEqual(one?.directions.at(-1), ['inactive', 'inactive'])
  // What was on its way when the switch confirmed has come by now.
  await new Promise(resolve => setImmediate(resolve))
  const before = packets()
  await cover('pause')
  t.is(packets(), before)
  t.notRegex(one?.metadata.at(-1) ?? '', /<send>/)
  t.like((await document(started.id))?.servers[0], { state: 'paused' })
  await cover('resume')
  await until('it is heard again', () => packets() > before + 100)
  t.deepEqual(one?.directions.at(-1), ['sendonly', 'sendonly'])
  await siprec.stop(leg.uuid)
  const recording = await document(started.id)
  t.like(recording, { state: 'stopped', segments: [{ kind: 'pause', by: 'api' }] })
  t.true(recording?.segments?.[0]?.until !== undefined)
  t.deepEqual(
    events.map(({ event }) => event),
    ['recording.started', 'recording.paused', 'recording.paused', 'recording.resumed', 'recording.stopped'],
  )
  t.deepEqual(await server.check(), [])
})

test('what begins while its call is masked begins silent', async t => {
  const { siprec, call, request, recorder, document, cover } = await siprecWorld(t)
  const server = await recordingServer(t)
  recorder.wish = { mask: { at: '2026-05-16T10:00:00.000Z', by: 'key *2' } }
  const started = await siprec.start(request(await call(), server.uri))
  t.is(await started.begun, 'masked')
  t.deepEqual(server.calls[0]?.directions, [['inactive', 'inactive']])
  t.like((await document(started.id))?.segments, [{ kind: 'mask', by: 'key *2' }])
  recorder.wish = {}
  await cover('unmask')
  await until('it is heard', () => (server.calls[0]?.heard[0]?.packets ?? 0) > 10)
  t.is(siprec.running((await document(started.id))?.call_id ?? '')[0]?.state, 'recording')
})

test('a server that does not confirm the pause is reported, and hears nothing all the same', async t => {
  const { siprec, call, request, document, cover } = await siprecWorld(t)
  const server = await recordingServer(t, { reinvite: () => 488 })
  const started = await siprec.start(request(await call(), server.uri))
  await started.begun
  await until('it is heard', () => (server.calls[0]?.heard[0]?.packets ?? 0) > 10)
  await cover('pause')
  t.like((await document(started.id))?.servers[0], { state: 'paused', reason: 'the server did not confirm the pause; nothing is sent to it' })
})

test('the troubleshooting table: starting twice is refused with its words, before and after the server answered', async t => {
  const { siprec, call, request } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call()
  const first = siprec.start(request(leg, server.uri))
  const duplicate = await t.throwsAsync(siprec.start(request(leg, server.uri)), { message: 'discarding duplicate startCallRecording request for a call' })
  t.is(duplicate?.message, DUPLICATE)
  await (await first).begun
  const again = await t.throwsAsync(siprec.start(request(leg, server.uri)), { message: 'Cannot start recording when recording is already started' })
  t.is(again?.message, ALREADY)
  t.true(isCode(again, 'wrong_state'))
  t.is(server.calls.length, 1)
})

test('what policy began counts as recording: an action can neither start nor stop another one, but pauses it', async t => {
  const { siprec, call, request, cover, document } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call({ talks: false })
  const first = siprec.start(request(leg, server.uri, { by: 'policy', origin: 'account' }))
  await t.throwsAsync(siprec.start(request(leg, server.uri)), { message: DUPLICATE })
  const started = await first
  await started.begun
  await t.throwsAsync(siprec.start(request(leg, 'sip:other.test')), { message: ALREADY })
  const refused = await t.throwsAsync(siprec.stop(leg.uuid), { message: STAYS })
  t.true(isCode(refused, 'wrong_state'))
  t.like((await cover('pause'))[0]?.[0], { id: started.id, state: 'paused' })
  await t.throwsAsync(siprec.stop(leg.uuid), { message: STAYS })
  t.is(server.calls.length, 1)
  t.like(await document(started.id), { state: 'paused', origins: ['account'], servers: [{ uri: server.uri }] })
})

test('policy that comes to a session that runs has its servers called beside those it has, under the same recording, and no action ends it then', async t => {
  const { siprec, call, request, document, cover, node, store } = await siprecWorld(t)
  const [asked, other, late, bad] = [
    await recordingServer(t),
    await recordingServer(t),
    await recordingServer(t),
    await recordingServer(t, { refuse: () => 403 }),
  ]
  const leg = await call({ talks: false })
  const started = await siprec.start(request(leg, asked.uri))
  // While the action's documents are written, and once more while its server is called.
  const policy = await siprec.start(request(leg, `${asked.uri},${other.uri}`, { by: 'policy', origin: 'account' }))
  t.is(policy.id, started.id)
  await started.begun
  await cover('pause')
  await siprec.start(request(leg, `${late.uri},${bad.uri}`, { by: 'policy', origin: 'user' }))
  await until('all answered', async () => (await document(started.id))?.servers.every(({ state }) => state !== 'starting'))
  t.like(await document(started.id), { state: 'paused', origins: ['callflow : test', 'account', 'user'] })
  t.deepEqual(
    (await document(started.id))?.servers.map(({ uri, state }) => [uri, state]),
    [asked, other, late, bad].map(({ uri }) => [uri, uri === bad.uri ? 'failed' : 'paused']),
  )
  t.deepEqual(
    [asked, other, late].map(({ calls }) => calls.length),
    [1, 1, 1],
  )
  t.deepEqual(late.calls[0]?.directions, [['inactive', 'inactive']])
  t.like(await store.get('recordings_in_flight', started.id), { by_policy: true, servers: [asked, other, late, bad].map(({ uri }) => uri) })
  await t.throwsAsync(siprec.stop(leg.uuid), { message: STAYS })
  t.like(await siprec.start(request(leg, 'wss://srs', { by: 'policy' })), { id: started.id, state: 'failed' })
  await node.hangup(leg.uuid, 'NORMAL_CLEARING')
  await until('it is over', async () => (await document(started.id))?.state === 'stopped')
})

test('policy that names a server that an action has called, in other letters, has it called no second time', async t => {
  const { siprec, call, request, document } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call({ talks: false })
  const started = await siprec.start(request(leg, `sip:SRS.test:${server.port}`))
  t.is(await started.begun, 'recording')
  await siprec.start(request(leg, `SIP:srs.Test:${server.port}`, { by: 'policy', origin: 'policy' }))
  t.is((await document(started.id))?.servers.length, 1)
  t.is(server.calls.length, 1)
})

test('policy that comes before the answer, or after an action has stopped, is a session all the same', async t => {
  const { siprec, call, request, document } = await siprecWorld(t)
  const [first, second] = [await recordingServer(t), await recordingServer(t)]
  const leg = await call({ talks: false })
  const unanswered = { ...leg, uuid: '00000000-0000-4000-8000-00000000ffff', answered: false }
  const waiting = await siprec.start(request(unanswered, first.uri, { by: 'policy' }))
  t.is((await siprec.start(request(unanswered, second.uri, { by: 'policy' }))).id, waiting.id)
  t.deepEqual([first.calls.length, second.calls.length], [0, 0])
  t.is((await document(waiting.id))?.servers.length, 2)
  const started = await siprec.start(request(leg, first.uri))
  await started.begun
  const [, again] = await Promise.all([siprec.stop(leg.uuid), siprec.start(request(leg, second.uri, { by: 'policy' }))])
  t.not(again.id, started.id)
  t.is(await again.begun, 'recording')
  t.is((await document(started.id))?.state, 'stopped')
})

test('the troubleshooting table: starting while it is paused is refused with the same words', async t => {
  const { siprec, call, request, cover } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call()
  await (await siprec.start(request(leg, server.uri))).begun
  await cover('pause')
  await t.throwsAsync(siprec.start(request(leg, server.uri)), { message: ALREADY })
})

for (const [what, servers, code, reason] of [
  ['a server that is missing', '', 400, 'startCallRecording request is missing X-Srs-Url header'],
  ['an expression that came out empty', undefined, 400, 'startCallRecording request is missing X-Srs-Url header'],
  ['no SIP URI', 'wss://srs.example.com', 503, '503 "wss://srs.example.com" is not a SIP URI: WebSocket URLs are not supported, write sip: or sips:'],
  ['a bare host', 'srs.example.com', 503, '503 "srs.example.com" is not a SIP URI: the sip: or sips: scheme is missing'],
] as const) {
  test(`the troubleshooting table: ${what} is a failed recording with its words (${code}), and the next start works`, async t => {
    const { siprec, call, request, document, events } = await siprecWorld(t)
    const server = await recordingServer(t)
    const leg = await call({ talks: false })
    const started = await siprec.start(request(leg, servers))
    t.is(started.state, 'failed')
    t.like(await document(started.id), { state: 'failed', reason })
    t.like(events[0], { event: 'recording.failed', recording: { reason } })
    t.is(await (await siprec.start(request(leg, server.uri))).begun, 'recording')
  })
}

test('a server that refuses does not disturb the one that takes it; pause and stop reach the one that is left', async t => {
  const { siprec, call, request, document, cover } = await siprecWorld(t)
  const [bad, good] = [await recordingServer(t, { refuse: () => 488 }), await recordingServer(t)]
  const leg = await call()
  const started = await siprec.start(request(leg, `${bad.uri},${good.uri}`))
  t.is(await started.begun, 'recording')
  const failed = await until('the other one failed', async () => (await document(started.id))?.servers.find(({ state }) => state === 'failed'))
  t.like(failed, { uri: bad.uri, code: 488 })
  await cover('pause')
  t.deepEqual(good.calls[0]?.directions.at(-1), ['inactive', 'inactive'])
  await siprec.stop(leg.uuid)
  t.like(await document(started.id), { state: 'stopped', servers: [{ state: 'failed' }, { state: 'stopped' }] })
  await t.throwsAsync(siprec.stop(leg.uuid), { message: 'no SIPREC recording of this call runs' })
})

test('when every server refuses, the recording has failed with each reason, nothing is left at the switch, and the next start works', async t => {
  const { siprec, call, request, document, taps, node } = await siprecWorld(t)
  const bad = await recordingServer(t, { refuse: count => (count === 0 ? 486 : undefined) })
  const leg = await call()
  const started = await siprec.start(request(leg, bad.uri))
  t.is(await started.begun, 'failed')
  t.like(await document(started.id), { state: 'failed', servers: [{ uri: bad.uri, state: 'failed', code: 486 }] })
  t.regex((await document(started.id))?.reason ?? '', /^sip:127.*: 486 /)
  await until('no recording leg is left', async () => (await taps()).length === 0)
  t.true(await node.exists(leg.uuid))
  t.is(await (await siprec.start(request(leg, bad.uri))).begun, 'recording')
})

test('a recording that is required ends the call when no server takes it', async t => {
  const { siprec, call, request, node } = await siprecWorld(t)
  const bad = await recordingServer(t, { refuse: () => 403 })
  const leg = await call()
  await (await siprec.start(request(leg, bad.uri, { required: true }))).begun
  await until('the call is over', async () => !(await node.exists(leg.uuid)))
  const second = await call({ talks: false })
  await siprec.start(request(second, 'no server', { required: true }))
  await until('this one, too', async () => !(await node.exists(second.uuid)))
  t.pass()
})

for (const [what, spoil, reason] of [
  ['one m-line', (sdp: string) => sdp.slice(0, sdp.lastIndexOf('m=audio')), 'its answer has 1 of 2 m-lines'],
  ['port 0', (sdp: string) => sdp.replaceAll(/m=audio \d+/g, 'm=audio 0'), 'it refused every stream (port 0)'],
  ['a codec that was not offered', (sdp: string) => sdp.replaceAll('RTP/AVP 0', 'RTP/AVP 9'), 'its answer has a codec that was not offered'],
  ['garbage', () => 'hello', 'its answer is no SDP'],
  ['an address that is not allowed', (sdp: string) => sdp.replaceAll('127.0.0.1', '10.0.0.1'), 'it wants audio at 10.0.0.1, which is not allowed'],
] as const) {
  test(`a server that answers 200 with ${what} is left, and says so: ${reason}`, async t => {
    const { siprec, call, request, document, taps } = await siprecWorld(t)
    const server = await recordingServer(t, { spoil })
    const started = await siprec.start(request(await call({ talks: false }), server.uri))
    t.is(await started.begun, 'failed')
    t.like((await document(started.id))?.servers[0], { state: 'failed', code: 488, reason })
    await until('it was told', () => server.calls[0]?.ended === 'bye')
    await until('no recording leg is left', async () => (await taps()).length === 0)
  })
}

test('a server that asks who calls is told the user and password that the account has for its host, and nobody else is', async t => {
  const { siprec, call, request, document, cover, store, events, lines } = await siprecWorld(t)
  const password = 'hidden-part'
  await store.createDatabase('accounts', 'accounts')
  const account = { siprec_credentials: { 'srs.test': { username: 'acme' } }, pvt_siprec_passwords: { 'srs.test': password } }
  await store.put('accounts', { _id: ACCOUNT, pvt_type: 'account', ...account })
  const [user, proxied] = [
    await recordingServer(t, { demands: { username: 'acme', password, status: 401 } }),
    await recordingServer(t, { demands: { username: 'acme', password, status: 407 } }),
  ]
  const started = await siprec.start(request(await call(), `sip:SRS.test:${user.port},sip:srs.test.:${proxied.port}`))
  t.is(await started.begun, 'recording')
  await until('both take it', async () => (await document(started.id))?.servers.every(({ state }) => state === 'recording'))
  // Asked again in the dialog.
  await cover('pause')
  t.deepEqual(
    (await document(started.id))?.servers.map(({ state, reason }) => ({ state, reason })),
    [1, 2].map(() => ({ state: 'paused', reason: undefined })),
  )
  t.deepEqual([...(await user.check()), ...(await proxied.check())], [])

  const elsewhere = await siprec.start(request(await call({ talks: false }), `sip:127.0.0.1:${user.port},sip:srs.test:${user.port};maddr=127.0.0.1`))
  t.is(await elsewhere.begun, 'failed')
  t.true((await document(elsewhere.id))?.servers.every(({ code }) => code === 401))
  t.is(user.calls.length, 1)
  t.notRegex(JSON.stringify([events, lines, await document(started.id), await document(elsewhere.id)]), /hidden-part/)
})

test('a password that is wrong, or that the store cannot tell now, is a server that refused', async t => {
  const { siprec, call, request, document, store, lines } = await siprecWorld(t)
  const server = await recordingServer(t, { demands: { username: 'acme', password: 'right', status: 401 } })
  const uri = `sip:srs.test:${server.port}`
  const unread = await siprec.start(request(await call({ talks: false }), uri))
  t.is(await unread.begun, 'failed')
  t.is(lines.filter(({ event }) => event === 'siprec_credentials_not_read').length, 1)
  await store.createDatabase('accounts', 'accounts')
  const account = { siprec_credentials: { 'srs.test': { username: 'acme' } }, pvt_siprec_passwords: { 'srs.test': 'wrong' } }
  await store.put('accounts', { _id: ACCOUNT, pvt_type: 'account', ...account })
  const refused = await siprec.start(request(await call({ talks: false }), uri))
  t.is(await refused.begun, 'failed')
  for (const { id } of [unread, refused]) t.like((await document(id))?.servers[0], { state: 'failed', code: 401, reason: 'Who are you' })
})

test('a server that takes PCMA alone hears both parties in it', async t => {
  const { siprec, call, request, cover } = await siprecWorld(t)
  const server = await recordingServer(t, { spoil: sdp => sdp.replaceAll('RTP/AVP 0', 'RTP/AVP 8').replaceAll('a=rtpmap:0 PCMU', 'a=rtpmap:8 PCMA') })
  t.is(await (await siprec.start(request(await call(), server.uri))).begun, 'recording')
  const heard = await until('five seconds of both', () => {
    const both = server.calls[0]?.heard
    return both?.every(({ pcm }) => pcm.length >= 5 * SECOND) && both
  })
  for (const { label, pcm, codecs } of heard) {
    t.true(tones(pcm, SECOND, label === '1' ? 440 : 1000, 1, 4) > 0.8, `label ${label}`)
    t.true(tones(pcm, SECOND, label === '1' ? 1000 : 440, 1, 4) < 0.1, `label ${label}`)
    t.deepEqual([...codecs], [8])
  }
  t.regex(server.calls[0]?.request.body.toString() ?? '', /RTP\/AVP 0 8\r\n/)
  await cover('pause')
  t.deepEqual(server.calls[0]?.directions.at(-1), ['inactive', 'inactive'])
  t.deepEqual(await server.check(), [])
})

test('a server that has its audio elsewhere, as it answers new metadata, gets it there', async t => {
  const { siprec, call, request, node } = await siprecWorld(t)
  const elsewhere = createSocket('udp4')
  await new Promise<void>(resolve => elsewhere.bind(0, '127.0.0.1', resolve))
  t.teardown(() => elsewhere.close())
  let packets = 0
  elsewhere.on('message', () => packets++)
  let moved = false
  const server = await recordingServer(t, { spoil: sdp => (moved ? sdp.replace(/m=audio \d+/, `m=audio ${elsewhere.address().port}`) : sdp) })
  const leg = await call({ talks: false })
  await (await siprec.start(request(leg, server.uri))).begun
  moved = true
  node.execute(leg.uuid, 'bridge', '[origination_callee_id_number=1777]user/carol@acme.example').catch(() => {})
  t.true(await until('it is heard there', () => packets > 10))
})

test('a server that refuses one stream is sent the other', async t => {
  const { siprec, call, request, document } = await siprecWorld(t)
  const server = await recordingServer(t, { spoil: sdp => sdp.replace(/m=audio \d+/, 'm=audio 0') })
  const started = await siprec.start(request(await call(), server.uri))
  t.is(await started.begun, 'recording')
  t.like((await document(started.id))?.servers[0], { state: 'recording', reason: 'it does not take stream 1' })
  await until('the other is heard', () => (server.calls[0]?.heard[1]?.packets ?? 0) > 10)
  t.is(server.calls[0]?.heard[0]?.packets, 0)
})

test('a server that ends its dialog is called again, under the same recording', async t => {
  const { siprec, call, request, document } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call()
  const started = await siprec.start(request(leg, server.uri))
  await started.begun
  await server.calls[0]?.session?.bye()
  await until('it was called again and hears', () => (server.calls[1]?.heard[0]?.packets ?? 0) > 10)
  await until('its document knows', async () => (await document(started.id))?.servers[0]?.state === 'recording')
  const ids = server.calls.map(({ metadata }) => /<recordingid[^>]*>([^<]*)</.exec(metadata[0] ?? '')?.[1])
  t.deepEqual(ids, [started.id, started.id])
  t.deepEqual(await server.check(), [])
})

test('a server asks for a snapshot and gets all of it at once', async t => {
  const { siprec, call, request } = await siprecWorld(t)
  const server = await recordingServer(t)
  await (await siprec.start(request(await call(), server.uri))).begun
  const [one] = server.calls
  const asked = '<recording xmlns="urn:ietf:params:xml:ns:recording:1"><requestsnapshot><requestreason>lost</requestreason></requestsnapshot></recording>'
  t.is(
    await one?.ask(
      'UPDATE',
      [
        ['Content-Type', 'application/rs-metadata+xml'],
        ['Content-Disposition', 'recording-session'],
      ],
      asked,
    ),
    200,
  )
  await until('a snapshot came', () => one?.metadata.length === 2)
  t.is(one?.metadata[1], one?.metadata[0])
  t.deepEqual(await server.check(), [])
})

test('a server that is not ready yet is sent nothing until it says that it is', async t => {
  const { siprec, call, request } = await siprecWorld(t)
  let ready = false
  const server = await recordingServer(t, { spoil: sdp => (ready ? sdp : sdp.replaceAll('recvonly', 'inactive')) })
  await (await siprec.start(request(await call(), server.uri))).begun
  const [one] = server.calls
  t.is(one?.heard[0]?.packets, 0)
  ready = true
  t.is(await one?.ask('INVITE', [['Content-Type', 'application/sdp']], one.sdp('recvonly')), 200)
  await until('it is heard', () => (one?.heard[0]?.packets ?? 0) > 10 && (one?.heard[1]?.packets ?? 0) > 10)
})

test('what a server asks that cannot be done is refused, and the recording goes on', async t => {
  const { siprec, call, request } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call()
  await (await siprec.start(request(leg, server.uri))).begun
  const [one] = server.calls
  t.is(await one?.ask('INVITE', [['Content-Type', 'application/sdp']], 'garbage'), 488)
  t.is(await one?.ask('INFO', [['Content-Type', 'text/plain']], 'hello'), 415)
  t.is(await one?.ask('MESSAGE', [['Content-Type', 'text/plain']], 'hello'), 405)
  t.is(await one?.ask('INVITE', [], ''), 200)
  t.is(await one?.ask('UPDATE', [], ''), 200)
  t.is(siprec.running(leg.uuid)[0]?.state, 'recording')
})

test('who is bridged in is told to the server as a new participant', async t => {
  const { siprec, call, request, node } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call({ talks: false })
  await (await siprec.start(request(leg, server.uri))).begun
  node.execute(leg.uuid, 'bridge', '[origination_callee_id_number=1777]user/carol@acme.example').catch(() => {})
  await until('it was told', () => (server.calls[0]?.metadata.length ?? 0) > 1)
  t.regex(server.calls[0]?.metadata.at(-1) ?? '', /<disassociate-time>/)
  t.deepEqual(await server.check(), [])
})

test('what the servers are to know a recording by is one header of one line, and no other header has its name', async t => {
  const { siprec, call, request } = await siprecWorld(t)
  const server = await recordingServer(t)
  const headers = { 'X-SRS-Recording-Id': 'another', 'X-Agent': '7' }
  const started = await siprec.start(request(await call({ talks: false }), server.uri, { recordingId: ' case\r\nX-Evil: 1\t', headers }))
  t.is(await started.begun, 'recording')
  const [one] = server.calls
  const named = (name: string): string[] => (one === undefined ? [] : headersOf(one.request, name))
  t.deepEqual(named('x-srs-recording-id'), ['case X-Evil: 1'])
  t.deepEqual(named('x-agent'), ['7'])
  t.regex(one?.metadata[0] ?? '', /<recordingid [^>]*>case X-Evil: 1</)
})

test('hold is told to the server, stands in the gap map, and its end is told as well', async t => {
  const { siprec, tell, call, request, document } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call()
  const started = await siprec.start(request(leg, server.uri))
  await started.begun
  t.regex(server.calls[0]?.metadata[0] ?? '', /<send>/)
  // By whom he talks to, then once more by himself.
  const other = { ...leg, uuid: leg.otherLeg ?? '', otherLeg: leg.uuid }
  tell({ name: 'CHANNEL_HOLD', leg: other, at: Date.now() })
  tell({ name: 'CHANNEL_HOLD', leg, at: Date.now() })
  await until('the hold is told', () => server.calls[0]?.metadata.length === 2)
  t.notRegex(server.calls[0]?.metadata[1] ?? '', /<send>/)
  t.is((await document(started.id))?.state, 'recording')
  tell({ name: 'CHANNEL_UNHOLD', leg: other, at: Date.now() })
  await until('its end is told', () => server.calls[0]?.metadata.length === 3)
  t.regex(server.calls[0]?.metadata[2] ?? '', /<send>/)
  await siprec.stop(leg.uuid)
  const [held, ...others] = (await document(started.id))?.segments ?? []
  t.like(held, { kind: 'hold', by: 'hold' })
  t.true(held?.until !== undefined)
  t.deepEqual(others, [])
  t.deepEqual(await server.check(), [])
})

for (const who of ['caller', 'callee'] as const) {
  test(`the ${who} is put on hold at the switch: the server is told that nobody speaks, and that it is over`, async t => {
    const { siprec, hold, call, request, document } = await siprecWorld(t)
    const server = await recordingServer(t)
    const leg = await call()
    const started = await siprec.start(request(leg, server.uri))
    await started.begun
    const uuid = who === 'caller' ? leg.uuid : (leg.otherLeg ?? '')
    t.is(await hold(uuid, true), '+OK Success\n')
    await until('the hold is told', () => server.calls[0]?.metadata.length === 2)
    t.notRegex(server.calls[0]?.metadata[1] ?? '', /<send>/)
    await until('it stands in the gap map', async () => (await document(started.id))?.segments?.[0]?.kind === 'hold')
    await hold(uuid, true)
    await hold(uuid, false)
    await until('its end is told', () => server.calls[0]?.metadata.length === 3)
    t.regex(server.calls[0]?.metadata[2] ?? '', /<send>/)
    await siprec.stop(leg.uuid)
    t.true((await document(started.id))?.segments?.[0]?.until !== undefined)
    t.deepEqual(await server.check(), [])
  })
}

test('where another engine takes the switch the servers are told that it is over, and the documents are left to it', async t => {
  const { siprec, tell, node, call, request, document, queued } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call()
  const started = await siprec.start(request(leg, server.uri))
  await started.begun
  const before = await document(started.id)
  tell({ name: 'node_lost', node: node.name, owner: 'another' })
  await until('the server is told', () => server.calls[0]?.ended !== undefined)
  t.deepEqual(siprec.running(leg.uuid), [])
  tell({ name: 'CHANNEL_HANGUP_COMPLETE', leg, at: Date.now(), cause: 'NORMAL_CLEARING' })
  await siprec.close()
  t.deepEqual(await document(started.id), before)
  t.truthy(await queued(started.id))
})

test('what was recorded of who leaves goes on with who is left: a next part of the group, for the same server', async t => {
  const { siprec, node, call, request, document } = await siprecWorld(t)
  const server = await recordingServer(t)
  const [alice, carol] = [await call(), await call({ talks: false })]
  const first = await siprec.start(request(alice, server.uri, { recordingId: 'case-7', headers: { 'X-Case': '7' } }))
  await first.begun
  await node.hangup(alice.uuid, 'NORMAL_CLEARING')
  await until('the first part is over', async () => (await document(first.id))?.state === 'stopped')
  const { owner_id: _, ...facts } = { owner_id: 'of carol', ...FACTS }
  await siprec.follow(alice.uuid, { accountId: ACCOUNT, leg: carol, side: 'callee', facts })
  const [next] = siprec.running(carol.uuid)
  await until('the second part', () => siprec.running(carol.uuid)[0]?.state === 'recording')
  t.like(await document(next?.id ?? ''), { group_id: first.id, siprec_recording_id: 'case-7', origin: 'callflow : test', call_id: carol.uuid })
  t.is(server.calls.length, 2)
  t.is(header(server.calls[1]?.request ?? { headers: [] }, 'x-case'), '7')
  const groups = server.calls.map(({ metadata }) => /group_id="([^"]+)"/.exec(metadata[0] ?? '')?.[1])
  t.is(groups[0], groups[1], 'and the server is told that they belong together')
  await siprec.follow(alice.uuid, { accountId: ACCOUNT, leg: carol, side: 'callee', facts })
  t.is(server.calls.length, 2, 'once')
})

test('what does not follow transfers ends, also while its leg is there', async t => {
  const { siprec, call, request, document } = await siprecWorld(t)
  const server = await recordingServer(t)
  const [alice, carol] = [await call(), await call({ talks: false })]
  const first = await siprec.start(request(alice, server.uri, { follows: false }))
  await first.begun
  await siprec.follow(alice.uuid, { accountId: ACCOUNT, leg: carol, side: 'callee', facts: FACTS })
  t.is((await document(first.id))?.state, 'stopped')
  t.deepEqual(siprec.running(carol.uuid), [])
})

test('a recording by servers is in the group of the files of its call', async t => {
  const { siprec, call, request, document, recorder } = await siprecWorld(t)
  const server = await recordingServer(t)
  recorder.group = `202611-${'c'.repeat(32)}`
  const started = await siprec.start(request(await call(), server.uri))
  await started.begun
  t.is((await document(started.id))?.group_id, recorder.group)
  t.true((server.calls[0]?.metadata[0] ?? '').includes(`group_id="${Buffer.from('c'.repeat(32), 'hex').toString('base64')}"`))
})

test('what begins beside it is told its group, and so is a session of another leg of its call', async t => {
  const { siprec, call, request, document, recorder } = await siprecWorld(t)
  const server = await recordingServer(t)
  const [alice, carol] = [await call({ talks: false }), await call({ talks: false })]
  const started = await siprec.start(request(alice, server.uri))
  const asked = (leg: string, interactionId: string): (string | undefined)[] => [...recorder.others].map(other => other.groupOf(leg, interactionId))
  t.deepEqual(asked(alice.uuid, 'another'), [started.id])
  t.deepEqual(asked(carol.uuid, FACTS.interaction_id), [started.id])
  t.deepEqual(asked(carol.uuid, 'another'), [undefined])
  const other = await siprec.start(request(carol, server.uri))
  t.is((await document(other.id))?.group_id, started.id)
  await siprec.stop(alice.uuid)
  await siprec.stop(carol.uuid)
  t.deepEqual(asked(alice.uuid, FACTS.interaction_id), [undefined])
})

test('mixed mode is one stream with both parties', async t => {
  const { siprec, call, request, document } = await siprecWorld(t)
  const server = await recordingServer(t)
  const started = await siprec.start(request(await call(), server.uri, { mode: 'mixed' }))
  await started.begun
  const heard = await until('five seconds', () => {
    const one = server.calls[0]?.heard[0]
    return one !== undefined && one.pcm.length >= 5 * SECOND && one
  })
  t.true(tones(heard.pcm, SECOND, 440, 1, 4) > 0.3)
  t.true(tones(heard.pcm, SECOND, 1000, 1, 4) > 0.3)
  t.is(server.calls[0]?.heard.length, 1)
  t.like(await document(started.id), { channels: 1, channel_labels: ['mixed'] })
  t.deepEqual(await server.check(), [])
})

test('started before the answer it is remembered, and discarded when the answer never comes', async t => {
  const { siprec, request, document, node, call } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call({ talks: false })
  const unanswered = { ...leg, uuid: '00000000-0000-4000-8000-00000000ffff', answered: false }
  const started = await siprec.start(request(unanswered, server.uri))
  t.is(started.state, 'waiting')
  t.is(server.calls.length, 0)
  await t.throwsAsync(siprec.start(request(unanswered, server.uri)), { message: DUPLICATE })
  await siprec.stop(unanswered.uuid)
  t.like(await document(started.id), { state: 'discarded', reason: 'never_begun' })
  t.true(await node.exists(leg.uuid))
})

test('an answer, or the end, that comes while its documents are written is one beginning, or none', async t => {
  const { siprec, call, request, document, tell } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call({ talks: false })
  const starting = siprec.start(request({ ...leg, answered: false }, server.uri))
  tell({ name: 'CHANNEL_ANSWER', leg, at: Date.now() })
  const started = await starting
  t.is(await started.begun, 'recording')
  t.deepEqual(siprec.running(leg.uuid), [{ id: started.id, state: 'recording' }])
  await siprec.stop(leg.uuid)
  t.is(server.calls.length, 1)
  const again = siprec.start(request(leg, server.uri))
  tell({ name: 'CHANNEL_DESTROY', leg, at: Date.now(), cause: 'NORMAL_CLEARING' } as never)
  await (await again).begun
  await until('it is over', async () => (await document((await again).id))?.state === 'discarded')
  t.deepEqual([siprec.running(leg.uuid), server.calls.length], [[], 1])
})

test('the troubleshooting table: no audio that leaves the switch within 10 s is told in log and document, and the recording goes on', async t => {
  const { siprec, call, request, document, node, lines } = await siprecWorld(t)
  const server = await recordingServer(t)
  // As of a switch that has nothing to send, or may not.
  Object.assign(node, { packetsSent: async () => 0 })
  const leg = await call()
  const started = await siprec.start(request(leg, server.uri))
  await started.begun
  await until('it is told', async () => (await document(started.id))?.reason !== undefined)
  t.is((await document(started.id))?.reason, 'no audio has left the switch for this server in 10 s; RTP from the switch to the server may be blocked')
  t.is(lines.filter(({ event }) => event === 'siprec_without_audio').length, 1)
  t.is(siprec.running(leg.uuid)[0]?.state, 'recording')
})

test('a switch that cannot make the recording leg fails this server with its cause, and one that does not confirm a pause has its legs ended', async t => {
  const { siprec, call, request, document, node, cover, taps } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call({ talks: false })
  const tap = node.tap.bind(node)
  Object.assign(node, { tap: () => Promise.reject(new Error('-ERR NO_ROUTE')) })
  const failed = await siprec.start(request(leg, server.uri))
  t.is(await failed.begun, 'starting')
  t.like(await document(failed.id), { servers: [{ state: 'waiting', code: 500, reason: '-ERR NO_ROUTE' }] })
  await siprec.stop(leg.uuid)
  t.like(await document(failed.id), { state: 'failed', servers: [{ state: 'failed', code: 500, reason: '-ERR NO_ROUTE' }] })
  t.is(server.calls.length, 0)
  Object.assign(node, { tap })
  const started = await siprec.start(request(leg, server.uri))
  await started.begun
  // The legs of the switch vanish at the moment they are to fall silent.
  const gone = Promise.all((await taps()).map(one => node.hangup(one.uuid, 'NORMAL_CLEARING')))
  await Promise.all([gone, cover('pause')])
  await until('no leg may speak', async () => (await taps()).length === 0 || (await document(started.id))?.servers[0]?.state !== 'recording')
  t.not((await document(started.id))?.servers[0]?.state, 'recording')
})

test('a name that the resolver knows reaches the server; one that leads nowhere, or where nobody may call, is told with 503', async t => {
  const { siprec, call, request, document } = await siprecWorld(t)
  const server = await recordingServer(t)
  const good = await siprec.start(request(await call({ talks: false }), `sip:srs.test:${server.port}`))
  t.is(await good.begun, 'recording')
  for (const [uri, reason] of [
    ['sip:nowhere.test', 'its address leads nowhere'],
    ['sip:10.0.0.1', 'its address is in a network that is not allowed'],
  ]) {
    const bad = await siprec.start(request(await call({ talks: false }), uri))
    t.is(await bad.begun, 'starting')
    t.like((await document(bad.id))?.servers[0], { state: 'waiting', code: 503, reason })
  }
})

const SAYS_NOTHING = everywhere('account', { announce: { text: '日本', to: 'both', required: true, keep: false } }).inbound.onnet

test('a call that must be recorded ends where its parties cannot be told, and no server is called', async t => {
  const { siprec, node, call, request, document, events } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call()
  const started = await siprec.start(request(leg, server.uri, { required: true, settings: SAYS_NOTHING }))
  t.is(await started.begun, 'failed')
  await until('it is over', async () => !(await node.exists(leg.uuid)))
  t.like(await document(started.id), { state: 'failed', reason: 'announcement_failed' })
  t.is((await document(started.id))?.consent?.announced?.length, 2)
  t.is(server.calls.length, 0)
  t.deepEqual(
    events.map(({ event }) => event),
    ['recording.failed'],
  )
})

test('what is refused does not begin, by whomever it is asked for, and does not follow a transfer', async t => {
  const { siprec, recorder, call, request, lines } = await siprecWorld(t)
  const server = await recordingServer(t)
  const [leg, survivor] = [await call(), await call()]
  const started = await siprec.start(request(leg, server.uri))
  await started.begun
  recorder.refused = true
  t.true(isCode(await t.throwsAsync(siprec.start(request(survivor, server.uri))), 'wrong_state'))
  await siprec.follow(leg.uuid, { accountId: ACCOUNT, leg: survivor, side: 'caller', facts: FACTS })
  t.deepEqual([...siprec.running(leg.uuid), ...siprec.running(survivor.uuid)], [])
  t.false(lines.some(({ level }) => level === 'error'))
})

test('a switch that is connected anew says nothing of the calls of another one', async t => {
  const { siprec, call, request, tell, lines } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call()
  const started = await siprec.start(request(leg, server.uri))
  await started.begun
  tell({ name: 'node_up', node: 'fs2' })
  tell({ name: 'node_up', node: 'fs1' })
  await siprec.close()
  t.false(lines.some(({ event }) => event === 'recording_stopped'))
})
