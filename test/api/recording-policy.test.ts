import test, { type ExecutionContext } from 'ava'
import { digest } from '../../src/api/rights/credentials.ts'
import { anAccount, type Answered, asker, world } from '../helpers/api.ts'

interface Decided {
  leg: string
  by: string
  origin: string
  why: string
  when: string
  device_id?: string
  owner_id?: string
  joins?: string
  settings: Record<string, { value: unknown; from: string }>
}

interface Policy {
  from: string
  to: string
  why?: string
  calls: {
    device_id?: string
    owner_id?: string
    caller_id_number?: string
    from?: string
    to?: string
    callflow_id?: string
    refused?: string
    open_from?: string
    recordings: Decided[]
    not_recorded: Decided[]
  }[]
}

interface Id {
  id: string
}

async function tenant(t: ExecutionContext) {
  const made = await world(t)
  const account = await anAccount(made, { name: 'Acme', realm: 'acme.example' })
  const at = `/v2/accounts/${account}`
  const put = async (path: string, fields: object): Promise<string> => (await made.ask<Id>('PUT', `${at}/${path}`, fields)).body.data.id
  const person = async (name: string, fields: object = {}) => {
    const user = await put('users', { first_name: name, last_name: 'A', ...fields })
    return { user, phone: await put('devices', { name, owner_id: user, sip: { username: name, password: 'a-secret-of-tests' } }) }
  }
  const policy = (from: string, to: string): Promise<Answered<Policy>> =>
    made.ask<Policy>('GET', `${at}/recording_policy?from=${encodeURIComponent(from)}&to=${encodeURIComponent(to)}`)
  return { ...made, account, at, put, person, policy }
}

test('a call between two phones is decided for both sides, with value and layer of each setting, and why', async t => {
  const { person, policy, ask, at } = await tenant(t)
  const [alice, bob] = [await person('alice'), await person('bob', { record_call: { format: 'wav', record_min_sec: 3 } })]
  await ask('PATCH', at, { record_call: { enabled: false, url: 'https://records.example/' } })
  const { status, body } = await policy(alice.phone, bob.phone)
  t.is(status, 200)
  t.is(body.data.calls.length, 1)
  const [call] = body.data.calls
  t.like(call, { device_id: alice.phone, owner_id: alice.user, from: 'onnet', to: 'onnet', callflow_id: undefined })
  t.like(call?.recordings, [
    {
      leg: 'callee',
      by: 'policy',
      origin: 'inbound from onnet to endpoint',
      device_id: bob.phone,
      owner_id: bob.user,
      when: 'when this phone answers',
      why: 'inbound onnet calls are recorded: yes, says user',
      settings: { enabled: { value: true, from: 'user' }, format: { value: 'wav', from: 'user' }, url: { value: 'https://records.example/', from: 'account' } },
    },
  ])
  t.deepEqual(
    call?.not_recorded.map(({ leg, why, when }) => [leg, why, when]),
    [
      ['caller', "the account's own policy says nothing of calls that come from onnet, and says nothing of calls that go to onnet", 'never'],
      ['caller', 'outbound onnet calls are recorded: no, says account', 'never'],
    ],
  )
})

test('a user calls from each of his phones, and rings all of them', async t => {
  const { person, policy, put } = await tenant(t)
  const [alice, bob] = [await person('alice'), await person('bob', { record_call: true })]
  const mobile = await put('devices', { name: 'mobile', owner_id: bob.user, record_call: false, sip: { username: 'mobile', password: 'a-secret-of-tests' } })
  const out = (await policy(bob.user, alice.user)).body.data.calls
  const recorded = (device: string) => out.find(({ device_id }) => device_id === device)?.recordings.length
  t.deepEqual([out.length, recorded(bob.phone), recorded(mobile)], [2, 1, 0])
  const [call] = (await policy(alice.user, bob.user)).body.data.calls
  t.deepEqual(
    call?.recordings.map(({ device_id }) => device_id),
    [bob.phone],
  )
  t.true(call?.not_recorded.some(({ device_id, why }) => device_id === mobile && why.endsWith('no, says device')))
  const nobody = await put('users', { first_name: 'No', last_name: 'Phone' })
  t.like((await policy(nobody, bob.user)).body.data, { calls: [], why: 'the user has no phone to call from' })
})

