// What was said in a recording, as text: pure. What a transcriber prints is read as what a stranger says, and the document
// is in the manner of Vonage's transcripts, a channel for each of the recording.

/** Times in milliseconds, from the beginning of the audio. */
export interface Word {
  word: string
  start_ms: number
  duration_ms: number
  /** 0 to 1. */
  confidence?: number
}

/** What was said in one breath. */
export interface Sentence {
  text: string
  start_ms: number
  duration_ms: number
  /** -1 (bad) to 1 (good). */
  sentiment?: number
  words?: readonly Word[]
}

/** What somebody asked for. */
export interface TranscriptionWish {
  /** BCP 47. */
  language: string
  sentiment: boolean
}

/** How far it has got, in the recording document. */
export interface Transcription extends TranscriptionWish {
  state: 'due' | 'transcribed' | 'failed'
  /** Why it failed. */
  reason?: string
  /** ISO 8601. */
  transcribed_at?: string
  /** Bytes of the transcript, and their hash in hex. */
  size?: number
  sha256?: string
}

/** The attachment of the recording document. */
export const TRANSCRIPT = 'transcript.json'
export const TRANSCRIPT_TYPE = 'application/json'

/** In the manner of RFC 4647 (basic filtering): `en` is English of any country, `*` any language. */
export const speaks = (languages: readonly string[], language: string): boolean =>
  languages.some(range => range === '*' || `${language.toLowerCase()}-`.startsWith(`${range.toLowerCase()}-`))

type Fields = Readonly<Record<string, unknown>>
const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Throws in words where a text is not what a transcriber is to print. */
export function sentencesIn(printed: string, { sentiment }: Pick<TranscriptionWish, 'sentiment'>): Sentence[] {
  let value: unknown
  try {
    value = JSON.parse(printed)
  } catch (cause) {
    throw new Error('what it printed is not JSON', { cause })
  }
  const list = isObject(value) ? value['sentences'] : undefined
  if (!Array.isArray(list)) throw new Error('what it printed has no list of `sentences`')
  return (list as unknown[]).map((one, at) => sentence(one, `sentences[${at}]`, sentiment))
}

function sentence(value: unknown, at: string, sentiment: boolean): Sentence {
  const { text, words, ...rest } = fieldsOf(value, at)
  if (typeof text !== 'string') throw new Error(`${at}.text is no text`)
  if (words !== undefined && !Array.isArray(words)) throw new Error(`${at}.words is no list`)
  return {
    text,
    ...timesIn(rest, at),
    ...(sentiment ? { sentiment: within(rest['sentiment'], -1, 1, `${at}.sentiment`) } : {}),
    ...(words === undefined ? {} : { words: (words as unknown[]).map((one, nth) => word(one, `${at}.words[${nth}]`)) }),
  }
}

function word(value: unknown, at: string): Word {
  const { word: text, confidence, ...rest } = fieldsOf(value, at)
  if (typeof text !== 'string') throw new Error(`${at}.word is no text`)
  return { word: text, ...timesIn(rest, at), ...(confidence === undefined ? {} : { confidence: within(confidence, 0, 1, `${at}.confidence`) }) }
}

/** A day is longer than any recording. */
const LONGEST = 86_400_000

const timesIn = (fields: Fields, at: string): Pick<Word, 'start_ms' | 'duration_ms'> => ({
  start_ms: Math.round(within(fields['start_ms'], 0, LONGEST, `${at}.start_ms`)),
  duration_ms: Math.round(within(fields['duration_ms'], 0, LONGEST, `${at}.duration_ms`)),
})

function fieldsOf(value: unknown, at: string): Fields {
  if (!isObject(value)) throw new Error(`${at} is no object`)
  return value
}

function within(value: unknown, least: number, most: number, at: string): number {
  if (typeof value !== 'number' || !(value >= least && value <= most)) throw new Error(`${at} is no number from ${least} to ${most}`)
  return value
}

/** `channels` are those of the file, in their order; `requestId` is what whoever asked for it knows the recording by. */
export const transcriptOf = (requestId: string, language: string, channels: readonly (readonly Sentence[])[]) => ({
  ver: '1.0.0',
  request_id: requestId,
  language,
  channels: channels.map(sentences => ({ transcript: sentences.map(shown) })),
})

/** `raw_sentence` is what was heard, with neither marks nor large letters. */
const shown = ({ text, start_ms, duration_ms, sentiment, words }: Sentence) => ({
  sentence: text,
  raw_sentence: text
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}'’ -]/gu, '')
    .replace(/\s+/g, ' ')
    .trim(),
  start_ms,
  duration: duration_ms,
  ...(sentiment === undefined ? {} : { sentiment }),
  ...(words === undefined ? {} : { words: words.map(({ duration_ms: duration, ...word }) => ({ ...word, duration })) }),
})
