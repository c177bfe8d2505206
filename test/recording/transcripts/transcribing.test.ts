import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import { AppError } from '../../../src/errors.ts'
import { createAudit } from '../../../src/recording/keeping/audit.ts'
import { type Decoder, findDecoder, NO_DECODER } from '../../../src/recording/audio/decoder.ts'
import { IN_FLIGHT, type Recording, recordingDbOf } from '../../../src/recording/document.ts'
import { createErasure } from '../../../src/recording/keeping/erasure.ts'
import { ProgramFailed } from '../../../src/recording/audio/program.ts'
import { limitOf } from '../../../src/recording/transcripts/transcribe.ts'
import { findTranscriber, type Heard, POCKETSPHINX, type Transcriber } from '../../../src/recording/transcripts/transcriber.ts'
import { startTranscribing, type Transcribing, type TranscribingPorts } from '../../../src/recording/transcripts/transcribing.ts'
import { type Sentence, TRANSCRIPT } from '../../../src/recording/transcript.ts'
import { type Pending, pendingId } from '../../../src/recording/transcripts/transcript-queue.ts'
import { embeddedStore } from '../../../src/store/embedded.ts'
import { recordingId, toGregorian } from '../../../src/store/modb.ts'
import type { Stored } from '../../../src/store/store.ts'
import { loudness, readWav, tone, wavOfTone } from '../../helpers/audio.ts'
import { manualClock } from '../../helpers/clock.ts'
import { notedLog } from '../../helpers/log.ts'
import { folder } from '../../helpers/programs.ts'
import { onPath, realRun } from '../../helpers/real.ts'
import { tally } from '../../helpers/tally.ts'
import { until } from '../../helpers/wait.ts'
import { weave } from '../../../src/recording/audio/weave.ts'

const ACCOUNT = 'a'.repeat(32)
const HELLO: Sentence = { text: 'Hello.', start_ms: 10, duration_ms: 500 }
const WISH = { who: { account_id: ACCOUNT }, reason: 'on request' }

/** Never comes to an end by itself. */
const forever =
  (ended: string[] = []) =>
  (file: string, { signal }: Heard): Promise<never> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        ended.push(file)
        reject(new ProgramFailed('it was broken off', ''))
      })
    })

interface Options {
  hears?: (file: string, how: Heard, nth: number) => Promise<Sentence[]>
  languages?: readonly string[]
  sentiment?: boolean
  tell?: (recording: Recording, nth: number) => Promise<void>
}

