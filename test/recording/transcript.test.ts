import test from 'ava'
import { heardBy } from '../../src/recording/transcripts/pocketsphinx.ts'
import { sentencesIn, speaks, transcriptOf } from '../../src/recording/transcript.ts'

for (const [languages, language, does] of [
  [['en'], 'en-US', true],
  [['en'], 'en', true],
  [['EN'], 'en-us', true],
  [['en'], 'enm', false],
  [['en-US'], 'en', false],
  [['en-US'], 'en-GB', false],
  [['de', 'zh-Hant'], 'zh-Hant-TW', true],
  [['*'], 'tlh', true],
  [[], 'en', false],
] as const) {
  test(`${JSON.stringify(languages)} ${does ? 'has' : 'has not'} ${language}`, t => t.is(speaks(languages, language), does))
}

const sentence = (more: object = {}) => ({ text: 'Hello', start_ms: 0, duration_ms: 10, ...more })

for (const [why, printed, sentiment] of [
  ['what it printed is not JSON', 'Hello', false],
  ['what it printed is not JSON', '', false],
  ['what it printed has no list of `sentences`', 'null', false],
  ['what it printed has no list of `sentences`', '[]', false],
  ['what it printed has no list of `sentences`', '{"sentences":{}}', false],
  ['sentences[0] is no object', '{"sentences":["Hello"]}', false],
  ['sentences[0].text is no text', { text: 5 }, false],
  ['sentences[0].start_ms is no number from 0 to 86400000', { start_ms: -1 }, false],
  ['sentences[0].start_ms is no number from 0 to 86400000', { start_ms: '0' }, false],
  ['sentences[0].duration_ms is no number from 0 to 86400000', { duration_ms: null }, false],
  ['sentences[0].sentiment is no number from -1 to 1', {}, true],
  ['sentences[0].sentiment is no number from -1 to 1', { sentiment: 1.1 }, true],
  ['sentences[0].words is no list', { words: 'Hello' }, false],
  ['sentences[0].words[0] is no object', { words: ['Hello'] }, false],
  ['sentences[0].words[0].word is no text', { words: [{ start_ms: 0, duration_ms: 1 }] }, false],
  ['sentences[0].words[0].confidence is no number from 0 to 1', { words: [{ word: 'a', start_ms: 0, duration_ms: 1, confidence: 2 }] }, false],
] as const) {
  test(`a transcriber that prints ${JSON.stringify(printed)} is not understood: ${why}`, t => {
    const text = typeof printed === 'string' ? printed : JSON.stringify({ sentences: [sentence(printed)] })
    t.throws(() => sentencesIn(text, { sentiment }), { message: why })
  })
}

test('of what a transcriber prints only what is known is kept, and sentiment only where it was asked for', t => {
  const printed = JSON.stringify({
    sentences: [sentence({ start_ms: 1.6, sentiment: 0.5, speaker: 'x', words: [{ word: 'Hello', start_ms: 0, duration_ms: 9, confidence: 1, x: 1 }] })],
    model: 'large',
  })
  const known = { text: 'Hello', start_ms: 2, duration_ms: 10, words: [{ word: 'Hello', start_ms: 0, duration_ms: 9, confidence: 1 }] }
  t.deepEqual(sentencesIn(printed, { sentiment: false }), [known])
  t.deepEqual(sentencesIn(printed, { sentiment: true }), [{ ...known, sentiment: 0.5 }])
  t.deepEqual(sentencesIn('{"sentences":[]}', { sentiment: true }), [])
})

test('a transcript has a channel for each of the file, also for one in which nobody spoke', t => {
  const words = [{ word: 'Grüß', start_ms: 5, duration_ms: 4, confidence: 0.5 }]
  t.deepEqual(transcriptOf('id', 'de-DE', [[{ text: "  Grüß Gott,  Herr O'Neil!", start_ms: 5, duration_ms: 90, sentiment: -1, words }], []]), {
    ver: '1.0.0',
    request_id: 'id',
    language: 'de-DE',
    channels: [
      {
        transcript: [
          {
            sentence: "  Grüß Gott,  Herr O'Neil!",
            raw_sentence: "grüß gott herr o'neil",
            start_ms: 5,
            duration: 90,
            sentiment: -1,
            words: [{ word: 'Grüß', start_ms: 5, duration: 4, confidence: 0.5 }],
          },
        ],
      },
      { transcript: [] },
    ],
  })
})

test('what pocketsphinx prints are sentences with their words, without silence, noise and other ways to say them', t => {
  const printed = `please send the
<s> 0.130 0.160 1.000100
please 0.170 0.530 1.000100
send 0.540 0.870 0.983634
<sil> 0.875 0.880 0.5
the(2) 0.880 0.990 0.317895
</s> 3.610 4.020 1.000000

<s> 5.000 5.100 1.000000
[NOISE] 5.100 5.200 0.5
++UM++ 5.200 5.300 0.5
</s> 5.300 5.400 1.000000
ten years
ten 8.520 8.770 0.717890
years(2) 8.780 9.310 0.969472
`
  t.deepEqual(heardBy(printed), [
    {
      text: 'please send the',
      start_ms: 170,
      duration_ms: 820,
      words: [
        { word: 'please', start_ms: 170, duration_ms: 360, confidence: 1 },
        { word: 'send', start_ms: 540, duration_ms: 330, confidence: 0.983634 },
        { word: 'the', start_ms: 880, duration_ms: 110, confidence: 0.317895 },
      ],
    },
    {
      text: 'ten years',
      start_ms: 8520,
      duration_ms: 790,
      words: [
        { word: 'ten', start_ms: 8520, duration_ms: 250, confidence: 0.71789 },
        { word: 'years', start_ms: 8780, duration_ms: 530, confidence: 0.969472 },
      ],
    },
  ])
  t.deepEqual(heardBy(''), [])
  t.throws(() => heardBy('the 0.1 0.2 0.3\n'), { message: /begins with a word of nothing/ })
})
