// Voice applications on a real FreeSWITCH, where there is one: silence, keys and time as the original hears them.

import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import test from 'ava'
import { kindOf } from '../../src/voice/sound.ts'
import { loudness, tones, wavFrom } from '../helpers/audio.ts'
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

calls('a real FreeSWITCH ends a blocking recording at silence, at a key and in time, and a transfer ends it at once', async t => {
  const server = await startFreeSwitch()
  t.teardown(() => server.stop())
  const { log, lines } = notedLog()
  const { client, url } = await startEngine(
    t,
    {
      FREESWITCH_ESL: `fs=:${server.password}@127.0.0.1:${server.port}`,
      UPLOAD_ALLOW_NETWORKS: '127.0.0.0/8',
      RECORDING_DIR: join(server.directory, 'spool'),
    },
    log,
  )
  await until('the switch', async () => (await fetch(`${url}/readyz`)).status === 200)
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
  for (const username of ['hush1000', 'press12', 'tone440'])
    await client.put(`${at}/devices`, { name: username, sip: { username, password: `${username}-secret` } })

  type Told = Record<string, unknown>
  const told = (uuid: unknown): Told[] =>
    app.received.flatMap(({ whole, body }) => {
      const event = whole ? (JSON.parse(body.toString()) as Told) : {}
      return event['conversation_uuid'] === `CON-${String(uuid)}` ? [event] : []
    })
  const request = (method: string, path: string, body: object): Promise<Response> =>
    fetch(`${url}/v1/calls${path}`, { method, headers: { authorization }, body: JSON.stringify(body) })
  async function call(username: string, ncco: object[]): Promise<unknown> {
    const response = await request('POST', '', { to: [{ type: 'sip', uri: `sip:${username}@${REALM}` }], ncco })
    t.is(response.status, 201)
    return ((await response.json()) as Told)['uuid']
  }
  /** As bytes, in the order they were told of. */
  async function files(uuid: unknown, count: number): Promise<Buffer[]> {
    const seen = () => JSON.stringify(lines.filter(({ leg, level }) => leg === uuid && level !== 'debug').map(({ event, why, by }) => [event, why, by]))
    const events = await until(`${count} files of ${String(uuid)}`, () => {
      const recorded = told(uuid).filter(one => 'recording_url' in one)
      return recorded.length === count && recorded
    }).catch((error: unknown) => {
      throw new Error(seen(), { cause: error })
    })
    return Promise.all(
      events.map(async one => {
        const response = await fetch(String(one['recording_url']).replace('http://127.0.0.1:0', url), { headers: { authorization } })
        t.is(response.status, 200)
        return Buffer.from(await response.arrayBuffer())
      }),
    )
  }
  const wavs = async (uuid: unknown, count: number) => (await files(uuid, count)).map(bytes => wavFrom(bytes))
  const ended = (): unknown[] => lines.filter(({ event }) => event === 'voice_recording_ended').map(({ by }) => by)
  const wav = { action: 'record', format: 'wav' }

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
  t.true(tones(after?.samples[0] ?? new Int16Array(), 16_000, 440, 0.3, 2) > 0.8, 'he is heard')

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
    t.true(tones(said, 16_000, 440, 0.3, 1) > 0.8, 'the caller is on the left')
    t.true(loudness(heard, 16_000) > 100, 'the sentence is on the right')
  }
  t.log(`silence ${silent?.seconds} s, key ${keyed?.seconds} s, after the transfer ${after?.seconds} s`)
})
