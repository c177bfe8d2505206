import test, { type ExecutionContext } from 'ava'
import { digest } from '../../src/api/rights/credentials.ts'
import { AppError } from '../../src/errors.ts'
import { anAccount, type Ask, asker, world } from '../helpers/api.ts'
import { aLeg } from '../helpers/legs.ts'

const LEG = '11111111-aaaa'

/** An account with a leg of Alice's that talks, and how she asks. */
async function talking(t: ExecutionContext) {
  const made = await world(t)
  const { ask, legs, url } = made
  const id = await anAccount(made, { name: 'acme' })
  const at = `/v2/accounts/${id}`
  const alice = await ask<{ id: string }>('PUT', `${at}/users`, { first_name: 'Al', last_name: 'Ice', username: 'alice', password: 'p' })
  const device = await ask<{ id: string }>('PUT', `${at}/devices`, { name: 'hers', owner_id: alice.body.data.id, sip: { username: 'alice-phone' } })
  legs.push(aLeg(LEG, { otherLeg: '22222222-bbbb', variables: { callrec_account_id: id, callrec_device_id: device.body.data.id } }))
  legs.push(aLeg('33333333-cccc', { variables: { callrec_account_id: id } }), aLeg('44444444-dddd', { variables: { callrec_account_id: 'f'.repeat(32) } }))
  const { body } = await asker(url)('PUT', '/v2/user_auth', { credentials: digest('md5', 'alice', 'p'), account_name: 'acme' })
  const asAlice: Ask = (method, path, data, asking = {}) => asker(url)(method, path, data, { token: body.auth_token, ...asking })
  const act = (data: object, uuid = LEG, as: Ask = ask) => as('POST', `${at}/channels/${uuid}`, data)
  return { ...made, id, at, act, asAlice, alice: alice.body.data.id, device: device.body.data.id }
}

test('a recording is controlled by POST, with its settings, and answered with its state', async t => {
  const { act, controlled, id } = await talking(t)
  const started = await act({ action: 'record', data: { action: 'start', time_limit: 60, format: 'wav' } })
  t.like(started, { status: 200, body: { data: { action: 'start', recordings: [{ id: 'r1', state: 'recording' }] } } })
  t.deepEqual(controlled, [{ accountId: id, leg: LEG, action: 'start', settings: { time_limit: 60, format: 'wav' }, by: 'api' }])
  for (const action of ['stop', 'mask', 'unmask', 'pause', 'resume'])
    t.like(await act({ action: 'record', data: { action } }), { status: 200, body: { data: { action } } })
  t.like(await act({ action: 'record' }), { status: 200, body: { data: { action: 'start' } } }, 'without an action it toggles, as in Kazoo')
})

test("Kazoo's PUT of a metaflow does the same, under users and devices too", async t => {
  const { ask, at, alice, device, controlled } = await talking(t)
  const raw = JSON.stringify({ action: 'metaflow', data: { module: 'record_call', data: { action: 'mask' } } })
  for (const path of [`${at}/channels/${LEG}`, `${at}/users/${alice}/channels/${LEG}`, `${at}/devices/${device}/channels/${LEG}`]) {
    t.like(await ask('PUT', path, undefined, { raw, headers: { 'content-type': 'application/json' } }), { status: 200, body: { data: { action: 'mask' } } })
  }
  t.is(controlled.length, 3)
  const other = raw.replace('"metaflow"', '"teleport"')
  t.like(await ask('PUT', `${at}/channels/${LEG}`, undefined, { raw: other, headers: { 'content-type': 'application/json' } }), { status: 400 })
  t.like(await ask('PUT', `${at}/channels/${LEG}`, { module: 'teleport' }), { status: 400 })
  t.like(await ask('PUT', `${at}/channels/${LEG}`, { module: 'record_call', data: { action: 'explode' } }), { status: 400 })
})

test("Kazoo's play of a tone is told to the leg, to both where nobody says to whom, and what cannot be played is refused by its field", async t => {
  const { ask, at, controlled } = await talking(t)
  const play = (data: object) => ask('PUT', `${at}/channels/${LEG}`, { module: 'play', data })
  const id = 'tone_stream://%(300,0,880)'
  t.like(await play({ id }), { status: 200, body: { data: 'play initiated' } })
  t.like(await play({ id, leg: 'peer' }), { status: 200 })
  t.deepEqual(controlled, [
    { play: LEG, media: id, to: 'both' },
    { play: LEG, media: id, to: 'peer' },
  ])
  t.deepEqual(Object.keys((await play({ id: 'tone_stream://${system(ls)}' })).body.data), ['data.id'])
  t.is((await play({})).status, 400)
  t.is(controlled.length, 2)
})

