import test, { type ExecutionContext } from 'ava'
import { filterOf } from '../../src/api/documents/filter.ts'
import { MOST_ROWS, pageOf, type Source } from '../../src/api/documents/page.ts'
import { accountDb, toGregorian } from '../../src/store/modb.ts'
import type { Key, Row, Stored } from '../../src/store/store.ts'
import { anAccount, type Answered, asker, world, type World } from '../helpers/api.ts'
import { digest } from '../../src/api/rights/credentials.ts'

interface Tenant extends World {
  id: string
  at: string
}

async function tenant(t: ExecutionContext): Promise<Tenant> {
  const made = await world(t)
  const id = await anAccount(made, { name: 'acme' })
  return { ...made, id, at: `/v2/accounts/${id}` }
}

const names = ({ body }: Answered): unknown[] => (body.data as unknown as { name: unknown }[]).map(({ name }) => name)

const doc = { _id: '1', _rev: '1-a', pvt_created: 100, pvt_modified: 200 } as Stored
const FIELDS = { name: 'x', count: 5, on: false, nothing: '', empty: {}, list: ['a', 'b'], sip: { method: 'ip', 'a.b': 1 }, some: { deep: { leaf: true } } }

for (const [query, wanted] of [
  ['filter_name=x', true],
  ['filter_name=y', false],
  ['filter_name=["y","x"]', true],
  ['filter_name=["y","z"]', false],
  ['filter_name=[broken', false],
  ['filter_count=5', true],
  ['filter_count=[4,5]', true],
  ['filter_on=false', true],
  ['filter_sip.method=ip', true],
  ['filter_some.deep.leaf=true', true],
  ['filter_some.deep=true', false],
  ['filter_list=b', true],
  ['filter_list=c', false],
  ['filter_absent=x', false],
  ['filter_absent=', true],
  ['filter_constructor=x', false],
  ['filter_name.length=1', false],
  ['filter_not_name=y', true],
  ['filter_not_name=x', false],
  ['filter_not_name=["x","y"]', false],
  ['filter_not_absent=x', true],
  ['filter_name=x&filter_count=5', true],
  ['filter_name=x&filter_count=6', false],
  ['filter_name=x&filter_name=y', false],
  ['has_key=sip.method', true],
  ['has_key=sip.realm', false],
  ['has_key=__proto__', false],
  ['has_key=nothing', true],
  ['key_missing=sip.realm', true],
  ['key_missing=name', false],
  ['has_value=on', true],
  ['has_value=nothing', false],
  ['has_value=empty', false],
  ['has_value=list', true],
  ['value_missing=nothing', true],
  ['missing_value=absent', true],
  ['value_missing=name', false],
  ['created_from=100', true],
  ['created_from=101', false],
  ['created_to=100', true],
  ['created_to=99', false],
  ['modified_from=200&modified_to=200', true],
  ['modified_from=201', false],
] as const) {
  test(`?${query} ${wanted ? 'lists' : 'leaves out'} such a document`, t => {
    t.is(filterOf(new URLSearchParams(query))?.(FIELDS, doc), wanted)
  })
}

test('a query without a filter reads no documents, and a range of its own is no filter', t => {
  t.is(filterOf(new URLSearchParams('page_size=3&start_key=x&fields=y')), undefined)
  t.is(filterOf(new URLSearchParams('created_from=3'), { created: false }), undefined)
  t.throws(() => filterOf(new URLSearchParams('modified_from=yesterday')), { code: 'validation error' })
})

/** A list of so many rows that counts how many are read. */
function counted(length: number): { source: Source<number>; reads: number[] } {
  const reads: number[] = []
  return {
    reads,
    source: {
      read: (from = 0, limit) => {
        const rows = Array.from({ length: Math.max(0, Math.min(limit, length - from)) }, (_, n): Row => {
          const id = String(from + n)
          return { id, key: from + n, value: {}, doc: { _id: id, _rev: '1-a' } }
        })
        reads.push(rows.length)
        return Promise.resolve(rows)
      },
      placeOf: ({ key }) => Number(key),
      isPlace: (key): key is number => typeof key === 'number',
      summary: ({ id }) => ({ id }),
      visible: ({ _id }) => ({ id: _id }),
    },
  }
}

const decoded = (key: unknown): Key => JSON.parse(Buffer.from(String(key), 'base64url').toString()) as Key
const total = (reads: number[]): number => reads.reduce((sum, one) => sum + one, 0)

test('a page reads the page and one row more, however many there are', async t => {
  const { source, reads } = counted(1_000_000)
  const { data, beside } = await pageOf(source, new URLSearchParams('page_size=50'), undefined)
  t.is((data as object[]).length, 50)
  t.is(decoded(beside?.['next_start_key']), 50)
  t.deepEqual(reads, [51])
})

