import { createHash, createHmac, createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import test, { type ExecutionContext } from 'ava'
import { SignJWT } from 'jose'
import { startRetention } from '../../src/recording/keeping/retention.ts'
import { monthDb, monthOf, toGregorian } from '../../src/store/modb.ts'
import { TRANSCRIPT } from '../../src/recording/transcript.ts'
import { uuidAt } from '../../src/voice/recording.ts'
import type { Doc } from '../../src/store/store.ts'
import { anAccount, world } from '../helpers/api.ts'
import { notedLog } from '../helpers/log.ts'
import { tokenGenerate } from '../voice/sdk.ts'

const keys = () =>
  generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } })
const OURS = keys()
const OTHERS = keys()
const SOUND = Buffer.from('RIFF and what follows')
const TEXT = Buffer.from(JSON.stringify({ ver: '1.0.0', request_id: 'x', language: 'en-US', channels: [{ transcript: [] }] }))

interface Known {
  id: string
  application_id: string
}

async function place(t: ExecutionContext) {
  const made = await world(t)
  // For the parent, in whose name the tests ask, to delete.
  const account = await anAccount(made, { name: 'acme', allow_parent_audio: true })
  const at = `/v2/accounts/${account}`
  const { ask, store, url } = made
  const anApplication = async (public_key: string | undefined = OURS.publicKey, where = at): Promise<Known> =>
    (await ask<Known>('PUT', `${where}/applications`, { name: 'app', ...(public_key === undefined ? {} : { public_key }) })).body.data

  /** As the recorder leaves it; of an application, or of any. */
  async function aFile(
    application_id?: string,
    { at: start = Date.now(), owner = account, ...more }: Record<string, unknown> & { at?: number; owner?: string } = {},
  ) {
    const uuid = uuidAt(start, randomBytes(10).toString('hex'))
    const month = monthOf(start)
    const db = monthDb(owner, month)
    await store.createDatabase(db, 'modb')
    const _id = `${month}-${randomBytes(16).toString('hex')}`
    const pvt_voice = { file_uuid: uuid, ...(application_id === undefined ? {} : { application_id }), event_url: 'https://app.example.com/secret' }
    const doc = {
      _id,
      pvt_type: 'call_recording',
      pvt_account_id: owner,
      pvt_created: toGregorian(start),
      start: toGregorian(start),
      origins: ['ncco'],
      state: 'stopped',
      name: 'a.wav',
      content_type: 'audio/x-wav',
      pvt_voice,
      ...more,
    }
    const rev = await store.put(db, doc)
    await store.putAttachment(db, _id, rev, 'a.wav', { stream: Readable.from([SOUND]), length: SOUND.length, contentType: 'audio/x-wav' })
    return { uuid, id: _id }
  }

  /** One of which the text is there as well. */
  async function aText(application_id: string, more: Record<string, unknown> = {}, text = TEXT) {
    const transcript = { file_uuid: uuidAt(Date.now(), randomBytes(10).toString('hex')), event_method: 'POST', event_url: 'https://app.example.com/secret' }
    const transcription = {
      state: 'transcribed',
      language: 'en-US',
      sentiment: false,
      size: TEXT.length,
      sha256: createHash('sha256').update(TEXT).digest('hex'),
    }
    const made = await aFile(application_id, { transcription, ...more })
    const db = monthDb(account, made.id.slice(0, 6))
    const doc = await store.get<Doc & { pvt_voice: object }>(db, made.id)
    const rev = await store.put(db, { ...doc, _id: made.id, pvt_voice: { ...doc?.pvt_voice, transcript } })
    await store.putAttachment(db, made.id, rev, TRANSCRIPT, { stream: Readable.from([text]), length: text.length, contentType: 'application/json' })
    return { ...made, text: transcript.file_uuid }
  }

  const get = (path: string, token?: string, headers: Record<string, string> = {}, method = 'GET') =>
    fetch(`${url}${path}`, { method, headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) } })
  return { ...made, account, at, anApplication, aFile, aText, get }
}

