import test, { type ExecutionContext } from 'ava'
import { digest } from '../../src/api/rights/credentials.ts'
import type { RecordingEventName } from '../../src/events.ts'
import { anAccount, asker, world } from '../helpers/api.ts'

async function setup(t: ExecutionContext) {
  const made = await world(t)
  const id = await anAccount(made, { name: 'acme' })
  const alice = await made.ask<{ id: string }>('PUT', `/v2/accounts/${id}/users`, { first_name: 'Al', last_name: 'Ice', username: 'alice', password: 'p' })
  const { body } = await asker(made.url)('PUT', '/v2/user_auth', { credentials: digest('md5', 'alice', 'p'), account_name: 'acme' })
  const tell = (event: RecordingEventName, owner_id?: string, accountId = id): Promise<void> =>
    made.events.tell({
      event,
      accountId,
      recordingId: `202605-${'c'.repeat(32)}`,
      at: 0,
      recording: { state: 'recording', ...(owner_id === undefined ? {} : { owner_id }) },
    })
  /** What has come of a stream so far, and how to leave it. */
  async function listen(token: string | undefined, headers: Record<string, string> = {}) {
    const stop = new AbortController()
    t.teardown(() => stop.abort())
    const response = await fetch(`${made.url}/v2/accounts/${id}/events`, {
      headers: { accept: 'text/event-stream', 'x-auth-token': token ?? made.token, ...headers },
      signal: stop.signal,
    })
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    const until = async (what: string): Promise<string> => {
      while (!text.includes(what)) {
        const { value, done } = (await reader?.read()) ?? { done: true }
        if (done) throw new Error(`it ended with ${text}`)
        text += value
      }
      return text
    }
    return { response, until, stop: () => stop.abort() }
  }
  return { ...made, id, alice: alice.body.data.id, asAlice: body.auth_token, tell, listen }
}

test('what happens to recordings is told as it happens, to whom it concerns', async t => {
  const { tell, listen, alice, asAlice } = await setup(t)
  const [admin, hers] = [await listen(undefined), await listen(asAlice)]
  t.regex(admin.response.headers.get('content-type') ?? '', /^text\/event-stream/)
  await tell('recording.started')
  await tell('recording.started', undefined, 'f'.repeat(32))
  await tell('recording.masked', alice)
  const all = await admin.until('recording.masked')
  t.is(all.split('event: recording').length - 1, 2)
  t.like(JSON.parse(/data: (.*)\n/.exec(all)?.[1] ?? ''), { event: 'recording.started', recording: { state: 'recording' } })
  t.notRegex(await hers.until('recording.masked'), /recording\.started/)
})

test('whoever comes back says what he saw last and hears the rest', async t => {
  const { tell, listen } = await setup(t)
  for (const event of ['recording.started', 'recording.paused', 'recording.resumed'] as const) await tell(event)
  const first = await (await listen(undefined)).until('recording.resumed')
  const seen = /id: (\d+)\nevent: recording.paused/.exec(first)?.[1] ?? ''
  t.notRegex(await (await listen(undefined, { 'last-event-id': seen })).until('recording.resumed'), /recording\.paused/)
  // Of another engine, or nonsense: then it is all there is.
  t.regex(await (await listen(undefined, { 'last-event-id': '999999' })).until('recording.resumed'), /recording\.started/)
  t.regex(await (await listen(undefined, { 'last-event-id': 'x' })).until('recording.resumed'), /recording\.started/)
})

test('a stream ends with the token it was asked for with, and when that means something else', async t => {
  const { listen, ask, url, asAlice, id } = await setup(t)
  const admin = await ask('PUT', `/v2/accounts/${id}/users`, { first_name: 'B', last_name: 'Oss', username: 'boss', password: 'p', priv_level: 'admin' })
  const { body } = await asker(url)('PUT', '/v2/user_auth', { credentials: digest('md5', 'boss', 'p'), account_name: 'acme' })
  const [out, demoted, stays] = [await listen(asAlice), await listen(body.auth_token), await listen(undefined)]
  await asker(url)('DELETE', '/v2/token_auth', undefined, { token: asAlice })
  await ask('PATCH', `/v2/accounts/${id}/users/${String(admin.body.data['id'])}`, { priv_level: 'user' })
  for (const stream of [out, demoted]) await t.throwsAsync(stream.until('what never comes'), { message: /^it ended with/ })
  t.regex(await stays.until(': events'), /events/)
})

test('without asking for a stream the latest are a list', async t => {
  const { tell, ask, id, asAlice, url } = await setup(t)
  for (let i = 0; i < 105; i++) await tell('recording.started')
  t.is((await ask<unknown[]>('GET', `/v2/accounts/${id}/events`)).body.data.length, 100)
  t.deepEqual((await asker(url)('GET', `/v2/accounts/${id}/events`, undefined, { token: asAlice })).body.data, [] as never)
})

test('an account has no more than a hundred streams, and one that is left makes room', async t => {
  const { listen } = await setup(t)
  const open = await Promise.all(Array.from({ length: 100 }, () => listen(undefined)))
  t.is((await listen(undefined)).response.status, 429)
  open[0]?.stop()
  let status = 429
  for (const end = Date.now() + 20_000; status === 429 && Date.now() < end; ) status = (await listen(undefined)).response.status
  t.is(status, 200)
})