async function place(t: ExecutionContext) {
  const dir = folder(t)
  const store = await embeddedStore({ dir: join(dir, 'store') })
  t.teardown(() => store.close())
  await store.createDatabase(IN_FLIGHT, 'recordings_in_flight')
  const clock = manualClock()
  const { log, lines } = notedLog()
  const { metrics, counts } = tally()
  const work = join(dir, 'transcribing')
  const told: Stored<Recording>[] = []
  const dbOf = (id: string): string => recordingDbOf({ _id: id, account_id: ACCOUNT })
  const now = (id: string) => store.get<Recording>(dbOf(id), id)
  const pending = (id: string) => store.get<Pending>(IN_FLIGHT, pendingId(id))

  /** Of a tone, stored. */
  async function recorded(fields: Partial<Recording> = {}, wav = wavOfTone(440, 1000, 16_000)): Promise<Stored<Recording>> {
    const id = recordingId(clock.now(), randomBytes(16).toString('hex'))
    await store.createDatabase(dbOf(id), 'modb')
    const media_type = fields.media_type ?? 'wav'
    const doc = {
      _id: id,
      pvt_type: 'call_recording',
      pvt_account_id: ACCOUNT,
      pvt_created: toGregorian(clock.now()),
      start: toGregorian(clock.now()),
      origins: ['ncco'],
      state: 'stopped',
      name: `a.${media_type}`,
      media_type,
      channels: 1,
      duration_ms: 1000,
      transcription: { state: 'due', language: 'en-US', sentiment: false },
      ...fields,
    }
    const rev = await store.put(dbOf(id), doc)
    await store.putAttachment(dbOf(id), id, rev, doc.name, { stream: Readable.from([wav]), length: wav.length, contentType: 'audio/x-wav' })
    return (await now(id)) as Stored<Recording>
  }

  function open(
    { hears = async () => [HELLO], languages = ['en'], sentiment = false, tell = async () => {} }: Options = {},
    more: Partial<TranscribingPorts> = {},
  ) {
    const heard: { file: string; how: Heard }[] = []
    const transcriber: Transcriber = {
      languages,
      sentiment,
      transcribe(file, how) {
        heard.push({ file, how })
        return hears(file, how, heard.length)
      },
    }
    const room = startTranscribing({
      store,
      transcriber: Promise.resolve(transcriber),
      decoder: NO_DECODER,
      folder: work,
      clock,
      log,
      metrics,
      random: () => 0,
      engine: 'one',
      async tell(recording) {
        told.push(recording)
        await tell(recording, told.length)
      },
      ...more,
    })
    t.teardown(() => room.close())
    return { room, heard }
  }

  const text = async (id: string): Promise<{ channels: { transcript: { sentence: string }[] }[] }> => {
    const found = await store.getAttachment(dbOf(id), id, TRANSCRIPT)
    const pieces: Buffer[] = []
    for await (const piece of found?.body ?? []) pieces.push(piece as Buffer)
    return JSON.parse(Buffer.concat(pieces).toString())
  }
  const isDone = (room: Transcribing, id: string): Promise<unknown> =>
    until('the transcript', async () => {
      await room.idle()
      return (await pending(id)) === undefined
    })
  const isTold = (room: Transcribing, id: string, attempts: number): Promise<unknown> =>
    until(`attempt ${attempts} to tell`, async () => {
      await room.idle()
      return (await pending(id))?.transcript.told?.attempts === attempts
    })
  return { store, clock, isTold, lines, counts, work, told, dbOf, now, pending, recorded, open, text, isDone, log, metrics }
}

test('a recording that is stored gets its transcript beside its audio, whoever asked for it is told, and nothing is left', async t => {
  const { recorded, open, now, told, counts, text, isDone, work, dbOf, store } = await place(t)
  const recording = await recorded()
  const { room, heard } = open()
  await room.due(recording)
  await isDone(room, recording._id)
  const made = await now(recording._id)
  t.like(made?.transcription, { state: 'transcribed', language: 'en-US', transcribed_at: '2026-05-16T00:00:00.000Z' })
  t.regex(made?.transcription?.sha256 ?? '', /^[0-9a-f]{64}$/)
  t.like(await text(recording._id), { request_id: recording._id, channels: [{ transcript: [{ sentence: 'Hello.', start_ms: 10, duration: 500 }] }] })
  t.is((await store.getAttachment(dbOf(recording._id), recording._id, 'a.wav').then(found => (found?.body.destroy(), found)))?.length, recording.size ?? 32_044)
  t.deepEqual(
    told.map(({ _id, transcription }) => [_id, transcription?.state]),
    [[recording._id, 'transcribed']],
  )
  t.is(counts['callrec_transcripts_total transcribed'], 1)
  t.is(heard[0]?.how.within, limitOf(1000))
  t.deepEqual(readdirSync(work), [])
})

test('a recording of which no transcript is wanted is not looked at', async t => {
  const { recorded, open, pending } = await place(t)
  const recording = await recorded()
  const { transcription: _, ...plain } = recording
  const { room, heard } = open()
  await room.due(plain)
  t.is(await pending(recording._id), undefined)
  await room.idle()
  t.deepEqual(heard, [])
})

