import test, { type ExecutionContext } from 'ava'
import { STORAGE, type StorageDocument, targetOf } from '../../src/recording/storage.ts'
import { accountDb } from '../../src/store/modb.ts'
import { anAccount, world, type World } from '../helpers/api.ts'

interface Tenant extends World {
  at: string
  kept: () => Promise<StorageDocument | undefined>
}

async function tenant(t: ExecutionContext): Promise<Tenant> {
  const made = await world(t)
  const account = await anAccount(made)
  return { ...made, at: `/v2/accounts/${account}/storage`, kept: () => made.store.get<StorageDocument>(accountDb(account), STORAGE) }
}

const S3 = { handler: 's3', name: 'archive', settings: { bucket: 'calls', key: 'AKIA', secret: 'hidden-part', host: 's3.example' } }
const WEB = { handler: 'http', settings: { url: 'https://al:hidden-part@files.example/in/' } }
const plan = (handler: string) => ({ modb: { types: { call_recording: { attachments: { handler, params: { folder_path: 'calls' } } } } } })

test('an account says where its recordings go, it is tried out with the secrets, and they are not read again', async t => {
  const { ask, at, kept, trials } = await tenant(t)
  t.is((await ask('GET', at)).status, 404)
  const made = await ask('PUT', at, { attachments: { a: S3, b: WEB }, plan: plan('a') })
  t.is(made.status, 201)
  const shown = { a: { settings: { bucket: 'calls', key: 'AKIA', host: 's3.example' } }, b: { settings: { url: 'https://***@files.example/in/' } } }
  t.like(made.body.data, { id: 'storage', attachments: shown, plan: plan('a') })
  t.deepEqual(
    trials.tried.map(({ attachment }) => attachment),
    [S3, WEB] as unknown[] as (typeof trials.tried)[number]['attachment'][],
  )
  t.deepEqual((await ask('GET', at)).body.data, made.body.data)
  t.notRegex(JSON.stringify([made, await ask('GET', at)]), /hidden-part/)
  t.like(targetOf({}, await kept()), { is: 's3', folder: 'calls', settings: { secret: 'hidden-part' } })
})

test('what cannot be stored there is refused with the reason, unless nobody wants to try', async t => {
  const { ask, at, trials } = await tenant(t)
  trials.answer = 'PUT s3.example answered 403 (AccessDenied)'
  const refused = await ask('PUT', at, { attachments: { a: S3 } })
  t.is(refused.status, 400)
  t.deepEqual(refused.body.data, { 'attachments.a': { invalid: { message: `a test file could not be stored: ${trials.answer}` } } })
  t.is((await ask('GET', at)).status, 404)
  const before = trials.tried.length
  t.is((await ask('PUT', `${at}?validate_settings=false`, { attachments: { a: S3 } })).status, 201)
  t.is(trials.tried.length, before)
})

test('a secret that is left out, or sent back as it was shown, stays what it was', async t => {
  const { ask, at, kept } = await tenant(t)
  const { body } = await ask('PUT', at, { attachments: { a: S3, b: WEB } })
  const { id: _, ...same } = body.data
  t.is((await ask('POST', at, same)).status, 200)
  t.is((await ask('PATCH', at, { attachments: { a: { settings: { region: 'eu-west-1' } } } })).status, 200)
  t.like(await kept(), {
    pvt_secrets: { a: { secret: 'hidden-part' }, b: { url: WEB.settings.url } },
    attachments: { a: { settings: { region: 'eu-west-1' } } },
  })
  await ask('PATCH', at, { attachments: { a: { settings: { secret: 'another' } } } })
  t.like(await kept(), { pvt_secrets: { a: { secret: 'another' } } })
  await ask('PATCH', at, { attachments: { a: null } })
  t.deepEqual((await kept())?.pvt_secrets, { b: { url: WEB.settings.url } })
})

test('a password is not sent to another address than it was given for', async t => {
  const { ask, at } = await tenant(t)
  await ask('PUT', at, { attachments: { b: WEB } })
  const moved = { attachments: { b: { handler: 'http', settings: { url: 'https://***@evil.example/in/' } } } }
  t.like(await ask('POST', at, moved), {
    status: 400,
    body: { data: { 'attachments.b.settings.url': { error: { message: 'with another URL the password has to be given again' } } } },
  })
})

test('what is not understood is refused with its path', async t => {
  const { ask, at } = await tenant(t)
  const paths = async (body: object): Promise<string[]> => Object.keys((await ask('PUT', at, body)).body.data)
  t.deepEqual(await paths({ attachments: { a: { handler: 'ftp', settings: {} } } }), ['attachments.a.handler'])
  t.deepEqual(await paths({ attachments: { a: 'x' } }), ['attachments.a.handler'])
  t.deepEqual(await paths({ attachments: { a: { handler: 's3', settings: { bucket: 'a/b', key: 'k', secret: 's' } } } }), ['attachments.a.settings.bucket'])
  t.deepEqual(await paths({ attachments: { a: { handler: 's3', settings: { bucket: 'calls', key: 'k' } } } }), ['attachments.a.settings.secret'])
  t.deepEqual(await paths({ attachments: { a: { handler: 'http', settings: { url: 'ftp://a.example' } } } }), ['attachments.a.settings.url'])
  t.deepEqual(await paths({ attachments: { a: { handler: 'directory', settings: { directory: '/etc' } } } }), ['attachments.a.settings.directory'])
  t.deepEqual(await paths({ attachments: { a: S3 }, plan: plan('b') }), ['plan.modb.types.call_recording.attachments.handler'])
  t.deepEqual(await paths({ plan: { modb: { types: { fax: {} } } } }), ['plan.modb.types.fax'])
})

test('storage that was put away is gone with its secrets, and can be made again', async t => {
  const { ask, at, kept } = await tenant(t)
  await ask('PUT', at, { attachments: { a: S3 } })
  t.is((await ask('PUT', at, { attachments: { a: S3 } })).status, 409)
  t.is((await ask('DELETE', at)).status, 200)
  t.is((await ask('GET', at)).status, 404)
  t.is((await ask('PUT', at, { attachments: { b: WEB } })).status, 201)
  t.deepEqual(Object.keys((await kept())?.pvt_secrets ?? {}), ['b'])
})

test('a url of a recording setting may name a bucket, and nothing else that is no http', async t => {
  const { ask, at } = await tenant(t)
  const account = at.replace('/storage', '')
  const status = async (url: string): Promise<number> => (await ask('PATCH', account, { record_call: { url } })).status
  for (const url of ['s3://calls', 's3://calls/2026/sales', 'https://a.example/']) t.is(await status(url), 200, url)
  for (const url of ['s3://', 's3://A', 's3://calls/../x?y', 's3://a:b@calls/', 'file:///etc/passwd', 'directory://archive']) t.is(await status(url), 400, url)
})
