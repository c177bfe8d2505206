// Voice applications on a real FreeSWITCH, where there is one: silence, keys and time as the original hears them.

import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import test from 'ava'
import type { ExecutionContext } from 'ava'
import { oggCounter } from '../../src/recording/audio/audio-length.ts'
import { kindOf } from '../../src/voice/sound.ts'
import { loudness, shareOf, tone, wavFrom, wavOfTone } from '../helpers/audio.ts'
import { startEngine } from '../helpers/engine.ts'
import { REALM, startFreeSwitch } from '../helpers/freeswitch.ts'
import { httpSink } from '../helpers/http-sink.ts'
import { notedLog } from '../helpers/log.ts'
import { onPath, realRun } from '../helpers/real.ts'
import { until } from '../helpers/wait.ts'
import { tokenGenerate } from './sdk.ts'

const here = realRun('voice applications', { FreeSWITCH: onPath('freeswitch') })
if (!here) test('without a FreeSWITCH voice applications run on the embedded switch alone', t => t.pass())
const calls = here ? test : (): void => {}

const wav = { action: 'record', format: 'wav' }

async function office(t: ExecutionContext) {
  const server = await startFreeSwitch()
  t.teardown(() => server.stop())
  const { log, lines } = notedLog()
  const engine = await startEngine(
    t,
    {
      FREESWITCH_ESL: `fs=:${server.password}@127.0.0.1:${server.port}`,
      UPLOAD_ALLOW_NETWORKS: '127.0.0.0/8',
      RECORDING_DIR: join(server.directory, 'spool'),
    },
    log,
  )
  const { client } = engine
  const at = `accounts/${client.accountId}`
  await client.patch(at, { realm: REALM })
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const app = await httpSink(t, [204])
  const { application_id } = await client.put<{ application_id: string }>(`${at}/applications`, { name: 'app', public_key: publicKey, event_url: app.url })
  const authorization = `Bearer ${tokenGenerate(application_id, privateKey)}`
  for (const username of ['hush1000', 'press12', 'tone440', 'tone1000', 'never'])
    await client.put(`${at}/devices`, { name: username, sip: { username, password: `${username}-secret` } })

  type Told = Record<string, unknown>
  const told = (uuid: unknown): Told[] =>
    app.received.flatMap(({ whole, body }) => {
      const event = whole ? (JSON.parse(body.toString()) as Told) : {}
      return event['conversation_uuid'] === `CON-${String(uuid)}` ? [event] : []
    })
  const request = (method: string, path: string, body: object): Promise<Response> =>
    fetch(`${engine.url}/v1/calls${path}`, { method, headers: { authorization }, body: JSON.stringify(body) })
  const call = async (username: string, ncco: object[], more: object = {}): Promise<unknown> => {
    const response = await request('POST', '', { to: [{ type: 'sip', uri: `sip:${username}@${REALM}` }], ncco, ...more })
    t.is(response.status, 201)
    return ((await response.json()) as Told)['uuid']
  }
  /** As bytes, in the order they were told of. */
  const files = async (uuid: unknown, count: number): Promise<Buffer[]> => {
    const seen = () => JSON.stringify(lines.filter(({ leg, level }) => leg === uuid && level !== 'debug').map(({ event, why, by }) => [event, why, by]))
    const events = await until(`${count} files of ${String(uuid)}`, () => {
      const recorded = told(uuid).filter(one => 'recording_url' in one)
      return recorded.length === count && recorded
    }).catch((error: unknown) => {
      throw new Error(seen(), { cause: error })
    })
    return Promise.all(
      events.map(async one => {
        const response = await fetch(String(one['recording_url']).replace('http://127.0.0.1:0', engine.url), { headers: { authorization } })
        t.is(response.status, 200)
        return Buffer.from(await response.arrayBuffer())
      }),
    )
  }
  const wavs = async (uuid: unknown, count: number) => (await files(uuid, count)).map(bytes => wavFrom(bytes))
  const ended = (): unknown[] => lines.filter(({ event }) => event === 'voice_recording_ended').map(({ by }) => by)
  return { call, ended, engine, files, lines, request, told, wavs }
}

