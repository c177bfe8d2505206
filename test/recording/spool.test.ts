import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { isCode } from '../../src/errors.ts'
import { headerOf, mp3Counter, oggCounter, wavOf } from '../../src/recording/audio/audio-length.ts'
import { openSpool, type Spool } from '../../src/recording/spool.ts'
import { packagePath } from '../../src/root.ts'
import { manualClock } from '../helpers/clock.ts'

async function folder(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'callrec-spool-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  return path
}

async function spoolWith(t: ExecutionContext, files: Readonly<Record<string, Buffer>> = {}): Promise<Spool & { path: string }> {
  const path = await folder(t)
  for (const [file, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(path, file)), { recursive: true })
    await writeFile(join(path, file), bytes)
  }
  return { ...openSpool({ here: path, onSwitch: '/var/spool/rec', minFree: 0 }), path }
}

/** 16 bit PCM, with whatever its header says of its length. */
function wav(options: { seconds?: number; channels?: number; rate?: number; said?: number; before?: Buffer; after?: Buffer } = {}): Buffer {
  const { seconds = 1, channels = 1, rate = 8000, before = Buffer.alloc(0), after = Buffer.alloc(0) } = options
  const { said = seconds * rate * channels * 2 } = options
  const audio = Buffer.alloc(seconds * rate * channels * 2, 1)
  const head = Buffer.alloc(36)
  head.write('RIFF', 0, 'latin1')
  head.writeUInt32LE(said === 0 ? 36 : said + 36, 4)
  head.write('WAVEfmt ', 8, 'latin1')
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20)
  head.writeUInt16LE(channels, 22)
  head.writeUInt32LE(rate, 24)
  head.writeUInt32LE(rate * channels * 2, 28)
  head.writeUInt16LE(channels * 2, 32)
  head.writeUInt16LE(16, 34)
  const data = Buffer.alloc(8)
  data.write('data', 0, 'latin1')
  data.writeUInt32LE(said, 4)
  return Buffer.concat([head, before, data, audio, after])
}
const chunk = (name: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(8)
  head.write(name, 0, 'latin1')
  head.writeUInt32LE(body.length, 4)
  return Buffer.concat([head, body, Buffer.alloc(body.length % 2)])
}

test('the length of a WAV is that of its audio, whatever other chunks it has', t => {
  const plain = wav({ seconds: 3, channels: 2, rate: 16_000 })
  t.like(wavOf(plain, plain.length), { durationMs: 3000, channels: 2, sampleRate: 16_000, dataAt: 44, unfinished: false })
  const tagged = wav({ seconds: 2, before: chunk('LIST', Buffer.from('odd')), after: chunk('LIST', Buffer.alloc(500)) })
  t.like(wavOf(tagged, tagged.length), { durationMs: 2000, dataAt: 56, unfinished: false })
})

test('a WAV whose switch was killed says 0 samples and is as long as what is there', t => {
  const killed = wav({ seconds: 5, said: 0 })
  t.like(wavOf(killed, killed.length), { durationMs: 5000, unfinished: true })
  const endless = wav({ seconds: 5, said: 0xffff_ffff - 36 })
  t.like(wavOf(endless, endless.length), { durationMs: 5000, unfinished: true })
})

test('a WAV that was cut off is as long as its whole samples', t => {
  const cut = wav({ seconds: 2, channels: 2 }).subarray(0, 44 + 16_001)
  t.like(wavOf(cut, cut.length), { dataBytes: 16_000, durationMs: 500, unfinished: true })
})

test('a header alone is a WAV of no length, and not unfinished', t => {
  const empty = wav({ seconds: 0 })
  t.like(wavOf(empty, empty.length), { durationMs: 0, unfinished: false })
})

test('what is no WAV is none, however it begins', t => {
  const noFormat = Buffer.concat([Buffer.from('RIFF\0\0\0\0WAVE'), chunk('data', Buffer.alloc(20))])
  const noRate = wav()
  noRate.writeUInt32LE(0, 24)
  for (const bytes of [Buffer.alloc(0), Buffer.from('RIFF'), Buffer.from('ID3 and more than twelve bytes'), wav().subarray(0, 36), noFormat, noRate]) {
    t.is(wavOf(bytes, bytes.length), undefined)
  }
})

test('a mended header tells the truth', t => {
  const killed = wav({ seconds: 4, said: 0 })
  const found = wavOf(killed, killed.length)
  for (const { at, value } of found === undefined ? [] : headerOf(found)) killed.writeUInt32LE(value, at)
  t.deepEqual(killed, wav({ seconds: 4 }))
})