test('a number is decided as its callflow would have it, inside, from outside and to the outside', async t => {
  const { person, policy, put, ask, at } = await tenant(t)
  const [alice, bob] = [await person('alice'), await person('bob')]
  const record: object = { module: 'record_call', data: { action: 'start', label: 'desk' }, children: { _: { module: 'user', data: { id: bob.user } } } }
  const callflow = await put('callflows', { name: 'Main', numbers: ['2002', '4930123456'], flow: record })
  await put('callflows', { numbers: ['no_match'], flow: { module: 'play', data: { id: 'tone_stream://%(100,0,440)' } } })
  await put('phone_numbers/+4930123456', {})
  await ask('PATCH', at, { call_recording: { account: { any: { any: { enabled: true } } } } })

  const [inside] = (await policy(alice.phone, '2002')).body.data.calls
  t.like(inside, { from: 'onnet', to: 'onnet', callflow_id: callflow })
  t.deepEqual(
    inside?.recordings.map(({ by, origin, when }) => [by, origin, when]),
    [
      ['policy', 'inbound from onnet to account', 'when the call is answered'],
      ['action', 'callflow : desk', 'when the call comes to this action'],
    ],
  )
  // A plus that nobody encoded is a space by the time it arrives.
  const plain = await ask<Policy>('GET', `${at}/recording_policy?from=+491701234567&to=+4930123456`)
  t.like(plain.body.data, { from: '+491701234567', to: '+4930123456' })
  t.like(plain.body.data.calls[0], { caller_id_number: '+491701234567', from: 'offnet', to: 'onnet', callflow_id: callflow })
  t.is(plain.body.data.calls[0]?.recordings[0]?.origin, 'inbound from offnet to account')
  t.like((await policy(alice.phone, '+4940999999')).body.data.calls[0], { from: 'onnet', to: 'offnet' })
})

test('a call that would be refused has no recordings and says why', async t => {
  const { person, policy, ask, at, put } = await tenant(t)
  const alice = await person('alice')
  const other = await anAccount({ ask } as never)
  await ask('PUT', `/v2/accounts/${other}/phone_numbers/+4930999999`, {})
  await ask('PUT', `/v2/accounts/${other}/callflows`, { numbers: ['+4930999999'], flow: { module: 'hangup', data: {} } })
  const refused = async (from: string, to: string) => (await policy(from, to)).body.data.calls.map(call => [call.refused, call.recordings.length])
  t.deepEqual(await refused(alice.phone, '4711'), [['no callflow has this number', 0]])
  t.deepEqual(await refused('+491701234567', '+4930111111'), [['no account has claimed this number', 0]])
  t.deepEqual(await refused('+491701234567', '+4930999999'), [['the account has not claimed this number', 0]])
  const off = await put('devices', { name: 'off', enabled: false, sip: { username: 'off', password: 'a-secret-of-tests' } })
  t.deepEqual(await refused(off, alice.user), [['the device is disabled', 0]])
  await ask('PATCH', at, { enabled: false })
  t.deepEqual(await refused(alice.phone, alice.phone), [['the account is disabled', 0]])
})

test('missing and senseless parameters are named, and an id that is not there is not found', async t => {
  const { person, policy, ask, at } = await tenant(t)
  const alice = await person('alice')
  t.like(await ask('GET', `${at}/recording_policy`), {
    status: 400,
    body: {
      message: 'validation error',
      data: { from: { required: { message: 'Field is required but missing' } }, to: { required: { message: 'Field is required but missing' } } },
    },
  })
  t.like(await policy('nobody at all', '2002'), { status: 400, body: { data: { from: { pattern: { value: 'nobody at all' } } } } } as never)
  t.is((await policy('0'.repeat(32), '2002')).status, 404)
  t.is((await policy(alice.phone, '0'.repeat(32))).status, 404)
  const elsewhere = await anAccount({ ask } as never)
  t.is((await ask('GET', `/v2/accounts/${elsewhere}/recording_policy?from=${alice.phone}&to=2002`)).status, 404)
})

test('what is recorded of others is for admins alone', async t => {
  const { url, person, at } = await tenant(t)
  await person('alice', { username: 'alice', password: 'secret', priv_level: 'user' })
  const open = asker(url)
  const { body } = await open('PUT', '/v2/user_auth', { credentials: digest('md5', 'alice', 'secret'), account_realm: 'acme.example' })
  t.is((await open('GET', `${at}/recording_policy?from=1&to=2`, undefined, { token: body.auth_token })).status, 403)
})
