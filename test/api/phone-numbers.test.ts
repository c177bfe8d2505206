import test, { type ExecutionContext } from 'ava'
import { NUMBERS } from '../../src/api/rights/databases.ts'
import { anAccount, type Answered, world, type World } from '../helpers/api.ts'

interface Numbers {
  cascade_quantity: number
  numbers: Record<string, Record<string, unknown>>
}

async function tenants(t: ExecutionContext): Promise<World & { id: string; at: string; other: string }> {
  const made = await world(t)
  const [id, other] = [await anAccount(made), await anAccount(made)]
  return { ...made, id, at: `/v2/accounts/${id}/phone_numbers`, other: `/v2/accounts/${other}/phone_numbers` }
}

const numbersOf = ({ body }: Answered<Numbers>): string[] => Object.keys(body.data.numbers)

test('a number is claimed, read, named, listed and released', async t => {
  const { ask, at, id, store } = await tenants(t)
  const claimed = await ask('PUT', `${at}/0049301234567`)
  t.is(claimed.status, 201)
  t.is(claimed.headers.get('location'), `${at}/%2B49301234567`)
  t.like(claimed.body.data, { id: '+49301234567', state: 'in_service' })
  t.like(await store.get(NUMBERS, '+49301234567'), { pvt_type: 'number', pvt_account_id: id })

  const one = `${at}/%2B49301234567`
  t.like(await ask('PATCH', one, { name: 'front desk' }), { status: 200, body: { data: { id: '+49301234567', name: 'front desk' } } })
  const read = await ask('GET', `${at}/+49301234567`)
  t.like(read.body.data, { id: '+49301234567', name: 'front desk', state: 'in_service', _read_only: { state: 'in_service' } })
  t.like(await ask('PATCH', one, { name: 7 }), { status: 400, body: { data: { name: { type: { target: 'string' } } } } })
  const back = await ask('POST', one, { ...read.body.data, name: 'reception' })
  t.is(back.status, 200)
  t.is((await store.get(NUMBERS, '+49301234567'))?.['state'], undefined, 'what is sent back as it was read is no field of the document')

  const listed = await ask<Numbers>('GET', at)
  t.like(listed.body.data, { cascade_quantity: 0, numbers: { '+49301234567': { assigned_to: id, state: 'in_service', name: 'reception' } } })
  t.like(await ask('DELETE', one), { status: 200, body: { data: { id: '+49301234567', _read_only: { deleted: true } } } })
  t.is((await ask('GET', one)).status, 404)
  t.deepEqual(numbersOf(await ask<Numbers>('GET', at)), [])
  t.is((await ask('PUT', one)).status, 201)
})

test('nobody can claim a number that somebody holds, in whatever form he writes it', async t => {
  const { ask, at, other, store } = await tenants(t)
  await ask('PUT', `${at}/+49301234567`, { name: 'mine' })
  for (const where of [other, at])
    t.like(await ask('PUT', `${where}/0049301234567`, { name: 'stolen' }), {
      status: 409,
      body: {
        error: '409',
        message: 'number_exists',
        data: { code: 409, error: 'number_exists', cause: '+49301234567', message: 'number +49301234567 already exists' },
      },
    })
  t.is((await store.get(NUMBERS, '+49301234567'))?.['name'], 'mine')
})

test('of two accounts that claim a number at once one gets it and the other is told', async t => {
  const { ask, at, other } = await tenants(t)
  const statuses = (await Promise.all([at, other].map(where => ask('PUT', `${where}/+49301234567`)))).map(({ status }) => status)
  t.deepEqual(
    statuses.sort((a, b) => a - b),
    [201, 409],
  )
})

test('an account neither sees nor changes another’s numbers', async t => {
  const { ask, at, other } = await tenants(t)
  await ask('PUT', `${at}/+49301234567`)
  await ask('PUT', `${other}/+49301234568`)
  for (const [method, data] of [['GET'], ['PATCH', { name: 'x' }], ['POST', { name: 'x' }], ['DELETE']] as const)
    t.like(await ask(method, `${other}/+49301234567`, data), { status: 404, body: { message: 'bad_identifier' } }, method)
  t.deepEqual(numbersOf(await ask<Numbers>('GET', other)), ['+49301234568'])
  const start = Buffer.from(JSON.stringify(['x', '+49301234567'])).toString('base64url')
  t.is((await ask('GET', `${other}?start_key=${start}`)).status, 404)
})

test('a number that is not international is refused with how to write it', async t => {
  const { ask, at } = await tenants(t)
  for (const number of ['0301234567', '49301234567', '110', '+030123456'])
    t.like(await ask('PUT', `${at}/${number}`), { status: 400, body: { message: 'validation error', data: { number: { pattern: { value: number } } } } })
  t.is((await ask('GET', `${at}/110`)).status, 404)
  t.is((await ask('PUT', `${at}/anna`)).status, 404)
})

test('a list comes in pages', async t => {
  const { ask, at } = await tenants(t)
  const all = ['+49301234561', '+49301234562', '+49301234563']
  for (const number of all) await ask('PUT', `${at}/${number}`)
  const first = await ask<Numbers>('GET', `${at}?page_size=2`)
  t.deepEqual(numbersOf(first), all.slice(0, 2))
  const second = await ask<Numbers>('GET', `${at}?page_size=2&start_key=${first.body.next_start_key}`)
  t.deepEqual(numbersOf(second), all.slice(2))
  t.is(second.body.next_start_key, undefined)
  t.deepEqual(numbersOf(await ask<Numbers>('GET', `${at}?paginate=false`)), all)
})

test('a number is changed at the revision that was read, and at no other', async t => {
  const { ask, at, store } = await tenants(t)
  const { body } = await ask('PUT', `${at}/+49301234567`)
  const stale = { headers: { 'if-match': '"1-00000000000000000000000000000000"' } }
  t.is((await ask('DELETE', `${at}/+49301234567`, undefined, stale)).status, 412)
  t.truthy(await store.get(NUMBERS, '+49301234567'))
  t.is((await ask('DELETE', `${at}/+49301234567`, undefined, { headers: { 'if-match': `"${body.revision}"` } })).status, 200)
})

test('the numbers of a deleted account are free for others', async t => {
  const { ask, at, id, other } = await tenants(t)
  await ask('PUT', `${at}/+49301234567`)
  t.is((await ask('DELETE', `/v2/accounts/${id}`)).status, 200)
  t.is((await ask('PUT', `${other}/+49301234567`)).status, 201)
  t.deepEqual(numbersOf(await ask<Numbers>('GET', other)), ['+49301234567'])
})