for (const [file, milliseconds] of [
  ['mono-8k-1500ms.mp3', 1500],
  ['stereo-48k-500ms.mp3', 500],
] as const) {
  test(`${file} is as long as its name says, give or take the encoder's padding, in pieces of any size`, async t => {
    const bytes = await readFile(packagePath(`test/fixtures/audio/${file}`))
    const lengths = [1, 7, 1000, bytes.length].map(size => {
      const counter = mp3Counter()
      for (let at = 0; at < bytes.length; at += size) counter.feed(bytes.subarray(at, at + size))
      return counter.sound()?.durationMs
    })
    t.is(new Set(lengths).size, 1)
    t.true((lengths[0] ?? 0) >= milliseconds && (lengths[0] ?? 0) < milliseconds + 220, String(lengths[0]))
  })
}

for (const [file, channels, sampleRate, durationMs] of [
  ['mono-16k-3000ms.ogg', 1, 16_000, 3000],
  ['stereo-8k-500ms.ogg', 2, 8000, 500],
] as const) {
  test(`${file} is what its name says, in pieces of any size`, async t => {
    const bytes = await readFile(packagePath(`test/fixtures/audio/${file}`))
    for (const size of [1, 7, 1000, bytes.length]) {
      const counter = oggCounter()
      for (let at = 0; at < bytes.length; at += size) counter.feed(bytes.subarray(at, at + size))
      t.deepEqual(counter.sound(), { channels, sampleRate, durationMs })
    }
  })
}

test('an Ogg file that was cut off is as long as what is there; what is no Vorbis in Ogg has no length', async t => {
  const bytes = await readFile(packagePath('test/fixtures/audio/mono-16k-3000ms.ogg'))
  const length = (piece: Buffer) => {
    const counter = oggCounter()
    counter.feed(piece)
    return counter.sound()?.durationMs
  }
  t.true((length(bytes.subarray(0, 5000)) ?? 3000) < 3000)
  t.is(length(Buffer.alloc(5000, 1)), undefined)
  t.is(length(Buffer.from('OggS')), undefined)
  const opus = Buffer.from(bytes)
  opus.write('OpusHead', opus.indexOf('\u0001vorbis'))
  t.is(length(opus), undefined)
})

test('a tag before the music and noise between frames have no length', async t => {
  const bytes = await readFile(packagePath('test/fixtures/audio/mono-8k-1500ms.mp3'))
  const length = (...pieces: Buffer[]) => {
    const counter = mp3Counter()
    for (const piece of pieces) counter.feed(piece)
    return counter.sound()?.durationMs
  }
  // 300 bytes in seven-bit groups.
  const tag = Buffer.concat([Buffer.from('ID3\x04\0\0\0\0\x02\x2c', 'latin1'), Buffer.alloc(300, 0xff)])
  t.is(length(tag, bytes), length(bytes))
  t.is(length(bytes, Buffer.alloc(50), bytes), 2 * (length(bytes) ?? 0))
  t.is(length(Buffer.alloc(5000, 1)), undefined)
})

test('a file has one name below two directories', async t => {
  const spool = await spoolWith(t)
  t.is(spool.here('fs1/202605/a.wav'), join(spool.path, 'fs1/202605/a.wav'))
  t.is(spool.onSwitch('fs1/202605/a.wav'), '/var/spool/rec/fs1/202605/a.wav')
})

test('a name that leads out of the spool is refused', async t => {
  const spool = await spoolWith(t)
  for (const file of ['', '..', '../a.wav', 'fs1/../../a', '/etc/passwd', 'a//b', './a', 'a b', 'a\0b', 'a;b', 'fs1/']) {
    for (const way of [(name: string) => spool.here(name), (name: string) => spool.onSwitch(name), (name: string) => spool.read(name, 1)])
      t.true(
        isCode(
          t.throws(() => way(file)),
          'unsafe_argument',
        ),
        file,
      )
  }
})

test('directories are made for the group that the switch shares, whatever the umask', async t => {
  const spool = await spoolWith(t)
  const before = process.umask(0o077)
  t.teardown(() => process.umask(before))
  await spool.makeReady('fs1/202605/a.wav')
  for (const made of ['fs1', 'fs1/202605']) t.is((await stat(join(spool.path, made))).mode & 0o7777, 0o2770, made)
  await t.notThrowsAsync(spool.makeReady('fs1/202605/b.wav'))
})

test('a directory that cannot be made is a named refusal', async t => {
  const spool = await spoolWith(t, { fs1: Buffer.from('a file in the way') })
  t.true(isCode(await t.throwsAsync(spool.makeReady('fs1/202605/a.wav')), 'spool_unwritable'))
})

