import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import { signIn } from '../../src/client.ts'
import { daysOf, retry, verify } from '../../src/day-range.ts'
import { IN_FLIGHT } from '../../src/recording/document.ts'
import { monthDb, toGregorian } from '../../src/store/modb.ts'
import { anAccount, world, type World } from '../helpers/api.ts'

interface Tenant extends World {
  account: string
  at: string
}

async function tenant(t: ExecutionContext): Promise<Tenant> {
  const made = await world(t)
  const account = await anAccount(made)
  return { ...made, account, at: `/v2/accounts/${account}/recordings` }
}

const SOUND = Buffer.from('RIFF and what was said')
const HASH = createHash('sha256').update(SOUND).digest('hex')
const DAY = '2026-05-16'

let made = 0
async function recorded({ store, account }: Tenant, fields: object = {}, audio?: Buffer): Promise<string> {
  const id = `202605-${String(++made).padStart(32, '0')}`
  const db = monthDb(account, '202605')
  await store.createDatabase(db, 'modb')
  const doc = { _id: id, pvt_type: 'call_recording', pvt_account_id: account, pvt_created: toGregorian(Date.parse(`${DAY}T12:00:00Z`)), origins: [], start: 0 }
  const rev = await store.put(db, { ...doc, state: 'stopped', name: 'x.wav', sha256: HASH, size: SOUND.length, ...fields })
  if (audio !== undefined) await store.putAttachment(db, id, rev, 'x.wav', { stream: Readable.from([audio]), length: audio.length, contentType: 'audio/x-wav' })
  return id
}

const queue = ({ store, account }: Tenant, id: string, state: string, node = 'fs1') =>
  store.put(IN_FLIGHT, {
    _id: id,
    account_id: account,
    node,
    state: 'stopped',
    file: `${node}/${id}.wav`,
    delivery: { state, destination: 'https://a.example/', attempts: 9, since: 1, last_error: 'no' },
  })

test('audio is intact, damaged, missing, elsewhere or none, and the answer says where and what was found', async t => {
  const world = await tenant(t)
  const { ask, at, files } = world
  const told = async (id: string): Promise<Record<string, unknown>> => (await ask('GET', `${at}/${id}/integrity`)).body.data
  t.deepEqual(await told(await recorded(world, {}, SOUND)), { audio: 'intact', sha256: HASH, at: 'store', trail: 'intact' })
  const other = createHash('sha256').update('other').digest('hex')
  t.like(await told(await recorded(world, {}, Buffer.from('other'))), { audio: 'damaged', sha256: HASH, found: other, at: 'store' })
  t.like(await told(await recorded(world)), { audio: 'missing', at: 'store' })
  const delivery = { state: 'stored', destination: 'https://a.example/', location: 'https://a.example/x.wav' }
  t.like(await told(await recorded(world, { delivery })), { audio: 'elsewhere', at: 'https://a.example/x.wav' })
  t.like(await told(await recorded(world, { state: 'failed', sha256: undefined })), { audio: 'none' })
  t.like(await told(await recorded(world, { sha256: undefined }, SOUND)), { audio: 'none', found: HASH })
  const waiting = await recorded(world)
  await queue(world, waiting, 'failed')
  t.like(await told(waiting), { audio: 'missing', at: 'the spool of fs1' })
  files.set(`fs1/${waiting}.wav`, SOUND)
  t.like(await told(waiting), { audio: 'intact', at: 'the spool of fs1' })
  const away = await recorded(world)
  await queue(world, away, 'due', 'fs2')
  t.like(await told(away), { audio: 'elsewhere', at: 'the spool of fs2' })
})

test('a delivery that was given up is due again at once, from its beginning, and that is in the trail', async t => {
  const world = await tenant(t)
  const id = await recorded(world, { delivery: { state: 'failed' } })
  await queue(world, id, 'failed')
  t.like(await world.ask('PUT', `${world.at}/${id}/delivery`), {
    status: 202,
    body: { data: { delivery: { state: 'due', destination: 'https://a.example/' } } },
  })
  const { delivery } = (await world.store.get(IN_FLIGHT, id)) as unknown as { delivery: { next_at: number } }
  t.like(delivery, { state: 'due', attempts: 0 })
  t.false('since' in delivery || 'last_error' in delivery)
  t.true(delivery.next_at <= Date.now())
  t.is(world.woken.times, 1)
  const { body } = await world.ask<{ what: string; details: object }[]>('GET', `${world.at}/${id}/audit`)
  t.like(body.data.at(-1), { what: 'changed', details: { fields: ['delivery'] } })
})

