import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import { AppError } from '../../src/errors.ts'
import { fromGregorian, monthDb, monthOf, toGregorian } from '../../src/store/modb.ts'
import { anAccount, type Answered, asker, world, type World } from '../helpers/api.ts'
import { digest } from '../../src/api/rights/credentials.ts'
import { publicFields } from '../../src/api/validation/fields.ts'
import { loadSchemas } from '../../src/api/validation/schemas.ts'
import { audioFields } from '../../src/recording/document.ts'
import { recordingOf } from '../../src/recording/new-recording.ts'

interface Tenant extends World {
  account: string
  at: string
}

async function tenant(t: ExecutionContext): Promise<Tenant> {
  const made = await world(t)
  const account = await anAccount(made, { name: 'acme', allow_parent_audio: true })
  return { ...made, account, at: `/v2/accounts/${account}/recordings` }
}

const DAY = 86_400_000
let made = 0

/** As the recorder leaves it; `daysAgo` its start, `audio` what the store was given. */
async function aRecording({ store, account }: Tenant, daysAgo: number, fields: Record<string, unknown> = {}, audio?: Buffer): Promise<string> {
  const start = Date.now() - daysAgo * DAY
  const created = toGregorian(start)
  const month = monthOf(fromGregorian(created))
  const id = `${month}-${String(++made).padStart(32, '0')}`
  const db = monthDb(account, month)
  await store.createDatabase(db, 'modb')
  const doc = {
    _id: id,
    pvt_type: 'call_recording',
    pvt_account_id: account,
    pvt_created: created,
    state: 'stopped',
    name: `call_recording_${made}.wav`,
    content_type: 'audio/x-wav',
    ...fields,
  }
  const rev = await store.put(db, doc)
  if (audio !== undefined) {
    await store.putAttachment(db, id, rev, doc.name, { stream: Readable.from([audio]), length: audio.length, contentType: 'audio/x-wav' })
  }
  return id
}

const ids = ({ body }: Answered): string[] => (body.data as unknown as { id: string }[]).map(({ id }) => id)

test('recordings are listed newest first across the months, whole and public', async t => {
  const world = await tenant(t)
  const recorded: string[] = []
  for (const daysAgo of [29, 3, 12, 0.1]) recorded.push(await aRecording(world, daysAgo, { owner_id: 'x', policy: { format: { value: 'wav', from: 'user' } } }))
  await aRecording(world, 40)
  const [oldest, third, second, newest] = recorded
  const list = await world.ask('GET', world.at)
  t.deepEqual(ids(list), [newest, third, second, oldest])
  t.is(list.body.page_size, 4)
  t.notRegex(JSON.stringify(list.body.data), /pvt_/)
  t.like((list.body.data as unknown as object[])[0], { state: 'stopped', policy: { format: { from: 'user' } }, _read_only: { content_types: [] } })
})

test('an account without a month database has no recordings, which is no error', async t => {
  const { ask, at } = await tenant(t)
  t.like(await ask('GET', at), { status: 200, body: { data: [], page_size: 0 } })
  t.like(await ask('GET', `${at}/202001-${'0'.repeat(32)}`), { status: 404, body: { message: 'bad_identifier' } })
})

test('a range over the end of a month finds both sides of it, and one that is too long is refused', async t => {
  const world = await tenant(t)
  const [old, older] = [await aRecording(world, 40), await aRecording(world, 60)]
  const at = (daysAgo: number): number => toGregorian(Date.now() - daysAgo * DAY)
  t.deepEqual(ids(await world.ask('GET', `${world.at}?created_from=${at(61)}&created_to=${at(39)}`)), [old, older])
  t.deepEqual(ids(await world.ask('GET', `${world.at}?created_from=${at(61)}&created_to=${at(59)}`)), [older])
  const refused = await world.ask('GET', `${world.at}?created_from=${at(61)}`)
  t.is(refused.status, 400)
  t.truthy((refused.body.data['created_from'] as { date_range: unknown }).date_range)
})

test('pages of recordings lead from month to month without a gap or a repeat', async t => {
  const world = await tenant(t)
  const recorded: string[] = []
  for (let n = 0; n < 7; n++) recorded.push(await aRecording(world, n * 4 + 0.1))
  const seen: string[] = []
  let key: string | undefined
  do {
    const page: Answered = await world.ask('GET', `${world.at}?page_size=3${key === undefined ? '' : `&start_key=${key}`}`)
    seen.push(...ids(page))
    key = page.body.next_start_key
  } while (key !== undefined)
  t.deepEqual(seen, recorded)
  t.deepEqual(ids(await world.ask('GET', `${world.at}?paginate=false`)), recorded)
})