const jwt = (application: string, { privateKey } = OURS): string => tokenGenerate(application, privateKey)

test('an application fetches its file with the JWT of its SDK, under both URLs, whole or in part', async t => {
  const { anApplication, aFile, get } = await place(t)
  const { id, application_id } = await anApplication()
  const { uuid } = await aFile(id)
  for (const version of ['v1', 'v3']) {
    const response = await get(`/${version}/files/${uuid}`, jwt(application_id))
    t.is(response.status, 200)
    t.is(response.headers.get('content-type'), 'audio/x-wav')
    t.deepEqual(Buffer.from(await response.arrayBuffer()), SOUND)
  }
  const part = await get(`/v1/files/${uuid}`, jwt(application_id), { range: 'bytes=0-3' })
  t.is(part.status, 206)
  t.is(await part.text(), 'RIFF')
  const head = await get(`/v1/files/${uuid}`, jwt(application_id), {}, 'HEAD')
  t.is(head.headers.get('content-length'), String(SOUND.length))
})

test('what is fetched is in the trail of the recording, with the application’s name', async t => {
  const { ask, at, anApplication, aFile, get } = await place(t)
  const { id, application_id } = await anApplication()
  const file = await aFile(id)
  await (await get(`/v1/files/${file.uuid}`, jwt(application_id))).arrayBuffer()
  const { body } = await ask<{ what: string; who: object }[]>('GET', `${at}/recordings/${file.id}/audit`)
  t.like(body.data.at(-1), { what: 'downloaded', who: { system: `application ${id}` } })
})

test('a file is for its own application, or where it has none for each of the account', async t => {
  const made = await place(t)
  const { anApplication, aFile, get } = made
  const [ours, other] = [await anApplication(), await anApplication()]
  const elsewhere = await anAccount(made, { name: 'elsewhere' })
  const foreign = await anApplication(OURS.publicKey, `/v2/accounts/${elsewhere}`)
  const [own, any] = [await aFile(ours.id), await aFile()]
  t.is((await get(`/v1/files/${own.uuid}`, jwt(other.application_id))).status, 404)
  t.is((await get(`/v1/files/${own.uuid}`, jwt(foreign.application_id))).status, 404)
  t.is((await get(`/v1/files/${any.uuid}`, jwt(other.application_id))).status, 200)
  t.is((await get(`/v1/files/${any.uuid}`, jwt(foreign.application_id))).status, 404)
})

test('a file whose recording began in the next month is found', async t => {
  const { anApplication, aFile, get, store, account } = await place(t)
  const { id, application_id } = await anApplication()
  const end = Date.UTC(2026, 0, 31, 23, 59, 59, 999)
  const { uuid } = await aFile(id, { at: end })
  t.is((await get(`/v1/files/${uuid}`, jwt(application_id))).status, 200)
  const later = uuidAt(end, randomBytes(10).toString('hex'))
  const db = monthDb(account, '202602')
  await store.createDatabase(db, 'modb')
  await store.put(db, { _id: `202602-${'1'.repeat(32)}`, pvt_type: 'call_recording', pvt_account_id: account, pvt_voice: { file_uuid: later } })
  // There, and without sound.
  const response = await get(`/v1/files/${later}`, jwt(application_id))
  t.is(response.status, 404)
  t.regex(await response.text(), /202602-1/)
})

test('a file that is gone is 410 with what is left of it, to its application alone', async t => {
  const { anApplication, aFile, ask, at, get } = await place(t)
  const [ours, other] = [await anApplication(), await anApplication()]
  const { uuid, id } = await aFile(ours.id)
  t.is((await ask('DELETE', `${at}/recordings/${id}?reason=retention`)).status, 200)
  const response = await get(`/v1/files/${uuid}`, jwt(ours.application_id))
  t.is(response.status, 410)
  const text = await response.text()
  t.regex(text, /"reason":"retention"/)
  t.notRegex(text, /secret|pvt_/)
  t.is((await get(`/v1/files/${uuid}`, jwt(other.application_id))).status, 404)
})

