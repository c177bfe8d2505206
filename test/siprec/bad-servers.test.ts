// Recording servers that misbehave, and what other recording clients were seen to do wrong with them: that is what these hold ours to.

import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import test from 'ava'
import { header } from '../../src/sip/message.ts'
import { recordingServer } from '../helpers/recording-server.ts'
import { until } from '../helpers/wait.ts'
import { siprecWorld } from './world.ts'

test('a server that says BYE as soon as it has taken a call is called again, and what it takes then is heard', async t => {
  let count = 0
  const { siprec, call, request, document, taps } = await siprecWorld(t)
  const server = await recordingServer(t, { taken: ({ session }) => void (count++ === 0 && session?.bye()) })
  const leg = await call({ talks: false })
  const started = await siprec.start(request(leg, server.uri))
  await until('it is heard at the second time', () => (server.calls[1]?.heard[0]?.packets ?? 0) > 10)
  await until('its document knows', async () => (await document(started.id))?.servers[0]?.state === 'recording')
  t.is(server.calls[0]?.ended, 'ours')
  await until('only its own legs are left', async () => (await taps()).length === 2)
  t.deepEqual(await server.check(), [])
})

test('a server that says 100 and nothing more keeps neither the call nor another server waiting, and is let go with the recording', async t => {
  const { siprec, call, request, document, cover, taps } = await siprecWorld(t)
  const [slow, good] = [await recordingServer(t, { refuse: () => 0 }), await recordingServer(t)]
  const leg = await call({ talks: false })
  const started = await siprec.start(request(leg, `${slow.uri},${good.uri}`))
  t.is(await started.begun, 'recording')
  await until('the slow one was called', () => slow.calls.length === 1)
  t.deepEqual(
    (await document(started.id))?.servers.map(({ state }) => state),
    ['starting', 'recording'],
  )
  t.like((await cover('pause'))[0]?.[0], { state: 'paused' })
  await siprec.stop(leg.uuid)
  await until('both were told', () => slow.calls[0]?.ended === 'cancelled' && good.calls[0]?.ended === 'bye')
  await until('no recording leg is left', async () => (await taps()).length === 0)
  t.like(await document(started.id), { state: 'stopped', servers: [{ state: 'stopped' }, { state: 'stopped' }] })
})

test('stopped before its only server answered, a recording is over and the next one begins', async t => {
  const { siprec, call, request, document } = await siprecWorld(t)
  let asked = 0
  const server = await recordingServer(t, { refuse: () => (asked++ === 0 ? 0 : undefined) })
  const leg = await call({ talks: false })
  const started = await siprec.start(request(leg, server.uri))
  await until('it was called', () => server.calls.length === 1)
  await siprec.stop(leg.uuid)
  t.like(await document(started.id), { state: 'stopped' })
  t.deepEqual(siprec.running(leg.uuid), [])
  await until('it was told', () => server.calls[0]?.ended === 'cancelled')
  t.is(await (await siprec.start(request(leg, server.uri))).begun, 'recording')
})

for (const status of [400, 415, 420, 488, 603]) {
  test(`a server that refuses with ${status}, be it for the metadata, has that in its entry, and the next start works`, async t => {
    const { siprec, call, request, document, taps } = await siprecWorld(t)
    let asked = 0
    const server = await recordingServer(t, { refuse: () => (asked++ === 0 ? status : undefined) })
    const leg = await call({ talks: false })
    const started = await siprec.start(request(leg, server.uri))
    t.is(await started.begun, 'failed')
    t.like((await document(started.id))?.servers[0], { state: 'failed', code: status })
    await until('no recording leg is left', async () => (await taps()).length === 0)
    t.is(await (await siprec.start(request(leg, server.uri))).begun, 'recording')
  })
}

test('a server that refuses new metadata has that in its entry, and hears the call as before', async t => {
  const { siprec, node, call, request, document } = await siprecWorld(t)
  const server = await recordingServer(t, { reinvite: () => 415 })
  const leg = await call({ talks: false })
  const started = await siprec.start(request(leg, server.uri))
  await started.begun
  node.execute(leg.uuid, 'bridge', '[origination_callee_id_number=1777]user/carol@acme.example').catch(() => {})
  await until('it is told', async () => (await document(started.id))?.servers[0]?.reason === 'it did not take the new metadata')
  t.is((await document(started.id))?.servers[0]?.state, 'recording')
  const before = server.calls[0]?.heard[0]?.packets ?? 0
  await until('more is heard', () => (server.calls[0]?.heard[0]?.packets ?? 0) > before + 20)
  t.is(server.calls.length, 1)
})

test('a server that falls silent holds up neither the pause of a call nor its end, and no other server', async t => {
  const { siprec, call, request, document, cover } = await siprecWorld(t)
  let isDeaf = false
  const [silent, good] = [await recordingServer(t, { deaf: () => isDeaf }), await recordingServer(t)]
  const started = await siprec.start(request(await call(), `${silent.uri},${good.uri}`))
  const states = async (): Promise<unknown> => (await document(started.id))?.servers.map(({ state }) => state)
  await until('both have it', async () => String(await states()) === 'recording,recording')
  isDeaf = true
  await cover('pause')
  t.is(good.calls[0]?.directions.at(-1)?.[0], 'inactive')
  const reason = 'the server did not confirm the pause; nothing is sent to it'
  t.like((await document(started.id))?.servers, [
    { state: 'paused', reason },
    { state: 'paused', reason: undefined },
  ])
  await cover('resume')
  t.deepEqual(await states(), ['recording', 'recording'])
  t.is(good.calls[0]?.directions.at(-1)?.[0], 'sendonly')
})