test('each channel is heard by itself, and masked stretches are silent in each', async t => {
  const { recorded, open, isDone, text, work } = await place(t)
  const dir = folder(t)
  const at = (hz: number): string => join(dir, `${hz}.wav`)
  for (const hz of [300, 500, 700]) writeFileSync(at(hz), wavOfTone(hz, 1000, 16_000))
  const others = [500, 700].map(hz => ({ path: at(hz), from_ms: 0 }))
  await weave(at(300), others, 3, [{ from_ms: 400, to_ms: 600 }])
  const recording = await recorded({ channels: 3 }, readFileSync(at(300)))
  const { room } = open({
    hears: async file => {
      const { channels, sampleRate, samples } = readWav(file)
      const [one = new Int16Array()] = samples
      const hz = [300, 500, 700].find(one_hz => tone(one, sampleRate, one_hz, 0, 0.4) > 0.9)
      return [{ ...HELLO, text: `${channels} ${hz} ${loudness(one, sampleRate, 0.4, 0.6)}` }]
    },
  })
  await room.due(recording)
  await isDone(room, recording._id)
  t.deepEqual(
    (await text(recording._id)).channels.map(({ transcript }) => transcript[0]?.sentence),
    ['1 300 0', '1 500 0', '1 700 0'],
  )
  t.deepEqual(readdirSync(work), [])
})

test('what is kept as mp3 is made WAV first', async t => {
  const { recorded, open, isDone, now } = await place(t)
  const recording = await recorded({ media_type: 'mp3' }, Buffer.from('no sound at all'))
  const decoder: Decoder = {
    formats: ['mp3'],
    decode: async (from, to) => writeFileSync(to, readFileSync(from, 'utf8') === 'no sound at all' ? wavOfTone(440, 500, 16_000) : ''),
  }
  const { room, heard } = open({}, { decoder })
  await room.due(recording)
  await isDone(room, recording._id)
  t.is((await now(recording._id))?.transcription?.state, 'transcribed')
  t.is(heard.length, 1)
})

for (const [why, options, fields, more, reason] of [
  ['there is no transcriber any more', { languages: [] }, {}, {}, 'there is no transcriber'],
  ['its language is not understood any more', { languages: ['de'] }, {}, {}, 'the transcriber does not understand en-US'],
  [
    'its sentiment cannot be told any more',
    {},
    { transcription: { state: 'due', language: 'en-US', sentiment: true } },
    {},
    'the transcriber tells no sentiment',
  ],
  ['nobody reads its format', {}, { media_type: 'ogg' }, {}, 'there is no ffmpeg that reads ogg'],
  ['the program fails', { hears: () => Promise.reject(new ProgramFailed('it ended with 3', '/models: no such folder')) }, {}, {}, 'it ended with 3'],
  [
    'ffmpeg fails',
    {},
    { media_type: 'mp3' },
    { decoder: { formats: ['mp3'], decode: () => Promise.reject(new ProgramFailed('it ended with 1', 'Invalid data')) } },
    'it ended with 1',
  ],
] as const) {
  test(`where ${why} the transcript fails, its document says why, and whoever asked for it is told`, async t => {
    const { recorded, open, isDone, now, told, counts, work, lines } = await place(t)
    const recording = await recorded(fields)
    const { room } = open(options, more)
    await room.due(recording)
    await isDone(room, recording._id)
    t.like((await now(recording._id))?.transcription, { state: 'failed', reason })
    t.like(told[0]?.transcription, { state: 'failed', reason })
    t.is(counts['callrec_transcripts_total failed'], 1)
    t.true(lines.some(({ event, level }) => event === 'transcript_failed' && level === 'error'))
    t.true(!existsSync(work) || readdirSync(work).length === 0)
  })
}

test('a file that is no sound, or is gone, is told of', async t => {
  const { recorded, open, isDone, now, store, dbOf } = await place(t)
  const noise = await recorded({}, Buffer.from('RIFF and what follows'))
  const gone = await recorded()
  const { _attachments: _, ...bare } = gone
  await store.put(dbOf(gone._id), bare)
  const { room } = open()
  for (const one of [noise, gone]) {
    await room.due(one)
    await isDone(room, one._id)
  }
  t.is((await now(noise._id))?.transcription?.reason, 'its file is no sound that can be read')
  t.is((await now(gone._id))?.transcription?.reason, 'its file is not in the store')
})

