// Who is recorded is told: calls on the embedded switch, judged by the files, the documents and what the parties could hear. One after the
// other, since at five times its speed a call hears how busy the machine is.

import test from 'ava'
import { loudness, tones, type Wav } from './helpers/audio.ts'
import { type Desk, desk, type Recorded } from './helpers/desk.ts'
import { until } from './helpers/wait.ts'

/** Two seconds of 2000 Hz, as no phone here speaks. */
const SAID = 'tone_stream://%(2000,0,2000)'
const HZ = 2000
const announce = { media: SAID }
const LONG = { media: 'tone_stream://%(6000,0,2000)' }

/** How much of the whole of a side is that tone. */
const share = ({ samples, sampleRate }: Wav, side: number, hz: number): number => tones(samples[side] ?? new Int16Array(), sampleRate, hz)

test.serial('both are told before anything is kept, each once, and what is said is not in the file', async t => {
  const { calls, recordings, file } = await desk(t, { announce })
  await calls({ seconds: 14 })
  const [one, ...others] = await recordings(1)
  t.deepEqual(others, [])
  t.is(one?.state, 'stopped')
  const announced = one?.consent?.announced ?? []
  t.deepEqual(announced.map(({ party, outcome, media }) => `${party} ${outcome} ${media}`).sort(), [`callee played ${SAID}`, `caller played ${SAID}`])
  t.is(new Set(announced.map(({ leg }) => leg)).size, 2)
  for (const { at, ended_at = '' } of announced) t.true(Date.parse(ended_at) > Date.parse(at))
  const wav = await file(one?.id ?? '')
  t.true(wav.seconds > 3 && wav.seconds < 13, `${wav.seconds} s of the 14 they are connected, less the 2 in which the callee is told`)
  for (const side of [0, 1]) t.true(share(wav, side, HZ) < 0.01)
  t.true(share(wav, 0, 440) > 0.9)
  t.true(share(wav, 1, 1000) > 0.9, 'they talk from its first moment')
})

test.serial('who joins later is told before more is kept: a next part of the group waits for it', async t => {
  // At the speed of life: how soon a part ends is a matter of milliseconds.
  const { calls, recordings, file } = await desk(t, { announce }, { speed: 1 })
  await calls({ number: '3003', seconds: 6 })
  const parts = await recordings(2)
  t.is(parts.length, 2)
  // Both may begin in one second of the wall.
  const [first, second] = parts.toSorted((a, b) => (a.consent?.announced?.length ?? 0) - (b.consent?.announced?.length ?? 0))
  t.is(first?.group_id, second?.group_id)
  t.deepEqual(
    first?.consent?.announced?.map(({ party }) => party),
    ['caller'],
  )
  t.deepEqual(second?.consent?.announced?.map(({ party, outcome }) => `${party} ${outcome}`).sort(), ['callee played', 'caller played'])
  const caller = (one: Recorded | undefined): string | undefined => one?.consent?.announced?.find(({ party }) => party === 'caller')?.at
  t.is(caller(first), caller(second), 'who was told before is not told again')
  const [before, after] = [await file(first?.id ?? ''), await file(second?.id ?? '')]
  t.true(share(before, 1, 600) > 0.7, 'what the callflow played')
  t.true(share(before, 1, 1000) < 0.15, 'and nothing of the callee, who had not been told')
  for (const side of [0, 1]) t.true(share(after, side, HZ) < 0.01)
  t.true(share(after, 1, 1000) > 0.9)
})

test.serial('the parts of it are one recording to its limit and its least length', async t => {
  const { calls, recordings } = await desk(t, { announce, time_limit: 6, record_min_sec: 5 }, { speed: 2 })
  await calls({ number: '3003', seconds: 30 })
  const parts = await recordings(2)
  t.deepEqual(
    parts.map(({ state }) => state),
    ['stopped', 'stopped'],
  )
  const [shorter = 0, longer = 0] = parts.map(one => one.duration_ms).toSorted((a, b) => a - b)
  t.true(shorter > 1000 && longer < 5500 && Math.abs(shorter + longer - 6000) < 700, `${shorter} and ${longer} ms`)
})