test('a filter that finds little stops at the documented number of rows and says where to go on', async t => {
  const { source, reads } = counted(1_000_000)
  const rare = filterOf(new URLSearchParams('filter_id=["7","12000"]'))
  const first = await pageOf(source, new URLSearchParams('page_size=50'), rare)
  t.deepEqual(first.data, [{ id: '7' }])
  t.is(decoded(first.beside?.['next_start_key']), MOST_ROWS)
  t.true(total(reads) < MOST_ROWS + 100)
  const second = await pageOf(source, new URLSearchParams({ start_key: String(first.beside?.['next_start_key']) }), rare)
  t.deepEqual(second.data, [{ id: '12000' }])
})

test('a filtered page is filled by scanning on, and its next key is the row after its last', async t => {
  const { source } = counted(2000)
  const tens = filterOf(new URLSearchParams({ filter_id: JSON.stringify(Array.from({ length: 200 }, (_, n) => n * 10)) }))
  const query = new URLSearchParams('page_size=30')
  const seen: unknown[] = []
  for (let next: unknown = ''; next !== undefined; ) {
    const { data, beside } = await pageOf(source, query, tens)
    seen.push(...(data as { id: string }[]).map(({ id }) => id))
    next = beside?.['next_start_key']
    query.set('start_key', String(next))
  }
  t.deepEqual(
    seen,
    Array.from({ length: 200 }, (_, n) => String(n * 10)),
  )
})

test('paginate=false is everything up to the documented number of rows', async t => {
  const all = await pageOf(counted(1200).source, new URLSearchParams('paginate=false'), undefined)
  t.is((all.data as object[]).length, 1200)
  t.is(all.beside?.['next_start_key'], undefined)
  const most = await pageOf(counted(MOST_ROWS + 5).source, new URLSearchParams('paginate=false'), undefined)
  t.is((most.data as object[]).length, MOST_ROWS)
  t.is(decoded(most.beside?.['next_start_key']), MOST_ROWS)
  const large = await pageOf(counted(5000).source, new URLSearchParams('page_size=4000'), undefined)
  t.is((large.data as object[]).length, 1000)
})

test('everything at once ends where it would be too much to hold, and says where to go on', async t => {
  const { source } = counted(5000)
  const large = { ...source, summary: (row: Row) => ({ id: row.id, text: 'x'.repeat(100_000) }) }
  const { data, beside } = await pageOf(large, new URLSearchParams('paginate=false'), undefined)
  t.is((data as object[]).length, 640)
  t.is(decoded(beside?.['next_start_key']), 640)
})

test('every list of the account takes filters, turns around, and pages on while documents are added', async t => {
  const { ask, at, store, id } = await tenant(t)
  for (const name of ['b', 'd', 'f']) await ask('PUT', `${at}/devices`, { name, enabled: name !== 'd', sip: { username: `${name}-phone` } })
  const list = (query: string): Promise<Answered> => ask('GET', `${at}/devices?${query}`)
  t.deepEqual(names(await list('filter_enabled=true')), ['b', 'f'])
  t.deepEqual(names(await list('filter_not_sip.username=["b-phone","d-phone"]')), ['f'])
  for (const turned of ['descending=true', 'ascending=false']) t.deepEqual(names(await list(turned)), ['f', 'd', 'b'], turned)
  t.deepEqual(names(await list('descending=true&ascending=true')), ['b', 'd', 'f'])
  const first = await list('descending=true&page_size=1')
  await ask('PUT', `${at}/devices`, { name: 'g' })
  await ask('PUT', `${at}/devices`, { name: 'c' })
  t.deepEqual(names(await list(`descending=true&page_size=2&start_key=${first.body.next_start_key}`)), ['d', 'c'])
  const now = toGregorian(Date.now())
  t.deepEqual(names(await list(`created_from=${now - 60}&created_to=${now + 60}`)), ['b', 'c', 'd', 'f', 'g'])
  t.deepEqual(names(await list(`modified_from=${now + 60}`)), [])
  t.is((await list('created_from=soon')).status, 400)

  await ask('PUT', `${at}/users`, { first_name: 'A', last_name: 'B', timezone: 'Europe/Berlin' })
  const users = (await ask('GET', `${at}/users?filter_timezone=Europe/Berlin`)).body.data as unknown as object[]
  t.is(users.length, 1)
  await ask('PUT', `${at}/callflows`, { name: 'in', numbers: ['2001'], flow: { module: 'answer' } })
  t.deepEqual(names(await ask('GET', `${at}/callflows?filter_numbers=2001&filter_flow.module=answer`)), ['in'])
  await ask('PUT', `${at}/phone_numbers/+49301234567`, { name: 'reception' })
  t.like((await ask('GET', `${at}/phone_numbers?filter_name=reception`)).body.data, { numbers: { '+49301234567': { name: 'reception' } } })
  t.deepEqual((await ask('GET', `${at}/phone_numbers?filter_name=else`)).body.data['numbers'], {})
  t.truthy(await store.get(accountDb(id), (users[0] as { id: string }).id))
})