test('what an engine was doing when it was killed the next one begins anew, without what lay on the disk', async t => {
  const { recorded, open, isDone, now, work } = await place(t)
  const recording = await recorded()
  // It never comes to an end, and nobody ends it.
  const { room: killed, heard: begun } = open({ hears: forever() })
  await killed.due(recording)
  await until('its beginning', () => begun.length === 1)
  mkdirSync(join(work, 'left-behind'))
  const { room } = open()
  await isDone(room, recording._id)
  t.is((await now(recording._id))?.transcription?.state, 'transcribed')
  t.deepEqual(readdirSync(work), [])
})

test('what ends the engine again and again is not begun for ever', async t => {
  const { recorded, open, isDone, now, store, pending } = await place(t)
  const recording = await recorded()
  const { room: first, heard: begun } = open({ hears: forever() })
  await first.due(recording)
  await until('its beginning', () => begun.length === 1)
  const one = await pending(recording._id)
  await store.put(IN_FLIGHT, { ...one, transcript: { ...one?.transcript, attempts: 5 } } as Pending)
  const { room, heard } = open()
  await isDone(room, recording._id)
  t.like((await now(recording._id))?.transcription, { state: 'failed', reason: 'it was broken off 5 times' })
  t.deepEqual(heard, [])
})

test('a stop ends the program, costs no attempt, and any engine may have it at once', async t => {
  const { recorded, open, isDone, now, pending, told } = await place(t)
  const recording = await recorded()
  const ended: string[] = []
  const { room: first, heard } = open({ hears: forever(ended) })
  await first.due(recording)
  await until('its beginning', () => heard.length === 1)
  await first.close()
  t.is(ended.length, 1)
  t.is((await pending(recording._id))?.transcript.attempts, 0)
  t.deepEqual(told, [])
  const { room } = open({}, { engine: 'another' })
  await isDone(room, recording._id)
  t.is((await now(recording._id))?.transcription?.state, 'transcribed')
})

test('what another engine is at is left to it until its time is over', async t => {
  const { recorded, open, isDone, now, clock, work } = await place(t)
  const recording = await recorded()
  const { room: lost, heard: begun } = open({ hears: forever() })
  await lost.due(recording)
  await until('its beginning', () => begun.length === 1)
  const { room, heard } = open({}, { engine: 'another', folder: `${work}-of-another` })
  await room.idle()
  t.deepEqual(heard, [])
  clock.advance(30 * 60_000 + limitOf(1000) + 60_000)
  await isDone(room, recording._id)
  t.is((await now(recording._id))?.transcription?.state, 'transcribed')
})

test('an engine without a transcriber leaves what is another’s to it for a day', async t => {
  const { recorded, open, isDone, now, clock, work } = await place(t)
  const recording = await recorded()
  const { room: gone, heard } = open({ hears: forever() })
  await gone.due(recording)
  await until('its beginning', () => heard.length === 1)
  const { room } = open({ languages: [] }, { engine: 'another', folder: `${work}-of-another` })
  clock.advance(2 * 3600_000)
  await room.idle()
  t.is((await now(recording._id))?.transcription?.state, 'due')
  clock.advance(25 * 3600_000)
  await isDone(room, recording._id)
  t.is((await now(recording._id))?.transcription?.reason, 'there is no transcriber')
})

test('two are made at once, and the next when one of them is done', async t => {
  const { recorded, open, isDone } = await place(t)
  const go: (() => void)[] = []
  let [running, most] = [0, 0]
  const { room } = open({
    hears: async () => {
      most = Math.max(most, ++running)
      await new Promise<void>(resolve => go.push(resolve))
      running -= 1
      return []
    },
  })
  const all = [await recorded(), await recorded(), await recorded(), await recorded()]
  for (const one of all) await room.due(one)
  await until('two', () => go.length === 2)
  for (let done = 0; done < all.length; done++) (await until('the next', () => go.shift()))()
  for (const one of all) await isDone(room, one._id)
  t.is(most, 2)
})

