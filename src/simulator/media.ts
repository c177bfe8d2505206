// Audio without a ticking clock: what somebody says is a tone or a file that began at some call time, and PCM is computed
// from the time that passed. Tones come out of tables one second long, so a second of a recording costs one copy.

/** Tones in Hz that sound together (none = silence), or samples that began at call time `since`; `gain` times as loud. */
export type Source = ({ readonly hz: readonly number[] } | { readonly pcm: Int16Array; readonly rate: number; readonly since: number }) & {
  readonly gain?: number
}

export const SILENCE: Source = { hz: [] }
export const tone = (...hz: number[]): Source => ({ hz })

/** Peak of one tone; two sides and two tones still fit in 16 bits. */
const PEAK = 7000
const LEVEL_RATE = 8000
/** Combinations of tones kept; beyond it they are made again. */
const TABLES = 64

export type Layout = 'mono' | 'stereo'

const tables = new Map<string, Buffer>()

/** 16 bit little-endian PCM of `samples` samples per channel from call time `from` (ms). Mono is both sides mixed. */
export function render(left: Source, right: Source, layout: Layout, rate: number, from: number, samples: number): Buffer[] {
  const start = Math.round((from * rate) / 1000)
  if (!('hz' in left && 'hz' in right)) return [fill(left, right, layout, rate, start, samples)]
  const table = tableOf(left, right, layout, rate)
  const bytes = layout === 'stereo' ? 4 : 2
  const pieces: Buffer[] = []
  for (let at = start % rate, rest = samples; rest > 0; at = 0) {
    const count = Math.min(rest, rate - at)
    pieces.push(table.subarray(at * bytes, (at + count) * bytes))
    rest -= count
  }
  return pieces
}

function tableOf(left: Source & { hz: readonly number[] }, right: Source & { hz: readonly number[] }, layout: Layout, rate: number): Buffer {
  const key = `${left.hz.join('+')}*${left.gain ?? 1}|${right.hz.join('+')}*${right.gain ?? 1}|${layout}|${rate}`
  const known = tables.get(key)
  if (known) return known
  if (tables.size >= TABLES) tables.clear()
  const table = fill(left, right, layout, rate, 0, rate)
  tables.set(key, table)
  return table
}

function fill(left: Source, right: Source, layout: Layout, rate: number, start: number, samples: number): Buffer {
  const [l, r] = [valueAt(left, rate), valueAt(right, rate)]
  const out = Buffer.alloc(samples * (layout === 'stereo' ? 4 : 2))
  for (let i = 0; i < samples; i++) {
    if (layout === 'stereo') {
      out.writeInt16LE(clip(l(start + i)), 4 * i)
      out.writeInt16LE(clip(r(start + i)), 4 * i + 2)
    } else out.writeInt16LE(clip(l(start + i) + r(start + i)), 2 * i)
  }
  return out
}

/** `i` counts samples at `rate` since call time 0. */
function valueAt(source: Source, rate: number): (i: number) => number {
  const { gain = 1 } = source
  if ('hz' in source) {
    const steps = source.hz.map(hz => (2 * Math.PI * hz) / rate)
    return i => {
      let sum = 0
      for (const step of steps) sum += PEAK * Math.sin(step * i)
      return sum * gain
    }
  }
  const { pcm, since } = source
  return i => (pcm[Math.floor((i / rate - since / 1000) * source.rate + 1e-6)] ?? 0) * gain
}

/** Mean of the absolute samples over a second: what FreeSWITCH holds against a threshold of silence. */
export function level(source: Source, from: number): number {
  const second = fill(source, SILENCE, 'mono', LEVEL_RATE, Math.round((from * LEVEL_RATE) / 1000), LEVEL_RATE)
  let sum = 0
  for (let at = 0; at < second.length; at += 2) sum += Math.abs(second.readInt16LE(at))
  return sum / LEVEL_RATE
}

const clip = (value: number): number => Math.max(-32768, Math.min(32767, Math.round(value)))