test('a user has a list of his devices, whose keys lead to nobody else’s', async t => {
  const { ask, at } = await tenant(t)
  const user = async (first_name: string): Promise<string> => (await ask<{ id: string }>('PUT', `${at}/users`, { first_name, last_name: 'B' })).body.data.id
  const [alice, bob] = [await user('Alice'), await user('Bob')]
  for (const name of ['a', 'b', 'c']) await ask('PUT', `${at}/devices`, { name, owner_id: alice, flags: [name], sip: { username: `${name}-phone` } })
  await ask('PUT', `${at}/devices`, { name: 'his', owner_id: bob })
  const first = await ask<object[]>('GET', `${at}/users/${alice}/devices?page_size=2`)
  const all = await ask<object[]>('GET', `${at}/devices?filter_owner_id=${alice}`)
  const rest = await ask<object[]>('GET', `${at}/users/${alice}/devices?start_key=${first.body.next_start_key}`)
  t.is(rest.body.next_start_key, undefined)
  const byName = (rows: object[]): object[] => rows.sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)))
  t.deepEqual(byName([...first.body.data, ...rest.body.data]), byName(all.body.data))
  const turned = await ask<object[]>('GET', `${at}/users/${alice}/devices?descending=true&page_size=2`)
  t.is((await ask<object[]>('GET', `${at}/users/${alice}/devices?descending=true&start_key=${turned.body.next_start_key}`)).body.data.length, 1)
  t.deepEqual(
    names(await ask('GET', `${at}/users/${bob}/devices?start_key=${first.body.next_start_key}`)).filter(name => name !== 'his'),
    [],
  )
  t.deepEqual(names(await ask('GET', `${at}/users/${alice}/devices?filter_flags=b`)), ['b'])
  t.is((await ask('GET', `${at}/users/${'0'.repeat(32)}/devices`)).status, 404)
})

test('a start_key that was made up is a 404 or a page, however it is nested', async t => {
  const { ask, at, lines } = await tenant(t)
  const nested = (depth: number): string => `${'['.repeat(depth)}"x"${']'.repeat(depth)}`
  for (const key of [
    '[null,""]',
    `[${nested(5000)},"x"]`,
    `[${nested(100)},"x"]`,
    '[{"a":{}},"_x"]',
    '["\\ud800","\\u0000"]',
    '[1e308,"x"]',
    '{',
    '7',
    `[["${'x'.repeat(5000)}"],"x"]`,
  ]) {
    for (const list of ['users', 'devices', 'children', 'recordings', 'phone_numbers']) {
      const { status } = await ask('GET', `${at}/${list}?start_key=${Buffer.from(key).toString('base64url')}`)
      t.true(status === 200 || status === 404, `${list} ${key.slice(0, 40)} ${status}`)
    }
  }
  t.deepEqual(
    lines.filter(({ level }) => level === 'error'),
    [],
  )
})

test('a filter asks nothing that the client may not see', async t => {
  const { ask, url, at, id } = await tenant(t)
  const alice = await ask<{ id: string }>('PUT', `${at}/users`, { first_name: 'A', last_name: 'B', username: 'alice', password: 'p' })
  await ask('PUT', `${at}/devices`, { name: 'hers', owner_id: alice.body.data.id, sip: { password: 'secret1' } })
  await ask('PUT', `${at}/devices`, { name: 'his', sip: { password: 'secret2' } })
  const { token } = await asker(url)('PUT', '/v2/user_auth', { credentials: digest('md5', 'alice', 'p'), account_name: 'acme' }).then(({ body }) => ({
    token: body.auth_token,
  }))
  t.deepEqual(names(await ask('GET', `${at}/devices?has_key=sip.password`)), ['hers', 'his'])
  t.deepEqual(names(await ask('GET', `${at}/devices?has_key=sip.password`, undefined, { token })), ['hers'])
  t.deepEqual(names(await ask('GET', `${at}/devices?filter_sip.password=secret2`, undefined, { token })), [])
  await ask('PUT', `${at}/webhooks`, { name: 'crm', hook: 'all', uri: 'https://u:secret@crm.example/' })
  const uri = async (text: string, asking = {}): Promise<unknown[]> => names(await ask('GET', `${at}/webhooks?filter_uri=${text}`, undefined, asking))
  t.deepEqual(await uri('https://u:secret@crm.example/'), ['crm'])
  t.deepEqual(await uri('https://u:secret@crm.example/', { token }), [])
  t.deepEqual(await uri('https://***@crm.example/', { token }), ['crm'])
  for (const hidden of ['has_key=pvt_type', `filter_pvt_account_id=${id}`, 'has_value=_rev'])
    t.deepEqual(names(await ask('GET', `${at}/devices?${hidden}`)), [])
})