test('while a server says nothing to new metadata, a pause silences it all the same', async t => {
  const { siprec, node, call, request, document, cover } = await siprecWorld(t)
  let isDeaf = false
  const server = await recordingServer(t, { deaf: () => isDeaf })
  const leg = await call({ talks: false })
  const started = await siprec.start(request(leg, server.uri))
  await started.begun
  isDeaf = true
  node.execute(leg.uuid, 'bridge', '[origination_callee_id_number=1777]user/carol@acme.example').catch(() => {})
  await until('they talk', async () => (await node.leg(leg.uuid))?.otherLeg !== undefined)
  await cover('pause')
  t.like((await document(started.id))?.servers[0], { state: 'paused', reason: 'the server did not confirm the pause; nothing is sent to it' })
})

test('every message says the whole: Accept, +sip.src outside the brackets, a boundary of its own, metadata with each offer, the caller on stream 1', async t => {
  const { siprec, call, request, cover } = await siprecWorld(t)
  const server = await recordingServer(t)
  const started = await siprec.start(request(await call(), server.uri))
  await started.begun
  await cover('pause')
  await cover('resume')
  const [one] = server.calls
  const first = one?.request ?? { headers: [], body: Buffer.alloc(0) }
  t.is(header(first, 'accept'), 'application/sdp, application/rs-metadata, application/rs-metadata+xml')
  t.regex(header(first, 'contact') ?? '', />;\+sip\.src$/)
  t.is(one?.directions.length, 3)
  t.is(one?.metadata.length, 3)
  const boundaries = (one?.requests ?? []).map(each => /boundary=(\S+)/.exec(header(each, 'content-type') ?? '')?.[1])
  t.is(new Set(boundaries).size, 3)
  const metadata = one?.metadata[0] ?? ''
  const stream = /<stream stream_id="([^"]+)"[^>]*><label>1</.exec(metadata)?.[1] ?? 'none'
  const caller = /<participant participant_id="([^"]+)"><nameID aor="sip:1001@/.exec(metadata)?.[1] ?? 'none'
  t.true(metadata.includes(`<participantstreamassoc participant_id="${caller}"><send>${stream}</send>`))
  // Without an id of the callflow's it is callrec's own, and nothing that is not there is written out.
  t.true(metadata.includes(`>${started.id}</recordingid>`))
  t.is(header(first, 'x-srs-recording-id'), started.id)
  for (const text of [first.body.toString(), ...(one?.metadata ?? []), JSON.stringify(first.headers)]) t.notRegex(text, /undefined|null|NaN/)
  t.regex(metadata, /<start-time>\d{4}-\d\d-\d\dT[\d:.]+Z</)
  t.regex(metadata, /<name xml:lang="en">Alice &amp; &quot;Co&quot;</)
  t.deepEqual(await server.check(), [])
})

test('datagrams of noise on our SIP port, and requests for nobody, disturb no recording and begin none', async t => {
  const { siprec, call, request, lines } = await siprecWorld(t)
  const server = await recordingServer(t)
  const leg = await call({ talks: false })
  await (await siprec.start(request(leg, server.uri))).begun
  const [, port = ''] = /@127\.0\.0\.1:(\d+)/.exec(header(server.calls[0]?.request ?? { headers: [] }, 'contact') ?? '') ?? []
  const stranger = createSocket('udp4')
  t.teardown(() => stranger.close())
  const answers: string[] = []
  stranger.on('message', bytes => answers.push(bytes.toString().slice(0, 11)))
  const send = (bytes: Buffer): Promise<void> =>
    new Promise((resolve, reject) => stranger.send(bytes, Number(port), '127.0.0.1', error => (error === null ? resolve() : reject(error))))
  for (let i = 1; i <= 200; i++) await send(randomBytes(i * 7))
  const said = (method: string, to: string): Buffer =>
    Buffer.from(
      `${method} sip:tap-0@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK${method}\r\nFrom: <sip:x@y>;tag=1\r\nTo: <sip:tap-0@127.0.0.1>${to}\r\nCall-ID: ${method}\r\nCSeq: 1 ${method}\r\nContact: <sip:x@127.0.0.1>\r\nContent-Length: 0\r\n\r\n`,
    )
  await until('both are refused', async () => {
    // As over UDP: what the socket had no room for is sent again.
    await send(said('INVITE', ''))
    await send(said('BYE', ';tag=none'))
    return answers.includes('SIP/2.0 404') && answers.includes('SIP/2.0 481')
  })
  const before = server.calls[0]?.heard[0]?.packets ?? 0
  await until('more is heard', () => (server.calls[0]?.heard[0]?.packets ?? 0) > before + 20)
  t.is(siprec.running(leg.uuid)[0]?.state, 'recording')
  t.deepEqual(
    lines.filter(({ level }) => level === 'error'),
    [],
  )
})
