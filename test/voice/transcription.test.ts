import test from 'ava'
import { AppError } from '../../src/errors.ts'
import type { Recording } from '../../src/recording/document.ts'
import type { Transcription } from '../../src/recording/transcript.ts'
import { type Reply, voiceWorld } from './world.ts'

const RECORDED = 'https://app.example.com/recorded'
const SAID = 'https://app.example.com/said'
const EVENTS = 'https://app.example.com/events'
const HERE = { languages: ['en'], sentiment: true }
const about = { action: 'record', timeOut: 3 }
const callEvents = { eventUrl: { url: EVENTS, method: 'GET' as const } }
const signal = new AbortController().signal

const transcript = (more: Partial<Transcription>): Transcription => ({ state: 'transcribed', language: 'en-US', sentiment: false, ...more })

/** The recording that was made, with what came of its transcript. */
function made(docs: ReadonlyMap<string, Recording>, transcription: Partial<Transcription>): Recording {
  const [recording] = docs.values()
  return { ...(recording as Recording), transcription: transcript(transcription) }
}

test('a transcript is asked for with the recording, in the language and with the sentiment that is wanted', async t => {
  const { play, transcriptions } = voiceWorld(t, { transcribes: HERE })
  await play([{ ...about, transcription: {} }, { ...about, transcription: { language: 'en-gb', sentimentAnalysis: 'true' } }, about])
  t.deepEqual(transcriptions, [
    { language: 'en-US', sentiment: false },
    { language: 'en-GB', sentiment: true },
  ])
})

test('what is to be made text and has no format is WAV where nobody could read mp3', async t => {
  const of = async (options: object): Promise<unknown[]> => {
    const { play, settings } = voiceWorld(t, { transcribes: HERE, formats: ['wav', 'mp3'], ...options })
    await play([{ ...about, transcription: {} }, about, { ...about, transcription: {}, split: 'conversation', channels: 4 }])
    return settings.map(({ format }) => format?.value)
  }
  t.deepEqual(await of({}), ['wav', undefined, 'wav'])
  t.deepEqual(await of({ encodes: ['mp3'] }), ['wav', 'mp3', 'wav'])
  t.deepEqual(await of({ decodes: ['mp3'] }), [undefined, undefined, 'wav'])
  t.deepEqual(await of({ decodes: ['mp3'], encodes: ['mp3'] }), ['mp3', 'mp3', 'wav'])
})

for (const [what, transcription, more, url, method] of [
  ['its own URL', { eventUrl: [SAID] }, { eventUrl: [RECORDED] }, SAID, 'POST'],
  ['its own URL by its own method', { eventUrl: SAID, eventMethod: 'GET' }, { eventUrl: [RECORDED] }, SAID, 'GET'],
  ['the URL of the recording', {}, { eventUrl: [RECORDED], eventMethod: 'GET' }, RECORDED, 'GET'],
  ['the event_url of the call', {}, {}, EVENTS, 'GET'],
] as const) {
  test(`a transcript is told of to ${what}`, async t => {
    const { play, docs, http, voice } = voiceWorld(t, { transcribes: HERE })
    await play([{ ...about, ...more, transcription }], callEvents)
    const before = http.asked.length
    const recording = made(docs, {})
    await voice.transcribed(recording, signal)
    const { recording_uuid, conversation_uuid, file_uuid, transcript: facts } = recording.pvt_voice ?? {}
    t.not(facts?.file_uuid, file_uuid)
    const fields = {
      conversation_uuid,
      type: 'record',
      recording_uuid,
      status: 'transcribed',
      transcription_url: `https://pbx.example.com/v1/files/${facts?.file_uuid}`,
      timestamp: '2026-05-16T00:00:00.000Z',
    }
    t.deepEqual(http.asked.slice(before), [{ method, url, fields }])
  })
}

test('a transcript that failed is told of with its reason', async t => {
  const { play, docs, told, voice } = voiceWorld(t, { transcribes: HERE })
  await play([{ ...about, transcription: { eventUrl: [SAID] } }])
  await voice.transcribed(made(docs, { state: 'failed', reason: 'it ended with 3' }), signal)
  t.like(told(SAID)[0], { type: 'record', status: 'failed', reason: 'it ended with 3' })
  t.false('transcription_url' in (told(SAID)[0] ?? {}))
})

test('where nobody is to be told nobody is', async t => {
  const { play, docs, http, voice } = voiceWorld(t, { transcribes: HERE })
  await play([{ ...about, transcription: {} }])
  await voice.transcribed(made(docs, {}), signal)
  t.deepEqual(http.asked, [])
})

for (const [ends, reason] of [
  ['failed', 'the file was lost'],
  ['discarded', 'empty'],
] as const) {
  test(`whoever waits for the text alone of a recording that is ${ends} is told that there will be none`, async t => {
    const { play, told } = voiceWorld(t, { transcribes: HERE, ends })
    await play([
      { ...about, eventUrl: [RECORDED], transcription: { eventUrl: [SAID] } },
      { ...about, eventUrl: [RECORDED], transcription: {} },
    ])
    t.deepEqual(
      told(SAID).map(({ type, status, reason: why }) => [type, status, why]),
      [['record', 'failed', reason]],
    )
    t.is(told(RECORDED).length, 2)
  })
}

const untold = async (t: Parameters<typeof voiceWorld>[0], replies: readonly Reply[]) => {
  const { play, docs, lines, voice } = voiceWorld(t, { transcribes: HERE, replies: { [SAID]: replies } })
  await play([{ ...about, transcription: { eventUrl: [SAID] } }])
  const told = await voice.transcribed(made(docs, {}), signal).then(
    () => 'over',
    () => 'again',
  )
  return [told, lines.some(({ event }) => event === 'voice_transcript_untold')]
}

test('an application that may have it later is told again, and one that refuses is told of in the log', async t => {
  t.deepEqual(await untold(t, [new AppError('upload_unreachable', 'nobody there')]), ['again', false])
  t.deepEqual(await untold(t, [503]), ['again', false])
  t.deepEqual(await untold(t, [500]), ['again', false])
  t.deepEqual(await untold(t, [429]), ['again', false])
  t.deepEqual(await untold(t, [404]), ['over', true])
  t.deepEqual(await untold(t, [new AppError('destination_forbidden', 'a private network')]), ['over', true])
})

test('a transcript that cannot be made is refused before the first action', async t => {
  const { play, did, told } = voiceWorld(t)
  t.is(await play([about, { ...about, transcription: {} }], { eventUrl: { url: EVENTS, method: 'POST' } }), 'failed')
  t.false(did.includes('record'))
  t.true(JSON.stringify(told(EVENTS)).includes('[1].transcription is not available: there is no transcriber'), JSON.stringify(told(EVENTS)))
})