async function people(world: Tenant) {
  const base = `/v2/accounts/${world.account}`
  const user = async (username: string) => {
    const { body } = await world.ask<{ id: string }>('PUT', `${base}/users`, { first_name: 'A', last_name: 'B', username, password: 'p' })
    const login = await asker(world.url)('PUT', '/v2/user_auth', { credentials: digest('md5', username, 'p'), account_name: 'acme' })
    const device = await world.ask<{ id: string }>('PUT', `${base}/devices`, { name: username, owner_id: body.data.id })
    return { id: body.data.id, device: device.body.data.id, token: login.body.auth_token }
  }
  const [alice, bob] = [await user('alice'), await user('bob')]
  const of = async (who: typeof alice, daysAgo: number): Promise<string> =>
    aRecording(world, daysAgo, { owner_id: who.id, endpoint_id: who.device }, Buffer.from('RIFF'))
  return { base, alice, bob, alices: [await of(alice, 1), await of(alice, 2)], bobs: [await of(bob, 1.5)] }
}

test('users and devices have lists of their own', async t => {
  const world = await tenant(t)
  const { base, alice, bob, alices, bobs } = await people(world)
  t.deepEqual(ids(await world.ask('GET', `${base}/users/${alice.id}/recordings`)), alices)
  t.deepEqual(ids(await world.ask('GET', `${base}/devices/${bob.device}/recordings`)), bobs)
  t.deepEqual(ids(await world.ask('GET', world.at)), [alices[0], bobs[0], alices[1]])
  t.is((await world.ask('GET', `${base}/users/${alice.device}/recordings`)).status, 404)
  t.is((await world.ask('GET', `${base}/devices/${'0'.repeat(32)}/recordings`)).status, 404)
})

test('whoever gets a phone of somebody else learns nothing of the calls it made before', async t => {
  const world = await tenant(t)
  const { base, alice, bob, bobs } = await people(world)
  await world.ask('PATCH', `${base}/devices/${bob.device}`, { owner_id: alice.id })
  const path = `${base}/devices/${bob.device}/recordings`
  for (const query of ['', '?paginate=false', '?page_size=1', '?filter_state=stopped']) {
    t.deepEqual(ids(await world.ask('GET', path + query, undefined, { token: alice.token })), [], query)
  }
  t.deepEqual(ids(await world.ask('GET', path)), bobs)
})

test('a user lists, reads and hears the recordings he owns and no others, whatever key he makes up', async t => {
  const world = await tenant(t)
  const { base, alice, bob, alices, bobs } = await people(world)
  const as = (path: string, accept = '*/*'): Promise<Answered> => world.ask('GET', path, undefined, { token: alice.token, headers: { accept } })
  t.deepEqual(ids(await as(world.at)), alices)
  t.deepEqual(ids(await as(`${base}/users/${alice.id}/recordings`)), alices)
  t.deepEqual(ids(await as(`${base}/devices/${alice.device}/recordings`)), alices)
  t.is((await as(`${base}/users/${bob.id}/recordings`)).status, 403)
  t.is((await as(`${base}/devices/${bob.device}/recordings`)).status, 403)
  for (const accept of ['application/json', 'audio/wav']) {
    t.is((await as(`${world.at}/${alices[0]}`, accept)).status, 200)
    t.is((await as(`${world.at}/${bobs[0]}`, accept)).status, 403)
  }
  t.is((await world.ask('DELETE', `${world.at}/${alices[0]}`, undefined, { token: alice.token })).status, 403)
  for (const key of [
    [{}, 'z'],
    [bob.id, 99_999_999_999],
    [[], 'x'],
    [99_999_999_999, 'z', 'z'],
  ]) {
    const text = Buffer.from(JSON.stringify(key)).toString('base64url')
    const answer = await as(`${world.at}?start_key=${text}`)
    t.is(answer.status, 404)
  }
  const beyond = Buffer.from(JSON.stringify([99_999_999_999, 'z'])).toString('base64url')
  t.deepEqual(ids(await as(`${world.at}?start_key=${beyond}`)), alices)
})

const SOUND = Buffer.from(Array.from({ length: 1000 }, (_, n) => n % 256))

const bytes = async ({ url, token }: World, path: string, headers: Record<string, string> = {}): Promise<{ response: Response; body: Buffer }> => {
  const response = await fetch(url + path, { headers: { 'x-auth-token': token, ...headers } })
  return { response, body: Buffer.from(await response.arrayBuffer()) }
}

