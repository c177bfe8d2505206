import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { monoWav } from '../../../src/recording/audio/channel.ts'
import { ProgramFailed } from '../../../src/recording/audio/program.ts'
import { findTranscriber, type Heard, POCKETSPHINX } from '../../../src/recording/transcripts/transcriber.ts'
import { notedLog } from '../../helpers/log.ts'
import { folder, HELLO, script, transcriber } from '../../helpers/programs.ts'
import { onPath, realRun } from '../../helpers/real.ts'

const HOW: Heard = { language: 'en-US', sentiment: false, within: 30_000, signal: new AbortController().signal }

test('a transcriber is what it says of itself', async t => {
  const { log, lines } = notedLog()
  t.like(await findTranscriber(transcriber(t, ''), log), { languages: ['en', 'de-DE'], sentiment: true })
  t.like(await findTranscriber(transcriber(t, '', '{"languages":["*"]}'), log), { languages: ['*'], sentiment: false })
  t.is(lines.filter(({ event }) => event === 'transcriber_found').length, 2)
})

for (const [what, about] of [
  ['no JSON', 'hello'],
  ['no object', 'null'],
  ['no languages', '{}'],
  ['none at all', '{"languages":[]}'],
  ['a language that is none', '{"languages":["en us"]}'],
] as const) {
  test(`a program that tells ${what} of itself is no transcriber`, async t => {
    const { log, lines } = notedLog()
    t.deepEqual((await findTranscriber(transcriber(t, '', about), log)).languages, [])
    t.true(lines.some(({ event }) => event === 'transcriber_missing'))
  })
}

test('without a transcriber nothing is understood, and asking all the same says so', async t => {
  for (const program of ['off', '/nowhere/transcriber', `/nowhere/${POCKETSPHINX}`]) {
    const none = await findTranscriber(program, notedLog().log)
    t.deepEqual(none.languages, [])
    await t.throwsAsync(none.transcribe('a.wav', HOW), { message: /TRANSCRIBER/ })
  }
})

test('pocketsphinx without its models is no transcriber', async t => {
  const broken = script(t, POCKETSPHINX, 'echo "no mdef" >&2; exit 1')
  t.deepEqual((await findTranscriber(broken, notedLog().log)).languages, [])
})

test('a program is given the language, whether it is to tell sentiment, and the file', async t => {
  const dir = folder(t)
  const found = await findTranscriber(transcriber(t, `echo "$@" > ${dir}/asked\n${HELLO}`), notedLog().log)
  const file = join(dir, 'a.wav')
  t.deepEqual(await found.transcribe(file, HOW), [{ text: 'Hello, World!', start_ms: 120, duration_ms: 800 }])
  t.is(readFileSync(join(dir, 'asked'), 'utf8').trim(), `--language en-US ${file}`)
  t.deepEqual(await found.transcribe(file, { ...HOW, language: 'de-DE', sentiment: true }), [
    { text: 'Hello, World!', start_ms: 120, duration_ms: 800, sentiment: 0.5 },
  ])
  t.is(readFileSync(join(dir, 'asked'), 'utf8').trim(), `--language de-DE --sentiment ${file}`)
})

for (const [what, does, how] of [
  ['prints what is no transcript', 'echo hello', /^what it printed is not JSON$/],
  ['ends badly', 'echo "/models/large is broken" >&2; exit 2', /^it ended with 2$/],
  ['takes too long', 'sleep 60', /^it took longer than 0 s$/],
  [
    'prints without end',
    'while :; do echo "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; done',
    /^it (printed more than|took longer)/,
  ],
] as const) {
  test(`a program that ${what} fails in words for tenants, without what it complained of`, async t => {
    const found = await findTranscriber(transcriber(t, does), notedLog().log)
    const error = await t.throwsAsync(found.transcribe(join(folder(t), 'a.wav'), { ...HOW, within: what === 'takes too long' ? 200 : 30_000 }), {
      instanceOf: ProgramFailed,
    })
    t.regex(error?.how ?? '', how)
    t.notRegex(error?.how ?? '', /models/)
  })
}

const real = realRun('a spoken sentence as text', { [POCKETSPHINX]: onPath(POCKETSPHINX), flite: onPath('flite') }) ? test : test.skip
real('what flite says pocketsphinx understands, and silence is nothing', async t => {
  const dir = folder(t)
  const found = await findTranscriber(POCKETSPHINX, notedLog().log)
  t.deepEqual(found.languages, ['en'])
  const file = join(dir, 'spoken.wav')
  spawnSync('flite', ['-voice', 'slt', '-t', 'please send the invoice to the office', '-o', file])
  const [sentence, ...more] = await found.transcribe(file, HOW)
  t.deepEqual(more, [])
  t.regex(sentence?.text ?? '', /invoice to the office/)
  const word = sentence?.words?.find(one => one.word === 'invoice')
  t.true((word?.start_ms ?? 0) > 300 && (word?.duration_ms ?? 0) > 200, JSON.stringify(word))
  const silent = join(dir, 'silent.wav')
  writeFileSync(silent, monoWav(Buffer.alloc(64_000), 16_000))
  t.deepEqual(await found.transcribe(silent, HOW), [])
})
real('pocketsphinx fails on a rate it was not made for', async t => {
  const found = await findTranscriber(POCKETSPHINX, notedLog().log)
  const file = join(folder(t), 'low.wav')
  writeFileSync(file, monoWav(Buffer.alloc(16_000), 8000))
  await t.throwsAsync(found.transcribe(file, HOW), { message: /sample rate/ })
})