test('whoever cannot be told is told later, without another transcript, and also by the next engine', async t => {
  const { recorded, open, isDone, isTold, told, clock } = await place(t)
  const recording = await recorded()
  const { room: first, heard } = open({ tell: () => Promise.reject(new AppError('upload_unreachable', 'nobody there')) })
  await first.due(recording)
  await isTold(first, recording._id, 1)
  clock.advance(5000)
  await isTold(first, recording._id, 2)
  await first.close()
  const { room } = open()
  clock.advance(5000)
  await isDone(room, recording._id)
  t.is(heard.length, 1)
  t.deepEqual(
    told.map(({ transcription }) => transcription?.state),
    ['transcribed', 'transcribed', 'transcribed'],
  )
})

test('after three days whoever cannot be told is given up', async t => {
  const { recorded, open, isDone, isTold, clock, lines } = await place(t)
  const recording = await recorded()
  const { room } = open({ tell: () => Promise.reject(new AppError('upload_unreachable', 'nobody there')) })
  await room.due(recording)
  await isTold(room, recording._id, 1)
  clock.advance(73 * 3600_000)
  await isDone(room, recording._id)
  t.true(lines.some(({ event, next_at }) => event === 'transcript_untold' && next_at === undefined))
})

test('what this machine cannot do now is tried again, a few times', async t => {
  const { recorded, open, isDone, now, clock, counts, pending } = await place(t)
  const recording = await recorded()
  const { room, heard } = open({ hears: () => Promise.reject(new Error('ENOSPC: no space left on device')) })
  await room.due(recording)
  for (let nth = 1; nth < 5; nth++) {
    await until(`attempt ${nth}`, async () => {
      await room.idle()
      const { attempts, next_at } = (await pending(recording._id))?.transcript ?? { attempts: 0, next_at: 0 }
      return attempts === nth && next_at > clock.now()
    })
    clock.advance(5000)
  }
  await isDone(room, recording._id)
  t.is(heard.length, 5)
  t.is(counts['callrec_transcripts_total postponed'], 4)
  t.like((await now(recording._id))?.transcription, { state: 'failed', reason: 'it could not be made' })
})

test('a recording that is erased while it is transcribed leaves no transcript, no program and nothing to do', async t => {
  const { recorded, open, now, store, clock, log, metrics, pending, told, work, dbOf } = await place(t)
  const [first, second, third] = [await recorded(), await recorded(), await recorded()]
  const ended: string[] = []
  const { room, heard } = open({ hears: forever(ended) })
  for (const one of [first, second, third]) await room.due(one)
  await until('two of them', () => heard.length === 2)
  const audit = createAudit({ store, clock, log })
  const erasure = createErasure({
    store,
    spool: { remove: async () => {} },
    audit,
    clock,
    metrics,
    nodes: () => [],
    deliver: () => {},
    forget: id => room.forget(id),
  })
  // One that waits, and one that runs.
  for (const { _id } of [third, first]) {
    await erasure.erase((await now(_id)) as Stored<Recording>, WISH)
    t.is(await pending(_id), undefined)
    t.like(await now(_id), { pvt_deleted: true })
    t.is(await store.getAttachment(dbOf(_id), _id, TRANSCRIPT), undefined)
  }
  t.is(ended.length, 1)
  t.false(existsSync(join(work, first._id)))
  t.deepEqual(told, [])
  t.is((await pending(second._id))?.transcript.attempts, 1)
})

