// One call on the embedded switch, at its real speed, controlled from outside while it runs: what is asked for is done
// when it is answered, and it is heard in the files.

import test from 'ava'
import type { Controlled } from '../src/callflow/control.ts'
import type { Segment } from '../src/recording/segments.ts'
import { loudness, tones, wavFrom } from './helpers/audio.ts'
import { startEngine } from './helpers/engine.ts'
import { notedLog } from './helpers/log.ts'
import { until } from './helpers/wait.ts'

interface Id {
  id: string
}

interface Channel {
  uuid: string
  direction: string
  other_leg?: string
  recordings: { id: string; state: string; origins: string[] }[]
}

interface Recorded extends Id {
  state: string
  call_id: string
  origins: string[]
  duration_ms: number
  segments?: Segment[]
  verified?: boolean
  delivery?: { state: string }
}

const settled = (tried: PromiseSettledResult<Controlled>[]): string[] =>
  tried.map(one => (one.status === 'fulfilled' ? one.value.action : String((one.reason as { data?: { status?: number } }).data?.status)))

test('a call is masked on both its legs, recorded once more, and each answer is true', async t => {
  const engine = await startEngine(t, { SIMULATOR_SPEED: '1' })
  const { client } = engine
  const { id: account } = await client.put<Id>(`accounts/${client.accountId}`, { name: 'desk', allow_parent_audio: true })
  const at = `accounts/${account}`
  const person = async (name: string, fields: object): Promise<{ user: string; phone: string }> => {
    const { id: user } = await client.put<Id>(`${at}/users`, { first_name: name, last_name: 'L', ...fields })
    const { id: phone } = await client.put<Id>(`${at}/devices`, { name, owner_id: user, sip: { username: name, password: `${name}-secret` } })
    return { user, phone }
  }
  const alice = await person('alice', { record_call: { format: 'wav' } })
  const bob = await person('bob', { record_call: { format: 'wav', time_limit: 100 } })
  await client.put(`${at}/callflows`, { numbers: ['2002'], flow: { module: 'user', data: { id: bob.user } } })
  await client.put(`${at}/devices/${alice.phone}/quickcall/2002`, { seconds: 60 })

  const legs = await until('both legs are recorded', async () => {
    const list = await client.get<Channel[]>(`${at}/channels`)
    return list.length === 2 && list.every(one => one.other_leg !== undefined && one.recordings[0]?.state === 'recording') && list
  })
  const callee = legs.find(({ direction, uuid }) => direction === 'outbound' && uuid !== legs[0]?.uuid) ?? legs[1]
  const caller = legs.find(one => one !== callee)
  if (caller === undefined || callee === undefined) throw new Error('no two legs')
  const act = (data: object, uuid = caller.uuid): Promise<Controlled> => client.post(`${at}/channels/${uuid}`, { action: 'record', data })
  const talks = (ms: number): Promise<unknown> => new Promise(resolve => setTimeout(resolve, ms))

  await talks(1500)
  // Whichever leg is named, the call is meant.
  t.deepEqual(
    (await act({ action: 'mask' }, callee.uuid)).recordings.map(({ state }) => state),
    ['masked', 'masked'],
  )
  t.deepEqual(
    (await client.get<Channel>(`${at}/channels/${caller.uuid}`)).recordings.map(({ state }) => state),
    ['masked'],
  )
  const extra = await act({ action: 'start', time_limit: 50 })
  await talks(1000)
  t.true((await act({ action: 'unmask' })).recordings.every(({ state }) => state === 'recording'))
  t.is(await settledOne(act({ action: 'unmask' })), '409')
  await talks(1500)

  t.is(await settledOne(act({ action: 'start', time_limit: 50 })), '409')
  t.is((await act({ action: 'stop' })).action, 'stop')
  t.is(await settledOne(act({ action: 'stop' })), '409', 'what policy started is nobody’s to stop')
  // Who toggles at once with somebody else gets the truth as well.
  const toggled = await Promise.allSettled([act({ action: 'toggle', time_limit: 40 }), act({ action: 'toggle', time_limit: 40 }, callee.uuid)])
  t.true(['start,stop', 'stop,start', 'start,start'].includes(settled(toggled).join()), settled(toggled).join())
  await client.post(`${at}/channels/${caller.uuid}`, { action: 'hangup' })
  t.is(await settledOne(act({ action: 'mask' })), '404')

  const list = await until('all is stored', async () => {
    const all = await client.get<Recorded[]>(`${at}/recordings`)
    // One that was stopped at once may have nothing in it.
    return all.length >= 4 && all.every(one => one.delivery?.state === 'stored' || one.state === 'discarded') && all
  })
  const masked = list.filter(one => (one.segments ?? []).length > 0)
  t.is(masked.length, 3)
  for (const one of masked) {
    t.true(one.verified, `${one.id}: ${JSON.stringify(one)}`)
    const response = await fetch(`${engine.url}/v2/${at}/recordings/${one.id}?accept=audio/x-wav`, { headers: { 'x-auth-token': client.token } })
    const wav = wavFrom(Buffer.from(await response.arrayBuffer()))
    const { from_ms = 0, to_ms = 0, by }: Partial<Segment> = one.segments?.[0] ?? {}
    t.is(by, 'api')
    const [left, right] = wav.samples as [Int16Array, Int16Array]
    for (const side of [left, right]) t.is(loudness(side, wav.sampleRate, from_ms / 1000 + 0.1, to_ms / 1000 - 0.1), 0, 'silent as long as it says')
    // How late an answer may be depends on the machine; what is well outside is not covered.
    t.true(tones(left, wav.sampleRate, 440, to_ms / 1000 + 0.8, to_ms / 1000 + 1.3) > 0.9, 'and heard afterwards')
    if (one.id !== extra.recordings[0]?.id) t.true(tones(left, wav.sampleRate, 440, from_ms / 1000 - 1.2, from_ms / 1000 - 0.8) > 0.9, 'and before')
    t.log(`${one.origins.join()}: masked ${from_ms}…${to_ms} of ${one.duration_ms} ms, in the file ${silence(left, wav.sampleRate)}`)
  }
})

