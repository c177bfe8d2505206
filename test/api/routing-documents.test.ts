// Documents that callflows refer to: groups, and what else an account has of its own beside people and phones.

import test from 'ava'
import { anAccount, world } from '../helpers/api.ts'

const BOB = '3'.repeat(32)

test('a group is made, listed, merged and put away, and refuses members of an unknown kind', async t => {
  const made = await world(t)
  const at = `/v2/accounts/${await anAccount(made)}/groups`
  const { ask } = made
  const { status, body } = await ask<{ id: string }>('PUT', at, { name: 'Team', endpoints: { [BOB]: { type: 'user' } } })
  t.is(status, 201)
  const one = `${at}/${body.data.id}`
  t.like((await ask('PATCH', one, { endpoints: { [BOB]: { delay: 3 } } })).body.data, { endpoints: { [BOB]: { type: 'user', delay: 3 } } })
  t.deepEqual((await ask('GET', at)).body.data as unknown, [{ id: body.data.id, name: 'Team', endpoints: 1, flags: [] }])
  t.like(await ask('PATCH', one, { endpoints: { [BOB]: { type: 'robot' } } }), { status: 400 })
  t.is((await ask('DELETE', one)).status, 200)
  t.is((await ask('GET', one)).status, 404)
})

test('trunks are changed by an account above, never by the account that spends the operator’s money', async t => {
  const made = await world(t)
  const id = await anAccount(made)
  const at = `/v2/accounts/${id}/resources`
  const { ask } = made
  const trunk = { name: 'Carrier', gateways: [{ gateway: 'trunk', prefix: '0' }], rules: ['^\\+49(\\d+)$'] }
  const { status, body } = await ask<{ id: string }>('PUT', at, trunk)
  t.is(status, 201)
  t.like(body.data, { enabled: true, weight_cost: 50 })
  const one = `${at}/${body.data.id}`
  const key = (await ask<{ pvt_api_key: string }>('GET', `/v2/accounts/${id}`)).body
  t.truthy(key)
  const own = (await made.store.get('accounts', id))?.['pvt_api_key']
  const { body: login } = await ask('PUT', '/v2/api_auth', { api_key: own }, { token: undefined })
  const token = login.auth_token ?? ''
  t.is((await ask('GET', one, undefined, { token })).status, 200)
  for (const [method, path] of [
    ['PUT', at],
    ['POST', one],
    ['PATCH', one],
    ['DELETE', one],
  ] as const)
    t.is((await ask(method, path, method === 'DELETE' ? undefined : trunk, { token })).status, 403, method)
  t.like(await ask('PATCH', one, { rules: ['('] }), { status: 400 })
  t.like(await ask('PATCH', one, { gateways: [{ gateway: 'a/b' }] }), { status: 400 })
  t.deepEqual((await ask('GET', at)).body.data as unknown, [{ id: body.data.id, name: 'Carrier', enabled: true, weight_cost: 50, flags: [] }])
  t.is((await ask('PUT', `/v2/accounts/${made.master.accountId}/resources`, trunk)).status, 201)
})

test('a menu is filled in with what it leaves unsaid, and refuses media that is a file and a number that is no expression', async t => {
  const made = await world(t)
  const at = `/v2/accounts/${await anAccount(made)}/menus`
  const { status, body } = await made.ask<{ id: string }>('PUT', at, { name: 'Main', media: { greeting: 'tone_stream://%(200,0,440)' } })
  t.is(status, 201)
  t.like(body.data, { hunt: true, retries: 3, timeout: 10_000, interdigit_timeout: 2000, max_extension_length: 4 })
  const one = `${at}/${body.data.id}`
  t.is((await made.ask('PATCH', one, { media: { greeting: '/etc/passwd' } })).status, 400)
  t.is((await made.ask('PATCH', one, { hunt_allow: '(' })).status, 400)
  t.deepEqual((await made.ask('GET', at)).body.data as unknown, [{ id: body.data.id, name: 'Main', flags: [] }])
})

test('a temporal rule is kept with its defaults, says nothing of being enabled, and refuses a month that is none', async t => {
  const made = await world(t)
  const at = `/v2/accounts/${await anAccount(made)}/temporal_rules`
  const { status, body } = await made.ask<{ id: string }>('PUT', at, { name: 'Office', cycle: 'weekly', wdays: ['monday'] })
  t.is(status, 201)
  t.like(body.data, { interval: 1, ordinal: 'every', time_window_start: 0, time_window_stop: 86_400, enabled: undefined })
  t.is((await made.ask('PATCH', `${at}/${body.data.id}`, { month: 13 })).status, 400)
  t.like((await made.ask('GET', at)).body.data, [{ id: body.data.id, name: 'Office', cycle: 'weekly' }])
})
