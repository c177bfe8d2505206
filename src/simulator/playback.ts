// What `playback` was given, as stretches of sound with their lengths: tones, silence, a WAV file, or several of them.

import { isAbsolute, join } from 'node:path'

import { SILENCE, type Source, tone } from './media.ts'
import { takeVariables } from './words.ts'
import { loadWav } from './wav.ts'

export interface Stretch {
  /** Infinity plays until it is stopped. */
  ms: number
  /** `since` is the call time the stretch begins at. */
  source(since: number): Source
}

export interface Sound {
  stretches: readonly Stretch[]
  /** How often; Infinity = until stopped. */
  loops: number
}

const still = (source: Source, ms: number): Stretch => ({ ms, source: () => source })

/** Undefined = FILE NOT FOUND. A relative path is looked for below `directory`. */
export function parseSound(text: string, directory: string): Sound | undefined {
  const { variables, rest } = takeVariables(text.replace(/@@\d*$/, ''), '{')
  const [, scheme, body = ''] = /^(\w+):\/\/(.*)$/s.exec(rest.trim()) ?? []
  if (scheme === 'silence_stream') {
    const ms = Number.parseInt(body, 10)
    return Number.isNaN(ms) ? undefined : { stretches: [still(SILENCE, ms < 0 ? Number.POSITIVE_INFINITY : ms)], loops: 1 }
  }
  if (scheme === 'tone_stream') return tones(body, variables.get('loops'))
  if (scheme === 'file_string') {
    const parts = body.split('!').map(part => parseSound(part, directory))
    const stretches = parts.flatMap(part => part?.stretches ?? [])
    return parts.includes(undefined) ? undefined : { stretches, loops: 1 }
  }
  if (scheme) return undefined
  const file = loadWav(isAbsolute(rest) ? rest : join(directory, rest))
  if (!file) return undefined
  return { stretches: [{ ms: (file.pcm.length * 1000) / file.rate, source: since => ({ ...file, since }) }], loops: 1 }
}

/** TGML: `%(on,off,hz,…)`, milliseconds; `;loops=-1` after it. */
function tones(body: string, loops = /;loops=(-?\d+)/.exec(body)?.[1]): Sound | undefined {
  const stretches = [...body.matchAll(/%\((\d+),(\d+)((?:,\d+(?:\.\d+)?)+)\)/g)].flatMap(([, on, off, hz = '']) => [
    still(tone(...hz.slice(1).split(',').map(Number)), Number(on)),
    still(SILENCE, Number(off)),
  ])
  const length = stretches.reduce((sum, stretch) => sum + stretch.ms, 0)
  if (length <= 0) return undefined
  const count = Number(loops ?? 1)
  return { stretches: stretches.filter(stretch => stretch.ms > 0), loops: count < 0 ? Number.POSITIVE_INFINITY : Math.max(1, count) }
}