test('no recording should start where there is no room or no way to write', async t => {
  const here = await folder(t)
  await t.notThrowsAsync(openSpool({ here: join(here, 'new'), onSwitch: '/x', minFree: 1 }).check())
  const full = await t.throwsAsync(openSpool({ here, onSwitch: '/x', minFree: Number.MAX_SAFE_INTEGER }).check())
  t.true(isCode(full, 'spool_unwritable'))
  t.regex(full?.message ?? '', /SPOOL_MIN_FREE/)
  await writeFile(join(here, 'file'), '')
  t.true(isCode(await t.throwsAsync(openSpool({ here: join(here, 'file'), onSwitch: '/x', minFree: 0 }).check()), 'spool_unwritable'))
})

test('a spool that was good is believed for a second, one that was not is looked at again', async t => {
  const here = join(await folder(t), 'spool')
  const clock = manualClock()
  const spool = openSpool({ here, onSwitch: '/x', minFree: 0 }, clock)
  await writeFile(here, 'in the way')
  await t.throwsAsync(spool.check())
  await t.throwsAsync(spool.makeReady('fs1/202605/a.wav'))
  await rm(here)
  await spool.check()
  await spool.makeReady('fs1/202605/a.wav')
  await rm(here, { recursive: true })
  await writeFile(here, 'in the way again')
  clock.advance(999)
  await t.notThrowsAsync(spool.check())
  await t.notThrowsAsync(spool.makeReady('fs1/202605/b.wav'))
  clock.advance(1)
  await t.throwsAsync(spool.check())
  await t.throwsAsync(spool.makeReady('fs1/202605/b.wav'))
})

test('a finished file is known by its size, its hash and its length', async t => {
  const bytes = wav({ seconds: 40, channels: 2 })
  const spool = await spoolWith(t, { 'fs1/a.wav': bytes })
  t.deepEqual(await spool.finish('fs1/a.wav'), {
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    durationMs: 40_000,
    sampleRate: 8000,
    channels: 2,
  })
  const mp3 = await readFile(packagePath('test/fixtures/audio/mono-8k-1500ms.mp3'))
  const other = await spoolWith(t, { 'a.mp3': mp3 })
  t.true(((await other.finish('a.mp3'))?.durationMs ?? 0) >= 1500)
  t.like(await other.finish('a.mp3'), { size: mp3.length, sampleRate: 8000, channels: 1 })
})

test('a file that a killed switch left is mended before it is hashed', async t => {
  const spool = await spoolWith(t, { 'a.wav': wav({ seconds: 2, said: 0 }) })
  const whole = wav({ seconds: 2 })
  t.deepEqual(await spool.finish('a.wav'), {
    size: whole.length,
    sha256: createHash('sha256').update(whole).digest('hex'),
    durationMs: 2000,
    sampleRate: 8000,
    channels: 1,
  })
  t.deepEqual(await readFile(spool.here('a.wav')), whole)
})

test('a file that cannot be played has no length, which is not the same as none', async t => {
  const spool = await spoolWith(t, { 'a.wav': Buffer.alloc(16_000, 1), 'b.wav': Buffer.alloc(0) })
  t.like(await spool.finish('a.wav'), { size: 16_000, durationMs: undefined })
  t.like(await spool.finish('b.wav'), { size: 0, durationMs: 0 })
})

test('a file that only the switch may write is taken as it is', async t => {
  const killed = wav({ seconds: 2, said: 0 })
  const spool = await spoolWith(t, { 'a.wav': killed })
  await chmod(spool.here('a.wav'), 0o444)
  const finished = await spool.finish('a.wav')
  t.like(finished, { size: killed.length, durationMs: 2000 })
  t.is(
    finished?.sha256,
    createHash('sha256')
      .update(await readFile(spool.here('a.wav')))
      .digest('hex'),
  )
})

test('a file that is not there, or is a directory, is none', async t => {
  const spool = await spoolWith(t, { 'fs1/a.wav': wav() })
  t.is(await spool.finish('fs1/b.wav'), undefined)
  t.is(await spool.finish('fs1/a.wav/b'), undefined)
  t.is(await spool.size('fs1'), undefined)
  await t.notThrowsAsync(spool.remove('fs1/b.wav'))
})

test('no more is read than was promised', async t => {
  const spool = await spoolWith(t, { 'a.wav': Buffer.from('0123456789'), 'b.wav': Buffer.alloc(0) })
  t.is(Buffer.concat(await spool.read('a.wav', 4).toArray()).toString(), '0123')
  t.deepEqual(await spool.read('b.wav', 0).toArray(), [])
  await spool.remove('a.wav')
  t.is(await spool.size('a.wav'), undefined)
})
