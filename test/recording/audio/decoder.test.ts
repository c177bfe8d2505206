import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { soundOf, takeChannel } from '../../../src/recording/audio/channel.ts'
import { findDecoder } from '../../../src/recording/audio/decoder.ts'
import { findEncoder } from '../../../src/recording/audio/encoder.ts'
import { ProgramFailed } from '../../../src/recording/audio/program.ts'
import { readWav, tone, wavOfTone } from '../../helpers/audio.ts'
import { notedLog } from '../../helpers/log.ts'
import { folder, script } from '../../helpers/programs.ts'
import { onPath } from '../../helpers/real.ts'

const { signal } = new AbortController()

/** An ffmpeg that says it has these decoders. */
const says = (lines: string): string => `case "$*" in *-decoders*) printf '${lines}'; exit 0;; esac`

test('what can be read is what the program says of its decoders', async t => {
  const of = async (lines: string): Promise<readonly string[]> => (await findDecoder(script(t, 'ffmpeg', says(lines)), notedLog().log)).formats
  t.deepEqual(await of(' A....D mp3float   MP3\\n A....D vorbis   Vorbis\\n'), ['mp3', 'ogg'])
  t.deepEqual(await of(' A....D mp3adu   ADU\\n A..... libvorbis   x\\n'), ['ogg'])
  t.deepEqual(await of(' A....D flac   FLAC\\n'), [])
  for (const program of ['off', '/nowhere/ffmpeg']) t.deepEqual((await findDecoder(program, notedLog().log)).formats, [])
  await t.throwsAsync((await findDecoder('off', notedLog().log)).decode('a', 'b', signal), { message: /no ffmpeg/ })
})

test('what cannot be read after all is told of', async t => {
  const decoder = await findDecoder(script(t, 'ffmpeg', `${says(' A....D mp3 MP3\\n')}\necho "Invalid data" >&2; exit 1`), notedLog().log)
  const error = await t.throwsAsync(decoder.decode('a.mp3', 'a.wav', signal), { instanceOf: ProgramFailed })
  t.like(error, { how: 'it ended with 1', complained: 'Invalid data' })
})

const here = onPath('ffmpeg')
if (!here) test('there is no ffmpeg to decode with', t => t.pass())

for (const format of ['mp3', 'ogg'] as const) {
  const real = here ? test : test.skip
  real(`what ffmpeg made ${format} it makes WAV again, each channel as it was`, async t => {
    const dir = folder(t)
    const at = (name: string): string => join(dir, name)
    const { log } = notedLog()
    writeFileSync(at('a.wav'), wavOfTone(440, 2000, 16_000))
    await (await findEncoder('ffmpeg', log)).encode(at('a.wav'), at(`a.${format}`), format, 1)
    await (await findDecoder('ffmpeg', log)).decode(at(`a.${format}`), at('b.wav'), signal)
    t.like(await soundOf(at('b.wav')), { channels: 1, sampleRate: 16_000 })
    await takeChannel(at('b.wav'), 0, at('c.wav'))
    const { sampleRate, seconds, samples } = readWav(at('c.wav'))
    t.true(Math.abs(seconds - 2) < 0.2, `${seconds} s`)
    t.true(tone(samples[0] ?? new Int16Array(), sampleRate, 440, 0.5, 1.5) > 0.9)
  })
}