test('a leg is hung up, sent to a number, or into a callflow that has one', async t => {
  const { act, ask, at, controlled } = await talking(t)
  const flow = { module: 'hangup', data: {}, children: {} }
  const callflow = await ask<{ id: string }>('PUT', `${at}/callflows`, { name: 'desk', numbers: ['4001'], flow })
  const hidden = await ask<{ id: string }>('PUT', `${at}/callflows`, { name: 'part', numbers: [], flow })
  t.like(await act({ action: 'transfer', target: '2002' }), { status: 200, body: { data: 'transfer initiated' } })
  t.like(await act({ action: 'callflow', id: callflow.body.data.id }), { status: 200, body: { data: 'callflow initiated' } })
  t.like(await act({ action: 'hangup' }), { status: 200, body: { data: 'hangup initiated' } })
  t.deepEqual(controlled, [{ transfer: LEG, target: '2002' }, { transfer: LEG, target: '4001' }, { hangup: LEG }])
  for (const id of [hidden.body.data?.id ?? 'f'.repeat(32), 'f'.repeat(32)]) t.deepEqual(Object.keys((await act({ action: 'callflow', id })).body.data), ['id'])
})

test('what is not possible is told by its field', async t => {
  const { act } = await talking(t)
  const paths = async (data: object, uuid = LEG) => {
    const { status, body } = await act(data, uuid)
    return [status, ...Object.keys(body.data)]
  }
  t.deepEqual(await paths({}), [400, 'action'])
  t.deepEqual(await paths({ action: 'teleport' }), [400, 'action'])
  t.deepEqual(await paths({ action: 'transfer' }), [400, 'target'])
  t.deepEqual(await paths({ action: 'transfer', target: '2002; system' }), [400, 'target'])
  t.deepEqual(await paths({ action: 'transfer', target: '2002' }, '33333333-cccc'), [400, 'other_leg_call_id'])
  t.deepEqual(await paths({ action: 'callflow' }), [400, 'id'])
  t.deepEqual(await paths({ action: 'record', data: { action: 'explode', time_limit: 1 } }), [400, 'data.action', 'data.time_limit'])
})

test('to hide what is recorded here the switch is not asked first for its leg; for all else, and below a user, it is', async t => {
  const { act, ask, at, alice, controlled, recordedLegs, id, state } = await talking(t)
  const GONE = '66666666-ffff'
  recordedLegs.set(GONE, id)
  for (const action of ['mask', 'pause']) t.is((await act({ action: 'record', data: { action } }, GONE)).status, 200)
  t.is((await ask('PUT', `${at}/channels/${GONE}`, { module: 'record_call', data: { action: 'mask' } })).status, 200)
  t.is(controlled.length, 3)
  for (const action of ['unmask', 'resume', 'stop']) t.is((await act({ action: 'record', data: { action } }, GONE)).status, 404)
  t.is((await ask('POST', `${at}/users/${alice}/channels/${GONE}`, { action: 'record', data: { action: 'mask' } })).status, 404)
  recordedLegs.set('44444444-dddd', 'f'.repeat(32))
  t.is((await act({ action: 'record', data: { action: 'mask' } }, '44444444-dddd')).status, 404, 'another account’s')
  state.now = 'down'
  t.is((await act({ action: 'record', data: { action: 'mask' } }, GONE)).status, 200)
})

test("a leg that is not there, or another account's, is 404", async t => {
  const { act, ask, at, controlled } = await talking(t)
  for (const uuid of ['44444444-dddd', '55555555-eeee']) {
    t.is((await act({ action: 'record', data: { action: 'mask' } }, uuid)).status, 404)
    t.is((await ask('PUT', `${at}/channels/${uuid}`, { module: 'record_call' })).status, 404)
  }
  t.deepEqual(controlled, [])
})

test('a leg whose switch another engine drives is 503 with the reason, whatever is asked of it; others stay 404', async t => {
  const { act, ask, at, controlled, state } = await talking(t)
  state.now = 'standby'
  const mask = { action: 'record', data: { action: 'mask' } }
  t.like(await act(mask), { status: 503, body: { message: 'switch_down', data: { node: 'fs1' } } })
  t.is((await ask('GET', `${at}/channels/${LEG}`)).status, 503)
  t.is((await ask('PUT', `${at}/channels/${LEG}`, { module: 'hangup' })).status, 503)
  t.is((await act(mask, '44444444-dddd')).status, 404, 'another account’s')
  t.is((await act(mask, '55555555-eeee')).status, 404)
  t.deepEqual(controlled, [])
})

