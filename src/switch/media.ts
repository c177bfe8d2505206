// What may be played or said to a party. The text comes from a tenant and ends in an execute argument, where `${…}` runs
// commands and a path reads any file, so it is parsed into numbers and built again from them.

/** Milliseconds of one tone or silence. */
const LONGEST = 3_600_000
const MOST_TONES = 64
/** Above half of 8 kHz there is nothing to hear. */
const HIGHEST_HZ = 4000

const number = (digits: string, least: number, most: number): number | undefined => {
  const value = Number(digits)
  return /^\d{1,7}$/.test(digits) && value >= least && value <= most ? value : undefined
}

/** `%(on,off,hz[,hz])`: milliseconds of tone and of silence, then one to four frequencies heard together. */
function tone(text: string): string | undefined {
  const inside = /^%\(([\d,]+)\)$/.exec(text)?.[1]?.split(',')
  if (inside === undefined) return undefined
  const [on, off, ...hz] = inside.map((digits, at) => number(digits, at === 1 ? 0 : 1, at < 2 ? LONGEST : HIGHEST_HZ))
  if (on === undefined || off === undefined || hz.length < 1 || hz.length > 4 || hz.includes(undefined)) return undefined
  return `%(${on},${off},${hz.join(',')})`
}

/** The argument for `playback`, or undefined when it is none of `tone_stream://%(ms,ms,hz[,hz])[;…][;loops=n]` and `silence_stream://ms`. */
export function playable(id: string): string | undefined {
  const silence = /^silence_stream:\/\/(\d+)$/.exec(id)?.[1]
  if (silence !== undefined) {
    const ms = number(silence, 1, LONGEST)
    return ms === undefined ? undefined : `silence_stream://${ms}`
  }
  const parts = /^tone_stream:\/\/(.+)$/.exec(id)?.[1]?.split(';')
  if (parts === undefined || parts.length > MOST_TONES) return undefined
  const last = /^loops=(\d+)$/.exec(parts.at(-1) ?? '')?.[1]
  const loops = last === undefined ? undefined : number(last, 1, 1000)
  if (last !== undefined && loops === undefined) return undefined
  const tones = parts.slice(0, last === undefined ? undefined : -1).map(tone)
  if (tones.length === 0 || tones.includes(undefined)) return undefined
  return `tone_stream://${tones.join(';')}${loops === undefined ? '' : `;loops=${loops}`}`
}

/** Text as the speech application can be given it: tags of SSML, and all that could mean something to the switch, become spaces. */
export const speakable = (text: string): string =>
  text
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/(?<=\w)['’](?=\w)/g, '')
    .normalize('NFKD')
    .replaceAll(/[^A-Za-z0-9 .,!?:;-]/g, ' ')
    .replaceAll(/ +/g, ' ')
    .trim()
