// Rooms on the embedded switch: who hears whom, measured in the recordings.

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { loudness, tones, wavOfTone } from '../helpers/audio.ts'
import { audioOf, SPEED, startEngine } from '../helpers/engine.ts'
import { httpSink } from '../helpers/http-sink.ts'
import { until } from '../helpers/wait.ts'

interface Listed {
  id: string
  group_id: string
  state: string
  call_id: string
  channels: number
  channel_labels: string[]
  duration_ms: number
  segments?: { from_ms: number; to_ms?: number }[]
  verified?: boolean | null
  delivery?: { state: string }
}

interface Wishes {
  hz: number
  seconds: number
  dtmf?: string
}

async function office(t: ExecutionContext) {
  const app = await httpSink(t, [204])
  const engine = await startEngine(t, { UPLOAD_ALLOW_NETWORKS: '127.0.0.0/8' })
  const { client } = engine
  const at = `accounts/${client.accountId}`
  let phones = 0
  const told = (): Record<string, unknown>[] => app.received.filter(one => one.whole).map(one => JSON.parse(one.body.toString()) as Record<string, unknown>)
  return {
    engine,
    app,
    told,
    status: (uuid: string): unknown[] => told().flatMap(one => (one['uuid'] === uuid && one['status'] !== undefined ? [one['status']] : [])),
    /** Answers its leg once its actions have begun. */
    calls: async (ncco: object[], { hz, seconds, dtmf }: Wishes): Promise<string> => {
      phones += 1
      const username = `phone${phones}`
      const { id } = await client.put<{ id: string }>(`${at}/devices`, { name: username, sip: { username, password: 'a-long-secret' } })
      await client.put(`${at}/callflows`, { numbers: [`320${phones}`], flow: { module: 'ncco', data: { ncco, event_url: app.url } } })
      const { call_id } = await client.put<{ call_id: string }>(`${at}/devices/${id}/quickcall/320${phones}`, {
        hz,
        seconds,
        ...(dtmf === undefined ? {} : { dtmf }),
      })
      await until('the call', () => told().some(one => one['uuid'] === call_id && one['status'] === 'answered'))
      return call_id
    },
    stored: async (count: number): Promise<Listed[]> => {
      const all = await until(`${count} files`, async () => {
        const list = await engine.client.get<Listed[]>(`${at}/recordings`)
        return list.length >= count && list.every(({ delivery, state }) => delivery?.state === 'stored' || state === 'discarded' || state === 'failed') && list
      })
      return all
    },
    audio: ({ id }: Listed) => audioOf(engine, `${at}/recordings/${id}`),
  }
}

test('a conversation is recorded with everybody in it, and goes on in the same group when who was first leaves', async t => {
  const { calls, stored, audio, told, status } = await office(t)
  const room = { action: 'conversation', name: 'Sales & more', record: true }
  const first = await calls([room], { hz: 500, seconds: 60 })
  const second = await calls([room], { hz: 900, seconds: 120 })
  await until('both are over', () => [first, second].every(uuid => status(uuid).includes('completed')))
  const recordings = await stored(2)
  t.is(recordings.length, 2, 'one at a time')
  t.is(new Set(recordings.map(({ group_id }) => group_id)).size, 1)
  const [one, other] = [recordings.find(({ call_id }) => call_id === first), recordings.find(({ call_id }) => call_id === second)]
  if (one === undefined || other === undefined) return t.fail('a part on the leg of each')
  const { samples, sampleRate, seconds } = await audio(one)
  const [mixed = new Int16Array()] = samples
  const [from, to] = [seconds - 10, seconds - 1]
  t.true(tones(mixed, sampleRate, 500, from, to) > 0.3)
  t.true(tones(mixed, sampleRate, 900, from, to) > 0.3)
  const next = await audio(other)
  t.true(tones(next.samples[0] ?? new Int16Array(), next.sampleRate, 900, 1, 5) > 0.9, 'alone at last')
  t.is(told().filter(event => 'recording_uuid' in event).length, 2, 'the application is told of each part')
})

test('with more than two channels each party has its own, in the order they came, and what is masked is silent in all', async t => {
  const { calls, stored, audio, status, engine } = await office(t)
  const room = { action: 'conversation', name: 'three' }
  const first = await calls([{ action: 'record', split: 'conversation', channels: 4 }, room], { hz: 500, seconds: 200 })
  const second = await calls([room], { hz: 900, seconds: 400 })
  const third = await calls([room], { hz: 1300, seconds: 400 })
  const record = (action: string) => engine.client.post(`accounts/${engine.client.accountId}/channels/${first}`, { action: 'record', data: { action } })
  await record('mask')
  const masked = performance.now()
  await until('a second of the call', () => performance.now() - masked > 1000 / SPEED)
  await record('unmask')
  await until('it is over', () => status(first).includes('completed'))
  const [recording] = await stored(1)
  if (recording === undefined) return t.fail('no recording')
  t.is((await engine.client.get<Listed[]>(`accounts/${engine.client.accountId}/recordings`)).length, 1, 'and one document')
  const { segments = [], channel_labels, verified } = await engine.client.get<Listed>(`accounts/${engine.client.accountId}/recordings/${recording.id}`)
  t.deepEqual(channel_labels, ['caller', second, third])
  const { samples, sampleRate, seconds, channels } = await audio(recording)
  t.is(channels, 4)
  const [from, to] = [seconds - 20, seconds - 1]
  for (const [nth, hz] of [500, 900, 1300].entries()) {
    const one = samples[nth] ?? new Int16Array()
    t.true(tones(one, sampleRate, hz, from, to) > 0.95, `channel ${nth + 1}`)
    for (const { from_ms, to_ms = from_ms } of segments)
      t.is(loudness(one, sampleRate, from_ms / 1000 + 0.1, to_ms / 1000 - 0.1), 0, `channel ${nth + 1} masked`)
  }
  t.is(loudness(samples[3] ?? new Int16Array(), sampleRate), 0)
  const [mask] = segments
  t.true((mask?.to_ms ?? 0) - (mask?.from_ms ?? 0) >= 1000, 'a second is masked')
  t.is(segments.length, 1)
  t.true(verified)
})

