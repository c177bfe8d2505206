// Recording servers hear nobody who was not told: calls on the embedded switch, judged by what the servers were sent, the documents and
// the files beside. One after the other, since at five times its speed a call hears how busy the machine is.

import test, { type ExecutionContext } from 'ava'
import { tones } from './helpers/audio.ts'
import { type Desk, desk, type Recorded } from './helpers/desk.ts'
import { type RecordingServer, recordingServer } from './helpers/recording-server.ts'
import { until } from './helpers/wait.ts'

const HZ = 2000
/** Three seconds. */
const announce = { media: `tone_stream://%(3000,0,${HZ})` }

interface Served extends Desk {
  server: RecordingServer
}

async function served(t: ExecutionContext, settings: object, account: object = {}, speed = 5): Promise<Served> {
  const server = await recordingServer(t)
  return { ...(await desk(t, { siprec_server: server.uri, ...settings }, { account, speed })), server }
}

const ofServers = (all: readonly Recorded[]): Recorded[] => all.filter(({ kind }) => kind === 'siprec')
const told = ({ consent }: Recorded): string[] => (consent?.announced ?? []).map(({ party, outcome }) => `${party} ${outcome}`).sort()

/** Alice calls; her leg, and Bob's once they talk. */
async function talk({ esl, at, alice, partner }: Desk, number = '2002'): Promise<{ caller: string; bob: string }> {
  const own = `callrec_account_id=${at.slice('accounts/'.length)},callrec_device_id=${alice},callrec_simulator_seconds=4000`
  const caller = (await esl(`callrec_simulator_call {${own}}2001 ${number}`)).replace('+OK ', '').trim()
  return { caller, bob: await partner(caller) }
}

/** How much of a stream is that tone. */
const share = (server: RecordingServer, label: string, hz: number): number => {
  const pcm = server.calls[0]?.heard.find(one => one.label === label)?.pcm ?? new Int16Array()
  return tones(pcm, 8000, hz, 0, pcm.length / 8000)
}

/** That a stream brought: packets have 20 ms. */
const seconds = (server: RecordingServer, label = '1'): number => (server.calls[0]?.heard.find(one => one.label === label)?.packets ?? 0) / 50

test.serial('no server is called before both were told, once for file and servers, and the document says so', async t => {
  const own = await served(t, { announce })
  const { caller, bob } = await talk(own)
  for (const leg of [caller, bob]) await own.hears(leg)
  t.is(own.server.calls.length, 0)
  t.deepEqual(
    ofServers(await own.client.get<Recorded[]>(`${own.at}/recordings`)).map(({ state }) => state),
    ['waiting'],
  )
  await until('three seconds are heard', () => seconds(own.server) > 3 && seconds(own.server, '2') > 3)
  await own.esl(`uuid_kill ${caller}`)
  const all = await own.recordings(2)
  t.deepEqual(all.map(({ kind, state }) => `${kind} ${state}`).sort(), ['file stopped', 'siprec stopped'])
  const [file, siprec] = ['file', 'siprec'].map(kind => all.find(one => one.kind === kind)?.consent?.announced)
  t.is(siprec?.length, 2)
  t.deepEqual(siprec, file)
  t.true(share(own.server, '1', 440) > 0.8 && share(own.server, '2', 1000) > 0.8)
  for (const label of ['1', '2']) t.true(share(own.server, label, HZ) < 0.01)
  t.deepEqual(await own.server.check(), [])
})