test('a recording that was erased by another engine meanwhile gets no transcript', async t => {
  const { recorded, open, isDone, now, store, told, clock, dbOf } = await place(t)
  const recording = await recorded()
  const go: (() => void)[] = []
  const { room } = open({
    hears: async () => {
      await new Promise<void>(resolve => go.push(resolve))
      return [HELLO]
    },
  })
  await room.due(recording)
  const hear = await until('its beginning', () => go.shift())
  const { _attachments: _, transcription: __, ...rest } = recording
  await store.put(dbOf(recording._id), { ...rest, pvt_deleted: true })
  hear()
  await room.idle()
  clock.advance(60_000)
  await isDone(room, recording._id)
  t.is(await store.getAttachment(dbOf(recording._id), recording._id, TRANSCRIPT), undefined)
  t.like(await now(recording._id), { pvt_deleted: true })
  t.deepEqual(told, [])
})

test('an erasure ends the transcript with the audio, and what is held keeps both', async t => {
  const { recorded, open, isDone, now, store, clock, log, metrics, dbOf } = await place(t)
  const recording = await recorded()
  const { room } = open()
  await room.due(recording)
  await isDone(room, recording._id)
  const audit = createAudit({ store, clock, log })
  const erasure = createErasure({
    store,
    spool: { remove: async () => {} },
    audit,
    clock,
    metrics,
    nodes: () => [],
    deliver: () => {},
    forget: id => room.forget(id),
  })
  const made = (await now(recording._id)) as Stored<Recording>
  const _rev = await store.put(dbOf(made._id), { ...made, legal_hold: true })
  await t.throwsAsync(erasure.erase({ ...made, _rev, legal_hold: true }, WISH), { code: 'legal_hold' })
  t.truthy(await store.getAttachment(dbOf(made._id), made._id, TRANSCRIPT).then(found => (found?.body.destroy(), found)))
  const free = await store.put(dbOf(made._id), { ...made, _rev, legal_hold: false })
  await erasure.erase({ ...made, _rev: free }, WISH)
  t.is(await store.getAttachment(dbOf(made._id), made._id, TRANSCRIPT), undefined)
  t.is((await now(made._id))?.transcription, undefined)
})

test('a store that is away is asked again', async t => {
  const { recorded, open, isDone, now, store, clock } = await place(t)
  const recording = await recorded()
  let failures = 2
  const flaky: typeof store = {
    ...store,
    query: (...asked) => (failures-- > 0 ? Promise.reject(new AppError('datastore_unreachable', 'away')) : store.query(...asked)),
  }
  const { room } = open({}, { store: flaky })
  await room.due(recording)
  await room.idle()
  clock.advance(60_000)
  await isDone(room, recording._id)
  t.is((await now(recording._id))?.transcription?.state, 'transcribed')
})

const real = realRun('a recording as text', { [POCKETSPHINX]: onPath(POCKETSPHINX), flite: onPath('flite'), ffmpeg: onPath('ffmpeg') }) ? test : test.skip
real('what two parties said in a recording is text on the channel of each, also where it is kept as mp3', async t => {
  const { recorded, open, isDone, text, log } = await place(t)
  const dir = folder(t)
  const at = (name: string): string => join(dir, name)
  for (const [name, said] of [
    ['left', 'please send the invoice to the office'],
    ['right', 'the meeting is on monday morning'],
  ] as const)
    spawnSync('flite', ['-voice', 'slt', '-t', said, '-o', at(`${name}.wav`)])
  const mix = ['-i', at('left.wav'), '-i', at('right.wav'), '-filter_complex', '[0:a][1:a]join=inputs=2:channel_layout=stereo', '-b:a', '64k', at('both.mp3')]
  spawnSync('ffmpeg', ['-loglevel', 'error', ...mix])
  const recording = await recorded({ media_type: 'mp3', channels: 2 }, readFileSync(at('both.mp3')))
  const { room } = open({}, { decoder: await findDecoder('ffmpeg', log), transcriber: findTranscriber(POCKETSPHINX, log) })
  await room.due(recording)
  await isDone(room, recording._id)
  const [left, right, ...more] = (await text(recording._id)).channels.map(({ transcript }) => transcript.map(({ sentence }) => sentence).join(' '))
  t.regex(left ?? '', /invoice/)
  t.regex(right ?? '', /meeting|monday|morning/)
  t.deepEqual(more, [])
})