test.serial('a key refuses the recording while it is announced, where the account lets it, and policy does not begin again', async t => {
  const { calls, recordings, client, at, bob } = await desk(t, { announce: { ...announce, optout_key: '9' } }, { account: { allow_recording_optout: true } })
  await client.patch(`${at}/devices/${bob}`, { record_call: { format: 'wav', time_limit: 77 } })
  await calls({ dtmf: '1:9', seconds: 6 })
  const all = await recordings(2)
  t.deepEqual(
    all.map(({ state, reason, duration_ms }) => [state, reason, duration_ms]),
    [
      ['discarded', 'opted_out', 0],
      ['discarded', 'opted_out', 0],
    ],
  )
  for (const one of all) t.like(one.consent?.refused, { key: '9' })
  const said = all.flatMap(one => one.consent?.announced ?? []).find(({ party, key }) => party === 'caller' && key === '9')
  t.is(said?.outcome, 'broken_off')
})

test.serial('a key ends a recording that runs, nothing of it is kept, and it does not begin again when the call goes on', async t => {
  const { calls, recordings, engine, at } = await desk(t, { announce: { ...announce, optout_key: '9' } }, { account: { allow_recording_optout: true } })
  // The caller is told while the other one is not yet rung, and that one when he answers.
  await calls({ dtmf: '7:9', seconds: 14 })
  const [one, ...others] = await recordings(1)
  t.deepEqual(others, [])
  t.like(one, { state: 'discarded', reason: 'opted_out' })
  t.like(one?.consent?.refused, { key: '9' })
  t.deepEqual(
    one?.consent?.announced?.map(({ outcome }) => outcome),
    ['played', 'played'],
  )
  const response = await fetch(`${engine.url}/v2/${at}/recordings/${one?.id}?accept=audio/x-wav`, { headers: { 'x-auth-token': engine.client.token } })
  t.is(response.status, 404)
})

test.serial('while the call is masked no key refuses it: it may be a card’s', async t => {
  const metaflows = { numbers: { '2': { module: 'record_call', data: { action: 'mask' } } } }
  const { calls, recordings } = await desk(t, { announce: { ...announce, optout_key: '9' } }, { account: { allow_recording_optout: true, metaflows } })
  await calls({ dtmf: '7:*200000000009', seconds: 14 })
  const [one] = await recordings(1)
  t.is(one?.state, 'stopped')
  t.is(one?.consent?.refused, undefined)
})

test.serial('where the account does not let anybody refuse, the key is a key', async t => {
  const { calls, recordings } = await desk(t, { announce: { ...announce, optout_key: '9' } })
  await calls({ dtmf: '1:9', seconds: 6 })
  const [one] = await recordings(1)
  t.is(one?.state, 'stopped')
  t.is(one?.consent?.refused, undefined)
  t.deepEqual(
    one?.consent?.announced?.map(({ outcome }) => outcome),
    ['played', 'played'],
  )
})

test.serial('where a key is asked for, the recording begins with it, and without it there is none', async t => {
  const asked = { announce: { ...announce, to: 'caller', consent_key: '1' } }
  const yes = await desk(t, asked)
  await yes.calls({ dtmf: '3:1', seconds: 8 })
  const [one] = await yes.recordings(1)
  t.is(one?.state, 'stopped')
  t.deepEqual(
    one?.consent?.announced?.map(({ party, outcome, key }) => [party, outcome, key]),
    [['caller', 'played', '1']],
  )
  const begun = ((one?.start ?? 0) - 62_167_219_200 + 1) * 1000
  t.true(begun > Date.parse(one?.consent?.announced?.[0]?.key_at ?? ''), 'from the key on')

  await yes.calls({ dtmf: '3:7', seconds: 20 })
  const silent = (await yes.recordings(2)).find(({ id }) => id !== one?.id)
  t.like(silent, { state: 'discarded', reason: 'no_consent' })
})