test('a recording is JSON, or sound by Accept and by `accept` in the query', async t => {
  const world = await tenant(t)
  const one = `${world.at}/${await aRecording(world, 1, { sha256: createHash('sha256').update(SOUND).digest('hex') }, SOUND)}`
  const json = await world.ask('GET', one)
  t.like(json.body.data, { _read_only: { content_types: ['audio/x-wav'] } })
  for (const [path, headers] of [
    [one, { accept: 'audio/mpeg' }],
    [`${one}?accept=audio/mp3`, {}],
    [one, { accept: 'audio/*' }],
  ] as const) {
    const { response, body } = await bytes(world, path, headers)
    t.is(response.status, 200)
    t.is(response.headers.get('content-type'), 'audio/x-wav')
    t.is(response.headers.get('content-length'), '1000')
    t.is(response.headers.get('accept-ranges'), 'bytes')
    t.regex(response.headers.get('content-disposition') ?? '', /^attachment; filename="call_recording_\d+\.wav"$/)
    t.deepEqual(body, SOUND)
  }
  t.regex((await bytes(world, `${one}?accept=audio/wav&inline=true`)).response.headers.get('content-disposition') ?? '', /^inline;/)
  t.is((await bytes(world, one, { accept: 'image/png' })).response.status, 406)
})

test('a Range of the sound is 206 with just those bytes, and beyond the end 416', async t => {
  const world = await tenant(t)
  const one = `${world.at}/${await aRecording(world, 1, {}, SOUND)}?accept=audio/wav`
  const part = await bytes(world, one, { range: 'bytes=100-199' })
  t.is(part.response.status, 206)
  t.is(part.response.headers.get('content-range'), 'bytes 100-199/1000')
  t.deepEqual(part.body, SOUND.subarray(100, 200))
  t.deepEqual((await bytes(world, one, { range: 'bytes=-10' })).body, SOUND.subarray(990))
  const beyond = await bytes(world, one, { range: 'bytes=1000-' })
  t.is(beyond.response.status, 416)
  t.is(beyond.response.headers.get('content-range'), 'bytes */1000')
  t.is((await bytes(world, one, { range: 'bytes=0-1', 'if-range': '"another"' })).response.status, 200)
  const tag = part.response.headers.get('etag') ?? ''
  t.is((await bytes(world, one, { range: 'bytes=0-1', 'if-range': tag })).response.status, 206)
  t.is((await bytes(world, one, { 'if-none-match': tag })).response.status, 304)
})

test('the headers of a sound are told without the sound', async t => {
  const world = await tenant(t)
  const one = `${world.at}/${await aRecording(world, 1, {}, SOUND)}?accept=audio/wav`
  const response = await fetch(world.url + one, { method: 'HEAD', headers: { 'x-auth-token': world.token } })
  t.is(response.status, 200)
  t.is(response.headers.get('content-length'), '1000')
})

test('a recording that was delivered elsewhere has no sound here', async t => {
  const world = await tenant(t)
  const id = await aRecording(world, 1)
  t.is((await world.ask('GET', `${world.at}/${id}`)).status, 200)
  t.like(await world.ask('GET', `${world.at}/${id}?accept=audio/mpeg`), { status: 404, body: { message: 'bad_identifier', data: { cause: id } } })
})

test('an id without a month is refused in the shape Kazoo has for it', async t => {
  const { ask, at } = await tenant(t)
  const id = '0'.repeat(32)
  t.like(await ask('GET', `${at}/${id}`), { status: 404, body: { data: [id] as unknown as Record<string, unknown>, message: 'bad identifier', error: '404' } })
})

test('deleting a recording destroys its sound and takes it off every list', async t => {
  const world = await tenant(t)
  const id = await aRecording(world, 1, {}, SOUND)
  const deleted = await world.ask('DELETE', `${world.at}/${id}`)
  t.is(deleted.status, 200)
  t.like(deleted.body.data, { id, _read_only: { deleted: true } })
  t.is(await world.store.getAttachment(monthDb(world.account, id.slice(0, 6)), id, `call_recording_${made}.wav`), undefined)
  for (const query of ['', '?accept=audio/wav']) t.is((await world.ask('GET', `${world.at}/${id}${query}`)).status, 410)
  t.deepEqual(ids(await world.ask('GET', world.at)), [])
  t.is((await world.ask('DELETE', `${world.at}/${id}`)).status, 410)
})

test('a recording that is still being made or delivered is not deleted', async t => {
  const world = await tenant(t)
  const id = await aRecording(world, 1, { state: 'recording' })
  await world.store.put('recordings_in_flight', { _id: id, account_id: world.account })
  t.like(await world.ask('DELETE', `${world.at}/${id}`), { status: 409, body: { message: 'wrong_state', data: { state: 'recording' } } })
  t.is((await world.ask('GET', `${world.at}/${id}`)).status, 200)
})