calls('a real FreeSWITCH ends a blocking recording at silence, at a key and in time, and a transfer ends it at once', async t => {
  const { call, ended, files, lines, request, told, wavs } = await office(t)

  // Speaks for a second; then five seconds would be long, but three of silence end it.
  const [silent] = await wavs(await call('hush1000', [{ ...wav, endOnSilence: 3, timeOut: 20 }]), 1)
  t.deepEqual(ended(), ['silence'])
  t.true((silent?.seconds ?? 0) > 3 && (silent?.seconds ?? 0) < 18, `${silent?.seconds} s`)

  // Presses 1 and 2 after a second, and says a tone from then on; another recording goes on meanwhile.
  const [keyed, whole] = await wavs(
    await call('press12', [
      { ...wav, split: 'conversation' },
      { ...wav, endOnKey: '2', timeOut: 20 },
      { ...wav, timeOut: 3 },
    ]),
    3,
  )
  t.deepEqual(ended().slice(1), ['key', 'limit'])
  t.true((keyed?.seconds ?? 0) < 15, `${keyed?.seconds} s`)
  t.truthy(whole)

  // Nothing ends it but the transfer.
  const uuid = await call('tone440', [{ ...wav, endOnKey: '#' }])
  await until('the recording', () => lines.some(({ event, leg }) => event === 'recording_started' && leg === uuid))
  const destination = {
    type: 'ncco',
    ncco: [
      { action: 'input', type: ['dtmf'], dtmf: { timeOut: 1 } },
      { ...wav, timeOut: 3 },
    ],
  }
  const transferred = await until('the transfer', async () => {
    const response = await request('PUT', `/${String(uuid)}`, { action: 'transfer', destination })
    return response.status === 204 && response
  })
  t.is(transferred.status, 204)
  const after = (await wavs(uuid, 2)).at(-1)
  t.is(ended().at(-1), 'limit')
  t.true((after?.seconds ?? 0) > 2.5, `${after?.seconds} s`)
  t.true(shareOf(after?.samples[0] ?? new Int16Array(), 16_000, 440) > 0.7, 'he is heard')

  // What is not said to be WAV is MP3 here, and a sentence is heard by the caller alone. Where there is no mod_flite it is refused.
  const speaks = await call('tone440', [
    { ...wav, split: 'conversation' },
    { action: 'record' },
    { action: 'talk', text: 'Good morning, this call is recorded.' },
  ])
  const refused = (): boolean => told(speaks).some(({ detail }) => JSON.stringify(detail ?? '').includes('mod_flite'))
  if (
    await until('speech, or its refusal', () => (refused() ? 'refused' : told(speaks).some(({ status }) => status === 'completed') && 'spoken')).then(
      how => how === 'spoken',
    )
  ) {
    const both = await files(speaks, 2)
    for (const kind of ['mp3', 'wav']) t.is(both.filter(bytes => kindOf(bytes) === kind).length, 1, kind)
    const spoken = wavFrom(both.find(bytes => kindOf(bytes) === 'wav') ?? Buffer.alloc(0))
    const [said = new Int16Array(), heard = new Int16Array()] = spoken.samples
    t.true(spoken.seconds > 1, `${spoken.seconds} s`)
    t.true(shareOf(said, 16_000, 440) > 0.7, 'the caller is on the left')
    t.true(loudness(heard, 16_000) > 100, 'the sentence is on the right')
  }
  t.log(`silence ${silent?.seconds} s, key ${keyed?.seconds} s, after the transfer ${after?.seconds} s`)
})

calls('what the caller says after a sentence, while nothing is played to him, is recorded on a real FreeSWITCH to the end', async t => {
  const { call, told, wavs } = await office(t)
  const uuid = await call('tone440', [wav, { action: 'talk', text: 'Good morning.' }, { action: 'wait', timeout: 4 }])
  const refused = (): boolean => told(uuid).some(({ detail }) => JSON.stringify(detail ?? '').includes('mod_flite'))
  if (await until('the end', () => told(uuid).some(one => one['status'] === 'completed') || refused()).then(refused)) return t.pass('it cannot speak')
  const [whole] = await wavs(uuid, 1)
  t.true((whole?.seconds ?? 0) > 4.4, `${whole?.seconds} s`)
  t.true(shareOf(whole?.samples[0]?.subarray(-32_000) ?? new Int16Array(), 16_000, 440) > 0.9, 'he is heard to the end')
})

calls('a real FreeSWITCH writes Ogg, lets callers talk in a room with a channel for each, and breaks a message off', async t => {
  const { call, files, lines, request, told, wavs } = await office(t)
  const [ogg = Buffer.alloc(0)] = await files(await call('tone440', [{ action: 'record', format: 'ogg', timeOut: 4 }]), 1)
  t.is(ogg.toString('latin1', 0, 4), 'OggS')
  const counter = oggCounter()
  counter.feed(ogg)
  t.like(counter.sound(), { channels: 1, sampleRate: 16_000 })
  t.true((counter.sound()?.durationMs ?? 0) > 2500, `${counter.sound()?.durationMs} ms`)

  const room = { action: 'conversation', name: 'both' }
  const first = await call('tone440', [{ action: 'record', split: 'conversation', channels: 3 }, room])
  await until('the recording', () => lines.some(({ event, leg }) => event === 'recording_started' && leg === first))
  const second = await call('tone1000', [{ ...wav, split: 'conversation', timeOut: 3 }, room])
  const [before] = await wavs(second, 1)
  t.true(loudness(before?.samples[1] ?? new Int16Array(), 16_000, 0.2, 2) < 100, 'before it he is alone')
  await until('the room', () => lines.some(({ event, leg, action }) => event === 'ncco_action_started' && leg === second && action === 'conversation'))
  // As long as a recording of somebody else takes.
  await wavs(await call('tone440', [{ ...wav, timeOut: 3 }]), 1)
  t.is((await request('PUT', `/${String(second)}`, { action: 'transfer', destination: { type: 'ncco', ncco: [{ ...wav, timeOut: 3 }] } })).status, 204)
  t.is((await wavs(second, 2)).length, 2, 'he left, and his next action ran')
  t.is((await request('PUT', `/${String(first)}`, { action: 'hangup' })).status, 204)
  const [apart] = await wavs(first, 1)
  t.is(apart?.channels, 3)
  const [one = new Int16Array(), other = new Int16Array(), nobody = new Int16Array()] = apart?.samples ?? []
  t.true(shareOf(one, 16_000, 440) > 0.7, 'the caller')
  t.true(shareOf(other, 16_000, 1000) > 0.7, 'the other one')
  t.true(shareOf(other, 16_000, 440) < 0.1, 'and he alone')
  t.is(loudness(nobody, 16_000), 0)

  const long = 'This is a long sentence, and nobody wants to hear it to its end. '.repeat(8)
  const pressed = await call('press12', [
    { action: 'talk', text: long, bargeIn: true, level: -1 },
    { action: 'input', type: ['dtmf'], dtmf: { maxDigits: 1, timeOut: 10 } },
  ])
  const digits = await until('the digit, or that it cannot speak', () =>
    told(pressed)
      .map(({ dtmf, detail }) => (dtmf as { digits: string } | undefined)?.digits ?? (JSON.stringify(detail ?? '').includes('mod_flite') ? 'mute' : undefined))
      .find(said => said !== undefined),
  )
  t.true(['1', 'mute'].includes(digits), digits)
})