test.serial('who joins later is heard by no server until he was told, and the gap map has the time', async t => {
  // At the speed of life: how soon nothing is sent is a matter of milliseconds.
  const own = await served(t, { announce }, {}, 1)
  const { caller, bob } = await talk(own, '3003')
  await own.hears(bob)
  const paused = await until('it is paused', async () =>
    ofServers(await own.client.get<Recorded[]>(`${own.at}/recordings`)).find(({ state }) => state === 'paused'),
  )
  t.deepEqual(told(paused), ['caller played'])
  t.deepEqual(own.server.calls[0]?.directions.at(-1), ['inactive', 'inactive'])
  const before = seconds(own.server, '2')
  await until('two seconds more are heard', () => seconds(own.server, '2') > before + 2)
  await own.esl(`uuid_kill ${caller}`)
  const [one] = ofServers(await own.recordings(2))
  t.like(one, { state: 'stopped', segments: [{ kind: 'pause', by: 'announcement' }] })
  const [gap] = one?.segments ?? []
  t.true((gap?.missing_ms ?? 0) > 2500, `${gap?.missing_ms} ms`)
  t.deepEqual(one && told(one), ['callee played', 'caller played'])
  for (const label of ['1', '2']) t.true(share(own.server, label, HZ) < 0.03, label)
  t.true(share(own.server, '2', 600) > 0.2, 'what the callflow played')
  t.true(share(own.server, '2', 1000) > 0.2, 'and who was told')
  t.is(own.server.calls.length, 1)
  t.deepEqual(await own.server.check(), [])
})

const refusable = { announce: { ...announce, optout_key: '9' } }
const MAY_REFUSE = { allow_recording_optout: true }

test.serial('a key that is pressed while it is announced keeps servers and files from beginning', async t => {
  const own = await served(t, refusable, MAY_REFUSE)
  await own.calls({ dtmf: '1:9', seconds: 8 })
  const all = await own.recordings(2)
  t.deepEqual(all.map(({ kind, state, reason }) => `${kind} ${state} ${reason}`).sort(), ['file discarded opted_out', 'siprec discarded opted_out'])
  for (const one of all) t.like(one.consent?.refused, { key: '9' })
  t.is(own.server.calls.length, 0)
})

test.serial('a key ends what servers record with the files of the call, and neither begins again', async t => {
  const own = await served(t, refusable, MAY_REFUSE)
  const { call_id: caller } = await own.calls({ dtmf: '9:9', seconds: 400 })
  const over = await until('all is refused', async () => {
    const all = await own.client.get<Recorded[]>(`${own.at}/recordings`)
    return all.length === 2 && all.every(({ state }) => state === 'discarded') && all
  })
  t.deepEqual(over.map(({ kind, reason }) => `${kind} ${reason}`).sort(), ['file opted_out', 'siprec opted_out'])
  for (const one of over) t.like(one.consent?.refused, { key: '9' })
  await until('the server was told', () => own.server.calls[0]?.ended !== undefined)
  const refused = await t.throwsAsync(own.client.post(`${own.at}/channels/${caller}`, { action: 'siprec_recording', data: { activity: 'start' } }))
  t.regex(refused?.message ?? '', /409/)
  await own.client.post(`${own.at}/channels/${caller}`, { action: 'hangup' })
  t.is((await own.recordings(2)).length, 2)
})

test.serial('a session with servers alone is refused by a key as well', async t => {
  const own = await served(t, {}, MAY_REFUSE)
  const beep = { every: 1, to: 'caller' }
  await own.client.patch(own.at, { record_call: { ...refusable, beep, enabled: false, siprec_server: null } })
  const { caller, bob } = await talk(own)
  await own.client.post(`${own.at}/channels/${caller}`, { action: 'siprec_recording', data: { activity: 'start', server: own.server.uri } })
  for (const leg of [caller, bob]) await own.hears(leg)
  t.is(own.server.calls.length, 0)
  await until('the caller hears that servers do', async () =>
    (await own.client.get<Recorded[]>(`${own.at}/recordings`)).some(({ consent }) =>
      consent?.beeps?.some(({ leg, reason }) => leg === caller && reason === undefined),
    ),
  )
  await until('a second is heard', () => seconds(own.server) > 1)
  await own.esl(`uuid_recv_dtmf ${bob} 9`)
  const [one, ...others] = await own.recordings(1)
  t.deepEqual(others, [])
  t.like(one, { kind: 'siprec', state: 'discarded', reason: 'opted_out', consent: { refused: { leg: bob, key: '9' } } })
})

