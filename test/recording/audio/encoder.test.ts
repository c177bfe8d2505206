import test from 'ava'
import type { ExecutionContext } from 'ava'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findEncoder } from '../../../src/recording/audio/encoder.ts'
import { openSpool } from '../../../src/recording/spool.ts'
import { wavOfTone } from '../../helpers/audio.ts'
import { notedLog } from '../../helpers/log.ts'
import { onPath } from '../../helpers/real.ts'

function folder(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'callrec-encoder-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** A program that says it has these encoders, and does what the shell is told with `$from`, `$to` and all of its arguments. */
function program(t: ExecutionContext, encoders: readonly string[], does = 'cp "$from" "$to"'): string {
  const path = join(folder(t), 'ffmpeg')
  const list = encoders.map(name => ` A....D ${name}            ${name} of a test`).join('\n')
  writeFileSync(
    path,
    `#!/bin/sh\ncase "$*" in *-encoders*) printf '%s\\n' '${list}'; exit 0;; esac\nfor to in "$@"; do :; done\nwhile [ "$1" != -i ]; do shift; done; from=$2\n${does}\n`,
  )
  chmodSync(path, 0o755)
  return path
}

test('what the program can make is what it says of its encoders', async t => {
  const { log, lines } = notedLog()
  t.deepEqual((await findEncoder(program(t, ['libmp3lame', 'libvorbis', 'flac']), log)).formats, ['mp3', 'ogg'])
  t.deepEqual((await findEncoder(program(t, ['libvorbisenc', 'libmp3lame']), log)).formats, ['mp3'])
  t.deepEqual((await findEncoder(program(t, []), log)).formats, [])
  t.true(lines.some(({ event, formats }) => event === 'encoder_found' && JSON.stringify(formats) === '["mp3"]'))
})

for (const [what, path] of [
  ['is not there', '/nowhere/ffmpeg'],
  ['is not wanted', 'off'],
] as const) {
  test(`a program that ${what} makes nothing, and says so`, async t => {
    const encoder = await findEncoder(path, notedLog().log)
    t.deepEqual(encoder.formats, [])
    await t.throwsAsync(encoder.encode('a.wav', 'a.ogg', 'ogg', 1), { message: /no ffmpeg/ })
  })
}

test('it is given the file, the codec and the place', async t => {
  const dir = folder(t)
  const encoder = await findEncoder(program(t, ['libmp3lame'], 'printf "%s" "$*" > "$to"'), notedLog().log)
  await encoder.encode(join(dir, 'a.wav'), join(dir, 'a.mp3'), 'mp3', 2)
  t.is(readFileSync(join(dir, 'a.mp3'), 'utf8'), `-i ${dir}/a.wav -c:a libmp3lame -b:a 64k -f mp3 ${dir}/a.mp3`)
})

test('what goes wrong is told in its own words', async t => {
  const fails = await findEncoder(program(t, ['libvorbis'], 'echo "Invalid data found" >&2; exit 3'), notedLog().log)
  await t.throwsAsync(fails.encode('a.wav', 'a.ogg', 'ogg', 1), { message: 'ffmpeg could not make ogg: Invalid data found' })
  const silent = await findEncoder(program(t, ['libvorbis'], 'exit 4'), notedLog().log)
  await t.throwsAsync(silent.encode('a.wav', 'a.ogg', 'ogg', 1), { message: 'ffmpeg could not make ogg: it ended with 4' })
  const killed = await findEncoder(program(t, ['libvorbis'], 'kill -9 $$'), notedLog().log)
  await t.throwsAsync(killed.encode('a.wav', 'a.ogg', 'ogg', 1), { message: 'ffmpeg could not make ogg: it was ended by SIGKILL' })
})

const here = onPath('ffmpeg')
const real = here ? test : (): void => {}
if (!here) test('there is no ffmpeg to encode with', t => t.pass())

for (const format of ['mp3', 'ogg'] as const) {
  real(`ffmpeg makes ${format} that is as long as the WAV`, async t => {
    const dir = folder(t)
    const spool = openSpool({ here: dir, onSwitch: dir, minFree: 0 })
    const encoder = await findEncoder('ffmpeg', notedLog().log)
    writeFileSync(join(dir, 'a.wav'), wavOfTone(440, 4000, 16_000))
    await encoder.encode(join(dir, 'a.wav'), join(dir, `a.${format}`), format, 1)
    const made = await spool.finish(`a.${format}`)
    t.like(made, { channels: 1, sampleRate: 16_000 })
    t.true(Math.abs((made?.durationMs ?? 0) - 4000) < 200, `${made?.durationMs} ms`)
  })
}
