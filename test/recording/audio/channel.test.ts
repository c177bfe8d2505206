import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { monoWav, soundOf, takeChannel } from '../../../src/recording/audio/channel.ts'
import { weave } from '../../../src/recording/audio/weave.ts'
import { tone, wavFrom, wavOfTone } from '../../helpers/audio.ts'
import { folder } from '../../helpers/programs.ts'

test('each channel of a recording of many is a WAV of its own, with what was said on it', async t => {
  const dir = folder(t)
  const at = (name: string): string => join(dir, name)
  const tones = [300, 500, 700]
  // Longer than what is read at once.
  for (const hz of tones) writeFileSync(at(`${hz}.wav`), wavOfTone(hz, 3000, 16_000))
  await weave(
    at('300.wav'),
    [500, 700].map(hz => ({ path: at(`${hz}.wav`), from_ms: 0 })),
    3,
    [],
  )
  t.like(await soundOf(at('300.wav')), { channels: 3, durationMs: 3000 })
  for (const [nth, hz] of tones.entries()) {
    await takeChannel(at('300.wav'), nth, at('one.wav'))
    const { channels, sampleRate, seconds, samples } = wavFrom(readFileSync(at('one.wav')))
    t.deepEqual([channels, sampleRate, seconds], [1, 16_000, 3])
    t.true(tone(samples[0] ?? new Int16Array(), sampleRate, hz) > 0.9)
  }
})

test('what is no WAV of 16 bits has no channels', async t => {
  const path = join(folder(t), 'a.wav')
  writeFileSync(path, 'RIFF')
  await t.throwsAsync(soundOf(path), { message: /no WAV of 16 bits/ })
  const bytes = monoWav(Buffer.alloc(100), 8000)
  bytes.writeUInt16LE(1, 32)
  writeFileSync(path, bytes)
  await t.throwsAsync(takeChannel(path, 0, join(path, 'x')), { message: /no WAV of 16 bits/ })
})
