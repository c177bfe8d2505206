// The gap map: which stretches of a conversation cannot be heard in its recording, and who wanted it so. `at` and `until` are UTC;
// offsets are milliseconds of the audio and leave out what is not in it, so that a player can find the place.

export type Gap = 'mask' | 'pause' | 'hold'

export interface Segment {
  kind: Gap
  /** ISO 8601. */
  at: string
  until?: string
  /** Of a pause or hold both are the same place: the time is missing there. */
  from_ms: number
  to_ms?: number
  /** Of a pause or hold, how much of the call is not in the audio. */
  missing_ms?: number
  /** `api`, `key 1234`, a callflow's label, a leg on hold. */
  by: string
}

/** Milliseconds since audio began, and the wall's time. */
export interface Moment {
  ranMs: number
  at: number
}

const dropsTime = (kind: Gap): boolean => kind !== 'mask'
const isOpen = ({ until }: Segment): boolean => until === undefined

interface Opened extends Segment {
  /** `ranMs` when it was opened. */
  since: number
}

/** What is kept while a recording runs: open segments know when they began. */
export type Gaps = readonly (Segment | Opened)[]

const sinceOf = (segment: Segment | Opened): number => ('since' in segment ? segment.since : 0)

/** Where in the audio a moment of the call is. Two gaps at once that leave time out leave it out once. */
export function offsetAt(gaps: Gaps, ranMs: number): number {
  const closed = gaps.reduce((sum, { missing_ms }) => sum + (missing_ms ?? 0), 0)
  const open = gaps.filter(one => isOpen(one) && dropsTime(one.kind)).map(sinceOf)
  const until = open.length === 0 ? ranMs : Math.min(...open)
  return Math.max(0, Math.round(until - closed))
}

export const isGap = (gaps: Gaps, kind: Gap): boolean => gaps.some(one => one.kind === kind && isOpen(one))

/** One that is open already stays as it was. */
export function open(gaps: Gaps, kind: Gap, { ranMs, at }: Moment, by: string): Gaps {
  if (isGap(gaps, kind)) return gaps
  const segment: Opened = { kind, at: new Date(at).toISOString(), from_ms: offsetAt(gaps, ranMs), by, since: ranMs }
  return [...gaps, segment]
}

export function close(gaps: Gaps, kind: Gap, { ranMs, at }: Moment): Gaps {
  const others = gaps.filter(one => isOpen(one) && one.kind !== kind && dropsTime(one.kind)).map(sinceOf)
  return gaps.map(segment => {
    if (segment.kind !== kind || !isOpen(segment)) return segment
    const { since, ...rest } = { since: 0, ...segment }
    const until = new Date(at).toISOString()
    if (!dropsTime(kind)) return { ...rest, until, to_ms: Math.max(rest.from_ms, offsetAt(gaps, ranMs)) }
    // What another gap leaves out as well is that one's.
    const end = others.length === 0 ? ranMs : Math.max(since, Math.min(ranMs, ...others))
    return { ...rest, until, to_ms: rest.from_ms, missing_ms: Math.max(0, Math.round(end - since)) }
  })
}

/** At the end of the recording. */
export const closeAll = (gaps: Gaps, moment: Moment): Gaps => (['mask', 'pause', 'hold'] as const).reduce((all, kind) => close(all, kind, moment), gaps)

/** All of the audio is so many milliseconds earlier than was thought. */
export const earlier = (gaps: Gaps, ms: number): Gaps =>
  gaps.map(gap => ({ ...gap, from_ms: Math.max(0, gap.from_ms - ms), ...(gap.to_ms === undefined ? {} : { to_ms: Math.max(0, gap.to_ms - ms) }) }))

/** As tenants read it. */
export const shownGaps = (gaps: Gaps): Segment[] =>
  gaps.map(gap => {
    const { since: _since, ...segment } = { since: 0, ...gap }
    return segment
  })
