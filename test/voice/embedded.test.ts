// The ordering rules of `record` on the embedded switch, measured in the WAVs and in what the application was told.

import { createHash, generateKeyPairSync } from 'node:crypto'
import test from 'ava'
import { jwtVerify } from 'jose'
import { loudness, tone, tones, wavFrom } from '../helpers/audio.ts'
import { audioOf, startEngine } from '../helpers/engine.ts'
import { httpSink } from '../helpers/http-sink.ts'
import { notedLog } from '../helpers/log.ts'
import { until } from '../helpers/wait.ts'
import { sdk, tokenGenerate } from './sdk.ts'

const { Notify, Record, RecordingFormat } = sdk

interface Id {
  id: string
}

interface Listed extends Id {
  name: string
  state: string
  duration_ms: number
  channels: number
  retain_until?: number
  start: number
  delivery?: { state: string }
}

const DAY = 86_400

const aPair = () =>
  generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })

test('a call is recorded whole by its first action, and in parts by those that time, silence and a key end', async t => {
  const { log, lines } = notedLog()
  const { client, url } = await startEngine(t, {}, log)
  const at = `accounts/${client.accountId}`
  const { id: phone } = await client.put<Id>(`${at}/devices`, { name: 'alice-phone', sip: { username: 'alice', password: 'alice-secret' } })
  const pair = aPair()
  const secret = 'a secret of thirty-two characters'
  const application = await client.put<Id & { application_id: string }>(`${at}/applications`, {
    name: 'app',
    public_key: pair.publicKey,
    signature_secret: secret,
  })
  const app = await httpSink(t, [
    async (request, response, read) => {
      await read()
      const answer = request.url?.startsWith('/answer') === true ? JSON.stringify(ncco()) : ''
      response.end(answer)
    },
  ])
  const ncco = () =>
    [
      new Record(undefined, 'conversation'),
      new Record(RecordingFormat.WAV, undefined, undefined, undefined, undefined, 4, true),
      new Record(undefined, undefined, undefined, 3),
      new Record(undefined, undefined, undefined, undefined, '#'),
      new Notify({ stage: 'after' }, `${app.url}/notify`),
    ].map(action => action.serializeToNCCO())
  await client.patch(`${at}/applications/${application.id}`, { answer_url: `${app.url}/answer`, event_url: `${app.url}/events` })
  await client.put(`${at}/callflows`, { numbers: ['3100'], flow: { module: 'ncco', data: { application_id: application.id } } })
  await client.put(`${at}/devices/${phone}/quickcall/3100`, { seconds: 600, speaks: 7, dtmf: `30:${'#'.repeat(100)}` })

  const recordings = await until('four files', async () => {
    const list = await client.get<Listed[]>(`${at}/recordings`)
    return list.length === 4 && list.every(({ delivery }) => delivery?.state === 'stored') && list
  })
  const told = await until('all events', () => {
    const events = app.received
      .filter(one => one.whole)
      .map((one): Record<string, unknown> => ({ path: one.url.split('?')[0], ...(JSON.parse(one.body.toString() || '{}') as object) }))
    return events.some(one => one['status'] === 'completed') && events.filter(one => 'recording_uuid' in one).length === 4 && events
  })

  // Blocking: each is told of before the next begins; the one of the whole call when it is over.
  const [first = '', second = '', third = '', fourth = ''] = recordings.map(({ name }) => name).toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1))
  const urls = told.flatMap(one => (typeof one['recording_url'] === 'string' ? [one['recording_url']] : []))
  const wav = async (name: string, told: string) => {
    const response = await fetch(told.replace('http://127.0.0.1:0', url), {
      headers: { authorization: `Bearer ${tokenGenerate(application.application_id, pair.privateKey)}` },
    })
    t.is(response.status, 200, name)
    return wavFrom(Buffer.from(await response.arrayBuffer()), name)
  }
  // The whole call is told of last.
  const [timedUrl = '', silentUrl = '', keyedUrl = '', wholeUrl = ''] = urls
  const [whole, timed, silent, keyed] = [await wav(first, wholeUrl), await wav(second, timedUrl), await wav(third, silentUrl), await wav(fourth, keyedUrl)]
  const sizes = told.filter(one => 'recording_uuid' in one).map(one => one['size'])
  t.deepEqual(
    sizes,
    [timed, silent, keyed, whole].map(({ samples, channels }) => 44 + (samples[0]?.length ?? 0) * 2 * channels),
  )
  t.log(`whole ${whole.seconds} s, timeOut 4 ${timed.seconds} s, endOnSilence 3 ${silent.seconds} s, endOnKey ${keyed.seconds} s`)
  const order = told.map(one => one['status'] ?? (one['path'] === '/events' ? 'recorded' : one['path']))
  // The application is asked for its NCCO while it is told that there is a call.
  t.true(order.indexOf('/answer') < order.indexOf('recorded'))
  t.deepEqual(
    order.filter(one => one !== 'completed' && one !== '/answer'),
    ['started', 'ringing', 'answered', 'recorded', 'recorded', 'recorded', '/notify', 'recorded'],
  )
  t.deepEqual(
    lines.filter(({ event }) => event === 'voice_recording_ended').map(({ by, key }) => [by, key]),
    [
      ['limit', undefined],
      ['silence', undefined],
      ['key', '#'],
    ],
  )

  // All of it is signed with the secret of the application.
  for (const { headers, body } of app.received) {
    const token = headers['authorization']?.replace('Bearer ', '') ?? ''
    const { payload } = await jwtVerify(token, new TextEncoder().encode(secret), { algorithms: ['HS256'], issuer: 'Vonage' })
    t.is(payload['application_id'], application.application_id)
    if (body.length > 0) t.is(payload['payload_hash'], createHash('sha256').update(body).digest('hex'))
  }

  // What is in them.
  t.deepEqual([whole.channels, timed.channels, silent.channels, keyed.channels], [2, 1, 1, 1])
  t.deepEqual(new Set([whole, timed, silent, keyed].map(one => one.sampleRate)), new Set([16_000]))
  t.true(timed.seconds > 3, `${timed.seconds} s`)
  t.true(silent.seconds > 2.5, `${silent.seconds} s`)
  t.true(whole.seconds > timed.seconds + silent.seconds + keyed.seconds - 2, `${whole.seconds} s`)
  const [said = new Int16Array(), heard = new Int16Array()] = whole.samples
  t.true(tone(said, 16_000, 440, 0.2, 2) > 0.9, 'the caller is on the left')
  t.true(tones(heard, 16_000, 1000) > 0.9, 'the beep is what he heard')
  t.true(tones(timed.samples[0] ?? new Int16Array(), 16_000, 1000) < 0.1, 'and not in the recording it announces')
  const quiet = silent.samples[0] ?? new Int16Array()
  t.is(loudness(quiet, 16_000, silent.seconds - 2.2, silent.seconds - 0.1), 0, 'it ends with silence')
  for (const one of recordings) t.is(Math.round(((one.retain_until ?? 0) - one.start) / DAY), 30)
})

