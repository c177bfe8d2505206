import test from 'ava'
import fc from 'fast-check'
import { compareKeys, encodeKey } from '../../src/store/collate.ts'
import type { Key } from '../../src/store/store.ts'

const latin = 'abcABCzZéÉàÀüÜñøØłŁçßœþðđ0123456789 _-~.,:;!?"\'()[]{}@*/\\&#%+<=>|$^`\u0000\u0007\u00ad\t\n'
const others = 'αβΑΩάйиИЁёЯяії一二龥–—‘’“”€×÷½…æÆ가あ😀ก'
const letter = fc.constantFrom(...Array.from(latin), ...Array.from(others))
const text = fc.oneof(fc.string({ unit: letter, maxLength: 6 }), fc.string({ unit: fc.constantFrom(...Array.from(latin)), maxLength: 8 }), fc.string())
const key: fc.Arbitrary<Key> = fc.letrec<{ key: Key }>(tie => ({
  key: fc.oneof(
    { maxDepth: 3 },
    fc.constant(null),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    text,
    fc.array(tie('key'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'B'), tie('key'), { maxKeys: 2 }),
  ),
})).key

const sign = (order: number): number => Math.sign(order) + 0

test('the bytes of two strings compare as ICU compares the strings', t => {
  const order = new Intl.Collator('und')
  fc.assert(
    fc.property(text, text, (a, b) => {
      const [left, right] = [encodeKey(a), encodeKey(b)]
      return !left || !right || sign(Buffer.compare(left, right)) === sign(order.compare(a, b))
    }),
    { numRuns: 20_000 },
  )
  t.pass()
})

test('the bytes of every two characters with a sort key compare as ICU compares them, alone and before another letter', t => {
  const order = new Intl.Collator('und')
  const known = Array.from({ length: 0x2100 }, (_, code) => String.fromCharCode(code)).filter(one => encodeKey(one))
  t.true(known.length > 400, `${known.length} characters have a sort key`)
  const words = known.flatMap(one => [one, `${one}b`, `a${one}Z`]).filter((_, index) => index % 2 === 0)
  const wrong: string[] = []
  const encoded = words.map(word => encodeKey(word) as Buffer)
  const sorted = words.map((word, index) => ({ word, bytes: encoded[index] as Buffer })).sort((a, b) => Buffer.compare(a.bytes, b.bytes))
  sorted.forEach(({ word, bytes }, index) => {
    const next = sorted[index + 1]
    if (next && sign(order.compare(word, next.word)) !== sign(Buffer.compare(bytes, next.bytes))) wrong.push(`${word} ${next.word}`)
  })
  t.deepEqual(wrong, [])
})

test('the bytes of two keys of any shape compare as the keys do', t => {
  fc.assert(
    fc.property(key, key, (a, b) => {
      const [left, right] = [encodeKey(a), encodeKey(b)]
      return !left || !right || sign(Buffer.compare(left, right)) === sign(compareKeys(a, b))
    }),
    { numRuns: 5000 },
  )
  t.pass()
})

test('keys order as CouchDB documents it: null, false, true, numbers, text, arrays, objects', t => {
  const sorted: Key[] = [
    null,
    false,
    true,
    -1,
    0,
    1.5,
    2,
    '',
    '_',
    '-',
    '~',
    '10',
    '9',
    'a',
    'A',
    'ä',
    'aa',
    'Aa',
    'b',
    [],
    ['a'],
    ['a', 1],
    ['b'],
    {},
    { a: 1 },
    { a: 2 },
    { b: 1 },
  ]
  t.deepEqual(sorted.toReversed().sort(compareKeys), sorted)
  const bytes = sorted.map(one => encodeKey(one) as Buffer)
  t.deepEqual(
    bytes.toReversed().sort((a, b) => Buffer.compare(a, b)),
    bytes,
  )
})

test('minus zero and zero are one key', t => t.deepEqual(encodeKey(-0), encodeKey(0)))

test('a key with a character of unknown place has no bytes', t => {
  t.is(encodeKey('æsir'), undefined)
  t.is(encodeKey(['a', { b: '😀' }]), undefined)
})
