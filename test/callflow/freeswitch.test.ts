// The executor on a real FreeSWITCH, where there is one: what the embedded switch imitates, from the original.

import test from 'ava'
import { systemClock } from '../../src/clock.ts'
import type { Doc } from '../../src/store/store.ts'
import { REALM, startFreeSwitch } from '../helpers/freeswitch.ts'
import { onPath, realRun } from '../helpers/real.ts'
import { until } from '../helpers/wait.ts'
import { onSwitch } from './on-switch.ts'
import { ACCOUNT, BOB, BOB_PHONE, documents, type Node } from './world.ts'

const play = (hz: number): Node => ({ module: 'play', data: { id: `tone_stream://%(100,0,${hz})` } })
const children: Record<string, Node> = { USER_BUSY: play(500), NO_ANSWER: play(600), _: play(900) }
const MENU = 'c'.repeat(32)
const bob: Node = { module: 'user', data: { id: BOB, timeout: 1 }, children }

// One test, because a FreeSWITCH takes seconds to start.
const here = realRun('the executor', { FreeSWITCH: onPath('freeswitch') })
if (!here) test('without a FreeSWITCH the executor drives the embedded switch alone', t => t.pass())
const calls = here ? test : (): void => {}

calls('a real FreeSWITCH is driven through a call that waited, and through every way a bridge can end', async t => {
  const server = await startFreeSwitch()
  t.teardown(() => server.stop())
  const docs: Record<string, Doc> = documents(bob)
  docs['account'] = { ...docs['account'], _id: ACCOUNT, realm: REALM }
  docs['bob'] = { ...docs['bob'], _id: BOB, record_call: true }
  // A user of that switch does what it is called; one it does not know is a phone that never registered.
  const phone = (username: string): void => {
    docs['bobPhone'] = { ...docs['bobPhone'], _id: BOB_PHONE, sip: { username } }
  }
  const place = { port: server.port, password: server.password, clock: systemClock(), caller: `user/tone440@${REALM}` }
  const { start, dial, over, of, events, lines, recording } = await onSwitch(t, place, docs)

  phone('short700')
  const waited = await dial('1000')
  const firstEngine = start()
  t.like(await over(waited), { cause: 'NORMAL_CLEARING' })
  t.true(of(waited).includes('CHANNEL_BRIDGE'))
  const rung = recording.started[0]?.leg.uuid
  const answer = events.find(event => event.name === 'CHANNEL_ANSWER' && event.leg.uuid === rung)
  t.like(answer, { leg: { variables: { callrec_account_id: ACCOUNT, callrec_device_id: BOB_PHONE, callrec_call_id: waited } } })
  t.deepEqual(
    lines.filter(({ event }) => event === 'call_ended').map(({ by }) => by),
    ['callflow'],
  )

  for (const username of ['busy', 'never', 'nobody']) {
    phone(username)
    t.like(await over(await dial('1000')), { cause: 'NORMAL_CLEARING' })
  }
  t.like(await over(await dial('4711')), { cause: 'UNALLOCATED_NUMBER' })
  const failed = lines.filter(({ event }) => event === 'bridge_failed')
  t.deepEqual(
    failed.map(({ cause }) => cause),
    ['USER_BUSY', 'NO_ANSWER', 'SUBSCRIBER_ABSENT'],
  )
  // A ring timeout has no status but the 487 our own CANCEL made, which may come after the end of the bridge.
  t.is(failed[0]?.sip_status, '486')
  t.is(failed[2]?.sip_status, undefined)
  t.is(recording.started.length, 4)
  // Of a leg that failed, the end may be told after that of the bridge.
  t.true(recording.neverCame.includes(recording.started[3]?.leg.uuid ?? ''))
  t.false(recording.neverCame.includes(rung ?? ''))
  t.deepEqual(
    lines.filter(({ level }) => level === 'error'),
    [],
  )

  await firstEngine.close()

  // Transfers: what a REFER makes of the legs, said as the commands it comes to.
  const two: Record<string, Doc> = {
    ...docs,
    other: {
      _id: 'd'.repeat(32),
      pvt_type: 'callflow',
      name: 'Other',
      numbers: ['to1003'],
      flow: { module: 'user', data: { id: BOB, timeout: 5, can_call_self: true } },
    },
  }
  phone('tone1000')
  two['bobPhone'] = docs['bobPhone'] as Doc
  const moved = await onSwitch(t, place, two)
  const engine = moved.start()
  const talking = async (number: string, not?: string): Promise<[string, string]> => {
    const caller = await moved.dial(number)
    return [caller, await partner(caller, not)]
  }
  const partner = async (caller: string, not?: string): Promise<string> => {
    const bridge = await moved.until(event => event.name === 'CHANNEL_BRIDGE' && event.leg.uuid === caller && event.otherLeg !== not)
    // No phone transfers this soon: a leg that is moved while its codecs are being settled fails with INCOMPATIBLE_DESTINATION.
    await moved.api('msleep 500')
    return bridge.name === 'CHANNEL_BRIDGE' ? bridge.otherLeg : ''
  }
  const gone = (uuid: string) => moved.until(event => event.name === 'CHANNEL_HANGUP_COMPLETE' && event.leg.uuid === uuid)
  const [blind, blindly] = await talking('1000')
  t.is(await moved.api(`uuid_transfer ${blind} to1003 XML phones`), '+OK\n')
  const again = await partner(blind, blindly)
  await gone(blindly)
  t.is(await moved.api(`uuid_transfer ${blind} -bleg to1003 XML phones`), '+OK\n')
  await gone(blind)
  const last = await partner(again)
  t.deepEqual(moved.recording.followed, [
    { left: blindly, leg: blind, side: 'caller' },
    { left: blind, leg: again, side: 'caller' },
  ])
  const [asked, first] = await talking('1000')
  const [asks, second] = await talking('1000')
  t.is(await moved.api(`uuid_bridge ${asked} ${second}`), `+OK ${second}\n`)
  t.is(await partner(asked, first), second)
  await Promise.all([gone(first), gone(asks)])
  await until('both are followed', () => moved.recording.followed.length === 4)
  t.deepEqual(moved.recording.followed.slice(2), [
    { left: first, leg: asked, side: 'caller' },
    { left: asks, leg: second, side: 'callee' },
  ])
  t.false([asked, second].some(uuid => moved.of(uuid).includes('CHANNEL_HANGUP_COMPLETE')))
  await moved.api(`uuid_kill ${second}`)
  await gone(asked)
  await moved.api(`uuid_kill ${last}`)
  await moved.over(again)
  await engine.close()
  t.deepEqual(
    moved.lines.filter(({ level }) => level === 'error'),
    [],
  )

  // A forward whose phone has to press 1 first: one does, another does not.
  const desk = (username: string): Record<string, Doc> => ({
    ...docs,
    bob: { ...docs['bob'], _id: BOB, call_forward: { enabled: true, number: 'to1003', require_keypress: true } },
    desk: { _id: 'c'.repeat(32), pvt_type: 'device', sip: { username } },
    other: { _id: 'd'.repeat(32), pvt_type: 'callflow', name: 'Other', numbers: ['to1003'], flow: { module: 'device', data: { id: 'c'.repeat(32) } } },
    callflow: { ...docs['callflow'], flow: { module: 'user', data: { id: BOB, timeout: 4 } } } as Doc,
  })
  for (const [username, connected] of [
    ['press12', true],
    ['tone1000', false],
  ] as const) {
    const asked = await onSwitch(t, place, desk(username))
    const executor = asked.start()
    const caller = await asked.dial('1000')
    if (connected) {
      const bridge = await asked.until(event => event.name === 'CHANNEL_BRIDGE' && event.leg.uuid === caller)
      await asked.api(`uuid_kill ${bridge.name === 'CHANNEL_BRIDGE' ? bridge.otherLeg : ''}`)
    }
    await asked.over(caller)
    t.is(asked.of(caller).includes('CHANNEL_BRIDGE'), connected, username)
    await executor.close()
  }

  // Keys: pressed during the greeting; none at all.
  const answers: Node = { module: 'play', data: { id: 'tone_stream://%(100,0,{{call.digits|300}})' } }
  const menuDocs: Record<string, Doc> = {
    ...documents({ module: 'menu', data: { id: MENU }, children: { 12: answers, timeout: answers } }),
    menu: { _id: MENU, pvt_type: 'menu', hunt: false, timeout: 1500, retries: 1, media: { greeting: 'tone_stream://%(3000,0,350)' } },
  }
  const keys = async (caller: string, docs: Record<string, Doc>): Promise<unknown> => {
    const { start, dial, over, lines } = await onSwitch(t, { ...place, caller: `user/${caller}@${REALM}` }, docs)
    const executor = start()
    await over(await dial('1000'))
    await executor.close()
    t.deepEqual(
      lines.filter(({ level }) => level === 'error' || level === 'warn'),
      [],
    )
    return lines.find(({ event }) => event === 'menu_answered')?.['keys']
  }
  t.is(await keys('press12', menuDocs), 2)
  t.is(await keys('tone440', menuDocs), 0)
})