test('an application makes a call, is told of its life, and reads how it ended', async t => {
  const { client, url } = await startEngine(t)
  const at = `accounts/${client.accountId}`
  await client.put(`${at}/devices`, { name: 'alice-phone', sip: { username: 'alice', password: 'alice-secret' } })
  const { realm } = await client.get<{ realm: string }>(at)
  const { publicKey, privateKey } = aPair()
  const app = await httpSink(t, [204])
  const { application_id } = await client.put<{ application_id: string }>(`${at}/applications`, { name: 'app', public_key: publicKey, event_url: app.url })
  const authorization = `Bearer ${tokenGenerate(application_id, privateKey)}`
  const calls = async (method: string, path = '', body?: object): Promise<Record<string, unknown>> => {
    const response = await fetch(`${url}/v1/calls${path}`, {
      method,
      headers: { authorization },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return (await response.json()) as Record<string, unknown>
  }
  await client.put(`${at}/phone_numbers/%2B4930111111`, {})
  const { uuid } = await calls('POST', '', {
    to: [{ type: 'sip', uri: `sip:alice@${realm}` }],
    from: { type: 'phone', number: '+4930111111' },
    ncco: [{ action: 'record', split: 'conversation' }],
  })
  const told = await until('the file of the call', () => {
    const events = app.received.filter(one => one.whole).map(one => JSON.parse(one.body.toString()) as Record<string, unknown>)
    return events.some(one => 'recording_uuid' in one) && events.some(one => one['status'] === 'completed') && events
  })
  t.deepEqual(
    told.flatMap(one => (one['status'] === undefined ? [] : [one['status']])),
    ['started', 'ringing', 'answered', 'completed'],
  )
  for (const one of told) t.is(one['conversation_uuid'], `CON-${String(uuid)}`)
  t.deepEqual(
    told.flatMap(one => (one['status'] === undefined ? [] : [[one['from'], one['to']]])),
    Array.from({ length: 4 }, () => ['+4930111111', 'alice']),
  )
  const over = await until('its detail record', async () => {
    const call = await calls('GET', `/${String(uuid)}`)
    return call['status'] === 'completed' && call
  })
  t.like(over, { direction: 'outbound', to: 'alice' })
  t.is((await calls('GET', '/nobody'))['error'], '404')
})

test('other actions take the place of a connect that still rings at once, and nobody rings any more', async t => {
  const { client, url } = await startEngine(t)
  const at = `accounts/${client.accountId}`
  const [alice, bob] = await Promise.all(
    ['alice', 'bob'].map(username => client.put<Id>(`${at}/devices`, { name: username, sip: { username, password: `${username}-secret` } })),
  )
  const { publicKey, privateKey } = aPair()
  const app = await httpSink(t, [204])
  const fields = { name: 'app', public_key: publicKey, event_url: `${app.url}/events` }
  const { id, application_id } = await client.put<Id & { application_id: string }>(`${at}/applications`, fields)
  const ncco = [{ action: 'connect', endpoint: [{ type: 'device', id: bob?.id }], timeout: 120 }]
  await client.put(`${at}/callflows`, { numbers: ['3100'], flow: { module: 'ncco', data: { ncco, application_id: id } } })
  const { call_id } = await client.put<{ call_id: string }>(`${at}/devices/${alice?.id}/quickcall/3100`, { answer: 'never', seconds: 20_000 })
  const legs = (): Promise<unknown[]> => client.get(`${at}/channels`)
  await until('both legs', async () => (await legs()).length === 2)
  const destination = { type: 'ncco', ncco: [{ action: 'notify', payload: {}, eventUrl: [`${app.url}/next`] }] }
  const { status } = await fetch(`${url}/v1/calls/${call_id}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${tokenGenerate(application_id, privateKey)}` },
    body: JSON.stringify({ action: 'transfer', destination }),
  })
  t.is(status, 204)
  await until('the next action', () => app.received.some(one => one.url === '/next'))
  const told = app.received.filter(one => one.whole).map(one => JSON.parse(one.body.toString()) as Record<string, unknown>)
  t.true(told.some(one => one['direction'] === 'outbound' && one['status'] === 'cancelled'))
})

