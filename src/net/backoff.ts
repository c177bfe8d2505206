// When a delivery is tried again, and when no more. Everything is in milliseconds.

const SECOND = 1000
const HOUR = 3600 * SECOND

export const SHORTEST = 5 * SECOND
export const LONGEST = HOUR
/** From the first attempt. */
export const GIVE_UP_AFTER = 72 * HOUR
/** A destination may ask for more patience than LONGEST, but not for ever. */
export const LONGEST_ASKED = 24 * HOUR

/** Full jitter between SHORTEST and a ceiling that doubles with every attempt, so that what failed together does not come back together. */
export function backoff(attempts: number, random: number): number {
  const ceiling = Math.min(LONGEST, SHORTEST * 2 ** attempts)
  return Math.round(SHORTEST + random * (ceiling - SHORTEST))
}

/** Unix time of the next attempt; undefined when it is time to give up. `askedMs` is what the destination asked for with Retry-After. */
export function nextAttempt(facts: { attempts: number; since: number; now: number; random: number; askedMs: number | undefined }): number | undefined {
  if (facts.now - facts.since >= GIVE_UP_AFTER) return undefined
  const asked = Math.min(LONGEST_ASKED, facts.askedMs ?? 0)
  return facts.now + Math.max(asked, backoff(facts.attempts, facts.random))
}

/** Retry-After is seconds or a date (RFC 9110 section 10.2.3); undefined when it is neither, or in the past. */
export function retryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined
  const text = header.trim()
  const wait = /^\d+$/.test(text) ? Number(text) * SECOND : /[A-Za-z]{3}/.test(text) ? Date.parse(text) - now : Number.NaN
  return wait > 0 ? wait : undefined
}
