// The characters whose place in ICU's root collation can be written down as weights: their sort
// keys then compare byte by byte as `Intl.Collator('und')` (and CouchDB) compares the text. Node
// shows no sort keys, so the weights are read off the collator itself, once, at load. A string with
// any other character (æ, emoji, Thai …) has no sort key; collate.ts says so and its callers compare.

/** Root collation at full strength: CouchDB's order of strings. */
export const collator = new Intl.Collator('und')
const base = new Intl.Collator('und', { sensitivity: 'base' })
const accent = new Intl.Collator('und', { sensitivity: 'accent' })

/** One collation element: `primary` 0 is a mark that only the second level sees. */
interface Element {
  primary: number
  secondary: number
  tertiary: number
}

const range = (first: number, last: number): string[] => Array.from({ length: last - first + 1 }, (_, offset) => String.fromCodePoint(first + offset))

const letters = [
  ...range(0x00, 0x17f),
  ...range(0x386, 0x3ce),
  ...range(0x400, 0x45f),
  ...range(0x2013, 0x2014),
  ...range(0x2018, 0x2019),
  ...range(0x201c, 0x201d),
  '€',
]
/** Accents as they follow a letter; the last four strike it through (đ, ł, ø). */
const marks = [...range(0x300, 0x304), ...range(0x306, 0x30c), ...range(0x326, 0x328), ...range(0x335, 0x338)]
const strokes = range(0x335, 0x338)

/** Cyrillic й is one element in root collation, though it decomposes; Latin and Greek letters decompose as written. */
const isCyrillic = (letter: string): boolean => letter >= '\u0400' && letter <= '\u045f'

function grouped(sorted: readonly string[], order: Intl.Collator): string[][] {
  const groups: string[][] = []
  for (const member of sorted) {
    const last = groups.at(-1)
    if (last?.[0] !== undefined && order.compare(last[0], member) === 0) last.push(member)
    else groups.push([member])
  }
  return groups
}

function readWeights(): Map<string, Element[]> {
  const weights = new Map<string, Element[]>()
  const single = letters.filter(letter => isCyrillic(letter) || letter.normalize('NFD').length === 1)
  for (const letter of single) if (collator.compare(letter, '') === 0) weights.set(letter, [])

  // A letter that sorts inside the words of the one before it (æ between ad and af) is more than one element.
  let before: string | undefined
  let primary = 0
  const later: { letter: string; plain: string }[] = []
  for (const group of grouped(single.filter(letter => !weights.has(letter)).sort(collator.compare), base)) {
    const [plain] = group
    if (plain === undefined || (before !== undefined && base.compare(`${before}\uffff`, plain) >= 0)) continue
    before = plain
    primary += 1
    let tertiary = 0
    for (const cases of grouped(
      group.filter(letter => accent.compare(letter, plain) === 0),
      collator,
    )) {
      tertiary += 1
      for (const letter of cases) weights.set(letter, [{ primary, secondary: 1, tertiary }])
    }
    for (const letter of group) if (!weights.has(letter)) later.push({ letter, plain })
  }

  grouped(
    [...marks].sort((a, b) => collator.compare(`a${a}`, `a${b}`)),
    collator,
  ).forEach((same, index) => {
    for (const mark of same) weights.set(mark, [{ primary: 0, secondary: index + 2, tertiary: 1 }])
  })
  for (const { letter, plain } of later) {
    for (const written of strokes.flatMap(stroke => [plain + stroke, plain.toUpperCase() + stroke])) {
      const parts = Array.from(written).map(part => weights.get(part) ?? [])
      if (collator.compare(letter, written) === 0) weights.set(letter, parts.flat())
    }
  }
  for (const letter of letters) {
    const parts = Array.from(letter.normalize('NFD')).map(part => weights.get(part))
    if (!weights.has(letter) && parts.every(part => part !== undefined)) weights.set(letter, parts.flat())
  }
  // Alone they are no text of ours, and after a Cyrillic letter they may make another one.
  for (const mark of marks) weights.delete(mark)
  return weights
}

const weights = readWeights()
/** Primary weights below it are written as one byte (collate.ts). */
export const ONE_BYTE = 0xc0
/** Primary weights above every letter's: the common Han characters, in the order of their code points. */
const HAN = 0x10_000

/** Undefined when some character's place is not known. */
export function elements(text: string): Element[] | undefined {
  const found: Element[] = []
  for (const letter of text.normalize('NFC')) {
    const known = weights.get(letter)
    if (known) found.push(...known)
    else if (letter >= '\u4e00' && letter <= '\u9fa5') found.push({ primary: HAN + letter.charCodeAt(0), secondary: 1, tertiary: 1 })
    else return undefined
  }
  return found
}

/**
 * For ids, numbers and lower-case ASCII, which most keys are: the one byte that is such a character's primary weight, 0 for any
 * other. Their second and third level say nothing.
 */
export const PLAIN = Uint8Array.from({ length: 128 }, (_, code) => {
  const known = weights.get(String.fromCharCode(code))
  const [only] = known ?? []
  return known?.length === 1 && only?.secondary === 1 && only.tertiary === 1 && only.primary < ONE_BYTE ? only.primary : 0
})