test('who hears, downloads, changes or deletes a recording is in its trail with his address, an admin above like any other', async t => {
  const world = await tenant(t)
  const { base, alice } = await people(world)
  const one = `${world.at}/${await aRecording(world, 1, { owner_id: alice.id }, SOUND)}`
  await bytes(world, `${one}?accept=audio/wav&inline=true`)
  await world.ask('GET', one)
  await fetch(world.url + one, { headers: { 'x-auth-token': alice.token ?? '', accept: 'audio/wav' } }).then(response => response.arrayBuffer())
  const { revision } = (await world.ask('PATCH', one, { user_metadata: { case: 7 } })).body
  await world.ask('DELETE', `${one}?reason=article%2017`)
  const { body } = await world.ask<{ what: string; who: object; from: string; details?: object }[]>('GET', `${one}/audit`)
  t.like(body, { intact: true, page_size: 5 })
  t.deepEqual(
    body.data.slice(1).map(({ what, who, details }) => [what, who, details]),
    [
      ['listened', { account_id: world.master.accountId }, undefined],
      ['downloaded', { account_id: base.slice(-32), user_id: alice.id }, undefined],
      ['changed', { account_id: world.master.accountId }, { fields: ['user_metadata'] }],
      ['deleted', { account_id: world.master.accountId }, { reason: 'article 17', revision }],
    ],
  )
  t.regex(body.data[1]?.from ?? '', /127\.0\.0\.1$/)
})

test('a sound whose hearing cannot be noted is not heard', async t => {
  const world = await tenant(t)
  const id = await aRecording(world, 1, {}, SOUND)
  world.refuse.put = async (db, doc) => {
    if (doc['pvt_type'] === 'recording_audit') throw new AppError('datastore_unreachable', 'away')
    return world.base.put(db, doc)
  }
  t.is((await world.ask('GET', `${world.at}/${id}?accept=audio/wav`)).status, 503)
  t.is((await world.ask('DELETE', `${world.at}/${id}`)).status, 503)
  t.is((await world.ask('GET', `${world.at}/${id}`)).status, 200)
})

test('a whole sound that is not what was stored breaks off before its end, and is told of', async t => {
  const world = await tenant(t)
  const sha256 = createHash('sha256').update(SOUND).digest('hex')
  const [good, bad] = [await aRecording(world, 1, { sha256 }, SOUND), await aRecording(world, 1, { sha256 }, Buffer.concat([SOUND, SOUND]))]
  t.deepEqual((await bytes(world, `${world.at}/${good}?accept=audio/wav`)).body, SOUND)
  await t.throwsAsync(() => bytes(world, `${world.at}/${bad}?accept=audio/wav`))
  t.true(world.lines.some(({ event, recording_id }) => event === 'audio_damaged' && recording_id === bad))
  t.false(world.lines.some(({ event, recording_id }) => event === 'audio_damaged' && recording_id === good))
  t.is((await bytes(world, `${world.at}/${bad}?accept=audio/wav`, { range: 'bytes=0-9' })).body.length, 10)
})

test('a trail that was tampered with says so and where', async t => {
  const world = await tenant(t)
  const id = await aRecording(world, 1, {}, SOUND)
  await bytes(world, `${world.at}/${id}?accept=audio/wav`)
  const db = monthDb(world.account, id.slice(0, 6))
  await world.store.put(db, { ...(await world.store.get(db, `${id}.00000002`)), _id: `${id}.00000002`, from: '192.0.2.9' })
  t.like((await world.ask('GET', `${world.at}/${id}/audit`)).body, { intact: false, broken_at: 2 })
})

test('what is gone answers with its tombstone and no name, also to its trail', async t => {
  const world = await tenant(t)
  const delivery = { state: 'stored', destination: 'https://a.example/', location: 'https://a.example/x.wav', stored_at: '2026-05-16T00:00:00.000Z' }
  const id = await aRecording(world, 1, { from: '1001@acme', sha256: 'ab', delivery })
  await world.ask('DELETE', `${world.at}/${id}?reason=done`)
  const gone = await world.ask('GET', `${world.at}/${id}`)
  t.like(gone, {
    status: 410,
    body: { message: 'gone', data: { id, sha256: 'ab', deleted: { reason: 'done', delivered: { to: 'https://a.example/x.wav' } } } },
  })
  t.notRegex(JSON.stringify(gone.body), /1001@acme|pvt_/)
  for (const method of ['PATCH', 'DELETE'])
    t.is((await world.ask(method, `${world.at}/${id}`, method === 'PATCH' ? { legal_hold: true } : undefined)).status, 410)
  t.is((await world.ask('GET', `${world.at}/${id}/audit`)).status, 200)
})

