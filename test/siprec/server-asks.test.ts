// What a recording server asks within its dialog, about its streams: it is answered as RFC 3264 has it, and the switch does it.

import test from 'ava'
import { parse } from 'sdp-transform'
import type { Response } from '../../src/sip/message.ts'
import { type Recorded, recordingServer } from '../helpers/recording-server.ts'
import { until } from '../helpers/wait.ts'
import { siprecWorld } from './world.ts'

const asks = async (call: Recorded | undefined, body: string): Promise<Response> => {
  const answer = await call?.session?.ask('INVITE', { headers: [['Content-Type', 'application/sdp']], body: Buffer.from(body) })
  if (answer === undefined) throw new Error('it does not stand')
  return answer
}
const streams = (text: string | Buffer): string[] => parse(String(text)).media.map(({ port, direction }) => (port === 0 ? 'none' : (direction ?? 'sendrecv')))
const lastOffer = (call: Recorded | undefined): string[] => streams(/v=0[\s\S]*?\r\n\r\n/.exec(String(call?.requests.at(-1)?.body))?.[0] ?? '')
/** Ports stay, whatever is said of them. */
const noFirst = (sdp: string): string => sdp.replace(/m=audio \d+/, 'm=audio 0')

test('a server that wants to hear nothing for now is answered so, whichever way it says it, and hears again when it wants to', async t => {
  const { siprec, call, request } = await siprecWorld(t)
  const server = await recordingServer(t)
  await (await siprec.start(request(await call(), server.uri))).begun
  const [one] = server.calls
  for (const direction of ['inactive', 'sendonly']) {
    t.deepEqual(streams((await asks(one, one?.sdp(direction) ?? '')).body), ['inactive', 'inactive'], direction)
  }
  t.deepEqual(streams((await asks(one, one?.sdp('recvonly') ?? '')).body), ['sendonly', 'sendonly'])
  const before = one?.heard.map(({ packets }) => packets) ?? []
  await until('it hears both', () => one?.heard.every(({ packets }, at) => packets > (before[at] ?? 0) + 20))
  t.deepEqual(await server.check(), [])
})

test('a stream that a server gives up in the call is over: nothing is sent of it, and no offer has it again', async t => {
  const { siprec, call, request, document, cover, taps } = await siprecWorld(t)
  const server = await recordingServer(t)
  const started = await siprec.start(request(await call(), server.uri))
  await started.begun
  const [one] = server.calls
  t.deepEqual(streams((await asks(one, noFirst(one?.sdp('recvonly') ?? ''))).body), ['none', 'sendonly'])
  await until('its leg is gone', async () => (await taps()).length === 1)
  await until('its document says so', async () => (await document(started.id))?.servers[0]?.reason === 'it does not take stream 1')
  const first = one?.heard[0]?.packets
  await cover('pause')
  t.deepEqual(lastOffer(one), ['none', 'inactive'])
  await cover('resume')
  t.deepEqual(lastOffer(one), ['none', 'sendonly'])
  const second = one?.heard[1]?.packets ?? 0
  await until('the other is heard', () => (one?.heard[1]?.packets ?? 0) > second + 20)
  t.is(one?.heard[0]?.packets, first)
  t.like((await document(started.id))?.servers[0], { state: 'recording', reason: 'it does not take stream 1' })
  t.is(server.calls.length, 1)
})

test('a stream that a server refused at first is not offered with the next metadata', async t => {
  const { siprec, call, request, document, cover, taps } = await siprecWorld(t)
  let count = 0
  const server = await recordingServer(t, { spoil: sdp => (count++ === 0 ? noFirst(sdp) : sdp) })
  const started = await siprec.start(request(await call(), server.uri))
  await started.begun
  await until('one leg is left', async () => (await taps()).length === 1)
  await cover('pause')
  t.deepEqual(lastOffer(server.calls[0]), ['none', 'inactive'])
  await cover('resume')
  await cover('pause')
  t.like((await document(started.id))?.servers[0], { state: 'paused', reason: 'it does not take stream 1' })
  t.is(server.calls.length, 1)
})