test('a refusal names the state, and the switch that does not confirm is said so', async t => {
  const { act, uncontrollable } = await talking(t)
  uncontrollable.with = new AppError('wrong_state', 'Cannot start recording when recording is already started', { state: 'recording' })
  t.like(await act({ action: 'record', data: { action: 'start' } }), {
    status: 409,
    body: { message: 'wrong_state', data: { state: 'recording', message: 'Cannot start recording when recording is already started' } },
  })
  uncontrollable.with = new AppError('switch_timeout', 'no answer')
  t.is((await act({ action: 'record', data: { action: 'mask' } })).status, 504)
  uncontrollable.with = new AppError('leg_gone', 'hung up')
  t.is((await act({ action: 'hangup' })).status, 404)
})

test('a user ends his own calls, and hides them from the recording only where his account lets him', async t => {
  const { act, ask, at, asAlice, controlled, alice } = await talking(t)
  const mask = { action: 'record', data: { action: 'mask' } }
  t.is((await act(mask, LEG, asAlice)).status, 403)
  t.is((await asAlice('PUT', `${at}/channels/${LEG}`, { module: 'record_call', data: { action: 'mask' } })).status, 403)
  t.is((await act({ action: 'hangup' }, '33333333-cccc', asAlice)).status, 403)
  t.is((await act({ action: 'hangup' }, LEG, asAlice)).status, 200)
  await ask('PATCH', at, { allow_user_recording_settings: true })
  t.is((await act(mask, LEG, asAlice)).status, 200)
  t.like(controlled.at(-1), { action: 'mask', by: `api ${alice}` })
})

test('servers that cannot be had are told in the words of the troubleshooting table; an expression is none, for nobody fills it in', async t => {
  const { act, ask, at, uncontrollable } = await talking(t)
  uncontrollable.with = new AppError('validation error', 'startCallRecording request is missing X-Srs-Url header', { recording_id: 'r9' })
  const told = { 'data.server': { error: { message: 'startCallRecording request is missing X-Srs-Url header', cause: 'r9' } } }
  const start = { activity: 'start' }
  t.like(await act({ action: 'siprec_recording', data: start }), { status: 400, body: { data: told } })
  t.like(await ask('PUT', `${at}/channels/${LEG}`, { module: 'siprec_recording', data: start }), { status: 400, body: { data: told } })

  const server = 'sip:{{call.destination}}.example'
  const message = `"${server}" is not a SIP URI: it has an expression that was not filled in`
  t.deepEqual((await act({ action: 'siprec_recording', data: { ...start, server } })).body.data, { 'data.server': { error: { message, value: server } } })
  const step = { module: 'siprec_recording', data: { ...start, server } }
  t.like((await ask('PUT', `${at}/channels/${LEG}`, step)).body.data, { 'data.server': { error: { message } } })
  t.like((await ask('PATCH', at, { metaflows: { numbers: { '5': step } } })).body.data, { 'metaflows.numbers.5.data.server': { error: { message } } })
  t.like((await ask('PATCH', at, { record_call: { siprec_server: server } })).body.data, { 'record_call.siprec_server': { error: { message } } })
})

test('recording servers are controlled by POST, and a list that is none is refused in its words', async t => {
  const { act, controlled, id } = await talking(t)
  const data = { activity: 'start', server: 'sip:srs.example.com', recording_id: 'r7' }
  t.like(await act({ action: 'siprec_recording', data }), { status: 200, body: { data: { recordings: [{ kind: 'siprec' }] } } })
  t.deepEqual(controlled, [{ siprec: LEG, accountId: id, data: { ...data, mode: 'separate', required: false }, by: 'api' }])
  t.like(await act({ action: 'siprec_recording', data: { activity: 'explode' } }), { status: 400 })
  const { status, body } = await act({ action: 'siprec_recording', data: { activity: 'start', server: 'wss://srs.example.com' } })
  t.is(status, 400)
  t.deepEqual(body.data, {
    'data.server': {
      error: {
        message: '"wss://srs.example.com" is not a SIP URI: WebSocket URLs are not supported, write sip: or sips:',
        value: 'wss://srs.example.com',
      },
    },
  } as never)
})