test('a hold beats the deletion of the recording, its user and its account until it is released', async t => {
  const world = await tenant(t)
  const { base, alice, bob, alices } = await people(world)
  const one = `${world.at}/${alices[0]}`
  t.like(await world.ask('PATCH', one, { legal_hold: true }), { status: 200, body: { data: { legal_hold: true } } })
  for (const path of [one, `${base}/users/${alice.id}`, base]) t.like(await world.ask('DELETE', path), { status: 409, body: { message: 'legal_hold' } }, path)
  t.is((await bytes(world, `${one}?accept=audio/wav`)).response.status, 200)
  t.is((await world.ask('DELETE', `${base}/users/${bob.id}`)).status, 200)
  t.is((await world.ask('PATCH', one, { legal_hold: false })).status, 200)
  for (const path of [one, `${base}/users/${alice.id}`, base]) t.is((await world.ask('DELETE', path)).status, 200, path)
})

test('a hold is put on what is still being made or delivered; a note is not', async t => {
  const world = await tenant(t)
  const id = await aRecording(world, 1, { state: 'recording' })
  await world.store.put('recordings_in_flight', { _id: id, account_id: world.account })
  t.is((await world.ask('PATCH', `${world.at}/${id}`, { user_metadata: { a: 1 } })).status, 409)
  t.is((await world.ask('PATCH', `${world.at}/${id}`, { legal_hold: true })).status, 200)
  t.is((await world.ask('PATCH', `${world.at}/${id}`, { legal_hold: 'perhaps' })).status, 400)
  const { token } = (await people(world)).alice
  t.is((await world.ask('PATCH', `${world.at}/${id}`, { legal_hold: false }, { token })).status, 403)
})

test('a recording whose delivery failed is deleted with its file', async t => {
  const world = await tenant(t)
  const id = await aRecording(world, 1)
  const file = `fs1/${id.slice(0, 6)}/${id}.wav`
  const item = { _id: id, account_id: world.account, node: 'fs1', state: 'stopped', file }
  await world.store.put('recordings_in_flight', { ...item, delivery: { state: 'failed', destination: 'https://a.example/', attempts: 1 } })
  t.is((await world.ask('DELETE', `${world.at}/${id}`)).status, 200)
  t.deepEqual(world.removed, [file])
  t.is(await world.store.get('recordings_in_flight', id), undefined)
})

test('nobody puts or posts a recording', async t => {
  const world = await tenant(t)
  const id = await aRecording(world, 1)
  const refused = await world.ask('PUT', world.at, {})
  t.like(refused, { status: 405, body: { message: 'invalid_method' } })
  t.is(refused.headers.get('allow'), 'HEAD, GET, OPTIONS')
  for (const method of ['POST', 'PUT']) t.is((await world.ask(method, `${world.at}/${id}`, {})).status, 405)
})

test('the schema of recordings has every field the recorder writes', t => {
  const facts = { interaction_id: '', cdr_id: '', direction: 'inbound' as const, from: '', to: '', request: '', caller_id_name: '', caller_id_number: '' }
  const more = { callee_id_name: '', callee_id_number: '', sip_call_id: '', owner_id: '', endpoint_id: '', label: '', custom_channel_vars: {} }
  const origin = { origin: 'x', by: 'action' as const, at: 0 }
  const made = {
    id: 'x',
    accountId: 'x',
    node: 'x',
    leg: 'x',
    side: 'caller' as const,
    facts: { ...facts, ...more },
    format: 'wav' as const,
    written: 'wav' as const,
    warnings: ['x'],
    origins: [origin] as const,
  }
  const recording = recordingOf({
    ...made,
    settings: { url: { value: 'http://x', from: 'user' }, retention_days: { value: 1, from: 'user' } },
    state: 'stopped',
    sampleRate: 8000,
    before: 0,
    now: 0,
  })
  const sound = audioFields({ durationMs: 1, size: 1, sha256: '', sampleRate: 8000, channels: 2 })
  const { properties } = loadSchemas(10_800).get('call_recordings') as { properties: object }
  const lost = Object.keys(publicFields({ ...recording, ...sound, delivery: {}, reason: '', user_metadata: {}, legal_hold: true })).filter(
    key => !(key in properties),
  )
  t.deepEqual(lost, [])
})
