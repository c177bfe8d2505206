import test, { type ExecutionContext } from 'ava'
import { monthDb, toGregorian } from '../../src/store/modb.ts'
import { anAccount, type Answered, world, type World } from '../helpers/api.ts'

interface Tenant extends World {
  account: string
  at: string
}

async function tenant(t: ExecutionContext): Promise<Tenant> {
  const made = await world(t)
  const account = await anAccount(made)
  return { ...made, account, at: `/v2/accounts/${account}/recordings/reconciliation` }
}

let made = 0
async function recorded({ store, account }: Tenant, at: string, state: string, delivery?: string, more: object = {}): Promise<string> {
  const month = at.slice(0, 7).replace('-', '')
  const id = `${month}-${String(++made).padStart(32, '0')}`
  await store.createDatabase(monthDb(account, month), 'modb')
  const doc = { _id: id, pvt_type: 'call_recording', pvt_account_id: account, pvt_created: toGregorian(Date.parse(at)), name: 'x.wav', state, ...more }
  await store.put(monthDb(account, month), { ...doc, ...(delivery === undefined ? {} : { delivery: { state: delivery, attempts: 1 } }) })
  return id
}

const counts = ({ body }: Answered): Record<string, number> =>
  Object.fromEntries(Object.entries(body.data).flatMap(([name, list]) => (name === 'day' ? [] : [[name, (list as { count: number }).count]])))

test('a day adds up: every expected recording is recorded, discarded, missing or running, every recorded one delivered or not', async t => {
  const world = await tenant(t)
  const day = (time: string): string => `2026-05-16T${time}Z`
  const missing = await recorded(world, day('00:00:00'), 'failed', undefined, { reason: 'no_media' })
  await recorded(world, day('23:59:59'), 'stopped', 'stored')
  await recorded(world, day('12:00:00'), 'stopped', 'stored')
  await recorded(world, day('12:00:00'), 'stopped', 'due')
  await recorded(world, day('12:00:01'), 'stopped')
  const undelivered = await recorded(world, day('12:00:02'), 'stopped', 'failed')
  await recorded(world, day('12:00:03'), 'discarded')
  await recorded(world, day('12:00:04'), 'stopped', undefined, { kind: 'siprec' })
  for (const state of ['recording', 'paused']) await recorded(world, day('13:00:00'), state)
  await recorded(world, '2026-05-15T23:59:59Z', 'failed')
  await recorded(world, '2026-05-17T00:00:00Z', 'failed')
  await recorded(world, day('13:00:00'), 'stopped', 'stored', { pvt_deleted: true })
  const answer = await world.ask('GET', `${world.at}?day=2026-05-16`)
  const found = counts(answer)
  t.deepEqual(found, { expected: 10, recorded: 6, discarded: 1, missing: 1, running: 2, delivered: 3, waiting: 2, undelivered: 1 })
  t.is(found['expected'], found['recorded']! + found['discarded']! + found['missing']! + found['running']!)
  t.is(found['recorded'], found['delivered']! + found['waiting']! + found['undelivered']!)
  t.like(answer.body.data, { day: '2026-05-16', missing: { recordings: [missing] }, undelivered: { recordings: [undelivered] } })
})

test('a list of a day is read whole, page by page', async t => {
  const world = await tenant(t)
  const ids: string[] = []
  for (let n = 0; n < 25; n++) ids.push(await recorded(world, `2026-05-16T10:00:${String(n).padStart(2, '0')}Z`, 'failed', undefined, { reason: 'no_media' }))
  t.like((await world.ask('GET', `${world.at}?day=2026-05-16`)).body.data, { missing: { count: 25, recordings: ids.slice(0, 20) } })
  const seen: string[] = []
  let key: string | undefined
  do {
    const page: Answered = await world.ask('GET', `${world.at}?day=2026-05-16&list=missing&page_size=10${key === undefined ? '' : `&start_key=${key}`}`)
    for (const { id, reason } of page.body.data as unknown as { id: string; reason: string }[]) {
      seen.push(id)
      t.is(reason, 'no_media')
    }
    key = page.body.next_start_key
  } while (key !== undefined)
  t.deepEqual(seen, ids)
})

test('a day of which there is nothing adds up to nothing', async t => {
  const { ask, at } = await tenant(t)
  t.true(Object.values(counts(await ask('GET', `${at}?day=2020-02-29`))).every(count => count === 0))
  t.deepEqual((await ask('GET', `${at}?day=2020-02-29&list=missing`)).body.data, [] as unknown as Record<string, unknown>)
})

test('what is no day and no list is refused by name', async t => {
  const { ask, at } = await tenant(t)
  for (const day of ['', '?day=', '?day=2026-02-30', '?day=16.05.2026', '?day=2026-05']) {
    const { status, body } = await ask('GET', at + day)
    t.deepEqual([status, Object.keys(body.data)], [400, ['day']], day)
  }
  t.deepEqual(Object.keys((await ask('GET', `${at}?day=2026-05-16&list=lost`)).body.data), ['list'])
})