test('a key of the phone masks the call, and its digits are nowhere to be read', async t => {
  const { log, lines } = notedLog()
  const { client } = await startEngine(t, { SIMULATOR_SPEED: '5' }, log)
  const { id: account } = await client.put<Id>(`accounts/${client.accountId}`, { name: 'keys' })
  const at = `accounts/${account}`
  const { id: user } = await client.put<Id>(`${at}/users`, { first_name: 'Al', last_name: 'L', record_call: { format: 'wav' } })
  const metaflows = { numbers: { '2': { module: 'record_call', data: { action: 'mask' } } } }
  const { id: phone } = await client.put<Id>(`${at}/devices`, { name: 'al', owner_id: user, sip: { username: 'al', password: 'al-secret' }, metaflows })
  const { id: other } = await client.put<Id>(`${at}/devices`, { name: 'bo', sip: { username: 'bo', password: 'bo-secret' } })
  await client.put(`${at}/callflows`, { numbers: ['2002'], flow: { module: 'device', data: { id: other } } })
  await client.put(`${at}/devices/${phone}/quickcall/2002`, { seconds: 8, dtmf: '1:*29876543210' })
  const [recorded] = await until('the recording', async () => {
    const all = await client.get<Recorded[]>(`${at}/recordings`)
    return all.length === 1 && all[0]?.delivery?.state === 'stored' && all
  })
  t.like(recorded?.segments?.[0], { kind: 'mask', by: 'key *2' })
  t.true(recorded?.verified)
  t.notRegex(JSON.stringify(lines), /98765|76543/)
})

async function settledOne(asked: Promise<Controlled>): Promise<string> {
  return settled(await Promise.allSettled([asked])).join()
}

/** Where it is silent for long, in milliseconds of the file. */
function silence(samples: Int16Array, rate: number): string {
  let [from, best, to] = [0, 0, 0]
  samples.forEach((sample, at) => {
    if (sample !== 0) from = at + 1
    else if (at - from > best - to) [to, best] = [from, at]
  })
  return `${Math.round((to * 1000) / rate)}…${Math.round((best * 1000) / rate)}`
}