test('when its time is over a file goes, and one that is held stays until it is released', async t => {
  const { account, anApplication, aFile, ask, at, clock, erasure, get, store } = await place(t)
  const { id, application_id } = await anApplication()
  const { log } = notedLog()
  const retention = startRetention({ store, erasure, clock, log, every: 3600 })
  t.teardown(() => retention.close())
  const [over, held, young] = [
    await aFile(id, { retain_until: toGregorian(Date.now()) - 1, policy: {} }),
    await aFile(id, { retain_until: toGregorian(Date.now()) - 1, policy: {} }),
    await aFile(id, { retain_until: toGregorian(Date.now()) + 3600, policy: {} }),
  ]
  t.is((await ask('PATCH', `${at}/recordings/${held.id}`, { legal_hold: true })).status, 200)
  const statuses = async (): Promise<number[]> => {
    const answers = await Promise.all([over, held, young].map(async ({ uuid }) => get(`/v3/files/${uuid}`, jwt(application_id))))
    await Promise.all(answers.map(answer => answer.arrayBuffer()))
    return answers.map(({ status }) => status)
  }
  t.deepEqual(await statuses(), [200, 200, 200])
  t.is(await retention.sweep(), 1)
  t.deepEqual(await statuses(), [410, 200, 200])
  const { data } = (await (await get(`/v1/files/${over.uuid}`, jwt(application_id))).json()) as { data: { id: string; deleted: object } }
  t.like(data, { id: over.id, deleted: { who: { system: 'retention' } } })
  t.is((await ask('DELETE', `${at}/recordings/${held.id}`)).status, 409)
  t.is((await ask('PATCH', `${at}/recordings/${held.id}`, { legal_hold: false })).status, 200)
  t.is(await retention.sweep(), 1)
  t.deepEqual(await statuses(), [410, 410, 200])
  t.is(await store.getAttachment(monthDb(account, monthOf(Date.now())), held.id, 'a.wav'), undefined)
})

test('the files of an application that is put away are nobody’s but the account’s', async t => {
  const { anApplication, aFile, ask, at, get } = await place(t)
  const [ours, other] = [await anApplication(), await anApplication()]
  const { uuid, id } = await aFile(ours.id)
  t.is((await ask('DELETE', `${at}/applications/${ours.id}`)).status, 200)
  t.is((await get(`/v1/files/${uuid}`, jwt(ours.application_id))).status, 401)
  t.is((await get(`/v1/files/${uuid}`, jwt(other.application_id))).status, 404)
  const sound = await get(`${at}/recordings/${id}?accept=audio/x-wav`, undefined, { 'x-auth-token': (await ask('GET', at)).body.auth_token ?? '' })
  t.is(sound.status, 200)
})

test('a key that was replaced is good for nothing any more', async t => {
  const { anApplication, aFile, ask, at, get } = await place(t)
  const { id, application_id } = await anApplication()
  const { uuid } = await aFile(id)
  t.is((await get(`/v1/files/${uuid}`, jwt(application_id))).status, 200)
  t.is((await ask('PATCH', `${at}/applications/${id}`, { public_key: OTHERS.publicKey })).status, 200)
  t.is((await get(`/v1/files/${uuid}`, jwt(application_id))).status, 401)
  t.is((await get(`/v1/files/${uuid}`, jwt(application_id, OTHERS))).status, 200)
  t.is((await ask('PATCH', `${at}/applications/${id}`, { public_key: null })).status, 200)
  t.is((await get(`/v1/files/${uuid}`, jwt(application_id, OTHERS))).status, 401)
})

