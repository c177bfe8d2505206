// Hold and transfer of a call that recording servers hear, on a real FreeSWITCH, where there is one.

import test from 'ava'
import type { ExecutionContext } from 'ava'
import { tones } from '../helpers/audio.ts'
import { eslApi } from '../helpers/esl-client.ts'
import { startFreeSwitch } from '../helpers/operator-freeswitch.ts'
import { onPath, realRun } from '../helpers/real.ts'
import { recordingServer } from '../helpers/recording-server.ts'
import { until } from '../helpers/wait.ts'
import { ACCOUNT, FACTS, siprecWorld } from './world.ts'

const SECOND = 8000
const real = realRun('recording servers, hold and transfer', { FreeSWITCH: onPath('freeswitch') }) ? test : test.skip

async function place(t: ExecutionContext) {
  const fs = await startFreeSwitch(t)
  if (fs === undefined) throw new Error('no FreeSWITCH')
  const at = (name: string): string => `sofia/loop/${name}@127.0.0.1:${fs.loop.port}`
  const world = await siprecWorld(t, { ...fs.esl, speed: 1, caller: at('tone440'), callee: at('tone1000') })
  return { ...world, api: (command: string) => eslApi(fs.esl.port, fs.esl.password, command) }
}

real('hold on a real FreeSWITCH is told to the server, is in the gap map, and so is its end', async t => {
  const { siprec, api, call, request, document, node } = await place(t)
  const server = await recordingServer(t)
  const leg = await call()
  const started = await siprec.start(request(leg, server.uri))
  t.is(await started.begun, 'recording')
  await until('audio', () => (server.calls[0]?.heard[0]?.packets ?? 0) > 50)
  const told = server.calls[0]?.metadata.length ?? 0
  t.regex(await api(`uuid_hold ${leg.uuid}`), /^\+OK/)
  await until('the hold is told', () => (server.calls[0]?.metadata.length ?? 0) > told)
  t.notRegex(server.calls[0]?.metadata.at(-1) ?? '', /<send>/)
  t.is((await document(started.id))?.state, 'recording')
  t.regex(await api(`uuid_hold off ${leg.uuid}`), /^\+OK/)
  await until('its end is told', () => (server.calls[0]?.metadata.length ?? 0) > told + 1)
  t.regex(server.calls[0]?.metadata.at(-1) ?? '', /<send>/)
  await siprec.stop(leg.uuid)
  const [held, ...others] = (await document(started.id))?.segments ?? []
  t.like(held, { kind: 'hold', by: 'hold' })
  t.true(held?.until !== undefined)
  t.deepEqual(others, [])
  t.deepEqual(await server.check(), [])
  await node.hangup(leg.uuid, 'NORMAL_CLEARING')
})

real('who is left by a transfer on a real FreeSWITCH is heard by the same server, as the next part', async t => {
  const { siprec, call, request, document, node, taps } = await place(t)
  const server = await recordingServer(t)
  const [alice, carol] = [await call(), await call()]
  const first = await siprec.start(request(alice, server.uri))
  t.is(await first.begun, 'recording')
  await until('audio', () => (server.calls[0]?.heard[0]?.packets ?? 0) > 50)
  await siprec.follow(alice.uuid, { accountId: ACCOUNT, leg: carol, side: 'caller', facts: FACTS })
  const second = await until('the second part', () => {
    const one = server.calls[1]
    return one?.heard.length === 2 && one.heard.every(({ packets }) => packets > 100) && one
  })
  const wavs = await server.wavs(second)
  for (const [label, hz] of [
    ['1', 440],
    ['2', 1000],
  ] as const)
    t.true(tones(wavs[label]?.samples[0] ?? new Int16Array(), SECOND, hz, 0.5, 1.5) > 0.8, `label ${label}`)
  t.is((await document(first.id))?.state, 'stopped')
  const [next] = siprec.running(carol.uuid)
  t.is((await document(next?.id ?? ''))?.group_id, first.id)
  for (const { uuid } of [alice, carol]) await node.hangup(uuid, 'NORMAL_CLEARING')
  await until('no recording leg is left', async () => (await taps()).length === 0)
  t.deepEqual(await server.check(), [])
})
