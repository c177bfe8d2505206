// From an NCCO to the text, on the embedded switch: its parties hum, so what they said is the program's word.

import { generateKeyPairSync } from 'node:crypto'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { startEngine } from '../helpers/engine.ts'
import { httpSink } from '../helpers/http-sink.ts'
import { notedLog } from '../helpers/log.ts'
import { folder, transcriber } from '../helpers/programs.ts'
import { until } from '../helpers/wait.ts'
import { tokenGenerate } from './sdk.ts'

interface Listed {
  id: string
  media_type: string
  transcription?: { state: string; reason?: string; language: string }
}

const keys = () =>
  generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } })

/** One call that runs the NCCO. */
async function called(t: ExecutionContext, program: string, ncco: (hooks: { recorded: string[]; said: string[] }) => object[]) {
  const { log, lines } = notedLog()
  const engine = await startEngine(t, { TRANSCRIBER: program }, log)
  const { client } = engine
  const at = `accounts/${client.accountId}`
  const app = await httpSink(t, [204])
  const { publicKey, privateKey } = keys()
  const application = await client.put<{ id: string; application_id: string }>(`${at}/applications`, { name: 'app', public_key: publicKey })
  const { id: phone } = await client.put<{ id: string }>(`${at}/devices`, { name: 'phone', sip: { username: 'phone', password: 'a-long-secret' } })
  const actions = ncco({ recorded: [`${app.url}/recorded`], said: [`${app.url}/said`] })
  const data = { application_id: application.id, ncco: actions, event_url: app.url }
  await client.put(`${at}/callflows`, { numbers: ['3100'], flow: { module: 'ncco', data } })
  await client.put(`${at}/devices/${phone}/quickcall/3100`, { seconds: 600 })
  const told = (path: string): Record<string, unknown>[] =>
    app.received.filter(one => one.whole && one.url === path).map(one => JSON.parse(one.body.toString()) as Record<string, unknown>)
  return {
    engine,
    told,
    lines,
    over: () => until('the end', () => told('/').some(({ status }) => status === 'completed')),
    said: () => until('the transcript to be told of', () => told('/said')[0]),
    recordings: () => engine.client.get<Listed[]>(`${at}/recordings`),
    transcript: (id: string) => engine.client.get<{ channels: { transcript: object[] }[] }>(`${at}/recordings/${id}/transcript`),
    file: (url: unknown) =>
      fetch(`${engine.url}${new URL(String(url)).pathname}`, { headers: { authorization: `Bearer ${tokenGenerate(application.application_id, privateKey)}` } }),
  }
}

/** What it prints tells what it was given. */
const REPORTS = `lang=$2; [ "$3" = --sentiment ] && mood=0.5 || mood=0
printf '{"sentences":[{"text":"%s %s","start_ms":0,"duration_ms":5,"sentiment":%s}]}' "$lang" "$(od -An -tu2 -j22 -N2 "$file" | tr -d ' ')" $mood`

test.serial('each channel of a recording is made text, and the application is told and fetches it', async t => {
  const place = await called(t, transcriber(t, REPORTS), ({ recorded, said }) => [
    { action: 'record', timeOut: 3, split: 'conversation', eventUrl: recorded, transcription: { language: 'de-DE', sentimentAnalysis: true, eventUrl: said } },
    { action: 'wait', timeout: 1 },
  ])
  const event = await place.said()
  const [recording] = await place.recordings()
  const [{ recording_uuid, conversation_uuid } = {}] = place.told('/recorded')
  t.like(event, { type: 'record', status: 'transcribed', recording_uuid, conversation_uuid })
  t.truthy(recording_uuid)
  const response = await place.file(event['transcription_url'])
  t.is(response.status, 200)
  const sentence = { sentence: 'de-DE 1', raw_sentence: 'de-de 1', start_ms: 0, duration: 5, sentiment: 0.5 }
  const text = { ver: '1.0.0', request_id: recording_uuid, language: 'de-DE', channels: [{ transcript: [sentence] }, { transcript: [sentence] }] }
  t.deepEqual(await response.json(), text)
  t.like(recording, { transcription: { state: 'transcribed', language: 'de-DE', sentiment: true } })
  t.deepEqual(await place.transcript(recording?.id ?? ''), text as never)
})

test.serial('a transcript that takes long keeps neither the call nor its recording waiting, and is made after a restart', async t => {
  const dir = folder(t)
  const slow = transcriber(t, `echo $$ >> ${dir}/begun; while [ ! -e ${dir}/go ]; do sleep 0.05; done\n${REPORTS}`.replaceAll('\\n', '\n'))
  const place = await called(t, slow, ({ recorded, said }) => [
    { action: 'record', timeOut: 3, eventUrl: recorded, transcription: { eventUrl: said } },
    { action: 'wait', timeout: 1 },
  ])
  await place.over()
  t.is(place.told('/recorded').length, 1)
  t.like((await place.recordings())[0], { transcription: { state: 'due' } })
  await until('the program', () => existsSync(join(dir, 'begun')))
  await place.engine.restart(async () => {
    t.deepEqual(place.told('/said'), [])
    writeFileSync(join(dir, 'go'), '')
  })
  const event = await place.said()
  t.like(event, { status: 'transcribed' })
  t.is((await place.file(event['transcription_url'])).status, 200)
  t.deepEqual(readdirSync(join(place.engine.dataDir, 'transcribing')), [])
})

test.serial('a transcriber that fails is told of, and the recording is there all the same', async t => {
  const place = await called(t, transcriber(t, 'echo "/opt/model.bin: broken" >&2; exit 9'), ({ recorded, said }) => [
    { action: 'record', timeOut: 3, eventUrl: recorded, transcription: { eventUrl: said } },
  ])
  const event = await place.said()
  t.like(event, { type: 'record', status: 'failed', reason: 'it ended with 9' })
  t.notRegex(JSON.stringify(event), /model/)
  t.is((await place.file(place.told('/recorded')[0]?.['recording_url'])).status, 200)
  t.like(
    place.lines.find(({ event: name }) => name === 'transcript_failed'),
    { complained: '/opt/model.bin: broken' },
  )
})

test.serial('without a transcriber, or in a language it does not know, no action is begun', async t => {
  for (const [program, why] of [
    ['off', '[1].transcription is not available: there is no transcriber'],
    [transcriber(t, REPORTS), '[1].transcription.language fr-FR is not available: the transcriber understands en, de-DE'],
  ] as const) {
    const place = await called(t, program, () => [
      { action: 'record', timeOut: 3 },
      { action: 'record', timeOut: 3, transcription: { language: 'fr-FR' } },
    ])
    await place.over()
    t.true(JSON.stringify(place.told('/')).includes(why), JSON.stringify(place.told('/')))
    t.deepEqual(await place.recordings(), [])
  }
})