test('a Range beyond the end is refused with the length, and nothing is noted in the trail', async t => {
  const { anApplication, aFile, ask, at, get } = await place(t)
  const { id, application_id } = await anApplication()
  const file = await aFile(id)
  const response = await get(`/v1/files/${file.uuid}`, jwt(application_id), { range: 'bytes=1000-' })
  t.is(response.status, 416)
  t.is(response.headers.get('content-range'), `bytes */${SOUND.length}`)
  const { body } = await ask<{ what: string }[]>('GET', `${at}/recordings/${file.id}/audit`)
  t.deepEqual(
    body.data.filter(({ what }) => what === 'downloaded'),
    [],
  )
})

test('whether a file is there is told to nobody who has no token', async t => {
  const { anApplication, aFile, get } = await place(t)
  const { id } = await anApplication()
  const { uuid } = await aFile(id)
  const answers = new Set<string>()
  for (const path of [uuid, uuidAt(Date.now(), '0'.repeat(20)), 'nothing', '..%2f..']) {
    const response = await get(`/v1/files/${path}`)
    const { data, message } = (await response.json()) as { data: object; message: string }
    answers.add(JSON.stringify([response.status, data, message]))
  }
  t.is(answers.size, 1)
})

for (const uuid of [
  'nothing',
  '..%2f..',
  uuidAt(Date.now(), '0'.repeat(20)),
  'ffffffff-ffff-7fff-8fff-ffffffffffff',
  `${'0'.repeat(8)}-0000-4000-8000-${'0'.repeat(12)}`,
]) {
  test(`there is no file ${uuid}`, async t => {
    const { anApplication, get } = await place(t)
    t.is((await get(`/v1/files/${uuid}`, jwt((await anApplication()).application_id))).status, 404)
  })
}

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')
const signed = (claims: Record<string, unknown>, privateKey = OURS.privateKey, alg = 'RS256'): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg, typ: 'JWT' }).sign(createPrivateKey(privateKey))
const now = (): number => Math.floor(Date.now() / 1000)
const claims = (application_id: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  application_id,
  iat: now(),
  jti: 'x',
  exp: now() + 900,
  ...more,
})

test('whatever is wrong with a token is 401, in the same words', async t => {
  const { anApplication, aFile, ask, at, account, get, store } = await place(t)
  const { id, application_id } = await anApplication()
  const { uuid } = await aFile(id)
  const { body } = await ask<Known>('PUT', `${at}/applications`, { name: 'without a key' })
  const gone = await anApplication()
  await ask('DELETE', `${at}/applications/${gone.id}`)
  const good = claims(application_id)
  const hs256 = `${encode({ alg: 'HS256' })}.${encode(good)}`
  const tokens: Record<string, string | undefined> = {
    none: undefined,
    garbage: 'garbage',
    'the key of another': jwt(application_id, OTHERS),
    'not signed': `${encode({ alg: 'none' })}.${encode(good)}.`,
    'the public key as a secret': `${hs256}.${createHmac('sha256', OURS.publicKey).update(hs256).digest('base64url')}`,
    'another algorithm, by the right key': await signed(good, OURS.privateKey, 'RS512'),
    'another padding, by the right key': await signed(good, OURS.privateKey, 'PS256'),
    'a tail that was changed': `${(await signed(good)).slice(0, -8)}AAAAAAAA`,
    'other claims under the same signature': (await signed(good)).replace(/\.[^.]+\./, `.${encode(claims(application_id, { exp: now() + 9000 }))}.`),
    'of the future': await signed(claims(application_id, { iat: now() + 3600, exp: now() + 7200 })),
    'not good yet': await signed(claims(application_id, { nbf: now() + 3600 })),
    'good for a year, made two days ago': await signed(claims(application_id, { iat: now() - 172_800, exp: now() + 31_536_000 })),
    expired: await signed(claims(application_id, { exp: now() - 120 })),
    'older than a day without an end': await signed({ application_id, iat: now() - 90_000, jti: 'x' }),
    'without jti': await signed({ application_id, iat: now(), exp: now() + 900 }),
    'without iat': await signed({ application_id, jti: 'x', exp: now() + 900 }),
    'for some paths only': await signed(claims(application_id, { acl: { paths: { '/*/users/**': {} } } })),
    'of nobody': await signed(claims('me')),
    'of an application that is not there': jwt(`${account}-${'0'.repeat(32)}`),
    'of an account that is not there': jwt(`${'0'.repeat(32)}-${id}`),
    'of an application without a key': jwt(body.data.application_id),
    'of an application that was put away': jwt(gone.application_id),
  }
  const answers = new Set<string>()
  for (const [what, token] of Object.entries(tokens)) {
    const response = await get(`/v1/files/${uuid}`, token)
    t.is(response.status, 401, what)
    const { data, message } = (await response.json()) as { data: object; message: string }
    answers.add(JSON.stringify({ data, message }))
  }
  t.is(answers.size, 1)
  t.is((await get(`/v1/files/${uuid}`, await signed(good))).status, 200)
  const doc = await store.get('accounts', account)
  await store.put('accounts', { ...doc, _id: account, enabled: false })
  t.is((await get(`/v1/files/${uuid}`, await signed(good))).status, 401)
})

