import test, { type ExecutionContext } from 'ava'
import { AppError } from '../../src/errors.ts'
import { IN_FLIGHT } from '../../src/recording/document.ts'
import { limitedSpool } from '../../src/recording/quota.ts'
import type { Spool } from '../../src/recording/spool.ts'
import type { Store } from '../../src/store/store.ts'
import { aStore } from '../helpers/api.ts'
import { manualClock } from '../helpers/clock.ts'
import { notedLog } from '../helpers/log.ts'
import { until } from '../helpers/wait.ts'

const QUOTA = 10 * 1024 * 1024
const ALICE = 'a'.repeat(32)
const BOB = 'b'.repeat(32)

async function room(t: ExecutionContext, quota = QUOTA) {
  const store = await aStore(t)
  await store.createDatabase(IN_FLIGHT, 'recordings_in_flight')
  const clock = manualClock()
  const { log, lines } = notedLog()
  const disk = { full: false }
  const check = async (): Promise<void> => {
    if (disk.full) throw new AppError('spool_unwritable', 'the disk is full')
  }
  const asked = { times: 0, fails: false }
  const reduce: Store['reduce'] = (...args) => {
    asked.times++
    return asked.fails ? Promise.reject(new AppError('datastore_unreachable', 'away')) : store.reduce(...args)
  }
  const spool = limitedSpool({ check } as Spool, { store: { reduce }, clock, log, quota })
  let made = 0
  const left = (account_id: string, size: number, state = 'due'): Promise<string> =>
    store.put(IN_FLIGHT, {
      _id: String(made++).padStart(32, '0'),
      account_id,
      node: 'fs1',
      state: 'stopped',
      size,
      delivery: { state, destination: 'x', attempts: 0 },
    })
  const refuses = async (account: string): Promise<boolean> =>
    spool.check(account).then(
      () => false,
      () => true,
    )
  return { spool, clock, disk, asked, left, refuses, lines }
}

test('an account that has its share of the spool records no more until files are delivered; others go on', async t => {
  const { spool, clock, left, refuses } = await room(t)
  await left(ALICE, QUOTA / 2, 'failed')
  await left(ALICE, QUOTA / 2)
  await left(BOB, QUOTA / 2)
  // The first one is not made to wait for what the store says.
  t.false(await refuses(ALICE))
  await until('what the store says', () => refuses(ALICE))
  await t.throwsAsync(() => spool.check(ALICE), { message: 'the account has 10 MiB of undelivered files in the spool, SPOOL_QUOTA allows 10 MiB' })
  for (let n = 0; n < 3; n++) t.false(await refuses(BOB))
  clock.advance(10_000)
  t.true(await refuses(ALICE))
})

test('what was delivered since is known some seconds later', async t => {
  const { clock, refuses, left, asked } = await room(t)
  await left(ALICE, QUOTA)
  await refuses(ALICE)
  await until('what the store says', () => refuses(ALICE))
  t.is(asked.times, 1)
  const bigger = await room(t)
  await bigger.refuses(ALICE)
  t.false(await bigger.refuses(ALICE))
  clock.advance(10_000)
  await refuses(ALICE)
  t.is(asked.times, 2)
})

test('a store that is away takes no recording from anybody who was within his share, and gives none to who was not', async t => {
  const { clock, asked, left, refuses, lines } = await room(t)
  await left(ALICE, QUOTA)
  await refuses(ALICE)
  await until('what the store says', () => refuses(ALICE))
  asked.fails = true
  clock.advance(10_000)
  t.true(await refuses(ALICE))
  t.false(await refuses(BOB))
  await until('a line in the log', () => lines.some(({ event }) => event === 'spool_share_unknown'))
  t.false(await refuses(BOB))
})

test('without a quota, or for nobody in particular, only the disk is asked', async t => {
  const { disk, asked, refuses, left } = await room(t, 0)
  await left(ALICE, QUOTA * 9)
  t.false(await refuses(ALICE))
  const limited = await room(t)
  await limited.spool.check()
  t.deepEqual([asked.times, limited.asked.times], [0, 0])
  disk.full = true
  t.true(await refuses(ALICE))
})