test('who waits for the one that starts it hears music until then, and all leave with who ends it', async t => {
  const music = await httpSink(t, [
    async (_request, response, read) => {
      await read()
      response.end(wavOfTone(700, 1000))
    },
  ])
  const { calls, stored, audio, told, status } = await office(t)
  const guest = [
    { action: 'record', split: 'conversation', format: 'wav' },
    { action: 'conversation', name: 'board', startOnEnter: false, musicOnHoldUrl: [`${music.url}/music.wav`] },
    { action: 'notify', payload: { left: true }, eventUrl: ['https://127.0.0.1:9/'] },
  ]
  const waits = await calls(guest, { hz: 900, seconds: 600 })
  const leads = await calls(
    [
      { action: 'wait', timeout: 20 },
      { action: 'conversation', name: 'board', endOnExit: true },
    ],
    { hz: 500, seconds: 60 },
  )
  await until('both are over', () => [waits, leads].every(uuid => status(uuid).includes('completed')))
  t.true(
    told().some(one => one['uuid'] === waits && one['action'] === 'notify'),
    'its next action ran',
  )
  const [recording] = await stored(1)
  if (recording === undefined) return t.fail('no recording')
  const { samples, sampleRate, seconds } = await audio(recording)
  const [, heard = new Int16Array()] = samples
  const most = (hz: number): number => Math.max(...Array.from({ length: Math.floor(seconds) }, (_, at) => tones(heard, sampleRate, hz, at, at + 1)))
  t.true(most(700) > 0.9, 'the music')
  t.true(most(500) > 0.9, 'then the one who leads')
  const last = [...Array(Math.floor(seconds)).keys()].findLast(at => tones(heard, sampleRate, 500, at, at + 1) > 0.9) ?? 0
  t.is(
    [...Array(last).keys()].findLast(at => at > 0 && tones(heard, sampleRate, 700, at, at + 1) > 0.9 && tones(heard, sampleRate, 500, at - 1, at) > 0.9),
    undefined,
    'no music once it has begun',
  )
  t.true(seconds < 300, 'the guest was let go')
})

test('who is muted is heard by nobody', async t => {
  const { calls, stored, audio, status } = await office(t)
  const listens = [
    { action: 'record', split: 'conversation', format: 'wav' },
    { action: 'conversation', name: 'quiet' },
  ]
  const one = await calls(listens, { hz: 500, seconds: 40 })
  const other = await calls([{ action: 'conversation', name: 'quiet', mute: true }], { hz: 900, seconds: 60 })
  await until('both are over', () => [one, other].every(uuid => status(uuid).includes('completed')))
  const [recording] = await stored(1)
  if (recording === undefined) return t.fail('no recording')
  const { samples, sampleRate } = await audio(recording)
  t.is(loudness(samples[1] ?? new Int16Array(), sampleRate), 0)
})

test('what is recorded of a conversation goes on in its file while its engine is started anew', async t => {
  const { calls, stored, audio, status, engine } = await office(t)
  const room = { action: 'conversation', name: 'long', record: true }
  const first = await calls([room], { hz: 500, seconds: 200 })
  const recordings = () => engine.client.get<Listed[]>(`accounts/${engine.client.accountId}/recordings`)
  await until('the recording', async () => (await recordings()).some(({ state }) => state === 'recording'))
  const second = await calls([room], { hz: 900, seconds: 300 })
  await engine.restart()
  const running = (await recordings()).filter(({ state }) => state === 'recording')
  t.is(running.filter(({ call_id }) => call_id === first).length, 1)
  await until('both are over', () => [first, second].every(uuid => status(uuid).includes('completed')))
  const ofFirst = (await stored(1)).filter(({ call_id }) => call_id === first)
  t.is(ofFirst.length, 1)
  const [one] = ofFirst
  if (one === undefined) return t.fail('it is there')
  const { samples, sampleRate, seconds } = await audio(one)
  t.true(seconds > 190, `${seconds} s of 200`)
  t.true(tones(samples[0] ?? new Int16Array(), sampleRate, 900, seconds - 10, seconds - 1) > 0.3, 'with everybody after it')
})