test('a key breaks a long message off and answers the question behind it; what is quieter is quieter for the caller alone', async t => {
  const engine = await startEngine(t)
  const { client } = engine
  const at = `accounts/${client.accountId}`
  const { id: phone } = await client.put<Id>(`${at}/devices`, { name: 'alice-phone', sip: { username: 'alice', password: 'alice-secret' } })
  const app = await httpSink(t, [204])
  const text = 'a sentence of forty letters and no more. '.repeat(20)
  const ncco = [
    { action: 'record', split: 'conversation', format: 'wav' },
    { action: 'talk', text: 'hello there', level: -1 },
    { action: 'talk', text, bargeIn: true },
    { action: 'input', type: ['dtmf'], dtmf: { maxDigits: 1 }, eventUrl: [`${app.url}/input`] },
    { action: 'wait', timeout: 1 },
  ]
  await client.put(`${at}/callflows`, { numbers: ['3100'], flow: { module: 'ncco', data: { ncco, event_url: app.url } } })
  await client.put(`${at}/devices/${phone}/quickcall/3100`, { seconds: 600, dtmf: '15:4' })
  const told = (): Record<string, unknown>[] => app.received.filter(one => one.whole).map(one => JSON.parse(one.body.toString()) as Record<string, unknown>)
  await until('the file', () => told().some(one => 'recording_uuid' in one))
  t.like(
    told().find(one => 'dtmf' in one),
    { dtmf: { digits: '4', timed_out: false } },
  )
  const [recording] = await client.get<Listed[]>(`${at}/recordings`)
  const { samples, sampleRate, seconds } = await audioOf(engine, `${at}/recordings/${recording?.id}`)
  const [, heard = new Int16Array()] = samples
  t.true(seconds < 30, `${seconds} s with a message that takes fifty`)
  const levels = Array.from({ length: Math.floor(seconds * 10) }, (_, at) => loudness(heard, sampleRate, at / 10, (at + 1) / 10))
  const usual = Math.max(...levels)
  t.true(levels.filter(level => Math.abs(level / usual - 0.2) < 0.01).length > 3, 'as quiet as it can be')
})
