// How the tests listen: a line that loses frames is not another voice.

import test from 'ava'
import { shareOf } from './helpers/audio.ts'

const RATE = 8000
/** `lost` of every ten frames of 20 ms did not arrive, and the tone goes on where it stopped. */
const line = (hz: number, lost: number): Int16Array => {
  let phase = 0
  return Int16Array.from({ length: 2 * RATE }, (_, at) =>
    Math.floor(at / 160) % 10 < lost ? 0 : Math.round(8000 * Math.sin((2 * Math.PI * hz * phase++) / RATE)),
  )
}

test('a tone is heard however many of its frames are lost, and no other one is', t => {
  for (const lost of [0, 3, 8]) {
    t.true(shareOf(line(440, lost), RATE, 440) > 0.95)
    t.is(shareOf(line(440, lost), RATE, 1000), 0)
  }
})

test('where nothing is audible nobody is heard', t => {
  t.is(shareOf(new Int16Array(RATE), RATE, 440), 0)
  t.is(
    shareOf(
      line(440, 0).map(sample => Math.round(sample / 1000)),
      RATE,
      440,
    ),
    0,
  )
  t.is(shareOf(line(440, 10), RATE, 440), 0)
})
