// Recording servers on a real FreeSWITCH, where there is one: each party in the right stream, nothing during a pause or of who was not told.

import { setTimeout as after } from 'node:timers/promises'
import test from 'ava'
import { everywhere } from '../../src/recording/settings.ts'
import { tones } from '../helpers/audio.ts'
import { startFreeSwitch } from '../helpers/operator-freeswitch.ts'
import { onPath, realRun } from '../helpers/real.ts'
import { type Recorded, recordingServer } from '../helpers/recording-server.ts'
import { tlsFront } from '../helpers/tls-front.ts'
import { until } from '../helpers/wait.ts'
import { siprecWorld } from './world.ts'

const SECOND = 8000
const real = realRun('recording servers', { FreeSWITCH: onPath('freeswitch') }) ? test : test.skip

const packetsOf = (one: Recorded | undefined): number => (one?.heard ?? []).reduce((sum, { packets }) => sum + packets, 0)

real('a real FreeSWITCH sends each party to two servers, nothing while it is paused, and leaves no leg behind', async t => {
  const fs = await startFreeSwitch(t)
  if (fs === undefined) return t.fail()
  const at = (name: string): string => `sofia/loop/${name}@127.0.0.1:${fs.loop.port}`
  const world = await siprecWorld(t, { ...fs.esl, speed: 1, caller: at('tone440'), callee: at('tone1000') })
  const { siprec, node, call, request, document, cover, taps, hold } = world
  const alaw = (sdp: string): string => sdp.replaceAll('RTP/AVP 0', 'RTP/AVP 8').replaceAll('a=rtpmap:0 PCMU', 'a=rtpmap:8 PCMA')
  const [first, second] = [await recordingServer(t), await recordingServer(t, { spoil: alaw })]
  const leg = await call()
  const began = performance.now()
  const started = await siprec.start(request(leg, `${first.uri},${second.uri}`))
  t.is(await started.begun, 'recording')
  t.log(`server took it ${Math.round(performance.now() - began)} ms after the start`)
  for (const server of [first, second]) {
    const recorded = await until('three seconds of both', () => {
      const [one] = server.calls
      return one?.heard.length === 2 && one.heard.every(({ packets }) => packets >= 150) && one
    })
    const wavs = await server.wavs(recorded)
    for (const [label, hz, other] of [
      ['1', 440, 1000],
      ['2', 1000, 440],
    ] as const) {
      const { samples: [pcm = new Int16Array(0)] = [] } = wavs[label] ?? {}
      t.true(tones(pcm, SECOND, hz, 1, 2.5) > 0.8, `label ${label} has ${hz} Hz: ${tones(pcm, SECOND, hz, 1, 2.5)}`)
      t.true(tones(pcm, SECOND, other, 1, 2.5) < 0.1, `label ${label} has no ${other} Hz: ${tones(pcm, SECOND, other, 1, 2.5)}`)
    }
  }
  t.deepEqual(
    [first, second].map(({ calls }) => calls[0]?.heard.map(({ codecs }) => [...codecs])),
    [
      [[0], [0]],
      [[8], [8]],
    ],
  )
  t.true((await node.packetsSent((await taps())[0]?.uuid ?? '')) > 50, 'the switch counts what its legs send')

  await cover('pause')
  await after(100)
  const before = packetsOf(first.calls[0]) + packetsOf(second.calls[0])
  await after(2000)
  t.is(packetsOf(first.calls[0]) + packetsOf(second.calls[0]), before, 'no packet in two seconds')
  await cover('resume')
  await until('it is heard again', () => packetsOf(first.calls[0]) + packetsOf(second.calls[0]) > before + 100)
  t.true(await node.exists(leg.uuid))

  const told = (): number => first.calls[0]?.metadata.length ?? 0
  const sofar = told()
  t.regex(await hold(leg.uuid, true), /^\+OK/)
  await until('the hold is told', () => told() === sofar + 1)
  t.notRegex(first.calls[0]?.metadata.at(-1) ?? '', /<send>/)
  await hold(leg.uuid, false)
  await until('its end is told', () => told() === sofar + 2)
  t.regex(first.calls[0]?.metadata.at(-1) ?? '', /<send>/)

  await node.hangup(leg.uuid, 'NORMAL_CLEARING')
  await until('it is over', async () => (await document(started.id))?.state === 'stopped')
  t.like(await document(started.id), { segments: [{ kind: 'pause' }, { kind: 'hold' }], servers: [{ state: 'stopped', media: 'clear' }, { state: 'stopped' }] })
  await until('no recording leg is left', async () => (await taps()).length === 0)
  t.deepEqual([...(await first.check()), ...(await second.check())], [])

  // By sips: the switch offers keys, gets the server's, and what comes is longer by its tag.
  const key = `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${Buffer.alloc(30, 7).toString('base64')}`
  const third = await recordingServer(t, { spoil: sdp => sdp.replaceAll('RTP/AVP 0', 'RTP/SAVP 0').replaceAll('a=rtpmap', `${key}\r\na=rtpmap`) })
  const secret = await call()
  const safe = await siprec.start(request(secret, `sips:localhost:${await tlsFront(t, third.port)}`))
  t.is(await safe.begun, 'recording')
  t.like(await document(safe.id), { servers: [{ media: 'srtp' }] })
  t.regex(third.calls[0]?.request.body.toString() ?? '', /RTP\/SAVP 0[^]*a=crypto:/)
  await until('encrypted audio', () => packetsOf(third.calls[0]) > 50)
  await siprec.stop(secret.uuid)
})