test.serial('a required announcement that cannot be played leaves a failed recording, another one is recorded without', async t => {
  const { calls, recordings, client, at } = await desk(t, { announce: { text: '日本語' } })
  await calls({ seconds: 4 })
  const [one] = await recordings(1)
  t.like(one, { state: 'failed', reason: 'announcement_failed' })
  t.regex(one?.consent?.announced?.[0]?.reason ?? '', /nothing that can be said/)
  await client.patch(at, { record_call: { announce: { required: false } } })
  await calls({ seconds: 4 })
  const other = await until('one that is kept', async () => (await recordings(2)).find(({ state }) => state !== 'failed'))
  t.is(other.state, 'stopped')
  t.is(other.consent?.announced?.[0]?.outcome, 'failed')
})

test.serial('it leaves one failed recording in a call, whoever joins later', async t => {
  const { recordings, calls, phone, channels, partner, client, at } = await desk(t, { announce: { text: '日本語' } })
  const carol = await phone('carol')
  await client.put(`${at}/callflows`, { numbers: ['2004'], flow: { module: 'device', data: { id: carol } } })
  const { call_id: caller } = await calls({ seconds: 200 })
  const [one] = await recordings(1)
  t.like(one, { state: 'failed', reason: 'announcement_failed' })
  const first = await partner(caller)
  await client.post(`${at}/channels/${caller}`, { action: 'transfer', target: '2004' })
  await partner(caller, first)
  await client.post(`${at}/channels/${caller}`, { action: 'hangup' })
  await until('the call is over', async () => (await channels()).length === 0)
  const [same, ...others] = await recordings(1)
  t.is(same?.id, one?.id)
  t.deepEqual(
    others.map(({ state, call_id }) => [state, call_id]),
    [],
  )
})

test.serial('with keep the announcement is in the file', async t => {
  const { calls, recordings, file } = await desk(t, { announce: { ...announce, keep: true } })
  await calls({ seconds: 6 })
  const [one] = await recordings(1)
  const wav = await file(one?.id ?? '')
  t.true(wav.seconds > 5, `${wav.seconds}`)
  t.true(share(wav, 1, HZ) > 0.2)
  t.is(one?.consent?.announced?.length, 2)
})

test.serial('an engine that is started anew in the middle of an announcement says it again, and only then records', async t => {
  const { calls, recordings, file, engine, at } = await desk(t, { announce: { media: 'tone_stream://%(4000,0,2000)' } }, { speed: 2 })
  await calls({ seconds: 16 })
  await until('it is being told', async () => {
    const [one] = await engine.client.get<Recorded[]>(`${at}/recordings`)
    const legs = await engine.client.get<{ other_leg?: string }[]>(`${at}/channels`)
    return one?.state === 'waiting' && legs.length === 2 && legs.every(leg => leg.other_leg !== undefined)
  })
  await new Promise(resolve => setTimeout(resolve, 500))
  await engine.restart()
  const [one, ...others] = await recordings(1)
  t.deepEqual(others, [])
  t.is(one?.state, 'stopped')
  t.deepEqual(
    one?.consent?.announced?.map(({ outcome }) => outcome),
    ['played', 'played'],
  )
  const wav = await file(one?.id ?? '')
  for (const side of [0, 1]) t.true(share(wav, side, HZ) < 0.05)
})

/** Alice calls Bob, and while both are being told one of them is sent on to Carol. */
async function sentOn({ phone, esl, hears, channels, partner, client, at, alice, recordings }: Desk, which: string): Promise<Recorded[]> {
  const carol = await phone('carol')
  await client.put(`${at}/callflows`, { numbers: ['2004'], flow: { module: 'device', data: { id: carol } } })
  const own = `callrec_account_id=${at.slice('accounts/'.length)},callrec_device_id=${alice},callrec_simulator_seconds=4000`
  const caller = (await esl(`callrec_simulator_call {${own}}2001 2002`)).replace('+OK ', '').trim()
  const bob = await partner(caller)
  for (const leg of [caller, bob]) await hears(leg)
  await esl(`uuid_transfer ${caller} ${which} 2004`)
  const left = which === '' ? caller : bob
  await partner(left, which === '' ? bob : caller)
  await until('it is recorded', async () => (await client.get<Recorded[]>(`${at}/recordings`)).some(({ state }) => state === 'recording'))
  await esl(`uuid_kill ${left}`)
  await until('the call is over', async () => (await channels()).length === 0)
  return recordings(1)
}