test('a file is only read', async t => {
  const { anApplication, aFile, get } = await place(t)
  const { id, application_id } = await anApplication()
  const { uuid } = await aFile(id)
  const response = await get(`/v1/files/${uuid}`, jwt(application_id), {}, 'DELETE')
  t.is(response.status, 405)
  t.is(response.headers.get('allow'), 'HEAD, GET, OPTIONS')
})

test('an application is known by an RSA key of 2048 bits or more, and nothing else', async t => {
  const { ask, at } = await place(t)
  const small = generateKeyPairSync('rsa', {
    modulusLength: 1024,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const curve = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  for (const [key, why] of [
    ['hello', 'not a public key in PEM'],
    [small.publicKey, 'an RSA key must have 2048 bits or more'],
    [curve.publicKey, 'not an RSA key'],
    [OURS.privateKey, 'it is a private key: keep that, and give the public one'],
  ] as const) {
    const { status, body } = await ask('PUT', `${at}/applications`, { name: 'app', public_key: key })
    t.is(status, 400)
    t.true(JSON.stringify(body.data).includes(why), JSON.stringify(body.data).slice(0, 200))
  }
})

test('the secret of an application is shown to admins and stays when it is not sent', async t => {
  const { ask, at } = await place(t)
  const secret = 'x'.repeat(32)
  const { body } = await ask<Known & { signature_secret: string }>('PUT', `${at}/applications`, { name: 'app', signature_secret: secret })
  t.is(body.data.signature_secret, secret)
  t.regex(body.data.application_id, /^[0-9a-f]{32}-[0-9a-f]{32}$/)
  const { body: patched } = await ask<Known & { signature_secret: string }>('PATCH', `${at}/applications/${body.data.id}`, {
    name: 'other',
    application_id: 'x',
  })
  t.like(patched.data, { name: 'other', signature_secret: secret, application_id: body.data.application_id })
})

test('an application fetches a transcript under both URLs as JSON, and its audio beside it; others are told of neither', async t => {
  const { anApplication, aText, get } = await place(t)
  const [ours, other] = [await anApplication(), await anApplication()]
  const file = await aText(ours.id)
  for (const version of ['v1', 'v3']) {
    const response = await get(`/${version}/files/${file.text}`, jwt(ours.application_id))
    t.is(response.status, 200)
    t.regex(response.headers.get('content-type') ?? '', /^application\/json\b/)
    t.deepEqual(Buffer.from(await response.arrayBuffer()), TEXT)
  }
  t.deepEqual(Buffer.from(await (await get(`/v1/files/${file.uuid}`, jwt(ours.application_id))).arrayBuffer()), SOUND)
  t.is((await get(`/v1/files/${file.text}`, jwt(other.application_id))).status, 404)
  t.is((await get(`/v1/files/${file.text}`, jwt(ours.application_id, OTHERS))).status, 401)
  t.is((await get(`/v1/files/${file.text}`)).status, 401)
})

test('a transcript that is not made, or will not be, is not there', async t => {
  const { anApplication, aText, ask, at, get } = await place(t)
  const { id, application_id } = await anApplication()
  for (const state of ['due', 'failed']) {
    const file = await aText(id, { transcription: { state, language: 'en-US', sentiment: false } })
    t.is((await get(`/v1/files/${file.text}`, jwt(application_id))).status, 404)
    t.is((await ask('GET', `${at}/recordings/${file.id}/transcript`)).status, 404)
    t.like((await ask('GET', `${at}/recordings/${file.id}`)).body.data, { transcription: { state, language: 'en-US' } })
  }
})

test('who reads a transcript is in the trail of its recording, beside who fetched the audio', async t => {
  const { anApplication, aText, ask, at, get } = await place(t)
  const { id, application_id } = await anApplication()
  const file = await aText(id)
  for (const uuid of [file.uuid, file.text, file.text]) await (await get(`/v1/files/${uuid}`, jwt(application_id))).arrayBuffer()
  const { status, body: text } = await ask<object>('GET', `${at}/recordings/${file.id}/transcript`)
  t.is(status, 200)
  t.deepEqual(text.data, JSON.parse(TEXT.toString()))
  const { body } = await ask<{ what: string; who: { system?: string }; details?: object }[]>('GET', `${at}/recordings/${file.id}/audit`)
  t.deepEqual(
    body.data.slice(1).map(({ what, who, details }) => [what, who.system === undefined ? 'a user' : 'the application', details]),
    [
      ['downloaded', 'the application', undefined],
      ['downloaded', 'the application', { transcript: true }],
      ['downloaded', 'a user', { transcript: true }],
    ],
  )
})

test('what a recording can be had as does not count its transcript', async t => {
  const { anApplication, aText, ask, at } = await place(t)
  const { id } = await anApplication()
  const file = await aText(id)
  t.like((await ask('GET', `${at}/recordings/${file.id}`)).body.data, { _read_only: { content_types: ['audio/x-wav'] } })
})

test('a transcript ends with its recording: after 30 days, or on request, both are 410; held, both stay', async t => {
  const { anApplication, aText, ask, at, clock, erasure, get, store } = await place(t)
  const { id, application_id } = await anApplication()
  const retention = startRetention({ store, erasure, clock, log: notedLog().log, every: 3600 })
  t.teardown(() => retention.close())
  const over = { retain_until: toGregorian(Date.now()) - 1, policy: {} }
  const [old, held, unwanted] = [await aText(id, over), await aText(id, { ...over, legal_hold: true }), await aText(id)]
  await retention.sweep()
  t.is((await ask('DELETE', `${at}/recordings/${unwanted.id}`)).status, 200)
  const statuses = async ({ uuid, text, id: recording }: { uuid: string; text: string; id: string }): Promise<number[]> => {
    const answers = [await get(`/v1/files/${uuid}`, jwt(application_id)), await get(`/v3/files/${text}`, jwt(application_id))]
    const bodies = await Promise.all(answers.map(answer => answer.text()))
    for (const body of bodies) t.notRegex(body, /secret/)
    return [...answers.map(({ status }) => status), (await ask('GET', `${at}/recordings/${recording}/transcript`)).status]
  }
  t.deepEqual(await statuses(old), [410, 410, 410])
  t.deepEqual(await statuses(unwanted), [410, 410, 410])
  t.deepEqual(await statuses(held), [200, 200, 200])
})

test('a transcript that is not what was stored breaks off, and is told of', async t => {
  const { anApplication, aText, ask, at, get } = await place(t)
  const { id, application_id } = await anApplication()
  const file = await aText(id, {}, Buffer.from(TEXT.toString().replace('1.0.0', '1.0.1')))
  await t.throwsAsync(async () => (await get(`/v1/files/${file.text}`, jwt(application_id))).arrayBuffer())
  t.is((await ask('GET', `${at}/recordings/${file.id}/transcript`)).status, 503)
})
