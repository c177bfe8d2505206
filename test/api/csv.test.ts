import test from 'ava'
import { csvOf } from '../../src/api/http/csv.ts'
import { monthDb, monthOf, toGregorian } from '../../src/store/modb.ts'
import { tenantWorld } from '../helpers/api.ts'

test('a table has a column for every field of any row, lists in one cell, and quotes what would end a cell', t => {
  const rows = [
    { id: 'a', sip: { username: 'x' }, flags: ['one', 'two'] },
    { id: 'b,"c"', on: true, n: 2, note: 'two\nlines', list: [{ a: 1 }] },
  ]
  t.is(csvOf(rows), 'id,sip.username,flags,on,n,note,list\r\na,x,one two,,,,\r\n"b,""c""",,,true,2,"two\nlines","[{""a"":1}]"\r\n')
  t.is(csvOf([]), '\r\n')
})

test('what a spreadsheet would compute is text in it, and a telephone number stays as it is', t => {
  const names = ['=1+1', '@SUM(A1)', '+cmd|x', '-2+3', '+49 (30) 123-45', '-5', 'a=b']
  t.deepEqual(
    csvOf(names.map(name => ({ name })))
      .split('\r\n')
      .slice(1, -1),
    ["'=1+1", "'@SUM(A1)", "'+cmd|x", "'-2+3", '+49 (30) 123-45', '-5', 'a=b'],
  )
})

test('every list is there as CSV, by the header, the query or its short name, and says where the next page begins', async t => {
  const { ask, at, token } = await tenantWorld(t)
  for (const last_name of ['Adams', 'Baker', 'Clark']) await ask('PUT', `${at}/users`, { first_name: 'A', last_name })
  const csv = { headers: { accept: 'text/csv' } }
  const all = await ask<unknown>('GET', `${at}/users`, undefined, csv)
  t.is(all.status, 200)
  t.is(all.headers.get('content-type'), 'text/csv; charset=utf-8')
  t.is(all.headers.get('content-disposition'), 'attachment; filename="users.csv"')
  t.is(all.headers.get('link'), null)
  const lines = String(all.body.data).split('\r\n')
  t.deepEqual([lines[0]?.split(',').slice(0, 3), lines.length], [['id', 'features', 'first_name'], 5])
  t.is((await ask<unknown>('GET', `${at}/users?accept=csv`)).body.data, all.body.data)

  const page = await ask<unknown>('GET', `${at}/users?accept=text/csv&page_size=2&file_name=people.csv&auth_token=${token}`, undefined, { token: undefined })
  t.is(page.headers.get('content-disposition'), 'attachment; filename="people.csv"')
  const next = /^<(\?[^>]+)>; rel="next"$/.exec(page.headers.get('link') ?? '')?.[1] ?? ''
  t.false(next.includes('auth_token'))
  const rest = await ask<unknown>('GET', `${at}/users${next}`)
  t.regex(String(rest.body.data), /Clark/)
  t.is(rest.headers.get('link'), null)
})

test('recordings are there as CSV with what they are filtered by, and what is no list is not', async t => {
  const { ask, at, account, store } = await tenantWorld(t)
  const now = Date.now()
  const db = monthDb(account, monthOf(now))
  await store.createDatabase(db, 'modb')
  for (const [n, direction] of ['inbound', 'outbound'].entries()) {
    const doc = { pvt_type: 'call_recording', pvt_created: toGregorian(now) - 5, direction, caller_id_name: '=HYPERLINK("x")' }
    await store.put(db, { _id: `${monthOf(now)}-${String(n).repeat(32)}`, ...doc })
  }
  const told = await ask<unknown>('GET', `${at}/recordings?accept=csv&filter_direction=outbound`)
  t.deepEqual(String(told.body.data).split('\r\n').slice(0, 2), [
    'direction,caller_id_name,id,_read_only.content_types',
    `outbound,"'=HYPERLINK(""x"")",${monthOf(now)}-${'1'.repeat(32)},`,
  ])
  for (const path of ['', '/phone_numbers', '/recording_policy']) t.is((await ask('GET', `${at}${path}?accept=csv`)).status, 406, path)
  t.is((await ask('PUT', `${at}/users?accept=csv`, { first_name: 'A', last_name: 'B' })).status, 406)
  t.deepEqual((await ask<unknown>('GET', `${at}/users`)).body.data, [])
})