const heardOf = ({ consent }: Recorded): string[] => (consent?.announced ?? []).map(({ party, outcome }) => `${party} ${outcome}`).sort()

test.serial('who is sent on while he is told hears it anew, and what waits begins when he and the new one have heard it', async t => {
  const [one, ...others] = await sentOn(await desk(t, { announce: LONG }), '')
  t.deepEqual(others, [])
  t.is(one?.state, 'stopped')
  t.deepEqual(one && heardOf(one), ['callee left', 'callee played', 'caller played'])
  const [caller] = one?.consent?.announced?.filter(({ party }) => party === 'caller') ?? []
  const heard = (Date.parse(caller?.ended_at ?? '') - Date.parse(caller?.at ?? '')) * 5
  t.true(heard > 5500, `${heard} of 6000 ms`)
})

test.serial('what waits follows who is left when its own leg leaves by a transfer, and begins when he and the new one were told', async t => {
  const own = await desk(t, {})
  await own.client.patch(own.at, { record_call: null })
  await own.client.patch(`${own.at}/devices/${own.bob}`, { record_call: { format: 'wav', announce: LONG } })
  const [bobs, ...more] = (await sentOn(own, '')).filter(({ state }) => state === 'discarded')
  t.deepEqual(more, [])
  t.is(bobs?.reason, 'announcement_unfinished')
  const [kept, ...parts] = (await own.recordings(2)).filter(({ state }) => state === 'stopped')
  t.deepEqual(parts, [])
  t.deepEqual(kept && [kept.group_id, heardOf(kept)], [bobs?.group_id, ['callee played', 'caller played']])
})

test.serial('what waits follows who was called, too, when he is sent on', async t => {
  const own = await desk(t, { announce: LONG })
  const [kept, ...parts] = (await sentOn(own, '-bleg')).filter(({ state }) => state === 'stopped')
  t.deepEqual(parts, [])
  const left = (await own.recordings(2)).filter(one => one.group_id === kept?.group_id && one.id !== kept.id)
  t.deepEqual(
    left.map(({ state, reason }) => [state, reason]),
    [['discarded', 'announcement_unfinished']],
  )
  t.deepEqual(kept && heardOf(kept), ['callee played', 'caller played'])
})

test.serial('a beep sounds while something is kept, for who is to hear it, and the document says so', async t => {
  const { calls, recordings, engine, at, file } = await desk(t, { beep: { every: 1, to: 'caller' } }, { speed: 2 })
  await calls({ seconds: 12 })
  const caller = await until('it beeps', async () => {
    const [one] = await engine.client.get<Recorded[]>(`${at}/recordings`)
    return one?.consent?.beeps?.length === 1 && one
  })
  t.like(caller.consent?.beeps?.[0], { party: 'caller', every: 1, leg: caller.call_id })
  const act = (action: string, more: object = {}): Promise<unknown> =>
    engine.client.post(`${at}/channels/${caller.call_id}`, { action: 'record', data: { action, ...more } })
  // What begins later hears what its leg hears.
  await act('start', { beep: false, time_limit: 60 })
  await new Promise(resolve => setTimeout(resolve, 1500))
  await act('pause')
  await act('resume')
  const all = await recordings(2)
  const [first, later] = all.toSorted((a, b) => b.duration_ms - a.duration_ms)
  const loud = (wav: Wav, side: number): number => Math.max(...Array.from({ length: Math.floor(wav.seconds * 10) }, (_, at) => beepIn(wav, side, at / 10)))
  const [before, after] = [await file(first?.id ?? ''), await file(later?.id ?? '')]
  t.true(loud(after, 1) > 0.3, 'the caller hears it')
  t.true(loud(after, 0) < 0.1, 'and does not say it')
  t.true(loud(before, 0) < 0.1)
  t.true(loudness(before.samples[1] ?? new Int16Array(), before.sampleRate) > 100)
})

const beepIn = ({ samples, sampleRate }: Wav, side: number, at: number): number => tones(samples[side] ?? new Int16Array(), sampleRate, 1400, at, at + 0.1)