test('what is stored, runs now, or was never to be delivered is not delivered again', async t => {
  const world = await tenant(t)
  const uploading = await recorded(world)
  await queue(world, uploading, 'uploading')
  for (const id of [uploading, await recorded(world, { delivery: { state: 'stored' } }, SOUND), await recorded(world, { state: 'failed' })]) {
    t.like(await world.ask('PUT', `${world.at}/${id}/delivery`), { status: 409, body: { message: 'wrong_state' } })
  }
  t.is(world.woken.times, 0)
})

test('a retry that another engine is faster than is refused', async t => {
  const world = await tenant(t)
  const id = await recorded(world)
  await queue(world, id, 'due')
  let reads = 0
  world.refuse.get = async <T>(db: string, one: string) => {
    // Between the look and the change it is taken.
    if (db === IN_FLIGHT && ++reads === 2)
      await world.base.put(IN_FLIGHT, { ...(await world.base.get(IN_FLIGHT, id)), _id: id, delivery: { state: 'uploading' } })
    return (await world.base.get(db, one)) as T
  }
  t.is((await world.ask('PUT', `${world.at}/${id}/delivery`)).status, 409)
})

test('verify says which recordings of some days are not what they were, in all accounts that the key reaches', async t => {
  const world = await tenant(t)
  const damaged = await recorded(world, {}, Buffer.from('other'))
  const missing = await recorded(world)
  for (let n = 0; n < 3; n++) await recorded(world, {}, SOUND)
  const tampered = await recorded(world, { delivery: { state: 'stored', destination: 'https://a.example/', location: 'https://a.example/x' } })
  await world.ask('PATCH', `${world.at}/${tampered}`, { user_metadata: { a: 1 } })
  const entry = `${tampered}.00000001`
  const db = monthDb(world.account, '202605')
  await world.store.put(db, { ...(await world.store.get(db, entry)), _id: entry, at: 'never' })
  const client = await signIn(world.url, world.master.apiKey)
  const lines: string[] = []
  t.is(await verify(client, { from: '2026-05-15', to: '2026-05-17' }, line => lines.push(line)), 3)
  t.regex(lines.find(line => line.startsWith(damaged)) ?? '', /damaged {2}sha256 is [0-9a-f]{64}, was [0-9a-f]{64}, in store$/)
  t.regex(lines.find(line => line.startsWith(missing)) ?? '', /missing {2}not in store$/)
  t.regex(lines.find(line => line.startsWith(tampered)) ?? '', /elsewhere {2}its audit trail is broken at entry 1$/)
  t.is(lines.at(-1), '2026-05-15 to 2026-05-17: 1 damaged, 1 missing, 3 intact, 1 elsewhere')
  const none: string[] = []
  t.is(await verify(client, { from: '2026-05-17', to: '2026-05-17', account: world.account }, line => none.push(line)), 0)
  t.deepEqual(none, ['2026-05-17 to 2026-05-17: no recordings'])
})

test('retry makes all that was given up in some days due again, longer than a page', async t => {
  const world = await tenant(t)
  const ids: string[] = []
  for (let n = 0; n < 60; n++) {
    const id = await recorded(world, { delivery: { state: 'failed' } })
    await queue(world, id, 'failed')
    ids.push(id)
  }
  const client = await signIn(world.url, world.master.apiKey)
  const lines: string[] = []
  t.is(await retry(client, { from: DAY, to: DAY, account: world.account }, line => lines.push(line)), 60)
  t.is(lines[0], `${ids[0]}  due again to https://a.example/`)
  for (const id of ids) t.like(await world.store.get(IN_FLIGHT, id), { delivery: { state: 'due' } })
})

test('days are counted over the end of a month, and there are none backwards', t => {
  t.deepEqual([...daysOf({ from: '2026-02-27', to: '2026-03-02' })], ['2026-02-27', '2026-02-28', '2026-03-01', '2026-03-02'])
  t.deepEqual([...daysOf({ from: '2026-03-02', to: '2026-03-01' })], [])
})
