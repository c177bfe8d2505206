// Names of databases, ids and times. A recording's id is `YYYYMM-<hex>` and names the database it
// lives in; the month is the month it started, in UTC, for good.

/** Seconds between year 0 (gregorian, as Kazoo counts) and 1970. */
const GREGORIAN_EPOCH = 62_167_219_200

export const toGregorian = (unixMs: number): number => Math.floor(unixMs / 1000) + GREGORIAN_EPOCH
/** Unix milliseconds of gregorian seconds. */
export const fromGregorian = (seconds: number): number => (seconds - GREGORIAN_EPOCH) * 1000

/** `YYYYMM` in UTC. */
export const monthOf = (unixMs: number): string => new Date(unixMs).toISOString().slice(0, 7).replace('-', '')

export const isId = (text: string): boolean => /^[0-9a-f]{32}$/.test(text)
export const isRecordingId = (text: string): boolean => /^[0-9]{4}(0[1-9]|1[0-2])-[0-9a-f]{32}$/.test(text)

export const recordingId = (startedAtMs: number, random: string): string => `${monthOf(startedAtMs)}-${random}`

/** Of the call whose first leg has this uuid: `YYYYMM-{uuid}`, the month in which it came (Kazoo: kz_doc cdr_id). */
export const cdrId = (cameAtMs: number, callId: string): string => `${monthOf(cameAtMs)}-${callId}`

/** `account/ab/cd/REST` of a 32 hex account id (Kazoo: kzs_util:format_account_id/2). */
export const accountDb = (accountId: string): string => `account/${accountId.slice(0, 2)}/${accountId.slice(2, 4)}/${accountId.slice(4)}`
/** The account's database of one month, `YYYYMM`. */
export const monthDb = (accountId: string, month: string): string => `${accountDb(accountId)}-${month}`
/** The database a recording lives in, from its id alone. */
export const recordingDb = (accountId: string, id: string): string => monthDb(accountId, id.slice(0, 6))

/** Every month from one instant to another, oldest first, both included. */
export function monthsBetween(fromMs: number, toMs: number): string[] {
  const months: string[] = []
  const at = new Date(fromMs)
  at.setUTCDate(1)
  at.setUTCHours(0, 0, 0, 0)
  for (; at.getTime() <= toMs; at.setUTCMonth(at.getUTCMonth() + 1)) months.push(monthOf(at.getTime()))
  return months
}
