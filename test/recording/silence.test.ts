import test from 'ava'
import type { Segment } from '../../src/recording/segments.ts'
import { verify } from '../../src/recording/silence.ts'

const RATE = 8000

/** Stereo, loud but for the milliseconds of `silent`. */
function wav(ms: number, silent: readonly [number, number][], bits = 16): Buffer {
  const frames = (ms * RATE) / 1000
  const file = Buffer.alloc(44 + frames * 4)
  file.write('RIFF', 0)
  file.writeUInt32LE(file.length - 8, 4)
  file.write('WAVEfmt ', 8)
  file.writeUInt32LE(16, 16)
  file.writeUInt16LE(1, 20)
  file.writeUInt16LE(2, 22)
  file.writeUInt32LE(RATE, 24)
  file.writeUInt16LE((bits / 8) * 2, 32)
  file.write('data', 36)
  file.writeUInt32LE(frames * 4, 40)
  for (let i = 0; i < frames; i++) {
    const at = (i * 1000) / RATE
    if (silent.some(([from, to]) => at >= from && at < to)) continue
    file.writeInt16LE(9000, 44 + i * 4)
    file.writeInt16LE(-9000, 46 + i * 4)
  }
  return file
}

async function* inPieces(file: Buffer, size = 50_000): AsyncIterable<Buffer> {
  for (let at = 0; at < file.length; at += size) yield file.subarray(at, at + size)
}

const mask = (from_ms: number, to_ms: number): Segment => ({ kind: 'mask', at: '', until: '', from_ms, to_ms, by: 'api' })
const whole = (file: Buffer, segments: readonly Segment[], lacksMs = 0) => verify({ pieces: () => inPieces(file), size: file.length, segments, lacksMs })
const heard = async (file: Buffer, ...segments: Segment[]) => (await whole(file, segments))?.verification

test('a masked stretch that is silent is verified, whichever pieces the file comes in', async t => {
  const file = wav(10_000, [
    [2000, 4000],
    [7000, 8000],
  ])
  t.deepEqual(await heard(file, mask(2000, 4000), mask(7000, 8000)), { verified: true })
})

test('a tenth of a second at either end may be heard, and no more', async t => {
  t.deepEqual(await heard(wav(5000, [[2090, 3910]]), mask(2000, 4000)), { verified: true })
  t.like(await heard(wav(5000, [[2300, 4000]]), mask(2000, 4000)), { verified: false })
})

test('one moment of sound under a mask is told of', async t => {
  const file = wav(5000, [[2000, 4000]])
  file.writeInt16LE(40, 44 + 3000 * 8 * 4)
  const found = await heard(file, mask(2000, 4000))
  t.is(found?.verified, false)
  t.regex(found?.verified_reason ?? '', /something is heard/)
})

test('where nothing was masked there is nothing to verify', async t => {
  t.is(await heard(wav(1000, []), { ...mask(0, 0), kind: 'pause' }), undefined)
})

test('what cannot be told is null with its reason', async t => {
  t.like(await heard(Buffer.alloc(2000, 0xff), mask(0, 1000)), {
    verified: null,
    verified_reason: 'the file is no WAV, and nothing else is decoded here',
  })
  t.like(await heard(Buffer.alloc(0), mask(0, 1000)), { verified: null, verified_reason: 'the file is empty' })
  t.like(await heard(wav(1000, []), mask(100, 250)), { verified: null })
  t.like(await heard(wav(1000, [], 8), mask(0, 1000)), { verified: null, verified_reason: 'its samples are not of 16 bits' })
})

test('a file that began later than its switch told is verified where all its masks lie by as much earlier, and as much is missing', async t => {
  const file = wav(10_000, [
    [1850, 3850],
    [6850, 7850],
  ])
  const masks = [mask(2000, 4000), mask(7000, 8000)]
  t.deepEqual(await whole(file, masks, 160), { verification: { verified: true }, lateMs: 120 })
  t.like(await whole(file, masks, 100), { verification: { verified: false }, lateMs: 0 })
  t.like(await whole(file, masks), { verification: { verified: false } })
})

test('a mask that ended too early is told of, however much the file lacks', async t => {
  t.like(await whole(wav(5000, [[2000, 3850]]), [mask(2000, 4000)], 1000), { verification: { verified: false }, lateMs: 0 })
  const one = wav(10_000, [
    [1850, 3850],
    [7000, 7800],
  ])
  t.like(await whole(one, [mask(2000, 4000), mask(7000, 8000)], 1000), { verification: { verified: false } })
  t.like(await whole(wav(5000, [[1500, 3500]]), [mask(2000, 4000)], 1000), { verification: { verified: false } }, 'half a second is no late beginning')
})