test.serial('a required announcement that cannot be played keeps servers from beginning, and one document says so', async t => {
  const own = await served(t, { announce: { text: '日本語' } })
  const carol = await own.phone('carol')
  await own.client.put(`${own.at}/callflows`, { numbers: ['2004'], flow: { module: 'device', data: { id: carol } } })
  const { caller, bob } = await talk(own)
  await until('both have failed', async () => (await own.client.get<Recorded[]>(`${own.at}/recordings`)).filter(({ state }) => state === 'failed').length === 2)
  await own.client.post(`${own.at}/channels/${caller}`, { action: 'transfer', target: '2004' })
  await own.partner(caller, bob)
  await own.esl(`uuid_kill ${caller}`)
  await until('the call is over', async () => (await own.channels()).length === 0)
  const all = await own.recordings(2)
  t.deepEqual(all.map(({ kind, state, reason }) => `${kind} ${state} ${reason}`).sort(), [
    'file failed announcement_failed',
    'siprec failed announcement_failed',
  ])
  t.is(own.server.calls.length, 0)
})

test.serial('with keep the servers hear the announcement', async t => {
  const own = await served(t, { announce: { ...announce, keep: true } })
  await own.calls({ seconds: 9 })
  const [one] = ofServers(await own.recordings(2))
  t.is(one?.state, 'stopped')
  t.is(one?.consent?.announced?.length, 2)
  t.true(share(own.server, '2', HZ) > 0.1)
})

test.serial('what waits for an announcement goes on with who is left after a transfer, at the servers too', async t => {
  const own = await served(t, {})
  await own.client.patch(own.at, { record_call: null })
  await own.client.patch(`${own.at}/devices/${own.bob}`, { record_call: { format: 'wav', announce, siprec_server: own.server.uri } })
  const carol = await own.phone('carol')
  await own.client.put(`${own.at}/callflows`, { numbers: ['2004'], flow: { module: 'device', data: { id: carol } } })
  const { caller, bob } = await talk(own)
  for (const leg of [caller, bob]) await own.hears(leg)
  await own.esl(`uuid_transfer ${caller} 2004`)
  await until('a second is heard', () => seconds(own.server) > 1)
  await own.esl(`uuid_kill ${caller}`)
  const [first, second] = ofServers(await own.recordings(4)).toSorted((a, b) => a.state.localeCompare(b.state))
  t.like(first, { state: 'discarded', reason: 'announcement_unfinished' })
  t.like(second, { state: 'stopped', group_id: first?.group_id ?? '', call_id: caller })
  t.deepEqual(second && told(second), ['callee played', 'caller played'])
})

test.serial('an engine that is started anew calls the servers again without another word, or first says what was cut off', async t => {
  const own = await served(t, { announce })
  const { caller } = await talk(own)
  await until('a second is heard', () => seconds(own.server) > 1)
  const [before] = ofServers(await own.client.get<Recorded[]>(`${own.at}/recordings`))
  await own.engine.restart()
  await until('the next engine has called', () => own.server.calls.length === 2)
  await own.esl(`uuid_kill ${caller}`)
  const [one] = ofServers(await own.recordings(2))
  t.is(one?.state, 'stopped')
  t.is(one?.consent?.announced?.length, 2)
  t.deepEqual(one?.consent, before?.consent)

  const again = await talk(own)
  for (const leg of [again.caller, again.bob]) await own.hears(leg)
  await own.engine.restart()
  await until('it is recorded', () => own.server.calls.length === 3)
  await own.esl(`uuid_kill ${again.caller}`)
  const two = ofServers(await own.recordings(4)).find(({ id }) => id !== one?.id)
  t.is(two?.state, 'stopped')
  t.deepEqual(two && told(two), ['callee played', 'caller played'])
})
