import test from 'ava'
import type { ExecutionContext } from 'ava'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { wavOf } from '../../../src/recording/audio/audio-length.ts'
import { weave } from '../../../src/recording/audio/weave.ts'
import { loudness, readWav, tone, wavOfTone } from '../../helpers/audio.ts'

const RATE = 8000

function desk(t: ExecutionContext) {
  const dir = mkdtempSync(join(tmpdir(), 'callrec-weave-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const path = (name: string): string => join(dir, name)
  return {
    path,
    file: (name: string, hz: number, ms: number): string => {
      writeFileSync(path(name), wavOfTone(hz, ms, RATE))
      return path(name)
    },
    names: () => readdirSync(dir).toSorted(),
  }
}

test('each file has its channel from where it begins, and the whole is as long as the first', async t => {
  const { file } = desk(t)
  const first = file('a.wav', 400, 10_000)
  await weave(
    first,
    [
      { path: file('b.wav', 600, 3000), from_ms: 2000 },
      { path: file('c.wav', 800, 60_000), from_ms: 5000 },
    ],
    4,
    [],
  )
  const { channels, seconds, samples } = readWav(first)
  t.deepEqual([channels, seconds], [4, 10])
  const [a = new Int16Array(), b = new Int16Array(), c = new Int16Array(), d = new Int16Array()] = samples
  t.true(tone(a, RATE, 400) > 0.99)
  t.true(tone(b, RATE, 600, 2, 5) > 0.99)
  t.is(loudness(b, RATE, 0, 1.99), 0)
  t.is(loudness(b, RATE, 5.01, 10), 0)
  t.true(tone(c, RATE, 800, 5, 10) > 0.99)
  t.is(loudness(c, RATE, 0, 4.99), 0)
  t.is(loudness(d, RATE), 0, 'nobody came for the fourth')
  const bytes = readFileSync(first)
  t.like(wavOf(bytes, bytes.length), { channels: 4, sampleRate: RATE, durationMs: 10_000, unfinished: false })
})

test('who is one too many shares the last channel, which clips and does not wrap', async t => {
  const { file, path } = desk(t)
  const first = file('a.wav', 400, 1000)
  const loud = Buffer.from(readFileSync(first))
  for (let at = 44; at < loud.length; at += 2) loud.writeInt16LE(30_000, at)
  for (const name of ['b.wav', 'c.wav', 'd.wav']) writeFileSync(path(name), loud)
  await weave(
    first,
    ['b.wav', 'c.wav', 'd.wav'].map(name => ({ path: path(name), from_ms: 0 })),
    3,
    [],
  )
  const { samples } = readWav(first)
  t.is(samples[1]?.[100], 30_000)
  t.is(samples[2]?.[100], 32_767)
})

test('what was masked is silent in every channel', async t => {
  const { file } = desk(t)
  const first = file('a.wav', 400, 9000)
  await weave(first, [{ path: file('b.wav', 600, 9000), from_ms: 0 }], 3, [{ from_ms: 4000, to_ms: 6000 }])
  for (const one of readWav(first).samples.slice(0, 2)) {
    t.is(loudness(one, RATE, 4, 6), 0)
    t.true(loudness(one, RATE, 3, 3.9) > 1000)
    t.true(loudness(one, RATE, 6.1, 7) > 1000)
  }
})

test('files that never came to be are silence, and weaving again changes nothing', async t => {
  const { file, path, names } = desk(t)
  const first = file('a.wav', 400, 1000)
  writeFileSync(path('empty.wav'), '')
  const others = ['none.wav', 'empty.wav'].map(name => ({ path: path(name), from_ms: 0 }))
  await weave(first, others, 3, [])
  const whole = readFileSync(first)
  await weave(first, others, 3, [])
  t.deepEqual(readFileSync(first), whole)
  t.deepEqual(names(), ['a.wav', 'empty.wav'])
})

for (const [what, name, bytes, why] of [
  ['is no WAV', 'b.wav', Buffer.from('ID3'), /is no WAV of 8000 Hz/],
  ['has another rate', 'b.wav', wavOfTone(400, 100, 16_000), /is no WAV of 8000 Hz/],
] as const) {
  test(`a file that ${what} is refused, and the first stays as it was`, async t => {
    const { file, path } = desk(t)
    const first = file('a.wav', 400, 1000)
    const before = readFileSync(first)
    writeFileSync(path(name), bytes)
    await t.throwsAsync(weave(first, [{ path: path(name), from_ms: 0 }], 3, []), { message: why })
    t.deepEqual(readFileSync(first), before)
  })
}

test('without a first file there is no whole', async t => {
  await t.throwsAsync(weave(desk(t).path('none.wav'), [], 3, []), { message: /no such file/ })
})
