// A call that is longer than the longest file, on the embedded switch: its parts, laid end to end, are
// the whole call, and a limit that somebody set is an end.

import test from 'ava'
import { startEngine } from './helpers/engine.ts'
import { until } from './helpers/wait.ts'

interface Id {
  id: string
}

interface Listed extends Id {
  name: string
  cdr_id: string
  group_id: string
  state: string
  duration_ms: number
  start: number
  origins: string[]
}

const TALK = 13
/** Milliseconds by which a busy machine may begin late, or end a part late. That a next part runs before the one before it ends is shown in recorder.test. */
const LATE = 1500

test('a policy recording goes on in parts at MAX_TIME_LIMIT with no hole between them; one with a limit ends there', async t => {
  const { client } = await startEngine(t, { MAX_TIME_LIMIT: '5', SIMULATOR_SPEED: '1' })
  const { id: account } = await client.put<Id>(`accounts/${client.accountId}`, { name: 'long' })
  const at = `accounts/${account}`
  const person = async (name: string, fields: object): Promise<{ user: string; phone: string }> => {
    const { id: user } = await client.put<Id>(`${at}/users`, { first_name: name, last_name: 'L', ...fields })
    const { id: phone } = await client.put<Id>(`${at}/devices`, { name, owner_id: user, sip: { username: name, password: `${name}-secret` } })
    return { user, phone }
  }
  const alice = await person('alice', { record_call: true })
  const bob = await person('bob', { record_call: { time_limit: 5 } })
  await client.put(`${at}/callflows`, { numbers: ['2002'], flow: { module: 'user', data: { id: bob.user } } })
  await client.put(`${at}/devices/${alice.phone}/quickcall/2002`, { seconds: TALK })

  const ended = async (user: string, parts: number): Promise<Listed[] | undefined> => {
    const list = (await client.get<Listed[]>(`${at}/users/${user}/recordings`)).toSorted((a, b) => (a.name < b.name ? -1 : 1))
    return list.length === parts && list.every(({ state }) => state === 'stopped') ? list : undefined
  }
  const parts = await until('three parts of the caller’s leg', () => ended(alice.user, 3))
  const [first] = parts
  t.deepEqual(new Set(parts.map(({ group_id }) => group_id)), new Set([first?.id]))
  const base = first?.name.replace('.wav', '') ?? ''
  t.deepEqual(new Set(parts.map(({ name }) => name)), new Set([`${base}.wav`, `${base}_2.wav`, `${base}_3.wav`]))
  for (const { origins } of parts) t.deepEqual(origins, ['outbound to onnet from endpoint'])

  const heard = parts.reduce((sum, { duration_ms }) => sum + duration_ms, 0)
  // The caller is recorded from the moment he is there; the other phone answers half a second later.
  const whole = TALK * 1000 + 500
  t.log(`parts of ${parts.map(({ duration_ms }) => duration_ms).join(' + ')} = ${heard} ms of a call of ${whole} ms`)
  t.true(heard >= whole - LATE, `a hole of ${whole - heard} ms`)
  t.true(heard <= whole + 2 * LATE, `${heard - whole} ms heard twice`)

  const [limited] = await until('the one with a limit', () => ended(bob.user, 1))
  const length = limited?.duration_ms ?? 0
  t.true(length > 4900 && length < 5000 + LATE, `${length} ms`)

  // One detail record for the call, which names all of them, as each of them names it.
  const all = [...parts, ...(limited === undefined ? [] : [limited])]
  const [cdr] = await until('the detail record', async () => {
    const list = await client.get<(Id & Record<string, unknown>)[]>(`${at}/cdrs`)
    return list.length > 0 && list
  })
  t.deepEqual(new Set(all.map(({ cdr_id }) => cdr_id)), new Set([cdr?.id]))
  const read = await client.get<{ media_recordings: string[]; duration_seconds: number }>(`${at}/cdrs/${cdr?.id}`)
  t.deepEqual(read.media_recordings.toSorted(), all.map(({ id }) => id).toSorted())
  t.like(read, { authorizing_id: alice.phone, owner_id: alice.user, hangup_cause: 'NORMAL_CLEARING', disposition: 'ANSWERED' })
  t.true(Math.abs(read.duration_seconds - whole / 1000) <= 3, `${read.duration_seconds} s`)
  await t.throwsAsync(client.get(`${at}/cdrs/202601-${'0'.repeat(32)}`), { message: /404|no cdr/ })
})
