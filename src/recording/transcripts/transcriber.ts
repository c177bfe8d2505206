// Speech becomes text by a program of the operator's choice (TRANSCRIBER), where there is one. Debian's pocketsphinx_continuous
// is understood as it is; any other program speaks a small contract:
//   program --about                                        prints {"languages": ["en", "de-DE"], "sentiment": false}; `*` is any language
//   program --language en-US [--sentiment] /path/file.wav  prints {"sentences": [{"text", "start_ms", "duration_ms", "sentiment", "words"}]}
// The file is a WAV of one channel and 16 bits. It works in a folder of its own that is gone afterwards, and ends with 0.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { reasonOf } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { monoWav } from '../audio/channel.ts'
import { heardBy } from './pocketsphinx.ts'
import { ProgramFailed, run } from '../audio/program.ts'
import { type Sentence, sentencesIn, type TranscriptionWish } from '../transcript.ts'

export interface Heard extends TranscriptionWish {
  /** Milliseconds of the wall. */
  within: number
  signal: AbortSignal
}

export interface Transcriber {
  /** What it understands, as `speaks` takes it; none: there is no transcriber. */
  readonly languages: readonly string[]
  readonly sentiment: boolean
  /** `file` is the path of a WAV of one channel. Rejects with ProgramFailed, whose `how` is for tenants. */
  transcribe(file: string, how: Heard): Promise<Sentence[]>
}

export const NO_TRANSCRIBER: Transcriber = {
  languages: [],
  sentiment: false,
  transcribe: () => Promise.reject(new ProgramFailed('there is no transcriber', 'TRANSCRIBER is off, or not there')),
}

export const POCKETSPHINX = 'pocketsphinx_continuous'
/** Where its models are Debian's. */
const ENGLISH = { languages: ['en'], sentiment: false } as const

/** Milliseconds of the wall. */
const LOOK_WITHIN = 10_000
/** Of what is printed for one channel: hours of talk with all words. */
const MOST_BYTES = 8 * 1024 * 1024

type About = Pick<Transcriber, 'languages' | 'sentiment'>

/** `program` is a path or a name on PATH; `off`: none is wanted. */
export async function findTranscriber(program: string, log: Log): Promise<Transcriber> {
  if (program === 'off') return NO_TRANSCRIBER
  const plain = basename(program) === POCKETSPHINX
  let about: About
  try {
    about = plain ? await hearsSilence(program) : aboutIn(await run(program, ['--about'], { within: LOOK_WITHIN }))
  } catch (error) {
    log.info('transcriber_missing', { program, reason: reasonOf(error) })
    return NO_TRANSCRIBER
  }
  log.info('transcriber_found', { program, ...about })
  return {
    ...about,
    async transcribe(file, { language, sentiment, within, signal }) {
      const how = plain ? ['-infile', file, '-time', 'yes'] : ['--language', language, ...(sentiment ? ['--sentiment'] : []), file]
      const printed = await run(program, how, { within, signal, mostBytes: MOST_BYTES, folder: dirname(file), stepsBack: true })
      try {
        return plain ? heardBy(printed) : sentencesIn(printed, { sentiment })
      } catch (error) {
        throw new ProgramFailed(reasonOf(error), '')
      }
    },
  }
}

/** It may be there without its models, which are a package of their own. */
async function hearsSilence(program: string): Promise<About> {
  const folder = await mkdtemp(join(tmpdir(), 'callrec-transcriber-'))
  try {
    const file = join(folder, 'silence.wav')
    await writeFile(file, monoWav(Buffer.alloc(3200), 16_000))
    await run(program, ['-infile', file], { within: LOOK_WITHIN })
    return ENGLISH
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function aboutIn(printed: string): About {
  const { languages, sentiment = false } = JSON.parse(printed) as { languages?: unknown; sentiment?: unknown }
  const isTag = (one: unknown): one is string => typeof one === 'string' && /^(\*|[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)$/.test(one)
  if (!Array.isArray(languages) || languages.length === 0 || !languages.every(isTag)) throw new Error('--about told no `languages`')
  return { languages, sentiment: sentiment === true }
}
