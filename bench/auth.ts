// What a token costs a request: one that this engine knows, one that it has to look up again, and for how long
// it believes one that another engine has ended. The clock of the last is turned by hand.

import { randomBytes } from 'node:crypto'
import { createSessions, type Sessions } from '../src/api/rights/auth.ts'
import { firstStart } from '../src/api/resources/first-start.ts'
import { createLimits } from '../src/api/rights/limits.ts'
import { issueToken, proofOf, tokenId, TOKENS } from '../src/api/rights/tokens.ts'
import { accountDb } from '../src/store/modb.ts'
import { embeddedStore } from '../src/store/embedded.ts'
import type { Store } from '../src/store/store.ts'
import { type Row, times } from './row.ts'
import { folder, forget, quantile } from './world.ts'

const TIMES = 5000
const everything = { requestsPer10s: Number.MAX_SAFE_INTEGER }

export async function authRows(): Promise<Row[]> {
  const dir = folder()
  const store = await embeddedStore({ dir })
  try {
    return await measured(store)
  } finally {
    await store.close()
    forget(dir)
  }
}

async function measured(store: Store): Promise<Row[]> {
  const time = { at: 0 }
  const clock = { now: Date.now, elapsed: () => time.at, after: () => () => {} }
  const random = (bytes: number): Buffer => randomBytes(bytes)
  const { accountId } = await firstStart(store, { apiKey: undefined, now: Date.now(), random })
  const [db, ownerId] = [accountDb(accountId), random(16).toString('hex')]
  await store.put(db, { _id: ownerId, pvt_type: 'user', first_name: 'Ann', last_name: 'Bench', priv_level: 'admin' })
  const who = { account_id: accountId, owner_id: ownerId, method: 'user_auth', proof: proofOf('') } as const
  const token = await issueToken({ store, clock, random, config: { tokenTtl: 3600 } }, who)
  const [sessions, limits] = [createSessions({ store, clock }), createLimits(everything)]

  const ask = async (): Promise<unknown> => limits.request((await sessions.of(token)).who.token)
  const askAnew = (): Promise<unknown> => {
    sessions.forget({ accountId })
    return ask()
  }
  const read = async (): Promise<void> => {
    await store.get(TOKENS, tokenId(token))
    await store.get('accounts', accountId)
    await store.get(db, ownerId)
  }
  await ask()
  const [known, unknown, floor] = [await p99(ask), await p99(askAnew), await p99(read)]
  return [
    { what: 'a request with a known token: session and rate limit, p99', measured: `${known.toFixed(3)} ms`, budget: '≤ 0.2 ms' },
    {
      what: 'the same with one to be looked up, p99',
      measured: `${unknown.toFixed(3)} ms`,
      floor: `${floor.toFixed(3)} ms three reads`,
      ratio: times(unknown, floor),
      budget: '–',
    },
    { what: 'a token that another engine ended is refused after', measured: `${await believed(sessions, token, store, time)} s`, budget: '≤ 5 s' },
  ]
}

async function p99(run: () => Promise<unknown>): Promise<number> {
  const took: number[] = []
  for (let n = 0; n < TIMES; n++) {
    const began = performance.now()
    await run()
    if (n >= TIMES / 10) took.push(performance.now() - began)
  }
  return quantile(took, 0.99)
}

/** Seconds. */
async function believed(sessions: Sessions, token: string, store: Store, time: { at: number }): Promise<number> {
  await store.purge(TOKENS, tokenId(token))
  for (let tenths = 0; ; tenths++) {
    try {
      await sessions.of(token)
    } catch {
      return tenths / 10
    }
    time.at += 100
  }
}