real('a real FreeSWITCH sends nothing of who was not told: before it begins, and from a bridge on until he was', async t => {
  const fs = await startFreeSwitch(t)
  if (fs === undefined) return t.fail()
  const at = (name: string): string => `sofia/loop/${name}@127.0.0.1:${fs.loop.port}`
  const { siprec, node, call, request, document } = await siprecWorld(t, { ...fs.esl, speed: 1, caller: at('tone440'), callee: at('tone1000') })
  const server = await recordingServer(t)
  const leg = await call({ talks: false })
  const announce = { media: 'tone_stream://%(1500,0,2000)', to: 'both', required: true, keep: false } as const
  const { announce: said } = everywhere('account', { announce }).inbound.onnet
  const started = await siprec.start(request(leg, server.uri, { settings: said === undefined ? {} : { announce: said } }))
  t.is(server.calls.length, 0)
  t.is(await started.begun, 'recording')
  const [caller] = (await document(started.id))?.consent?.announced ?? []
  t.true(Date.parse(caller?.ended_at ?? '') - Date.parse(caller?.at ?? '') > 1400)
  await until('it is heard', () => packetsOf(server.calls[0]) > 100)
  node.execute(leg.uuid, 'bridge', at('tone1000')).catch(() => {})
  await until('it is paused', async () => (await document(started.id))?.state === 'paused')
  await after(100)
  const before = packetsOf(server.calls[0])
  await after(1000)
  t.is(packetsOf(server.calls[0]), before, 'no packet in a second')
  await until('it is heard again', () => packetsOf(server.calls[0]) > before + 150)
  await siprec.stop(leg.uuid)
  const recording = await document(started.id)
  t.like(recording, { state: 'stopped', segments: [{ kind: 'pause', by: 'announcement' }] })
  t.is(recording?.consent?.announced?.length, 2)
  const [, { pcm: heard } = { pcm: new Int16Array(0) }] = server.calls[0]?.heard ?? []
  const soon = (recording?.segments?.[0]?.from_ms ?? 0) + 500
  const early = Array.from({ length: Math.floor(soon / 20) }, (_, at) => tones(heard, SECOND, 1000, at / 50, (at + 1) / 50) > 0.5).filter(Boolean).length
  t.log(`of who joined ${early * 20} ms were heard before he was told`)
  for (const { label, pcm } of server.calls[0]?.heard ?? []) {
    t.true(tones(pcm, SECOND, 2000, 0, pcm.length / SECOND) < 0.02, `nothing of the announcement on label ${label}`)
    const end = pcm.findLastIndex(sample => sample !== 0) / SECOND
    t.true(tones(pcm, SECOND, label === '1' ? 440 : 1000, end - 1, end) > 0.8, `label ${label} at its end`)
  }
})
