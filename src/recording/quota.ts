// How much of the spool one account's undelivered files may take, so that a tenant whose server is dead does not
// fill the disk that everybody records on. What is known of an account is some seconds old: a start never waits for it.

import type { Clock } from '../clock.ts'
import { AppError, reasonOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Store } from '../store/store.ts'
import { IN_FLIGHT } from './document.ts'
import type { Spool } from './spool.ts'

export interface QuotaPorts {
  store: Pick<Store, 'reduce'>
  clock: Clock
  log: Log
  /** Bytes an account may have there; 0 is as much as there is room. */
  quota: number
}

/** Milliseconds. */
const STILL_TRUE = 10_000

const mib = (bytes: number): number => Math.floor(bytes / 1024 / 1024)

/** The spool, whose `check` for an account throws `spool_unwritable` also when that account has its share. */
export function limitedSpool(spool: Spool, { store, clock, log, quota }: QuotaPorts): Spool {
  const known = new Map<string, { bytes: number; until: number }>()

  /** Where it cannot be asked, what was known stands: a store that is away is no reason to lose a recording. */
  function learn(accountId: string): void {
    const before = known.get(accountId)
    known.set(accountId, { bytes: before?.bytes ?? 0, until: clock.elapsed() + STILL_TRUE })
    store.reduce(IN_FLIGHT, 'in_flight/bytes_by_account', { key: accountId }).then(
      bytes => known.set(accountId, { bytes, until: clock.elapsed() + STILL_TRUE }),
      (error: unknown) => log.warn('spool_share_unknown', { account_id: accountId, reason: reasonOf(error) }),
    )
  }

  return {
    ...spool,
    async check(accountId) {
      await spool.check()
      if (accountId === undefined || quota === 0) return
      const found = known.get(accountId)
      if (found === undefined || found.until <= clock.elapsed()) learn(accountId)
      if (found === undefined || found.bytes < quota) return
      const said = `the account has ${mib(found.bytes)} MiB of undelivered files in the spool, SPOOL_QUOTA allows ${mib(quota)} MiB`
      throw new AppError('spool_unwritable', said, { bytes: found.bytes })
    },
  }
}