calls('a call that rings on a real FreeSWITCH while its engine is started anew is told of as it ends there', async t => {
  const { call, engine, told } = await office(t)
  const statuses = (uuid: unknown): unknown[] =>
    told(uuid).flatMap(({ status, detail }) => (status === undefined ? [] : [detail === undefined ? status : [status, detail]]))
  const never = await call('never', [{ action: 'wait', timeout: 1 }], { ringing_timer: 12 })
  await until('it is told of', () => statuses(never).length === 2)
  await engine.restart()
  await until('its end', () => statuses(never).length === 3)
  t.deepEqual(statuses(never), ['started', 'ringing', ['unanswered', 'NO_ANSWER']])
})

calls('calls on a real FreeSWITCH go on where they were in their actions when their engine is started anew', async t => {
  const { call, engine, lines, wavs } = await office(t)
  const app = await httpSink(t, [204])
  const notify = (stage: string): object => ({ action: 'notify', payload: {}, eventUrl: [`${app.url}/${stage}`] })
  const came = (stage: string): number => app.received.filter(({ url }) => url === `/${stage}`).length
  const plays = async (ms: number): Promise<object> => {
    const file = await httpSink(t, [(_request, response) => response.writeHead(200).end(wavOfTone(1000, ms))])
    return { action: 'stream', streamUrl: [`${file.url}/sound.wav`] }
  }
  const whole = { ...wav, split: 'conversation' }
  const records = await call('tone440', [notify('record-before'), { ...wav, timeOut: 6 }, notify('record-after')])
  const hears = await call('tone440', [whole, notify('stream-before'), await plays(8000), notify('stream-after')])
  // The leg still says that it plays what it heard last while it waits.
  const waits = await call('tone440', [await plays(400), notify('wait-before'), { action: 'wait', timeout: 5 }, whole, await plays(3000), notify('wait-after')])
  const doing = (uuid: unknown, action: string): boolean =>
    lines.some(line => line.event === 'ncco_action_started' && line.leg === uuid && line['action'] === action)
  const stages = ['record', 'stream', 'wait']
  for (const stage of stages) await until(stage, () => came(`${stage}-before`) === 1)
  await until('the recording', () => lines.some(({ event, leg }) => event === 'recording_started' && leg === records))
  await until('the stream and the wait', () => doing(hears, 'stream') && doing(waits, 'wait'))
  await engine.restart()
  for (const stage of stages) await until(`${stage} goes on`, () => came(`${stage}-after`) === 1)
  const [recorded] = await wavs(records, 1)
  t.true((recorded?.seconds ?? 0) > 6, `${recorded?.seconds} s, with what was said before`)
  t.true(shareOf(recorded?.samples[0] ?? new Int16Array(), 16_000, 440) > 0.7)
  const heard = async (uuid: unknown): Promise<number> => {
    const [
      {
        samples: [, right = new Int16Array()],
      } = { samples: [] },
    ] = await wavs(uuid, 1)
    const pieces = Array.from({ length: Math.floor(right.length / 1600) }, (_, at) => tone(right, 16_000, 1000, at / 10, (at + 1) / 10))
    return pieces.filter(share => share > 0.5).length / 10
  }
  const [anew, after] = [await heard(hears), await heard(waits)]
  t.true(anew > 7.5, `${anew} s`)
  t.true(after > 2.5 && after < 3.3, `${after} s: nothing breaks off what comes behind a wait`)
  for (const stage of stages) t.is(came(`${stage}-before`), 1, stage)
  t.log(`recorded ${recorded?.seconds} s, heard ${anew} s of 8, and 3 as ${after} s`)
})
