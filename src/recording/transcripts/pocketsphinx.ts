// What pocketsphinx_continuous prints with `-time yes`: what was said in one breath on a line, then a line for each of its words with
// its begin and end in seconds and how sure it is. Pure.

import type { Sentence, Word } from '../transcript.ts'

/** `the(2)` is another way to say `the`. */
const WORD = /^(\S+?)(?:\(\d+\))? (\d+\.\d+) (\d+\.\d+) (\d+\.\d+)$/
/** Silence, noise, and the ends of a breath: `<sil>`, `[SPEECH]`, `++UM++`. */
const NO_WORD = /^(<.*>|\[.*\]|\+\+.*\+\+)$/

const ms = (seconds: string): number => Math.round(Number(seconds) * 1000)

/** Throws in words where it is something else. */
export function heardBy(printed: string): Sentence[] {
  const sentences: (Sentence & { words: Word[] })[] = []
  for (const line of printed.split('\n')) {
    const [, word, from = '', to = '', confidence] = WORD.exec(line) ?? []
    const last = sentences.at(-1)
    if (word === undefined) {
      // Of a breath without words nothing is printed but that there was none.
      sentences.push({ text: line.trim(), start_ms: 0, duration_ms: 0, words: [] })
      continue
    }
    if (last === undefined) throw new Error('what it printed begins with a word of nothing')
    if (NO_WORD.test(word)) continue
    last.words.push({ word, start_ms: ms(from), duration_ms: ms(to) - ms(from), confidence: Math.min(1, Number(confidence)) })
  }
  return sentences.filter(({ words }) => words.length > 0).map(timed)
}

function timed(sentence: Sentence & { words: Word[] }): Sentence {
  const [first, last] = [sentence.words[0], sentence.words.at(-1)]
  const start_ms = first?.start_ms ?? 0
  return { ...sentence, start_ms, duration_ms: (last === undefined ? 0 : last.start_ms + last.duration_ms) - start_ms }
}
